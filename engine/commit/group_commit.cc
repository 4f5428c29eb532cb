// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/group_commit.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace seawall {
namespace {

absl::Status CutOff(Lsn lsn) {
  return absl::OutOfRangeError(absl::StrCat("wait for record ", lsn, ": a truncation cut it off"));
}

absl::Status Closed() { return absl::FailedPreconditionError("the log is closed"); }

}  // namespace

GroupCommit::GroupCommit(const Options& options, std::vector<GroupBuffer> buffers,
                         SegmentStore* store, Watermarks* marks, EventDispatcher* events)
    : options_(options),
      store_(store),
      marks_(marks),
      events_(events),
      ring_(options, std::move(buffers), &store->preallocator(), &fast_),
      io_(options, &store->preallocator(), marks, events),
      cursor_holds_(&store->retention()) {}

GroupCommit::~GroupCommit() { (void)Close(); }

void GroupCommit::Start(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest,
                        Lsn last_lsn) {
  {
    MutexLock lock(&mutex_);
    marks_->Restart({last_lsn, segment->header.generation, end}, cursors_.durable_sequence());
    io_.GoOnAt(segment, end, digest);
    ring_.GoOnAt(std::move(segment), end, last_lsn);
  }
  if (!flusher_.joinable()) flusher_ = std::thread([this] { RunFlusher(); });
}

// ---- Waiting

inline bool GroupCommit::Reached(Lsn lsn, Durability level) const {
  switch (level) {
    case Durability::kAppended:
      return lsn <= ring_.last_lsn();
    case Durability::kWritten:
      return lsn <= marks_->written_lsn();
    case Durability::kDurable:
      return lsn <= marks_->durable_lsn();
  }
  return false;
}

inline bool GroupCommit::Satisfied(const Waiter& waiter) const {
  if (waiter.cursor_change != 0) return waiter.cursor_change <= cursors_.durable_changes();
  return waiter.lsn != Waiter::kNever && Reached(waiter.lsn, waiter.level);
}

absl::Status GroupCommit::Wait(Lsn lsn, Durability level) {
  if (level == Durability::kDurable && lsn <= marks_->durable_lsn()) return absl::OkStatus();
  const Clock::time_point joined_at = Clock::now();
  for (;;) {
    mutex_.Lock();
    const bool reached = Reached(lsn, level);
    absl::Status status = reached ? absl::OkStatus() : CheckWait(lsn);
    if (reached || !status.ok()) {
      mutex_.Unlock();
      return status;
    }
    Waiter waiter;
    waiter.lsn = lsn;
    waiter.level = level;
    waiter.joined_at = joined_at;
    switch (AwaitTurn(&waiter)) {
      case Waiter::kReached:
        wake_.Add(NanosBetween(waiter.reached_at, Clock::now()));
        return absl::OkStatus();
      case Waiter::kCut:
        return CutOff(lsn);
      case Waiter::kLead:
        if (LeadFor(waiter)) return absl::OkStatus();
        break;
      case Waiter::kFailed:
      case Waiter::kParked:
        break;
    }
  }
}

inline absl::Status GroupCommit::CheckWait(Lsn lsn) const {
  const Lsn appended = ring_.last_lsn();
  // An LSN that a failed log never assigned: the failure is the better answer.
  if (lsn <= appended || marks_->failed()) return StatusLocked();
  return absl::OutOfRangeError(
      absl::StrCat("wait for record ", lsn, ": the last one appended is ", appended));
}

Waiter::State GroupCommit::AwaitTurn(Waiter* waiter) {
  if (!leading_) {
    leading_ = true;
    mutex_.Unlock();
    return Waiter::kLead;
  }
  std::atomic<uint32_t>* const complete = queue_.Join(waiter);
  mutex_.Unlock();
  if (complete != nullptr) FutexWake(complete);
  return waiter->Park();
}

// ---- Leading

bool GroupCommit::LeadFor(const Waiter& waiter) {
  const bool durable = waiter.level == Durability::kDurable;
  mutex_.Lock();
  if (durable) queue_.Delay(&mutex_, *marks_);
  Round(/*all=*/true, waiter.level);
  // Not after HandOff(): a truncation may have given the LSN to another record by then.
  const bool satisfied = Satisfied(waiter);
  if (satisfied) io_.NoteQueued(waiter);
  HandOff(/*committers=*/durable ? 1 : 0);
  return satisfied;
}

