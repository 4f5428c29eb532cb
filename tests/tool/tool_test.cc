// SPDX-License-Identifier: Apache-2.0
// The `seawall` program as a user runs it: output, exit status, and what it says when things are
// wrong.
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "tests/tool/tool_fixture.h"
#include "tests/tool/tool_test_util.h"

namespace seawall {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string Prefixed(const std::string& payload) {
  std::string length;
  for (size_t i = 0; i < 4; ++i) length.push_back(static_cast<char>(payload.size() >> (8 * i)));
  return length + payload;
}

// ---- append and dump

class ToolRoundTripTest : public ToolTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(ToolRoundTripTest, LinesComeBackByteForByte) {
  for (const char* durable : {"each", "batch", "end"}) {
    std::filesystem::remove_all(log_);
    const Outcome append = Append(GetParam(), {std::string("--durable=") + durable});
    EXPECT_EQ(append.code, 0) << append.err;
    EXPECT_THAT(append.err, IsEmpty());
    const Outcome dump = RunTool({"dump", "--raw", log_});
    EXPECT_EQ(dump.code, 0) << dump.err;
    EXPECT_EQ(dump.out, GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(Input, ToolRoundTripTest,
                         ::testing::Values("", "\n", "a", "a\n", "a\nb", "a\n\n\nb\n", "\r\n\t\r\n",
                                           std::string("\0\xff\n\0\n\x80", 6),
                                           std::string(1 << 20, 'x') + "\n" +
                                               std::string(2 << 19, 'y')));

TEST_F(ToolTest, AppendingTwiceConcatenates) {
  EXPECT_THAT(Append("a\nb").out, HasSubstr("LSN 1 to 2"));
  EXPECT_THAT(Append("c\n").out, HasSubstr("LSN 3"));
  EXPECT_EQ(RunTool({"dump", "--raw", log_}).out, "a\nbc\n");
}

TEST_F(ToolTest, AppendReadsAFile) {
  WriteFile(scratch_.path("input"), "from\na file");
  EXPECT_EQ(RunTool({"append", log_, scratch_.path("input")}).code, 0);
  EXPECT_EQ(RunTool({"dump", "--raw", log_}).out, "from\na file");
  const Outcome missing = RunTool({"append", log_, scratch_.path("none")});
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.err, HasSubstr("none: No such file"));
}

TEST_F(ToolTest, LengthPrefixedRecordsComeBackWithTheirNewlines) {
  const std::string input = Prefixed("two\nlines\n") + Prefixed("") + Prefixed("no newline");
  EXPECT_THAT(Append(input, {"--framing=length"}).out, HasSubstr("3 records"));
  EXPECT_EQ(RunTool({"dump", "--raw", "--framing=length", log_}).out, input);
}

TEST_F(ToolTest, ACutShortPrefixedRecordLeavesThoseBeforeIt) {
  for (const std::string& rest : {std::string("\1\0", 2), Prefixed("abc").substr(0, 6)}) {
    std::filesystem::remove_all(log_);
    const Outcome outcome = Append(Prefixed("whole") + rest, {"--framing=length"});
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("record 2 is cut short"), HasSubstr("1 record (")));
    EXPECT_EQ(RunTool({"dump", "--raw", log_}).out, "whole");
  }
}

TEST_F(ToolTest, ATooLongLineIsRefusedByNumberAndSizes) {
  const Outcome outcome = Append("short\n" + std::string(3 << 20, 'x'));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("line 2 has at least"), HasSubstr("2097152 bytes")));
  EXPECT_EQ(RunTool({"dump", "--raw", log_}).out, "short\n");
}

TEST_F(ToolTest, ASecondWriterIsToldWhoHasTheLog) {
  const auto log = Log::Open(log_, Options());
  ASSERT_TRUE(log.ok());
  const Outcome outcome = Append("x");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr(std::to_string(getpid())), HasSubstr("`seawall tail -f DIR`")));
}

