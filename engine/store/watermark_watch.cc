// SPDX-License-Identifier: Apache-2.0
#include "engine/store/watermark_watch.h"

namespace seawall {

void WatermarkWatch::Sleep(Durability level, uint32_t seen, Clock::time_point deadline) {
  std::atomic<uint32_t>* const word = &At(level).word;
  if (deadline == Clock::time_point::max()) {
    FutexWait(word, seen);
    return;
  }
  const Clock::duration left = deadline - Clock::now();
  if (left > Clock::duration::zero()) FutexWaitFor(word, seen, left);
}

void WatermarkWatch::Wake(Durability level) {
  std::atomic<uint32_t>* const word = &At(level).word;
  word->fetch_add(1, std::memory_order_release);
  FutexWake(word);
}

uint32_t WatermarkWatch::followers() const {
  uint32_t followers = 0;
  for (const Place& place : places_) followers += place.followers.load(std::memory_order_relaxed);
  return followers;
}

}  // namespace seawall
