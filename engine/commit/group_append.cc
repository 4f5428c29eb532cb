// SPDX-License-Identifier: Apache-2.0
// The half of GroupCommit that runs in appending threads: finding a place for records, and waiting
// for one where there is none.
#include <algorithm>
#include <utility>

#include "absl/base/attributes.h"
#include "absl/strings/str_cat.h"
#include "engine/commit/group_commit.h"
#include "engine/format/format.h"

namespace seawall {
Lsn GroupCommit::AppendedLocked() const {
  const GroupBuffer* open = open_.load(std::memory_order_relaxed);
  return open != nullptr ? open->last_lsn() : closed_lsn_;
}

Lsn GroupCommit::appended_lsn() const {
  MutexLock lock(&mutex_);
  return AppendedLocked();
}

Lsn GroupCommit::TryAppend(std::string_view record) {
  return AppendSampler::Tick() ? TryAppendTimed(record) : TryAppendUntimed(record);
}

ABSL_ATTRIBUTE_ALWAYS_INLINE inline Lsn GroupCommit::TryAppendUntimed(std::string_view record) {
  GroupBuffer* buffer = open_.load(std::memory_order_acquire);
  GroupBuffer::Place place;
  if (buffer == nullptr) return 0;
  if (!buffer->TryReserveUnmarked(EncodedRecordBytes(record.size()), &place)) {
    return TryAppendMarked(buffer, record);
  }
  EncodeRecord(record, place.first_lsn, 0, place.salt, place.to);
  buffer->Done(1);
  return place.first_lsn;
}

// Apart, so that all the others have nothing to keep for it.
Lsn GroupCommit::TryAppendMarked(GroupBuffer* buffer, std::string_view record) {
  GroupBuffer::Place place;
  if (!buffer->TryReserve(EncodedRecordBytes(record.size()), 1, &place)) return 0;
  buffer->Mark(place.to, EncodedRecordBytes(record.size()), place.first_lsn);
  EncodeRecord(record, place.first_lsn, 0, place.salt, place.to);
  buffer->Done(1);
  return place.first_lsn;
}

// Apart, so that all the others carry nothing of it but the tick.
Lsn GroupCommit::TryAppendTimed(std::string_view record) {
  if (!AppendSampler::Draw()) return TryAppendUntimed(record);
  const Clock::time_point began = Clock::now();
  const Lsn lsn = TryAppendUntimed(record);
  if (lsn == 0) {
    AppendSampler::PassOn();
  } else {
    reserve_.Add(NanosBetween(began, Clock::now()), AppendSampler::kMean);
  }
  return lsn;
}

absl::StatusOr<LsnRange> GroupCommit::Append(absl::Span<const std::string_view> records,
                                             bool tried) {
  uint64_t bytes = 0;
  for (std::string_view record : records) bytes += EncodedRecordBytes(record.size());
  const uint32_t count = static_cast<uint32_t>(records.size());
  Reservation reserved;
  AppendTimer timer(&reserve_, tried);
  {
    MutexLock lock(&mutex_);
    for (;;) {
      absl::Status status = StatusLocked();
      if (!status.ok()) return status;
      Room room = Reserve(bytes, count, &reserved);
      if (room == Room::kReserved) break;
      timer.Waits();
      status = MakeRoom(room, bytes, reserved.file_end);
      if (!status.ok()) return status;
    }
  }
  const Lsn last = reserved.place.first_lsn + count - 1;
  Lsn lsn = reserved.place.first_lsn;
  char* to = reserved.place.to;
  for (std::string_view record : records) {
    EncodeRecord(record, lsn, lsn == last ? 0 : kRecordBatchContinues, reserved.place.salt, to);
    reserved.buffer->Mark(to, EncodedRecordBytes(record.size()), lsn);
    to += EncodedRecordBytes(record.size());
    ++lsn;
  }
  reserved.buffer->Done(count);
  timer.Done();
  return LsnRange{reserved.place.first_lsn, last};
}

bool GroupCommit::FitsGroup(uint64_t bytes, uint32_t records) const {
  const GroupBuffer* open = open_.load(std::memory_order_relaxed);
  const uint64_t end = open->end() + bytes;
  return end - open->group().head <= options_.buffer_bytes &&
         open->group().origin + end <= groups_limit_ &&
         open->record_count() + records <= kMaxBatchRecords;
}

// Where reservations for a group end, as long as the file is as long as it is now.
uint64_t GroupCommit::Limit(const GroupBuffer::Group& group) const {
  return std::min(group.head + options_.buffer_bytes,
                  std::min(store_->allocated_bytes(), groups_limit_) - group.origin);
}

void GroupCommit::NoteFill(GroupBuffer* buffer) {
  const uint64_t origin = buffer->group().origin;
  const uint64_t next = store_->NoteFill(origin + buffer->end());
  buffer->SetLimit(std::min(Limit(buffer->group()), next - origin));
}

GroupCommit::Room GroupCommit::Reserve(uint64_t bytes, uint32_t records, Reservation* reservation) {
  if (truncating_) return Room::kNoBuffer;
  GroupBuffer* open = open_.load(std::memory_order_relaxed);
  while (open != nullptr) {
    if (open->TryReserve(bytes, records, &reservation->place)) {
      reservation->buffer = open;
      NoteFill(open);
      return Room::kReserved;
    }
    // It grows all the time, by those that reserve without the lock.
    const uint64_t file_end = open->group().origin + open->end() + bytes;
    if (!FitsGroup(bytes, records)) {
      CloseBuffer();
      if (!leading_) flusher_work_.NotifyOne();
      break;
    }
    if (file_end > store_->allocated_bytes()) {
      reservation->file_end = AlignUp(file_end, options_.group_alignment_bytes);
      return Room::kNoSpace;
    }
    open->SetLimit(Limit(open->group()));
  }
  return OpenBuffer(bytes, records, reservation);
}

// Opens the next buffer for a group that begins with this reservation, in the next segment if it
// does not fit this one.
GroupCommit::Room GroupCommit::OpenBuffer(uint64_t bytes, uint32_t records,
                                          Reservation* reservation) {
  if (opened_ - drained_ == buffers_.size()) return Room::kNoBuffer;
  auto file_end = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return AlignUp(next_offset_ + kGroupHeaderBytes + bytes, options_.group_alignment_bytes);
  };
  // What is too large for that has a segment to itself, and no index: it is one group.
  const bool fits = file_end() <= groups_limit_ ||
                    (next_offset_ == GroupsBegin() && file_end() <= options_.segment_bytes);
  if (!fits || roll_over_) {
    std::shared_ptr<WritableSegment> spare = store_->TakeSpare();
    if (spare == nullptr) return Room::kNoSpare;
    segment_ = std::move(spare);
    roll_over_ = false;
    next_offset_ = GroupsBegin();
    begins_segment_ = true;
  }
  if (file_end() > store_->allocated_bytes()) {
    reservation->file_end = file_end();
    return Room::kNoSpace;
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
  reservation->place = buffer->Open(std::move(group), limit, bytes, records);
  open_.store(buffer, std::memory_order_release);
  NoteFill(buffer);
  if (flush_at_ > FlushTime(*buffer)) {
    flush_at_ = FlushTime(*buffer);
    flusher_work_.NotifyOne();
  }
  return Room::kReserved;
}

// When what is in the buffer is due for stable storage.
GroupCommit::Clock::time_point GroupCommit::FlushTime(const GroupBuffer& buffer) const {
  if (options_.flush_interval_micros == 0) return Clock::time_point::max();
  return buffer.group().begun_at + std::chrono::microseconds(options_.flush_interval_micros);
}

void GroupCommit::CloseBuffer() {
  GroupBuffer* open = open_.load(std::memory_order_relaxed);
  if (open == nullptr) return;
  open_.store(nullptr, std::memory_order_relaxed);
  open->Close();
  closed_lsn_ = open->last_lsn();
  next_offset_ = AlignUp(open->group().origin + open->end(), options_.group_alignment_bytes);
  stats_.appended_payload_bytes += open->fill().payload_bytes;
  stats_.appended_records += open->record_count();
}

absl::Status GroupCommit::MakeRoom(Room lacking, uint64_t bytes, uint64_t file_end) {
  // With no leader, this thread writes what is full. It may be the flusher, in a callback.
  if (!leading_ && !truncating_ && HasFullBuffers() &&
      (lacking != Room::kNoBuffer || options_.when_full == WhenFull::kWait)) {
    if (lacking == Room::kNoBuffer) ++stats_.buffer_full_waits;
    leading_ = true;
    Round(/*all=*/false, Durability::kWritten);
    HandOver(/*committers=*/0);
    mutex_.Lock();
    return absl::OkStatus();
  }
  if (lacking == Room::kNoBuffer) {
    if (options_.when_full == WhenFull::kFail && !truncating_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("all ", options_.buffer_count, " buffers of ", options_.buffer_bytes,
                       " bytes are full: the disk is slower than the callers"));
    }
    ++stats_.buffer_full_waits;
    AwaitDrain();
    return absl::OkStatus();
  }
  // The store can do nothing before a buffer is drained; this thread may be the one to do that.
  if (lacking == Room::kNoSpare && leading_ && store_->AwaitsBegin()) {
    ++stats_.rollover_waits;
    const Clock::time_point began = Clock::now();
    AwaitDrain();
    if (events_ != nullptr) {
      events_->Post(LogEventKind::kRolloverWait, NanosBetween(began, Clock::now()) / 1000,
                    StatusLocked());
    }
    return absl::OkStatus();
  }
  return AwaitStore(lacking, bytes, file_end);
}

absl::Status GroupCommit::AwaitStore(Room lacking, uint64_t bytes, uint64_t file_end) {
  const uint64_t generation = segment_->header.generation;
  mutex_.Unlock();
  absl::Status status = lacking == Room::kNoSpace ? store_->WaitForSpace(generation, file_end)
                                                  : store_->WaitForSpare(generation);
  mutex_.Lock();
  absl::Status latched = StatusLocked();
  if (!latched.ok()) return latched;
  // A full disk, and a spare that has its place on it (a recycled one, mostly): roll over early,
  // unless the segment was not even begun.
  const uint64_t spare_end =
      AlignUp(GroupsBegin() + kGroupHeaderBytes + bytes, options_.group_alignment_bytes);
  if (absl::IsResourceExhausted(status) && lacking == Room::kNoSpace && !truncating_ &&
      !begins_segment_ && segment_->header.generation == generation &&
      store_->HasSpare(spare_end)) {
    CloseBuffer();
    if (!leading_) flusher_work_.NotifyOne();
    roll_over_ = true;
    return absl::OkStatus();
  }
  return status;
}

void GroupCommit::AwaitDrain() {
  ++room_waiters_;
  room_.Wait(&mutex_);
  --room_waiters_;
}

}  // namespace seawall