TEST_F(ToolTest, MetadataAreShownAndRepaired) {
  for (const std::string& metadata : {std::string("schema \t3"), std::string("\xff\0", 2)}) {
    std::filesystem::remove_all(log_);
    Options options;
    options.metadata = metadata;
    {
      const auto log = Log::Open(log_, options);
      ASSERT_TRUE(log.ok() && (*log)->AppendDurable("x").ok());
    }
    std::filesystem::remove_all(log_ + ".new");
    ASSERT_EQ(RunTool({"repair", log_, "--out=" + log_ + ".new"}).code, 0);
    const bool utf8 = metadata.size() > 2;
    for (const std::string& log : {log_, log_ + ".new"}) {
      const nlohmann::json stat = OfType(RunTool({"stat", "--json", log}).out, "stat")[0];
      const nlohmann::json dump = OfType(RunTool({"dump", "--json", log}).out, "log")[0];
      for (const nlohmann::json& found : {stat, dump}) {
        EXPECT_EQ(utf8 ? found["metadata"] : found["metadata_base64"], utf8 ? metadata : "/wA=");
      }
      const std::string text = utf8 ? "schema \\t3" : "\\xff\\x00";
      EXPECT_THAT(RunTool({"stat", log}).out, HasSubstr("\nmetadata   " + text + "\n"));
      EXPECT_THAT(RunTool({"dump", log}).out, HasSubstr("  metadata " + text + "\n"));
    }
    EXPECT_NE(OfType(RunTool({"stat", "--json", log_}).out, "stat")[0]["log_id"],
              OfType(RunTool({"stat", "--json", log_ + ".new"}).out, "stat")[0]["log_id"]);
  }
}

TEST_F(ToolTest, AppendsToTheExpectedLogOnly) {
  const std::string other(32, 'a');
  const Outcome none = Append("x\n", {"--expected_id=" + other});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr(other));
  EXPECT_FALSE(std::filesystem::exists(log_));
  MakeLog(3);
  const std::string id = OfType(RunTool({"stat", "--json", log_}).out, "stat")[0]["log_id"];
  const auto before = ReadFiles(log_);
  const Outcome refused = Append("x\n", {"--expected_id=" + other});
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, AllOf(HasSubstr(id), HasSubstr(other)));
  EXPECT_EQ(Append("x\n", {"--expected_id=1"}).code, 2);
  EXPECT_EQ(RunTool({"tail", "--expected_id=" + other, log_}).code, 2);
  EXPECT_EQ(RunTool({"tail", "-f", "--from=1", "--expected_id=" + other, log_}).code, 2);
  EXPECT_EQ(ReadFiles(log_), before);
  EXPECT_EQ(RunTool({"tail", "--expected_id=" + id, log_}).code, 0);
  EXPECT_EQ(Append("x\n", {"--expected_id=" + id}).code, 0);
}

TEST_F(ToolTest, DumpSelectsByLsnAndLimit) {
  MakeLog(100, /*small_segments=*/true);
  EXPECT_EQ(RunTool({"dump", "--raw", "--from=98", log_}).out,
            "record 98\nrecord 99\nrecord 100\n");
  EXPECT_EQ(RunTool({"dump", "--raw", "--to=2", log_}).out, "record 1\nrecord 2\n");
  EXPECT_EQ(RunTool({"dump", "--raw", "--from=50", "--limit=1", log_}).out, "record 50\n");
  EXPECT_EQ(RunTool({"dump", "--raw", "--limit=0", log_}).out, "");
  EXPECT_EQ(RunTool({"dump", "--raw", "--from=101", log_}).out, "");
  const Outcome beyond = RunTool({"dump", "--from=102", log_});
  EXPECT_EQ(beyond.code, 2);
  EXPECT_THAT(beyond.err, HasSubstr("records 1 to 100"));
  const Outcome before = RunTool({"dump", "--to=0", log_});
  EXPECT_EQ(before.code, 2);
  EXPECT_THAT(before.err, HasSubstr("--to=0: the log has records 1 to 100"));
}

TEST_F(ToolTest, DumpShowsSegmentsGroupsAndEscapedRecords) {
  Append("\x01tab\t\n" + std::string(300, 'z'));
  const Outcome text = RunTool({"dump", log_});
  EXPECT_THAT(text.out,
              AllOf(StartsWith("log "), HasSubstr("\nsegment 1 "), HasSubstr("group at 4096"),
                    HasSubstr("    1  6 bytes  \\x01tab\\t\\n\n"), HasSubstr("... and 100 bytes")));
  EXPECT_THAT(RunTool({"dump", "--hex", "--limit=1", log_}).out,
              HasSubstr("00000000  01 74 61 62 09 0a"));
}

