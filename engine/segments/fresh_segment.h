// SPDX-License-Identifier: Apache-2.0
// Fresh segments: begun with the records that a recovery, a truncation or a copy keeps. The header
// is written last, and is the commit point.
#ifndef SEAWALL_ENGINE_SEGMENTS_FRESH_SEGMENT_H_
#define SEAWALL_ENGINE_SEGMENTS_FRESH_SEGMENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/cursor_table.h"
#include "engine/segments/writable_segment.h"
#include "seawall/options.h"
#include "seawall/types.h"

namespace seawall {

// The groups that a fresh segment starts with: those of `path` in [from, to), records up to
// last_lsn.
struct CopySource {
  std::string path;
  uint64_t salt = 0;
  uint64_t from = 0;
  uint64_t to = 0;
  Lsn last_lsn = 0;
  FileSystem* fs = nullptr;  // that has `path`, if another one than the segment's
};

struct FreshSegment {
  std::shared_ptr<WritableSegment> segment;
  uint64_t allocated_bytes = 0;
  // Where the next group goes: a multiple of kBlockBytes.
  uint64_t end = 0;
  uint64_t digest = 0;
  uint64_t copied_records = 0;
};

// Creates a segment, copies the groups of `source` (may be null) into it, and makes all that
// durable, its directory entry included: all but the header, without which it is not part of the
// log. `header` says where it will stand; its state, salt and time are set here. With `cursors` it
// has slots, and the table is in both. On failure the file is removed again, as far as that works.
absl::StatusOr<FreshSegment> PrepareFresh(FileSystem* fs, const std::string& directory,
                                          const Options& options, SegmentHeader header,
                                          const CopySource* source,
                                          const CursorTable* cursors = nullptr);

// Writes the header of a fresh segment and syncs it: the commit point. After a failure it is
// unknown whether the segment is part of the log.
absl::Status CommitFresh(const Options& options, const FreshSegment& fresh);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_FRESH_SEGMENT_H_
