// SPDX-License-Identifier: Apache-2.0
// `seawall append` where things go wrong: inputs that cannot be read, places where no log can be,
// signals, streams that are closed.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tool/tool_test_util.h"

namespace seawall {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ToolAppendTest : public ::testing::Test {
 protected:
  Outcome Append(const std::string& input, std::vector<std::string> flags = {}) {
    return RunAppend(log_, input, std::move(flags));
  }

  const ScratchDirectory scratch_;
  const std::string log_ = scratch_.path("log");
};

// ---- The input

TEST_F(ToolAppendTest, AnInputThatCannotBeReadLeavesNoLog) {
  const std::string unreadable = scratch_.path("unreadable");
  WriteFile(unreadable, "x\n");
  std::filesystem::permissions(unreadable, std::filesystem::perms::none);
  RunOptions options;
  options.obey_modes = true;
  const std::vector<std::pair<std::string, std::string>> inputs = {
      {scratch_.path("none"), "No such file"},
      {scratch_.path(""), "Is a directory"},
      {unreadable, "Permission denied"}};
  for (const auto& [input, why] : inputs) {
    const Outcome outcome = RunTool({"append", log_, input}, options);
    if (outcome.code == 125) GTEST_SKIP() << "root, and unable to give its privileges up";
    EXPECT_EQ(outcome.code, 2) << input;
    EXPECT_THAT(outcome.err, AllOf(HasSubstr(input), HasSubstr(why), HasSubstr("is the input"),
                                   Not(HasSubstr("creates a log"))));
    EXPECT_FALSE(std::filesystem::exists(log_)) << input;
  }
}

TEST_F(ToolAppendTest, AnEmptyInputIsSaidToBeEmpty) {
  EXPECT_EQ(Append("").out, "appended nothing: standard input is empty\n");
}

TEST_F(ToolAppendTest, WhatStopsAtTheFirstRecordDoesNotSpeakOfOthers) {
  const Outcome outcome = Append(std::string(3 << 20, 'x'));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("stopped: appended nothing\n"), HasSubstr("line 1"),
                                 Not(HasSubstr("durable"))));
}

TEST_F(ToolAppendTest, WhatStopsLaterSaysWhatIsDurable) {
  const Outcome outcome = Append("a\nbc\n" + std::string(3 << 20, 'x'));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("stopped: appended 2 records (5 bytes): LSN 1 to 2, durable\n"),
                    HasSubstr("the rest of the input: it begins with line 3.\n")));
}

TEST_F(ToolAppendTest, SmallSegmentsHoldRecordsOfAQuarter) {
  const std::string longest = std::string(4095, 'x') + "\n";
  EXPECT_EQ(Append(longest, {"--segment_bytes=16384"}).code, 0);
  const Outcome longer = Append("x" + longest, {"--segment_bytes=16384"});
  EXPECT_EQ(longer.code, 2);
  EXPECT_THAT(longer.err, HasSubstr("the longest record is 4096 bytes"));
  EXPECT_THAT(RunTool({"append", "--help"}).out, HasSubstr("a quarter of --segment_bytes"));
}

// ---- The log's directory

TEST_F(ToolAppendTest, AMissingParentIsNamedAndHowToMakeIt) {
  const Outcome outcome = RunTool({"append", scratch_.path("no/such/log")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("no directory " + scratch_.path("no/such") + " "),
                                 HasSubstr("mkdir -p " + scratch_.path("no/such") + "\n"),
                                 Not(HasSubstr("creates a log"))));
}

TEST_F(ToolAppendTest, AFileIsNoDirectory) {
  WriteFile(log_, "a file");
  const Outcome outcome = Append("x\n");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("expected a directory, found a file"));
}

TEST_F(ToolAppendTest, NoLogIsMadeAmongOtherFiles) {
  WriteFile(scratch_.path("letter"), "a file");
  const Outcome outcome = RunTool({"append", scratch_.path("")});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("expected a log or an empty directory, found \"letter\""));
  EXPECT_EQ(ReadFiles(scratch_.path("")).size(), 1u);
  // What a crash leaves of a log that was being created is no other file.
  std::filesystem::create_directory(log_);
  WriteFile(log_ + "/LOCK", "");
  WriteFile(log_ + "/CONTROL.new", "");
  std::filesystem::create_directory(log_ + "/lost+found");  // nor is what mkfs makes
  EXPECT_EQ(Append("x\n").code, 0);
  // A log stays one when somebody puts a file beside its own.
  WriteFile(log_ + "/notes", "a file");
  EXPECT_EQ(Append("y\n").code, 0);
}

TEST_F(ToolAppendTest, AWrongSegmentSizeIsNamedAlone) {
  const Outcome outcome = Append("x\n", {"--segment_bytes=17000"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("--segment_bytes is 17000, expected a multiple of 4096"),
                                 Not(HasSubstr("buffer_bytes"))));
  EXPECT_FALSE(std::filesystem::exists(log_));
}

// ---- Closed streams: their numbers must not go to the log's files.

TEST_F(ToolAppendTest, AClosedInputIsNoInput) {
  ASSERT_EQ(Append("x\n").code, 0);
  RunOptions options;
  options.closed = {STDIN_FILENO};
  const Outcome outcome = RunTool({"append", log_}, options);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("standard input: Bad file descriptor"));
  EXPECT_EQ(RunTool({"dump", "--raw", log_}).out, "x\n");
}

