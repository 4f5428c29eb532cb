// SPDX-License-Identifier: Apache-2.0
// futex(2), within one process.
#ifndef SEAWALL_ENGINE_BASE_FUTEX_H_
#define SEAWALL_ENGINE_BASE_FUTEX_H_

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>

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

// Wakes those that sleep on `word`, or so many of them. Only the address counts: the word may be
// gone already, then nobody sleeps there, or somebody else wakes once for nothing.
inline void FutexWake(const std::atomic<uint32_t>* word, int most = INT_MAX) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, most, nullptr, nullptr, 0);
}

}  // namespace seawall

#endif  // SEAWALL_ENGINE_BASE_FUTEX_H_
