// SPDX-License-Identifier: Apache-2.0
#include "engine/follow/watermark_file.h"

#include "absl/strings/str_cat.h"
#include "engine/base/random.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"

namespace seawall {

absl::StatusOr<std::optional<WatermarkBlock>> ReadWatermark(File* file, const std::string& path) {
  char bytes[kWatermarkBytes] = {};
  absl::StatusOr<size_t> got = ReadAt(file, path, 0, sizeof(bytes), bytes);
  if (!got.ok()) return got.status();
  WatermarkBlock block;
  uint32_t version = 0;
  const DecodeResult result = DecodeWatermark(bytes, &block, &version);
  if (result == DecodeResult::kNewer) {
    return absl::UnimplementedError(absl::StrCat(path, ", offset 0: expected version ",
                                                 kFormatVersion, ", found ", version,
                                                 ": a newer Seawall wrote it"));
  }
  // Otherwise it is being written or created just now, or a power loss left it so.
  return result == DecodeResult::kValid ? std::optional<WatermarkBlock>(block) : std::nullopt;
}

}  // namespace seawall
