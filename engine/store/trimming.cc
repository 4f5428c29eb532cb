// SPDX-License-Identifier: Apache-2.0
// The half of Retention that changes files: CONTROL, then those of trimmed segments.
#include <algorithm>
#include <utility>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/segments/spare_segment.h"
#include "engine/store/retention.h"

namespace seawall {

void Retention::StopRecycling() {
  MutexLock lock(&state_->mutex);
  state_->trash.StopRecyclingBelow(state_->segments.back().generation + 1);
}

absl::Status Retention::TrimBefore(Lsn lsn) {
  {
    MutexLock lock(&state_->mutex);
    Lsn& below = state_->trim.unwanted_below;
    below = std::max(below, lsn);
  }
  return Trim();
}

absl::Status Retention::Trim() {
  LearnAges();
  MutexLock control_lock(&state_->control_mutex);
  {
    MutexLock lock(&state_->mutex);
    SegmentList& segments = state_->segments;
    TrimState& trim = state_->trim;
    trim.at = Clock::time_point::max();
    const Lsn limit = std::min(UnwantedBelow(&trim.at), trim.holds.Lowest());
    const uint64_t durable_generation = state_->marks->durable().generation;
    size_t count = 0;
    trim.awaits_sync = false;
    while (count + 1 < segments.size() && segments[count].last_lsn < limit) {
      // Not beyond the segment of the last sync: a later one was begun, but its header is not known
      // to be durable, and without it the log would have no segment at all.
      trim.awaits_sync = segments[count + 1].generation > durable_generation;
      if (trim.awaits_sync) break;
      ++count;
    }
    if (count == 0) return absl::OkStatus();
    trim.under_way = count;
    state_->first_generation = segments[count].generation;
  }
  // Before any file goes. Into two slots, so that damage to one of them leaves what it says.
  for (int slot = 0; slot < 2; ++slot) {
    absl::Status status = state_->WriteControl();
    if (!status.ok()) return status;
  }
  MutexLock lock(&state_->mutex);
  for (size_t& under_way = state_->trim.under_way; under_way > 0; --under_way) {
    const SegmentEntry& first = state_->segments.front();
    state_->trash.AddTrimmed(
        Trash::FileOf(first.generation, first.file_bytes, state_->segments.Pins(0)));
    state_->segments.PopFront();
  }
  state_->work.NotifyOne();
  return absl::OkStatus();
}

absl::Status Retention::RemoveTrimmed() {
  const Options& options = state_->options;
  Trash::Work work;
  uint64_t generation = 0;
  {
    MutexLock lock(&state_->mutex);
    // Spares take room under the cap that the segment being written may need.
    const bool roomy = state_->budget.Room() >= options.segment_bytes;
    const size_t spares = std::min(options.max_recycled_segments,
                                   roomy ? options.max_recycled_segments : uint32_t{1});
    const size_t there = state_->prepared.spares();
    work = state_->trash.Take(state_->prepared.MayAdd() && there < spares ? spares - there : 0);
    if (work.recycle.has_value()) generation = state_->next_generation++;
  }
  if (work.recycle.has_value()) {
    Trash::File& old = *work.recycle;
    state_->cache.Forget(old.generation);
    uint64_t allocated_bytes = 0;
    auto file =
        RecycleSegment(state_->fs, state_->directory, options, state_->log_id,
                       JoinPath(state_->directory, old.names[0]), generation, &allocated_bytes);
    if (file.ok()) {
      absl::Status status = state_->ListSpare({std::move(*file), allocated_bytes, old.file_bytes});
      if (!status.ok()) return status;
      MutexLock lock(&state_->mutex);
      ++state_->stats.segments_recycled;
    } else {
      // A rename may take space; an unlink gives some.
      old.names.push_back(SegmentName(generation));
      work.unlink.push_back(std::move(old));
    }
  }
  return state_->Unlink(std::move(work.unlink));
}

void Retention::EmptyTrash() {
  Trash::Work work;
  {
    MutexLock lock(&state_->mutex);
    work = state_->trash.Take(/*spares=*/0);
  }
  // What cannot be removed is the next opening's to remove.
  (void)state_->Unlink(std::move(work.unlink));
}

}  // namespace seawall
