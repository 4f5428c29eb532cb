// SPDX-License-Identifier: Apache-2.0
#include "engine/store/preallocator.h"

#include <algorithm>
#include <utility>

#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/segments/spare_segment.h"

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
Preallocator::Extension Preallocator::PlanExtension() {
  const Options& options = state_->options;
  PreparedSegments& prepared = state_->prepared;
  const Prepared& current = prepared.current();
  Extension extension;
  extension.file = current.file;
  extension.from = current.allocated_bytes;
  extension.wanted = std::max(extension.from, prepared.wanted());
  extension.to = NextAllocation(extension.from, options);
  while (extension.to < std::min(extension.wanted, options.segment_bytes)) {
    extension.to = NextAllocation(extension.to, options);
  }
  const uint64_t left = extension.from - std::min(extension.from, prepared.fill());
  const bool writer_is_faster = zero_rate_.WriterIsFaster(Clock::now(), prepared.filled(), left,
                                                          extension.to - extension.from);
  extension.in_hurry = extension.wanted > extension.from || writer_is_faster;
  if (extension.in_hurry) {
    extension.to =
        std::max(extension.to, std::min(extension.from + kHurriedStepBytes, options.segment_bytes));
  }
  state_->trash.ForgetClosed(&state_->budget);
  const uint64_t room = AlignDown(state_->budget.Room(), kBlockBytes);
  if (state_->budget.Over()) {
    extension.to = extension.from;
  } else if (room < options.segment_bytes) {
    extension.to = std::min(extension.to, std::max(extension.from, current.file_bytes + room));
  }
  return extension;
}

absl::Status Preallocator::Lengthen(Extension* extension) {
  // Synchronous writes through a handle of their own: fdatasync here would also cover records that
  // the committing thread has written, and if it failed, that thread's own sync might succeed on
  // pages that are marked clean and gone.
  const std::string& path = extension->file->path;
  OpenOptions open = WriteOpenOptions(state_->options);
  open.data_sync = true;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(state_->fs, path, open);
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
  const uint64_t bytes = extension->to - extension->from;
  const Clock::time_point start = Clock::now();
  absl::Status status = WriteZeros(file->get(), path, extension->from, extension->to);
  MutexLock lock(&state_->mutex);
  state_->stats.zero_bytes_written += bytes;
  zero_rate_.NoteZeros(bytes, Clock::now() - start);
  return status;
}

absl::Status Preallocator::Extend() {
  Extension extension;
  {
    MutexLock lock(&state_->mutex);
    extension = PlanExtension();
    const uint64_t least =
        std::min(AlignUp(extension.wanted, kBlockBytes), state_->options.segment_bytes);
    if (extension.to <= extension.from || extension.to < least) {
      return RefuseAtCap(std::max(least, extension.from + kBlockBytes) - extension.from);
    }
    stalled_ = false;
    Prepared& current = *state_->prepared.Find(extension.file.get());
    if (extension.to > current.file_bytes) {
      state_->budget.Take(extension.to - current.file_bytes);
      current.file_bytes = extension.to;
    }
  }
  const uint64_t planned = extension.to;
  absl::Status status = Lengthen(&extension);
  if (!status.ok() || extension.to != planned) Recount(extension.file.get());
  if (!status.ok()) return state_->RefuseOrFail(status);
  MutexLock control_lock(&state_->control_mutex);
  {
    MutexLock lock(&state_->mutex);
    // It may have been sealed or cut off meanwhile.
    Prepared* prepared = state_->prepared.Find(extension.file.get());
    if (prepared != nullptr) prepared->allocated_bytes = extension.to;
  }
  // The writer may fill what CONTROL knows of: a file that is shorter after a crash is noticed
  // then.
  status = state_->WriteControl();
  if (!status.ok()) return status;
  MutexLock lock(&state_->mutex);
  if (state_->prepared.current().file == extension.file) state_->allocated = extension.to;
  return absl::OkStatus();
}

absl::Status Preallocator::MakeSpare() {
  uint64_t generation;
  const uint64_t bytes = NextAllocation(0, state_->options);
  {
    MutexLock lock(&state_->mutex);
    state_->trash.ForgetClosed(&state_->budget);
    if (!state_->budget.TryTake(bytes)) return RefuseAtCap(bytes);
    stalled_ = false;
    generation = state_->next_generation++;
  }
  const std::string path = JoinPath(state_->directory, SegmentName(generation));
  uint64_t allocated_bytes = 0;
  auto file = CreateSpare(state_->fs, state_->directory, state_->options, state_->log_id,
                          generation, &allocated_bytes);
  if (!file.ok()) {
    state_->GiveBack(path, bytes);
    return state_->RefuseOrFail(file.status());
  }
  absl::Status status = SyncDirectory(state_->fs, state_->directory);
  if (!status.ok()) {
    state_->fs->Unlink(path);  // best effort: what is left over, the next open removes
    state_->GiveBack(path, bytes);
    return state_->RefuseOrFail(status);
  }
  {
    MutexLock lock(&state_->mutex);
    ++state_->stats.segments_created;
    state_->stats.zero_bytes_written += allocated_bytes;
  }
  return state_->ListSpare({std::move(*file), allocated_bytes, bytes});
}

