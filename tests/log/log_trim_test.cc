// SPDX-License-Identifier: Apache-2.0
// TrimBefore() and TruncateAfter(): what goes, and what readers that it overtakes are told.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/log/log_test_util.h"
#include "tests/support/forwarding_file_system.h"

namespace seawall {
namespace {

using LogTrimTest = LogTest;

TEST_F(LogTrimTest, AReaderInsideATrimmedSegmentReadsItToItsEndThenIsTold) {
  std::unique_ptr<Log> log = MustOpen();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(log->AppendDurable(std::string(1500, 'a')).ok());
  absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(1);
  ASSERT_TRUE(reader.ok());
  Record record;
  ASSERT_TRUE((*reader)->Next(&record));
  ASSERT_STATUS_OK(log->TrimBefore(35));
  // The trimmed files are written again by what follows, all but the reader's.
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(log->AppendDurable(std::string(1500, 'b')).ok());
  Lsn last = 1;
  while ((*reader)->Next(&record)) {
    EXPECT_EQ(record.lsn, ++last);
    EXPECT_EQ(record.payload, std::string(1500, 'a'));
  }
  EXPECT_GT(last, 5u);
  EXPECT_LT(last, 35u);
  EXPECT_TRUE(absl::IsOutOfRange((*reader)->status())) << (*reader)->status().message();
  EXPECT_TRUE(Contains((*reader)->status(), absl::StrCat(log->first_lsn())));
}

TEST_F(LogTrimTest, AReaderThatATrimOvertakesBeforeItsFirstRecordIsTold) {
  std::unique_ptr<Log> log = MustOpen();
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(log->AppendDurable(std::string(1500, 'a')).ok());
  absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(1);
  ASSERT_TRUE(reader.ok());
  ASSERT_STATUS_OK(log->TrimBefore(35));
  Record record;
  EXPECT_FALSE((*reader)->Next(&record));
  EXPECT_TRUE(absl::IsOutOfRange((*reader)->status())) << (*reader)->status().message();
  EXPECT_TRUE(Contains((*reader)->status(), absl::StrCat(log->first_lsn())));
}

// Whichever moment the trim chooses: a record that is gone is NotFound.
TEST_F(LogTrimTest, AReadThatATrimOvertakesIsNotFound) {
  std::unique_ptr<Log> log = MustOpen();
  ASSERT_STATUS_OK(log->AppendDurable("first").status());
  std::atomic<bool> done{false};
  std::atomic<int> found{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!done) {
        const absl::Status status = log->Read(log->first_lsn()).status();
        if (status.ok()) ++found;
        EXPECT_TRUE(status.ok() || absl::IsNotFound(status)) << status.message();
      }
    });
  }
  for (int i = 0; i < 4000; ++i) {
    absl::StatusOr<Lsn> lsn = log->AppendDurable(std::string(6000, 'x'));
    EXPECT_TRUE(lsn.ok() && log->TrimBefore(*lsn).ok());
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_GT(found, 0);
}

TEST_F(LogTrimTest, TrimmedSegmentsAreRecycledUpToALimitThenUnlinked) {
  options_.max_recycled_segments = 1;
  std::unique_ptr<Log> log = MustOpen();
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 40; ++i) ASSERT_TRUE(log->AppendDurable(std::string(1500, 'a')).ok());
    ASSERT_STATUS_OK(log->TrimBefore(log->durable_lsn()));
  }
  ASSERT_STATUS_OK(log->Close());
  const Stats stats = log->stats();
  EXPECT_GT(stats.segments_recycled, 0u);
  EXPECT_GT(stats.segments_unlinked, 0u);
}

TEST_F(LogTrimTest, TrimAboveTheDurableRecordsIsOutOfRange) {
  std::unique_ptr<Log> log = MustOpen();
  ASSERT_TRUE(log->AppendDurable("a").ok());
  EXPECT_TRUE(log->TrimBefore(2).ok());
  EXPECT_TRUE(absl::IsOutOfRange(log->TrimBefore(3)));
}

