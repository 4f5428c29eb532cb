// SPDX-License-Identifier: Apache-2.0
// Waiting on one word. Run under ThreadSanitizer, these also show that what was written before
// Done() or a state's change is seen behind the wait.
#include "engine/commit/waiter.h"

#include <sched.h>

#include <chrono>
#include <mutex>
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

// Threads that wait on one word.
class Sleepers {
 public:
  Sleepers(SharedWord* word, int count) : waiters_(count) {
    for (Waiter& waiter : waiters_) {
      waiter.shared = word;
      threads_.emplace_back([&] {
        EXPECT_EQ(waiter.Park(), Waiter::kReached);
        ++awake_;
      });
    }
    SleepMillis(20);  // most of them sleep, some may not yet
  }
  // Every other one, from `first` on.
  void Satisfy(int first) {
    for (size_t i = first; i < waiters_.size(); i += 2) waiters_[i].state = Waiter::kReached;
  }
  void Join(int first) {
    for (size_t i = first; i < threads_.size(); i += 2) threads_[i].join();
  }
  int awake() const { return awake_; }

 private:
  std::vector<Waiter> waiters_;
  std::vector<std::thread> threads_;
  std::atomic<int> awake_{0};
};

// Who is not meant goes back to sleep.
TEST(SharedWordTest, WhoIsSatisfiedIsWokenByOneCall) {
  SharedWord word;
  Sleepers sleepers(&word, 6);
  for (int half : {0, 1}) {
    sleepers.Satisfy(half);
    word.Release();
    word.WakeIfDue();
    sleepers.Join(half);
    EXPECT_EQ(sleepers.awake(), (half + 1) * 3);
  }
}

TEST(SharedWordTest, WhoIsWokenWakesTheOthers) {
  SharedWord word;
  Sleepers sleepers(&word, 6);
  sleepers.Satisfy(0);
  sleepers.Satisfy(1);
  word.Release();
  word.WakeOne();
  sleepers.Join(0);
  sleepers.Join(1);
  EXPECT_FALSE(word.due);
}

// One that was not satisfied wakes the others as well: futex(2) does not say whom it wakes.
TEST(SharedWordTest, AnyOneWakesTheOthers) {
  SharedWord word;
  Sleepers unsatisfied(&word, 3);  // the first in the kernel's queue, presumably
  Sleepers satisfied(&word, 3);
  satisfied.Satisfy(0);
  satisfied.Satisfy(1);
  word.Release();
  word.WakeOne();
  satisfied.Join(0);
  satisfied.Join(1);
  EXPECT_EQ(unsatisfied.awake(), 0);
  unsatisfied.Satisfy(0);
  unsatisfied.Satisfy(1);
  word.Release();
  word.WakeIfDue();
  unsatisfied.Join(0);
  unsatisfied.Join(1);
}

// Sleeps as in Park(), but wakes nobody: as one that has no processor.
TEST(RoundWordsTest, WakesAllThoughNobodyHelps) {
  RoundWords words;
  std::atomic<bool> released{false};
  std::atomic<int> awake{0};
  std::mutex mutex;
  std::vector<SharedWord*> chosen;
  std::vector<std::thread> threads;
  for (uint32_t i = 0; i < 8; ++i) {
    threads.emplace_back([&, i] {
      SharedWord* const word = words.Choose(i);
      {
        std::lock_guard<std::mutex> lock(mutex);
        chosen.push_back(word);
      }
      for (;;) {
        const uint32_t seen = word->word.load(std::memory_order_acquire);
        if (released.load(std::memory_order_acquire)) break;
        FutexWait(&word->word, seen);
      }
      ++awake;
    });
  }
  SleepMillis(20);
  for (bool all = false; !all; SleepMillis(1)) {
    std::lock_guard<std::mutex> lock(mutex);
    all = chosen.size() == threads.size();
  }
  RoundWords::Some some(&words);
  for (SharedWord* word : chosen) some.Add(word);
  released.store(true, std::memory_order_release);
  some.Release();
  some.Wake();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(awake, 8);
}

TEST(RoundWordsTest, TheRowsTakeTurns) {
  std::thread([] {  // that is pinned to a processor
    cpu_set_t here;
    CPU_ZERO(&here);
    CPU_SET(sched_getcpu(), &here);
    ASSERT_EQ(sched_setaffinity(0, sizeof(here), &here), 0);
    RoundWords words;
    EXPECT_EQ(words.Choose(3), words.Choose(5));
    EXPECT_NE(words.Choose(3), words.Choose(4));
  })
      .join();
}

}  // namespace
}  // namespace seawall