void Preallocator::Recount(const WritableSegment* file) {
  FileInfo info;
  if (state_->fs->Stat(file->path, &info) != 0) return;
  MutexLock lock(&state_->mutex);
  Prepared* prepared = state_->prepared.Find(file);
  if (prepared == nullptr) return;
  state_->budget.Give(prepared->file_bytes);
  state_->budget.Take(info.bytes);
  prepared->file_bytes = info.bytes;
}

absl::Status Preallocator::RefuseAtCap(uint64_t bytes) {
  absl::Status refusal = state_->budget.Refusal(state_->directory, bytes);
  if (state_->prepared.HasWaiters() && !std::exchange(stalled_, true) &&
      state_->events != nullptr) {
    state_->events->Post(LogEventKind::kRetentionStall, 0, refusal);
  }
  return refusal;
}

// ---- For the writer

uint64_t Preallocator::NoteFill(uint64_t end) {
  const uint64_t from = state_->note_from.load(std::memory_order_relaxed);
  if (end < from) return from;
  MutexLock lock(&state_->mutex);
  state_->prepared.NoteFill(end);
  // Steps are no smaller than this, so that the thread is told in time and not for each record.
  const uint64_t next =
      end + std::min<uint64_t>(state_->options.segment_bytes / 16, uint64_t{64} << 10);
  state_->note_from.store(next, std::memory_order_relaxed);
  if (!state_->thread.busy && state_->NextJob() != StoreJob::kNone) state_->work.NotifyOne();
  return next;
}

absl::Status Preallocator::AwaitAttempt(uint64_t asked) {
  state_->progress.Wait(&state_->mutex);
  if (state_->thread.stop) return absl::FailedPreconditionError("the log is being closed");
  return state_->attempts.ResultSince(asked);
}

absl::Status Preallocator::WaitForSpace(uint64_t generation, uint64_t end) {
  MutexLock lock(&state_->mutex);
  auto lacking = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex) {
    return !state_->thread.failed && state_->prepared.current().generation() == generation &&
           allocated_bytes() < end;
  };
  if (!lacking()) return absl::OkStatus();
  ++state_->stats.space_waits;
  state_->prepared.AddSpaceWaiter(end);
  state_->work.NotifyOne();
  const uint64_t asked = state_->attempts.Ask();
  absl::Status status;
  while (status.ok() && lacking()) status = AwaitAttempt(asked);
  state_->prepared.RemoveSpaceWaiter();
  return status;
}

bool Preallocator::HasSpare(uint64_t bytes) const {
  MutexLock lock(&state_->mutex);
  const Prepared* spare = state_->prepared.next_spare();
  return spare != nullptr && spare->allocated_bytes >= bytes;
}

bool Preallocator::AwaitsBegin() const {
  MutexLock lock(&state_->mutex);
  return !state_->prepared.MayAdd();
}

std::shared_ptr<WritableSegment> Preallocator::TakeSpare() {
  MutexLock lock(&state_->mutex);
  if (state_->prepared.next_spare() == nullptr) return nullptr;
  state_->prepared.TakeSpare();
  ++state_->stats.rollovers;
  state_->progress.NotifyAll();
  state_->ShowCurrent();
  state_->work.NotifyOne();
  return state_->prepared.current().file;
}

absl::Status Preallocator::WaitForSpare(uint64_t generation) {
  MutexLock lock(&state_->mutex);
  auto lacking = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex) {
    return !state_->thread.failed && state_->prepared.current().generation() == generation &&
           state_->prepared.next_spare() == nullptr;
  };
  if (!lacking()) return absl::OkStatus();
  ++state_->stats.rollover_waits;
  if (state_->prepared.AddSpareWaiter()) spare_wait_began_ = Clock::now();
  state_->work.NotifyOne();
  const uint64_t asked = state_->attempts.Ask();
  absl::Status status;
  while (status.ok() && lacking()) status = AwaitAttempt(asked);
  if (state_->prepared.RemoveSpareWaiter() && state_->events != nullptr) {
    const auto micros =
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - spare_wait_began_);
    state_->events->Post(LogEventKind::kRolloverWait, static_cast<uint64_t>(micros.count()),
                         status);
  }
  return status;
}

void Preallocator::Begin(const WritableSegment& segment,
                         std::shared_ptr<WritableSegment> predecessor, uint64_t predecessor_end,
                         uint64_t predecessor_digest) {
  MutexLock lock(&state_->mutex);
  SegmentList& segments = state_->segments;
  const size_t last = segments.size() - 1;
  segments.EndLast(segment.header.base_lsn - 1, predecessor_end, predecessor_digest);
  segments.SetFileBytes(last, state_->prepared.front().file_bytes);
  segments.SetNewest(last, state_->clock.Now());
  SegmentRef sealed = segments.Ref(last);
  segments.PushBack(RefOf(segment));
  // The one before is sealed: it needs no entry in CONTROL any more.
  state_->prepared.PopSealed();
  const Options& options = state_->options;
  if (options.retain_bytes > 0 || options.retain_micros > 0) state_->trim.due = true;
  state_->sealed.unindexed.push_back({std::move(sealed), std::move(predecessor)});
  state_->work.NotifyOne();
}

void Preallocator::NoteDurable() {
  MutexLock lock(&state_->mutex);
  state_->trim.NoteSync();
  if (!state_->thread.busy && (state_->trim.due || state_->MayWriteIndex()))
    state_->work.NotifyOne();
}

}  // namespace seawall
