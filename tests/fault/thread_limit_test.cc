// SPDX-License-Identifier: Apache-2.0
// A kernel that gives no thread: Open says so, and the log can be opened when it gives some; what
// several threads share is done by those that there are.
#include <dlfcn.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>
#include <new>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/run_on_threads.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "tests/support/test_util.h"

namespace {
// pthread_create fails with EAGAIN once so many have been made.
std::atomic<int> threads_left{1 << 20};
}  // namespace

// The one that std::thread calls, instead of glibc's.
extern "C" int pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                              void* (*start)(void*), void* argument) {
  if (threads_left-- <= 0) return EAGAIN;
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  return create(thread, attributes, start, argument);
}

namespace seawall {
namespace {

TEST(ThreadLimitTest, WithoutAThreadOpenFailsAndLeavesALogThatOpens) {
  TempDir dir;
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), Options());
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_TRUE((*log)->AppendDurable("kept").ok());
  }
  Options options;
  options.on_event = [](const LogEvent&) {};
  options.archive = [](const SealedSegment&) { return absl::OkStatus(); };
  for (int threads : {0, 1, 2, 3, 4}) {
    threads_left = threads;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
    EXPECT_TRUE(absl::IsResourceExhausted(log.status())) << threads << ": " << log.status();
  }
  threads_left = 1 << 20;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), Options());
  ASSERT_TRUE(log.ok()) << log.status();
  absl::StatusOr<std::string> record = (*log)->Read(1);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(*record, "kept");
}

TEST(ThreadLimitTest, ManySegmentsAreOpenedWithTheThreadsThereAre) {
  TempDir dir;
  Options options;
  options.segment_bytes = 16 << 10;
  options.buffer_bytes = 8 << 10;
  options.max_record_bytes = 4 << 10;
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
    ASSERT_TRUE(log.ok()) << log.status();
    while ((*log)->stats().segments < 40) {
      ASSERT_TRUE((*log)->AppendDurable(std::string(4000, 'r')).ok());
    }
  }
  for (int threads : {0, 1, 3}) {
    threads_left = threads;
    auto reader = Reader::OpenReadOnly(dir.path());
    ASSERT_TRUE(reader.ok()) << reader.status();
    Record record;
    EXPECT_TRUE((*reader)->Next(&record));
  }
  threads_left = 1 << 20;
}

TEST(RunOnThreadsTest, EachThatThereIsCallsOnce) {
  for (int threads : {0, 1, 3, 9}) {
    threads_left = threads;
    std::atomic<int> calls{0};
    RunOnThreads(4, [&] { ++calls; });
    EXPECT_EQ(calls, std::min(threads + 1, 4));
  }
  threads_left = 1 << 20;
}

TEST(RunOnThreadsTest, WhatOneThrowsIsThrownWhenAllAreDone) {
  for (int thrower = 0; thrower < 4; ++thrower) {
    std::atomic<int> calls{0}, done{0};
    const auto work = [&] {
      if (calls++ == thrower) throw std::bad_alloc();
      ++done;
    };
    EXPECT_THROW(RunOnThreads(4, work), std::bad_alloc);
    EXPECT_EQ(done, 3);
  }
}

}  // namespace
}  // namespace seawall
