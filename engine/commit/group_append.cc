// SPDX-License-Identifier: Apache-2.0
// The half of GroupCommit that runs in appending threads: copying records to their place, and
// waiting for a place where there is none.
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/commit/group_commit.h"
#include "engine/format/format.h"

namespace seawall {

absl::StatusOr<LsnRange> GroupCommit::Append(absl::Span<const std::string_view> records,
                                             bool tried) {
  uint64_t bytes = 0;
  for (std::string_view record : records) bytes += EncodedRecordBytes(record.size());
  const uint32_t count = static_cast<uint32_t>(records.size());
  BufferRing::Reservation reserved;
  AppendTimer timer(fast_.reserve_nanos(), tried);
  {
    MutexLock lock(&rounds_.mutex);
    for (;;) {
      absl::Status status = rounds_.StatusLocked();
      if (!status.ok()) return status;
      const Room room =
          truncating_ ? Room::kNoBuffer : rounds_.ring.Reserve(bytes, count, &reserved);
      // A buffer that was full is the leader's to write, or the flusher's.
      const bool full = std::exchange(reserved.closed_buffer, false);
      if (full && !rounds_.leading) rounds_.flusher_work.NotifyOne();
      if (room == Room::kReserved) break;
      timer.Waits();
      status = MakeRoom(room, bytes, reserved.file_end);
      if (!status.ok()) return status;
    }
    if (reserved.opened_buffer && rounds_.ring.FlushTimeOf(*reserved.buffer) < rounds_.flush_at) {
      rounds_.flush_at = rounds_.ring.FlushTimeOf(*reserved.buffer);
      rounds_.flusher_work.NotifyOne();
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

absl::Status GroupCommit::MakeRoom(Room lacking, uint64_t bytes, uint64_t file_end) {
  // With no leader, this thread writes what is full. It may be the flusher, in a callback.
  if (!rounds_.leading && !truncating_ && rounds_.ring.has_full() &&
      (lacking != Room::kNoBuffer || options_.when_full == WhenFull::kWait)) {
    if (lacking == Room::kNoBuffer) ++buffer_full_waits_;
    rounds_.leading = true;
    rounds_.Round(/*all=*/false, Durability::kWritten);
    rounds_.HandOff(/*committers=*/0);
    rounds_.mutex.Lock();
    return absl::OkStatus();
  }
  if (lacking == Room::kNoBuffer) {
    if (options_.when_full == WhenFull::kFail && !truncating_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("all ", options_.buffer_count, " buffers of ", options_.buffer_bytes,
                       " bytes are full: the disk is slower than the callers"));
    }
    ++buffer_full_waits_;
    AwaitDrain();
    return absl::OkStatus();
  }
  // The store can do nothing before a buffer is drained; this thread may be the one to do that.
  if (lacking == Room::kNoNextSegment && rounds_.leading && store_->preallocator().AwaitsBegin()) {
    ++rollover_waits_;
    const Clock::time_point began = Clock::now();
    AwaitDrain();
    if (events_ != nullptr) {
      events_->Post(LogEventKind::kRolloverWait, NanosBetween(began, Clock::now()) / 1000,
                    rounds_.StatusLocked());
    }
    return absl::OkStatus();
  }
  return AwaitStore(lacking, bytes, file_end);
}

absl::Status GroupCommit::AwaitStore(Room lacking, uint64_t bytes, uint64_t file_end) {
  const uint64_t generation = rounds_.ring.generation();
  rounds_.mutex.Unlock();  // the store's thread needs it to report a failure
  absl::Status status = lacking == Room::kFileFull
                            ? store_->preallocator().WaitForSpace(generation, file_end)
                            : store_->preallocator().WaitForSpare(generation);
  rounds_.mutex.Lock();
  absl::Status latched = rounds_.StatusLocked();
  if (!latched.ok()) return latched;
  // A full disk, and a next segment that has its place on it (a recycled one, mostly).
  if (absl::IsResourceExhausted(status) && lacking == Room::kFileFull && !truncating_ &&
      rounds_.ring.RollOverEarly(generation, bytes)) {
    if (!rounds_.leading) rounds_.flusher_work.NotifyOne();
    return absl::OkStatus();
  }
  return status;
}

void GroupCommit::AwaitDrain() {
  ++rounds_.room_waiters;
  rounds_.room.Wait(&rounds_.mutex);
  --rounds_.room_waiters;
}

}  // namespace seawall
