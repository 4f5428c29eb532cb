// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/commit_rounds.h"

#include <utility>

namespace seawall {

CommitRounds::CommitRounds(const Options& options, std::vector<GroupBuffer> buffers,
                           FastAppend* fast, SegmentStore* store, Watermarks* marks,
                           EventDispatcher* events)
    : ring(options, std::move(buffers), &store->preallocator(), fast),
      io(options, &store->preallocator(), marks, events),
      cursor_holds(&store->retention()),
      writes_are_durable_(WritesAreDurable(options)),
      preallocator_(&store->preallocator()),
      marks_(marks),
      events_(events) {}

absl::Status CommitRounds::StatusLocked() const {
  if (marks_->failed()) return marks_->failure();
  return closed ? Closed() : absl::OkStatus();
}

inline bool CommitRounds::Satisfied(const Waiter& waiter) const {
  if (waiter.cursor_change != 0) return waiter.cursor_change <= cursors.durable_changes();
  return waiter.lsn != Waiter::kNever && Reached(waiter.lsn, waiter.level);
}

void CommitRounds::Fail(const absl::Status& status) {
  if (marks_->failed()) return;
  ring.CloseOpen();  // for those that reserve without the lock
  marks_->Fail(status);
  if (events_ != nullptr) events_->Post(LogEventKind::kFailed, 0, StatusLocked());
  room.NotifyAll();
  flusher_work.NotifyOne();
}

// ---- The lead

Waiter::State CommitRounds::AwaitTurn(Waiter* waiter) {
  if (!leading) {
    leading = true;
    mutex.Unlock();
    return Waiter::kLead;
  }
  std::atomic<uint32_t>* const complete = queue.Join(waiter);
  mutex.Unlock();
  if (complete != nullptr) FutexWake(complete);
  return waiter->Park();
}

bool CommitRounds::LeadFor(const Waiter& waiter) {
  const bool durable = waiter.level == Durability::kDurable;
  mutex.Lock();
  if (durable) queue.Delay(&mutex, *marks_);
  Round(/*all=*/true, waiter.level);
  // Not after HandOff(): a truncation may have given the LSN to another record by then.
  const bool satisfied = Satisfied(waiter);
  if (satisfied) io.NoteQueued(waiter);
  HandOff(/*committers=*/durable ? 1 : 0);
  return satisfied;
}

absl::Status CommitRounds::TakeLead() {
  absl::Status status = StatusLocked();
  if (!status.ok()) return status;
  Waiter turn;
  turn.lsn = Waiter::kNever;
  const Waiter::State state = AwaitTurn(&turn);
  mutex.Lock();
  return state == Waiter::kLead ? absl::OkStatus() : StatusLocked();
}

bool CommitRounds::WantsSync(Durability level) const {
  if (marks_->durable_lsn() == marks_->written_lsn() && !cursors.pending()) return false;
  return SyncIsAwaited(level) || (flush_at != Clock::time_point::max() && Clock::now() >= flush_at);
}

bool CommitRounds::SyncIsAwaited(Durability level) const {
  return level == Durability::kDurable || queue.durable_waiters() > 0 ||
         callbacks.WantSync(marks_->durable_lsn());
}

void CommitRounds::Round(bool all, Durability level) {
  const Clock::time_point start = Clock::now();
  io.BeginRound(start);
  if (all) ring.CloseOpen();
  queue.BeginRound(ring.closed_lsn());
  // Those that are closed meanwhile are the next round's.
  for (uint64_t left = ring.full(); left > 0 && !marks_->failed(); --left) {
    const GroupBuffer::Group& group = ring.front()->group();
    // A segment is begun only when all of the one before is durable: then its header proves that.
    if (group.begins_segment && marks_->durable_lsn() + 1 < group.first_lsn && !Sync()) return;
    if (!Drain(level)) return;
  }
  if (marks_->failed() || !WantsSync(level)) return;
  // The table before the sync that makes it durable, not after.
  if (cursors.dirty() && !WriteCursors()) return;
  if (!Sync()) return;
  queue.NoteRoundTime(Clock::now() - start);
}

bool CommitRounds::Drain(Durability level) {
  GroupBuffer* const buffer = ring.front();
  const bool with_cursors = buffer->group().begins_segment && cursors.enabled();
  CursorTable table;
  if (with_cursors) table = cursors.Take(kCursorSlots);
  absl::Status status =
      io.Write(&mutex, buffer, with_cursors ? &table : nullptr, SyncIsAwaited(level));
  if (!status.ok()) Fail(status);
  // A failure elsewhere, meanwhile, holds for this group as well.
  if (marks_->failed()) return false;
  const Lsn last_lsn = buffer->last_lsn();
  ring.PopFront();
  if (room_waiters > 0) room.NotifyAll();
  Advance(last_lsn, writes_are_durable_);
  return true;
}

bool CommitRounds::WriteCursors() {
  absl::Status status = io.WriteCursors(&mutex, cursors.Take(1));
  if (!status.ok()) Fail(status);
  return !marks_->failed();
}

bool CommitRounds::Sync() {
  const Lsn written = marks_->written_lsn();
  absl::Status status = io.Sync(&mutex);
  if (!status.ok()) Fail(status);
  if (marks_->failed()) return false;
  const bool with_cursors = cursors.pending();
  if (with_cursors) cursors.Synced();
  Advance(written, /*durable=*/true);
  // Only now: what a cursor held may be trimmed when its move is durable, not before.
  if (with_cursors) cursor_holds.Update(cursors);
  return true;
}

// Moves the written watermark to `written`, and, if `durable`, the durable one too.
void CommitRounds::Advance(Lsn written, bool durable) {
  const bool entered = io.Advance(written, durable, cursors.durable_sequence());
  if (!durable) return;
  if (entered) preallocator_->NoteDurable();
  if (flush_at == Clock::time_point::max()) return;
  flush_at = ring.empty() ? Clock::time_point::max() : ring.FlushTimeOf(*ring.front());
}

void CommitRounds::HandOff(uint32_t committers) {
  const bool failed = marks_->failed();
  const Lsn appended = ring.last_lsn();
  const auto state_of = [&](Waiter* waiter, bool has_leader) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    if (Satisfied(*waiter)) {
      io.NoteReached(waiter);
      return Waiter::kReached;
    }
    if (failed) return Waiter::kFailed;
    if (waiter->lsn != Waiter::kNever && waiter->lsn > appended) return Waiter::kCut;
    return has_leader ? Waiter::kParked : Waiter::kLead;
  };
  CommitQueue::Wakes wakes = queue.Release(committers, state_of);
  leading = wakes.has_leader();
  if (!leading) {
    // Buffers that were filled meanwhile are the flusher's to write; but it may be one of those
    // that wait for room, in a callback.
    if (room_waiters > 0 && ring.has_full()) room.NotifyAll();
    if (FlushDue() || flush_at != Clock::time_point::max()) flusher_work.NotifyOne();
  }
  if (callbacks.HasDue(marks_->durable_lsn())) flusher_work.NotifyOne();
  WatermarkWatch& watch = marks_->watch();
  const bool tell_written = watch.Take(Durability::kWritten, marks_->written_lsn(), failed);
  const bool tell_durable = watch.Take(Durability::kDurable, marks_->durable_lsn(), failed);
  // Those that wake up need the mutex soon: they are woken when it is free.
  mutex.Unlock();
  wakes.Wake();
  if (tell_durable) watch.Wake(Durability::kDurable);
  if (tell_written) watch.Wake(Durability::kWritten);
}

bool CommitRounds::FlushDue() const {
  if (marks_->failed() || closed) return false;
  if (ring.has_full() || callbacks.WantSync(marks_->durable_lsn())) return true;
  return flush_at != Clock::time_point::max() && Clock::now() >= flush_at;
}

}  // namespace seawall
