// SPDX-License-Identifier: Apache-2.0
#include "engine/store/segment_store.h"

#include <algorithm>
#include <utility>

namespace seawall {

SegmentStore::SegmentStore(FileSystem* fs, std::string directory, const Options& options,
                           Watermarks* marks, EventDispatcher* events)
    : fs_(fs),
      directory_(std::move(directory)),
      options_(options),
      marks_(marks),
      events_(events),
      cache_(fs,
             [this](uint64_t g) {
               MutexLock lock(&mutex_);
               return IsCurrent(g);
             }),
      budget_(options) {}

SegmentStore::~SegmentStore() { Stop(); }

std::shared_ptr<WritableSegment> SegmentStore::Start(RecoveredLog log,
                                                     SegmentStoreCallbacks callbacks) {
  callbacks_ = std::move(callbacks);
  {
    MutexLock control_lock(&control_mutex_);
    control_file_ = std::move(log.control_file);
  }
  std::shared_ptr<WritableSegment> file = std::move(log.fresh.segment);
  {
    MutexLock lock(&mutex_);
    log_id_ = log.control.log_id;
    segments_ = std::move(log.segments);
    for (size_t i = 0; i < segments_.size(); ++i) {
      budget_.Take(segments_[i].file_bytes);
      if (segments_[i].sealed()) last_sealed_ = segments_[i].generation;
    }
    const uint64_t file_bytes = log.fresh.allocated_bytes;
    budget_.Take(file_bytes);
    // Over the cap nothing is appended, into what is there neither: it is the next opening's.
    const uint64_t allocated = budget_.Over() ? log.fresh.end : file_bytes;
    prepared_.push_back({file->header.generation, file->header.salt, allocated, file, file_bytes});
    allocated_ = allocated;
    trim_due_ = options_.retain_bytes > 0 || options_.retain_micros > 0;
    first_generation_ = log.control.first_generation;
    next_generation_ = file->header.generation + 1;
  }
  thread_ = std::thread([this] { Run(); });
  return file;
}

void SegmentStore::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    work_.NotifyAll();
    progress_.NotifyAll();
    sealed_news_.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
}

// ---- The thread

void SegmentStore::Run() {
  MutexLock lock(&mutex_);
  for (;;) {
    if (MayWriteIndex()) {
      WriteIndex();
      continue;
    }
    if (stop_) break;
    Job job = paused_ ? Job::kNone : NextJob();
    if (job == Job::kNone) {
      if (trim_at_ == Clock::time_point::max()) {
        work_.Wait(&mutex_);
      } else if (Clock::now() < trim_at_) {
        work_.WaitUntil(&mutex_, trim_at_);
      } else {
        trim_at_ = Clock::time_point::max();
        trim_due_ = true;
      }
      continue;
    }
    busy_ = true;
    const bool makes_room = job == Job::kExtend || job == Job::kSpare;
    if (makes_room) ++attempts_begun_;
    if (job == Job::kTrim) trim_due_ = false;
    mutex_.Unlock();
    absl::Status status = Do(job);
    mutex_.Lock();
    busy_ = false;
    if (makes_room) {
      // With segments to trim or remove, the attempt is not over: that makes room, perhaps.
      if (status.ok() || !(HasGarbage() || trim_due_)) attempts_ended_ = attempts_begun_;
      attempt_code_ = status.code();
      attempt_message_ = std::string(status.message());
    }
    progress_.NotifyAll();
  }
}

bool SegmentStore::MayPrepare() const { return prepared_.size() < kMaxControlEntries - 1; }

// What somebody waits for comes first; work ahead of need pauses after a failure.
SegmentStore::Job SegmentStore::NextJob() const {
  if (failed_) return Job::kNone;
  const uint64_t allocated = prepared_[current_].allocated_bytes;
  const bool ahead = attempt_code_ == absl::StatusCode::kOk;
  const bool asked = ahead || asked_at_ == attempts_begun_ || attempts_ended_ < attempts_begun_;
  const bool can_extend = allocated < options_.segment_bytes;
  const bool can_prepare = Spares() == 0 && MayPrepare();
  if (!ahead && trim_due_) return Job::kTrim;
  if (!ahead && HasGarbage()) return Job::kRemove;
  if (can_extend && asked && space_waiters_ > 0 && wanted_ > allocated) return Job::kExtend;
  if (can_prepare && asked && spare_waiters_ > 0) {
    return HasGarbage() ? Job::kRemove : Job::kSpare;
  }
  const uint64_t step = NextAllocation(allocated, options_) - allocated;
  if (can_extend && ahead && fill_ + step / 2 > allocated) return Job::kExtend;
  if (trim_due_) return Job::kTrim;
  if (HasGarbage()) return Job::kRemove;
  if (can_prepare && ahead && fill_ > options_.segment_bytes / 2) return Job::kSpare;
  return Job::kNone;
}

