// SPDX-License-Identifier: Apache-2.0
// Readers that wait at the end of an open log (Reader::Wait).
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/store/watermark_watch.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

class FollowTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.file_system = &fs_;
    options.segment_bytes = 16384;
    options.buffer_bytes = 8192;
    options.max_record_bytes = 3000;
    auto log = Log::Open("/log", options);
    ASSERT_OK(log);
    log_ = std::move(*log);
    watchdog_.Begin("following");
  }

  static std::string Payload(const std::string& history, Lsn lsn) {
    std::string payload = history + " " + std::to_string(lsn) + " ";
    payload.resize(1000 + lsn * 37 % 1500, '.');
    return payload;
  }

  Lsn Append(Durability until = Durability::kDurable, const std::string& history = "a") {
    auto lsn = log_->Append(Payload(history, log_->appended_lsn() + 1), until);
    EXPECT_OK(lsn);
    return lsn.ok() ? *lsn : 0;
  }

  std::unique_ptr<Reader> ReaderFrom(Lsn from, ReadLimit limit = ReadLimit::kDurable) {
    auto reader = log_->NewReader(from, limit);
    EXPECT_OK(reader);
    return reader.ok() ? std::move(*reader) : nullptr;
  }

  static void ExpectNext(Reader* reader, Lsn lsn, const std::string& history = "a") {
    Record record;
    ASSERT_TRUE(reader->Next(&record)) << reader->status();
    EXPECT_EQ(record.lsn, lsn);
    EXPECT_EQ(record.payload, Payload(history, lsn));
  }

  static void ExpectEnd(Reader* reader) {
    Record record;
    EXPECT_FALSE(reader->Next(&record));
    EXPECT_OK(reader->status());
  }

  // What Wait() without a deadline returns, when `event` happens while `readers` wait.
  template <typename Happening>
  std::vector<absl::Status> WaitWhile(const std::vector<Reader*>& readers, Happening event) {
    std::vector<absl::Status> statuses(readers.size());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < readers.size(); ++i) {
      threads.emplace_back([&, i] { statuses[i] = readers[i]->Wait(); });
    }
    while (log_->stats().followers < readers.size()) std::this_thread::yield();
    event();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(log_->stats().followers, 0u);
    return statuses;
  }

  Watchdog watchdog_{std::chrono::seconds(20)};
  CrashFileSystem disk_;
  SyncGate fs_{&disk_, ".seg"};
  std::unique_ptr<Log> log_;
};

TEST_F(FollowTest, WaitsForTheNextRecord) {
  auto reader = ReaderFrom(1);
  for (Lsn lsn = 1; lsn <= 3; ++lsn) {
    ExpectEnd(reader.get());
    EXPECT_OK(WaitWhile({reader.get()}, [&] { EXPECT_EQ(Append(), lsn); })[0]);
    ExpectNext(reader.get(), lsn);
  }
}

TEST_F(FollowTest, WhatIsThereIsNotWaitedFor) {
  Append();
  Append();
  auto reader = ReaderFrom(1);
  const auto past = Clock::now() - std::chrono::hours(1);
  for (Lsn lsn = 1; lsn <= 2; ++lsn) {
    EXPECT_OK(reader->Wait(past));
    EXPECT_OK(reader->Wait(past));  // it changes nothing
    EXPECT_EQ(reader->next_lsn(), lsn);
    ExpectNext(reader.get(), lsn);
  }
  EXPECT_TRUE(Fails(reader->Wait(past), absl::StatusCode::kDeadlineExceeded, {"record 3"}));
  EXPECT_OK(reader->status());
}

TEST_F(FollowTest, ADeadlineIsKeptAndTheReaderGoesOn) {
  auto reader = ReaderFrom(1);
  const auto deadline = Clock::now() + std::chrono::milliseconds(30);
  EXPECT_TRUE(Fails(reader->Wait(deadline), absl::StatusCode::kDeadlineExceeded));
  EXPECT_GE(Clock::now(), deadline);
  Append();
  EXPECT_OK(reader->Wait());
  ExpectNext(reader.get(), 1);
}

// The limit says which watermark is followed: the written one moves before the sync.
TEST_F(FollowTest, AWrittenRecordIsSeenBeforeItsSync) {
  auto written = ReaderFrom(1, ReadLimit::kWritten);
  auto durable = ReaderFrom(1, ReadLimit::kDurable);
  std::thread committer;
  EXPECT_OK(WaitWhile({written.get()}, [&] { committer = fs_.RunIntoSync([&] { Append(); }); })[0]);
  ExpectNext(written.get(), 1);
  EXPECT_TRUE(Fails(durable->Wait(Clock::now()), absl::StatusCode::kDeadlineExceeded));
  EXPECT_OK(WaitWhile({durable.get()}, [&] { fs_.LetGo(); })[0]);
  ExpectNext(durable.get(), 1);
  committer.join();
}

