// The part of SegmentStore that gives up records at the front: holds, trimming, and what becomes of
// the files.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/segment_store.h"

namespace seawall {

absl::Status SegmentStore::SetHold(HoldKind kind, const std::string& name, Lsn lsn) {
  MutexLock lock(&mutex_);
  const Lsn first = segments_.empty() ? 0 : segments_[giving_up_].base_lsn;
  if (lsn < first) {
    return absl::OutOfRangeError(absl::StrCat("hold record ", lsn, " for ", HoldKindName(kind),
                                              " \"", name, "\": the log begins at record ", first));
  }
  NoteLetGo(holds_.Set(kind, name, lsn));
  return absl::OkStatus();
}

Lsn SegmentStore::HoldFirst(HoldKind kind, const std::string& name) {
  MutexLock lock(&mutex_);
  const Lsn first = segments_[giving_up_].base_lsn;
  (void)holds_.Set(kind, name, first);
  return first;
}

void SegmentStore::ReleaseHold(HoldKind kind, const std::string& name) {
  MutexLock lock(&mutex_);
  NoteLetGo(holds_.Release(kind, name));
}

std::vector<Hold> SegmentStore::holds() const {
  MutexLock lock(&mutex_);
  return holds_.All();
}

void SegmentStore::NoteLetGo(Lsn held_from) {
  // Called for each step of each cursor: all but those that leave the first segment end here.
  if (segments_.size() < 2 || held_from > segments_.front().last_lsn) return;
  if (segments_.front().last_lsn >= std::min(unwanted_below_, holds_.Lowest())) return;
  trim_due_ = true;
  work_.NotifyOne();
}

absl::Status SegmentStore::TrimBefore(Lsn lsn) {
  {
    MutexLock lock(&mutex_);
    unwanted_below_ = std::max(unwanted_below_, lsn);
  }
  return GiveUp();
}

absl::Status SegmentStore::GiveUp() {
  MutexLock control_lock(&control_mutex_);
  // Not beyond the segment of the last sync: a later one was begun, but its header is not known to
  // be durable, and without it the log would have no segment at all.
  const uint64_t durable_generation = callbacks_.durable_point().generation;
  {
    MutexLock lock(&mutex_);
    const Lsn limit = std::min(unwanted_below_, holds_.Lowest());
    size_t count = 0;
    trim_awaits_sync_ = false;
    while (count + 1 < segments_.size() && segments_[count].last_lsn < limit) {
      trim_awaits_sync_ = segments_[count + 1].generation > durable_generation;
      if (trim_awaits_sync_) break;
      ++count;
    }
    if (count == 0) return absl::OkStatus();
    giving_up_ = count;
    first_generation_ = segments_[count].generation;
  }
  // Before any file goes: a crash must find either the file or the word that it was trimmed. Into
  // two slots, so that damage to one of them leaves the word.
  for (int slot = 0; slot < 2; ++slot) {
    absl::Status status = WriteControl();
    if (!status.ok()) return status;
  }
  MutexLock lock(&mutex_);
  for (; giving_up_ > 0; --giving_up_) {
    trimmed_.push_back(std::move(segments_.front()));
    segments_.pop_front();
  }
  work_.NotifyOne();
  return absl::OkStatus();
}

// Recycles or unlinks what was trimmed, and unlinks what was cut off. CONTROL says already that it
// is not part of the log.
absl::Status SegmentStore::RemoveTrimmed() {
  std::vector<std::string> unlink;
  std::string recycle;
  uint64_t recycled = 0;
  uint64_t generation = 0;
  LogId log_id;
  {
    MutexLock lock(&mutex_);
    log_id = log_id_;
    unlink = std::exchange(cut_files_, {});
    while (!trimmed_.empty()) {
      const SegmentRef& segment = trimmed_.front();
      const bool free = segment.pin.use_count() == 1;  // nobody can get another pin
      if (free && recycle.empty() && MayPrepare() && Spares() < options_.max_recycled_segments) {
        recycle = segment.path;
        recycled = segment.generation;
        generation = next_generation_++;
        ++stats_.segments_recycled;
      } else if (free && MayPrepare() && Spares() + 1 < options_.max_recycled_segments) {
        break;  // in the next job
      } else {
        unlink.push_back(SegmentName(segment.generation));
        ++stats_.segments_unlinked;
      }
      trimmed_.pop_front();
    }
  }
  ForgetCached(unlink);
  if (!recycle.empty()) {
    cache_.Forget(recycled);
    uint64_t allocated_bytes = 0;
    auto file =
        RecycleSegment(fs_, directory_, options_, log_id, recycle, generation, &allocated_bytes);
    if (file.ok()) {
      absl::Status status = AddSpare(std::move(*file), allocated_bytes);
      if (!status.ok()) return status;
    } else {
      // A rename may take space; an unlink gives some.
      unlink.push_back(SegmentName(recycled));
      unlink.push_back(SegmentName(generation));
    }
  }
  return RemoveFiles(fs_, directory_, unlink);
}

}  // namespace seawall
