// SPDX-License-Identifier: Apache-2.0
// The part of SegmentStore that makes room for the writer: zeros ahead, spares, and waiting for
// them.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/segments/spare_segment.h"
#include "engine/store/segment_store.h"

namespace seawall {
namespace {

// What a writer in a hurry gets at once: few waits for it, and little that is not zeros when the
// hurry is over.
constexpr uint64_t kHurriedStepBytes = uint64_t{16} << 20;

}  // namespace

// ---- The thread

// Zeros make the commits that follow cheap: the file system has nothing to note but the data. A
// writer that is faster than they are written would wait for them, and pay for each byte twice; it
// gets space by fallocate(2), where the first write of a block costs a note in the journal, which
// few large writes do not feel.
SegmentStore::Extension SegmentStore::PlanExtension() {
  const Prepared& current = prepared_[current_];
  Extension extension;
  extension.file = current.file;
  extension.from = extension.wanted = current.allocated_bytes;
  extension.to = NextAllocation(extension.from, options_);
  if (space_waiters_ > 0) extension.wanted = std::max(extension.wanted, wanted_);
  while (extension.to < std::min(extension.wanted, options_.segment_bytes)) {
    extension.to = NextAllocation(extension.to, options_);
  }
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - planned_at_).count();
  const double filled = static_cast<double>(filled_before_ + fill_ - planned_fill_);
  const double zeros = static_cast<double>(extension.to - extension.from) * zero_seconds_per_byte_;
  const double left = static_cast<double>(extension.from - std::min(extension.from, fill_));
  // left / (filled / seconds) < zeros
  extension.in_hurry = extension.wanted > extension.from || left * seconds < zeros * filled;
  planned_at_ = now;
  planned_fill_ = filled_before_ + fill_;
  if (extension.in_hurry) {
    extension.to = std::max(extension.to,
                            std::min(extension.from + kHurriedStepBytes, options_.segment_bytes));
  }
  ForgetClosedPins();
  const uint64_t room = AlignDown(budget_.Room(), kBlockBytes);
  if (budget_.Over()) {
    extension.to = extension.from;
  } else if (room < options_.segment_bytes) {
    extension.to = std::min(extension.to, std::max(extension.from, current.file_bytes + room));
  }
  return extension;
}

absl::Status SegmentStore::Lengthen(Extension* extension) {
  // Synchronous writes through a handle of their own: fdatasync here would also cover records that
  // the committing thread has written, and if it failed, that thread's own sync might succeed on
  // pages that are marked clean and gone.
  const std::string& path = extension->file->path;
  OpenOptions open = WriteOpenOptions(options_);
  open.data_sync = true;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, path, open);
  if (!file.ok()) return file.status();
  if (extension->in_hurry) {
    absl::Status status = AllocateZeros(file->get(), path, extension->from, extension->to);
    const uint64_t least = AlignUp(extension->wanted, kBlockBytes);
    if (absl::IsResourceExhausted(status) && least > extension->from && least < extension->to) {
      // What is left of the disk may still do for those that wait.
      extension->to = least;
      status = AllocateZeros(file->get(), path, extension->from, extension->to);
    }
    if (!absl::IsUnimplemented(status)) return status;
    extension->in_hurry = false;
  }
  const Clock::time_point start = Clock::now();
  absl::Status status = WriteZeros(file->get(), path, extension->from, extension->to);
  MutexLock lock(&mutex_);
  stats_.zero_bytes_written += extension->to - extension->from;
  zero_seconds_per_byte_ = std::chrono::duration<double>(Clock::now() - start).count() /
                           static_cast<double>(extension->to - extension->from);
  return status;
}

