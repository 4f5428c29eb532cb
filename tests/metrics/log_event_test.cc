// SPDX-License-Identifier: Apache-2.0
// What a log tells Options::on_event: of a disk that hangs while it hangs, of waits for the next
// segment, and of a failure once.
#include "seawall/log_event.h"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/event.h"
#include "tests/support/stalling_log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// What on_event was told.
class Recorder {
 public:
  struct Told {
    LogEventKind kind;
    uint64_t micros;
    std::string path;
    std::string status;
  };

  void Add(const LogEvent& event) {
    const std::lock_guard<std::mutex> lock(mutex_);
    told_.push_back({event.kind, event.micros, event.path, event.status.ToString()});
    changed_.notify_all();
  }
  // The first one of this kind, once there are so many.
  Told Await(LogEventKind kind, int count = 1) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return CountLocked(kind) >= count; });
    for (const Told& told : told_) {
      if (told.kind == kind) return told;
    }
    return {};
  }
  int Count(LogEventKind kind) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return CountLocked(kind);
  }
  std::vector<LogEventKind> Kinds() {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<LogEventKind> kinds;
    for (const Told& told : told_) kinds.push_back(told.kind);
    return kinds;
  }

 private:
  int CountLocked(LogEventKind kind) const {
    int count = 0;
    for (const Told& told : told_) count += told.kind == kind ? 1 : 0;
    return count;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Told> told_;
};

class LogEventTest : public StallingLogTest {
 protected:
  LogEventTest() : StallingLogTest(uint64_t{16} << 10) {
    options_.slow_sync_micros = 5000;
    options_.on_event = [this](const LogEvent& event) { events_.Add(event); };
  }

  // It closes, and with that hands over what is left, before what it tells goes.
  ~LogEventTest() override { log_.reset(); }

  // A commit whose sync hangs until `nth` slow ones were told of.
  void CommitSlowly(int nth = 1) {
    std::thread thread = Hang(Call::kSync);
    events_.Await(LogEventKind::kSlowSync, nth);
    fs_.LetGo();
    thread.join();
  }

  Recorder events_;
};

TEST_F(LogEventTest, ASyncThatHangsIsToldOnceWhileItHangsAndWhenItEnds) {
  Open();
  std::thread thread = Hang(Call::kSync);
  const Recorder::Told slow = events_.Await(LogEventKind::kSlowSync);
  EXPECT_GE(slow.micros, 5000u);
  EXPECT_EQ(slow.path, directory_ / "0000000000000001.seg");
  EXPECT_EQ(slow.status, "OK");
  EXPECT_EQ(log_->durable_lsn(), 0u);
  // Ten times as long, and it is not told again.
  while (log_->stats().sync_in_flight_micros < 50000) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(events_.Count(LogEventKind::kSlowSync), 1);
  EXPECT_EQ(events_.Count(LogEventKind::kSlowSyncEnded), 0);
  fs_.LetGo();
  thread.join();
  const Recorder::Told ended = events_.Await(LogEventKind::kSlowSyncEnded);
  EXPECT_GE(ended.micros, 50000u);
  EXPECT_EQ(ended.path, slow.path);
  EXPECT_EQ(ended.status, "OK");
  EXPECT_EQ(log_->stats().slow_syncs, 1u);
}

TEST_F(LogEventTest, AWriteThatHangsIsTold) {
  Open();
  std::thread thread = Hang(Call::kWrite);
  EXPECT_GE(events_.Await(LogEventKind::kSlowWrite).micros, 5000u);
  EXPECT_EQ(log_->written_lsn(), 0u);
  fs_.LetGo();
  thread.join();
  EXPECT_GE(events_.Await(LogEventKind::kSlowWriteEnded).micros, 5000u);
}

