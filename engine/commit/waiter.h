// SPDX-License-Identifier: Apache-2.0
// Waiting on one word: targeted wakes, and none where nobody sleeps. A condition variable would
// cost each waiter the log's mutex once more when it wakes.
#ifndef SEAWALL_ENGINE_COMMIT_WAITER_H_
#define SEAWALL_ENGINE_COMMIT_WAITER_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "engine/base/futex.h"
#include "engine/commit/round_words.h"
#include "seawall/types.h"

namespace seawall {

// A thread that waits for a watermark, or for the cursors, on its own stack.
struct Waiter {
  // kCut: a truncation cut off the record that it waits for.
  enum State : uint32_t { kParked, kReached, kFailed, kCut, kLead };

  // A record that never comes: of those that wait for their turn to lead, or for the cursors.
  static constexpr Lsn kNever = ~Lsn{0};
  // A record that was given up: above every LSN.
  static constexpr Lsn kCutOff = kNever - 1;

  Lsn lsn = 0;
  Durability level = Durability::kDurable;
  uint64_t cursor_change = 0;  // waits until this is durable, not for `lsn`
  Waiter* next = nullptr;
  // When it began to wait; when what it waits for had come, set by the leader before kReached.
  std::chrono::steady_clock::time_point joined_at = {};
  std::chrono::steady_clock::time_point reached_at = {};
  // Leaves kParked once, set by the leader under the log's mutex; from then on the waiter may be
  // gone.
  std::atomic<uint32_t> state{kParked};
  // What it sleeps on, if not on its own state. Set before it parks.
  SharedWord* shared = nullptr;

  std::atomic<uint32_t>* word() { return shared != nullptr ? &shared->word : &state; }

  State Park() {
    for (;;) {
      const uint32_t seen = word()->load(std::memory_order_acquire);
      const uint32_t now = state.load(std::memory_order_acquire);
      if (now != kParked) return static_cast<State>(now);
      FutexWait(word(), seen);
      // Whatever woke it: the one that WakeOne() meant has to wake the others.
      if (shared != nullptr) shared->WakeIfDue();
    }
  }
};

// Counts what appending threads have copied into a buffer; one thread waits for all of it.
class CopyCount {
 public:
  // When nobody copies or waits.
  void Reset() { count_.store(0, std::memory_order_relaxed); }

  void Done(uint32_t copies) {
    if (count_.fetch_add(copies, std::memory_order_release) >= kSleeping) FutexWake(&count_);
  }

  // Returns when `copies` are done since Reset(): what was copied is visible then.
  void WaitFor(uint32_t copies) {
    constexpr int kSpins = 200;  // a copy of a small record takes less
    for (int i = 0; i < kSpins; ++i) {
      if (count_.load(std::memory_order_acquire) == copies) return;
    }
    uint32_t now = count_.fetch_or(kSleeping, std::memory_order_acquire) | kSleeping;
    while (now != (kSleeping | copies)) {
      FutexWait(&count_, now);
      now = count_.load(std::memory_order_acquire);
    }
  }

 private:
  static constexpr uint32_t kSleeping = uint32_t{1} << 31;
  std::atomic<uint32_t> count_{0};
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_WAITER_H_
