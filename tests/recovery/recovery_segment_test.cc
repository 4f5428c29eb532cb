// SPDX-License-Identifier: Apache-2.0
// Recovery: segments that are missing, swapped, cut short or foreign, and what lies behind the
// tail.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/recovery/recovery_plan.h"
#include "gtest/gtest.h"
#include "tests/recovery/recovery_test_util.h"
#include "tests/support/log_image.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// ---- Segments that are not what they should be

TEST_F(RecoveryTest, MissingFirstSegment) {
  WriteAll();
  ASSERT_EQ(unlink(Path(1).c_str()), 0);
  ExpectDataLoss(
      {Path(1), "offset 0", "expected segment 1 (it ends with record 3)", "found no such file"});
}

TEST_F(RecoveryTest, MissingMiddleSegment) {
  WriteAll();
  ASSERT_EQ(unlink(Path(2).c_str()), 0);
  ExpectDataLoss({Path(2), "expected segment 2 (it ends with record 6)", "found no such file"});
}

TEST_F(RecoveryTest, MissingNewestSegment) {
  WriteAll();
  ASSERT_EQ(unlink(Path(3).c_str()), 0);
  ExpectDataLoss({Path(3), "expected segment 3", "acknowledged records", "found no such file"});
}

// CONTROL had not yet said that it was begun.
TEST_F(RecoveryTest, MissingPreparedSegment) {
  control_.entries.push_back({4, 77, kAllocated});
  WriteAll();
  ExpectDataLoss({Path(4), "expected segment 4", "may hold records", "found no such file"});
}

TEST_F(RecoveryTest, AllSegmentsMissing) {
  WriteControl();
  ExpectDataLoss({Path(3), "expected segment 3", "found no such file"});
}

TEST_F(RecoveryTest, TrimmedSegmentsAreNotMissed) {
  control_.first_generation = 2;
  WriteAll();
  ASSERT_EQ(unlink(Path(1).c_str()), 0);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.first_lsn, 4u);
  EXPECT_EQ(plan->segments.size(), 2u);
}

TEST_F(RecoveryTest, TrimmedSegmentThatIsStillThereIsGarbage) {
  control_.first_generation = 2;
  WriteAll();
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.first_lsn, 4u);
  EXPECT_EQ(plan->garbage, std::vector<std::string>{SegmentName(1)});
  ExpectOpens(4, 10);
  EXPECT_FALSE(std::filesystem::exists(Path(1)));
}

TEST_F(RecoveryTest, SwappedSealedSegments) {
  WriteAll();
  WriteFile(Path(1), two_.File(kAllocated));
  WriteFile(Path(2), one_.File(kAllocated));
  ExpectDataLoss(
      {Path(2), "offset 32", "expected the header of generation 2", "found that of generation 1"});
}

TEST_F(RecoveryTest, NewestSegmentSwappedWithASealedOne) {
  WriteAll();
  WriteFile(Path(3), two_.File(kAllocated));
  WriteFile(Path(2), three_.File(kAllocated));
  ExpectDataLoss(
      {Path(3), "offset 32", "expected the header of generation 3", "found that of generation 2"});
}

// The same generation, but another life of it: restored from a copy, say.
TEST_F(RecoveryTest, TailWithAnotherSalt) {
  WriteAll();
  SegmentHeader header = three_.header();
  header.salt = 12345;
  Write(Filled(header, {1, 1, 2}, 6));
  ExpectDataLoss({Path(3), "offset 40", "expected salt", "found 12345"});
}

TEST_F(RecoveryTest, SealedSegmentOfAnotherLog) {
  WriteAll();
  SegmentHeader header = two_.header();
  header.log_id = {0xaaaa, 0xbbbb};
  Write(SegmentImage(header));
  ExpectDataLoss({Path(2), "offset 16", "expected log id 00000000000011110000000000002222",
                  "found 000000000000aaaa000000000000bbbb", "another log"});
}

TEST_F(RecoveryTest, NewestSegmentOfAnotherLog) {
  WriteAll();
  SegmentHeader header = three_.header();
  header.log_id = {0xaaaa, 0xbbbb};
  Write(SegmentImage(header));
  ExpectDataLoss({Path(3), "offset 16", "expected log id 00000000000011110000000000002222",
                  "found 000000000000aaaa000000000000bbbb"});
}

TEST_F(RecoveryTest, SegmentsThatDoNotFollowEachOther) {
  SegmentHeader header = two_.header();
  header.base_lsn = 7;
  WriteAll();
  Write(SegmentImage(header));
  ExpectDataLoss({Path(2), "offset 56", "expected a first record below 7", "found 7"});
}

TEST_F(RecoveryTest, NewerSegment) {
  for (uint64_t generation : {2, 3}) {
    WriteAll();
    Overwrite(Path(generation), 8, "\x02");
    Overwrite(Path(generation), kHeaderCopyOffset + 8, "\x02");
    ExpectDamage(absl::StatusCode::kUnimplemented,
                 {Path(generation), "expected format version 1", "found version 2"});
  }
}

