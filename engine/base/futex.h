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

// The call that reads a timeout as this program's timespec. 32-bit systems have two: futex, whose
// seconds have 32 bits, and futex_time64 (Linux 5.1), for a time_t of 64 bits (glibc's
// _TIME_BITS=64, musl). futex would take the upper half of such seconds for the nanoseconds.
#ifdef SYS_futex_time64
inline constexpr long kFutexCall = sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex;
#else
inline constexpr long kFutexCall = SYS_futex;
#endif

// Sleeps while *word == expected. May return early: callers loop over their condition.
inline void FutexWait(const std::atomic<uint32_t>* word, uint32_t expected) {
  syscall(kFutexCall, word, FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

// The same, for at most so long.
inline void FutexWaitFor(const std::atomic<uint32_t>* word, uint32_t expected,
                         std::chrono::nanoseconds timeout) {
  struct timespec time;
  time.tv_sec = static_cast<time_t>(timeout.count() / 1000000000);
  time.tv_nsec = static_cast<long>(timeout.count() % 1000000000);
  syscall(kFutexCall, word, FUTEX_WAIT_PRIVATE, expected, &time, nullptr, 0);
}

// Wakes those that sleep on `word`, or so many of them. Only the address counts: the word may be
// gone already, then nobody sleeps there, or somebody else wakes once for nothing.
inline void FutexWake(const std::atomic<uint32_t>* word, int most = INT_MAX) {
  syscall(kFutexCall, word, FUTEX_WAKE_PRIVATE, most, nullptr, nullptr, 0);
}

}  // namespace seawall

#endif  // SEAWALL_ENGINE_BASE_FUTEX_H_