TEST_F(ToolTest, DumpMarksAtomicBatches) {
  {
    const auto log = Log::Open(log_, Options());
    ASSERT_TRUE(log.ok());
    ASSERT_TRUE((*log)->AppendBatch({"one", "two"}, Durability::kDurable).ok());
  }
  EXPECT_THAT(RunTool({"dump", log_}).out, AllOf(HasSubstr("1 +  3 bytes"), HasSubstr("2  3 byt")));
  const auto records = OfType(RunTool({"dump", "--json", log_}).out, "record");
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0]["batch_continues"], true);
  EXPECT_EQ(records[1]["batch_continues"], false);
}

TEST_F(ToolTest, DumpJsonHoldsAnyPayload) {
  Append(
      Prefixed("\"quoted\"\n\xc3\xa4") + Prefixed("\xff") + Prefixed("\xed\xa0\x80") + Prefixed(""),
      {"--framing=length"});
  const auto records = OfType(RunTool({"dump", "--json", log_}).out, "record");
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0]["payload"], "\"quoted\"\n\xc3\xa4");
  EXPECT_EQ(records[1]["payload_base64"], "/w==");
  EXPECT_EQ(records[2]["payload_base64"], "7aCA");  // a surrogate is not UTF-8
  EXPECT_EQ(records[3]["payload"], "");
  const auto hex = OfType(RunTool({"dump", "--json", "--hex", log_}).out, "record");
  EXPECT_EQ(hex[1]["payload_hex"], "ff");
}

TEST_F(ToolTest, AFullDiskBehindTheOutputIsAnError) {
  MakeLog(10);
  RunOptions options;
  options.output_path = "/dev/full";
  for (const char* command : {"dump", "verify", "stat"}) {
    const Outcome outcome = RunTool({command, log_}, options);
    EXPECT_EQ(outcome.code, 2) << command;
    EXPECT_THAT(outcome.err, HasSubstr("No space left"));
  }
}

TEST_F(ToolTest, AReaderThatHasSeenEnoughEndsItQuietly) {
  Append(std::string(2 << 19, 'x') + "\n");
  // The shell's status is that of dump; SIGPIPE is ignored where it comes from.
  const std::string command = "trap '' PIPE; set -o pipefail; tools/seawall/seawall dump --raw " +
                              log_ + " 2>" + scratch_.path("err") + " | head -c1 >/dev/null";
  const int status = std::system(("bash -c \"" + command + "\"").c_str());
  EXPECT_EQ(WEXITSTATUS(status), 128 + SIGPIPE);
  EXPECT_EQ(ReadFile(scratch_.path("err")), "");
}

TEST_F(ToolTest, DamageIsToldOnceOnATerminal) {
  MakeLog(3);
  FlipByte(Segment(1), 4096);
  RunOptions terminal;
  terminal.terminal = true;
  for (const char* form : {"--nojson", "--json", "--raw"}) {
    const Outcome outcome = RunTool({"dump", form, log_}, terminal);
    EXPECT_EQ(outcome.code, 1);
    const std::string words = "no valid group header";
    const size_t first = outcome.out.find(words);
    ASSERT_NE(first, std::string::npos) << form << outcome.out;
    EXPECT_EQ(outcome.out.find(words, first + 1), std::string::npos) << form << outcome.out;
  }
  // Who redirects the one still sees it in the other.
  const Outcome apart = RunTool({"dump", log_});
  EXPECT_THAT(apart.out, HasSubstr("DAMAGE " + Segment(1)));
  EXPECT_THAT(apart.err, HasSubstr("damage: " + Segment(1)));
}

// ---- stat

TEST_F(ToolTest, StatCountsWhatIsThere) {
  MakeLog(300, /*small_segments=*/true);
  const auto stat = nlohmann::json::parse(RunTool({"stat", "--json", log_}).out);
  EXPECT_EQ(stat["state"], "clean");
  EXPECT_EQ(stat["first_lsn"], 1);
  EXPECT_EQ(stat["last_lsn"], 300);
  EXPECT_EQ(stat["durable_lsn"], 300);
  EXPECT_EQ(stat["records"], 300);
  EXPECT_EQ(stat["groups"], 300);
  EXPECT_EQ(stat["payload_bytes"], 9 * 9 + 90 * 10 + 201 * 11);
  EXPECT_EQ(stat["control"]["closed"], true);
  EXPECT_GT(stat["segments"].size(), 1u);
  EXPECT_THAT(RunTool({"stat", log_}).out,
              AllOf(HasSubstr("on average"), HasSubstr("last       300")));
}