TEST_F(RecoveryTest, OneHeaderCopyIsEnough) {
  for (uint64_t at : {uint64_t{0}, kHeaderCopyOffset}) {
    WriteAll();
    for (uint64_t generation : {1, 2, 3}) {
      Overwrite(Path(generation), at, std::string(512, 'x'));
    }
    absl::StatusOr<RecoveryPlan> plan = Plan();
    ASSERT_OK(plan);
    EXPECT_EQ(plan->report.last_lsn, 10u);
  }
}

TEST_F(RecoveryTest, BothHeaderCopiesDamaged) {
  for (uint64_t generation : {2, 3}) {
    WriteAll();
    Overwrite(Path(generation), 0, std::string(kSegmentHeaderBytes, 'x'));
    ExpectDataLoss({Path(generation), "offset 0", "expected the header of a", "found none"});
  }
}

TEST_F(RecoveryTest, ZeroLengthSegment) {
  WriteAll();
  WriteFile(Path(2), "");
  ExpectDataLoss({Path(2), "expected the header of a sealed segment", "found none"});
  WriteAll();
  WriteFile(Path(3), "");
  ExpectDataLoss({Path(3), "offset 0", "expected at least 32768 bytes", "found the end"});
}

TEST_F(RecoveryTest, TruncatedSealedSegment) {
  WriteAll();
  ASSERT_EQ(truncate(Path(2).c_str(), 4200), 0);
  ExpectDataLoss({Path(2), "offset 4200",
                  "expected " + std::to_string(two_.end()) + " bytes of groups",
                  "found the end of the file"});
}

TEST_F(RecoveryTest, TruncatedTail) {
  WriteAll();
  ASSERT_EQ(truncate(Path(3).c_str(), kAllocated - 4096), 0);
  ExpectDataLoss(
      {Path(3), "offset 28672", "expected at least 32768 bytes", "found the end of the file"});
}

TEST_F(RecoveryTest, TruncatedTailOfAClosedLog) {
  MarkClosed();
  control_.entries.clear();
  WriteAll();
  ASSERT_EQ(truncate(Path(3).c_str(), static_cast<off_t>(three_.offset(2))), 0);
  ExpectDataLoss({Path(3), "expected ", "found "});
}

TEST_F(RecoveryTest, DirectoryInThePlaceOfASegment) {
  for (uint64_t generation : {2, 3}) {
    WriteAll();
    ASSERT_EQ(unlink(Path(generation).c_str()), 0);
    ASSERT_EQ(mkdir(Path(generation).c_str(), 0755), 0);
    ExpectDamage(absl::StatusCode::kFailedPrecondition,
                 {Path(generation), "expected a segment file, found a directory"});
    ASSERT_EQ(rmdir(Path(generation).c_str()), 0);
  }
}

TEST_F(RecoveryTest, PipeInThePlaceOfASegmentIsNotWaitedFor) {
  for (uint64_t generation : {2, 3}) {
    WriteAll();
    ASSERT_EQ(unlink(Path(generation).c_str()), 0);
    ASSERT_EQ(mkfifo(Path(generation).c_str(), 0600), 0);
    EXPECT_TRUE(Fails(PlanRecovery(fs_, dir_.path(), true), absl::StatusCode::kFailedPrecondition,
                      {Path(generation), "expected a segment file, found something else"}));
    ASSERT_EQ(unlink(Path(generation).c_str()), 0);
  }
}

// It can be read, and holds zeros.
TEST_F(RecoveryTest, DeviceInThePlaceOfASegment) {
  for (uint64_t generation : {2, 3}) {
    WriteAll();
    ASSERT_EQ(unlink(Path(generation).c_str()), 0);
    ASSERT_EQ(symlink("/dev/zero", Path(generation).c_str()), 0);
    EXPECT_TRUE(Fails(PlanRecovery(fs_, dir_.path(), true), absl::StatusCode::kFailedPrecondition,
                      {Path(generation), "expected a segment file, found something else"}));
    ASSERT_EQ(unlink(Path(generation).c_str()), 0);
  }
}

// ---- Behind the tail

