// SPDX-License-Identifier: Apache-2.0
// The timeout is what differs between systems: 32-bit ones have two calls for it.
#include "engine/base/futex.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "gtest/gtest.h"

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

TEST(FutexTest, WaitReturnsAtOnceWhenTheWordIsAnother) {
  std::atomic<uint32_t> word{5};
  FutexWait(&word, 4);
  FutexWaitFor(&word, 4, std::chrono::hours(1));
  FutexWake(&word);
}

// A call that misreads the timeout would return at once, again and again.
TEST(FutexTest, ATimeoutOfMillisecondsPassesAsleep) {
  std::atomic<uint32_t> word{5};
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(50);
  int calls = 0;
  for (Clock::duration left; (left = end - Clock::now()) > Clock::duration::zero(); ++calls) {
    FutexWaitFor(&word, 5, left);
  }
  EXPECT_LE(calls, 10);
}

TEST(FutexTest, ATimeoutOfASecondAndAHalfPassesAsleep) {
  std::atomic<uint32_t> word{5};
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(1500);
  int calls = 0;
  for (Clock::duration left; (left = end - Clock::now()) > Clock::duration::zero(); ++calls) {
    FutexWaitFor(&word, 5, left);
  }
  EXPECT_LE(calls, 10);
}

TEST(FutexTest, AWakeEndsAWaitBeforeItsTimeout) {
  std::atomic<uint32_t> word{5};
  std::thread waiter([&word] {
    while (word.load() == 5) FutexWaitFor(&word, 5, std::chrono::hours(1));
  });
  word = 6;
  FutexWake(&word);
  waiter.join();
}

}  // namespace
}  // namespace seawall
