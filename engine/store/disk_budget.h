// SPDX-License-Identifier: Apache-2.0
// How many bytes a log may take on disk (Options::max_log_bytes), and how many it takes.
#ifndef SEAWALL_ENGINE_STORE_DISK_BUDGET_H_
#define SEAWALL_ENGINE_STORE_DISK_BUDGET_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "seawall/options.h"

namespace seawall {

// What counts against the cap beside segments: CONTROL, LOCK, and what else is small.
inline constexpr uint64_t kOtherFilesBytes = uint64_t{48} << 10;
// A segment's records may take this much more when they are copied to a fresh one: an end on a
// block boundary, room for cursors.
inline constexpr uint64_t kCopySlackBytes = uint64_t{16} << 10;

// The bytes that files take, against the cap. Invariant: while the log is open, used() is the sum
// of what its segments, its preallocated segments and the files in Trash take, plus what was taken
// for files that are being made longer. Not thread-safe: the store's mutex guards it.
class DiskBudget {
 public:
  explicit DiskBudget(const Options& options);

  // Whoever makes files longer takes the bytes before, and gives them back when they are gone.
  // TryTake() leaves the reserve alone, TryTakeReserved() does not; Take() asks nobody.
  bool TryTake(uint64_t bytes) { return bytes <= Room() && (Take(bytes), true); }
  bool TryTakeReserved(uint64_t bytes);
  void Take(uint64_t bytes) { used_ += bytes; }
  void Give(uint64_t bytes) { used_ -= bytes; }

  // What TryTake() grants.
  uint64_t Room() const;
  // True if not even what is taken fits, without the reserve.
  bool Over() const { return cap_ > 0 && used_ + reserve_ > cap_; }
  uint64_t used() const { return used_; }
  uint64_t cap() const { return cap_; }
  uint64_t reserve() const { return reserve_; }

  // The error that rejects `bytes`.
  absl::Status Refusal(const std::string& directory, uint64_t bytes) const;

 private:
  const uint64_t cap_;  // 0: none
  // A fresh segment with all that another one held.
  const uint64_t reserve_;
  uint64_t used_ = kOtherFilesBytes;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_DISK_BUDGET_H_
