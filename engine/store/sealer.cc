// SPDX-License-Identifier: Apache-2.0
#include "engine/store/sealer.h"

#include <algorithm>
#include <utility>

#include "engine/segments/index_file.h"

namespace seawall {

// A segment that is part of the log now is what it was sealed as until this is done: its file is
// written again under another name by the store's thread only, which this is, and nothing is cut
// off while that is busy.
void Sealer::WriteIndex() {
  const Options& options = state_->options;
  SealedState::Unindexed sealed;
  bool wanted;
  uint64_t growth = 0;
  {
    MutexLock lock(&state_->mutex);
    sealed = std::move(state_->sealed.unindexed.front());
    state_->sealed.unindexed.pop_front();
    wanted = sealed.segment.end > kUnindexedBytes && state_->IsCurrent(sealed.segment.generation);
    if (wanted) {
      // Under a cap it gets what is left, and an index that has no room is not written.
      const uint64_t most = std::max(sealed.segment.file_bytes, options.segment_bytes);
      growth =
          AlignDown(std::min(state_->budget.Room(), most - sealed.segment.file_bytes), kBlockBytes);
    }
    state_->budget.Take(growth);
  }
  const uint64_t generation = sealed.segment.generation;
  const uint64_t taken = sealed.segment.file_bytes + growth;
  absl::Status status;
  uint64_t bytes = sealed.segment.file_bytes;
  if (wanted) {
    status = WriteSegmentIndex(sealed.file->file.get(), sealed.segment, *sealed.segment.index,
                               std::min(options.segment_bytes, taken));
    if (sealed.file->file->Size(&bytes) != 0) bytes = taken;
  }
  sealed.file.reset();  // before anybody may remove it
  MutexLock lock(&state_->mutex);
  Settle(generation, taken, bytes);
  if (wanted) {
    ++(status.ok() ? state_->stats.indexes_written : state_->stats.index_write_failures);
  }
  // Whoever reads from it next has it from the file; or makes it anew, if it could not be written.
  state_->segments.DropIndex(generation);
  state_->sealed.last = std::max(state_->sealed.last, generation);
  state_->sealed_news.NotifyAll();
}

std::optional<SegmentRef> Sealer::Await(uint64_t generation) {
  MutexLock lock(&state_->mutex);
  SegmentList& segments = state_->segments;
  for (;;) {
    // Found anew after each wait: a truncation may have cut off what was next.
    const size_t next = segments.FirstAbove(generation);
    if (next < segments.size() && segments[next].sealed() &&
        segments[next].generation <= state_->sealed.last) {
      return segments.PinnedRef(next);
    }
    if (state_->thread.stop) return std::nullopt;
    state_->sealed_news.Wait(&state_->mutex);
  }
}

void Sealer::Settle(uint64_t generation, uint64_t taken, uint64_t bytes) {
  state_->budget.Give(taken);
  state_->budget.Take(bytes);
  SegmentList& segments = state_->segments;
  if (state_->IsCurrent(generation)) segments.SetFileBytes(segments.Find(generation), bytes);
  // It may have been trimmed meanwhile; this thread removes it, later.
  state_->trash.SetFileBytes(generation, bytes);
}

}  // namespace seawall