TEST_F(ToolTest, WhatIsNeitherSegmentNorSpareIsNoSpare) {
  MakeLog(1);
  WriteFile(Segment(7), "left over");
  const auto stat = nlohmann::json::parse(RunTool({"stat", "--json", log_}).out);
  EXPECT_EQ(stat["spares"], 0) << "as verify has it";
  EXPECT_EQ(stat["left_files"], 1);
  EXPECT_THAT(RunTool({"stat", log_}).out,
              HasSubstr("and 0 spares, and 1 file that the next writer reuses or removes"));
  EXPECT_THAT(RunTool({"verify", log_}).out, HasSubstr("1 segment, 80 bytes; 0 spares"));
  ASSERT_EQ(Append("x").code, 0);
  EXPECT_FALSE(std::filesystem::exists(Segment(7)));
}

TEST_F(ToolTest, StatListsCursors) {
  {
    Options options;
    options.cursors = true;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(log_, options);
    ASSERT_TRUE(log.ok()) << log.status();
    absl::StatusOr<std::unique_ptr<Cursor>> billing = (*log)->OpenCursor("billing");
    ASSERT_TRUE(billing.ok()) << billing.status();
    ASSERT_TRUE((*log)->OpenCursor("search").ok());
    for (int i = 0; i < 9; ++i) ASSERT_TRUE((*log)->AppendDurable("x").ok());
    ASSERT_TRUE((*billing)->Advance(8).ok());
  }
  EXPECT_THAT(RunTool({"stat", log_}).out,
              AllOf(HasSubstr("cursor     billing: at 8, 1 record behind, holds what is from 9 on"),
                    HasSubstr("cursor     search: at 0, 9 records behind")));
  const auto stat = nlohmann::json::parse(RunTool({"stat", "--json", log_}).out);
  EXPECT_EQ(stat["cursors"].size(), 2u);
  EXPECT_EQ(stat["cursors"][0]["name"], "billing");
  EXPECT_EQ(stat["cursors"][0]["lsn"], 8);
  EXPECT_EQ(stat["cursors"][1]["behind"], 9);
  const std::string metrics = RunTool({"stat", "--openmetrics", log_}).out;
  const std::string labels = "{directory=\"" + log_ + "\",cursor=\"";
  EXPECT_THAT(metrics,
              AllOf(HasSubstr("seawall_directory_cursor_lsn" + labels + "billing\"} 8\n"),
                    HasSubstr("seawall_directory_cursor_behind" + labels + "search\"} 9\n")));
  WriteFile(log_ + ".metrics", metrics);
  EXPECT_EQ(
      std::system(("python3 tests/metrics/openmetrics_check.py <" + log_ + ".metrics").c_str()), 0);
  EXPECT_EQ(RunTool({"verify", log_}).code, 0);
  EXPECT_EQ(RunTool({"dump", log_}).code, 0);
}

TEST_F(ToolTest, StatSpeaksOpenMetrics) {
  MakeLog(300);
  const Outcome outcome = RunTool({"stat", "--openmetrics", log_});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("seawall_directory_last_lsn{directory=\"" + log_ + "\"} 300\n"),
                    HasSubstr("seawall_directory_closed{directory=\"" + log_ + "\"} 1\n"),
                    HasSubstr("# UNIT seawall_directory_file_bytes bytes\n")));
  WriteFile(log_ + ".metrics", outcome.out);
  EXPECT_EQ(
      std::system(("python3 tests/metrics/openmetrics_check.py <" + log_ + ".metrics").c_str()), 0);
  EXPECT_EQ(RunTool({"stat", "--openmetrics", "--json", log_}).code, 2);
}