absl::Status GroupCommit::TakeLead() {
  absl::Status status = StatusLocked();
  if (!status.ok()) return status;
  Waiter turn;
  turn.lsn = Waiter::kNever;
  const Waiter::State state = AwaitTurn(&turn);
  mutex_.Lock();
  return state == Waiter::kLead ? absl::OkStatus() : StatusLocked();
}

bool GroupCommit::WantsSync(Durability level) const {
  if (marks_->durable_lsn() == marks_->written_lsn() && !cursors_.pending()) return false;
  return SyncIsAwaited(level) ||
         (flush_at_ != Clock::time_point::max() && Clock::now() >= flush_at_);
}

bool GroupCommit::SyncIsAwaited(Durability level) const {
  return level == Durability::kDurable || queue_.durable_waiters() > 0 ||
         callbacks_.WantSync(marks_->durable_lsn());
}

void GroupCommit::Round(bool all, Durability level) {
  const Clock::time_point start = Clock::now();
  io_.BeginRound(start);
  if (all) ring_.CloseOpen();
  queue_.BeginRound(ring_.closed_lsn());
  // Those that are closed meanwhile are the next round's.
  for (uint64_t left = ring_.full(); left > 0 && !marks_->failed(); --left) {
    const GroupBuffer::Group& group = ring_.front()->group();
    // A segment is begun only when all of the one before is durable: then its header proves that.
    if (group.begins_segment && marks_->durable_lsn() + 1 < group.first_lsn && !Sync()) return;
    if (!Drain(level)) return;
  }
  if (marks_->failed() || !WantsSync(level)) return;
  // The table before the sync that makes it durable, not after.
  if (cursors_.dirty() && !WriteCursors()) return;
  if (!Sync()) return;
  queue_.NoteRoundTime(Clock::now() - start);
}

bool GroupCommit::Drain(Durability level) {
  GroupBuffer* const buffer = ring_.front();
  const bool with_cursors = buffer->group().begins_segment && cursors_.enabled();
  CursorTable cursors;
  if (with_cursors) cursors = cursors_.Take(kCursorSlots);
  absl::Status status =
      io_.Write(&mutex_, buffer, with_cursors ? &cursors : nullptr, SyncIsAwaited(level));
  if (!status.ok()) Fail(status);
  // A failure elsewhere, meanwhile, holds for this group as well.
  if (marks_->failed()) return false;
  const Lsn last_lsn = buffer->last_lsn();
  ring_.PopFront();
  if (room_waiters_ > 0) room_.NotifyAll();
  Advance(last_lsn, WritesAreDurable(options_));
  return true;
}

bool GroupCommit::WriteCursors() {
  absl::Status status = io_.WriteCursors(&mutex_, cursors_.Take(1));
  if (!status.ok()) Fail(status);
  return !marks_->failed();
}

bool GroupCommit::Sync() {
  const Lsn written = marks_->written_lsn();
  absl::Status status = io_.Sync(&mutex_);
  if (!status.ok()) Fail(status);
  if (marks_->failed()) return false;
  const bool with_cursors = cursors_.pending();
  if (with_cursors) cursors_.Synced();
  Advance(written, /*durable=*/true);
  // Only now: what a cursor held may be trimmed when its move is durable, not before.
  if (with_cursors) cursor_holds_.Update(cursors_);
  return true;
}

// Moves the written watermark to `written`, and, if `durable`, the durable one too.
void GroupCommit::Advance(Lsn written, bool durable) {
  const bool entered = io_.Advance(written, durable, cursors_.durable_sequence());
  if (!durable) return;
  if (entered) store_->preallocator().NoteDurable();
  if (flush_at_ == Clock::time_point::max()) return;
  flush_at_ = ring_.empty() ? Clock::time_point::max() : ring_.FlushTimeOf(*ring_.front());
}

void GroupCommit::Fail(const absl::Status& status) {
  if (marks_->failed()) return;
  ring_.CloseOpen();  // for those that reserve without the lock
  marks_->Fail(status);
  if (events_ != nullptr) events_->Post(LogEventKind::kFailed, 0, StatusLocked());
  room_.NotifyAll();
  flusher_work_.NotifyOne();
}

