// SPDX-License-Identifier: Apache-2.0
// Callbacks, and waiters, where they meet what else goes on: full buffers, a truncation. Each hung
// once, or was told of another record.
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/event.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

class CallbackTest : public ::testing::Test {
 protected:
  void Open(Options options = Options()) {
    options.file_system = &fs_;
    options.buffer_bytes = 8192;
    options.max_record_bytes = kRecordBytes;
    auto log = Log::Open("/log", options);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = std::move(*log);
    watchdog_.Begin("a callback");
  }

  Lsn MustAppend(Durability until = Durability::kAppended) {
    auto lsn = log_->Append(std::string(kRecordBytes, 'r'), until);
    EXPECT_TRUE(lsn.ok()) << lsn.status();
    return lsn.ok() ? *lsn : 0;
  }

  static constexpr size_t kRecordBytes = 4000;  // two to a buffer
  Watchdog watchdog_;
  CrashFileSystem disk_;
  SyncGate fs_{&disk_, ".seg"};
  std::unique_ptr<Log> log_;
};

// The leader is in its sync, both buffers are full, and the thread that would write them is the
// one that waits for room. Found by engine/commit/model/commit_protocol.pml.
TEST_F(CallbackTest, ACallbackMayAppendWhileAllBuffersAreFull) {
  Open();
  Event in_callback, buffers_full, done;
  MustAppend(Durability::kDurable);
  ASSERT_TRUE(log_->NotifyDurable(1,
                                  [&](const absl::Status& status) {
                                    EXPECT_TRUE(status.ok()) << status;
                                    in_callback.Set();
                                    buffers_full.Wait();
                                    EXPECT_EQ(MustAppend(), 7u);
                                    done.Set();
                                  })
                  .ok());
  in_callback.Wait();
  std::thread leader = fs_.RunIntoSync([&] { MustAppend(Durability::kDurable); });
  for (int i = 0; i < 4; ++i) MustAppend();
  buffers_full.Set();
  while (log_->stats().buffer_full_waits == 0) std::this_thread::yield();
  fs_.LetGo();
  done.Wait();
  leader.join();
  EXPECT_TRUE(log_->Close().ok());
}

// The leader is in its sync, as many segments are taken as CONTROL has room for, and the thread
// that would begin the next one of them is the one that waits for a spare.
TEST_F(CallbackTest, ACallbackMayAppendWhileNoSegmentCanBePrepared) {
  Options options;
  options.buffer_count = 64;
  options.segment_bytes = 16384;  // three records
  Open(options);
  Event in_callback, segments_taken, done;
  const Lsn first = MustAppend(Durability::kDurable);
  ASSERT_TRUE(log_->NotifyDurable(first,
                                  [&](const absl::Status& status) {
                                    EXPECT_TRUE(status.ok()) << status;
                                    in_callback.Set();
                                    segments_taken.Wait();
                                    for (int i = 0; i < 4; ++i) MustAppend();
                                    done.Set();
                                  })
                  .ok());
  in_callback.Wait();
  std::thread leader = fs_.RunIntoSync([&] { MustAppend(Durability::kDurable); });
  // The leader's segment and six more.
  const uint64_t rollovers = log_->stats().rollovers;
  while (log_->stats().rollovers < rollovers + 6) MustAppend();
  const uint64_t waits = log_->stats().rollover_waits;
  segments_taken.Set();
  while (log_->stats().rollover_waits == waits) std::this_thread::yield();
  fs_.LetGo();
  done.Wait();
  leader.join();
  EXPECT_TRUE(log_->Close().ok());
}