TEST_F(ToolAppendTest, NoMessageGoesIntoTheLogsFiles) {
  RunOptions options;
  options.input = "x\n" + std::string(3 << 20, 'y');  // fails at line 2
  options.closed = {STDOUT_FILENO, STDERR_FILENO};
  EXPECT_EQ(RunTool({"append", log_}, options).code, 2);
  EXPECT_EQ(RunTool({"verify", log_}).code, 0);
  for (const auto& [name, content] : ReadFiles(log_)) {
    EXPECT_THAT(content, Not(HasSubstr("stopped"))) << name;
  }
  options.input = "z\n";
  EXPECT_EQ(RunTool({"append", log_}, options).code, 2) << "its report cannot be written";
  EXPECT_EQ(RunTool({"dump", "--raw", log_}).out, "x\nz\n");
}

// ---- Signals

// An append that reads from a pipe with room for one page.
class PipedAppend {
 public:
  PipedAppend(const std::string& directory, const std::string& err, bool ignore_hangup = false) {
    int fds[2];
    // One that died too early fails a test; it must not end them all.
    std::signal(SIGPIPE, SIG_IGN);
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    EXPECT_EQ(fcntl(fds[1], F_SETPIPE_SZ, kPageBytes), kPageBytes);
    child_ = fork();
    if (child_ == 0) {
      const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT, 0600);
      if (dup2(fds[0], STDIN_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0) _exit(126);
      std::signal(SIGHUP, ignore_hangup ? SIG_IGN : SIG_DFL);
      execl("tools/seawall/seawall", "seawall", "append", "--durable=end", directory.c_str(),
            nullptr);
      _exit(127);
    }
    close(fds[0]);
    fd_ = fds[1];
  }

  // A line of a page. Returns when it is in the pipe: the tool has then read the page before it,
  // and has appended the one before that.
  void WriteLine() { WritePage(std::string(kPageBytes - 1, 'x') + "\n"); }
  void WriteWithoutNewline() { WritePage(std::string(kPageBytes, 'x')); }
  void CloseInput() { close(fd_); }

  void Send(int signal) { EXPECT_EQ(kill(child_, signal), 0); }
  // What waitpid() says.
  int End() {
    int status = 0;
    EXPECT_EQ(waitpid(child_, &status, 0), child_);
    return status;
  }

 private:
  static constexpr int kPageBytes = 4096;

  void WritePage(const std::string& page) {
    EXPECT_EQ(write(fd_, page.data(), page.size()), static_cast<ssize_t>(page.size()));
  }

  pid_t child_ = -1;
  int fd_ = -1;
};

size_t CountLines(const std::string& text) {
  return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

class ToolAppendSignalTest : public ToolAppendTest, public ::testing::WithParamInterface<int> {};

TEST_P(ToolAppendSignalTest, WhatWasAppendedIsDurableAndCounted) {
  PipedAppend append(log_, scratch_.path("err"));
  for (int i = 0; i < 4; ++i) append.WriteLine();  // two of them are appended
  append.Send(GetParam());
  const int status = append.End();
  append.CloseInput();
  ASSERT_TRUE(WIFSIGNALED(status)) << status;
  EXPECT_EQ(WTERMSIG(status), GetParam());
  const size_t records = CountLines(RunTool({"dump", "--raw", log_}).out);
  EXPECT_GE(records, 2u);
  EXPECT_LE(records, 4u);
  EXPECT_THAT(ReadFile(scratch_.path("err")),
              AllOf(HasSubstr("appended " + std::to_string(records) + " records"),
                    HasSubstr("LSN 1 to " + std::to_string(records) + ", durable\n")));
  EXPECT_THAT(RunTool({"verify", log_}).out, HasSubstr("closed by its writer"));
}

INSTANTIATE_TEST_SUITE_P(Signal, ToolAppendSignalTest, ::testing::Values(SIGINT, SIGTERM, SIGHUP),
                         [](const auto& instance) -> std::string {
                           if (instance.param == SIGINT) return "Int";
                           return instance.param == SIGTERM ? "Term" : "Hup";
                         });

TEST_F(ToolAppendTest, ASignalDoesNotMakeALineOfHalfALine) {
  PipedAppend append(log_, scratch_.path("err"));
  append.WriteLine();
  append.WriteLine();
  append.WriteWithoutNewline();
  append.WriteWithoutNewline();  // the tool has read the one before
  append.Send(SIGTERM);
  EXPECT_TRUE(WIFSIGNALED(append.End()));
  append.CloseInput();
  EXPECT_EQ(RunTool({"dump", "--raw", log_}).out.size(), 2u * 4096);
}

TEST_F(ToolAppendTest, AnIgnoredSignalStaysIgnored) {
  PipedAppend append(log_, scratch_.path("err"), /*ignore_hangup=*/true);
  for (int i = 0; i < 3; ++i) append.WriteLine();
  append.Send(SIGHUP);
  append.WriteLine();
  append.CloseInput();
  const int status = append.End();
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(CountLines(RunTool({"dump", "--raw", log_}).out), 4u);
}

}  // namespace
}  // namespace seawall
