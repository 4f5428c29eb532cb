// SPDX-License-Identifier: Apache-2.0
#include "engine/store/trash.h"

#include <utility>

#include "engine/format/file_names.h"

namespace seawall {

Trash::File Trash::FileOf(uint64_t generation, uint64_t file_bytes, std::weak_ptr<const int> pins) {
  return {generation, file_bytes, std::move(pins), {SegmentName(generation)}};
}

void Trash::SetFileBytes(uint64_t generation, uint64_t bytes) {
  for (File& file : trimmed_) {
    if (file.generation == generation) file.file_bytes = bytes;
  }
}

Trash::Work Trash::Take(size_t spares) {
  Work work;
  work.unlink = TakeCut();
  while (!trimmed_.empty()) {
    File& file = trimmed_.front();
    const bool free = file.pins.expired() && file.generation >= recycle_from_generation_;
    if (free && spares > 0 && !work.recycle.has_value()) {
      work.recycle = std::move(file);
    } else if (free && spares > 1) {
      break;  // in the next job
    } else {
      work.unlink.push_back(std::move(file));
    }
    trimmed_.pop_front();
  }
  return work;
}

std::vector<Trash::File> Trash::TakeCut() { return std::exchange(cut_, {}); }

void Trash::ForgetClosed(DiskBudget* budget) {
  for (size_t i = pinned_.size(); i-- > 0;) {
    if (!pinned_[i].pins.expired()) continue;
    budget->Give(pinned_[i].file_bytes);
    pinned_.erase(pinned_.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace seawall
