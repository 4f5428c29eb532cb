// SPDX-License-Identifier: Apache-2.0
// What stats() says, also while the disk hangs.
#include "seawall/stats.h"

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/stalling_log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

class StatsTest : public StallingLogTest {
 protected:
  StatsTest() : StallingLogTest(uint64_t{1} << 20) {}

  void AwaitWaiters(uint64_t count) {
    while (log_->stats().waiters < count) std::this_thread::yield();
  }

  // Until so much time has passed, by the age of what is in flight.
  void AwaitAge(uint64_t Stats::*age, uint64_t micros) {
    while (log_->stats().*age < micros) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
};

TEST_F(StatsTest, EachLoneCommitIsMeasuredOnce) {
  Open();
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(log_->AppendDurable("x").ok());
  const auto elapsed = std::chrono::steady_clock::now() - begin;
  const Stats stats = log_->stats();
  EXPECT_EQ(stats.queue_nanos.count(), 50u);
  EXPECT_EQ(stats.write_nanos.count(), 50u);
  EXPECT_EQ(stats.sync_nanos.count(), 50u);
  EXPECT_EQ(stats.wake_nanos.count(), 0u);
  EXPECT_EQ(stats.group_records.count(), 50u);
  EXPECT_EQ(stats.group_records.max(), 1u);
  EXPECT_EQ(stats.group_records.sum(), 50u);
  EXPECT_EQ(stats.group_bytes.Percentile(0), stats.group_bytes.max());
  // The parts of a commit do not overlap.
  EXPECT_GT(stats.sync_nanos.sum(), 0u);
  EXPECT_LE(
      stats.queue_nanos.sum() + stats.write_nanos.sum() + stats.sync_nanos.sum(),
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(elapsed).count()));
}

TEST_F(StatsTest, WhereTheWriteIsTheSyncNoSyncIsCounted) {
  options_.sync_method = SyncMethod::kODsync;
  Open();
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(log_->AppendDurable("x").ok());
  const Stats stats = log_->stats();
  EXPECT_EQ(stats.queue_nanos.count(), 5u);
  EXPECT_EQ(stats.write_nanos.count(), 5u);
  EXPECT_EQ(stats.sync_nanos.count(), 0u);
}

TEST_F(StatsTest, ASyncThatHangsIsSeenWhileItHangs) {
  options_.slow_sync_micros = 5000;
  Open();
  EXPECT_EQ(log_->stats().sync_in_flight_micros, 0u);
  std::thread thread = Hang(Call::kSync);
  const uint64_t age = log_->stats().sync_in_flight_micros;
  EXPECT_GE(age, 1u);
  AwaitAge(&Stats::sync_in_flight_micros, age + 10000);
  Stats stats = log_->stats();
  EXPECT_EQ(stats.write_in_flight_micros, 0u);
  EXPECT_EQ(stats.syncs, 0u);
  EXPECT_EQ(stats.slow_syncs, 0u);
  EXPECT_EQ(stats.written_lsn, 1u);
  EXPECT_EQ(stats.durable_lsn, 0u);
  fs_.LetGo();
  thread.join();
  stats = log_->stats();
  EXPECT_EQ(stats.sync_in_flight_micros, 0u);
  EXPECT_EQ(stats.slow_syncs, 1u);
  EXPECT_EQ(stats.sync_nanos.count(), 1u);
  EXPECT_GE(stats.sync_nanos.max(), 10000000u);
}

TEST_F(StatsTest, AWriteThatHangsIsSeenWhileItHangs) {
  options_.slow_sync_micros = 5000;
  Open();
  std::thread thread = Hang(Call::kWrite);
  AwaitAge(&Stats::write_in_flight_micros, 10000);
  Stats stats = log_->stats();
  EXPECT_EQ(stats.sync_in_flight_micros, 0u);
  EXPECT_EQ(stats.appended_lsn, 1u);
  EXPECT_EQ(stats.written_lsn, 0u);
  fs_.LetGo();
  thread.join();
  stats = log_->stats();
  EXPECT_EQ(stats.write_in_flight_micros, 0u);
  EXPECT_EQ(stats.slow_writes, 1u);
  EXPECT_GT(stats.write_nanos.max(), 0u);
}

TEST_F(StatsTest, WithoutAThresholdNothingIsSlow) {
  options_.slow_sync_micros = 0;
  Open();
  std::thread thread = Hang(Call::kSync);
  AwaitAge(&Stats::sync_in_flight_micros, 1000);
  fs_.LetGo();
  thread.join();
  EXPECT_EQ(log_->stats().slow_syncs, 0u);
}

TEST_F(StatsTest, WhoWaitsBehindAStallIsQueued) {
  Open();
  std::thread first = Hang(Call::kSync);
  std::vector<std::thread> others;
  for (int i = 0; i < 3; ++i) {
    others.emplace_back([this] { EXPECT_TRUE(log_->AppendDurable("x").ok()); });
  }
  AwaitWaiters(3);
  AwaitAge(&Stats::sync_in_flight_micros, log_->stats().sync_in_flight_micros + 5000);
  fs_.LetGo();
  first.join();
  for (std::thread& thread : others) thread.join();
  const Stats stats = log_->stats();
  EXPECT_EQ(stats.queue_nanos.count(), 4u);
  EXPECT_GE(stats.queue_nanos.Percentile(50), 5000000u);  // the three
  // One of them wrote for all three; the two others were woken.
  EXPECT_EQ(stats.wake_nanos.count(), 2u);
  EXPECT_EQ(stats.group_records.count(), 2u);
  EXPECT_EQ(stats.group_records.max(), 3u);
}

