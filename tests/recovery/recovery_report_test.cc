// SPDX-License-Identifier: Apache-2.0
#include "seawall/recovery_report.h"

#include "gtest/gtest.h"

namespace seawall {
namespace {

RecoveryReport Sample(RecoveryVerdict verdict) {
  RecoveryReport report;
  report.verdict = verdict;
  report.first_lsn = 5;
  report.last_lsn = 9;
  report.segments = 2;
  report.scanned_records = 3;
  report.scanned_bytes = 4096;
  report.elapsed_micros = 12;
  report.discarded_bytes = 100;
  report.torn_path = "log/0000000000000002.seg";
  report.torn_offset = 4200;
  return report;
}

TEST(RecoveryReportTest, EachVerdictHasItsName) {
  EXPECT_EQ(RecoveryVerdictName(RecoveryVerdict::kCreated), "created");
  EXPECT_EQ(RecoveryVerdictName(RecoveryVerdict::kClean), "clean");
  EXPECT_EQ(RecoveryVerdictName(RecoveryVerdict::kUnclosed), "unclosed");
  EXPECT_EQ(RecoveryVerdictName(RecoveryVerdict::kTornTail), "torn tail");
}

TEST(RecoveryReportTest, Clean) {
  EXPECT_EQ(Sample(RecoveryVerdict::kClean).ToString(),
            "clean: records 5..9 in 2 segments; scanned 3 records, 4096 bytes in 12 us");
}

TEST(RecoveryReportTest, TornTailSaysWhatWasDiscardedAndWhere) {
  EXPECT_EQ(Sample(RecoveryVerdict::kTornTail).ToString(),
            "torn tail: records 5..9 in 2 segments, 100 bytes never acknowledged discarded at "
            "log/0000000000000002.seg offset 4200; scanned 3 records, 4096 bytes in 12 us");
}

TEST(RecoveryReportTest, NoRecordsAndOneSegment) {
  RecoveryReport report;
  report.segments = 1;
  EXPECT_EQ(report.ToString(),
            "created: no records in 1 segment; scanned 0 records, 0 bytes in 0 us");
}

}  // namespace
}  // namespace seawall
