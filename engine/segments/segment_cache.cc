// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/segment_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/format/format.h"
#include "engine/segments/index_file.h"

namespace seawall {

SegmentCache::SegmentCache(FileSystem* fs, std::function<bool(uint64_t)> is_current)
    : fs_(fs), is_current_(std::move(is_current)) {}

SegmentCache::Segments::iterator SegmentCache::Find(Segments* segments, uint64_t generation) {
  return std::find_if(segments->begin(), segments->end(), [&](const CachedSegment& segment) {
    return segment.generation == generation;
  });
}

absl::StatusOr<CachedSegment> SegmentCache::Get(const SegmentRef& segment) {
  CachedSegment cached;
  cached.generation = segment.generation;
  {
    MutexLock lock(&mutex_);
    const auto found = Find(&segments_, segment.generation);
    if (found != segments_.end()) {
      segments_.splice(segments_.begin(), segments_, found);
      return *found;
    }
    const auto scanned = Find(&scanned_, segment.generation);
    if (scanned != scanned_.end()) cached = *scanned;
  }
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, segment.path, OpenOptions());
  if (!file.ok()) return file.status();
  cached.file = std::move(*file);
  absl::Status status = FindIndex(segment, &cached);
  if (!status.ok()) return status;
  Segments closed;  // without the lock
  MutexLock lock(&mutex_);
  if (!is_current_(segment.generation)) return cached;
  // Another thread may have been faster.
  if (Find(&segments_, segment.generation) != segments_.end()) return cached;
  const auto scanned = Find(&scanned_, segment.generation);
  if (scanned != scanned_.end()) scanned_.erase(scanned);
  segments_.push_front(cached);
  if (segments_.size() > kCachedSegments) {
    closed.splice(closed.begin(), segments_, std::prev(segments_.end()));
    const CachedSegment& last = closed.front();
    if (last.scanned) scanned_.push_front({last.generation, nullptr, last.index, true});
    if (scanned_.size() > kScannedIndexes) scanned_.pop_back();
  }
  return cached;
}

absl::Status SegmentCache::FindIndex(const SegmentRef& segment, CachedSegment* cached) {
  if (cached->index != nullptr) return absl::OkStatus();
  cached->index = segment.index;
  if (cached->index != nullptr) return absl::OkStatus();
  absl::StatusOr<std::unique_ptr<SegmentIndex>> index =
      ReadSegmentIndex(cached->file.get(), segment);
  if (!index.ok()) {
    // A hint that cannot be read is none.
    index = ScanSegmentIndex(cached->file.get(), segment);
    if (!index.ok()) return index.status();
    cached->scanned = true;
    MutexLock lock(&mutex_);
    ++index_scans_;
  }
  cached->index = std::move(*index);
  return absl::OkStatus();
}

void SegmentCache::Forget(uint64_t generation) {
  Segments closed;  // without the lock
  MutexLock lock(&mutex_);
  for (Segments* segments : {&segments_, &scanned_}) {
    const auto found = Find(segments, generation);
    if (found != segments->end()) closed.splice(closed.begin(), *segments, found);
  }
}

AlignedBuffer SegmentCache::TakeBuffer(size_t bytes) {
  if (bytes > kMostKeptBytes) return AlignedBuffer(AlignUp(bytes, kBlockBytes));
  {
    MutexLock lock(&mutex_);
    if (!buffers_.empty()) {
      AlignedBuffer buffer = std::move(buffers_.back());
      buffers_.pop_back();
      return buffer;
    }
  }
  return AlignedBuffer(kMostKeptBytes);
}

void SegmentCache::ReturnBuffer(AlignedBuffer buffer) {
  MutexLock lock(&mutex_);
  if (buffer.size() == kMostKeptBytes && buffers_.size() < kKeptBuffers) {
    buffers_.push_back(std::move(buffer));
  }
}

void SegmentCache::AddStats(Stats* stats) const {
  MutexLock lock(&mutex_);
  stats->index_scans = index_scans_;
}

}  // namespace seawall
