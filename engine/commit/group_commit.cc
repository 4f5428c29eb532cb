// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/group_commit.h"

#include <algorithm>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "engine/segments/index_file.h"

namespace seawall {
namespace {

// A waiter for this LSN is told that its record was cut off.
constexpr Lsn kCutOff = Waiter::kNever - 1;

constexpr uint32_t kMaxGatherBackoff = 64;

absl::Status CutOff(Lsn lsn) {
  return absl::OutOfRangeError(absl::StrCat("wait for record ", lsn, ": a truncation cut it off"));
}

absl::Status Closed() { return absl::FailedPreconditionError("the log is closed"); }

}  // namespace

GroupCommit::GroupCommit(const Options& options, SegmentStore* store, Watermarks* marks,
                         EventDispatcher* events)
    : options_(options),
      write_unit_(WriteUnit(options)),
      groups_limit_(options.segment_bytes - IndexReserveBytes(options.segment_bytes)),
      store_(store),
      marks_(marks),
      events_(events),
      buffers_(options.buffer_count),
      writer_(options, store, marks),
      meter_(options, events) {
  for (GroupBuffer& buffer : buffers_) buffer.Allocate(options.buffer_bytes);
}

GroupCommit::~GroupCommit() { (void)Close(); }

void GroupCommit::Start(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest,
                        Lsn last_lsn) {
  {
    MutexLock lock(&mutex_);
    marks_->Restart({last_lsn, segment->header.generation, end}, cursors_.durable_sequence());
    GoOnAt(std::move(segment), end, digest, last_lsn);
  }
  if (!flusher_.joinable()) flusher_ = std::thread([this] { RunFlusher(); });
}

void GroupCommit::GoOnAt(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest,
                         Lsn last_lsn) {
  writer_.Start(segment, end, digest);
  next_offset_ = end;
  begins_segment_ = false;
  roll_over_ = false;
  segment_ = std::move(segment);
  closed_lsn_ = last_lsn;
}

// ---- Waiting and leading

inline bool GroupCommit::Reached(Lsn lsn, Durability level) const {
  switch (level) {
    case Durability::kAppended:
      return lsn <= AppendedLocked();
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

void GroupCommit::AddQueued(const Waiter& waiter) {
  if (waiter.cursor_change == 0) meter_.AddQueued(waiter.joined_at);
}

absl::Status GroupCommit::Wait(Lsn lsn, Durability level) {
  if (level == Durability::kDurable && lsn <= durable_lsn()) return absl::OkStatus();
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
  const Lsn appended = AppendedLocked();
  // An LSN that a failed log never assigned: the failure is the better answer.
  if (lsn <= appended || marks_->failed()) return StatusLocked();
  return absl::OutOfRangeError(
      absl::StrCat("wait for record ", lsn, ": the last one appended is ", appended));
}

bool GroupCommit::LeadFor(const Waiter& waiter) {
  const bool durable = waiter.level == Durability::kDurable;
  mutex_.Lock();
  if (durable) Gather();
  Round(/*all=*/true, waiter.level);
  // Behind HandOver() a truncation may have given the LSN to another record.
  const bool satisfied = Satisfied(waiter);
  if (satisfied) AddQueued(waiter);
  HandOver(/*committers=*/durable ? 1 : 0);
  return satisfied;
}

Waiter::State GroupCommit::AwaitTurn(Waiter* waiter) {
  if (!leading_) {
    leading_ = true;
    mutex_.Unlock();
    return Waiter::kLead;
  }
  ChooseWord(waiter);
  *last_waiter_ = waiter;
  last_waiter_ = &waiter->next;
  ++waiters_;
  if (waiter->level == Durability::kDurable) ++durable_waiters_;
  const bool complete = gathering_ && durable_waiters_ + 1 >= gather_target_;
  if (complete) {
    gathering_ = false;
    gathered_.fetch_add(1, std::memory_order_release);
  }
  mutex_.Unlock();
  if (complete) FutexWake(&gathered_);
  return waiter->Park();
}

void GroupCommit::ChooseWord(Waiter* waiter) {
  if (waiter->lsn == Waiter::kNever) return;
  const bool this_round = waiter->lsn <= round_lsn_;
  if (!this_round && !has_heir_) {
    has_heir_ = true;
    return;
  }
  waiter->shared = round_words_.Choose(round_ + (this_round ? 0 : 1));
}

void GroupCommit::Gather() {
  if (durable_waiters_ + 1 >= gather_target_) return;
  if (gather_pause_ > 0) {
    --gather_pause_;
    return;
  }
  // No longer than half a round: then those who came in time have lost less than a flush of their
  // own would have cost everybody.
  const Clock::time_point until = Clock::now() + round_time_ / 2;
  gathering_ = true;
  while (gathering_ && !marks_->failed()) {
    const uint32_t word = gathered_.load(std::memory_order_acquire);
    const Clock::duration left = until - Clock::now();
    if (left <= Clock::duration::zero()) break;
    mutex_.Unlock();
    FutexWaitFor(&gathered_, word, left);
    mutex_.Lock();
  }
  const bool in_vain = gathering_;
  gathering_ = false;
  gather_backoff_ = in_vain ? std::min<uint32_t>(gather_backoff_ * 2, kMaxGatherBackoff) : 1;
  gather_pause_ = in_vain ? gather_backoff_ : 0;
}

bool GroupCommit::HasFullBuffers() const {
  return opened_ - drained_ > (open_.load(std::memory_order_relaxed) != nullptr ? 1u : 0u);
}

bool GroupCommit::CallbackWantsSync() const { return callbacks_.WantSync(marks_->durable_lsn()); }

bool GroupCommit::WantsSync(Durability level) const {
  if (marks_->durable_lsn() == marks_->written_lsn() && !cursors_.pending()) {
    return false;
  }
  return SyncIsAwaited(level) ||
         (flush_at_ != Clock::time_point::max() && Clock::now() >= flush_at_);
}

bool GroupCommit::SyncIsAwaited(Durability level) const {
  return level == Durability::kDurable || durable_waiters_ > 0 || CallbackWantsSync();
}

void GroupCommit::Round(bool all, Durability level) {
  const Clock::time_point start = Clock::now();
  meter_.RoundBegins(start);
  if (all) CloseBuffer();
  const uint64_t stop = opened_ - (open_.load(std::memory_order_relaxed) != nullptr ? 1 : 0);
  round_lsn_ = closed_lsn_;
  while (drained_ != stop && !marks_->failed()) {
    GroupBuffer* buffer = &buffers_[drained_ % buffers_.size()];
    const GroupBuffer::Group& group = buffer->group();
    // A segment is begun only when all of the one before is durable: then its header proves that.
    if (group.begins_segment && marks_->durable_lsn() + 1 < group.first_lsn && !Sync()) {
      return;
    }
    if (!Drain(buffer, level)) return;
  }
  if (marks_->failed() || !WantsSync(level)) return;
  if (cursors_.dirty() && !WriteCursors()) return;
  if (!Sync()) return;
  round_time_ += (Clock::now() - start - round_time_) / 8;
}

bool GroupCommit::Drain(GroupBuffer* buffer, Durability level) {
  const Lsn durable = marks_->durable_lsn();
  const bool with_cursors = buffer->group().begins_segment && cursors_.enabled();
  CursorTable cursors;
  if (with_cursors) cursors = cursors_.Take(kCursorSlots);
  const bool sync_follows = SyncIsAwaited(level);
  meter_.WriteBegins(buffer->group().segment->header.generation);
  mutex_.Unlock();
  absl::Status status =
      writer_.Write(buffer, durable, with_cursors ? &cursors : nullptr, sync_follows);
  mutex_.Lock();
  meter_.WriteEnds(writer_.io_began(), writer_.io_ended(), buffer->record_count(),
                   buffer->end() - buffer->group().head, status);
  if (!status.ok()) Fail(status);
  // A failure elsewhere, meanwhile, holds for this group as well.
  if (marks_->failed()) return false;
  stats_.bytes_written = writer_.bytes_written();
  ++stats_.groups_written;
  const Lsn last_lsn = buffer->last_lsn();
  buffer->Drained();
  ++drained_;
  if (room_waiters_ > 0) room_.NotifyAll();
  Advance(last_lsn, WritesAreDurable(options_), writer_.io_ended());
  return true;
}

bool GroupCommit::Sync() {
  const Lsn written = marks_->written_lsn();
  absl::Status status;
  Clock::time_point ended = written_at_;
  if (!WritesAreDurable(options_)) {
    meter_.SyncBegins(writer_.generation());
    // Those that follow what is durable are told when the round is over, these have what they want.
    const bool tell = marks_->watch().Take(Durability::kWritten, written, /*always=*/false);
    mutex_.Unlock();
    if (tell) marks_->watch().Wake(Durability::kWritten);
    status = writer_.Sync();
    mutex_.Lock();
    ended = writer_.io_ended();
    meter_.SyncEnds(writer_.io_began(), ended, status);
    ++stats_.syncs;
  }
  if (!status.ok()) Fail(status);
  if (marks_->failed()) return false;
  const bool with_cursors = cursors_.pending();
  if (with_cursors) cursors_.Synced();
  Advance(written, /*durable=*/true, ended);
  if (with_cursors) HoldForCursors();
  return true;
}

void GroupCommit::Advance(Lsn written, bool durable, Clock::time_point at) {
  if (written > marks_->written_lsn()) written_at_ = at;
  if (durable && written > marks_->durable_lsn()) durable_at_ = at;
  const bool entered = marks_->Advance({written, writer_.generation(), writer_.end()}, durable,
                                       cursors_.durable_sequence());
  if (!durable) return;
  if (entered) store_->NoteDurable();
  if (flush_at_ == Clock::time_point::max()) return;
  const bool more = drained_ != opened_;
  flush_at_ = more ? FlushTime(buffers_[drained_ % buffers_.size()]) : Clock::time_point::max();
}

void GroupCommit::Fail(const absl::Status& status) {
  if (marks_->failed()) return;
  CloseBuffer();  // for those that reserve without the lock
  marks_->Fail(status);
  if (events_ != nullptr) events_->Post(LogEventKind::kFailed, 0, StatusLocked());
  room_.NotifyAll();
  flusher_work_.NotifyOne();
}

struct GroupCommit::Wakes {
  explicit Wakes(RoundWords* words) : shared(words) {}

  std::atomic<uint32_t>* leader = nullptr;
  RoundWords::Some shared;  // words that several sleep on
  absl::InlinedVector<std::atomic<uint32_t>*, 8> own;
};

inline Waiter::State GroupCommit::StateBehindRound(const Waiter& waiter, bool has_leader) const {
  if (Satisfied(waiter)) return Waiter::kReached;
  if (marks_->failed()) return Waiter::kFailed;
  if (waiter.lsn != Waiter::kNever && waiter.lsn > AppendedLocked()) return Waiter::kCut;
  return has_leader ? Waiter::kParked : Waiter::kLead;
}

void GroupCommit::ReleaseWaiters(uint32_t committers, Wakes* wakes) {
  // This thread, those satisfied, the next leader, and those that stay: all may be in one group.
  gather_target_ = committers;
  Waiter** link = &first_waiter_;
  while (Waiter* waiter = *link) {
    const Waiter::State state = StateBehindRound(*waiter, wakes->leader != nullptr);
    if (state == Waiter::kParked) {
      link = &waiter->next;
      continue;
    }
    *link = waiter->next;
    --waiters_;
    if (waiter->level == Durability::kDurable) {
      --durable_waiters_;
      ++gather_target_;
    }
    if (state == Waiter::kReached) {
      waiter->reached_at = waiter->level == Durability::kDurable ? durable_at_ : written_at_;
      AddQueued(*waiter);
    }
    if (state == Waiter::kLead) wakes->leader = waiter->word();
    if (waiter->shared != nullptr) {
      wakes->shared.Add(waiter->shared);
    } else if (state != Waiter::kLead) {
      wakes->own.push_back(waiter->word());
    }
    waiter->state.store(state, std::memory_order_release);  // it may be gone from here on
  }
  wakes->shared.Release();
  last_waiter_ = link;
  gather_target_ += durable_waiters_;
}

void GroupCommit::NotifyIdle() {
  // Buffers that were filled meanwhile are the flusher's to write; but it may be one of those that
  // wait for room, in a callback.
  if (!leading_ && room_waiters_ > 0 && HasFullBuffers()) room_.NotifyAll();
  const bool callback_due = callbacks_.HasDue(durable_lsn());
  const bool flusher_leads = !leading_ && (FlushDue() || flush_at_ != Clock::time_point::max());
  if (callback_due || flusher_leads) flusher_work_.NotifyOne();
}

void GroupCommit::HandOver(uint32_t committers) {
  Wakes wakes(&round_words_);
  ReleaseWaiters(committers, &wakes);
  ++round_;
  round_lsn_ = ~Lsn{0};
  has_heir_ = false;
  leading_ = wakes.leader != nullptr;
  NotifyIdle();
  const bool failed = marks_->failed();
  const bool tell_written =
      marks_->watch().Take(Durability::kWritten, marks_->written_lsn(), failed);
  const bool tell_durable = marks_->watch().Take(Durability::kDurable, durable_lsn(), failed);
  mutex_.Unlock();
  // The next leader first: the disk is idle until it runs.
  if (wakes.leader != nullptr) FutexWake(wakes.leader);
  wakes.shared.Wake();
  for (std::atomic<uint32_t>* state : wakes.own) FutexWake(state);
  if (tell_durable) marks_->watch().Wake(Durability::kDurable);
  if (tell_written) marks_->watch().Wake(Durability::kWritten);
}

// ---- The flusher

absl::Status GroupCommit::Notify(Lsn lsn, Callback callback) {
  MutexLock lock(&mutex_);
  const Lsn appended = AppendedLocked();
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
  if (HasFullBuffers() || CallbackWantsSync()) return true;
  return flush_at_ != Clock::time_point::max() && Clock::now() >= flush_at_;
}

// Runs what is due; false if nothing was.
bool GroupCommit::RunCallbacks() {
  const bool failed = marks_->failed();
  const Lsn durable = durable_lsn();
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
      const bool all = CallbackWantsSync() || Clock::now() >= flush_at_;
      Round(all, Durability::kWritten);
      HandOver(/*committers=*/0);
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

Stats GroupCommit::stats() const {
  MutexLock lock(&mutex_);
  Stats stats = stats_;
  stats.appended_lsn = AppendedLocked();
  stats.written_lsn = marks_->written_lsn();
  stats.durable_lsn = durable_lsn();
  if (const GroupBuffer* open = open_.load(std::memory_order_relaxed); open != nullptr) {
    // One look: it grows beside the lock.
    const GroupBuffer::Fill fill = open->fill();
    stats.appended_lsn = open->group().first_lsn + fill.records - 1;
    stats.appended_records += fill.records;
    stats.appended_payload_bytes += fill.payload_bytes;
  }
  stats.waiters = waiters_;
  stats.followers = marks_->watch().followers();
  stats.failed = marks_->failed();
  meter_.AddStats(&stats);
  stats.reserve_nanos = reserve_.Snapshot();
  stats.wake_nanos = wake_.Snapshot();
  store_->AddStats(&stats);  // locks behind this one
  return stats;
}

void GroupCommit::Latch(const absl::Status& status) {
  mutex_.Lock();
  Fail(status);
  if (leading_) {
    mutex_.Unlock();  // the leader sees it and tells the waiters
    return;
  }
  HandOver(/*committers=*/0);
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

// Their LSNs may be below those of the log now, and would pass for durable.
void GroupCommit::CutWaiters() {
  for (Waiter* waiter = first_waiter_; waiter != nullptr; waiter = waiter->next) {
    if (waiter->lsn != Waiter::kNever) waiter->lsn = kCutOff;
  }
}

absl::Status GroupCommit::Cut(Lsn lsn, bool reset) {
  mutex_.Lock();
  absl::Status status = TakeLead();
  if (!status.ok()) {
    mutex_.Unlock();
    return status;
  }
  truncating_ = true;
  Round(/*all=*/true, Durability::kDurable);
  status = StatusLocked();
  const Lsn appended = AppendedLocked();
  const Lsn first = store_->first_lsn();
  if (status.ok() && !reset && (lsn + 1 < first || lsn > appended)) {
    status = absl::OutOfRangeError(
        absl::StrCat("truncate after record ", lsn, ": expected ", first - 1, " to ", appended));
  }
  if (status.ok() && (reset || lsn < appended)) status = CutStore(lsn, reset);
  truncating_ = false;
  room_.NotifyAll();
  HandOver(/*committers=*/0);
  return status;
}

absl::Status GroupCommit::CutStore(Lsn lsn, bool reset) {
  const bool with_cursors = cursors_.enabled();
  CursorTable table;
  if (with_cursors) table = cursors_.TakeCut(lsn, reset);
  const CursorTable* const cursors = with_cursors ? &table : nullptr;
  mutex_.Unlock();
  absl::StatusOr<SegmentStore::Truncated> cut =
      reset ? store_->Reset(lsn + 1, cursors) : store_->TruncateAfter(lsn, cursors);
  mutex_.Lock();
  if (!cut.ok()) return cut.status();
  GoOnAt(std::move(cut->segment), cut->end, cut->digest, lsn);
  marks_->watch().Forget();  // the store has moved the watermarks
  if (with_cursors) {
    cursors_.Cut(lsn, reset, std::move(table));
    HoldForCursors();
  }
  callbacks_.CutAfter(reset ? 0 : lsn);
  if (reset) CutWaiters();
  flusher_work_.NotifyOne();
  return StatusLocked();
}

absl::Status GroupCommit::Close() {
  absl::Status status;
  mutex_.Lock();
  if (TakeLead().ok()) {
    closed_ = true;  // before the last round, so that it covers all that was ever accepted
    Round(/*all=*/true, Durability::kDurable);
    if (cursors_.in_one_slot() && !marks_->failed() && WriteCursors()) Sync();
    HandOver(/*committers=*/0);
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
