// SPDX-License-Identifier: Apache-2.0
// The segments that records were read from last, each with its file open and its index in memory:
// a random read in one of them is one pread. For another one it is an open and two preads. An index
// that took a scan is kept longer than the file.
#ifndef SEAWALL_ENGINE_SEGMENTS_SEGMENT_CACHE_H_
#define SEAWALL_ENGINE_SEGMENTS_SEGMENT_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/mutex.h"
#include "engine/io/file_io.h"
#include "engine/segments/segment_index.h"
#include "engine/segments/segment_ref.h"
#include "seawall/stats.h"

namespace seawall {

struct CachedSegment {
  uint64_t generation = 0;
  std::shared_ptr<File> file;  // for reading
  std::shared_ptr<const SegmentIndex> index;
  bool scanned = false;  // the index was made by a scan
};

// Thread-safe. Its lock is taken before those that `is_current` takes. Memory: of each of
// kCachedSegments, and of kScannedIndexes more if so many took a scan, an index: 16 to 40 bytes for
// each 32 KiB of the segment; kKeptBuffers of kMostKeptBytes.
class SegmentCache {
 public:
  static constexpr size_t kCachedSegments = 8;
  static constexpr size_t kScannedIndexes = 32;
  static constexpr size_t kKeptBuffers = 4;
  static constexpr size_t kMostKeptBytes = size_t{256} << 10;

  // `is_current`: whether the segment is part of the log now. One that leaves the log is first not
  // current, then forgotten: so none is kept that nobody would forget.
  SegmentCache(FileSystem* fs, std::function<bool(uint64_t generation)> is_current);

  // The caller holds the pin of `segment`. An index that is neither in `segment`, nor kept, nor in
  // the file is made by a scan; errors as ScanSegmentIndex.
  absl::StatusOr<CachedSegment> Get(const SegmentRef& segment);

  // Closes the file of a segment that has left the log, so that its space is free.
  void Forget(uint64_t generation);

  // Memory for one read, of `bytes` at least, and what to do with it behind that.
  AlignedBuffer TakeBuffer(size_t bytes);
  void ReturnBuffer(AlignedBuffer buffer);

  void AddStats(Stats* stats) const;

 private:
  using Segments = std::list<CachedSegment>;

  static Segments::iterator Find(Segments* segments, uint64_t generation);
  // Fills in the index of a segment whose file is open.
  absl::Status FindIndex(const SegmentRef& segment, CachedSegment* cached);

  FileSystem* const fs_;
  const std::function<bool(uint64_t)> is_current_;
  mutable Mutex mutex_;
  Segments segments_ ABSL_GUARDED_BY(mutex_);  // the last used first
  // Those that took a scan and are not in segments_, without their files: the last used first.
  Segments scanned_ ABSL_GUARDED_BY(mutex_);
  std::vector<AlignedBuffer> buffers_ ABSL_GUARDED_BY(mutex_);
  uint64_t index_scans_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_SEGMENT_CACHE_H_