absl::Status SegmentStore::Extend() {
  Extension extension;
  {
    MutexLock lock(&mutex_);
    extension = PlanExtension();
    const uint64_t least = std::min(AlignUp(extension.wanted, kBlockBytes), options_.segment_bytes);
    if (extension.to <= extension.from || extension.to < least) {
      return RefuseAtCap(std::max(least, extension.from + kBlockBytes) - extension.from);
    }
    stalled_ = false;
    Prepared& current = prepared_[current_];
    if (extension.to > current.file_bytes) {
      budget_.Take(extension.to - current.file_bytes);
      current.file_bytes = extension.to;
    }
  }
  const uint64_t planned = extension.to;
  absl::Status status = Lengthen(&extension);
  if (!status.ok() || extension.to != planned) Recount(extension.file.get());
  if (!status.ok()) return RefuseOrFail(status);
  MutexLock control_lock(&control_mutex_);
  {
    MutexLock lock(&mutex_);
    for (Prepared& prepared : prepared_) {
      if (prepared.file == extension.file) prepared.allocated_bytes = extension.to;
    }
  }
  status = WriteControl();
  if (!status.ok()) return status;
  MutexLock lock(&mutex_);
  if (prepared_[current_].file == extension.file) allocated_ = extension.to;
  return absl::OkStatus();
}

absl::Status SegmentStore::MakeSpare() {
  uint64_t generation;
  LogId log_id;
  const uint64_t bytes = NextAllocation(0, options_);
  {
    MutexLock lock(&mutex_);
    ForgetClosedPins();
    if (!budget_.TryTake(bytes)) return RefuseAtCap(bytes);
    stalled_ = false;
    generation = next_generation_++;
    log_id = log_id_;
  }
  const std::string path = JoinPath(directory_, SegmentName(generation));
  uint64_t allocated_bytes = 0;
  auto file = CreateSpare(fs_, directory_, options_, log_id, generation, &allocated_bytes);
  if (!file.ok()) {
    GiveBack(path, bytes);
    return RefuseOrFail(file.status());
  }
  absl::Status status = SyncDirectory(fs_, directory_);
  if (!status.ok()) {
    fs_->Unlink(path);  // best effort: what is left over, the next open removes
    GiveBack(path, bytes);
    return RefuseOrFail(status);
  }
  {
    MutexLock lock(&mutex_);
    ++stats_.segments_created;
    stats_.zero_bytes_written += allocated_bytes;
  }
  return AddSpare(std::move(*file), allocated_bytes, bytes);
}

// A spare may be taken when CONTROL lists it: from then on its loss is noticed.
absl::Status SegmentStore::AddSpare(std::unique_ptr<WritableSegment> file, uint64_t allocated_bytes,
                                    uint64_t file_bytes) {
  MutexLock control_lock(&control_mutex_);
  ControlBlock block;
  Prepared spare{file->header.generation, file->header.salt, allocated_bytes, std::move(file),
                 file_bytes};
  {
    MutexLock lock(&mutex_);
    block = Control();
  }
  block.entries.push_back({spare.generation, spare.salt, spare.allocated_bytes});
  absl::Status status = control_file_->Write(block);
  if (!status.ok()) return Fail(status);
  MutexLock lock(&mutex_);
  prepared_.push_back(std::move(spare));
  return absl::OkStatus();
}

void SegmentStore::GiveBack(const std::string& path, uint64_t taken) {
  FileInfo info;
  if (fs_->Stat(path, &info) != ENOENT) return;
  MutexLock lock(&mutex_);
  budget_.Give(taken);
}

void SegmentStore::Recount(const WritableSegment* file) {
  FileInfo info;
  if (fs_->Stat(file->path, &info) != 0) return;
  MutexLock lock(&mutex_);
  for (Prepared& prepared : prepared_) {
    if (prepared.file.get() != file) continue;
    budget_.Give(prepared.file_bytes);
    budget_.Take(info.bytes);
    prepared.file_bytes = info.bytes;
  }
}

// Nothing that was accepted depends on it, so a lack of space (of any kind) is only refused.
absl::Status SegmentStore::RefuseAtCap(uint64_t bytes) {
  absl::Status refusal = budget_.Refusal(directory_, bytes);
  if (space_waiters_ + spare_waiters_ > 0 && !stalled_) {
    stalled_ = true;
    if (events_ != nullptr) events_->Post(LogEventKind::kRetentionStall, 0, refusal);
  }
  return refusal;
}

absl::Status SegmentStore::RefuseOrFail(absl::Status status) {
  return absl::IsResourceExhausted(status) ? status : Fail(std::move(status));
}

// ---- For the writer