TEST_F(RecoveryTest, SparesAreGarbage) {
  control_.entries.push_back({4, HeaderOf(4).salt, kAllocated});
  WriteAll();
  SegmentHeader spare;
  spare.log_id = control_.log_id;
  spare.generation = 4;
  spare.salt = HeaderOf(4).salt;
  WriteFile(Path(4), SegmentImage(spare).File(kAllocated));
  spare.generation = 5;
  WriteFile(Path(5), SegmentImage(spare).File(kAllocated));
  WriteFile(Path(6), std::string(8192, '\0'));  // its header was not written yet
  WriteFile(Path(7), "");
  WriteFile(Path(8), std::string(5000, 'x'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(plan->report.last_lsn, 10u);
  EXPECT_EQ(plan->garbage.size(), 5u);
  EXPECT_EQ(plan->next_generation, 9u);
  ExpectOpens(1, 10);
  for (uint64_t generation = 4; generation <= 8; ++generation) {
    EXPECT_FALSE(std::filesystem::exists(Path(generation))) << generation;
  }
}

TEST_F(RecoveryTest, SpareWithAnotherSaltThanWasPrepared) {
  control_.entries.push_back({4, 77, kAllocated});
  WriteAll();
  SegmentHeader spare;
  spare.log_id = control_.log_id;
  spare.generation = 4;
  spare.salt = 78;
  WriteFile(Path(4), SegmentImage(spare).File(kAllocated));
  ExpectDataLoss({Path(4), "offset 40", "expected salt 77", "found 78"});
}

TEST_F(RecoveryTest, TruncatedSpare) {
  control_.entries.push_back({4, 77, kAllocated});
  WriteAll();
  WriteFile(Path(4), std::string(4096, '\0'));
  ExpectDataLoss({Path(4), "offset 4096", "expected at least 32768 bytes"});
}

// Renamed for its next life, the crash came before its new header.
TEST_F(RecoveryTest, MislabelledRecycledFileIsGarbage) {
  control_.first_generation = 2;
  WriteAll();
  ASSERT_EQ(rename(Path(1).c_str(), Path(4).c_str()), 0);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 10u);
  EXPECT_EQ(plan->garbage, std::vector<std::string>{SegmentName(4)});
  EXPECT_EQ(plan->next_generation, 5u);
  ExpectOpens(4, 10);
}

TEST_F(RecoveryTest, FileOfAnotherLogBehindTheTailIsLeftAlone) {
  WriteAll();
  SegmentHeader header = HeaderOf(5);
  header.log_id = {0xaaaa, 0xbbbb};
  const std::string foreign = SegmentImage(header).File(kAllocated);
  WriteFile(Path(5), foreign);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_TRUE(plan->garbage.empty());
  EXPECT_EQ(plan->next_generation, 6u);
  ExpectOpens(1, 10);
  EXPECT_TRUE(ReadFile(Path(5)) == foreign);
}

// The next segment was begun: its header says where the tail ends, and takes its place.
TEST_F(RecoveryTest, BegunSegmentIsTheTailBeforeTheControlFileSaysSo) {
  SegmentImage four = Filled(HeaderOf(4, &three_), {1}, 10);
  control_.entries.push_back({4, four.header().salt, kAllocated});
  WriteAll();
  Write(four);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 11u);
  EXPECT_EQ(plan->segments.size(), 4u);
  ExpectOpens(1, 11);
}

TEST_F(RecoveryTest, PreparedSegmentWhoseHeaderIsGoneButWhoseGroupsWereAcknowledged) {
  SegmentImage four = Filled(HeaderOf(4, &three_), {1, 1}, 10);  // the second group knows 11
  control_.entries.push_back({4, four.header().salt, kAllocated});
  WriteAll();
  Write(four);
  Overwrite(Path(4), 0, std::string(kSegmentHeaderBytes, '\0'));
  ExpectDataLoss({Path(3), "expected record 11", Path(4), "knew record 11 to be durable"});
}

// Its block was written as that of a spare, and not again when the segment was begun.
TEST_F(RecoveryTest, PreparedSegmentWhoseBegunHeaderWasLostButWhoseGroupsWereAcknowledged) {
  SegmentImage four = Filled(HeaderOf(4, &three_), {1, 1}, 10);
  control_.entries.push_back({4, four.header().salt, kAllocated});
  WriteAll();
  Write(four);
  SegmentHeader spare;
  spare.log_id = control_.log_id;
  spare.generation = 4;
  spare.salt = four.header().salt;
  Overwrite(Path(4), 0, SegmentImage(spare).File());
  ExpectDataLoss({Path(3), "expected record 11", Path(4), "knew record 11 to be durable"});
}

// The block of CONTROL that listed it is damaged, too: an older one counts.
TEST_F(RecoveryTest, UnlistedSegmentWhoseHeaderIsGoneButWhoseGroupsWereAcknowledged) {
  SegmentImage four = Filled(HeaderOf(4, &three_), {1, 1}, 10);
  for (bool newest_is_damaged : {false, true}) {
    WriteAll();
    Write(four);
    Overwrite(Path(4), 0, std::string(kSegmentHeaderBytes, '\0'));
    if (!newest_is_damaged) {
      // What CONTROL does not list, if it is whole, never held a record.
      EXPECT_OK(Plan());
      continue;
    }
    const uint64_t next = (control_.sequence + 1) % kControlSlots;
    Overwrite(ControlPath(), next * kControlSlotBytes, std::string(kControlSlotBytes, 'x'));
    ExpectDataLoss({Path(3), "expected record 11", Path(4), "knew record 11 to be durable"});
  }
}

TEST_F(RecoveryTest, PreparedSegmentWhoseHeaderWasNeverDurable) {
  SegmentImage four = Filled(HeaderOf(4, &three_), {1}, 10);
  control_.entries.push_back({4, four.header().salt, kAllocated});
  WriteAll();
  Write(four);
  Overwrite(Path(4), 0, std::string(kSegmentHeaderBytes, '\0'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 10u);
  EXPECT_EQ(plan->garbage, std::vector<std::string>{SegmentName(4)});
}

}  // namespace
}  // namespace seawall
