// SPDX-License-Identifier: Apache-2.0
// The `seawall` program when it is used wrongly, or may not do what it is asked: exit status and
// words.
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tool/tool_fixture.h"
#include "tests/tool/tool_test_util.h"

namespace seawall {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

using ToolUsageTest = ToolTest;

TEST_F(ToolUsageTest, NoLogThereIsNotDamage) {
  std::filesystem::create_directory(scratch_.path("empty"));
  WriteFile(scratch_.path("file"), "not a directory");
  for (const char* command : {"dump", "verify", "stat"}) {
    for (const char* name : {"none", "empty", "file"}) {
      const Outcome outcome = RunTool({command, scratch_.path(name)});
      EXPECT_EQ(outcome.code, 2) << command << " " << name;
      EXPECT_THAT(outcome.err, HasSubstr(name));
    }
  }
}

TEST_F(ToolUsageTest, WrongUsageIsTwoAndSaysWhere) {
  MakeLog(1);
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"frobnicate"},
      {"dump"},
      {"dump", log_, "more"},
      {"dump", "--raw", "--json", log_},
      {"dump", "--raw", "--hex", log_},
      {"dump", "--framing=length", log_},
      {"dump", "--framing=xml", log_},
      {"dump", "--from=9", "--to=3", log_},
      {"dump", "--from=x", log_},
      {"dump", "--no_such_flag", log_},
      {"stat", "--raw", log_},
      {"verify", "--from=3", log_},
      {"append", "--durable=never", log_},
      {"append", "--segment_bytes=5", log_},
  };
  for (const std::vector<std::string>& arguments : wrong) {
    const Outcome outcome = RunTool(arguments);
    EXPECT_EQ(outcome.code, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, Not(IsEmpty()));
  }
}

// Abseil's words differ by its version; the flag's name is in all of them.
TEST_F(ToolUsageTest, FlagsThatAbseilRefuses) {
  MakeLog(1);
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"dump", "--no_such_flag", log_}, "'no_such_flag'"},
      {{"dump", "-n", log_}, "'n'"},
      {{"dump", "--from=x", log_}, "'from'"},
      {{"dump", "--limit=-1", log_}, "'limit'"},
      {{"dump", "--json=maybe", log_}, "'json'"},
      {{"dump", log_, "--from"}, "'from'"},
      {{"dump", "--nofrom", log_}, "'from'"},
      {{"dump", "--flagfile=/no/such/file", log_}, "/no/such/file"},
      // Abseil ends with status 0 for this one, which must not pass for a sound log.
      {{"verify", "--only_check_args", log_}, ""},
  };
  for (const auto& [arguments, message] : wrong) {
    const Outcome outcome = RunTool(arguments);
    EXPECT_EQ(outcome.code, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.out, IsEmpty());
    const std::string command = "seawall " + arguments[0];
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(message), HasSubstr(command + ": its flags were not"),
                                   EndsWith("\nSee `" + command + " --help`.\n")));
  }
  EXPECT_THAT(RunTool({"--no_such_flag", "frobnicate"}).err, EndsWith("\nSee `seawall --help`.\n"));
}

TEST_F(ToolUsageTest, AFlagOfAnotherCommandIsRefused) {
  MakeLog(1);
  WriteFile(scratch_.path("flags"), "--json\n");
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"stat", "--raw", log_}, "it has no flag --raw; it has --json, --openmetrics\n"},
      {{"verify", "--from=1", log_}, "it has no flag --from; it has --jobs, --json"},
      {{"append", "--json", log_}, "it has no flag --json; it has --"},
      {{"dump", "--flagfile=" + scratch_.path("flags"), log_}, "it has no flag --flagfile; it has"},
  };
  for (const auto& [arguments, message] : wrong) {
    const Outcome outcome = RunTool(arguments);
    EXPECT_EQ(outcome.code, 2) << message;
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, AllOf(StartsWith("seawall " + arguments[0] + ": " + message),
                                   EndsWith("\nSee `seawall " + arguments[0] + " --help`.\n")));
  }
}

TEST_F(ToolUsageTest, AnUnknownCommandIsRefused) {
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {"frobnicate"}, {"help", "frobnicate"}, {"frobnicate", "--help"}}) {
    const Outcome outcome = RunTool(arguments);
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_EQ(outcome.err, "seawall: no command named \"frobnicate\"\nSee `seawall --help`.\n");
  }
}

