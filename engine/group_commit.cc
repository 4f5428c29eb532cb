#include "engine/group_commit.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "engine/format.h"

namespace seawall {
namespace {

// A waiter for this LSN is never satisfied: it waits for its turn to lead.
constexpr Lsn kNever = ~Lsn{0};

constexpr uint32_t kMaxGatherBackoff = 64;

uint64_t WriteUnit(const Options& options) {
  return options.group_alignment_bytes < 512 ? kBlockBytes : options.group_alignment_bytes;
}

absl::Status CutOff(const char* call, Lsn lsn) {
  return absl::OutOfRangeError(absl::StrCat(call, " record ", lsn, ": a truncation cut it off"));
}

absl::Status Closed() { return absl::FailedPreconditionError("the log is closed"); }

}  // namespace

GroupCommit::GroupCommit(const Options& options, SegmentStore* store)
    : options_(options),
      write_unit_(WriteUnit(options)),
      store_(store),
      buffers_(options.buffer_count),
      tail_block_(kBlockBytes) {
  // A group may begin anywhere in a block, behind a segment's header, and ends with a whole block.
  for (Buffer& buffer : buffers_) {
    buffer.memory = AlignedBuffer(options.buffer_bytes + kSegmentHeaderBytes + 2 * kBlockBytes);
  }
}

GroupCommit::~GroupCommit() { (void)Close(); }

void GroupCommit::Start(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest,
                        Lsn last_lsn) {
  {
    MutexLock lock(&mutex_);
    writing_ = segment;
    digest_ = digest;
    writing_generation_ = durable_generation_ = segment->header.generation;
    written_end_ = durable_end_ = next_offset_ = end;
    begins_segment_ = false;
    segment_ = std::move(segment);
    appended_lsn_ = written_lsn_ = durable_lsn_ = last_lsn;
  }
  if (!flusher_.joinable()) flusher_ = std::thread([this] { RunFlusher(); });
}

// ---- Appending

absl::Status GroupCommit::StatusLocked() const {
  if (failed_ != absl::StatusCode::kOk) return absl::Status(failed_, failure_);
  return closed_ ? Closed() : absl::OkStatus();
}

absl::StatusOr<LsnRange> GroupCommit::Append(absl::Span<const std::string_view> records) {
  uint64_t bytes = 0;
  for (std::string_view record : records) bytes += EncodedRecordBytes(record.size());
  Reservation reserved;
  {
    MutexLock lock(&mutex_);
    for (;;) {
      absl::Status status = StatusLocked();
      if (!status.ok()) return status;
      Room room = Reserve(bytes, static_cast<uint32_t>(records.size()), &reserved);
      if (room == Room::kReserved) break;
      status = MakeRoom(room, bytes, reserved.file_end);
      if (!status.ok()) return status;
    }
  }
  Lsn lsn = reserved.first_lsn;
  for (std::string_view record : records) {
    const bool last = lsn - reserved.first_lsn + 1 == records.size();
    EncodeRecord(record, lsn++, last ? 0 : kRecordBatchContinues, reserved.salt, reserved.to);
    reserved.to += EncodedRecordBytes(record.size());
  }
  reserved.buffer->copies.Done();
  return LsnRange{reserved.first_lsn, lsn - 1};
}

GroupCommit::Room GroupCommit::Reserve(uint64_t bytes, uint32_t records, Reservation* reservation) {
  if (truncating_) return Room::kNoBuffer;
  if (open_ != nullptr) {
    const uint64_t group_bytes = open_->end - open_->head + bytes;
    const uint64_t file_end =
        AlignUp(open_->origin + open_->end + bytes, options_.group_alignment_bytes);
    if (group_bytes > options_.buffer_bytes || file_end > options_.segment_bytes) {
      CloseBuffer();
      if (!leading_) flusher_work_.NotifyOne();
    } else if (file_end > store_->allocated_bytes()) {
      reservation->file_end = file_end;
      return Room::kNoSpace;
    }
  }
  if (open_ == nullptr) {
    Room room = OpenBuffer(bytes, reservation);
    if (room != Room::kReserved) return room;
  }
  Buffer* buffer = open_;
  const Lsn last_lsn = appended_lsn_.load(std::memory_order_relaxed);
  if (buffer->record_count == 0) buffer->first_lsn = last_lsn + 1;
  reservation->buffer = buffer;
  reservation->to = buffer->memory.data() + buffer->end;
  reservation->first_lsn = last_lsn + 1;
  reservation->salt = buffer->segment->header.salt;
  buffer->end += bytes;
  buffer->record_count += records;
  buffer->copies.Add();
  appended_lsn_.store(last_lsn + records, std::memory_order_release);
  stats_.appended_records += records;
  stats_.appended_payload_bytes += bytes - records * kRecordHeaderBytes;
  store_->NoteFill(buffer->origin + buffer->end);
  if (options_.flush_interval_micros > 0 && flush_at_ == Clock::time_point::max()) {
    flush_at_ = Clock::now() + std::chrono::microseconds(options_.flush_interval_micros);
    flusher_work_.NotifyOne();
  }
  return Room::kReserved;
}

// Opens the next buffer for a group of at least `bytes`, in the next segment if it does not fit
// this one.
GroupCommit::Room GroupCommit::OpenBuffer(uint64_t bytes, Reservation* reservation) {
  if (opened_ - drained_ == buffers_.size()) return Room::kNoBuffer;
  bytes += kGroupHeaderBytes;
  uint64_t file_end = AlignUp(next_offset_ + bytes, options_.group_alignment_bytes);
  if (file_end > options_.segment_bytes || roll_over_) {
    std::shared_ptr<WritableSegment> spare = store_->TakeSpare();
    if (spare == nullptr) return Room::kNoSpare;
    segment_ = std::move(spare);
    roll_over_ = false;
    next_offset_ = kSegmentHeaderBytes;
    begins_segment_ = true;
    file_end = AlignUp(next_offset_ + bytes, options_.group_alignment_bytes);
  }
  if (file_end > store_->allocated_bytes()) {
    reservation->file_end = file_end;
    return Room::kNoSpace;
  }
  Buffer* buffer = &buffers_[opened_++ % buffers_.size()];
  buffer->segment = segment_;
  buffer->begins_segment = begins_segment_;
  // The header of the segment is written with its first group.
  buffer->origin = begins_segment_ ? 0 : AlignDown(next_offset_, write_unit_);
  buffer->head = next_offset_ - buffer->origin;
  buffer->end = buffer->head + kGroupHeaderBytes;
  buffer->record_count = 0;
  begins_segment_ = false;
  open_ = buffer;
  return Room::kReserved;
}

void GroupCommit::CloseBuffer() {
  if (open_ == nullptr) return;
  next_offset_ = AlignUp(open_->origin + open_->end, options_.group_alignment_bytes);
  open_ = nullptr;
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
    AwaitDrain();
    return absl::OkStatus();
  }
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
      AlignUp(kSegmentHeaderBytes + kGroupHeaderBytes + bytes, options_.group_alignment_bytes);
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

// ---- Waiting and leading

bool GroupCommit::Reached(Lsn lsn, Durability level) const {
  switch (level) {
    case Durability::kAppended:
      return lsn <= appended_lsn_.load(std::memory_order_relaxed);
    case Durability::kWritten:
      return lsn <= written_lsn_.load(std::memory_order_relaxed);
    case Durability::kDurable:
      return lsn <= durable_lsn_.load(std::memory_order_relaxed);
  }
  return false;
}

absl::Status GroupCommit::Wait(Lsn lsn, Durability level) {
  if (level == Durability::kDurable && lsn <= durable_lsn()) return absl::OkStatus();
  mutex_.Lock();
  for (;;) {
    const Lsn appended = appended_lsn_.load(std::memory_order_relaxed);
    absl::Status status;
    if (lsn > appended) {
      // An LSN that a failed log never assigned: the failure is the better answer.
      status = StatusLocked();
      if (failed_ == absl::StatusCode::kOk) {
        status = absl::OutOfRangeError(
            absl::StrCat("wait for record ", lsn, ": the last one appended is ", appended));
      }
    } else if (!Reached(lsn, level)) {
      status = StatusLocked();
      if (status.ok()) {
        Waiter waiter;
        waiter.lsn = lsn;
        waiter.level = level;
        switch (AwaitTurn(&waiter)) {
          case Waiter::kReached:
            return absl::OkStatus();
          case Waiter::kCut:
            return CutOff("wait for", lsn);
          case Waiter::kLead: {
            mutex_.Lock();
            if (level == Durability::kDurable) Gather();
            Round(/*all=*/true, level);
            // Behind HandOver() a truncation may have given the LSN to another record.
            const bool reached = Reached(lsn, level);
            HandOver(/*committers=*/level == Durability::kDurable ? 1 : 0);
            if (reached) return absl::OkStatus();
            break;
          }
          case Waiter::kFailed:
          case Waiter::kParked:
            break;
        }
        mutex_.Lock();
        continue;
      }
    }
    mutex_.Unlock();
    return status;
  }
}

Waiter::State GroupCommit::AwaitTurn(Waiter* waiter) {
  if (!leading_) {
    leading_ = true;
    mutex_.Unlock();
    return Waiter::kLead;
  }
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
  while (gathering_ && failed_ == absl::StatusCode::kOk) {
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
  return opened_ - drained_ > (open_ != nullptr ? 1u : 0u);
}

bool GroupCommit::CallbackWantsSync() const {
  return !callbacks_.empty() &&
         callbacks_.back().lsn > durable_lsn_.load(std::memory_order_relaxed);
}

bool GroupCommit::WantsSync(Durability level) const {
  if (durable_lsn_.load(std::memory_order_relaxed) ==
      written_lsn_.load(std::memory_order_relaxed)) {
    return false;
  }
  return level == Durability::kDurable || durable_waiters_ > 0 || CallbackWantsSync() ||
         (flush_at_ != Clock::time_point::max() && Clock::now() >= flush_at_);
}

void GroupCommit::Round(bool all, Durability level) {
  const Clock::time_point start = Clock::now();
  if (all) CloseBuffer();
  const uint64_t stop = opened_ - (open_ != nullptr ? 1 : 0);
  while (drained_ != stop && failed_ == absl::StatusCode::kOk) {
    Buffer* buffer = &buffers_[drained_ % buffers_.size()];
    // A segment is begun only when all of the one before is durable: then its header proves that.
    if (buffer->begins_segment &&
        durable_lsn_.load(std::memory_order_relaxed) + 1 < buffer->first_lsn && !Sync()) {
      return;
    }
    if (!Drain(buffer)) return;
  }
  if (failed_ != absl::StatusCode::kOk || !WantsSync(level) || !Sync()) return;
  round_time_ += (Clock::now() - start - round_time_) / 8;
}

bool GroupCommit::Drain(Buffer* buffer) {
  const Lsn durable = durable_lsn_.load(std::memory_order_relaxed);
  mutex_.Unlock();
  absl::Status status = WriteGroup(buffer, durable);
  mutex_.Lock();
  if (!status.ok()) Fail(status);
  // A failure elsewhere, meanwhile, holds for this group as well.
  if (failed_ != absl::StatusCode::kOk) return false;
  writing_generation_ = writing_->header.generation;
  written_end_ = AlignUp(buffer->origin + buffer->end, options_.group_alignment_bytes);
  const Lsn last_lsn = buffer->last_lsn();
  ++stats_.groups_written;
  stats_.bytes_written += AlignUp(buffer->end, write_unit_);
  buffer->segment.reset();
  ++drained_;
  if (room_waiters_ > 0) room_.NotifyAll();
  Advance(last_lsn, WritesAreDurable(options_) ? last_lsn : durable);
  return true;
}

// Seals the group and writes it, with what else is in its first and last block.
absl::Status GroupCommit::WriteGroup(Buffer* buffer, Lsn durable_lsn) {
  buffer->copies.WaitForNone();
  char* const memory = buffer->memory.data();
  const uint64_t end =
      AlignUp(buffer->origin + buffer->end, options_.group_alignment_bytes) - buffer->origin;
  const uint64_t write_end = AlignUp(end, write_unit_);
  std::memset(memory + buffer->end, 0, write_end - buffer->end);

  std::shared_ptr<WritableSegment> predecessor;
  uint64_t predecessor_end = 0;
  if (buffer->begins_segment) {
    predecessor = std::exchange(writing_, buffer->segment);
    {
      MutexLock lock(&mutex_);
      predecessor_end = written_end_;
    }
    SegmentHeader& header = writing_->header;
    header.state = SegmentState::kBegun;
    header.base_lsn = buffer->first_lsn;
    header.durable_lsn = buffer->first_lsn - 1;
    header.predecessor_generation = predecessor->header.generation;
    header.predecessor_end = predecessor_end;
    header.predecessor_digest = digest_;
    EncodeSegmentHeader(header, memory);
    digest_ = 0;
  } else {
    std::memcpy(memory, tail_block_.data(), buffer->head);
  }

  GroupHeader header;
  header.group_bytes = static_cast<uint32_t>(end - buffer->head);
  header.record_count = buffer->record_count;
  header.first_lsn = buffer->first_lsn;
  header.durable_lsn = durable_lsn;
  header.sealed_unix_micros = UnixMicros();
  const uint64_t checksum = EncodeGroupHeader(header, writing_->header.salt,
                                              buffer->origin + buffer->head, memory + buffer->head);
  absl::Status status = WriteAt(writing_->file.get(), writing_->path, buffer->origin,
                                std::string_view(memory, write_end));
  if (!status.ok()) return status;
  if (buffer->begins_segment) {
    store_->Begin(*writing_, std::move(predecessor), predecessor_end,
                  writing_->header.predecessor_digest);
  }
  digest_ = ExtendDigest(digest_, checksum);
  const uint64_t filled = end % write_unit_;
  std::memcpy(tail_block_.data(), memory + end - filled, filled);
  return absl::OkStatus();
}

bool GroupCommit::Sync() {
  const Lsn written = written_lsn_.load(std::memory_order_relaxed);
  absl::Status status;
  if (!WritesAreDurable(options_)) {
    mutex_.Unlock();
    status = SyncFile(writing_->file.get(), writing_->path, SyncKindOf(options_));
    mutex_.Lock();
    ++stats_.syncs;
  }
  if (!status.ok()) Fail(status);
  if (failed_ != absl::StatusCode::kOk) return false;
  Advance(written, written);
  return true;
}

void GroupCommit::Advance(Lsn written, Lsn durable) {
  written_lsn_.store(written, std::memory_order_release);
  durable_lsn_.store(durable, std::memory_order_release);
  if (durable != written) return;
  durable_end_ = written_end_;
  durable_generation_ = writing_generation_;
  if (flush_at_ == Clock::time_point::max()) return;
  const bool more = appended_lsn_.load(std::memory_order_relaxed) != durable;
  flush_at_ = more ? Clock::now() + std::chrono::microseconds(options_.flush_interval_micros)
                   : Clock::time_point::max();
}

void GroupCommit::Fail(const absl::Status& status) {
  if (failed_ != absl::StatusCode::kOk) return;
  failed_ = status.code();
  failure_ = absl::StrCat(status.message(), "; the log takes no more until it is reopened");
  room_.NotifyAll();
  flusher_work_.NotifyOne();
}

void GroupCommit::HandOver(uint32_t committers) {
  absl::InlinedVector<std::atomic<uint32_t>*, 128> wake;
  std::atomic<uint32_t>* leader = nullptr;
  const bool failed = failed_ != absl::StatusCode::kOk;
  // This thread, those satisfied, the next leader, and those that stay: all may be in one group.
  gather_target_ = committers;
  Waiter** link = &first_waiter_;
  while (Waiter* waiter = *link) {
    Waiter::State state = Waiter::kParked;
    if (Reached(waiter->lsn, waiter->level) && waiter->lsn != kNever) {
      state = Waiter::kReached;
    } else if (failed) {
      state = Waiter::kFailed;
    } else if (waiter->lsn != kNever && waiter->lsn > appended_lsn()) {
      state = Waiter::kCut;
    } else if (leader == nullptr) {
      state = Waiter::kLead;
      leader = &waiter->state;
    }
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
    if (state != Waiter::kLead) wake.push_back(&waiter->state);
    waiter->state.store(state, std::memory_order_release);  // it may be gone from here on
  }
  last_waiter_ = link;
  gather_target_ += durable_waiters_;
  leading_ = leader != nullptr;
  // Buffers that were filled meanwhile are the flusher's to write; but it may be one of those that
  // wait for room, in a callback.
  if (!leading_ && room_waiters_ > 0 && HasFullBuffers()) room_.NotifyAll();
  const bool callback_due = !callbacks_.empty() && callbacks_.front().lsn <= durable_lsn();
  const bool flusher_leads = !leading_ && (FlushDue() || flush_at_ != Clock::time_point::max());
  if (callback_due || flusher_leads) flusher_work_.NotifyOne();
  mutex_.Unlock();
  // The next leader first: the disk is idle until it runs.
  if (leader != nullptr) FutexWake(leader);
  for (std::atomic<uint32_t>* state : wake) FutexWake(state);
}

// ---- The flusher

absl::Status GroupCommit::Notify(Lsn lsn, Callback callback) {
  MutexLock lock(&mutex_);
  const Lsn appended = appended_lsn_.load(std::memory_order_relaxed);
  if (lsn > appended) {
    return absl::OutOfRangeError(
        absl::StrCat("notify of record ", lsn, ": the last one appended is ", appended));
  }
  if (closed_) return Closed();
  auto after = callbacks_.end();
  while (after != callbacks_.begin() && std::prev(after)->lsn > lsn) --after;
  callbacks_.insert(after, {lsn, std::move(callback)});
  flusher_work_.NotifyOne();
  return absl::OkStatus();
}

bool GroupCommit::FlushDue() const {
  if (failed_ != absl::StatusCode::kOk || closed_) return false;
  if (HasFullBuffers() || CallbackWantsSync()) return true;
  return flush_at_ != Clock::time_point::max() && Clock::now() >= flush_at_;
}

// Runs what is due; false if nothing was.
bool GroupCommit::RunCallbacks() {
  const bool failed = failed_ != absl::StatusCode::kOk;
  std::vector<Pending> due;
  while (!callbacks_.empty() && (failed || callbacks_.front().lsn <= durable_lsn())) {
    due.push_back(std::move(callbacks_.front()));
    callbacks_.pop_front();
  }
  const size_t uncut = due.size();
  std::move(cut_callbacks_.begin(), cut_callbacks_.end(), std::back_inserter(due));
  cut_callbacks_.clear();
  if (due.empty()) return false;
  const Lsn durable = durable_lsn();
  absl::Status failure = failed ? StatusLocked() : absl::OkStatus();
  mutex_.Unlock();
  for (size_t i = 0; i < due.size(); ++i) {
    Pending& pending = due[i];
    if (i >= uncut) {
      pending.callback(CutOff("notify of", pending.lsn));
    } else {
      pending.callback(pending.lsn <= durable ? absl::OkStatus() : failure);
    }
  }
  due.clear();
  mutex_.Lock();
  return true;
}

void GroupCommit::CutCallbacks(Lsn lsn) {
  auto cut = callbacks_.begin();
  while (cut != callbacks_.end() && cut->lsn <= lsn) ++cut;
  std::move(cut, callbacks_.end(), std::back_inserter(cut_callbacks_));
  callbacks_.erase(cut, callbacks_.end());
  flusher_work_.NotifyOne();
}

void GroupCommit::RunFlusher() {
  mutex_.Lock();
  while (!stop_flusher_) {
    if (RunCallbacks()) continue;
    if (!leading_ && FlushDue()) {
      leading_ = true;
      // Full buffers alone are only written; what is due for a sync includes the open one.
      const bool all = !callbacks_.empty() || Clock::now() >= flush_at_;
      Round(all, Durability::kWritten);
      HandOver(/*committers=*/0);
      mutex_.Lock();
      continue;
    }
    if (flush_at_ == Clock::time_point::max() || leading_ || failed_ != absl::StatusCode::kOk) {
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

ReadPoint GroupCommit::read_point(Durability level) const {
  MutexLock lock(&mutex_);
  if (level == Durability::kDurable) return {durable_lsn(), durable_generation_, durable_end_};
  return {written_lsn(), writing_generation_, written_end_};
}

DurablePoint GroupCommit::durable_point() const {
  MutexLock lock(&mutex_);
  return {durable_generation_, durable_lsn()};
}

absl::Status GroupCommit::status() const {
  MutexLock lock(&mutex_);
  return StatusLocked();
}

void GroupCommit::AddStats(Stats* stats) const {
  MutexLock lock(&mutex_);
  stats->appended_lsn = appended_lsn();
  stats->written_lsn = written_lsn();
  stats->durable_lsn = durable_lsn();
  stats->appended_records = stats_.appended_records;
  stats->appended_payload_bytes = stats_.appended_payload_bytes;
  stats->groups_written = stats_.groups_written;
  stats->bytes_written = stats_.bytes_written;
  stats->syncs = stats_.syncs;
  stats->buffer_full_waits = stats_.buffer_full_waits;
  stats->rollover_waits += stats_.rollover_waits;
  stats->waiters = waiters_;
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
  turn.lsn = kNever;
  const Waiter::State state = AwaitTurn(&turn);
  mutex_.Lock();
  return state == Waiter::kLead ? absl::OkStatus() : StatusLocked();
}

absl::Status GroupCommit::TruncateAfter(Lsn lsn) {
  mutex_.Lock();
  absl::Status status = TakeLead();
  if (!status.ok()) {
    mutex_.Unlock();
    return status;
  }
  truncating_ = true;
  Round(/*all=*/true, Durability::kDurable);
  status = StatusLocked();
  const Lsn appended = appended_lsn();
  const Lsn first = store_->first_lsn();
  if (status.ok() && (lsn + 1 < first || lsn > appended)) {
    status = absl::OutOfRangeError(
        absl::StrCat("truncate after record ", lsn, ": expected ", first - 1, " to ", appended));
  }
  if (status.ok() && lsn < appended) {
    mutex_.Unlock();
    absl::StatusOr<SegmentStore::Truncated> cut = store_->TruncateAfter(lsn);
    mutex_.Lock();
    status = cut.ok() ? absl::OkStatus() : cut.status();
    if (status.ok()) {
      writing_ = segment_ = cut->segment;
      digest_ = cut->digest;
      writing_generation_ = durable_generation_ = cut->segment->header.generation;
      written_end_ = durable_end_ = next_offset_ = cut->end;
      begins_segment_ = false;
      roll_over_ = false;
      durable_lsn_ = written_lsn_ = appended_lsn_ = lsn;
      CutCallbacks(lsn);
      status = StatusLocked();
    }
  }
  truncating_ = false;
  room_.NotifyAll();
  HandOver(/*committers=*/0);
  return status;
}

absl::Status GroupCommit::Close() {
  absl::Status status;
  mutex_.Lock();
  if (TakeLead().ok()) {
    closed_ = true;  // before the last round, so that it covers all that was ever accepted
    Round(/*all=*/true, Durability::kDurable);
    HandOver(/*committers=*/0);
    mutex_.Lock();
  }
  if (failed_ != absl::StatusCode::kOk) status = StatusLocked();
  closed_ = true;
  stop_flusher_ = true;
  room_.NotifyAll();
  flusher_work_.NotifyAll();
  mutex_.Unlock();
  if (flusher_.joinable()) flusher_.join();
  return status;
}

uint64_t GroupCommit::end() const {
  MutexLock lock(&mutex_);
  return written_end_;
}

uint64_t GroupCommit::digest() const { return digest_; }

}  // namespace seawall
