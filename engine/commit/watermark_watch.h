// SPDX-License-Identifier: Apache-2.0
// Following an open log: readers at its end sleep until a watermark has moved. They are passive:
// none ever leads, or causes a write or a sync.
#ifndef SEAWALL_ENGINE_COMMIT_WATERMARK_WATCH_H_
#define SEAWALL_ENGINE_COMMIT_WATERMARK_WATCH_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "engine/commit/waiter.h"
#include "seawall/types.h"

namespace seawall {

// One word to sleep on for each watermark that can be followed. Who moves the watermarks does so
// under a lock ("the lock" below), and pays one relaxed load while nobody follows.
//
// No wake-up is lost. A follower (1) counts itself, (2) loads the word, (3) looks at what it waits
// for, under the lock, (4) sleeps if the word is unchanged. A publisher (a) changes what is looked
// at, (b) calls Take(), both under the lock, (c) adds to the word and wakes. If the lock orders (a)
// before (3), the follower sees it. Else (3), and so (1), come before (b): Take() sees the
// follower, and (c) follows (2), so that (4) does not sleep or is woken.
class WatermarkWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // For followers: (1) and its reverse, (2), (4).
  void Begin(Durability level) { At(level).followers.fetch_add(1, std::memory_order_relaxed); }
  void End(Durability level) { At(level).followers.fetch_sub(1, std::memory_order_relaxed); }
  uint32_t Seen(Durability level) { return At(level).word.load(std::memory_order_acquire); }
  // May return early. Clock::time_point::max() is no deadline.
  void Sleep(Durability level, uint32_t seen, Clock::time_point deadline);

  // For publishers. True if somebody is to be told that the watermark is `lsn` now, or (`always`)
  // something else: then Wake(), without the lock. Under the lock.
  bool Take(Durability level, Lsn lsn, bool always) {
    Place& place = At(level);
    const bool moved = place.told != lsn;
    place.told = lsn;
    return (moved || always) && place.followers.load(std::memory_order_relaxed) > 0;
  }
  // The next Take() has something to tell, whatever the watermark is. Under the lock.
  void Forget() {
    for (Place& place : places_) place.told = ~Lsn{0};
  }
  // Also for who wants one follower to look again: the others do so in vain.
  void Wake(Durability level);

  uint32_t followers() const;

 private:
  struct Place {
    std::atomic<uint32_t> word{0};
    std::atomic<uint32_t> followers{0};
    Lsn told = 0;  // guarded by the lock
  };
  Place& At(Durability level) { return places_[level == Durability::kDurable ? 1 : 0]; }

  Place places_[2];
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_WATERMARK_WATCH_H_
