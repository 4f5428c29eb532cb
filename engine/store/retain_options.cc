// SPDX-License-Identifier: Apache-2.0
#include "engine/store/retain_options.h"

namespace seawall {

bool Wanted(const Options& options, uint64_t bytes_after, int64_t newest, int64_t now,
            KeptBecause* why) {
  const bool by_bytes = options.retain_bytes > 0;
  const bool by_age = options.retain_micros > 0;
  if (by_bytes && bytes_after >= options.retain_bytes) return false;
  if (by_age && newest > 0 && now - newest >= static_cast<int64_t>(options.retain_micros)) {
    return false;
  }
  if (why != nullptr) {
    *why = by_bytes ? KeptBecause::kWithinBytes
           : by_age ? KeptBecause::kYoung
                    : KeptBecause::kNotTrimmed;
  }
  return true;
}

}  // namespace seawall