uint64_t SegmentStore::NoteFill(uint64_t end) {
  const uint64_t from = note_from_.load(std::memory_order_relaxed);
  if (end < from) return from;
  MutexLock lock(&mutex_);
  fill_ = std::max(fill_, end);
  // Steps are no smaller than this, so that the thread is told in time and not for each record.
  const uint64_t next = end + std::min<uint64_t>(options_.segment_bytes / 16, uint64_t{64} << 10);
  note_from_.store(next, std::memory_order_relaxed);
  if (!busy_ && NextJob() != Job::kNone) work_.NotifyOne();
  return next;
}

absl::Status SegmentStore::AwaitAttempt(uint64_t seen) {
  progress_.Wait(&mutex_);
  if (stop_) return absl::FailedPreconditionError("the log is being closed");
  if (attempts_ended_ <= seen || attempt_code_ == absl::StatusCode::kOk) return absl::OkStatus();
  return absl::Status(attempt_code_, attempt_message_);
}

absl::Status SegmentStore::WaitForSpace(uint64_t generation, uint64_t end) {
  MutexLock lock(&mutex_);
  auto lacking = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !failed_ && prepared_[current_].generation == generation && allocated_bytes() < end;
  };
  if (!lacking()) return absl::OkStatus();
  ++stats_.space_waits;
  ++space_waiters_;
  wanted_ = std::max(wanted_, end);
  work_.NotifyOne();
  const uint64_t seen = asked_at_ = attempts_begun_;
  absl::Status status;
  while (status.ok() && lacking()) status = AwaitAttempt(seen);
  if (--space_waiters_ == 0) wanted_ = 0;
  return status;
}

bool SegmentStore::HasSpare(uint64_t bytes) const {
  MutexLock lock(&mutex_);
  return Spares() > 0 && prepared_[current_ + 1].allocated_bytes >= bytes;
}

bool SegmentStore::AwaitsBegin() const {
  MutexLock lock(&mutex_);
  return !MayPrepare();
}

std::shared_ptr<WritableSegment> SegmentStore::TakeSpare() {
  MutexLock lock(&mutex_);
  if (Spares() == 0) return nullptr;
  ++current_;
  ++stats_.rollovers;
  filled_before_ += std::exchange(fill_, 0);
  wanted_ = 0;  // those who wait for the old one's find that it is not current any more
  progress_.NotifyAll();
  allocated_ = prepared_[current_].allocated_bytes;
  note_from_ = 0;
  work_.NotifyOne();
  return prepared_[current_].file;
}

absl::Status SegmentStore::WaitForSpare(uint64_t generation) {
  MutexLock lock(&mutex_);
  auto lacking = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !failed_ && prepared_[current_].generation == generation && Spares() == 0;
  };
  if (!lacking()) return absl::OkStatus();
  ++stats_.rollover_waits;
  if (spare_waiters_++ == 0) spare_wait_began_ = Clock::now();
  work_.NotifyOne();
  const uint64_t seen = asked_at_ = attempts_begun_;
  absl::Status status;
  while (status.ok() && lacking()) status = AwaitAttempt(seen);
  if (--spare_waiters_ == 0 && events_ != nullptr) {
    const auto micros =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - spare_wait_began_);
    events_->Post(LogEventKind::kRolloverWait, static_cast<uint64_t>(micros.count()), status);
  }
  return status;
}

void SegmentStore::Begin(const WritableSegment& segment,
                         std::shared_ptr<WritableSegment> predecessor, uint64_t predecessor_end,
                         uint64_t predecessor_digest) {
  MutexLock lock(&mutex_);
  const size_t last = segments_.size() - 1;
  segments_.EndLast(segment.header.base_lsn - 1, predecessor_end, predecessor_digest);
  segments_.SetFileBytes(last, prepared_.front().file_bytes);
  segments_.SetNewest(last, clock_.Now());
  SegmentRef sealed = segments_.Ref(last);
  segments_.PushBack(RefOf(segment));
  // The one before is sealed: it needs no entry in CONTROL any more.
  prepared_.pop_front();
  --current_;
  if (options_.retain_bytes > 0 || options_.retain_micros > 0) trim_due_ = true;
  sealed_.push_back({std::move(sealed), std::move(predecessor)});
  work_.NotifyOne();
}

}  // namespace seawall
