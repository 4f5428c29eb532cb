// SPDX-License-Identifier: Apache-2.0
// What recovery makes of a directory: the decision table, where there is no log yet, and the
// verdicts.
#include "engine/recovery/recovery.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/recovery/tail_verdict.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/recovery/recovery_test_util.h"
#include "tests/support/log_image.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// ---- The table

TEST(DecideTailTest, EveryInputHitsExactlyOneRow) {
  using Stop = TailFacts::Stop;
  struct Row {
    const char* name;
    bool (*fits)(const TailFacts&);
    TailVerdict verdict;
  };
  const Row rows[] = {
      {"acknowledged records are gone",
       [](const TailFacts& f) { return f.acknowledged_beyond && f.stop != Stop::kWrongLsn; },
       TailVerdict::kDamaged},
      {"a gap between records", [](const TailFacts& f) { return f.stop == Stop::kWrongLsn; },
       TailVerdict::kDamaged},
      {"closed here",
       [](const TailFacts& f) {
         return f.closed_here && !f.acknowledged_beyond && f.stop != Stop::kWrongLsn;
       },
       TailVerdict::kClean},
      {"a torn group whose header is whole",
       [](const TailFacts& f) {
         return f.stop == Stop::kBadRecords && !f.closed_here && !f.acknowledged_beyond;
       },
       TailVerdict::kTorn},
      {"a torn group without a header",
       [](const TailFacts& f) {
         return f.stop == Stop::kNothing && f.remnants && !f.closed_here && !f.acknowledged_beyond;
       },
       TailVerdict::kTorn},
      {"nothing behind the end",
       [](const TailFacts& f) {
         return f.stop == Stop::kNothing && !f.remnants && !f.closed_here && !f.acknowledged_beyond;
       },
       TailVerdict::kUnclosed},
  };
  // The same once more, written out: Clean, Unclosed, Torn, Damaged.
  const std::string expected =
      "UCTCDDDD"   // nothing there; then: beyond, remnants, closed count up in binary
      "TCTCDDDD"   // bad records
      "DDDDDDDD";  // wrong LSN
  size_t input = 0;
  for (Stop stop : {Stop::kNothing, Stop::kBadRecords, Stop::kWrongLsn}) {
    for (bool beyond : {false, true}) {
      for (bool remnants : {false, true}) {
        for (bool closed : {false, true}) {
          TailFacts facts;
          facts.stop = stop;
          facts.acknowledged_beyond = beyond;
          facts.remnants = remnants;
          facts.closed_here = closed;
          const TailVerdict verdict = DecideTail(facts);
          std::string hit;
          for (const Row& row : rows) {
            if (!row.fits(facts)) continue;
            hit += std::string(hit.empty() ? "" : " and ") + row.name;
            EXPECT_EQ(verdict, row.verdict) << row.name << ", input " << input;
          }
          EXPECT_NE(hit, "") << "input " << input;
          EXPECT_EQ(hit.find(" and "), std::string::npos) << "input " << input << ": " << hit;
          EXPECT_EQ("CUTD"[static_cast<int>(verdict)], expected[input]) << "input " << input;
          ++input;
        }
      }
    }
  }
  EXPECT_EQ(input, expected.size());
}

// ---- Nothing there

TEST_F(RecoveryTest, NoDirectoryIsNoLog) {
  absl::StatusOr<RecoveryPlan> plan = PlanRecovery(fs_, dir_ / "none", true);
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->exists);
  EXPECT_FALSE(plan->directory_exists);
  EXPECT_TRUE(Fails(PlanReadOnly(fs_, dir_ / "none"), absl::StatusCode::kNotFound,
                    {"no log in " + (dir_ / "none")}));
  Options options;
  options.create_if_missing = false;
  EXPECT_TRUE(Fails(Log::Open(dir_ / "none", options), absl::StatusCode::kNotFound,
                    {"no log in " + (dir_ / "none"), "create_if_missing"}));
  EXPECT_EQ(DirectoryImage(dir_.path()).Names(), "");
}

