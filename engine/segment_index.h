// Where the groups of a segment are: sparse, so that any record of it is found with one read. The
// writer collects it; a sealed segment has it in its file (index_file.h).
#ifndef SEAWALL_ENGINE_SEGMENT_INDEX_H_
#define SEAWALL_ENGINE_SEGMENT_INDEX_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/mutex.h"
#include "seawall/types.h"

namespace seawall {

// A group has an entry if it begins so far behind the last one that has. So a record is at most
// this much, and one group, behind the entry that leads to it.
inline constexpr uint64_t kIndexIntervalBytes = uint64_t{32} << 10;

struct IndexEntry {
  Lsn first_lsn = 0;
  uint64_t offset = 0;
  uint64_t digest = 0;  // of the groups before

  friend bool operator==(const IndexEntry& a, const IndexEntry& b) {
    return a.first_lsn == b.first_lsn && a.offset == b.offset && a.digest == b.digest;
  }
};

// Thread-safe. One thread at a time adds to it; it grows as the segment does.
class SegmentIndex {
 public:
  SegmentIndex() = default;
  explicit SegmentIndex(std::vector<IndexEntry> entries);
  SegmentIndex(const SegmentIndex&) = delete;
  SegmentIndex& operator=(const SegmentIndex&) = delete;

  // The next group: takes a note of it if it is far enough behind the last one.
  void Note(const IndexEntry& group);

  struct Span {
    IndexEntry from;
    uint64_t end = ~uint64_t{0};  // the next entry's offset
  };
  // The groups of which one holds `lsn`, if it is in the segment; none if it is below all.
  std::optional<Span> Find(Lsn lsn) const;

  std::vector<IndexEntry> entries() const;

 private:
  // Of the one that adds: the next entry is for a group from here on.
  uint64_t next_offset_ = 0;

  mutable Mutex mutex_;
  std::vector<IndexEntry> entries_ ABSL_GUARDED_BY(mutex_);  // ascending
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENT_INDEX_H_
