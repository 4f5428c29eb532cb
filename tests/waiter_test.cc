// Waiting on one word. Run under ThreadSanitizer, these also show that what was written before
// Done() or a state's change is seen behind the wait.
#include "engine/waiter.h"

#include <chrono>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace seawall {
namespace {

void SleepMillis(int millis) { std::this_thread::sleep_for(std::chrono::milliseconds(millis)); }

TEST(CopyCountTest, NoneIsThereAtOnce) {
  CopyCount copies;
  copies.WaitFor(0);
  copies.Done(3);
  copies.WaitFor(3);
}

TEST(CopyCountTest, WaitsForTheLastCopyWhileAsleep) {
  CopyCount copies;
  int copied = 0;
  std::thread first([&] {
    SleepMillis(20);  // longer than the spinning: the waiter sleeps
    copies.Done(1);
  });
  std::thread last([&] {
    SleepMillis(60);
    copied = 1;
    copies.Done(5);
  });
  copies.WaitFor(6);
  EXPECT_EQ(copied, 1);
  first.join();
  last.join();
}

// After a wait that slept, the count is ready for the next group.
TEST(CopyCountTest, IsUsedAgain) {
  CopyCount copies;
  std::vector<int> payload(64);
  for (int round = 0; round < 300; ++round) {
    copies.Reset();
    auto copy = [&](int at) {
      if (round % 50 == 0) SleepMillis(1);
      payload[at] = round;
      copies.Done(1);
    };
    std::thread a(copy, 0);
    std::thread b(copy, 63);
    copies.WaitFor(2);
    ASSERT_EQ(payload[0], round);
    ASSERT_EQ(payload[63], round);
    a.join();
    b.join();
  }
}

TEST(WaiterTest, StateThatIsSetAlreadyIsReturnedAtOnce) {
  for (Waiter::State state : {Waiter::kReached, Waiter::kFailed, Waiter::kCut, Waiter::kLead}) {
    Waiter waiter;
    waiter.state = state;
    EXPECT_EQ(waiter.Park(), state);
  }
}

TEST(WaiterTest, SleepsUntilItsStateChanges) {
  for (Waiter::State state : {Waiter::kReached, Waiter::kFailed, Waiter::kCut, Waiter::kLead}) {
    int before = 0;
    Waiter waiter;
    std::atomic<uint32_t>* word = &waiter.state;
    std::thread leader([&before, word, state] {
      SleepMillis(20);
      before = 1;
      word->store(state, std::memory_order_release);
      FutexWake(word);
    });
    EXPECT_EQ(waiter.Park(), state);
    EXPECT_EQ(before, 1);
    leader.join();
  }
}

// A wake without a change is not the end of the wait.
TEST(WaiterTest, SpuriousWakesAreSleptThrough) {
  Waiter waiter;
  std::atomic<bool> set{false};
  std::thread leader([&] {
    for (int i = 0; i < 20; ++i) {
      FutexWake(&waiter.state);
      SleepMillis(1);
    }
    set = true;
    waiter.state = Waiter::kReached;
    FutexWake(&waiter.state);
  });
  EXPECT_EQ(waiter.Park(), Waiter::kReached);
  EXPECT_TRUE(set);
  leader.join();
}

TEST(FutexTest, WaitReturnsAtOnceWhenTheWordIsAnother) {
  std::atomic<uint32_t> word{5};
  FutexWait(&word, 4);
  FutexWake(&word);
}

// One call wakes all that sleep on a shared word; who is not meant goes back to sleep.
TEST(WaiterTest, SeveralOnOneWord) {
  constexpr int kThreads = 6;
  std::atomic<uint32_t> word{0};
  std::vector<Waiter> waiters(kThreads);
  for (Waiter& waiter : waiters) waiter.word = &word;
  std::atomic<int> reached{0};
  std::vector<std::thread> threads;
  for (Waiter& waiter : waiters) {
    threads.emplace_back([&] {
      EXPECT_EQ(waiter.Park(), Waiter::kReached);
      ++reached;
    });
  }
  SleepMillis(20);  // most of them sleep, some may not yet
  for (int half : {0, 1}) {
    for (int i = half; i < kThreads; i += 2) waiters[i].state = Waiter::kReached;
    word.fetch_add(1, std::memory_order_release);
    FutexWake(&word);
    for (int i = half; i < kThreads; i += 2) threads[i].join();
    EXPECT_EQ(reached, (half + 1) * kThreads / 2);
  }
}

}  // namespace
}  // namespace seawall
