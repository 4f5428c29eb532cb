// SPDX-License-Identifier: Apache-2.0
// `seawall trim`: what goes, what stays and why, and what is refused.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "tests/tool/tool_test_util.h"

namespace seawall {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kRecords = 60;  // in four segments or more

class ToolTrimTest : public ::testing::Test {
 protected:
  void Append(const std::vector<std::string>& flags = {}) {
    std::vector<std::string> all = {"--segment_bytes=16384", "--durable=each"};
    all.insert(all.end(), flags.begin(), flags.end());
    ASSERT_EQ(RunAppend(log_, NumberedLines(1, kRecords), all).code, 0);
  }
  Outcome Trim(std::vector<std::string> flags) const {
    flags.insert(flags.begin(), {"trim", log_});
    return RunTool(flags);
  }
  json Stat() const { return json::parse(RunTool({"stat", "--json", log_}).out); }
  // Of the second segment.
  Lsn SecondSegment() const { return Stat()["segments"][1]["first_lsn"]; }

  const ScratchDirectory scratch_;
  const std::string log_ = scratch_.path("log");
};

TEST_F(ToolTrimTest, AnotherLogThanTheExpectedOneIsNotTrimmed) {
  Append();
  const auto before = ReadFiles(log_);
  const std::string id = Stat()["log_id"];
  const std::string other(32, 'a');
  const Outcome outcome = Trim({"--before=60", "--expected_id=" + other});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr(id), HasSubstr(other), HasSubstr("Nothing was changed")));
  EXPECT_EQ(ReadFiles(log_), before);
  EXPECT_EQ(Trim({"--before=60", "--expected_id=1"}).code, 2);
  EXPECT_EQ(Trim({"--before=60", "--expected_id=" + id}).code, 0);
}

TEST_F(ToolTrimTest, WholeSegmentsGoAndTheRestStays) {
  Append();
  const Lsn second = SecondSegment();
  const json before = Stat();
  const Outcome outcome = Trim({"--json", "--before=" + std::to_string(second + 1)});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json report = json::parse(outcome.out);
  EXPECT_EQ(report["type"], "trim");
  EXPECT_EQ(report["old_first_lsn"], 1);
  EXPECT_EQ(report["first_lsn"], second);
  EXPECT_EQ(report["last_lsn"], kRecords);
  EXPECT_EQ(report["freed_segments"], 1);
  EXPECT_TRUE(report["held_by"].empty());
  EXPECT_EQ(Stat()["first_lsn"], second);
  EXPECT_FALSE(std::filesystem::exists(log_ + "/" + SegmentFile(1)));
  EXPECT_EQ(RunTool({"verify", log_}).code, 0);
  EXPECT_EQ(RunTool({"dump", "--raw", log_}).out,
            NumberedLines(static_cast<int>(second), kRecords));
}

TEST_F(ToolTrimTest, SaysWhatWasFreed) {
  Append();
  const Lsn second = SecondSegment();
  const std::string last = std::to_string(second - 1);
  const Outcome outcome = Trim({"--before=" + std::to_string(second)});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("trimmed records 1 to " + last + ": 1 segment, "),
                                 HasSubstr(" on disk are free; the log holds records " +
                                           std::to_string(second) + " to 60")));
}

TEST_F(ToolTrimTest, SaysWhyASegmentStays) {
  Append();
  const Lsn second = SecondSegment();
  const Outcome outcome = Trim({"--before=" + std::to_string(second - 1)});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("trimmed nothing; the log holds records 1 to 60"),
                                 HasSubstr("A segment goes as a whole: that of record 1 holds")));
  EXPECT_EQ(Stat()["first_lsn"], 1);
}

TEST_F(ToolTrimTest, AllMayGoAndTheNumbersGoOn) {
  Append();
  const uint64_t bytes_before = Stat()["file_bytes"];
  const Outcome outcome = Trim({"--json", "--before=61"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json report = json::parse(outcome.out);
  EXPECT_GT(report["freed_segments"], 2);
  EXPECT_LT(Stat()["file_bytes"], bytes_before + (512 << 10));
  ASSERT_EQ(RunAppend(log_, NumberedLine(61)).code, 0);
  EXPECT_EQ(Stat()["last_lsn"], 61);
}

TEST_F(ToolTrimTest, WhatIsAboveTheEndIsRefusedAndNothingChanges) {
  Append();
  const auto before = ReadFiles(log_);
  const Outcome outcome = Trim({"--before=62"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("--before=62: the log has records 1 to 60"),
                    HasSubstr("expected at most 61"), HasSubstr("Nothing was changed.")));
  EXPECT_EQ(Trim({}).code, 2);
  EXPECT_THAT(Trim({"--before=0"}).err, HasSubstr("expected --before=LSN"));
  EXPECT_EQ(RunTool({"trim", scratch_.path("none"), "--before=1"}).code, 2);
  EXPECT_FALSE(std::filesystem::exists(scratch_.path("none")));
  EXPECT_TRUE(ReadFiles(log_) == before);
}

TEST_F(ToolTrimTest, ADamagedLogIsNotTrimmed) {
  Append();
  FlipByte(log_ + "/" + SegmentFile(2), 8);
  FlipByte(log_ + "/" + SegmentFile(2), 3584 + 8);
  const auto before = ReadFiles(log_);
  const Outcome outcome = Trim({"--before=50"});
  EXPECT_NE(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(ReadFiles(log_) == before);
}

TEST_F(ToolTrimTest, ALogWithAWriterIsLeftToIt) {
  auto log = Log::Open(log_, Options());
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE((*log)->AppendDurable("x").ok());
  const Outcome outcome = Trim({"--before=2"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("Log::TrimBefore()"));
}

TEST_F(ToolTrimTest, ACursorHoldsWhatItHasNotPassed) {
  {
    Options options;
    options.segment_bytes = 32768;
    options.buffer_bytes = 8192;
    options.max_record_bytes = 2048;
    options.cursors = true;
    auto log = Log::Open(log_, options);
    ASSERT_TRUE(log.ok()) << log.status();
    for (int i = 1; i <= kRecords; ++i) ASSERT_TRUE((*log)->AppendDurable(NumberedLine(i)).ok());
    auto cursor = (*log)->OpenCursor("mailer");
    ASSERT_TRUE(cursor.ok()) << cursor.status();
    ASSERT_TRUE((*cursor)->Advance(5).ok());
    ASSERT_TRUE((*log)->Close().ok());
  }
  const Outcome outcome = Trim({"--before=61"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("held by cursor \"mailer\", from record "));
  EXPECT_EQ(Stat()["first_lsn"], 1);
}

TEST_F(ToolTrimTest, WhatWasNotArchivedStaysUnlessItIsNotWanted) {
  // The first segment is archived; then the command fails.
  const std::string command = "test %a = 1";
  Append({"--archive_command=" + command});
  const Lsn second = SecondSegment();
  Outcome outcome = Trim({"--before=61"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("held by the archive, from record " + std::to_string(second)));
  EXPECT_EQ(Stat()["first_lsn"], second);
  outcome = Trim({"--before=61", "--unarchived"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_GT(Stat()["first_lsn"], second);
}

}  // namespace
}  // namespace seawall
