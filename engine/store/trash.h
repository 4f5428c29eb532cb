// SPDX-License-Identifier: Apache-2.0
// Files that have left the log: what is to be recycled or unlinked, and what readers keep on disk.
#ifndef SEAWALL_ENGINE_STORE_TRASH_H_
#define SEAWALL_ENGINE_STORE_TRASH_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/store/disk_budget.h"

namespace seawall {

// Invariant: CONTROL, or the header of a later segment, says already that a file here is not part
// of the log; nobody can get another pin of it; and its bytes count against the DiskBudget until it
// is unlinked and no reader has it open. Knows no file system. Not thread-safe: the store's mutex
// guards it.
class Trash {
 public:
  struct File {
    uint64_t generation = 0;
    uint64_t file_bytes = 0;
    std::weak_ptr<const int> pins;   // readers may have it open until this has expired
    std::vector<std::string> names;  // it bears one of them
  };
  static File FileOf(uint64_t generation, uint64_t file_bytes, std::weak_ptr<const int> pins);

  // A segment that was trimmed: it may be recycled.
  void AddTrimmed(File file) { trimmed_.push_back(std::move(file)); }
  // A file that a truncation has cut off. It is only unlinked: older slots of CONTROL list its
  // salt, and a recycled file after the tail with groups of such a salt is damage.
  void AddCut(File file) { cut_.push_back(std::move(file)); }
  // A file that was unlinked while readers had it open.
  void AddPinned(File file) { pinned_.push_back(std::move(file)); }

  // Whether there is something to recycle or unlink.
  bool HasFiles() const { return !trimmed_.empty() || !cut_.empty(); }
  // Files below this generation are not recycled from now on: a backup may share their blocks.
  void StopRecyclingBelow(uint64_t generation) { recycle_from_generation_ = generation; }
  // The file of a trimmed segment has changed its length.
  void SetFileBytes(uint64_t generation, uint64_t bytes);

  // What the thread has to do next. If `spares` more are wanted, the first trimmed file that can be
  // recycled is `recycle`; with more than one wanted, the next such file stays for another job.
  struct Work {
    std::vector<File> unlink;
    std::optional<File> recycle;
  };
  Work Take(size_t spares);
  std::vector<File> TakeCut();

  // Gives back to `budget` what unlinked files took that nobody has open any more.
  void ForgetClosed(DiskBudget* budget);

  const std::deque<File>& trimmed() const { return trimmed_; }
  const std::vector<File>& cut() const { return cut_; }
  const std::vector<File>& pinned() const { return pinned_; }

 private:
  std::deque<File> trimmed_;
  std::vector<File> cut_;
  std::vector<File> pinned_;
  uint64_t recycle_from_generation_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_TRASH_H_
