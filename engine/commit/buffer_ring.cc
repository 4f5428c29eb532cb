// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/buffer_ring.h"

#include <algorithm>
#include <utility>

#include "engine/commit/group_writer.h"
#include "engine/format/format.h"
#include "engine/segments/index_file.h"

namespace seawall {

BufferRing::BufferRing(const Options& options, std::vector<GroupBuffer> buffers,
                       Preallocator* preallocator, FastAppend* fast)
    : options_(options),
      write_unit_(WriteUnit(options)),
      groups_limit_(options.segment_bytes - IndexReserveBytes(options.segment_bytes)),
      preallocator_(preallocator),
      fast_(fast),
      buffers_(std::move(buffers)) {}

void BufferRing::GoOnAt(std::shared_ptr<WritableSegment> segment, uint64_t end, Lsn last_lsn) {
  next_offset_ = end;
  begins_segment_ = false;
  roll_over_ = false;
  segment_ = std::move(segment);
  closed_lsn_ = last_lsn;
}

BufferRing::Room BufferRing::Reserve(uint64_t bytes, uint32_t records, Reservation* reservation) {
  GroupBuffer* open = fast_->open();
  while (open != nullptr) {
    if (open->TryReserve(bytes, records, &reservation->place)) {
      reservation->buffer = open;
      NoteFill(open);
      return Room::kReserved;
    }
    // It grows all the time, by those that reserve without the mutex.
    const uint64_t file_end = open->group().origin + open->end() + bytes;
    if (!Fits(*open, bytes, records)) {
      CloseOpen();
      reservation->closed_buffer = true;
      break;
    }
    if (file_end > preallocator_->allocated_bytes()) {
      reservation->file_end = AlignUp(file_end, options_.group_alignment_bytes);
      return Room::kFileFull;
    }
    open->SetLimit(Limit(open->group()));
  }
  return OpenNext(bytes, records, reservation);
}

// Opens the next buffer for a group that begins with this reservation, in the next segment if it
// does not fit this one.
BufferRing::Room BufferRing::OpenNext(uint64_t bytes, uint32_t records, Reservation* reservation) {
  if (opened_ - drained_ == buffers_.size()) return Room::kNoBuffer;
  const auto file_end = [&] {
    return AlignUp(next_offset_ + kGroupHeaderBytes + bytes, options_.group_alignment_bytes);
  };
  // What is too large for that has a segment to itself, and no index: it is one group.
  const bool fits = file_end() <= groups_limit_ ||
                    (next_offset_ == GroupsBegin() && file_end() <= options_.segment_bytes);
  if (!fits || roll_over_) {
    std::shared_ptr<WritableSegment> next = preallocator_->TakeSpare();
    if (next == nullptr) return Room::kNoNextSegment;
    segment_ = std::move(next);
    roll_over_ = false;
    next_offset_ = GroupsBegin();
    begins_segment_ = true;
  }
  if (file_end() > preallocator_->allocated_bytes()) {
    reservation->file_end = file_end();
    return Room::kFileFull;
  }
  GroupBuffer::Group group;
  group.segment = segment_;
  group.begins_segment = std::exchange(begins_segment_, false);
  // The header of the segment is written with its first group.
  group.origin = group.begins_segment ? 0 : AlignDown(next_offset_, write_unit_);
  group.head = next_offset_ - group.origin;
  group.first_lsn = closed_lsn_ + 1;
  if (options_.flush_interval_micros > 0) group.begun_at = Clock::now();
  GroupBuffer* buffer = &buffers_[opened_++ % buffers_.size()];
  const uint64_t limit = Limit(group);
  reservation->buffer = buffer;
  reservation->opened_buffer = true;
  reservation->place = buffer->Open(std::move(group), limit, bytes, records);
  fast_->Publish(buffer);
  NoteFill(buffer);
  return Room::kReserved;
}

bool BufferRing::RollOverEarly(uint64_t generation, uint64_t bytes) {
  const uint64_t next_end =
      AlignUp(GroupsBegin() + kGroupHeaderBytes + bytes, options_.group_alignment_bytes);
  // Not if the full segment was not even begun.
  if (begins_segment_ || segment_->header.generation != generation ||
      !preallocator_->HasSpare(next_end)) {
    return false;
  }
  CloseOpen();
  roll_over_ = true;
  return true;
}

bool BufferRing::Fits(const GroupBuffer& open, uint64_t bytes, uint32_t records) const {
  const uint64_t end = open.end() + bytes;
  return end - open.group().head <= options_.buffer_bytes &&
         open.group().origin + end <= groups_limit_ &&
         open.record_count() + records <= kMaxBatchRecords;
}

uint64_t BufferRing::Limit(const GroupBuffer::Group& group) const {
  return std::min(group.head + options_.buffer_bytes,
                  std::min(preallocator_->allocated_bytes(), groups_limit_) - group.origin);
}

void BufferRing::NoteFill(GroupBuffer* buffer) {
  const uint64_t origin = buffer->group().origin;
  const uint64_t next = preallocator_->NoteFill(origin + buffer->end());
  buffer->SetLimit(std::min(Limit(buffer->group()), next - origin));
}

void BufferRing::CloseOpen() {
  GroupBuffer* open = fast_->open();
  if (open == nullptr) return;
  fast_->Withdraw();
  open->Close();
  closed_lsn_ = open->last_lsn();
  next_offset_ = AlignUp(open->group().origin + open->end(), options_.group_alignment_bytes);
  appended_payload_bytes_ += open->fill().payload_bytes;
  appended_records_ += open->record_count();
}

void BufferRing::PopFront() {
  front()->Drained();
  ++drained_;
}

BufferRing::Clock::time_point BufferRing::FlushTimeOf(const GroupBuffer& buffer) const {
  if (options_.flush_interval_micros == 0) return Clock::time_point::max();
  return buffer.group().begun_at + std::chrono::microseconds(options_.flush_interval_micros);
}

void BufferRing::AddStats(Stats* stats) const {
  stats->appended_lsn = closed_lsn_;
  stats->appended_records = appended_records_;
  stats->appended_payload_bytes = appended_payload_bytes_;
  if (const GroupBuffer* open = fast_->open(); open != nullptr) {
    // One load for all three: it grows beside the mutex.
    const GroupBuffer::Fill fill = open->fill();
    stats->appended_lsn = open->group().first_lsn + fill.records - 1;
    stats->appended_records += fill.records;
    stats->appended_payload_bytes += fill.payload_bytes;
  }
}

}  // namespace seawall
