// SPDX-License-Identifier: Apache-2.0
// What may be given up at the front of a log: the holds against it.
#ifndef SEAWALL_ENGINE_STORE_RETENTION_H_
#define SEAWALL_ENGINE_STORE_RETENTION_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "seawall/options.h"
#include "seawall/retention.h"
#include "seawall/types.h"

namespace seawall {

// What counts against the cap beside segments: CONTROL, LOCK, and what else is small.
inline constexpr uint64_t kOtherFilesBytes = uint64_t{48} << 10;
// A segment's records may take this much more when they are copied to a fresh one: an end on a
// block boundary, room for cursors.
inline constexpr uint64_t kCopySlackBytes = uint64_t{16} << 10;

// Unix time, in microseconds, for ages: the wall clock when this was made, and from then on as far
// as the monotonic clock went. Thread-safe.
class AgeClock {
 public:
  using Steady = std::chrono::steady_clock;

  AgeClock();
  int64_t start() const { return unix_start_; }
  int64_t Now() const;
  Steady::time_point TimeOf(int64_t unix_micros) const;

 private:
  const int64_t unix_start_;
  const Steady::time_point start_;
};

// Whether the options keep a sealed segment. What is behind it holds `bytes_behind`; none of its
// records is newer than `newest`, 0 if that is not known. Sets `why`, if that is not nullptr.
bool Wanted(const Options& options, uint64_t bytes_behind, int64_t newest, int64_t now,
            KeptBecause* why);

// The bytes of the disk that files take, against the cap. Not thread-safe: SegmentStore's mutex
// guards it.
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
  // Not even what is taken fits, without the reserve.
  bool Over() const { return cap_ > 0 && used_ + reserve_ > cap_; }
  uint64_t used() const { return used_; }
  uint64_t cap() const { return cap_; }
  uint64_t reserve() const { return reserve_; }

  // The refusal of `bytes`.
  absl::Status Refusal(const std::string& directory, uint64_t bytes) const;

 private:
  const uint64_t cap_;  // 0: none
  // A fresh segment with all that another one held.
  const uint64_t reserve_;
  uint64_t used_ = kOtherFilesBytes;
};

// Not thread-safe: SegmentStore's mutex guards it. Nothing of it is on disk: who needs a hold after
// the log was opened again (a cursor, an archive) takes it again, before SegmentStore::Start().
class Holds {
 public:
  // Above every LSN.
  static constexpr Lsn kNone = ~Lsn{0};

  // Takes or moves the hold of this kind and name: nothing at or above `lsn` may be given up.
  // Returns where it was, kNone for nowhere.
  Lsn Set(HoldKind kind, const std::string& name, Lsn lsn);
  // Returns where it was; kNone if there was none, which is no error.
  Lsn Release(HoldKind kind, const std::string& name);
  // The log was truncated: what is appended next gets `next`, to a segment that begins with `base`,
  // not above it. A hold above `next` moves there, as what it waited for is gone, and what comes in
  // its place has not been seen by the holder; the archive's moves to `base`, as it takes whole
  // segments.
  void Cut(Lsn next, Lsn base);

  // Below this everything may be given up; kNone without holds.
  Lsn Lowest() const;
  // In the order of kinds, then names.
  std::vector<Hold> All() const;

 private:
  std::map<std::pair<HoldKind, std::string>, Lsn> holds_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_RETENTION_H_
