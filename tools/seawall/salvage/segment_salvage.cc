// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/salvage/segment_salvage.h"

#include <algorithm>
#include <utility>

namespace seawall {
namespace {

void FlipBit(std::string* bytes, uint64_t bit) {
  char& byte = (*bytes)[bit / 8];
  byte = static_cast<char>(byte ^ (1 << (bit % 8)));
}

}  // namespace

SegmentSalvage::SegmentSalvage(const SalvageSource& source, Lsn first_lsn, std::string* bytes,
                               std::function<void(const SalvagedRecord&)> on_record,
                               std::vector<Finding>* damage)
    : source_(source),
      bytes_(bytes),
      on_record_(std::move(on_record)),
      damage_(damage),
      first_lsn_(first_lsn),
      limit_(bytes->size()),
      next_lsn_(first_lsn),
      durable_lsn_(source.durable_lsn) {
  const size_t last = bytes->find_last_not_of('\0');
  nonzero_end_ = last == std::string::npos ? 0 : last + 1;
}

void SegmentSalvage::Run() {
  uint64_t at = kSegmentHeaderBytes;
  while (at < nonzero_end_ && next_lsn_ <= source_.last_lsn) {
    GroupHeader group;
    if (ReadGroup(at, &group) || CorrectGroup(at, &group)) {
      TakeGroup(at, group);
      at += group.group_bytes;
      continue;
    }
    const uint64_t next = FindGroup(at + kGroupUnitBytes, &group);
    const bool more = next < limit_;
    TakeRegion(at, next, more ? group.first_lsn - 1 : source_.last_lsn);
    at = next;
  }
  if (source_.complete && next_lsn_ <= source_.last_lsn) {
    Lose(std::min(at, limit_), source_.last_lsn, "nothing of them is left in the file");
  }
}

std::string_view SegmentSalvage::View(uint64_t from, uint64_t to) const {
  return std::string_view(*bytes_).substr(from, to - from);
}

// A group here that may come next.
bool SegmentSalvage::ReadGroup(uint64_t at, GroupHeader* group) const {
  uint64_t checksum;
  return at + kGroupHeaderBytes <= limit_ &&
         DecodeGroupHeader(bytes_->data() + at, source_.salt, at, group, &checksum) &&
         group->last_lsn() >= next_lsn_;
}

bool SegmentSalvage::CorrectGroup(uint64_t at, GroupHeader* group) {
  if (at + kGroupHeaderBytes > limit_) return false;
  for (uint64_t bit = 8 * at; bit < 8 * (at + kGroupHeaderBytes); ++bit) {
    FlipBit(bytes_, bit);
    if (ReadGroup(at, group)) {
      damage_->push_back({"bit_corrected",
                          source_.path,
                          bit / 8,
                          {group->first_lsn, group->last_lsn()},
                          "one bit of the header of these records' group",
                          false,
                          true});
      return true;
    }
    FlipBit(bytes_, bit);
  }
  return false;
}

// The next group from `from` on: its offset, or limit_.
uint64_t SegmentSalvage::FindGroup(uint64_t from, GroupHeader* group) const {
  for (uint64_t at = from; at + kGroupHeaderBytes <= limit_ && at < nonzero_end_;
       at += kGroupUnitBytes) {
    if (HasGroupMagic(bytes_->data() + at) && ReadGroup(at, group)) return at;
  }
  return limit_;
}

void SegmentSalvage::TakeGroup(uint64_t at, const GroupHeader& group) {
  durable_lsn_ = std::max(durable_lsn_, group.durable_lsn);
  // Records before it that no bytes are left of.
  if (group.first_lsn > next_lsn_) Lose(at, group.first_lsn - 1, "their group is not there");
  const Lsn wanted = next_lsn_;
  next_lsn_ = group.first_lsn;
  // What a damaged (or shortened) file has not got is lost as what is damaged.
  const uint64_t end = std::min(at + group.group_bytes, limit_);
  TakeRecords(at + kGroupHeaderBytes, end, group.last_lsn(), true, true);
  next_lsn_ = std::max(next_lsn_, wanted);
}

// [from, to) is no group: its header is damaged, or what stands here never was one.
void SegmentSalvage::TakeRegion(uint64_t from, uint64_t to, Lsn last_lsn) {
  if (last_lsn < next_lsn_) return;
  TakeRecords(from, to, last_lsn, false, false);
  if (to < limit_) Lose(from, last_lsn, "no valid group header, nor any record behind it");
}

void SegmentSalvage::TakeRecords(uint64_t at, uint64_t end, Lsn last_lsn, bool in_group,
                                 bool at_start) {
  bool begins_anew = at_start;
  while (next_lsn_ <= last_lsn) {
    Record record;
    if (IsRecord(at, end, &record) || (in_group && CorrectRecord(at, end, &record))) {
      Emit(record, begins_anew);
      begins_anew = false;
      at += EncodedRecordBytes(record.payload.size());
      continue;
    }
    Place place;
    const bool more = Resynchronise(at + 1, end, last_lsn, &place);
    // Behind the last group it is not known that there ever was a record.
    if (!more && !in_group) return;
    // If the record that is lost is as long as it says, then its flags are as good.
    Record lost;
    const bool stated = in_group && at < end && FindRecord(View(at, end), source_.salt, &lost) &&
                        more && place.lsn == next_lsn_ + 1 &&
                        place.at == at + EncodedRecordBytes(lost.payload.size());
    const Lsn lost_to = more ? place.lsn - 1 : last_lsn;
    if (lost_to >= next_lsn_) Lose(at, lost_to, "no record of this place verifies");
    if (!more) return;
    begins_anew = stated && !lost.batch_continues;
    at = place.at;
  }
}

bool SegmentSalvage::IsRecord(uint64_t at, uint64_t end, Record* record) const {
  return at < end && FindRecord(View(at, end), source_.salt, record) && record->lsn == next_lsn_;
}

bool SegmentSalvage::CorrectRecord(uint64_t at, uint64_t end, Record* record) {
  if (at + kRecordHeaderBytes > end) return false;
  uint64_t bytes = kRecordHeaderBytes;
  Record stated;
  if (FindRecord(View(at, end), source_.salt, &stated) &&
      stated.payload.size() <= kMostCorrectedBytes) {
    const uint64_t hashed = 8 * stated.payload.size() * stated.payload.size();
    if (hashed <= correction_bytes_left_) {
      correction_bytes_left_ -= hashed;
      bytes += stated.payload.size();
    }
  }
  for (uint64_t bit = 8 * at; bit < 8 * (at + bytes); ++bit) {
    FlipBit(bytes_, bit);
    if (IsRecord(at, end, record)) {
      damage_->push_back({"bit_corrected",
                          source_.path,
                          bit / 8,
                          {record->lsn, record->lsn},
                          bit / 8 < at + kRecordHeaderBytes ? "one bit of the record's header"
                                                            : "one bit of the record's payload",
                          false,
                          true});
      return true;
    }
    FlipBit(bytes_, bit);
  }
  return false;
}

// The next place from `from` on that begins with a record of [next_lsn_, last_lsn].
bool SegmentSalvage::Resynchronise(uint64_t from, uint64_t end, Lsn last_lsn, Place* place) const {
  // A number that is as good as random falls in here once in 2^64 / range: there cannot be more
  // records than their headers take.
  const Lsn most = next_lsn_ + limit_ / kRecordHeaderBytes;
  const Lsn last = std::min(last_lsn, most);
  for (uint64_t at = from; at + kRecordHeaderBytes <= end && at < nonzero_end_; ++at) {
    Record record;
    if (FindRecord(View(at, end), source_.salt, &record) && record.lsn >= next_lsn_ &&
        record.lsn <= last) {
      *place = {at, record.lsn};
      return true;
    }
  }
  return false;
}

// What is below the first LSN that is wanted was given by a file before.
void SegmentSalvage::Emit(const Record& record, bool begins_anew) {
  next_lsn_ = record.lsn + 1;
  if (record.lsn >= first_lsn_ && record.lsn <= source_.last_lsn) {
    on_record_({record, begins_anew || record.lsn == source_.base_lsn});
  }
}

void SegmentSalvage::Lose(uint64_t at, Lsn last_lsn, const std::string& what) {
  const Lsn last = std::min(last_lsn, source_.last_lsn);
  const Lsn first = std::max(next_lsn_, first_lsn_);
  if (last >= first)
    damage_->push_back({"unreadable", source_.path, at, {first, last}, what, true});
  next_lsn_ = std::max(next_lsn_, last_lsn + 1);
}

}  // namespace seawall
