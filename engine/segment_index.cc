#include "engine/segment_index.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace seawall {

SegmentIndex::SegmentIndex(std::vector<IndexEntry> entries) : entries_(std::move(entries)) {
  next_offset_ = entries_.empty() ? 0 : entries_.back().offset + kIndexIntervalBytes;
}

void SegmentIndex::Note(const IndexEntry& group) {
  if (group.offset < next_offset_) return;
  next_offset_ = group.offset + kIndexIntervalBytes;
  MutexLock lock(&mutex_);
  entries_.push_back(group);
}

std::optional<SegmentIndex::Span> SegmentIndex::Find(Lsn lsn) const {
  MutexLock lock(&mutex_);
  const auto above =
      std::upper_bound(entries_.begin(), entries_.end(), lsn,
                       [](Lsn l, const IndexEntry& entry) { return l < entry.first_lsn; });
  if (above == entries_.begin()) return std::nullopt;
  Span span;
  span.from = *std::prev(above);
  if (above != entries_.end()) span.end = above->offset;
  return span;
}

std::vector<IndexEntry> SegmentIndex::entries() const {
  MutexLock lock(&mutex_);
  return entries_;
}

}  // namespace seawall