TEST_F(ToolTest, OneIsNoPlural) {
  MakeLog(1);
  EXPECT_THAT(RunTool({"verify", log_}).out,
              HasSubstr("read 1 record in 1 group, 1 segment, 80 bytes; 0 spares"));
  EXPECT_THAT(RunTool({"stat", log_}).out, HasSubstr(" in 1 segment and 0 spares"));
  FlipByte(Segment(1), 20);
  EXPECT_THAT(RunTool({"verify", log_}).out, HasSubstr("1 place is damaged"));
  FlipByte(log_ + "/CONTROL", 20);
  EXPECT_THAT(RunTool({"verify", log_}).out, HasSubstr("2 places are damaged"));
}

TEST_F(ToolTest, AnEmptyLogIsALog) {
  EXPECT_EQ(Append("").code, 0);
  for (const char* command : {"dump", "verify", "stat"}) {
    EXPECT_EQ(RunTool({command, log_}).code, 0) << command;
  }
}

// ---- verify

TEST_F(ToolTest, VerifyPassesAClosedLog) {
  MakeLog(300, /*small_segments=*/true);
  const Outcome outcome = RunTool({"verify", log_});
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("closed by its writer"), HasSubstr("OK: no damage")));
  const auto summary = OfType(RunTool({"verify", "--json", log_}).out, "summary");
  EXPECT_EQ(summary[0]["log_id"],
            OfType(RunTool({"stat", "--json", log_}).out, "stat")[0]["log_id"]);
  EXPECT_EQ(summary[0]["log_id"],
            OfType(RunTool({"dump", "--json", log_}).out, "log")[0]["log_id"]);
  ASSERT_EQ(summary.size(), 1u);
  EXPECT_EQ(summary[0]["sound"], true);
  EXPECT_EQ(summary[0]["verdict"], "clean");
}

TEST_F(ToolTest, VerifySaysThatALogIsUnclosedOrTorn) {
  const auto log = Log::Open(log_, Options());
  ASSERT_TRUE(log.ok());
  ASSERT_TRUE((*log)->AppendDurable("a record").ok());
  const std::string copy = scratch_.path("copy");
  std::filesystem::copy(log_, copy);
  Outcome outcome = RunTool({"verify", copy});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("not closed"));
  // Part of a write that never became a group.
  FlipByte(copy + "/0000000000000001.seg", 8192);
  outcome = RunTool({"verify", copy});
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("torn tail: "));
  EXPECT_EQ(OfType(RunTool({"verify", "--json", copy}).out, "summary")[0]["verdict"], "torn tail");
}

TEST_F(ToolTest, VerifyNamesADamagedRecordAndGoesOn) {
  Append("first\nsecond\nthird\n", {"--durable=end"});
  Append("fourth\n");
  // 4096: group header, 48 bytes; then a record header of 16, then the payload.
  FlipByte(Segment(2),
           4096 + 48 + 16 + 6 + 16);  // the second record, carried over by the reopening
  const Outcome outcome = RunTool({"verify", log_});
  EXPECT_EQ(outcome.code, 1) << outcome.out;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("offset 4166: expected checksum "), HasSubstr("found "),
                                 HasSubstr("records 2 to 3 cannot be read")));
  const Outcome dump = RunTool({"dump", log_});
  EXPECT_EQ(dump.code, 1);
  EXPECT_THAT(dump.out, AllOf(HasSubstr("first"), Not(HasSubstr("third")), HasSubstr("fourth")));
  // Bytes alone cannot show a gap.
  const Outcome raw = RunTool({"dump", "--raw", log_});
  EXPECT_EQ(raw.code, 1);
  EXPECT_EQ(raw.out, "first\n");
}

TEST_F(ToolTest, VerifyListsEveryDamagedPlace) {
  MakeLog(400, /*small_segments=*/true);
  FlipByte(Segment(1), 4096);         // the header of the first group
  FlipByte(Segment(1), 4096 + 3000);  // somewhere in the middle
  FlipByte(Segment(2), 20);           // one copy of a segment's header
  FlipByte(log_ + "/CONTROL", 20);    // one slot
  const Outcome outcome = RunTool({"verify", "--json", log_});
  EXPECT_EQ(outcome.code, 1);
  const auto problems = OfType(outcome.out, "problem");
  ASSERT_EQ(problems.size(), 4u) << outcome.out;
  EXPECT_EQ(problems[0]["path"], log_ + "/CONTROL");
  EXPECT_EQ(problems[1]["path"], Segment(1));
  EXPECT_EQ(problems[1]["offset"], 4096);
  EXPECT_EQ(problems[1]["expected"], "the group of record 1");
  EXPECT_EQ(problems[1]["consequence"], "record 1 cannot be read");
  EXPECT_EQ(problems[3]["path"], Segment(2));
  EXPECT_EQ(RunTool({"stat", log_}).code, 1);
}

