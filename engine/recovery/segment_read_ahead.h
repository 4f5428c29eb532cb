// SPDX-License-Identifier: Apache-2.0
// The headers of many segments, several at a time: opening a log waits for the disk once for many
// of them, not once for each.
#ifndef SEAWALL_ENGINE_RECOVERY_SEGMENT_READ_AHEAD_H_
#define SEAWALL_ENGINE_RECOVERY_SEGMENT_READ_AHEAD_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/format/format.h"
#include "engine/segments/segment_file.h"
#include "seawall/file_system.h"

namespace seawall {

// Thread-compatible.
class SegmentReadAhead {
 public:
  // Fewer segments are read one by one, as they are asked for.
  static constexpr size_t kFewSegments = 16;

  // `generations`: those that may be asked for, in descending order, as they will be. `fs` and
  // `log_id` outlive this.
  SegmentReadAhead(FileSystem* fs, std::string directory, const LogId* log_id,
                   std::vector<uint64_t> generations);

  // ReadSegmentFile() of one of them, once, with the file closed again. What is wrong with those
  // that are not asked for is not told.
  absl::StatusOr<SegmentFile> Read(uint64_t generation);

 private:
  absl::StatusOr<SegmentFile> ReadOne(uint64_t generation) const;
  // Reads a batch, from generations_[begin] on.
  void ReadBatch(size_t begin);

  FileSystem* const fs_;
  const std::string directory_;
  const LogId* const log_id_;
  const std::vector<uint64_t> generations_;
  // Of generations_ from batch_begin_ on. None: it is read when it is asked for.
  std::vector<std::optional<absl::StatusOr<SegmentFile>>> batch_;
  size_t batch_begin_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RECOVERY_SEGMENT_READ_AHEAD_H_