// The thread that watches was asleep in between, with nothing to watch.
TEST_F(LogEventTest, EachStallIsToldOfASecondOneToo) {
  Open();
  for (int stall = 1; stall <= 3; ++stall) {
    CommitSlowly(stall);
    events_.Await(LogEventKind::kSlowSyncEnded, stall);
  }
}

TEST_F(LogEventTest, AFailureIsToldOnceBehindTheEndOfTheSync) {
  Open();
  std::thread thread = Hang(Call::kSync, EIO);
  events_.Await(LogEventKind::kSlowSync);
  fs_.LetGo();
  thread.join();
  EXPECT_FALSE(log_->AppendDurable("y").ok());
  EXPECT_FALSE(log_->TrimBefore(1).ok());
  const absl::Status closed = log_->Close();
  EXPECT_FALSE(closed.ok());
  EXPECT_NE(events_.Await(LogEventKind::kSlowSyncEnded).status.find("UNAVAILABLE"),
            std::string::npos);
  EXPECT_EQ(events_.Await(LogEventKind::kFailed).status, closed.ToString());
  EXPECT_EQ(events_.Count(LogEventKind::kFailed), 1);
  EXPECT_EQ(events_.Kinds().back(), LogEventKind::kFailed);
}

TEST_F(LogEventTest, WhatCallsBackMayUseTheLog) {
  options_.on_event = [this](const LogEvent& event) {
    if (event.kind == LogEventKind::kSlowSync) {
      EXPECT_EQ(log_->durable_lsn(), 0u);
      EXPECT_GT(log_->stats().sync_in_flight_micros, 0u);
      EXPECT_TRUE(log_->Append("from the callback").ok());
      fs_.LetGo();
      EXPECT_TRUE(log_->WaitDurable(2).ok());
    }
    events_.Add(event);
  };
  Open();
  Hang(Call::kSync).join();
  events_.Await(LogEventKind::kSlowSyncEnded);
  EXPECT_EQ(log_->durable_lsn(), 2u);
}

TEST_F(LogEventTest, WhatThrowsDoesNoHarm) {
  options_.on_event = [this](const LogEvent& event) {
    events_.Add(event);
    throw std::runtime_error("no");
  };
  Open();
  CommitSlowly();
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_GE(log_->stats().events_lost, 2u);
}

TEST_F(LogEventTest, CloseReturnsBehindTheLastEvent) {
  Open();
  CommitSlowly();
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_EQ(events_.Count(LogEventKind::kSlowSyncEnded),
            static_cast<int>(log_->stats().slow_syncs));
}

// Lets nobody make the second segment until it may.
class GatedCreation : public ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    if (options.create && path.find("0000000000000002.seg") != std::string::npos) go_.Wait();
    return ForwardingFileSystem::Open(path, options, file);
  }
  void LetGo() { go_.Set(); }

 private:
  Event go_;
};

TEST_F(LogEventTest, ARolloverWithoutASpareIsToldOnceForAllThatWait) {
  GatedCreation gate(FileSystem::Posix());
  options_.file_system = &gate;
  options_.max_recycled_segments = 0;
  options_.slow_sync_micros = 0;
  Open();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 20; ++i) EXPECT_TRUE(log_->Append(std::string(1000, 'x')).ok());
    });
  }
  // Each has more than a segment holds.
  while (log_->stats().rollover_waits < 3) std::this_thread::yield();
  EXPECT_EQ(events_.Count(LogEventKind::kRolloverWait), 0);
  gate.LetGo();
  for (std::thread& thread : threads) thread.join();
  const Recorder::Told told = events_.Await(LogEventKind::kRolloverWait);
  EXPECT_EQ(told.path, directory_.path());
  EXPECT_EQ(told.status, "OK");
  EXPECT_TRUE(log_->Close().ok());
  EXPECT_LE(events_.Count(LogEventKind::kRolloverWait), static_cast<int>(log_->stats().rollovers));
  EXPECT_EQ(log_->stats().events_lost, 0u);
}

}  // namespace
}  // namespace seawall
