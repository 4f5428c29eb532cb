// SPDX-License-Identifier: Apache-2.0
// What Options::retain_bytes and retain_micros say of one sealed segment.
#ifndef SEAWALL_ENGINE_STORE_RETAIN_OPTIONS_H_
#define SEAWALL_ENGINE_STORE_RETAIN_OPTIONS_H_

#include <cstdint>

#include "seawall/options.h"
#include "seawall/retention.h"

namespace seawall {

// Whether the options keep a sealed segment. The segments after it hold `bytes_after`; none of its
// records is newer than `newest`, 0 if that is not known. Sets *why, if that is not nullptr.
bool Wanted(const Options& options, uint64_t bytes_after, int64_t newest, int64_t now,
            KeptBecause* why);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_RETAIN_OPTIONS_H_
