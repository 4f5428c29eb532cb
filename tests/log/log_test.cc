// SPDX-License-Identifier: Apache-2.0
// The public API, on the simulated file system and, where threads matter, on the real one.
#include "seawall/log.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/log/log_test_util.h"
#include "tests/support/event.h"
#include "tests/support/forwarding_file_system.h"

namespace seawall {
namespace {

TEST_F(LogTest, LsnsAreDenseAndBeginAtOne) {
  std::unique_ptr<Log> log = MustOpen();
  EXPECT_EQ(log->first_lsn(), 1u);
  EXPECT_EQ(log->appended_lsn(), 0u);
  EXPECT_EQ(*log->Append("a"), 1u);
  EXPECT_EQ(*log->Append(""), 2u);
  EXPECT_EQ(*log->AppendBatch({"b", "c", "d"}), (LsnRange{3, 5}));
  EXPECT_EQ(*log->AppendDurable("e"), 6u);
  EXPECT_EQ(log->appended_lsn(), 6u);
  EXPECT_EQ(log->durable_lsn(), 6u);
  EXPECT_EQ(*log->Read(2), "");
  EXPECT_EQ(*log->Read(4), "c");
}

TEST_F(LogTest, EachWatermarkMovesWithItsLayer) {
  std::unique_ptr<Log> log = MustOpen();
  ASSERT_TRUE(log->Append("a").ok());
  EXPECT_EQ(log->appended_lsn(), 1u);
  EXPECT_EQ(log->written_lsn(), 0u);
  ASSERT_STATUS_OK(log->WaitWritten(1));
  EXPECT_EQ(log->written_lsn(), 1u);
  EXPECT_EQ(log->durable_lsn(), 0u);
  EXPECT_EQ(log->stats().syncs, 0u);
  ASSERT_STATUS_OK(log->WaitDurable(1));
  EXPECT_EQ(log->durable_lsn(), 1u);
  EXPECT_EQ(log->stats().syncs, 1u);
}

TEST_F(LogTest, ALoneDurableCommitIsOneWriteAndOneSync) {
  std::unique_ptr<Log> log = MustOpen();
  ASSERT_TRUE(log->AppendDurable("warm").ok());
  const uint64_t calls = fs_.calls();
  ASSERT_TRUE(log->AppendDurable("x").ok());
  ASSERT_EQ(fs_.calls(), calls + 2);
  const std::vector<FileSystemCall> trace = fs_.Trace();
  EXPECT_EQ(trace[calls].kind, CallKind::kWrite);
  EXPECT_EQ(trace[calls + 1].kind, CallKind::kSync);
}

TEST_F(LogTest, RecordOverTheLimitIsRefusedWithBothSizes) {
  std::unique_ptr<Log> log = MustOpen();
  const std::string record(options_.max_record_bytes + 1, 'x');
  absl::Status status = log->Append(record).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_TRUE(Contains(status, absl::StrCat(record.size()))) << status.message();
  EXPECT_TRUE(Contains(status, absl::StrCat(options_.max_record_bytes))) << status.message();
  EXPECT_EQ(log->appended_lsn(), 0u);
  EXPECT_TRUE(log->Append(std::string(options_.max_record_bytes, 'x')).ok());
}

TEST_F(LogTest, BatchOverTheLimitOrEmptyIsRefused) {
  std::unique_ptr<Log> log = MustOpen();
  EXPECT_TRUE(absl::IsInvalidArgument(log->AppendBatch({}).status()));
  const std::string half(options_.MaxBatchBytes() / 2 - 16, 'x');
  EXPECT_TRUE(log->AppendBatch({half, half}).ok());
  absl::Status status = log->AppendBatch({half, half, "x"}).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_TRUE(Contains(status, absl::StrCat(options_.MaxBatchBytes()))) << status.message();
  const std::vector<std::string_view> many(kMaxBatchRecords + 1);
  status = log->AppendBatch(many).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_TRUE(Contains(status, absl::StrCat(kMaxBatchRecords))) << status.message();
  EXPECT_EQ(log->appended_lsn(), 2u);
}

TEST_F(LogTest, WaitForAnLsnNeverAssignedIsOutOfRange) {
  std::unique_ptr<Log> log = MustOpen();
  EXPECT_TRUE(absl::IsOutOfRange(log->WaitDurable(1)));
  ASSERT_TRUE(log->AppendDurable("a").ok());
  EXPECT_TRUE(absl::IsOutOfRange(log->WaitDurable(2)));
  EXPECT_TRUE(log->WaitDurable(0).ok())
      << "no record at all: what appended_lsn() of an empty log is";
  EXPECT_TRUE(absl::IsOutOfRange(log->NotifyDurable(2, [](const absl::Status&) {})));
}

TEST_F(LogTest, ReadOutsideTheLogNamesItsRange) {
  std::unique_ptr<Log> log = MustOpen();
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(log->AppendDurable(std::string(1000, 'x')).ok());
  ASSERT_STATUS_OK(log->TrimBefore(40));
  const Lsn first = log->first_lsn();
  ASSERT_GT(first, 1u);
  ASSERT_LE(first, 40u);
  absl::Status below = log->Read(first - 1).status();
  EXPECT_TRUE(absl::IsNotFound(below));
  EXPECT_TRUE(Contains(below, absl::StrCat(first, " to 60"))) << below.message();
  absl::Status above = log->Read(61).status();
  EXPECT_TRUE(absl::IsOutOfRange(above));
  EXPECT_TRUE(Contains(above, absl::StrCat(first, " to 60"))) << above.message();
  EXPECT_TRUE(log->NewReader(61).ok()) << "one above the last: a reader that waits there";
  EXPECT_TRUE(absl::IsOutOfRange(log->NewReader(62).status()));
  EXPECT_TRUE(absl::IsNotFound(log->NewReader(first - 1).status()));
}

TEST_F(LogTest, AfterCloseEveryCallSaysSo) {
  std::unique_ptr<Log> log = MustOpen();
  ASSERT_TRUE(log->Append("a").ok());
  ASSERT_STATUS_OK(log->Close());
  ASSERT_STATUS_OK(log->Close());
  EXPECT_TRUE(absl::IsFailedPrecondition(log->Append("b").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(log->AppendDurable("b").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(log->AppendBatch({"b"}).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(log->Read(1).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(log->NewReader(1).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(log->TrimBefore(1)));
  EXPECT_TRUE(absl::IsFailedPrecondition(log->TruncateAfter(0)));
  auto held = std::make_shared<int>(0);
  const auto callback = [held](const absl::Status&) { ADD_FAILURE() << "called after Close()"; };
  EXPECT_TRUE(absl::IsFailedPrecondition(log->NotifyDurable(1, callback)));
  EXPECT_TRUE(absl::IsOutOfRange(log->NotifyDurable(2, callback)));
  EXPECT_EQ(held.use_count(), 2) << "its copies are gone";
  // Close made it durable: that stays true.
  EXPECT_TRUE(log->WaitDurable(1).ok());
}

TEST_F(LogTest, UnusableOptionsAreListedAtOnce) {
  options_.segment_bytes = 5000;
  options_.buffer_count = 1;
  options_.group_alignment_bytes = 7;
  absl::Status status = Log::Open("/data/log", options_).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  for (const char* name : {"segment_bytes", "buffer_count", "group_alignment_bytes"}) {
    EXPECT_TRUE(Contains(status, name)) << status.message();
  }
  FileInfo info;
  EXPECT_EQ(fs_.Stat("/data/log", &info), ENOENT);
}

TEST_F(LogTest, WithoutCreateIfMissingAMissingLogIsNotFoundAndStaysMissing) {
  options_.create_if_missing = false;
  EXPECT_TRUE(absl::IsNotFound(Log::Open("/data/log", options_).status()));
  FileInfo info;
  EXPECT_EQ(fs_.Stat("/data/log", &info), ENOENT);
}

TEST_F(LogTest, SecondOpenerIsToldWhoHasTheLock) {
  std::unique_ptr<Log> log = MustOpen();
  absl::Status status = Log::Open("/data/log", options_).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  // Which process that is, tests/host/lock_test.cc has: a simulated kernel does not know.
  EXPECT_TRUE(Contains(status, "LOCK: the log is open in another process")) << status.message();
  ASSERT_STATUS_OK(log->Close());
  EXPECT_TRUE(Log::Open("/data/log", options_).ok());
}

TEST_F(LogTest, AFailedSyncLatchesAndTellsEveryWaiter) {
  std::unique_ptr<Log> log = MustOpen();
  ASSERT_TRUE(log->AppendDurable("kept").ok());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(log->Append("lost").ok());
  // Forever, as the store may sync a spare before the waiters lead a round.
  fs_.InjectFault({CallKind::kSync, ".seg", 1, true, EIO, 0});
  std::vector<std::thread> waiters;
  std::atomic<int> failed{0};
  for (Lsn lsn = 2; lsn <= 4; ++lsn) {
    waiters.emplace_back([&, lsn] {
      if (absl::IsAborted(log->WaitDurable(lsn))) ++failed;
    });
  }
  for (std::thread& waiter : waiters) waiter.join();
  EXPECT_EQ(failed, 3);
  const absl::Status latched = log->Append("x").status();
  EXPECT_TRUE(absl::IsAborted(latched)) << latched.message();
  EXPECT_EQ(log->WaitDurable(2), latched);
  EXPECT_EQ(log->TrimBefore(1), latched);
  EXPECT_EQ(log->TruncateAfter(1), latched);
  EXPECT_TRUE(log->WaitDurable(1).ok()) << "acknowledged before, and still";
  EXPECT_EQ(log->durable_lsn(), 1u);
  Event told;
  absl::Status heard;
  ASSERT_STATUS_OK(log->NotifyDurable(3, [&](const absl::Status& status) {
    heard = status;
    told.Set();
  }));
  told.Wait();
  EXPECT_EQ(heard, latched);
  EXPECT_EQ(log->Close(), latched);
  EXPECT_EQ(log->Close(), latched);
  log.reset();
  fs_.ClearFaults();
  log = MustOpen();
  EXPECT_GE(log->durable_lsn(), 1u);
  EXPECT_EQ(*log->Read(1), "kept");
}

TEST_F(LogTest, CallbacksRunInLsnOrderOnceDurable) {
  std::unique_ptr<Log> log = MustOpen();
  std::mutex mutex;
  std::vector<Lsn> order;
  Event last;
  for (int i = 0; i < 100; ++i) {
    absl::StatusOr<Lsn> lsn = log->Append("x");
    ASSERT_TRUE(lsn.ok());
    ASSERT_STATUS_OK(log->NotifyDurable(*lsn, [&, lsn = *lsn](const absl::Status& status) {
      EXPECT_TRUE(status.ok());
      EXPECT_GE(log->durable_lsn(), lsn);
      std::lock_guard<std::mutex> lock(mutex);
      order.push_back(lsn);
      if (lsn == 100) last.Set();
    }));
  }
  last.Wait();
  std::lock_guard<std::mutex> lock(mutex);
  ASSERT_EQ(order.size(), 100u);
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i + 1);
}

TEST_F(LogTest, ACallbackMayAppendEvenWhenTheBuffersAreFull) {
  std::unique_ptr<Log> log = MustOpen();
  const std::string record(3000, 'x');
  Event done;
  ASSERT_TRUE(log->Append(record).ok());
  ASSERT_STATUS_OK(log->NotifyDurable(1, [&](const absl::Status&) {
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(log->Append(record).ok());
    done.Set();
  }));
  done.Wait();
  ASSERT_STATUS_OK(log->WaitDurable(51));
}

TEST_F(LogTest, CloseRunsTheCallbacksThatAreDue) {
  std::unique_ptr<Log> log = MustOpen();
  std::atomic<int> ran{0};
  ASSERT_TRUE(log->Append("x").ok());
  ASSERT_STATUS_OK(log->NotifyDurable(1, [&](const absl::Status& status) {
    EXPECT_TRUE(status.ok());
    ++ran;
  }));
  ASSERT_STATUS_OK(log->Close());
  EXPECT_EQ(ran, 1);
}

// What a callback appends while the log is being closed is either refused or durable.
TEST_F(LogTest, CloseLosesNothingThatACallbackAppended) {
  for (int round = 0; round < 50; ++round) {
    std::unique_ptr<Log> log = MustOpen();
    const Lsn before = log->appended_lsn();
    std::atomic<Lsn> accepted{0};
    std::atomic<int> ran{0}, wanted{0};
    ASSERT_TRUE(log->Append("first").ok());
    ASSERT_STATUS_OK(log->NotifyDurable(before + 1, [&](const absl::Status&) {
      for (int i = 0; i < 20; ++i) {
        absl::StatusOr<Lsn> lsn = log->Append("more");
        if (!lsn.ok()) break;
        accepted = *lsn;
        if (log->NotifyDurable(*lsn, [&](const absl::Status&) { ++ran; }).ok()) ++wanted;
      }
    }));
    ASSERT_STATUS_OK(log->Close());
    EXPECT_EQ(ran, wanted);
    log = MustOpen();
    EXPECT_GE(log->durable_lsn(), accepted);
  }
}

TEST_F(LogTest, AnIntervalMakesRecordsDurableThoughNobodyWaits) {
  options_.flush_interval_micros = 1000;
  std::unique_ptr<Log> log = MustOpen();
  ASSERT_TRUE(log->Append("x").ok());
  while (log->durable_lsn() < 1) std::this_thread::yield();
  EXPECT_EQ(log->stats().syncs, 1u);
  EXPECT_EQ(log->stats().waiters, 0u);
}

// The interval counts from the append, not from the end of a sync that was under way then.
TEST_F(LogTest, AnIntervalPassesDuringASync) {
  constexpr auto kInterval = std::chrono::milliseconds(1500);
  options_.flush_interval_micros = 1500000;
  SyncGate gate(&fs_, ".seg");
  options_.file_system = &gate;
  std::unique_ptr<Log> log = MustOpen();
  std::thread committer = gate.RunIntoSync([&] { EXPECT_TRUE(log->AppendDurable("x").ok()); });
  ASSERT_TRUE(log->Append("y").ok());
  std::this_thread::sleep_for(kInterval);  // it is the time that counts
  const auto start = std::chrono::steady_clock::now();
  gate.LetGo();
  while (log->durable_lsn() < 2) std::this_thread::yield();
  EXPECT_LT(std::chrono::steady_clock::now() - start, kInterval * 3 / 4);
  committer.join();
}

TEST_F(LogTest, AFullBufferIsWrittenThoughNobodyWaits) {
  std::unique_ptr<Log> log = MustOpen();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(log->Append(std::string(3000, 'x')).ok());
  while (log->written_lsn() < 2) std::this_thread::yield();
  EXPECT_EQ(log->durable_lsn(), 0u);
}

TEST_F(LogTest, WhenFullFailRefusesAndAcceptsLater) {
  options_.when_full = WhenFull::kFail;
  options_.segment_bytes = 1 << 20;
  std::unique_ptr<Log> log = MustOpen();
  ASSERT_TRUE(log->AppendDurable("warm").ok());
  // The disk stands still inside a write, on the flusher's or an appending thread.
  Event inside, go_on;
  fs_.SetCallHook([&](const FileSystemCall& call, CrashPhase, const CaptureFn&) {
    if (call.kind != CallKind::kWrite || !absl::StrContains(call.path, ".seg")) return;
    inside.Set();
    go_on.Wait();
  });
  std::thread writer([&] { EXPECT_TRUE(log->AppendDurable("stuck").ok()); });
  inside.Wait();
  absl::Status status;
  Lsn accepted = log->appended_lsn();
  while (status.ok()) {
    absl::StatusOr<Lsn> lsn = log->Append(std::string(3000, 'x'));
    if (lsn.ok()) {
      EXPECT_EQ(*lsn, ++accepted);
    }
    status = lsn.status();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status.message();
  EXPECT_EQ(log->appended_lsn(), accepted);
  go_on.Set();
  writer.join();
  ASSERT_STATUS_OK(log->WaitDurable(accepted));
  EXPECT_EQ(*log->AppendDurable("again"), accepted + 1);
  fs_.SetCallHook(nullptr);
}

TEST_F(LogTest, AFullDiskRefusesBeforeAcceptingAndGoesOnWithSpace) {
  std::unique_ptr<Log> log = MustOpen();
  fs_.SetSpaceLimit(fs_.space_used() + 20000);
  Lsn accepted = 0;
  absl::Status status;
  while (status.ok()) {
    absl::StatusOr<Lsn> lsn = log->AppendDurable(std::string(1000, 'x'));
    if (lsn.ok()) accepted = *lsn;
    status = lsn.status();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status.message();
  EXPECT_EQ(log->appended_lsn(), accepted);
  EXPECT_EQ(log->durable_lsn(), accepted);
  EXPECT_TRUE(absl::IsResourceExhausted(log->Append(std::string(1000, 'x')).status()));
  fs_.SetSpaceLimit(1 << 20);
  EXPECT_EQ(*log->AppendDurable(std::string(1000, 'y')), accepted + 1);
  ASSERT_STATUS_OK(log->Close());
  log = MustOpen();
  EXPECT_EQ(log->appended_lsn(), accepted + 1);
}

TEST_F(LogTest, RecordsComeBackAfterReopening) {
  std::vector<std::string> records;
  for (int life = 0; life < 5; ++life) {
    std::unique_ptr<Log> log = MustOpen();
    EXPECT_EQ(log->recovery_report().verdict,
              life == 0 ? RecoveryVerdict::kCreated : RecoveryVerdict::kClean);
    absl::StatusOr<Contents> contents = ReadAll(log.get());
    ASSERT_STATUS_OK(contents.status());
    EXPECT_EQ(contents->records, records);
    for (int i = 0; i < 30; ++i) {
      records.push_back(absl::StrCat("life ", life, " record ", i, std::string(700, 'x')));
      ASSERT_TRUE(log->Append(records.back()).ok());
    }
    ASSERT_STATUS_OK(log->Close());
  }
}

TEST_F(LogTest, ManyShortLivesLeaveFewSegments) {
  options_.segment_bytes = 1 << 20;
  for (int life = 0; life < 200; ++life) {
    std::unique_ptr<Log> log = MustOpen();
    ASSERT_EQ(log->appended_lsn(), static_cast<Lsn>(life));
    ASSERT_TRUE(log->AppendDurable("x").ok());
  }
  EXPECT_LE(fs_.AllFiles().size(), 6u);
}

TEST_F(LogTest, BatchBoundariesAreRead) {
  std::unique_ptr<Log> log = MustOpen();
  ASSERT_TRUE(log->AppendBatch({"a", "b", "c"}).ok());
  ASSERT_TRUE(log->AppendDurable("d").ok());
  absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(1);
  ASSERT_TRUE(reader.ok());
  std::string boundaries;
  Record record;
  while ((*reader)->Next(&record)) {
    absl::StrAppend(&boundaries, std::string(record.payload), record.batch_continues ? "+" : ".");
    EXPECT_GT(record.sealed_unix_micros, 0);
  }
  EXPECT_EQ(boundaries, "a+b+c.d.");
}

TEST_F(LogTest, AReaderGoesOnWhenRecordsAreAddedAcrossRollovers) {
  std::unique_ptr<Log> log = MustOpen();
  absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(1);
  ASSERT_TRUE(reader.ok());
  Record record;
  for (Lsn lsn = 1; lsn <= 50; ++lsn) {
    EXPECT_FALSE((*reader)->Next(&record));
    ASSERT_STATUS_OK((*reader)->status());
    ASSERT_TRUE(log->Append(absl::StrCat(lsn, std::string(1500, 'x'))).ok());
    EXPECT_FALSE((*reader)->Next(&record)) << "appended is not durable";
    ASSERT_STATUS_OK(log->WaitDurable(lsn));
    ASSERT_TRUE((*reader)->Next(&record)) << (*reader)->status().message();
    EXPECT_EQ(record.lsn, lsn);
    EXPECT_EQ(record.payload, absl::StrCat(lsn, std::string(1500, 'x')));
  }
  EXPECT_GT(log->stats().rollovers, 3u);
}

TEST_F(LogTest, ReadOnlyTakesNoLockAndChangesNothing) {
  std::unique_ptr<Log> log = MustOpen();
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(log->AppendDurable(std::string(1500, 'x')).ok());
  const uint64_t calls = fs_.calls();
  absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::OpenReadOnly("/data/log", 0, &fs_);
  ASSERT_STATUS_OK(reader.status());
  Record record;
  Lsn last = 0;
  while ((*reader)->Next(&record)) EXPECT_EQ(record.lsn, ++last);
  ASSERT_STATUS_OK((*reader)->status());
  EXPECT_EQ(last, 30u);
  const std::vector<FileSystemCall> trace = fs_.Trace();
  for (size_t i = calls; i < trace.size(); ++i) {
    EXPECT_FALSE(trace[i].may_change) << trace[i];
    EXPECT_NE(trace[i].kind, CallKind::kLock) << trace[i];
  }
  EXPECT_TRUE(absl::IsNotFound(Reader::OpenReadOnly("/data/none", 0, &fs_).status()));
  EXPECT_TRUE(absl::IsOutOfRange(Reader::OpenReadOnly("/data/log", 32, &fs_).status()));
}

// A rollover with a spare at hand makes no other call on the committing thread than the write and
// the sync of any commit.
TEST_F(LogTest, RolloverWithAReadySpareIsOneWriteAndOneSync) {
  std::unique_ptr<Log> log = MustOpen();
  std::mutex mutex;
  std::vector<std::string> calls;
  const std::thread::id committer = std::this_thread::get_id();
  fs_.SetCallHook([&](const FileSystemCall& call, CrashPhase, const CaptureFn&) {
    std::lock_guard<std::mutex> lock(mutex);
    if (std::this_thread::get_id() == committer) calls.push_back(CallKindName(call.kind));
  });
  uint64_t rollovers_seen = 0;
  for (int i = 0; i < 40; ++i) {
    const Stats before = log->stats();
    {
      std::lock_guard<std::mutex> lock(mutex);
      calls.clear();
    }
    ASSERT_TRUE(log->AppendDurable(std::string(1500, 'x')).ok());
    const Stats after = log->stats();
    if (after.rollovers == before.rollovers) continue;
    ++rollovers_seen;
    std::lock_guard<std::mutex> lock(mutex);
    EXPECT_EQ(calls, (std::vector<std::string>{"write", "sync"}));
  }
  fs_.SetCallHook(nullptr);
  EXPECT_GT(rollovers_seen, 3u);
}

}  // namespace
}  // namespace seawall
