// SPDX-License-Identifier: Apache-2.0
// Where the groups of a segment are, and records within the large ones: sparse, so that any record
// of it is found with one small read. The writer collects it; a sealed segment has it in its file
// (index_file.h).
#ifndef SEAWALL_ENGINE_SEGMENTS_SEGMENT_INDEX_H_
#define SEAWALL_ENGINE_SEGMENTS_SEGMENT_INDEX_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/mutex.h"
#include "seawall/types.h"

namespace seawall {

// A group has an entry if it begins so far behind the last group that has one; a record within a
// group, if it begins so far behind the last entry, of whichever kind. So the group behind an entry
// for a record always has one, and what is between an entry and the next one is either whole
// groups, but for the end of the last one, or records of one group.
inline constexpr uint64_t kIndexIntervalBytes = uint64_t{32} << 10;

// Groups up to this have no entries for their records.
inline constexpr uint64_t kSmallGroupBytes = uint64_t{16} << 10;

// A group.
struct IndexEntry {
  Lsn first_lsn = 0;
  uint64_t offset = 0;
  uint64_t digest = 0;  // of the groups before

  friend bool operator==(const IndexEntry& a, const IndexEntry& b) {
    return a.first_lsn == b.first_lsn && a.offset == b.offset && a.digest == b.digest;
  }
};

// A record within a group, not its first one.
struct RecordEntry {
  Lsn lsn = 0;
  uint64_t offset = 0;

  friend bool operator==(const RecordEntry& a, const RecordEntry& b) {
    return a.lsn == b.lsn && a.offset == b.offset;
  }
};

struct IndexEntries {
  std::vector<IndexEntry> groups;    // ascending
  std::vector<RecordEntry> records;  // ascending
};

// Thread-safe. One thread at a time adds to it; it grows as the segment does.
class SegmentIndex {
 public:
  SegmentIndex() = default;
  explicit SegmentIndex(IndexEntries entries);  // nothing is noted in it
  SegmentIndex(const SegmentIndex&) = delete;
  SegmentIndex& operator=(const SegmentIndex&) = delete;

  // The next group, and the next record of the group noted last, in order; any records may be left
  // out. They have entries if they are far enough behind the last one.
  void NoteGroup(const IndexEntry& group);
  void NoteRecord(const RecordEntry& record);

  struct Span {
    bool is_group = true;  // else a record is what begins here
    Lsn first_lsn = 0;
    uint64_t offset = 0;
    uint64_t end = ~uint64_t{0};  // the next entry's offset
  };
  // The last entry at or below `lsn`: it is between that and the next one, if it is in the segment.
  // None if it is below all.
  std::optional<Span> Find(Lsn lsn) const;
  // The last group with an entry that begins at or below `lsn`.
  std::optional<IndexEntry> FindGroup(Lsn lsn) const;

  IndexEntries entries() const;

 private:
  // Of the one that adds: the next entry is for a group, or for a record, from here on.
  uint64_t next_group_offset_ = 0;
  uint64_t next_record_offset_ = 0;

  mutable Mutex mutex_;
  IndexEntries entries_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_SEGMENT_INDEX_H_
