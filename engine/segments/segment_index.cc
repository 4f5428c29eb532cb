// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/segment_index.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace seawall {
namespace {

auto Above(const std::vector<IndexEntry>& groups, Lsn lsn) {
  return std::upper_bound(groups.begin(), groups.end(), lsn,
                          [](Lsn l, const IndexEntry& group) { return l < group.first_lsn; });
}

auto Above(const std::vector<RecordEntry>& records, Lsn lsn) {
  return std::upper_bound(records.begin(), records.end(), lsn,
                          [](Lsn l, const RecordEntry& record) { return l < record.lsn; });
}

}  // namespace

SegmentIndex::SegmentIndex(IndexEntries entries) : entries_(std::move(entries)) {}

void SegmentIndex::NoteGroup(const IndexEntry& group) {
  if (group.offset < next_group_offset_) return;
  next_group_offset_ = next_record_offset_ = group.offset + kIndexIntervalBytes;
  MutexLock lock(&mutex_);
  entries_.groups.push_back(group);
}

void SegmentIndex::NoteRecord(const RecordEntry& record) {
  if (record.offset < next_record_offset_) return;
  next_record_offset_ = record.offset + kIndexIntervalBytes;
  MutexLock lock(&mutex_);
  entries_.records.push_back(record);
}

std::optional<SegmentIndex::Span> SegmentIndex::Find(Lsn lsn) const {
  MutexLock lock(&mutex_);
  const auto group = Above(entries_.groups, lsn);
  const auto record = Above(entries_.records, lsn);
  if (group == entries_.groups.begin()) return std::nullopt;
  const IndexEntry& from = *std::prev(group);
  Span span{true, from.first_lsn, from.offset};
  if (record != entries_.records.begin() && std::prev(record)->lsn > from.first_lsn) {
    span = {false, std::prev(record)->lsn, std::prev(record)->offset};
  }
  if (group != entries_.groups.end()) span.end = group->offset;
  if (record != entries_.records.end()) span.end = std::min(span.end, record->offset);
  return span;
}

std::optional<IndexEntry> SegmentIndex::FindGroup(Lsn lsn) const {
  MutexLock lock(&mutex_);
  const auto above = Above(entries_.groups, lsn);
  if (above == entries_.groups.begin()) return std::nullopt;
  return *std::prev(above);
}

IndexEntries SegmentIndex::entries() const {
  MutexLock lock(&mutex_);
  return entries_;
}

}  // namespace seawall
