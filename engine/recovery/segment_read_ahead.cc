// SPDX-License-Identifier: Apache-2.0
#include "engine/recovery/segment_read_ahead.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <new>
#include <utility>

#include "engine/base/run_on_threads.h"

namespace seawall {
namespace {

// So many files are open at once, and so many reads are with the disk.
constexpr size_t kThreads = 8;
// What is held in memory, and how far this reads beyond an error.
constexpr size_t kBatch = 512;

}  // namespace

SegmentReadAhead::SegmentReadAhead(FileSystem* fs, std::string directory, const LogId* log_id,
                                   std::vector<uint64_t> generations)
    : fs_(fs),
      directory_(std::move(directory)),
      log_id_(log_id),
      generations_(std::move(generations)) {}

absl::StatusOr<SegmentFile> SegmentReadAhead::ReadOne(uint64_t generation) const {
  absl::StatusOr<SegmentFile> file = ReadSegmentFile(fs_, directory_, generation, log_id_);
  if (file.ok()) file->file.reset();
  return file;
}

absl::StatusOr<SegmentFile> SegmentReadAhead::Read(uint64_t generation) {
  const auto found = std::lower_bound(generations_.begin(), generations_.end(), generation,
                                      std::greater<uint64_t>());
  if (found == generations_.end() || *found != generation) return ReadOne(generation);
  const size_t i = static_cast<size_t>(found - generations_.begin());
  if (i < batch_begin_ || i >= batch_begin_ + batch_.size()) ReadBatch(i);
  auto& read = batch_[i - batch_begin_];
  return read.has_value() ? std::move(*read) : ReadOne(generation);
}

void SegmentReadAhead::ReadBatch(size_t begin) {
  const size_t count = std::min(generations_.size() - begin, kBatch);
  batch_begin_ = begin;
  batch_.clear();
  batch_.resize(count);
  if (count < kFewSegments) return;
  std::atomic<size_t> next{0};
  RunOnThreads(kThreads, [&] {
    try {
      for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < count;) {
        batch_[i].emplace(ReadOne(generations_[begin + i]));
      }
    } catch (const std::bad_alloc&) {
      // The others go on. Who asks for what is missing reads it, and is told.
    }
  });
}

}  // namespace seawall