TEST_F(RecoveryTest, NoParentDirectoryIsNotFound) {
  EXPECT_TRUE(Fails(Log::Open(dir_ / "none/log", Options()), absl::StatusCode::kNotFound,
                    {"mkdir " + (dir_ / "none/log")}));
}

TEST_F(RecoveryTest, EmptyDirectoryIsNoLog) {
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->exists);
  EXPECT_TRUE(plan->directory_exists);
  EXPECT_EQ(plan->next_generation, 1u);
  EXPECT_TRUE(plan->garbage.empty());
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kCreated);
}

TEST_F(RecoveryTest, FileInThePlaceOfTheDirectory) {
  WriteFile(dir_ / "file", "x");
  EXPECT_TRUE(Fails(PlanRecovery(fs_, dir_ / "file", true), absl::StatusCode::kFailedPrecondition,
                    {dir_ / "file", "expected a directory, found a file"}));
  EXPECT_TRUE(Fails(Log::Open(dir_ / "file", Options()), absl::StatusCode::kFailedPrecondition,
                    {dir_ / "file"}));
  EXPECT_EQ(ReadFile(dir_ / "file"), "x");
}

TEST_F(RecoveryTest, OtherFilesAreLeftAlone) {
  WriteAll();
  WriteFile(dir_ / "notes.txt", "mine");
  WriteFile(dir_ / "12.seg", "mine");
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_TRUE(plan->garbage.empty());
  ExpectOpens(1, 10);
  EXPECT_EQ(ReadFile(dir_ / "notes.txt"), "mine");
  EXPECT_EQ(ReadFile(dir_ / "12.seg"), "mine");
}

// ---- A creation that was not finished: nothing can have been acknowledged.

