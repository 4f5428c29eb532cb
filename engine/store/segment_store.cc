// SPDX-License-Identifier: Apache-2.0
#include "engine/store/segment_store.h"

#include <algorithm>
#include <utility>

namespace seawall {

SegmentStore::SegmentStore(FileSystem* fs, std::string directory, const Options& options,
                           Watermarks* marks, EventDispatcher* events)
    : state_(fs, std::move(directory), options, marks, events) {}

SegmentStore::~SegmentStore() { Stop(); }

std::shared_ptr<WritableSegment> SegmentStore::Start(RecoveredLog log,
                                                     SegmentStoreCallbacks callbacks) {
  state_.callbacks = std::move(callbacks);
  state_.log_id = log.control.log_id;
  {
    MutexLock control_lock(&state_.control_mutex);
    state_.control_file = std::move(log.control_file);
  }
  std::shared_ptr<WritableSegment> file = std::move(log.fresh.segment);
  {
    MutexLock lock(&state_.mutex);
    state_.segments = std::move(log.segments);
    for (size_t i = 0; i < state_.segments.size(); ++i) {
      const SegmentEntry& segment = state_.segments[i];
      state_.budget.Take(segment.file_bytes);
      if (segment.sealed()) state_.sealed.last = segment.generation;
    }
    const uint64_t file_bytes = log.fresh.allocated_bytes;
    state_.budget.Take(file_bytes);
    // Over the cap nothing is appended, into what is there neither: it is the next opening's.
    const uint64_t allocated = state_.budget.Over() ? log.fresh.end : file_bytes;
    state_.prepared.Restart({file, allocated, file_bytes});
    state_.ShowCurrent();
    state_.trim.due = state_.options.retain_bytes > 0 || state_.options.retain_micros > 0;
    state_.metadata = log.control.metadata;
    state_.first_generation = log.control.first_generation;
    state_.next_generation = file->header.generation + 1;
  }
  thread_ = std::thread([this] { Run(); });
  return file;
}

void SegmentStore::Stop() {
  {
    MutexLock lock(&state_.mutex);
    state_.thread.stop = true;
    state_.work.NotifyAll();
    state_.progress.NotifyAll();
    state_.sealed_news.NotifyAll();
  }
  if (thread_.joinable()) thread_.join();
  // Whoever trims and closes has the space then, and need not open the log once more for it.
  retention_.EmptyTrash();
}

// ---- The thread

void SegmentStore::Run() {
  MutexLock lock(&state_.mutex);
  for (;;) {
    const bool index = state_.MayWriteIndex();  // before it stops, too
    if (!index && state_.thread.stop) break;
    const StoreJob job = index                  ? StoreJob::kIndex
                         : state_.thread.paused ? StoreJob::kNone
                                                : state_.NextJob();
    if (job == StoreJob::kNone) {
      AwaitWork();
      continue;
    }
    const bool makes_room = job == StoreJob::kExtend || job == StoreJob::kSpare;
    if (makes_room) state_.attempts.Begin();
    if (job == StoreJob::kTrim) state_.trim.due = false;
    // Without the mutex, as a job is system calls; `busy` keeps a truncation out meanwhile.
    state_.thread.busy = true;
    state_.mutex.Unlock();
    absl::Status status = Do(job);
    state_.mutex.Lock();
    state_.thread.busy = false;
    if (makes_room) {
      // With segments to trim or remove, the attempt is not over: that makes room, perhaps.
      const bool more = state_.trash.HasFiles() || state_.trim.due;
      state_.attempts.End(status, /*over=*/status.ok() || !more);
    }
    state_.progress.NotifyAll();
  }
}

void SegmentStore::AwaitWork() {
  TrimState& trim = state_.trim;
  if (trim.at == Clock::time_point::max()) {
    state_.work.Wait(&state_.mutex);
  } else if (Clock::now() < trim.at) {
    state_.work.WaitUntil(&state_.mutex, trim.at);
  } else {
    trim.at = Clock::time_point::max();
    trim.due = true;
  }
}

absl::Status SegmentStore::Do(StoreJob job) {
  switch (job) {
    case StoreJob::kIndex:
      sealer_.WriteIndex();
      break;
    case StoreJob::kExtend:
      return preallocator_.Extend();
    case StoreJob::kSpare:
      return preallocator_.MakeSpare();
    case StoreJob::kTrim:
      return retention_.Trim();
    case StoreJob::kRemove:
      return retention_.RemoveTrimmed();
    case StoreJob::kNone:
      break;
  }
  return absl::OkStatus();
}

// ---- For readers

std::optional<SegmentRef> SegmentStore::Locate(Lsn lsn) {
  MutexLock lock(&state_.mutex);
  const size_t count = state_.segments.CountUpTo(lsn);
  if (count == 0) return std::nullopt;
  return state_.segments.PinnedRef(count - 1);
}

Lsn SegmentStore::first_lsn() const {
  MutexLock lock(&state_.mutex);
  return state_.segments.front().base_lsn;
}

size_t SegmentStore::truncations() const {
  MutexLock lock(&state_.mutex);
  return state_.cuts.size();
}

Lsn SegmentStore::FirstCut(size_t since) const {
  MutexLock lock(&state_.mutex);
  Lsn first = ~Lsn{0};
  for (size_t i = since; i < state_.cuts.size(); ++i) first = std::min(first, state_.cuts[i]);
  return first;
}

void SegmentStore::AddStats(Stats* stats) const {
  state_.cache.AddStats(stats);
  MutexLock lock(&state_.mutex);
  Stats& counted = state_.stats;
  stats->first_lsn = state_.segments.front().base_lsn;
  stats->zero_bytes_written = counted.zero_bytes_written;
  stats->rollovers = counted.rollovers;
  stats->rollover_waits += counted.rollover_waits;
  stats->space_waits = counted.space_waits;
  stats->segments = state_.segments.size();
  stats->segments_created = counted.segments_created;
  stats->segments_recycled = counted.segments_recycled;
  stats->segments_unlinked = counted.segments_unlinked;
  stats->indexes_written = counted.indexes_written;
  stats->index_write_failures = counted.index_write_failures;
}

// ---- Metadata

absl::Status SegmentStore::SetMetadata(std::string_view metadata) {
  MutexLock control_lock(&state_.control_mutex);
  ControlBlock block;
  {
    MutexLock lock(&state_.mutex);
    block = state_.Control();
  }
  block.metadata = std::string(metadata);
  // Into all slots: whichever is damaged later, no older metadata come back. And a Seawall that
  // does not know metadata finds no slot that it takes for the newest.
  absl::Status status = state_.control_file->WriteAll(block);
  if (!status.ok()) return state_.Fail(status);
  // What is shown is durable.
  MutexLock lock(&state_.mutex);
  state_.metadata = std::move(block.metadata);
  return absl::OkStatus();
}

std::string SegmentStore::metadata() const {
  MutexLock lock(&state_.mutex);
  return state_.metadata;
}

// ---- Closing

absl::Status SegmentStore::MarkClosed(uint64_t digest) {
  MutexLock control_lock(&state_.control_mutex);
  ControlBlock block;
  {
    MutexLock lock(&state_.mutex);
    block = state_.Control();
    // Spares hold nothing; their loss is none.
    block.entries.resize(1);
  }
  block.closed = true;
  block.closed_end = state_.marks->durable().end;
  block.closed_digest = digest;
  // Into two slots, so that damage to one of them leaves what it says.
  absl::Status status = state_.control_file->Write(block);
  return status.ok() ? state_.control_file->Write(block) : status;
}

}  // namespace seawall
