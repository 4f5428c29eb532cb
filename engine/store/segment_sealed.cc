// SPDX-License-Identifier: Apache-2.0
// The part of SegmentStore that gives sealed segments their indexes.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/segments/index_file.h"
#include "engine/store/segment_store.h"

namespace seawall {

void SegmentStore::NoteDurable() {
  MutexLock lock(&mutex_);
  if (std::exchange(trim_awaits_sync_, false)) trim_due_ = true;
  if (!busy_ && (trim_due_ || MayWriteIndex())) work_.NotifyOne();
}

bool SegmentStore::MayWriteIndex() const {
  return !sealed_.empty() && !paused_ && !failed_ &&
         sealed_.front().segment.generation < marks_->durable().generation;
}

// A segment that is part of the log now is what it was sealed as until this is done: its file is
// written again under another name by this thread only, and nothing is cut off while it is busy.
void SegmentStore::WriteIndex() {
  Sealed sealed = std::move(sealed_.front());
  sealed_.pop_front();
  const uint64_t generation = sealed.segment.generation;
  const bool wanted = sealed.segment.end > kUnindexedBytes && IsCurrent(generation);
  // Under a cap it gets what is left, and an index that has no room is not written.
  const uint64_t file_bytes = sealed.segment.file_bytes;
  const uint64_t most = std::max(file_bytes, options_.segment_bytes);
  const uint64_t growth =
      wanted ? AlignDown(std::min(budget_.Room(), most - file_bytes), kBlockBytes) : 0;
  budget_.Take(growth);
  busy_ = true;
  mutex_.Unlock();
  absl::Status status;
  uint64_t bytes = file_bytes;
  if (wanted) {
    status = WriteSegmentIndex(sealed.file->file.get(), sealed.segment, *sealed.segment.index,
                               std::min(options_.segment_bytes, file_bytes + growth));
    if (sealed.file->file->Size(&bytes) != 0) bytes = file_bytes + growth;
  }
  sealed.file.reset();
  mutex_.Lock();
  busy_ = false;
  SettleSealed(generation, file_bytes + growth, bytes);
  if (wanted) ++(status.ok() ? stats_.indexes_written : stats_.index_write_failures);
  // Whoever reads from it next has it from the file; or makes it anew, if it could not be written.
  segments_.DropIndex(generation);
  last_sealed_ = std::max(last_sealed_, generation);
  progress_.NotifyAll();
  sealed_news_.NotifyAll();
}

std::optional<SegmentRef> SegmentStore::AwaitSealed(uint64_t generation) {
  MutexLock lock(&mutex_);
  for (;;) {
    // Found anew after each wait: a truncation may have cut off what was next.
    const size_t next = segments_.FirstAbove(generation);
    if (next < segments_.size() && segments_[next].sealed() &&
        segments_[next].generation <= last_sealed_) {
      return segments_.PinnedRef(next);
    }
    if (stop_) return std::nullopt;
    sealed_news_.Wait(&mutex_);
  }
}

void SegmentStore::SettleSealed(uint64_t generation, uint64_t taken, uint64_t bytes) {
  budget_.Give(taken);
  budget_.Take(bytes);
  if (IsCurrent(generation)) segments_.SetFileBytes(segments_.Find(generation), bytes);
  // It may have been trimmed meanwhile; this thread removes it, later.
  for (Left& file : trimmed_) {
    if (file.generation == generation) file.file_bytes = bytes;
  }
}

void SegmentStore::ForgetCached(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (std::optional<uint64_t> generation = ParseSegmentName(name)) cache_.Forget(*generation);
  }
}

}  // namespace seawall