TEST_F(RecoveryTest, CreationInterruptedBeforeItsHeader) {
  WriteFile(Path(1), std::string(kAllocated, '\0'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->exists);
  EXPECT_EQ(plan->garbage, std::vector<std::string>{SegmentName(1)});
  EXPECT_EQ(plan->next_generation, 2u);
  EXPECT_EQ(ExpectOpens(1, 0).verdict, RecoveryVerdict::kCreated);
  EXPECT_FALSE(std::filesystem::exists(Path(1)));
}

TEST_F(RecoveryTest, CreationInterruptedBeforeItsControlFile) {
  WriteFile(Path(1), SegmentImage(HeaderOf(1)).File(kAllocated));
  WriteFile(dir_ / kControlTemporaryName, std::string(100, 'x'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->exists);
  EXPECT_EQ(plan->garbage, (std::vector<std::string>{kControlTemporaryName, SegmentName(1)}));
  EXPECT_EQ(ExpectOpens(1, 0).verdict, RecoveryVerdict::kCreated);
  EXPECT_FALSE(std::filesystem::exists(dir_ / kControlTemporaryName));
}

// ---- Verdicts

TEST_F(RecoveryTest, UnclosedLog) {
  WriteAll();
  absl::StatusOr<RecoveryPlan> plan = Plan(/*carry_small_tail=*/false);
  ASSERT_OK(plan);
  EXPECT_TRUE(plan->exists);
  const RecoveryReport& report = plan->report;
  EXPECT_EQ(report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(report.first_lsn, 1u);
  EXPECT_EQ(report.last_lsn, 10u);
  EXPECT_EQ(report.proven_durable_lsn, 8u);
  EXPECT_EQ(report.segments, 3u);
  EXPECT_EQ(report.scanned_records, 4u);
  EXPECT_EQ(report.discarded_bytes, 0u);
  EXPECT_EQ(report.torn_path, "");
  // Only the group of records 9 and 10 may be in the page cache alone.
  EXPECT_EQ(plan->copy_first_lsn, 9u);
  EXPECT_EQ(plan->copy_from, three_.offset(2));
  EXPECT_EQ(plan->digest_at_copy, three_.digest_before(2));
  EXPECT_EQ(plan->next_generation, 4u);
  EXPECT_TRUE(plan->garbage.empty());
  ASSERT_EQ(plan->segments.size(), 3u);
  const SegmentImage* images[] = {&one_, &two_, &three_};
  for (size_t i = 0; i < 3; ++i) {
    const SegmentRef expected = images[i]->Ref(dir_.path());
    const SegmentRef found = plan->segments.Ref(i);
    EXPECT_EQ(found.path, expected.path);
    EXPECT_EQ(found.generation, expected.generation);
    EXPECT_EQ(found.salt, expected.salt);
    EXPECT_EQ(found.base_lsn, expected.base_lsn);
    EXPECT_EQ(found.last_lsn, expected.last_lsn);
    EXPECT_EQ(found.end, expected.end);
    EXPECT_EQ(found.digest, expected.digest);
  }
}

TEST_F(RecoveryTest, SmallTailIsCarriedOverAsAWhole) {
  WriteAll();
  absl::StatusOr<RecoveryPlan> plan = Plan(/*carry_small_tail=*/true);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->copy_from, kSegmentHeaderBytes);
  EXPECT_EQ(plan->copy_first_lsn, 7u);
  EXPECT_EQ(plan->digest_at_copy, 0u);
  const RecoveryReport report = ExpectOpens(1, 10);
  EXPECT_EQ(report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(report.copied_records, 4u);
  EXPECT_EQ(report.segments, 3u);
  EXPECT_FALSE(std::filesystem::exists(Path(3))) << "its place was taken";
}

// Above 1 MiB the tail stays where it is, and what is proven of it is not copied.
TEST_F(RecoveryTest, LargeTailIsKeptAsASegment) {
  const std::string large(600000, 'x');
  SegmentImage tail(HeaderOf(3, &two_));
  tail.Group({large}, 6).Group({large}, 7).Group({"last"}, 8);
  Write(one_);
  Write(two_);
  WriteFile(Path(3), tail.File());
  control_.entries[0].allocated_bytes = kAllocated;
  WriteControl();
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), Options());
  ASSERT_OK(log);
  EXPECT_EQ((*log)->recovery_report().copied_records, 1u);
  EXPECT_EQ((*log)->recovery_report().segments, 4u);
  EXPECT_TRUE(std::filesystem::exists(Path(3)));
  absl::StatusOr<std::string> record = (*log)->Read(9);
  ASSERT_OK(record);
  EXPECT_EQ(*record, "last");
}

TEST_F(RecoveryTest, ClosedLogIsCleanAndNotScanned) {
  MarkClosed();
  WriteAll();
  absl::StatusOr<RecoveryPlan> plan = Plan(/*carry_small_tail=*/false);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kClean);
  EXPECT_EQ(plan->report.last_lsn, 10u);
  EXPECT_EQ(plan->report.proven_durable_lsn, 10u);
  EXPECT_EQ(plan->report.scanned_bytes, 0u);
  EXPECT_EQ(plan->copy_from, three_.end()) << "nothing is copied";
  EXPECT_EQ(plan->segments.back().end, three_.end());
  EXPECT_EQ(plan->segments.back().digest, three_.digest());
  EXPECT_EQ(ExpectOpens(1, 10).verdict, RecoveryVerdict::kClean);
}

TEST_F(RecoveryTest, BytesBehindTheEndOfAClosedLogAreNothing) {
  MarkClosed();
  WriteAll();
  Overwrite(Path(3), three_.end() + 100, "stray");
  const RecoveryReport report = ExpectOpens(1, 10);
  EXPECT_EQ(report.verdict, RecoveryVerdict::kClean);
  EXPECT_EQ(report.discarded_bytes, 0u);
}

