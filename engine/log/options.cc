// SPDX-License-Identifier: Apache-2.0
#include "seawall/options.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/format/format.h"
#include "engine/store/disk_budget.h"

namespace seawall {
namespace {

constexpr uint64_t kMinSegmentBytes = uint64_t{16} << 10;
constexpr uint64_t kMaxSegmentBytes = uint64_t{1} << 30;
constexpr uint32_t kMaxBuffers = 64;
constexpr uint64_t kMaxRetainMicros = uint64_t{100} * 365 * 24 * 60 * 60 * 1000 * 1000;
constexpr uint64_t kMaxIntervalMicros = uint64_t{24} * 60 * 60 * 1000 * 1000;
constexpr uint64_t kMaxArchiveCloseMicros = uint64_t{24} * 3600 * 1000 * 1000;
constexpr uint64_t kMaxArchiveRetryMicros = uint64_t{60} * 1000 * 1000;
// One control entry is the active segment's, one that of a spare that is being made.
constexpr uint32_t kMaxRecycled = kMaxControlEntries - 2;

}  // namespace

uint64_t Options::MaxBatchBytes() const {
  // A group alone in its buffer or its segment; padding goes into the block where it ends.
  const uint64_t groups_begin = kSegmentHeaderBytes + (cursors ? kCursorAreaBytes : 0);
  return std::min(buffer_bytes, segment_bytes - groups_begin) - kGroupHeaderBytes;
}

absl::Status Options::Validate() const {
  std::vector<std::string> problems;
  auto check = [&problems](bool good, auto&&... message) {
    if (!good) problems.push_back(absl::StrCat(message...));
  };
  check(segment_bytes >= kMinSegmentBytes && segment_bytes <= kMaxSegmentBytes &&
            segment_bytes % kBlockBytes == 0,
        "segment_bytes is ", segment_bytes, ", expected a multiple of ", kBlockBytes, " from ",
        kMinSegmentBytes, " to ", kMaxSegmentBytes);
  check(buffer_bytes >= 2 * kBlockBytes && buffer_bytes <= kMaxSegmentBytes &&
            buffer_bytes % kBlockBytes == 0,
        "buffer_bytes is ", buffer_bytes, ", expected a multiple of ", kBlockBytes, " from ",
        2 * kBlockBytes, " to ", kMaxSegmentBytes);
  check(buffer_count >= 2 && buffer_count <= kMaxBuffers, "buffer_count is ", buffer_count,
        ", expected 2 to ", kMaxBuffers);
  check(group_alignment_bytes == kGroupUnitBytes || group_alignment_bytes == 512 ||
            group_alignment_bytes == kBlockBytes,
        "group_alignment_bytes is ", group_alignment_bytes, ", expected 8, 512 or 4096");
  check(max_recycled_segments <= kMaxRecycled, "max_recycled_segments is ", max_recycled_segments,
        ", expected at most ", kMaxRecycled);
  // What is far beyond a day overflows the clock.
  check(flush_interval_micros <= kMaxIntervalMicros, "flush_interval_micros is ",
        flush_interval_micros, ", expected at most ", kMaxIntervalMicros);
  check(archive_retry_micros >= 1 && archive_retry_micros <= kMaxArchiveRetryMicros,
        "archive_retry_micros is ", archive_retry_micros, ", expected 1 to ",
        kMaxArchiveRetryMicros);
  check(archive_close_micros <= kMaxArchiveCloseMicros, "archive_close_micros is ",
        archive_close_micros, ", expected at most ", kMaxArchiveCloseMicros);
  check(slow_sync_micros <= kMaxIntervalMicros, "slow_sync_micros is ", slow_sync_micros,
        ", expected at most ", kMaxIntervalMicros);
  check(metadata.size() <= kMaxMetadataBytes, "metadata has ", metadata.size(),
        " bytes, expected at most ", kMaxMetadataBytes);
  if (problems.empty()) {
    check(max_record_bytes <= MaxBatchBytes() - kRecordHeaderBytes, "max_record_bytes is ",
          max_record_bytes, ", expected at most ", MaxBatchBytes() - kRecordHeaderBytes,
          " with buffer_bytes ", buffer_bytes, cursors ? ", cursors" : "", " and segment_bytes ",
          segment_bytes);
  }
  check(retain_micros <= kMaxRetainMicros, "retain_micros is ", retain_micros,
        ", expected at most ", kMaxRetainMicros);
  if (problems.empty() && max_log_bytes > 0) {
    const uint64_t least = kOtherFilesBytes + kCopySlackBytes + 3 * segment_bytes;
    check(max_log_bytes >= least, "max_log_bytes is ", max_log_bytes, ", expected at least ", least,
          " with segment_bytes ", segment_bytes,
          ": one that is written, the next one, one for the next opening, and CONTROL");
    // What retention keeps, the segment that it rounds up to, and the three above.
    const uint64_t room = max_log_bytes - std::min(max_log_bytes, least + segment_bytes);
    check(retain_bytes <= room || retain_bytes == 0, "retain_bytes is ", retain_bytes,
          ", expected at most ", room, " with max_log_bytes ", max_log_bytes, " and segment_bytes ",
          segment_bytes, ": appends would be refused before anything goes");
  }
  if (problems.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("options: ", absl::StrJoin(problems, "; ")));
}

}  // namespace seawall