TEST_F(ToolUsageTest, FlagsMayBeWrittenInEachUsualWay) {
  MakeLog(3);
  const std::string two = RunTool({"dump", "--from=2", "--limit=1", "--json", log_}).out;
  EXPECT_EQ(OfType(two, "record").size(), 1u);
  const std::vector<std::vector<std::string>> ways = {
      {"dump", "--from", "2", "--limit", "1", "--json=true", log_},
      {"--json", "dump", log_, "-from=2", "-limit=1"},
      {"dump", "--nojson", "--json", "--from=1", "--from=2", "--limit=1", "--", log_},
  };
  for (const auto& way : ways) EXPECT_EQ(RunTool(way).out, two) << testing::PrintToString(way);
  EXPECT_EQ(RunTool({"dump", "--nojson", log_}).out, RunTool({"dump", log_}).out);
}

// 0, 1 and 2 as `seawall --help` has them.
TEST_F(ToolUsageTest, ExitStatusOfEachCommand) {
  const std::vector<std::string> commands = {"append", "dump", "stat", "verify"};
  MakeLog(300, /*small_segments=*/true);
  for (const std::string& command : commands) {
    EXPECT_EQ(RunTool({command, log_}).code, 0) << command;
    EXPECT_EQ(RunTool({command, log_, "one", "too", "many"}).code, 2) << command;
    EXPECT_EQ(RunTool({command, "/dev/null"}).code, 2) << command;
    EXPECT_EQ(RunTool({command, "/dev/null/below"}).code, 2) << command;
  }
  std::filesystem::remove(log_ + "/CONTROL");
  const auto before = ReadFiles(log_);
  for (const std::string& command : commands) {
    const Outcome outcome = RunTool({command, log_});
    EXPECT_EQ(outcome.code, 1) << command;
    EXPECT_THAT(outcome.out + outcome.err, HasSubstr("CONTROL")) << command;
  }
  EXPECT_EQ(ReadFiles(log_).size(), before.size());
  EXPECT_EQ(RunTool({"--help"}).code, 0);
  EXPECT_EQ(RunTool({"help", "frobnicate"}).code, 2);
  EXPECT_EQ(RunTool({"--version"}).code, 0);
}

TEST_F(ToolUsageTest, HelpTeaches) {
  EXPECT_THAT(RunTool({"--help"}).out, AllOf(HasSubstr("Exit status"), HasSubstr("verify")));
  for (const char* command : {"dump", "verify", "stat", "append"}) {
    const Outcome help = RunTool({command, "--help"});
    EXPECT_EQ(help.code, 0);
    EXPECT_THAT(help.out, AllOf(StartsWith(std::string("seawall ") + command),
                                HasSubstr("Examples:"), HasSubstr("Exit status:")));
    EXPECT_EQ(RunTool({"help", command}).out, help.out);
    EXPECT_EQ(RunTool({"--no_such_flag", command, "-h"}).out, help.out);
  }
}

TEST_F(ToolUsageTest, ANewerFormatIsNotDamage) {
  MakeLog(3);
  std::string control = ReadFile(log_ + "/CONTROL");
  for (size_t slot = 0; slot < control.size(); slot += 4096) control[slot + 8] = 2;
  WriteFile(log_ + "/CONTROL", control);
  const Outcome outcome = RunTool({"verify", log_});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("newer Seawall"));
}

TEST_F(ToolUsageTest, ReadsWhatItMayNotWriteAndChangesNothing) {
  MakeLog(100);
  const auto before = ReadFiles(log_);
  for (const auto& file : before) chmod((log_ + "/" + file.first).c_str(), 0444);
  chmod(log_.c_str(), 0555);
  RunOptions options;
  options.obey_modes = true;
  for (const char* command : {"dump", "verify", "stat"}) {
    const Outcome outcome = RunTool({command, log_}, options);
    if (outcome.code == 125) GTEST_SKIP() << "root, and unable to give its privileges up";
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
  options.input = "x\n";
  EXPECT_EQ(RunTool({"append", log_}, options).code, 2);
  chmod(Segment(1).c_str(), 0);
  const Outcome denied = RunTool({"verify", log_}, options);
  EXPECT_EQ(denied.code, 2);
  EXPECT_THAT(denied.err, HasSubstr("Permission denied"));
  chmod(log_.c_str(), 0755);
  chmod(Segment(1).c_str(), 0644);
  EXPECT_EQ(ReadFiles(log_), before);
}

}  // namespace
}  // namespace seawall
