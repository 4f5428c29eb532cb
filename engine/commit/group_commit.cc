// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/group_commit.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace seawall {
namespace {

absl::Status CutOff(Lsn lsn) {
  return absl::OutOfRangeError(absl::StrCat("wait for record ", lsn, ": a truncation cut it off"));
}

}  // namespace

GroupCommit::GroupCommit(const Options& options, std::vector<GroupBuffer> buffers,
                         SegmentStore* store, Watermarks* marks, EventDispatcher* events)
    : options_(options),
      store_(store),
      marks_(marks),
      events_(events),
      rounds_(options, std::move(buffers), &fast_, store, marks, events) {}

GroupCommit::~GroupCommit() { (void)Close(); }

void GroupCommit::Start(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest,
                        Lsn last_lsn) {
  {
    MutexLock lock(&rounds_.mutex);
    marks_->Restart({last_lsn, segment->header.generation, end},
                    rounds_.cursors.durable_sequence());
    rounds_.io.GoOnAt(segment, end, digest);
    rounds_.ring.GoOnAt(std::move(segment), end, last_lsn);
  }
  if (!flusher_.joinable()) flusher_ = std::thread([this] { RunFlusher(); });
}

// ---- Waiting

absl::Status GroupCommit::Wait(Lsn lsn, Durability level) {
  if (level == Durability::kDurable && lsn <= marks_->durable_lsn()) return absl::OkStatus();
  const Clock::time_point joined_at = Clock::now();
  for (;;) {
    rounds_.mutex.Lock();
    const bool reached = rounds_.Reached(lsn, level);
    absl::Status status = reached ? absl::OkStatus() : CheckWait(lsn);
    if (reached || !status.ok()) {
      rounds_.mutex.Unlock();
      return status;
    }
    Waiter waiter;
    waiter.lsn = lsn;
    waiter.level = level;
    waiter.joined_at = joined_at;
    switch (rounds_.AwaitTurn(&waiter)) {
      case Waiter::kReached:
        wake_.Add(NanosBetween(waiter.reached_at, Clock::now()));
        return absl::OkStatus();
      case Waiter::kCut:
        return CutOff(lsn);
      case Waiter::kLead:
        if (rounds_.LeadFor(waiter)) return absl::OkStatus();
        break;
      case Waiter::kFailed:
      case Waiter::kParked:
        break;
    }
  }
}

inline absl::Status GroupCommit::CheckWait(Lsn lsn) const {
  const Lsn appended = rounds_.ring.last_lsn();
  // An LSN that a failed log never assigned: the failure is the better answer.
  if (lsn <= appended || marks_->failed()) return rounds_.StatusLocked();
  return absl::OutOfRangeError(
      absl::StrCat("wait for record ", lsn, ": the last one appended is ", appended));
}

// ---- The flusher

absl::Status GroupCommit::Notify(Lsn lsn, Callback callback) {
  MutexLock lock(&rounds_.mutex);
  const Lsn appended = rounds_.ring.last_lsn();
  if (lsn > appended) {
    return absl::OutOfRangeError(
        absl::StrCat("notify of record ", lsn, ": the last one appended is ", appended));
  }
  if (rounds_.closed) return CommitRounds::Closed();
  rounds_.callbacks.Add(lsn, std::move(callback));
  rounds_.flusher_work.NotifyOne();
  return absl::OkStatus();
}

bool GroupCommit::RunCallbacks() {
  const bool failed = marks_->failed();
  const Lsn durable = marks_->durable_lsn();
  DurableCallbacks::Due due = rounds_.callbacks.TakeDue(durable, failed);
  if (due.empty()) return false;
  const absl::Status failure = failed ? rounds_.StatusLocked() : absl::OkStatus();
  rounds_.mutex.Unlock();
  due.Run(durable, failure);
  rounds_.mutex.Lock();
  return true;
}

void GroupCommit::RunFlusher() {
  rounds_.mutex.Lock();
  while (!stop_flusher_) {
    if (RunCallbacks()) continue;
    if (!rounds_.leading && rounds_.FlushDue()) {
      rounds_.leading = true;
      // Full buffers alone are only written; what is due for a sync includes the open one.
      const bool all =
          rounds_.callbacks.WantSync(marks_->durable_lsn()) || Clock::now() >= rounds_.flush_at;
      rounds_.Round(all, Durability::kWritten);
      rounds_.HandOff(/*committers=*/0);
      rounds_.mutex.Lock();
      continue;
    }
    if (rounds_.flush_at == Clock::time_point::max() || rounds_.leading || marks_->failed()) {
      rounds_.flusher_work.Wait(&rounds_.mutex);
    } else {
      rounds_.flusher_work.WaitUntil(&rounds_.mutex, rounds_.flush_at);
    }
  }
  while (RunCallbacks()) {
  }
  rounds_.mutex.Unlock();
}

// ---- The rest

absl::Status GroupCommit::status() const {
  MutexLock lock(&rounds_.mutex);
  return rounds_.StatusLocked();
}

Lsn GroupCommit::appended_lsn() const {
  MutexLock lock(&rounds_.mutex);
  return rounds_.ring.last_lsn();
}

uint64_t GroupCommit::digest() const {
  MutexLock lock(&rounds_.mutex);
  return rounds_.io.digest();
}

Stats GroupCommit::stats() const {
  MutexLock lock(&rounds_.mutex);
  Stats stats;
  rounds_.ring.AddStats(&stats);
  rounds_.io.AddStats(&stats);
  stats.written_lsn = marks_->written_lsn();
  stats.durable_lsn = marks_->durable_lsn();
  stats.buffer_full_waits = buffer_full_waits_;
  stats.rollover_waits = rollover_waits_;
  stats.waiters = rounds_.queue.size();
  stats.followers = marks_->watch().followers();
  stats.failed = marks_->failed();
  stats.reserve_nanos = fast_.reserve_nanos().Snapshot();
  stats.wake_nanos = wake_.Snapshot();
  store_->AddStats(&stats);  // its mutex comes after this one
  return stats;
}