TEST_F(FollowTest, WaitingCausesNoWriteAndNoSync) {
  Append(Durability::kAppended);
  const Stats before = log_->stats();
  for (ReadLimit limit : {ReadLimit::kWritten, ReadLimit::kDurable}) {
    auto reader = ReaderFrom(1, limit);
    EXPECT_TRUE(Fails(reader->Wait(Clock::now() + std::chrono::milliseconds(10)),
                      absl::StatusCode::kDeadlineExceeded));
  }
  const Stats after = log_->stats();
  EXPECT_EQ(after.groups_written, before.groups_written);
  EXPECT_EQ(after.syncs, before.syncs);
  EXPECT_EQ(log_->written_lsn(), 0u);
}

TEST_F(FollowTest, CancelEndsTheWaitOfOneReader) {
  auto cancelled = ReaderFrom(1);
  auto other = ReaderFrom(1);
  std::thread other_waits([&] { EXPECT_OK(other->Wait()); });
  while (log_->stats().followers < 1) std::this_thread::yield();
  std::thread waits([&] { EXPECT_TRUE(Fails(cancelled->Wait(), absl::StatusCode::kCancelled)); });
  while (log_->stats().followers < 2) std::this_thread::yield();
  cancelled->Cancel();
  waits.join();
  EXPECT_EQ(log_->stats().followers, 1u);
  Append();
  other_waits.join();
  // For good; but what is there can be read.
  ExpectNext(cancelled.get(), 1);
  EXPECT_TRUE(Fails(cancelled->Wait(), absl::StatusCode::kCancelled));
  EXPECT_OK(cancelled->status());
}

TEST_F(FollowTest, ManyRolloversBesideTrimming) {
  constexpr Lsn kRecords = 400;
  std::vector<std::thread> followers;
  std::atomic<Lsn> seen[4] = {};
  for (int i = 0; i < 4; ++i) {
    followers.emplace_back([&, i] {
      auto reader = ReaderFrom(1, i % 2 == 0 ? ReadLimit::kDurable : ReadLimit::kWritten);
      for (Lsn lsn = 1; lsn <= kRecords; ++lsn) {
        ASSERT_OK(reader->Wait());
        ExpectNext(reader.get(), lsn);
        seen[i] = lsn;
      }
    });
  }
  for (Lsn lsn = 1; lsn <= kRecords; ++lsn) {
    Append(lsn % 3 == 0 ? Durability::kDurable : Durability::kWritten);
    // Up to what all have read: their own segments are theirs still.
    Lsn all = kRecords;
    for (auto& one : seen) all = std::min(all, one.load());
    if (lsn % 10 == 0) {
      EXPECT_OK(log_->TrimBefore(std::min(all, log_->durable_lsn()) + 1));
    }
  }
  EXPECT_OK(log_->WaitDurable(kRecords));
  for (std::thread& follower : followers) follower.join();
  EXPECT_GT(log_->stats().rollovers, 10u);
}

TEST_F(FollowTest, AFollowerOvertakenByATrimIsToldTheFirstRecord) {
  auto reader = ReaderFrom(1);
  for (int i = 0; i < 60; ++i) Append();
  ASSERT_OK(log_->TrimBefore(50));
  const Lsn first = log_->first_lsn();
  ASSERT_GT(first, 1u);
  const std::string begins = "begins at record " + std::to_string(first);
  EXPECT_TRUE(Fails(reader->Wait(), absl::StatusCode::kOutOfRange, {begins}));
  EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kOutOfRange, {begins}));
  Record record;
  EXPECT_FALSE(reader->Next(&record));
}

TEST_F(FollowTest, ATruncationTellsThoseThatWereServedWhatItCuts) {
  for (int i = 0; i < 20; ++i) Append();
  auto beyond = ReaderFrom(1);
  auto at_cut = ReaderFrom(1);
  for (Lsn lsn = 1; lsn <= 20; ++lsn) ExpectNext(beyond.get(), lsn);
  auto told = WaitWhile({beyond.get()}, [&] { EXPECT_OK(log_->TruncateAfter(15)); });
  EXPECT_TRUE(Fails(told[0], absl::StatusCode::kOutOfRange, {"truncated after record 15"}));
  EXPECT_EQ(beyond->status(), told[0]);
  // One that begins behind the cut waits for what comes there.
  auto behind = ReaderFrom(16);
  EXPECT_OK(WaitWhile({behind.get()}, [&] { Append(Durability::kDurable, "b"); })[0]);
  ExpectNext(behind.get(), 16, "b");
}

TEST_F(FollowTest, AFailureIsToldToAllThatWait) {
  Append();
  auto durable = ReaderFrom(2, ReadLimit::kDurable);
  auto written = ReaderFrom(2, ReadLimit::kWritten);
  auto behind = ReaderFrom(1);
  Fault fault;
  fault.kind = CallKind::kWrite;
  fault.path_contains = ".seg";
  fault.forever = true;  // the store may write to a spare before the record is
  fault.error = EIO;
  disk_.InjectFault(fault);
  absl::Status latched;
  auto told = WaitWhile({durable.get(), written.get()},
                        [&] { latched = ToStatus(log_->Append("lost", Durability::kDurable)); });
  ASSERT_FALSE(latched.ok());
  for (const absl::Status& status : told) EXPECT_EQ(status, latched);
  EXPECT_OK(durable->status());
  // What was durable is still to be had.
  EXPECT_OK(behind->Wait());
  ExpectNext(behind.get(), 1);
  EXPECT_EQ(behind->Wait(), latched);
}