TEST_F(ToolTest, VerifyPrintsTheSameWithAnyNumberOfJobs) {
  MakeLog(1000, /*small_segments=*/true);
  FlipByte(Segment(3), 4096 + 3000);
  FlipByte(Segment(1), 4096 + 3000);
  const Outcome one = RunTool({"verify", "--json", log_});
  EXPECT_EQ(one.code, 1);
  EXPECT_EQ(OfType(one.out, "problem").size(), 2u) << one.out;
  for (const char* jobs : {"--jobs=2", "--jobs=7", "--jobs=64"}) {
    EXPECT_EQ(RunTool({"verify", "--json", jobs, log_}).out, one.out) << jobs;
  }
  EXPECT_EQ(RunTool({"verify", "--jobs=0", log_}).code, 2);
  EXPECT_THAT(RunTool({"verify", "--jobs=65", log_}).err, HasSubstr("expected 1 to 64"));
}

TEST_F(ToolTest, VerifyChecksBothCopiesOfASpare) {
  const auto log = [this] {
    Options options;
    options.segment_bytes = 16384;
    options.buffer_bytes = 8192;
    options.max_record_bytes = 2048;
    return Log::Open(log_, options);
  }();
  ASSERT_TRUE(log.ok());
  // Half full: the spare is prepared. It is there when a rollover did not have to wait for one.
  while ((*log)->stats().segments_created < 1) {
    ASSERT_TRUE((*log)->AppendDurable(std::string(1000, 'x')).ok());
  }
  ASSERT_TRUE((*log)->AppendDurable("x").ok());
  const std::string copy = scratch_.path("copy");
  std::filesystem::copy(log_, copy);
  if (OfType(RunTool({"verify", "--json", copy}).out, "summary")[0]["spares"] == 0) {
    GTEST_SKIP() << "the spare was begun, or not yet written into CONTROL, when it was copied";
  }
  int last = 1;
  while (std::filesystem::exists(copy + Segment(last + 1).substr(log_.size()))) ++last;
  FlipByte(copy + Segment(last).substr(log_.size()), 3584 + 30);
  const Outcome outcome = RunTool({"verify", copy});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("offset 3584: expected a valid segment header, copy 2 of 2"));
}

TEST_F(ToolTest, WhatDoesNotOpenIsStillListed) {
  MakeLog(600, /*small_segments=*/true);
  const std::string removed = Segment(2);
  std::filesystem::remove(removed);
  const Outcome verify = RunTool({"verify", log_});
  EXPECT_EQ(verify.code, 1);
  EXPECT_THAT(verify.out, AllOf(HasSubstr("DAMAGE " + removed), HasSubstr("does not open")));
  const Outcome dump = RunTool({"dump", "--json", log_});
  EXPECT_EQ(dump.code, 1);
  const auto records = OfType(dump.out, "record");
  ASSERT_FALSE(records.empty());
  EXPECT_EQ(records.front()["lsn"], 1);
  EXPECT_EQ(records.back()["lsn"], 600);
  EXPECT_LT(records.size(), 600u);
  EXPECT_EQ(RunTool({"stat", log_}).code, 1);
}

TEST_F(ToolTest, WithoutControlTheRecordsAreStillShown) {
  MakeLog(10);
  WriteFile(log_ + "/CONTROL", std::string(ReadFile(log_ + "/CONTROL").size(), 'x'));
  EXPECT_EQ(RunTool({"verify", log_}).code, 1);
  EXPECT_EQ(OfType(RunTool({"dump", "--json", log_}).out, "record").size(), 10u);
}

TEST_F(ToolTest, AShortenedSegmentIsDamage) {
  MakeLog(300, /*small_segments=*/true);
  std::filesystem::resize_file(Segment(1), 8192);
  const Outcome outcome = RunTool({"verify", log_});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr(Segment(1) + ", offset 8192"));
}

}  // namespace
}  // namespace seawall