TEST_F(RecoveryTest, LogThatWasNeverWrittenTo) {
  control_.tail_generation = 1;
  control_.durable_lsn = 0;
  control_.entries = {{1, HeaderOf(1).salt, kAllocated}};
  WriteFile(Path(1), SegmentImage(HeaderOf(1)).File(kAllocated));
  WriteControl();
  const RecoveryReport report = ExpectOpens(1, 0);
  EXPECT_EQ(report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(report.copied_records, 0u);
}

TEST_F(RecoveryTest, TornGroupIsDiscarded) {
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kTornTail);
  EXPECT_EQ(plan->report.last_lsn, 8u);
  EXPECT_EQ(plan->report.discarded_bytes, three_.end() - three_.offset(2));
  EXPECT_EQ(plan->report.torn_path, Path(3));
  EXPECT_EQ(plan->report.torn_offset, three_.offset(2));
  EXPECT_EQ(ExpectOpens(1, 8).verdict, RecoveryVerdict::kTornTail);
}

TEST_F(RecoveryTest, TornGroupWithoutItsHeaderIsDiscarded) {
  WriteAll();
  Overwrite(Path(3), three_.offset(2), std::string(kGroupHeaderBytes, '\0'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kTornTail);
  EXPECT_EQ(plan->report.last_lsn, 8u);
  // Up to the last byte that is not zero: the end of the last record.
  EXPECT_GT(plan->report.discarded_bytes, kGroupHeaderBytes);
  EXPECT_LE(plan->report.discarded_bytes, three_.end() - three_.offset(2));
}

// Behind the end of a recycled file are old bytes: they are no sign of a write.
TEST_F(RecoveryTest, OldBytesOfARecycledFileAreNotATornGroup) {
  SegmentHeader header = three_.header();
  header.recycled = true;
  SegmentImage tail = Filled(header, {1, 1, 2}, 6);
  std::string file = tail.File();
  file.resize(kAllocated, 'o');
  Write(one_);
  Write(two_);
  WriteFile(Path(3), file);
  WriteControl();
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(plan->report.discarded_bytes, 0u);
  EXPECT_EQ(plan->report.last_lsn, 10u);
}

TEST_F(RecoveryTest, GroupCutByTheEndOfTheFileIsTorn) {
  Write(one_);
  Write(two_);
  control_.entries[0].allocated_bytes = three_.offset(2);
  WriteControl();
  WriteFile(Path(3), three_.File().substr(0, three_.end() - 8));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kTornTail);
  EXPECT_EQ(plan->report.last_lsn, 8u);
}

// ---- Reading beside a writer

TEST_F(RecoveryTest, ReadOnlyTriesAgainWhenAFileWentAway) {
  WriteAll();
  FaultyFileSystem faulty(SegmentName(2), ENOENT, 0, 2);
  fs_ = &faulty;
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(fs_, dir_.path());
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 10u);
}

TEST_F(RecoveryTest, ReadOnlyDoesNotTryAgainForEver) {
  WriteAll();
  FaultyFileSystem faulty(SegmentName(2), ENOENT, 0, 1000);
  EXPECT_TRUE(
      Fails(PlanReadOnly(&faulty, dir_.path()), absl::StatusCode::kNotFound, {"open " + Path(2)}));
}

// ---- Applying

TEST_F(RecoveryTest, RemoveFilesIsContentWithFilesThatAreGone) {
  WriteFile(dir_ / "a", "");
  EXPECT_OK(RemoveFiles(fs_, dir_.path(), {"a", "b"}));
  EXPECT_EQ(DirectoryImage(dir_.path()).Names(), "");
  ASSERT_EQ(mkdir((dir_ / "d").c_str(), 0755), 0);
  EXPECT_TRUE(Fails(RemoveFiles(fs_, dir_.path(), {"d"}), absl::StatusCode::kFailedPrecondition,
                    {"unlink " + (dir_ / "d")}));
}

// Whatever came before, records that are appended afterwards follow without a gap.
TEST_F(RecoveryTest, AppendingGoesOnBehindATornTail) {
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), Options());
    ASSERT_OK(log);
    absl::StatusOr<Lsn> lsn = (*log)->AppendDurable(PayloadOf(9));
    ASSERT_OK(lsn);
    EXPECT_EQ(*lsn, 9u);
    ASSERT_OK((*log)->Close());
  }
  EXPECT_EQ(ExpectOpens(1, 9).verdict, RecoveryVerdict::kClean);
}

}  // namespace
}  // namespace seawall
