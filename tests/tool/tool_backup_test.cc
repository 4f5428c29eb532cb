// SPDX-License-Identifier: Apache-2.0
// `seawall backup`: what the copy holds, beside what it is made, and how it is refused.
#include <sys/stat.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "tests/tool/tool_test_util.h"

namespace seawall {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kRecords = 60;  // in four segments

class ToolBackupTest : public ::testing::Test {
 protected:
  // A closed log of small segments.
  void MakeLog() {
    const std::string lines = NumberedLines(1, kRecords);
    ASSERT_EQ(RunAppend(log_, lines, {"--segment_bytes=16384"}).code, 0);
  }
  std::unique_ptr<Log> MustOpen() {
    Options options;
    options.segment_bytes = 16384;
    options.buffer_bytes = 8192;
    options.max_record_bytes = 4096;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(log_, options);
    EXPECT_TRUE(log.ok()) << log.status();
    return log.ok() ? *std::move(log) : nullptr;
  }
  Outcome Backup(std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), "backup");
    flags.insert(flags.end(), {log_, copy_});
    return RunTool(flags);
  }
  // That the copy is a sound log of exactly these records.
  void ExpectCopy(int first, int last) {
    EXPECT_EQ(RunTool({"dump", "--raw", copy_}).out, NumberedLines(first, last));
    const Outcome verify = RunTool({"verify", copy_});
    EXPECT_EQ(verify.code, 0) << verify.out;
    EXPECT_THAT(verify.out, HasSubstr("closed by its writer"));
  }

  const ScratchDirectory scratch_;
  const std::string log_ = scratch_.path("log");
  const std::string copy_ = scratch_.path("copy");
};

TEST_F(ToolBackupTest, TheCopyHoldsAllAndTheLogIsOnlyRead) {
  MakeLog();
  const auto before = ReadFiles(log_);
  const Outcome backup = Backup();
  EXPECT_EQ(backup.code, 0) << backup.err;
  EXPECT_THAT(backup.err, IsEmpty());
  EXPECT_THAT(backup.out, AllOf(StartsWith("backed up records 1 to 60 in "),
                                HasSubstr(" segments: "), HasSubstr(", all verified\n")));
  ExpectCopy(1, kRecords);
  EXPECT_EQ(ReadFiles(log_), before);
  // It is a log of its own.
  RunOptions options;
  options.input = NumberedLine(61);
  EXPECT_THAT(RunTool({"append", copy_}, options).out, HasSubstr("LSN 61"));
  EXPECT_EQ(ReadFiles(log_), before);
}

TEST_F(ToolBackupTest, EndsWithTheRecordThatIsNamed) {
  MakeLog();
  // The first record, in the middle of segments, their ends, the last record.
  for (int to : {1, 14, 15, 16, 17, 30, 45, 59, 60}) {
    const Outcome backup = Backup({"--to=" + std::to_string(to), "--json"});
    ASSERT_EQ(backup.code, 0) << backup.err;
    const nlohmann::json json = nlohmann::json::parse(backup.out);
    EXPECT_EQ(json["type"], "backup");
    EXPECT_EQ(json["directory"], log_);
    EXPECT_EQ(json["destination"], copy_);
    EXPECT_EQ(json["first_lsn"], 1);
    EXPECT_EQ(json["last_lsn"], to);
    EXPECT_GE(json["segments"], 1);
    EXPECT_GT(json["copied_bytes"].get<uint64_t>() + json["shared_bytes"].get<uint64_t>(),
              1000u * static_cast<unsigned>(to));
    ExpectCopy(1, to);
    std::filesystem::remove_all(copy_);
  }
}

TEST_F(ToolBackupTest, LinksAreSecondNamesOfSealedSegments) {
  MakeLog();
  const Outcome backup = Backup({"--link", "--json"});
  ASSERT_EQ(backup.code, 0) << backup.err;
  EXPECT_GT(nlohmann::json::parse(backup.out)["shared_bytes"], 16384);
  struct stat first, last;
  ASSERT_EQ(stat((copy_ + "/0000000000000001.seg").c_str(), &first), 0);
  EXPECT_EQ(first.st_nlink, 2u);
  ASSERT_EQ(stat((copy_ + "/CONTROL").c_str(), &last), 0);
  EXPECT_EQ(last.st_nlink, 1u);
  ExpectCopy(1, kRecords);
  // What goes on in one is not seen in the other.
  const std::unique_ptr<Log> log = MustOpen();
  ASSERT_TRUE(log->TrimBefore(kRecords).ok());
  for (int lsn = 61; lsn <= 120; ++lsn) ASSERT_TRUE(log->AppendDurable(NumberedLine(lsn)).ok());
  ExpectCopy(1, kRecords);
}