absl::Status SegmentStore::Do(Job job) {
  switch (job) {
    case Job::kExtend:
      return Extend();
    case Job::kSpare:
      return MakeSpare();
    case Job::kTrim:
      return GiveUp();
    case Job::kRemove:
      return RemoveTrimmed();
    case Job::kNone:
      break;
  }
  return absl::OkStatus();
}

absl::Status SegmentStore::Fail(absl::Status status) {
  callbacks_.on_failure(status);
  // Only now: who waits here looks for the latched error next.
  MutexLock lock(&mutex_);
  failed_ = true;
  progress_.NotifyAll();
  return status;
}

void SegmentStore::Pause() {
  MutexLock lock(&mutex_);
  paused_ = true;
  while (busy_) progress_.Wait(&mutex_);
}

void SegmentStore::Resume() {
  MutexLock lock(&mutex_);
  paused_ = false;
  work_.NotifyAll();
}

// ---- For everybody

std::optional<SegmentRef> SegmentStore::Locate(Lsn lsn) {
  MutexLock lock(&mutex_);
  const size_t count = segments_.CountUpTo(lsn);
  if (count == 0) return std::nullopt;
  return segments_.PinnedRef(count - 1);
}

Lsn SegmentStore::first_lsn() const {
  MutexLock lock(&mutex_);
  return segments_.front().base_lsn;
}

size_t SegmentStore::truncations() const {
  MutexLock lock(&mutex_);
  return cuts_.size();
}

Lsn SegmentStore::FirstCut(size_t since) const {
  MutexLock lock(&mutex_);
  Lsn first = ~Lsn{0};
  for (size_t i = since; i < cuts_.size(); ++i) first = std::min(first, cuts_[i]);
  return first;
}

void SegmentStore::AddStats(Stats* stats) const {
  cache_.AddStats(stats);
  MutexLock lock(&mutex_);
  stats->first_lsn = segments_.front().base_lsn;
  stats->zero_bytes_written = stats_.zero_bytes_written;
  stats->rollovers = stats_.rollovers;
  stats->rollover_waits += stats_.rollover_waits;
  stats->space_waits = stats_.space_waits;
  stats->segments = segments_.size();
  stats->segments_created = stats_.segments_created;
  stats->segments_recycled = stats_.segments_recycled;
  stats->segments_unlinked = stats_.segments_unlinked;
  stats->indexes_written = stats_.indexes_written;
  stats->index_write_failures = stats_.index_write_failures;
}

ControlBlock SegmentStore::Control() const {
  const Watermarks::Durable durable = marks_->durable_state();
  ControlBlock block;
  block.log_id = log_id_;
  block.first_generation = first_generation_;
  block.tail_generation = durable.at.generation;
  block.durable_lsn = durable.at.lsn;
  block.cursor_sequence = durable.cursor_sequence;
  for (const Prepared& prepared : prepared_) {
    block.entries.push_back({prepared.generation, prepared.salt, prepared.allocated_bytes});
  }
  return block;
}

absl::Status SegmentStore::WriteControl() {
  ControlBlock block;
  {
    MutexLock lock(&mutex_);
    block = Control();
  }
  absl::Status status = control_file_->Write(block);
  return status.ok() ? status : Fail(status);
}

absl::Status SegmentStore::MarkClosed(uint64_t digest) {
  MutexLock control_lock(&control_mutex_);
  ControlBlock block;
  {
    MutexLock lock(&mutex_);
    block = Control();
    // Spares hold nothing; their loss is none.
    block.entries.resize(1);
  }
  block.closed = true;
  block.closed_end = marks_->durable().end;
  block.closed_digest = digest;
  // Into two slots, so that damage to one of them leaves the word.
  absl::Status status = control_file_->Write(block);
  return status.ok() ? control_file_->Write(block) : status;
}

}  // namespace seawall
