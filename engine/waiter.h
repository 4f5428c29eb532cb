// Waiting on one word by futex(2): one targeted wake per waiter, and none where nobody sleeps. A
// condition variable would cost each waiter the log's mutex once more when it wakes.
#ifndef SEAWALL_ENGINE_WAITER_H_
#define SEAWALL_ENGINE_WAITER_H_

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>

#include "seawall/types.h"

namespace seawall {

// Sleeps while *word == expected. May return early: callers loop over their condition.
inline void FutexWait(const std::atomic<uint32_t>* word, uint32_t expected) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

// The same, for at most so long.
inline void FutexWaitFor(const std::atomic<uint32_t>* word, uint32_t expected,
                         std::chrono::nanoseconds timeout) {
  struct timespec time;
  time.tv_sec = static_cast<time_t>(timeout.count() / 1000000000);
  time.tv_nsec = static_cast<long>(timeout.count() % 1000000000);
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &time, nullptr, 0);
}

// Wakes those that sleep on `word`. Only the address counts: the word may be gone already, then
// nobody sleeps there, or somebody else wakes once for nothing.
inline void FutexWake(const std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

// A thread that waits for a watermark, or for the cursors, on its own stack.
struct Waiter {
  // kCut: a truncation cut off the record that it waits for.
  enum State : uint32_t { kParked, kReached, kFailed, kCut, kLead };

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
  // What it sleeps on: its own state, or a word shared with others that are to be woken with it, by
  // one call. Set before it parks. The leader changes a shared word after the states, then wakes.
  std::atomic<uint32_t>* word = &state;

  State Park() {
    for (;;) {
      const uint32_t seen = word->load(std::memory_order_acquire);
      const uint32_t now = state.load(std::memory_order_acquire);
      if (now != kParked) return static_cast<State>(now);
      FutexWait(word, seen);
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

#endif  // SEAWALL_ENGINE_WAITER_H_