TEST_F(ToolBackupTest, RunsBesideAWriterAndOfATrimmedLog) {
  const std::unique_ptr<Log> log = MustOpen();
  for (int lsn = 1; lsn <= kRecords; ++lsn) ASSERT_TRUE(log->AppendDurable(NumberedLine(lsn)).ok());
  ASSERT_TRUE(log->TrimBefore(40).ok());
  const int first = static_cast<int>(log->first_lsn());
  ASSERT_GT(first, 1);
  EXPECT_EQ(Backup().code, 0);
  ExpectCopy(first, kRecords);
  ASSERT_TRUE(log->AppendDurable(NumberedLine(61)).ok());
  std::filesystem::remove_all(copy_);
  EXPECT_EQ(Backup({"--to=" + std::to_string(first)}).code, 0);
  ExpectCopy(first, first);
  std::filesystem::remove_all(copy_);
  const Outcome trimmed = Backup({"--to=1"});
  EXPECT_EQ(trimmed.code, 2);
  EXPECT_THAT(trimmed.err,
              HasSubstr("back up to record 1: the log holds " + std::to_string(first) + " to 61"));
}

TEST_F(ToolBackupTest, ADestinationMayBeEmptyAndNothingElse) {
  MakeLog();
  std::filesystem::create_directory(copy_);
  WriteFile(copy_ + "/mine", "x");
  const Outcome full = Backup();
  EXPECT_EQ(full.code, 2);
  EXPECT_THAT(full.err, AllOf(HasSubstr(copy_), HasSubstr("found \"mine\"")));
  EXPECT_EQ(ReadFiles(copy_).size(), 1u);
  std::filesystem::remove(copy_ + "/mine");
  EXPECT_EQ(Backup().code, 0);
  const auto made = ReadFiles(copy_);
  EXPECT_EQ(Backup().code, 2) << "a second time, to the same place";
  EXPECT_EQ(ReadFiles(copy_), made);
  EXPECT_EQ(RunTool({"backup", log_, log_}).code, 2);
  ExpectCopy(1, kRecords);
  WriteFile(scratch_.path("file"), "x");
  EXPECT_THAT(RunTool({"backup", log_, scratch_.path("file")}).err,
              HasSubstr("expected a directory, found a file"));
}

TEST_F(ToolBackupTest, WhatCannotBeDoneIsTwoAndLeavesNothing) {
  MakeLog();
  std::filesystem::create_directory(scratch_.path("empty"));
  const std::string none = scratch_.path("none");
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{}, "expected DIR and DEST"},
      {{log_}, "expected DIR and DEST"},
      {{log_, copy_, "more"}, "expected DIR and DEST"},
      {{"--to=0", log_, copy_}, "--to: expected the LSN of a record, found 0"},
      {{"--to=x", log_, copy_}, "'to'"},
      {{"--to=61", log_, copy_}, "back up to record 61: the log holds 1 to 60"},
      {{"--raw", log_, copy_}, "it has no flag --raw; it has --"},
      {{none, copy_}, none},
      {{scratch_.path("empty"), copy_}, "empty"},
      {{log_, none + "/copy"}, "Create it first: mkdir -p " + none + "\n"},
  };
  for (const auto& [arguments, message] : wrong) {
    std::vector<std::string> command = {"backup"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Outcome outcome = RunTool(command);
    EXPECT_EQ(outcome.code, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, AllOf(HasSubstr("seawall backup: "), HasSubstr(message)));
    EXPECT_FALSE(std::filesystem::exists(copy_)) << testing::PrintToString(arguments);
  }
}

TEST_F(ToolBackupTest, DamageIsOneAndLeavesNothing) {
  MakeLog();
  FlipByte(log_ + "/0000000000000002.seg", 8000);
  const Outcome damaged = Backup();
  EXPECT_EQ(damaged.code, 1);
  EXPECT_THAT(damaged.err, AllOf(HasSubstr(log_ + "/0000000000000002.seg"), HasSubstr("expected "),
                                 HasSubstr("found "), HasSubstr("`seawall verify DIR`")));
  EXPECT_FALSE(std::filesystem::exists(copy_));
  EXPECT_EQ(Backup({"--to=10"}).code, 0) << "what is before the damage";
  ExpectCopy(1, 10);
}

TEST_F(ToolBackupTest, AReportThatCannotBeWrittenIsAnError) {
  MakeLog();
  RunOptions options;
  options.output_path = "/dev/full";
  const Outcome outcome = RunTool({"backup", log_, copy_}, options);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("No space left"));
  ExpectCopy(1, kRecords);
}

TEST_F(ToolBackupTest, HelpTeaches) {
  for (const char* command : {"backup", "restore"}) {
    const Outcome help = RunTool({command, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.out, AllOf(StartsWith(std::string("seawall ") + command),
                                HasSubstr("Examples:"), HasSubstr("Exit status:")));
    EXPECT_THAT(RunTool({"--help"}).out, HasSubstr(command));
  }
}

}  // namespace
}  // namespace seawall
