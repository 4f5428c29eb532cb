// SPDX-License-Identifier: Apache-2.0
#include "engine/store/store_state.h"

#include <cerrno>
#include <optional>
#include <utility>

#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {

StoreState::StoreState(FileSystem* fs_in, std::string directory_in, const Options& options_in,
                       Watermarks* marks_in, EventDispatcher* events_in)
    : fs(fs_in),
      directory(std::move(directory_in)),
      options(options_in),
      marks(marks_in),
      events(events_in),
      cache(fs,
            [this](uint64_t generation) {
              MutexLock lock(&mutex);
              return IsCurrent(generation);
            }),
      budget(options) {}

// What somebody waits for comes first; work ahead of need pauses after a failure.
StoreJob StoreState::NextJob() const {
  if (thread.failed) return StoreJob::kNone;
  const uint64_t allocated_bytes = prepared.current().allocated_bytes;
  const bool ahead = attempts.ok();
  const bool asked = attempts.owed();
  const bool can_extend = allocated_bytes < options.segment_bytes;
  const bool can_prepare = prepared.spares() == 0 && prepared.MayAdd();
  const bool garbage = trash.HasFiles();
  if (!ahead && trim.due) return StoreJob::kTrim;
  if (!ahead && garbage) return StoreJob::kRemove;
  if (can_extend && asked && prepared.wanted() > allocated_bytes) return StoreJob::kExtend;
  if (can_prepare && asked && prepared.spare_waiters() > 0) {
    return garbage ? StoreJob::kRemove : StoreJob::kSpare;
  }
  const uint64_t fill = prepared.fill();
  const uint64_t step = NextAllocation(allocated_bytes, options) - allocated_bytes;
  if (can_extend && ahead && fill + step / 2 > allocated_bytes) return StoreJob::kExtend;
  if (trim.due) return StoreJob::kTrim;
  if (garbage) return StoreJob::kRemove;
  if (can_prepare && ahead && fill > options.segment_bytes / 2) return StoreJob::kSpare;
  return StoreJob::kNone;
}

// Not before a sync covers the header of the next segment: until then it is not certain that this
// one ends where it does.
bool StoreState::MayWriteIndex() const {
  return !sealed.unindexed.empty() && !thread.paused && !thread.failed &&
         sealed.unindexed.front().segment.generation < marks->durable().generation;
}

void StoreState::ShowCurrent() {
  allocated = prepared.current().allocated_bytes;
  note_from = 0;
}

ControlBlock StoreState::Control() const {
  const Watermarks::Durable durable = marks->durable_state();
  ControlBlock block;
  block.log_id = log_id;
  block.first_generation = first_generation;
  block.tail_generation = durable.at.generation;
  block.durable_lsn = durable.at.lsn;
  block.cursor_sequence = durable.cursor_sequence;
  block.metadata = metadata;
  for (size_t i = 0; i < prepared.size(); ++i) {
    block.entries.push_back(
        {prepared[i].generation(), prepared[i].salt(), prepared[i].allocated_bytes});
  }
  return block;
}

absl::Status StoreState::WriteControl() {
  ControlBlock block;
  {
    MutexLock lock(&mutex);
    block = Control();
  }
  absl::Status status = control_file->Write(block);
  return status.ok() ? status : Fail(status);
}

absl::Status StoreState::ListSpare(Prepared spare) {
  MutexLock control_lock(&control_mutex);
  ControlBlock block;
  {
    MutexLock lock(&mutex);
    block = Control();
  }
  block.entries.push_back({spare.generation(), spare.salt(), spare.allocated_bytes});
  absl::Status status = control_file->Write(block);
  if (!status.ok()) return Fail(status);
  MutexLock lock(&mutex);
  prepared.AddSpare(std::move(spare));
  return absl::OkStatus();
}

absl::Status StoreState::Fail(absl::Status status) {
  callbacks.on_failure(status);
  // Only now: a waiter that finds this asks for the sticky error next.
  MutexLock lock(&mutex);
  thread.failed = true;
  progress.NotifyAll();
  return status;
}

absl::Status StoreState::RefuseOrFail(absl::Status status) {
  return absl::IsResourceExhausted(status) ? status : Fail(std::move(status));
}

void StoreState::GiveBack(const std::string& path, uint64_t taken) {
  FileInfo info;
  if (fs->Stat(path, &info) != ENOENT) return;
  MutexLock lock(&mutex);
  budget.Give(taken);
}

absl::Status StoreState::Unlink(std::vector<Trash::File> files) {
  std::vector<std::string> names;
  for (const Trash::File& file : files) {
    names.insert(names.end(), file.names.begin(), file.names.end());
  }
  // An open file of the cache would keep the blocks.
  for (const std::string& name : names) {
    if (std::optional<uint64_t> generation = ParseSegmentName(name)) cache.Forget(*generation);
  }
  absl::Status status = RemoveFiles(fs, directory, names);
  for (Trash::File& file : files) {
    bool there = false;
    FileInfo info;
    for (const std::string& name : file.names) {
      there = there || (!status.ok() && fs->Stat(JoinPath(directory, name), &info) != ENOENT);
    }
    if (there) continue;  // and counts, until the next open removes it
    MutexLock lock(&mutex);
    ++stats.segments_unlinked;
    if (file.pins.expired()) {
      budget.Give(file.file_bytes);
    } else {
      trash.AddPinned(std::move(file));
    }
  }
  return status;
}

}  // namespace seawall