TEST_F(StatsTest, AThreadThatComesDuringTheSyncOfItsRecordIsNotQueued) {
  Open();
  std::thread first = Hang(Call::kSync);
  std::thread second([this] { EXPECT_TRUE(log_->WaitDurable(1).ok()); });
  AwaitWaiters(1);
  fs_.LetGo();
  first.join();
  second.join();
  const Stats stats = log_->stats();
  EXPECT_EQ(stats.queue_nanos.count(), 2u);
  EXPECT_EQ(stats.queue_nanos.Percentile(0), 0u);
  EXPECT_EQ(stats.wake_nanos.count(), 1u);
}

TEST_F(StatsTest, WhoWaitsForACursorIsNotQueued) {
  options_.cursors = true;
  Open();
  ASSERT_TRUE(log_->AppendDurable("x").ok());
  std::vector<std::unique_ptr<Cursor>> cursors;
  for (const char* name : {"a", "b"}) {
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = log_->OpenCursor(name);
    ASSERT_OK(cursor);
    cursors.push_back(*std::move(cursor));
  }
  std::thread first = Hang(Call::kSync);
  std::vector<std::thread> others;
  for (const std::unique_ptr<Cursor>& cursor : cursors) {
    others.emplace_back([&cursor] { EXPECT_OK(cursor->Advance(1)); });
  }
  AwaitWaiters(2);
  fs_.LetGo();
  first.join();
  for (std::thread& thread : others) thread.join();
  EXPECT_EQ(log_->stats().queue_nanos.count(), 2u);  // the two records
}

TEST_F(StatsTest, TimedAppendsStandForAll) {
  options_.buffer_bytes = uint64_t{1} << 20;
  options_.buffer_count = 16;
  Open();
  constexpr uint64_t kAppends = 200000;
  for (uint64_t i = 0; i < kAppends; ++i) ASSERT_TRUE(log_->Append("x").ok());
  const Stats stats = log_->stats();
  EXPECT_EQ(stats.appended_records, kAppends);
  // Some 780 are timed; the standard deviation of the estimate is 2%.
  EXPECT_GT(stats.reserve_nanos.count(), kAppends * 80 / 100);
  EXPECT_LT(stats.reserve_nanos.count(), kAppends * 120 / 100);
}

// Each thread makes one append: on average one in 256 is timed, as of one thread's.
TEST_F(StatsTest, AThreadsFirstAppendIsNotTimedMoreOften) {
  Open();
  constexpr uint64_t kThreads = 640;
  for (uint64_t i = 0; i < kThreads; ++i) {
    std::thread([this] { EXPECT_TRUE(log_->Append("x").ok()); }).join();
  }
  EXPECT_LT(log_->stats().reserve_nanos.count(), kThreads * 6);
}

TEST_F(StatsTest, AnAppendThatWaitsForABufferIsCounted) {
  Open();
  std::thread stalled = Hang(Call::kWrite);
  std::thread appender([this] {
    // More than the buffers hold.
    for (int i = 0; i < 12; ++i) EXPECT_TRUE(log_->Append(std::string(4000, 'x')).ok());
  });
  while (log_->stats().buffer_full_waits == 0) std::this_thread::yield();
  AwaitAge(&Stats::write_in_flight_micros, log_->stats().write_in_flight_micros + 5000);
  fs_.LetGo();
  stalled.join();
  appender.join();
  const Stats stats = log_->stats();
  EXPECT_GE(stats.reserve_nanos.count(), 1u);
  EXPECT_GE(stats.reserve_nanos.max(), 5000000u);
}

TEST_F(StatsTest, AFailureIsSeen) {
  Open();
  std::thread thread = Hang(Call::kSync, EIO);
  EXPECT_FALSE(log_->stats().failed);
  fs_.LetGo();
  thread.join();
  const Stats stats = log_->stats();
  EXPECT_TRUE(stats.failed);
  EXPECT_EQ(stats.sync_in_flight_micros, 0u);
  EXPECT_EQ(stats.sync_nanos.count(), 1u);
  EXPECT_EQ(stats.queue_nanos.count(), 0u);  // served nobody
}

// Whoever reads it while everything moves: what belongs together fits together.
TEST_F(StatsTest, IsOfOneMoment) {
  options_.segment_bytes = uint64_t{64} << 10;
  Open();
  std::atomic<int> running{4};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, &running] {
      for (int i = 0; i < 150; ++i) {
        for (int j = 0; j < 5; ++j) EXPECT_TRUE(log_->Append(std::string(200, 'x')).ok());
        absl::StatusOr<Lsn> lsn = log_->AppendDurable(std::string(200, 'x'));
        EXPECT_TRUE(lsn.ok());
        if (lsn.ok() && i % 8 == 0) {
          EXPECT_TRUE(log_->TrimBefore(*lsn).ok());
        }
      }
      --running;
    });
  }
  while (running > 0) {
    const Stats stats = log_->stats();
    ASSERT_LE(stats.durable_lsn, stats.written_lsn);
    ASSERT_LE(stats.written_lsn, stats.appended_lsn);
    ASSERT_LE(stats.first_lsn, stats.durable_lsn + 1);
    ASSERT_EQ(stats.appended_records, stats.appended_lsn);
    ASSERT_EQ(stats.appended_payload_bytes, stats.appended_lsn * 200);
    ASSERT_EQ(stats.sync_nanos.count(), stats.syncs);
    ASSERT_EQ(stats.write_nanos.count(), stats.groups_written);
    ASSERT_EQ(stats.group_records.count(), stats.groups_written);
    ASSERT_EQ(stats.group_records.sum(), stats.written_lsn);
    ASSERT_TRUE(stats.write_in_flight_micros == 0 || stats.sync_in_flight_micros == 0);
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace seawall
