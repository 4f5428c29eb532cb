#include "engine/segment_cache.h"

#include <iterator>
#include <utility>

#include "engine/format.h"
#include "engine/index_file.h"

namespace seawall {

SegmentCache::SegmentCache(FileSystem* fs, std::function<bool(uint64_t)> is_current)
    : fs_(fs), is_current_(std::move(is_current)) {}

absl::StatusOr<CachedSegment> SegmentCache::Get(const SegmentRef& segment) {
  {
    MutexLock lock(&mutex_);
    for (auto it = segments_.begin(); it != segments_.end(); ++it) {
      if (it->generation != segment.generation) continue;
      segments_.splice(segments_.begin(), segments_, it);
      return *it;
    }
  }
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, segment.path, OpenOptions());
  if (!file.ok()) return file.status();
  absl::StatusOr<std::shared_ptr<const SegmentIndex>> index = IndexOf(segment, file->get());
  if (!index.ok()) return index.status();
  CachedSegment cached{segment.generation, std::move(*file), std::move(*index)};
  std::list<CachedSegment> closed;  // without the lock
  MutexLock lock(&mutex_);
  if (!is_current_(segment.generation)) return cached;
  for (const CachedSegment& other : segments_) {
    if (other.generation == segment.generation) return cached;  // another thread was faster
  }
  segments_.push_front(cached);
  if (segments_.size() > kCachedSegments) {
    closed.splice(closed.begin(), segments_, std::prev(segments_.end()));
  }
  return cached;
}

absl::StatusOr<std::shared_ptr<const SegmentIndex>> SegmentCache::IndexOf(const SegmentRef& segment,
                                                                          File* file) {
  if (segment.index != nullptr) return segment.index;
  absl::StatusOr<std::unique_ptr<SegmentIndex>> index = ReadSegmentIndex(file, segment);
  if (!index.ok()) {
    // A hint that cannot be read is none.
    index = ScanSegmentIndex(file, segment);
    if (!index.ok()) return index.status();
    MutexLock lock(&mutex_);
    ++index_scans_;
  }
  return std::shared_ptr<const SegmentIndex>(std::move(*index));
}

void SegmentCache::Forget(uint64_t generation) {
  std::list<CachedSegment> closed;  // without the lock
  MutexLock lock(&mutex_);
  for (auto it = segments_.begin(); it != segments_.end(); ++it) {
    if (it->generation != generation) continue;
    closed.splice(closed.begin(), segments_, it);
    return;
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
