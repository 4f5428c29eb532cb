// SPDX-License-Identifier: Apache-2.0
// The segments of a log, of which there may be many: 64 bytes each. What only a few of them need at
// a time is not kept for all: a path is made for whoever asks, a pin while somebody holds it, and
// an index is there only until it is in the file.
#ifndef SEAWALL_ENGINE_SEGMENTS_SEGMENT_LIST_H_
#define SEAWALL_ENGINE_SEGMENTS_SEGMENT_LIST_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/format/format.h"
#include "engine/segments/segment_index.h"
#include "engine/segments/segment_ref.h"

namespace seawall {

// What SegmentRef says of a segment, in less: see there.
struct SegmentEntry {
  uint64_t generation = 0;
  uint64_t salt = 0;
  Lsn base_lsn = 0;
  Lsn last_lsn = ~Lsn{0};
  uint64_t end = 0;
  uint64_t digest = 0;
  uint64_t file_bytes = 0;
  int64_t newest_unix_micros : 63;
  bool has_cursors : 1;  // the groups begin behind their area

  SegmentEntry() : newest_unix_micros(0), has_cursors(false) {}
  explicit SegmentEntry(const SegmentRef& segment);

  bool sealed() const { return last_lsn != ~Lsn{0}; }
  uint64_t groups_begin() const {
    return has_cursors ? kSegmentHeaderBytes + kCursorAreaBytes : kSegmentHeaderBytes;
  }
};
static_assert(sizeof(SegmentEntry) == 64, "there is one for each segment of a log");

// Oldest first: generations and LSNs grow. Not thread-safe.
class SegmentList {
 public:
  // All are in this directory.
  explicit SegmentList(const std::string& directory = std::string());

  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  const SegmentEntry& operator[](size_t i) const { return entries_[i]; }
  const SegmentEntry& front() const { return entries_.front(); }
  const SegmentEntry& back() const { return entries_.back(); }
  // The sum of what groups end at; 0 counts for one that is being written.
  uint64_t end_bytes() const { return end_bytes_; }

  // Where `generation` is, and where the first above it: size() if there is none.
  size_t Find(uint64_t generation) const;
  size_t FirstAbove(uint64_t generation) const;
  // How many begin at `lsn` or before it. The last of those holds it, if it is in the log.
  size_t CountUpTo(Lsn lsn) const;

  // With its path and its index, without a pin.
  SegmentRef Ref(size_t i) const;
  // With a pin, which all that are asked for at the same time share.
  SegmentRef PinnedRef(size_t i);
  // Expired if nobody has a pin of it. For one that leaves the list: nobody gets another one then.
  std::weak_ptr<const int> Pins(size_t i) const;
  // Of how many it is known that somebody had a pin of them; for tests.
  size_t tracked_pins() const { return pins_.size(); }
  // All of them, without pins.
  std::vector<SegmentRef> Refs() const;

  void PushBack(const SegmentEntry& segment);
  // With its index, if it has one; its pin and its path do not count.
  void PushBack(const SegmentRef& segment);
  void PushFront(const SegmentEntry& segment);
  void PopFront();
  void PopBack();
  // Says how the last one ends, or that it ends somewhere else.
  void EndLast(Lsn last_lsn, uint64_t end, uint64_t digest);
  void SetFileBytes(size_t i, uint64_t bytes) { entries_[i].file_bytes = bytes; }
  void SetNewest(size_t i, int64_t unix_micros) { entries_[i].newest_unix_micros = unix_micros; }
  void DropIndex(uint64_t generation) { indexes_.erase(generation); }

 private:
  void Forget(const SegmentEntry& entry);

  std::string path_prefix_;  // a path is made for each record that is read at random
  std::deque<SegmentEntry> entries_;
  uint64_t end_bytes_ = 0;
  // By generation. Pins that nobody holds any more are dropped when the map has doubled.
  std::map<uint64_t, std::weak_ptr<const int>> pins_;
  size_t most_pins_ = 16;
  std::map<uint64_t, std::shared_ptr<const SegmentIndex>> indexes_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_SEGMENT_LIST_H_
