// SPDX-License-Identifier: Apache-2.0
// A segment's file as the writer has it, and how it is opened, lengthened and synced. It comes to
// be in two ways: a spare (spare_segment.h) becomes a segment when the first group is written after
// its header; a fresh segment (fresh_segment.h) is begun with the records that a recovery or a
// truncation keeps.
#ifndef SEAWALL_ENGINE_SEGMENTS_WRITABLE_SEGMENT_H_
#define SEAWALL_ENGINE_SEGMENTS_WRITABLE_SEGMENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/segment_index.h"
#include "seawall/options.h"

namespace seawall {

// A file that is being written, or prepared for that.
struct WritableSegment {
  std::string path;
  SegmentHeader header;
  std::unique_ptr<File> file;
  // The same file with O_DIRECT, for large writes: from the aligned buffer to the disk without a
  // copy. nullptr where that cannot be had, and where `file` has it.
  std::unique_ptr<File> direct;
  // Of the groups in it: the writer's to add to.
  std::shared_ptr<SegmentIndex> index = std::make_shared<SegmentIndex>();
};

// How segments are opened for writing.
OpenOptions WriteOpenOptions(const Options& options);

// True if each write is a sync of its own.
inline bool WritesAreDurable(const Options& options) {
  return options.sync_method == SyncMethod::kODsync || options.sync_method == SyncMethod::kOSync;
}
inline File::SyncKind SyncKindOf(const Options& options) {
  return options.sync_method == SyncMethod::kFsync ? File::SyncKind::kFull : File::SyncKind::kData;
}

// Returns the length of a segment that is `bytes` long after one more step of preallocation. The
// steps grow with the segment, so that a small log stays small.
uint64_t NextAllocation(uint64_t bytes, const Options& options);

// ---- For those that make segments.

// Creates the file that `header` names, with a salt of its own, and opens it.
absl::StatusOr<std::unique_ptr<WritableSegment>> CreateSegmentFile(FileSystem* fs,
                                                                   const std::string& directory,
                                                                   const Options& options,
                                                                   const SegmentHeader& header);
// Opens `segment->direct`, if the options do not make `file` a direct one and there can be one.
void OpenDirect(FileSystem* fs, const Options& options, WritableSegment* segment);
absl::Status WriteHeader(const WritableSegment& segment);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_WRITABLE_SEGMENT_H_