// What is registered before the group is durable runs in LSN order, and for one LSN in the order
// of registration, whoever comes first.
TEST_F(CallbackTest, ThoseRegisteredBeforeTheSyncRunInLsnOrder) {
  Open();
  std::thread leader = fs_.RunIntoSync([&] { MustAppend(Durability::kDurable); });
  for (int i = 0; i < 2; ++i) MustAppend();  // 2 and 3, beside the leader's 1
  std::vector<std::pair<Lsn, int>> called;   // by the log's one thread
  Event all;
  int number = 0;
  for (Lsn lsn : {3, 1, 2, 3, 1, 2}) {
    ASSERT_TRUE(log_->NotifyDurable(lsn,
                                    [&, lsn, n = ++number](const absl::Status& status) {
                                      EXPECT_TRUE(status.ok()) << status;
                                      called.emplace_back(lsn, n);
                                      if (called.size() == 6) all.Set();
                                    })
                    .ok());
  }
  fs_.LetGo();
  leader.join();
  all.Wait();
  EXPECT_EQ(called,
            (std::vector<std::pair<Lsn, int>>{{1, 2}, {1, 5}, {2, 3}, {2, 6}, {3, 1}, {3, 4}}));
  EXPECT_TRUE(log_->Close().ok());
}

// A truncation is as good as a failure to one who waits for a record that it cuts off; and a later
// record with the same LSN is not the one that was meant.
TEST_F(CallbackTest, ATruncationEndsTheWaitForWhatItCuts) {
  Open();
  std::mutex mutex;
  std::vector<std::pair<Lsn, absl::StatusCode>> called;
  Event in_callback, go, all;
  for (int i = 0; i < 4; ++i) MustAppend(Durability::kDurable);
  for (Lsn lsn = 1; lsn <= 4; ++lsn) {
    ASSERT_TRUE(log_->NotifyDurable(lsn,
                                    [&, lsn](const absl::Status& status) {
                                      if (lsn == 1) {
                                        in_callback.Set();
                                        go.Wait();
                                      }
                                      const std::lock_guard<std::mutex> lock(mutex);
                                      called.emplace_back(lsn, status.code());
                                      if (called.size() == 5) all.Set();
                                    })
                    .ok());
    if (lsn == 1) in_callback.Wait();  // the others come while the first one is being called
  }
  ASSERT_TRUE(log_->TruncateAfter(2).ok());
  ASSERT_EQ(MustAppend(), 3u);
  ASSERT_TRUE(log_->NotifyDurable(3,
                                  [&](const absl::Status& status) {
                                    const std::lock_guard<std::mutex> lock(mutex);
                                    called.emplace_back(30, status.code());
                                    if (called.size() == 5) all.Set();
                                  })
                  .ok());
  go.Set();
  all.Wait();
  EXPECT_TRUE(log_->Close().ok());
  using Call = std::pair<Lsn, absl::StatusCode>;
  EXPECT_EQ(called, (std::vector<Call>{{1, absl::StatusCode::kOk},
                                       {2, absl::StatusCode::kOk},
                                       {3, absl::StatusCode::kOutOfRange},
                                       {4, absl::StatusCode::kOutOfRange},
                                       {30, absl::StatusCode::kOk}}));
}

// The same for those who wait. Found by engine/commit/model/commit_protocol.pml.
TEST_F(CallbackTest, ATruncationEndsTheWaitOfAThreadForWhatItCuts) {
  constexpr uint32_t kWaiters = 8;
  ASSERT_NO_FATAL_FAILURE(Open());
  MustAppend();
  const Lsn cut = MustAppend();
  fs_.ArmForThisThread();
  std::thread meanwhile([&] {
    std::vector<std::thread> waiters;
    fs_.AwaitSync();
    for (uint32_t i = 0; i < kWaiters; ++i) {
      waiters.emplace_back([&] {
        const absl::Status status = log_->WaitDurable(cut);
        EXPECT_TRUE(absl::IsOutOfRange(status)) << status;
      });
    }
    while (log_->stats().waiters < kWaiters) std::this_thread::yield();
    fs_.LetGo();
    for (std::thread& waiter : waiters) waiter.join();
  });
  ASSERT_TRUE(log_->TruncateAfter(0).ok());
  MustAppend();
  EXPECT_EQ(MustAppend(Durability::kDurable), cut);
  meanwhile.join();
}

}  // namespace
}  // namespace seawall