void GroupCommit::Latch(const absl::Status& status) {
  rounds_.mutex.Lock();
  rounds_.Fail(status);
  if (rounds_.leading) {
    rounds_.mutex.Unlock();  // the leader sees it and tells the waiters
    return;
  }
  rounds_.HandOff(/*committers=*/0);
}

absl::Status GroupCommit::Truncate(Lsn lsn, bool reset) {
  rounds_.mutex.Lock();
  absl::Status status = rounds_.TakeLead();
  if (!status.ok()) {
    rounds_.mutex.Unlock();
    return status;
  }
  truncating_ = true;
  rounds_.Round(/*all=*/true, Durability::kDurable);
  status = rounds_.StatusLocked();
  const Lsn appended = rounds_.ring.last_lsn();
  const Lsn first = store_->first_lsn();
  if (status.ok() && !reset && (lsn + 1 < first || lsn > appended)) {
    status = absl::OutOfRangeError(
        absl::StrCat("truncate after record ", lsn, ": expected ", first - 1, " to ", appended));
  }
  if (status.ok() && (reset || lsn < appended)) status = TruncateStore(lsn, reset);
  truncating_ = false;
  rounds_.room.NotifyAll();
  rounds_.HandOff(/*committers=*/0);
  return status;
}

absl::Status GroupCommit::TruncateStore(Lsn lsn, bool reset) {
  const bool with_cursors = rounds_.cursors.enabled();
  CursorTable table;
  if (with_cursors) table = rounds_.cursors.TakeCut(lsn, reset);
  const CursorTable* const cursors = with_cursors ? &table : nullptr;
  rounds_.mutex.Unlock();
  absl::StatusOr<FreshSegment> cut =
      reset ? store_->Reset(lsn + 1, cursors) : store_->TruncateAfter(lsn, cursors);
  rounds_.mutex.Lock();
  if (!cut.ok()) return cut.status();
  rounds_.io.GoOnAt(cut->segment, cut->end, cut->digest);
  rounds_.ring.GoOnAt(std::move(cut->segment), cut->end, lsn);
  marks_->watch().Forget();  // the store has moved the watermarks
  if (with_cursors) {
    rounds_.cursors.Cut(lsn, reset, std::move(table));
    rounds_.cursor_holds.Update(rounds_.cursors);
  }
  rounds_.callbacks.CutAfter(reset ? 0 : lsn);
  if (reset) rounds_.queue.CutAll();
  rounds_.flusher_work.NotifyOne();
  return rounds_.StatusLocked();
}

// ---- Cursors

void GroupCommit::StartCursors(CursorTable table) {
  MutexLock lock(&rounds_.mutex);
  rounds_.cursors.Start(std::move(table));
  rounds_.cursor_holds.Update(rounds_.cursors);
}

absl::Status GroupCommit::ChangeCursors(
    Durability until,
    absl::FunctionRef<absl::StatusOr<uint64_t>(CursorSet*, CursorHolds*)> change) {
  rounds_.mutex.Lock();
  absl::Status status = rounds_.StatusLocked();
  if (status.ok() && !rounds_.cursors.enabled()) {
    status = absl::FailedPreconditionError(
        "the log has no cursors: open it with Options::cursors to give it some");
  }
  absl::StatusOr<uint64_t> changed = status.ok() ? change(&rounds_.cursors, &rounds_.cursor_holds)
                                                 : absl::StatusOr<uint64_t>(status);
  if (!changed.ok() || until == Durability::kAppended) {
    rounds_.mutex.Unlock();
    return changed.status();
  }
  // It waits in the queue of those that wait for records, and shares their sync.
  while (rounds_.cursors.durable_changes() < *changed) {
    status = rounds_.StatusLocked();
    if (!status.ok()) break;
    Waiter waiter;
    waiter.lsn = Waiter::kNever;
    waiter.cursor_change = *changed;
    const Waiter::State state = rounds_.AwaitTurn(&waiter);
    if (state == Waiter::kReached || (state == Waiter::kLead && rounds_.LeadFor(waiter))) {
      return absl::OkStatus();
    }
    rounds_.mutex.Lock();
  }
  rounds_.mutex.Unlock();
  return status;
}

void GroupCommit::ReadCursors(absl::FunctionRef<void(const CursorSet&)> read) const {
  MutexLock lock(&rounds_.mutex);
  read(rounds_.cursors);
}

absl::Status GroupCommit::Close() {
  absl::Status status;
  rounds_.mutex.Lock();
  if (rounds_.TakeLead().ok()) {
    rounds_.closed = true;  // before the last round, so that it covers all that was ever accepted
    rounds_.Round(/*all=*/true, Durability::kDurable);
    if (rounds_.cursors.in_one_slot() && !marks_->failed() && rounds_.WriteCursors())
      rounds_.Sync();
    rounds_.HandOff(/*committers=*/0);
    rounds_.mutex.Lock();
  }
  if (marks_->failed()) status = rounds_.StatusLocked();
  rounds_.closed = true;
  stop_flusher_ = true;
  marks_->End();
  rounds_.room.NotifyAll();
  rounds_.flusher_work.NotifyAll();
  rounds_.mutex.Unlock();
  for (Durability level : {Durability::kWritten, Durability::kDurable}) marks_->watch().Wake(level);
  if (flusher_.joinable()) flusher_.join();
  return status;
}

}  // namespace seawall
