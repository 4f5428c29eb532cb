// SPDX-License-Identifier: Apache-2.0
// Following an open log: readers at its end sleep until a watermark has moved. They are passive:
// none ever leads, or causes a write or a sync.
#ifndef SEAWALL_ENGINE_STORE_WATERMARK_WATCH_H_
#define SEAWALL_ENGINE_STORE_WATERMARK_WATCH_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "engine/base/futex.h"
#include "seawall/types.h"

namespace seawall {

// One word to sleep on for each watermark that can be followed. The watermarks are kept under a
// lock
// ("the lock" below: the mutex of Watermarks). A publisher pays one relaxed load while nobody
// follows.
//
// No wake-up is lost. A follower (1) counts itself, (2) loads the word, (3) reads what it waits for
// under the lock, (4) sleeps if the word is unchanged. A publisher (a) changes what is read at (3)
// under the lock, (b) calls Take(), (c) adds to the word and wakes. If the lock orders (a) before
// (3), the follower sees the change. Otherwise (3), and so (1) and (2), happen before (a) and so
// before (b): Take() sees the follower, and (c) follows (2), so that (4) does not sleep or is
// woken.
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
  // something else: then Wake(), without any lock. One publisher at a time.
  bool Take(Durability level, Lsn lsn, bool always) {
    Place& place = At(level);
    const bool moved = place.told != lsn;
    place.told = lsn;
    return (moved || always) && place.followers.load(std::memory_order_relaxed) > 0;
  }
  // The next Take() has something to tell, whatever the watermark is. One publisher at a time.
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
    Lsn told = 0;  // the publishers', who take turns
  };
  Place& At(Durability level) { return places_[level == Durability::kDurable ? 1 : 0]; }

  Place places_[2];
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_WATERMARK_WATCH_H_
