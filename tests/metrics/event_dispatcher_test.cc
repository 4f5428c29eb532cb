// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics/event_dispatcher.h"

#include <chrono>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/event.h"

namespace seawall {
namespace {

using Io = EventDispatcher::Io;

// The first event is held until it is let go.
class EventDispatcherTest : public ::testing::Test {
 protected:
  EventDispatcherTest() {
    options_.on_event = [this](const LogEvent& event) {
      first_.Set();
      go_.Wait();
      const std::lock_guard<std::mutex> lock(mutex_);
      texts_.push_back(event.ToString());
    };
  }

  std::vector<std::string> Texts() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return texts_;
  }

  Options options_;
  Event first_, go_;
  std::mutex mutex_;
  std::vector<std::string> texts_;
};

TEST_F(EventDispatcherTest, HandsOverInOrderAndStopsBehindTheLast) {
  EventDispatcher events("/log", options_);
  events.Start();
  go_.Set();
  for (uint64_t i = 0; i < 100; ++i) {
    events.Post(LogEventKind::kRolloverWait, i, absl::OkStatus());
  }
  events.Post(LogEventKind::kFailed, 0, absl::UnavailableError("broken"));
  events.Stop();
  const std::vector<std::string> texts = Texts();
  ASSERT_EQ(texts.size(), 101u);
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(texts[i], "rollover wait, /log, " + std::to_string(i) + " us");
  }
  EXPECT_EQ(texts[100], "failed, /log: UNAVAILABLE: broken");
  EXPECT_EQ(events.lost(), 0u);
}

TEST_F(EventDispatcherTest, TooManyAreLostAndCountedButNeverTheFailure) {
  EventDispatcher events("/log", options_);
  events.Start();
  events.Post(LogEventKind::kRolloverWait, 0, absl::OkStatus());
  first_.Wait();
  for (uint64_t i = 0; i < EventDispatcher::kMaxPending + 10; ++i) {
    events.Post(LogEventKind::kRolloverWait, i, absl::OkStatus());
  }
  events.Post(LogEventKind::kFailed, 0, absl::UnavailableError("broken"));
  EXPECT_EQ(events.lost(), 10u);
  go_.Set();
  events.Stop();
  const std::vector<std::string> texts = Texts();
  EXPECT_EQ(texts.size(), EventDispatcher::kMaxPending + 2);
  EXPECT_EQ(texts.back(), "failed, /log: UNAVAILABLE: broken");
}

TEST_F(EventDispatcherTest, WhatThrowsIsLost) {
  options_.on_event = [](const LogEvent&) { throw std::runtime_error("no"); };
  EventDispatcher events("/log", options_);
  events.Start();
  events.Post(LogEventKind::kRolloverWait, 1, absl::OkStatus());
  events.Post(LogEventKind::kRolloverWait, 2, absl::OkStatus());
  events.Stop();
  EXPECT_EQ(events.lost(), 2u);
}

TEST_F(EventDispatcherTest, WithoutACallbackNothingIsKept) {
  EventDispatcher events("/log", Options());
  events.Start();
  events.Post(LogEventKind::kFailed, 0, absl::UnavailableError("broken"));
  events.IoBegins(Io::kSync, 1, EventDispatcher::Clock::now());
  EXPECT_FALSE(events.IoEnds(EventDispatcher::Clock::now(), absl::OkStatus()));
  events.Stop();
  EXPECT_EQ(events.lost(), 0u);
}

// By times that are made up: a stall that ended before the thread could tell of it.
TEST_F(EventDispatcherTest, TheEndOfASlowCallIsToldInAnyCase) {
  options_.slow_sync_micros = uint64_t{60} * 60 * 1000 * 1000;
  EventDispatcher events("/log", options_);
  events.Start();
  go_.Set();
  const auto now = EventDispatcher::Clock::now();
  events.IoBegins(Io::kWrite, 7, now);
  EXPECT_FALSE(events.IoEnds(now + std::chrono::minutes(59), absl::OkStatus()));
  events.IoBegins(Io::kSync, 7, now);
  EXPECT_TRUE(events.IoEnds(now + std::chrono::minutes(60), absl::DataLossError("bad")));
  events.Stop();
  EXPECT_EQ(Texts(), (std::vector<std::string>{
                         "slow sync ended, /log/0000000000000007.seg, 3600000000 us: DATA_LOSS: "
                         "bad"}));
}

}  // namespace
}  // namespace seawall
