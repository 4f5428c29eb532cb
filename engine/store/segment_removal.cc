// SPDX-License-Identifier: Apache-2.0
// The part of SegmentStore that gives up records at the front: trimming, and what becomes of the
// files.
#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/segments/spare_segment.h"
#include "engine/store/segment_store.h"

namespace seawall {

void SegmentStore::StopRecycling() {
  MutexLock lock(&mutex_);
  recycle_from_generation_ = segments_.back().generation + 1;
}

absl::Status SegmentStore::TrimBefore(Lsn lsn) {
  {
    MutexLock lock(&mutex_);
    unwanted_below_ = std::max(unwanted_below_, lsn);
  }
  return GiveUp();
}

absl::Status SegmentStore::GiveUp() {
  LearnAges();
  MutexLock control_lock(&control_mutex_);
  {
    MutexLock lock(&mutex_);
    trim_at_ = Clock::time_point::max();
    const Lsn limit = std::min(UnwantedBelow(&trim_at_), holds_.Lowest());
    const uint64_t durable_generation = marks_->durable().generation;
    size_t count = 0;
    trim_awaits_sync_ = false;
    while (count + 1 < segments_.size() && segments_[count].last_lsn < limit) {
      // Not beyond the segment of the last sync: a later one was begun, but its header is not known
      // to be durable, and without it the log would have no segment at all.
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
    const SegmentEntry& first = segments_.front();
    trimmed_.push_back({first.generation, first.file_bytes, segments_.Pins(0)});
    segments_.PopFront();
  }
  work_.NotifyOne();
  return absl::OkStatus();
}

// Recycles or unlinks what was trimmed, and unlinks what was cut off. CONTROL says already that it
// is not part of the log.
absl::Status SegmentStore::RemoveTrimmed() {
  std::vector<Gone> gone;
  Gone recycle;
  uint64_t generation = 0;
  LogId log_id;
  {
    MutexLock lock(&mutex_);
    log_id = log_id_;
    gone = std::exchange(cut_files_, {});
    // Spares take room under the cap that the segment being written may need.
    const bool roomy = budget_.Room() >= options_.segment_bytes;
    const size_t spares = std::min(options_.max_recycled_segments,
                                   roomy ? options_.max_recycled_segments : uint32_t{1});
    while (!trimmed_.empty()) {
      const Left& left = trimmed_.front();
      Gone file{{SegmentName(left.generation)}, left.generation, left.file_bytes, left.pins};
      const bool free = left.pins.expired() && left.generation >= recycle_from_generation_;
      if (free && recycle.names.empty() && MayPrepare() && Spares() < spares) {
        recycle = std::move(file);
        generation = next_generation_++;
      } else if (free && MayPrepare() && Spares() + 1 < spares) {
        break;  // in the next job
      } else {
        gone.push_back(std::move(file));
      }
      trimmed_.pop_front();
    }
  }
  if (!recycle.names.empty()) {
    cache_.Forget(recycle.generation);
    uint64_t allocated_bytes = 0;
    auto file =
        RecycleSegment(fs_, directory_, options_, log_id, JoinPath(directory_, recycle.names[0]),
                       generation, &allocated_bytes);
    if (file.ok()) {
      absl::Status status = AddSpare(std::move(*file), allocated_bytes, recycle.file_bytes);
      if (!status.ok()) return status;
      MutexLock lock(&mutex_);
      ++stats_.segments_recycled;
    } else {
      // A rename may take space; an unlink gives some.
      recycle.names.push_back(SegmentName(generation));
      gone.push_back(std::move(recycle));
    }
  }
  return Remove(std::move(gone));
}

absl::Status SegmentStore::Remove(std::vector<Gone> gone) {
  std::vector<std::string> names;
  for (const Gone& file : gone) names.insert(names.end(), file.names.begin(), file.names.end());
  ForgetCached(names);
  absl::Status status = RemoveFiles(fs_, directory_, names);
  for (Gone& file : gone) {
    bool there = false;
    FileInfo info;
    for (const std::string& name : file.names) {
      there = there || (!status.ok() && fs_->Stat(JoinPath(directory_, name), &info) != ENOENT);
    }
    if (there) continue;  // and counts, until the next open removes it
    MutexLock lock(&mutex_);
    ++stats_.segments_unlinked;
    if (file.pins.expired()) {
      budget_.Give(file.file_bytes);
    } else {
      pinned_.push_back({file.generation, file.file_bytes, std::move(file.pins)});
    }
  }
  return status;
}

void SegmentStore::ForgetClosedPins() {
  for (size_t i = pinned_.size(); i-- > 0;) {
    if (!pinned_[i].pins.expired()) continue;
    budget_.Give(pinned_[i].file_bytes);
    pinned_.erase(pinned_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace seawall