TEST_F(LogTrimTest, TruncatedRecordsAreNeverConfusedWithLaterOnes) {
  std::unique_ptr<Log> log = MustOpen();
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(log->Append(absl::StrCat("old ", i)).ok());
  EXPECT_TRUE(absl::IsOutOfRange(log->TruncateAfter(31)));
  ASSERT_STATUS_OK(log->TruncateAfter(10));
  EXPECT_EQ(log->appended_lsn(), 10u);
  EXPECT_EQ(log->durable_lsn(), 10u);
  EXPECT_TRUE(absl::IsOutOfRange(log->WaitDurable(11)));
  EXPECT_TRUE(absl::IsOutOfRange(log->Read(11).status()));
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(log->Append(absl::StrCat("new ", i)).ok());
  ASSERT_STATUS_OK(log->WaitDurable(40));
  EXPECT_EQ(*log->Read(10), "old 9");
  EXPECT_EQ(*log->Read(11), "new 0");
  ASSERT_STATUS_OK(log->Close());
  log = MustOpen();
  EXPECT_EQ(log->appended_lsn(), 40u);
  EXPECT_EQ(*log->Read(10), "old 9");
  EXPECT_EQ(*log->Read(40), "new 29");
}

// The store waits while a truncation lasts, so the next sync of CONTROL is that of the truncation.
TEST_F(LogTrimTest, ATruncationThatCannotSayItHasHappenedHasHappened) {
  SyncGate gate(&fs_, "CONTROL");
  options_.file_system = &gate;
  std::unique_ptr<Log> log = MustOpen();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(log->AppendDurable("old").ok());
  absl::Status status;
  std::thread truncation = gate.RunIntoSync([&] { status = log->TruncateAfter(12); });
  fs_.InjectFault({CallKind::kSync, "CONTROL", 1, true, EIO, 0});
  gate.LetGo();
  truncation.join();
  EXPECT_TRUE(absl::IsAborted(status)) << status.message();
  EXPECT_EQ(log->appended_lsn(), 12u);
  EXPECT_EQ(log->durable_lsn(), 12u);
  EXPECT_TRUE(absl::IsAborted(log->Append("new").status()));
  log.reset();
  fs_.ClearFaults();
  log = MustOpen();
  EXPECT_EQ(log->appended_lsn(), 12u);
}

TEST_F(LogTrimTest, AReaderBeyondATruncationIsTold) {
  std::unique_ptr<Log> log = MustOpen();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(log->AppendDurable("old").ok());
  absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(15);
  ASSERT_TRUE(reader.ok());
  Record record;
  while ((*reader)->Next(&record)) {
  }
  ASSERT_STATUS_OK((*reader)->status());
  ASSERT_STATUS_OK(log->TruncateAfter(12));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(log->AppendDurable("new").ok());
  EXPECT_FALSE((*reader)->Next(&record));
  EXPECT_TRUE(absl::IsOutOfRange((*reader)->status())) << (*reader)->status().message();
}

TEST_F(LogTrimTest, TruncateEverythingThenGoOn) {
  std::unique_ptr<Log> log = MustOpen();
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(log->AppendDurable(std::string(1500, 'x')).ok());
  ASSERT_STATUS_OK(log->TrimBefore(30));
  const Lsn first = log->first_lsn();
  EXPECT_TRUE(absl::IsOutOfRange(log->TruncateAfter(first - 2)));
  ASSERT_STATUS_OK(log->TruncateAfter(first - 1));
  EXPECT_EQ(log->first_lsn(), first);
  EXPECT_EQ(*log->AppendDurable("again"), first);
  ASSERT_STATUS_OK(log->Close());
  log = MustOpen();
  EXPECT_EQ(log->first_lsn(), first);
  EXPECT_EQ(*log->Read(first), "again");
}

}  // namespace
}  // namespace seawall