void GroupCommit::HandOff(uint32_t committers) {
  const bool failed = marks_->failed();
  const Lsn appended = ring_.last_lsn();
  const auto state_of = [&](Waiter* waiter, bool has_leader) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (Satisfied(*waiter)) {
      io_.NoteReached(waiter);
      return Waiter::kReached;
    }
    if (failed) return Waiter::kFailed;
    if (waiter->lsn != Waiter::kNever && waiter->lsn > appended) return Waiter::kCut;
    return has_leader ? Waiter::kParked : Waiter::kLead;
  };
  CommitQueue::Wakes wakes = queue_.Release(committers, state_of);
  leading_ = wakes.has_leader();
  if (!leading_) {
    // Buffers that were filled meanwhile are the flusher's to write; but it may be one of those
    // that wait for room, in a callback.
    if (room_waiters_ > 0 && ring_.has_full()) room_.NotifyAll();
    if (FlushDue() || flush_at_ != Clock::time_point::max()) flusher_work_.NotifyOne();
  }
  if (callbacks_.HasDue(marks_->durable_lsn())) flusher_work_.NotifyOne();
  WatermarkWatch& watch = marks_->watch();
  const bool tell_written = watch.Take(Durability::kWritten, marks_->written_lsn(), failed);
  const bool tell_durable = watch.Take(Durability::kDurable, marks_->durable_lsn(), failed);
  // Those that wake up need the mutex soon: they are woken when it is free.
  mutex_.Unlock();
  wakes.Wake();
  if (tell_durable) watch.Wake(Durability::kDurable);
  if (tell_written) watch.Wake(Durability::kWritten);
}

// ---- The flusher

absl::Status GroupCommit::Notify(Lsn lsn, Callback callback) {
  MutexLock lock(&mutex_);
  const Lsn appended = ring_.last_lsn();
  if (lsn > appended) {
    return absl::OutOfRangeError(
        absl::StrCat("notify of record ", lsn, ": the last one appended is ", appended));
  }
  if (closed_) return Closed();
  callbacks_.Add(lsn, std::move(callback));
  flusher_work_.NotifyOne();
  return absl::OkStatus();
}

bool GroupCommit::FlushDue() const {
  if (marks_->failed() || closed_) return false;
  if (ring_.has_full() || callbacks_.WantSync(marks_->durable_lsn())) return true;
  return flush_at_ != Clock::time_point::max() && Clock::now() >= flush_at_;
}

bool GroupCommit::RunCallbacks() {
  const bool failed = marks_->failed();
  const Lsn durable = marks_->durable_lsn();
  DurableCallbacks::Due due = callbacks_.TakeDue(durable, failed);
  if (due.empty()) return false;
  const absl::Status failure = failed ? StatusLocked() : absl::OkStatus();
  mutex_.Unlock();
  due.Run(durable, failure);
  mutex_.Lock();
  return true;
}

void GroupCommit::RunFlusher() {
  mutex_.Lock();
  while (!stop_flusher_) {
    if (RunCallbacks()) continue;
    if (!leading_ && FlushDue()) {
      leading_ = true;
      // Full buffers alone are only written; what is due for a sync includes the open one.
      const bool all = callbacks_.WantSync(marks_->durable_lsn()) || Clock::now() >= flush_at_;
      Round(all, Durability::kWritten);
      HandOff(/*committers=*/0);
      mutex_.Lock();
      continue;
    }
    if (flush_at_ == Clock::time_point::max() || leading_ || marks_->failed()) {
      flusher_work_.Wait(&mutex_);
    } else {
      flusher_work_.WaitUntil(&mutex_, flush_at_);
    }
  }
  while (RunCallbacks()) {
  }
  mutex_.Unlock();
}

// ---- The rest

absl::Status GroupCommit::StatusLocked() const {
  if (marks_->failed()) return marks_->failure();
  return closed_ ? Closed() : absl::OkStatus();
}

absl::Status GroupCommit::status() const {
  MutexLock lock(&mutex_);
  return StatusLocked();
}

Lsn GroupCommit::appended_lsn() const {
  MutexLock lock(&mutex_);
  return ring_.last_lsn();
}

uint64_t GroupCommit::digest() const {
  MutexLock lock(&mutex_);
  return io_.digest();
}

Stats GroupCommit::stats() const {
  MutexLock lock(&mutex_);
  Stats stats;
  ring_.AddStats(&stats);
  io_.AddStats(&stats);
  stats.written_lsn = marks_->written_lsn();
  stats.durable_lsn = marks_->durable_lsn();
  stats.buffer_full_waits = buffer_full_waits_;
  stats.rollover_waits = rollover_waits_;
  stats.waiters = queue_.size();
  stats.followers = marks_->watch().followers();
  stats.failed = marks_->failed();
  stats.reserve_nanos = fast_.reserve_nanos().Snapshot();
  stats.wake_nanos = wake_.Snapshot();
  store_->AddStats(&stats);  // its mutex comes after this one
  return stats;
}

void GroupCommit::Latch(const absl::Status& status) {
  mutex_.Lock();
  Fail(status);
  if (leading_) {
    mutex_.Unlock();  // the leader sees it and tells the waiters
    return;
  }
  HandOff(/*committers=*/0);
}

