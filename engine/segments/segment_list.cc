// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/segment_list.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {

SegmentEntry::SegmentEntry(const SegmentRef& segment)
    : generation(segment.generation),
      salt(segment.salt),
      base_lsn(segment.base_lsn),
      last_lsn(segment.last_lsn),
      end(segment.end),
      digest(segment.digest),
      file_bytes(segment.file_bytes),
      newest_unix_micros(segment.newest_unix_micros),
      has_cursors(segment.groups_begin != kSegmentHeaderBytes) {}

SegmentList::SegmentList(const std::string& directory)
    : path_prefix_(JoinPath(directory, std::string())) {}

size_t SegmentList::FirstAbove(uint64_t generation) const {
  const auto above =
      std::upper_bound(entries_.begin(), entries_.end(), generation,
                       [](uint64_t g, const SegmentEntry& entry) { return g < entry.generation; });
  return static_cast<size_t>(above - entries_.begin());
}

size_t SegmentList::CountUpTo(Lsn lsn) const {
  const auto above =
      std::upper_bound(entries_.begin(), entries_.end(), lsn,
                       [](Lsn l, const SegmentEntry& entry) { return l < entry.base_lsn; });
  return static_cast<size_t>(above - entries_.begin());
}

size_t SegmentList::Find(uint64_t generation) const {
  const size_t above = FirstAbove(generation);
  return above > 0 && entries_[above - 1].generation == generation ? above - 1 : size();
}

SegmentRef SegmentList::Ref(size_t i) const {
  const SegmentEntry& entry = entries_[i];
  SegmentRef ref;
  ref.path = absl::StrCat(path_prefix_, SegmentName(entry.generation));
  ref.generation = entry.generation;
  ref.salt = entry.salt;
  ref.base_lsn = entry.base_lsn;
  ref.last_lsn = entry.last_lsn;
  ref.end = entry.end;
  ref.digest = entry.digest;
  ref.file_bytes = entry.file_bytes;
  ref.newest_unix_micros = entry.newest_unix_micros;
  ref.groups_begin = entry.groups_begin();
  const auto index = indexes_.find(entry.generation);
  if (index != indexes_.end()) ref.index = index->second;
  return ref;
}

SegmentRef SegmentList::PinnedRef(size_t i) {
  SegmentRef ref = Ref(i);
  auto [pin, added] = pins_.try_emplace(ref.generation);
  if (!added) ref.pin = pin->second.lock();
  if (ref.pin == nullptr) pin->second = ref.pin = std::make_shared<const int>(0);
  if (pins_.size() < most_pins_) return ref;
  for (auto at = pins_.begin(); at != pins_.end();) {
    at = at->second.expired() ? pins_.erase(at) : std::next(at);
  }
  most_pins_ = std::max<size_t>(16, 2 * pins_.size());
  return ref;
}

std::weak_ptr<const int> SegmentList::Pins(size_t i) const {
  const auto pin = pins_.find(entries_[i].generation);
  return pin == pins_.end() ? std::weak_ptr<const int>() : pin->second;
}

std::vector<SegmentRef> SegmentList::Refs() const {
  std::vector<SegmentRef> refs;
  refs.reserve(size());
  for (size_t i = 0; i < size(); ++i) refs.push_back(Ref(i));
  return refs;
}

void SegmentList::PushBack(const SegmentEntry& segment) {
  entries_.push_back(segment);
  end_bytes_ += segment.end;
}

void SegmentList::PushBack(const SegmentRef& segment) {
  PushBack(SegmentEntry(segment));
  if (segment.index != nullptr) indexes_[segment.generation] = segment.index;
}

void SegmentList::PushFront(const SegmentEntry& segment) {
  entries_.push_front(segment);
  end_bytes_ += segment.end;
}

void SegmentList::PopFront() {
  Forget(entries_.front());
  entries_.pop_front();
}

void SegmentList::PopBack() {
  Forget(entries_.back());
  entries_.pop_back();
}

void SegmentList::Forget(const SegmentEntry& entry) {
  end_bytes_ -= entry.end;
  pins_.erase(entry.generation);
  indexes_.erase(entry.generation);
}

void SegmentList::EndLast(Lsn last_lsn, uint64_t end, uint64_t digest) {
  SegmentEntry& last = entries_.back();
  end_bytes_ += end - last.end;
  last.last_lsn = last_lsn;
  last.end = end;
  last.digest = digest;
}

}  // namespace seawall