TEST_F(FollowTest, AFailureWithoutALeaderIsToldToo) {
  for (int i = 0; i < 30; ++i) Append();
  auto reader = ReaderFrom(31);
  Fault fault;
  fault.kind = CallKind::kSync;
  fault.path_contains = "CONTROL";
  fault.forever = true;  // the store may list a spare before the trim
  absl::Status latched;
  auto told = WaitWhile({reader.get()}, [&] {
    disk_.InjectFault(fault);
    latched = log_->TrimBefore(20);
  });
  ASSERT_FALSE(latched.ok());
  EXPECT_EQ(told[0], latched);
}

TEST_F(FollowTest, CloseLetsFollowersReadToTheEnd) {
  auto reader = ReaderFrom(1);
  Append(Durability::kAppended);
  Append(Durability::kAppended);
  EXPECT_OK(WaitWhile({reader.get()}, [&] { EXPECT_OK(log_->Close()); })[0]);
  ExpectNext(reader.get(), 1);
  EXPECT_OK(reader->Wait());
  ExpectNext(reader.get(), 2);
  EXPECT_TRUE(Fails(reader->Wait(), absl::StatusCode::kFailedPrecondition, {"closed"}));
  ExpectEnd(reader.get());
}

TEST_F(FollowTest, CloseWakesThoseThatHaveReadAll) {
  auto reader = ReaderFrom(1);
  auto told = WaitWhile({reader.get()}, [&] { EXPECT_OK(log_->Close()); });
  EXPECT_TRUE(Fails(told[0], absl::StatusCode::kFailedPrecondition, {"closed"}));
}

TEST_F(FollowTest, AReaderThatOnlyReadsDoesNotFollow) {
  Append();
  auto reader = Reader::OpenReadOnly("/log", 0, &disk_);
  ASSERT_OK(reader);
  EXPECT_OK((*reader)->Wait());
  ExpectNext(reader->get(), 1);
  EXPECT_TRUE(Fails((*reader)->Wait(), absl::StatusCode::kFailedPrecondition, {"OpenReadOnly"}));
}

// Between the follower's look and its sleep, deterministically.
TEST(WatermarkWatchTest, WhoGoesToSleepBehindTheWakeUpDoesNotSleep) {
  Watchdog watchdog(std::chrono::seconds(20));
  watchdog.Begin("a wake-up that came before the sleep");
  WatermarkWatch watch;
  for (Durability level : {Durability::kWritten, Durability::kDurable}) {
    EXPECT_FALSE(watch.Take(level, 1, /*always=*/false)) << "nobody follows";
    watch.Begin(level);
    const uint32_t seen = watch.Seen(level);
    EXPECT_TRUE(watch.Take(level, 2, /*always=*/false));
    watch.Wake(level);
    watch.Sleep(level, seen, WatermarkWatch::Clock::time_point::max());
    watch.Sleep(level, seen, WatermarkWatch::Clock::now() + std::chrono::hours(1));
    EXPECT_FALSE(watch.Take(level, 2, /*always=*/false)) << "no news";
    EXPECT_TRUE(watch.Take(level, 2, /*always=*/true));
    watch.Forget();
    EXPECT_TRUE(watch.Take(level, 2, /*always=*/false));
    watch.End(level);
    EXPECT_FALSE(watch.Take(level, 3, /*always=*/false));
  }
}

// Each record is appended when the follower has seen the one before, so a wake-up that is lost once
// is lost for good. The follower goes to sleep just then, at each distance from the publication.
TEST_F(FollowTest, NoWakeUpIsLost) {
  constexpr Lsn kRounds = 3000;
  for (ReadLimit limit : {ReadLimit::kDurable, ReadLimit::kWritten}) {
    const Lsn from = log_->appended_lsn() + 1;
    auto reader = ReaderFrom(from, limit);
    std::atomic<Lsn> seen{from - 1};
    std::thread follower([&] {
      Record record;
      for (Lsn lsn = from; lsn < from + kRounds; ++lsn) {
        ASSERT_OK(reader->Wait());
        ASSERT_TRUE(reader->Next(&record));
        ASSERT_EQ(record.lsn, lsn);
        seen.store(lsn, std::memory_order_release);
      }
    });
    const Durability level =
        limit == ReadLimit::kDurable ? Durability::kDurable : Durability::kWritten;
    for (Lsn lsn = from; lsn < from + kRounds; ++lsn) {
      ASSERT_OK(log_->Append("x", level));
      while (seen.load(std::memory_order_acquire) < lsn) std::this_thread::yield();
    }
    follower.join();
  }
}

}  // namespace
}  // namespace seawall