absl::Status GroupCommit::Truncate(Lsn lsn, bool reset) {
  mutex_.Lock();
  absl::Status status = TakeLead();
  if (!status.ok()) {
    mutex_.Unlock();
    return status;
  }
  truncating_ = true;
  Round(/*all=*/true, Durability::kDurable);
  status = StatusLocked();
  const Lsn appended = ring_.last_lsn();
  const Lsn first = store_->first_lsn();
  if (status.ok() && !reset && (lsn + 1 < first || lsn > appended)) {
    status = absl::OutOfRangeError(
        absl::StrCat("truncate after record ", lsn, ": expected ", first - 1, " to ", appended));
  }
  if (status.ok() && (reset || lsn < appended)) status = TruncateStore(lsn, reset);
  truncating_ = false;
  room_.NotifyAll();
  HandOff(/*committers=*/0);
  return status;
}

absl::Status GroupCommit::TruncateStore(Lsn lsn, bool reset) {
  const bool with_cursors = cursors_.enabled();
  CursorTable table;
  if (with_cursors) table = cursors_.TakeCut(lsn, reset);
  const CursorTable* const cursors = with_cursors ? &table : nullptr;
  mutex_.Unlock();
  absl::StatusOr<FreshSegment> cut =
      reset ? store_->Reset(lsn + 1, cursors) : store_->TruncateAfter(lsn, cursors);
  mutex_.Lock();
  if (!cut.ok()) return cut.status();
  io_.GoOnAt(cut->segment, cut->end, cut->digest);
  ring_.GoOnAt(std::move(cut->segment), cut->end, lsn);
  marks_->watch().Forget();  // the store has moved the watermarks
  if (with_cursors) {
    cursors_.Cut(lsn, reset, std::move(table));
    cursor_holds_.Update(cursors_);
  }
  callbacks_.CutAfter(reset ? 0 : lsn);
  if (reset) queue_.CutAll();
  flusher_work_.NotifyOne();
  return StatusLocked();
}

// ---- Cursors

void GroupCommit::StartCursors(CursorTable table) {
  MutexLock lock(&mutex_);
  cursors_.Start(std::move(table));
  cursor_holds_.Update(cursors_);
}

absl::Status GroupCommit::ChangeCursors(
    Durability until,
    absl::FunctionRef<absl::StatusOr<uint64_t>(CursorSet*, CursorHolds*)> change) {
  mutex_.Lock();
  absl::Status status = StatusLocked();
  if (status.ok() && !cursors_.enabled()) {
    status = absl::FailedPreconditionError(
        "the log has no cursors: open it with Options::cursors to give it some");
  }
  absl::StatusOr<uint64_t> changed =
      status.ok() ? change(&cursors_, &cursor_holds_) : absl::StatusOr<uint64_t>(status);
  if (!changed.ok() || until == Durability::kAppended) {
    mutex_.Unlock();
    return changed.status();
  }
  // It waits in the queue of those that wait for records, and shares their sync.
  while (cursors_.durable_changes() < *changed) {
    status = StatusLocked();
    if (!status.ok()) break;
    Waiter waiter;
    waiter.lsn = Waiter::kNever;
    waiter.cursor_change = *changed;
    const Waiter::State state = AwaitTurn(&waiter);
    if (state == Waiter::kReached || (state == Waiter::kLead && LeadFor(waiter))) {
      return absl::OkStatus();
    }
    mutex_.Lock();
  }
  mutex_.Unlock();
  return status;
}

void GroupCommit::ReadCursors(absl::FunctionRef<void(const CursorSet&)> read) const {
  MutexLock lock(&mutex_);
  read(cursors_);
}

absl::Status GroupCommit::Close() {
  absl::Status status;
  mutex_.Lock();
  if (TakeLead().ok()) {
    closed_ = true;  // before the last round, so that it covers all that was ever accepted
    Round(/*all=*/true, Durability::kDurable);
    if (cursors_.in_one_slot() && !marks_->failed() && WriteCursors()) Sync();
    HandOff(/*committers=*/0);
    mutex_.Lock();
  }
  if (marks_->failed()) status = StatusLocked();
  closed_ = true;
  stop_flusher_ = true;
  marks_->End();
  room_.NotifyAll();
  flusher_work_.NotifyAll();
  mutex_.Unlock();
  for (Durability level : {Durability::kWritten, Durability::kDurable}) marks_->watch().Wake(level);
  if (flusher_.joinable()) flusher_.join();
  return status;
}

}  // namespace seawall
