// SPDX-License-Identifier: Apache-2.0
// Segment files: their names, and the two ways that one comes to be. A prepared spare
// (segment_store.h) becomes a segment when the first group is written behind its header; a fresh
// segment is begun with the records that a recovery or a truncation keeps.
#ifndef SEAWALL_ENGINE_SEGMENTS_SEGMENT_H_
#define SEAWALL_ENGINE_SEGMENTS_SEGMENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/format/cursor_table.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/segment_index.h"
#include "seawall/options.h"

namespace seawall {

// How segments are opened for writing.
OpenOptions WriteOpenOptions(const Options& options);

// True if each write is a sync of its own.
inline bool WritesAreDurable(const Options& options) {
  return options.sync_method == SyncMethod::kODsync || options.sync_method == SyncMethod::kOSync;
}
inline File::SyncKind SyncKindOf(const Options& options) {
  return options.sync_method == SyncMethod::kFsync ? File::SyncKind::kFull : File::SyncKind::kData;
}

// Zeros are written ahead of the writer in steps that grow with the segment, so that a small log
// stays small: the length of a segment that is `bytes` long after one more step.
uint64_t NextAllocation(uint64_t bytes, const Options& options);

// A segment of which the place in the log is known. A value; copies of one share its pin.
struct SegmentRef {
  std::string path;
  uint64_t generation = 0;
  uint64_t salt = 0;
  Lsn base_lsn = 0;
  // Of a sealed segment. While it is being written last_lsn is ~0 and end is 0.
  Lsn last_lsn = ~Lsn{0};
  uint64_t end = 0;
  uint64_t digest = 0;
  // The length of the file; unset while it is being written.
  uint64_t file_bytes = 0;
  // None of a sealed segment's records is newer; 0 if that is not known. See AgeClock.
  int64_t newest_unix_micros = 0;
  // Held by everybody who may still read the file: it is not written again before they are gone.
  std::shared_ptr<const int> pin;
  // Of one that is being written, until the index is in the file; else nullptr.
  std::shared_ptr<const SegmentIndex> index;
  uint64_t groups_begin = kSegmentHeaderBytes;

  bool sealed() const { return last_lsn != ~Lsn{0}; }
  // Whether a sealed segment, read up to `offset`, ends there as its successor says.
  bool EndsAt(Lsn next_lsn, uint64_t offset, uint64_t digest_of_groups) const {
    return next_lsn == last_lsn + 1 && offset == end && digest_of_groups == digest;
  }
};

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

// What readers need to know of a segment that is being written.
SegmentRef RefOf(const WritableSegment& segment);

// Creates the file of a segment: its first zeros, a spare's header, synced. The directory entry
// is not durable yet. On failure the file is removed again, as far as that works.
absl::StatusOr<std::unique_ptr<WritableSegment>> CreateSpare(
    FileSystem* fs, const std::string& directory, const Options& options, const LogId& log_id,
    uint64_t generation, uint64_t* allocated_bytes);

// The groups that a fresh segment starts with: those of `path` in [from, to), records up to
// last_lsn.
struct CopySource {
  std::string path;
  uint64_t salt = 0;
  uint64_t from = 0;
  uint64_t to = 0;
  Lsn last_lsn = 0;
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

// Makes a trimmed segment's file a spare of another generation: renames it, makes that durable,
// then writes the new header and syncs it. In this order a file that bears an old header under a
// new name is known to be between the two. FailedPrecondition if the file has another name.
absl::StatusOr<std::unique_ptr<WritableSegment>> RecycleSegment(
    FileSystem* fs, const std::string& directory, const Options& options, const LogId& log_id,
    const std::string& old_path, uint64_t generation, uint64_t* allocated_bytes);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_SEGMENT_H_
