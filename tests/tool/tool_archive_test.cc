// SPDX-License-Identifier: Apache-2.0
// `seawall append --archive_command` and `seawall restore`: from a log to an archive and back.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "tests/support/watchdog.h"
#include "tests/tool/tool_test_util.h"

namespace seawall {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr int kRecords = 60;  // in four segments

size_t Count(const std::string& text, const std::string& words) {
  size_t count = 0;
  for (size_t at = 0; (at = text.find(words, at)) != std::string::npos; at += words.size()) ++count;
  return count;
}

class ToolArchiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    watchdog_.Begin("an archive command");
    std::filesystem::create_directory(archive_);
  }

  std::vector<std::string> AppendCommand(const std::string& archive_command) const {
    return {"append", "--durable=each", "--segment_bytes=16384",
            "--archive_command=" + archive_command, log_};
  }
  Outcome Append(int first, int last, const std::string& archive_command) const {
    RunOptions options;
    options.input = NumberedLines(first, last);
    return RunTool(AppendCommand(archive_command), options);
  }
  std::string Copy() const { return "cp %p " + archive_ + "/%f"; }
  Outcome Restore(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "restore");
    arguments.push_back("--out=" + out_);
    return RunTool(arguments);
  }
  void ExpectRestored(int first, int last) const {
    EXPECT_EQ(RunTool({"dump", "--raw", out_}).out, NumberedLines(first, last));
    EXPECT_EQ(RunTool({"verify", out_}).code, 0);
  }
  // The last record of the newest archived segment.
  int LastArchived() {
    EXPECT_EQ(Restore({archive_}).code, 0);
    const auto stat = nlohmann::json::parse(RunTool({"stat", "--json", out_}).out);
    std::filesystem::remove_all(out_);
    return stat["last_lsn"];
  }
  // With the first segments trimmed, so that the archive alone has them. The first record that is
  // left.
  int Trim() {
    Options options;
    options.segment_bytes = 16384;
    options.buffer_bytes = 8192;
    options.max_record_bytes = 4096;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(log_, options);
    EXPECT_TRUE(log.ok()) << log.status();
    EXPECT_TRUE((*log)->TrimBefore(40).ok());
    return static_cast<int>((*log)->first_lsn());
  }

  Watchdog watchdog_;
  const ScratchDirectory scratch_;
  const std::string log_ = scratch_.path("log");
  const std::string archive_ = scratch_.path("archive");
  const std::string out_ = scratch_.path("out");
};

// ---- append --archive_command

TEST_F(ToolArchiveTest, EachFullSegmentComesOnceInOrder) {
  const std::string list = scratch_.path("list");
  const Outcome append = Append(1, kRecords, Copy() + " && echo %f %a %b 100%% >>" + list);
  EXPECT_EQ(append.code, 0) << append.err;
  EXPECT_EQ(append.out, "appended 60 records (58.6 KiB): LSN 1 to 60, durable\n");
  EXPECT_THAT(append.err, IsEmpty());
  const auto copies = ReadFiles(archive_);
  ASSERT_GE(copies.size(), 3u);
  std::string expected;
  for (int generation = 1, first = 1; generation <= static_cast<int>(copies.size()); ++generation) {
    const std::string name = SegmentFile(generation);
    ASSERT_EQ(copies.count(name), 1u) << name;
    EXPECT_EQ(copies.at(name), ReadFile(log_ + "/" + name));
    const int last = first + static_cast<int>(Count(copies.at(name), "...\n")) - 1;
    expected += name + " " + std::to_string(first) + " " + std::to_string(last) + " 100%\n";
    first = last + 1;
  }
  EXPECT_EQ(ReadFile(list), expected);
  // What it took is remembered.
  EXPECT_EQ(Append(61, 61, "echo again %f >>" + list).code, 0);
  EXPECT_EQ(Count(ReadFile(list), "again " + SegmentFile(1)), 0u);
}

// Reads what commands write to it, line by line, and waits for it.
class Fifo {
 public:
  explicit Fifo(const std::string& path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    fd_ = open(path.c_str(), O_RDWR | O_CLOEXEC);  // so that nobody waits for the other end
    EXPECT_GE(fd_, 0);
  }
  ~Fifo() { close(fd_); }
  std::string ReadLine() {
    std::string line;
    for (char c; read(fd_, &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }

 private:
  int fd_ = -1;
};

// A command that fails is run again, with the same segment, until it succeeds: in the same life of
// the log, which goes on meanwhile. It is told once.
TEST_F(ToolArchiveTest, ACommandThatFailsIsRunUntilItSucceeds) {
  Fifo calls(scratch_.path("calls"));
  const std::string tape = scratch_.path("tape");
  int input[2];
  ASSERT_EQ(pipe2(input, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    const int err = open(scratch_.path("err").c_str(), O_WRONLY | O_CREAT, 0600);
    if (dup2(input[0], STDIN_FILENO) < 0 || dup2(err, STDERR_FILENO) < 0) _exit(126);
    const std::string command = "--archive_command=echo %f >" + scratch_.path("calls") +
                                "; test -e " + tape + " || exit 3; " + Copy();
    execl("tools/seawall/seawall", "seawall", "append", "--segment_bytes=16384", "--durable=each",
          command.c_str(), log_.c_str(), nullptr);
    _exit(127);
  }
  close(input[0]);
  const std::string lines = NumberedLines(1, kRecords);
  ASSERT_EQ(write(input[1], lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
  for (int call = 1; call <= 3; ++call) EXPECT_EQ(calls.ReadLine(), SegmentFile(1)) << call;
  EXPECT_THAT(ReadFiles(archive_), IsEmpty());
  WriteFile(tape, "");
  std::string name;
  while ((name = calls.ReadLine()) == SegmentFile(1)) {
  }
  EXPECT_EQ(name, SegmentFile(2));
  EXPECT_EQ(calls.ReadLine(), SegmentFile(3));
  close(input[1]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  for (int generation : {1, 2, 3}) {
    EXPECT_EQ(ReadFiles(archive_).count(SegmentFile(generation)), 1u) << generation;
  }
  const std::string told = ReadFile(scratch_.path("err"));
  EXPECT_EQ(Count(told, "exit status 3; the log keeps it until that works\n"), 1u) << told;
  EXPECT_EQ(Count(told, "\n"), 1u) << told;
}

// What is not archived when it ends is so by the next one; no record is the worse for it.
TEST_F(ToolArchiveTest, ACommandThatFailsToTheEndIsToldAndItsSegmentsComeNextTime) {
  for (const auto& [command, status] :
       std::vector<std::pair<std::string, std::string>>{{"false", "exit status 1"},
                                                        {"no_such_program", "exit status 127"},
                                                        {"kill -9 $$", "exit status 137"}}) {
    std::filesystem::remove_all(log_);
    const Outcome append = Append(1, kRecords, command);
    EXPECT_EQ(append.code, 0) << command;
    EXPECT_THAT(append.out, HasSubstr("LSN 1 to 60, durable\n"));
    EXPECT_THAT(append.err, AllOf(HasSubstr("archive " + log_ + "/" + SegmentFile(1)),
                                  HasSubstr(status), HasSubstr("the log keeps it")));
    EXPECT_EQ(RunTool({"dump", "--raw", log_}).out, NumberedLines(1, kRecords));
  }
  const Outcome again = Append(61, 61, Copy());
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.err, IsEmpty());
  for (int generation : {1, 2, 3}) {
    EXPECT_EQ(ReadFiles(archive_).count(SegmentFile(generation)), 1u) << generation;
  }
}

// As ssh does, and whoever reads its input: records would be gone, and nobody told.
TEST_F(ToolArchiveTest, TheCommandReadsNothingOfTheInputAndWritesNothingToTheOutput) {
  // More than one read takes, and than a pipe holds.
  RunOptions options;
  options.input = NumberedLines(1, 3000);
  const std::string eaten = scratch_.path("eaten");
  const Outcome append = RunTool({"append", "--segment_bytes=65536",
                                  "--archive_command=cat >>" + eaten + "; echo took %f", log_},
                                 options);
  EXPECT_EQ(append.code, 0);
  EXPECT_EQ(append.out, "appended 3000 records (2.9 MiB): LSN 1 to 3000, durable\n");
  EXPECT_THAT(append.err, StartsWith("took " + SegmentFile(1) + "\ntook " + SegmentFile(2) + "\n"));
  EXPECT_EQ(ReadFile(eaten), "");
  EXPECT_TRUE(RunTool({"dump", "--raw", log_}).out == options.input);
}

// ---- Signals while a command runs

// An append of four segments whose archive command has begun for the first one.
class StoppedAppend {
 public:
  // `command` gets the path of a pipe, $1, which it opens to write when it begins.
  StoppedAppend(const ScratchDirectory& scratch, std::vector<std::string> arguments,
                bool keep_input_open)
      : err_(scratch.path("err")) {
    const std::string in = scratch.path("in"), begun = scratch.path("begun");
    WriteFile(in, NumberedLines(1, kRecords));
    int input[2];
    EXPECT_EQ(pipe2(input, O_CLOEXEC), 0);
    child_ = fork();
    if (child_ == 0) {
      const int err_fd = open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      const int in_fd = keep_input_open ? input[0] : open(in.c_str(), O_RDONLY);
      if (dup2(in_fd, STDIN_FILENO) < 0 || dup2(err_fd, STDERR_FILENO) < 0) _exit(126);
      std::vector<char*> argv = {const_cast<char*>("seawall")};
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      execv("tools/seawall/seawall", argv.data());
      _exit(127);
    }
    close(input[0]);
    input_ = input[1];
    if (keep_input_open) {
      const std::string lines = NumberedLines(1, kRecords);
      EXPECT_EQ(write(input_, lines.data(), lines.size()), static_cast<ssize_t>(lines.size()));
    }
    // The command writes its pid: to read it is to wait for it.
    std::ifstream(begun) >> command_;
    EXPECT_GT(command_, 0);
  }
  ~StoppedAppend() { close(input_); }

  void Send(int signal) {
    sent_ = std::chrono::steady_clock::now();
    EXPECT_EQ(kill(child_, signal), 0);
  }
  // What waitpid() says.
  int End() {
    int status = 0;
    EXPECT_EQ(waitpid(child_, &status, 0), child_);
    took_ = std::chrono::steady_clock::now() - sent_;
    return status;
  }
  // Since the last signal.
  double took_seconds() const { return took_.count(); }
  std::string err() const { return ReadFile(err_); }
  bool CommandLives() const { return kill(command_, 0) == 0; }

 private:
  const std::string err_;
  pid_t child_ = -1;
  pid_t command_ = -1;
  int input_ = -1;
  std::chrono::steady_clock::time_point sent_;
  std::chrono::duration<double> took_{};
};

class ToolArchiveSignalTest : public ToolArchiveTest {
 protected:
  void SetUp() override {
    ToolArchiveTest::SetUp();
    ASSERT_EQ(mkfifo(begun_.c_str(), 0600), 0);
  }
  // A command that says that it has begun, and goes on with `rest`.
  std::vector<std::string> Begin(const std::string& rest) const {
    return AppendCommand("echo $$ >" + begun_ + "; " + rest);
  }
  // How many records the log holds: those that it was given, from the first one on.
  int Records() const {
    const std::string dump = RunTool({"dump", "--raw", log_}).out;
    const int records = static_cast<int>(Count(dump, "\n"));
    EXPECT_TRUE(dump == NumberedLines(1, records)) << dump.substr(0, 100);
    return records;
  }
  // All that was appended before the signal came.
  void ExpectAllDurable(const StoppedAppend& append) const {
    const std::string records = std::to_string(Records());
    EXPECT_THAT(append.err(),
                AllOf(HasSubstr("Terminated: appended " + records + " records"),
                      HasSubstr("LSN 1 to " + records + ", durable"), HasSubstr("not archived: "),
                      HasSubstr("/" + SegmentFile(1)), HasSubstr("from LSN 1 on")));
    EXPECT_THAT(RunTool({"verify", log_}).out, HasSubstr("closed by its writer"));
  }

  const std::string begun_ = scratch_.path("begun");
};

TEST_F(ToolArchiveSignalTest, ACommandThatHangsIsEnded) {
  for (bool keep_input_open : {false, true}) {
    std::filesystem::remove_all(log_);
    StoppedAppend append(scratch_, Begin("exec sleep 1000"), keep_input_open);
    append.Send(SIGTERM);
    const int status = append.End();
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
    EXPECT_LT(append.took_seconds(), 2);
    EXPECT_FALSE(append.CommandLives());
    ExpectAllDurable(append);
  }
}

TEST_F(ToolArchiveSignalTest, SoIsOneThatDoesNotListen) {
  StoppedAppend append(scratch_, Begin("trap '' TERM; sleep 1000; sleep 1000"), false);
  append.Send(SIGTERM);
  const int status = append.End();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
  EXPECT_LT(append.took_seconds(), 2);
  EXPECT_FALSE(append.CommandLives());
  ExpectAllDurable(append);
}

// timeout(1) sends a signal to its child, and the same to its group.
TEST_F(ToolArchiveSignalTest, TwoSignalsAtOnceAreOne) {
  StoppedAppend append(scratch_, Begin("exec sleep 1000"), false);
  append.Send(SIGTERM);
  append.Send(SIGTERM);
  const int status = append.End();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
  ExpectAllDurable(append);
}

TEST_F(ToolArchiveSignalTest, ASecondSignalEndsAllAtOnce) {
  StoppedAppend append(scratch_, Begin("trap '' TERM; sleep 1000; sleep 1000"), false);
  append.Send(SIGTERM);
  // Time is what is tested: a signal within 0.2 s counts as the first one sent twice.
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  append.Send(SIGINT);
  const int status = append.End();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;
  // The command would not have been killed before 1.2 seconds, and what ends in order speaks.
  EXPECT_THAT(append.err(), Not(HasSubstr("appended")));
  EXPECT_GT(Records(), 10);
}

// What was left is archived by the next one.
TEST_F(ToolArchiveSignalTest, ACopyThatIsNearlyMadeIsMade) {
  {
    StoppedAppend append(scratch_, Begin("sleep 0.2; " + Copy()), true);
    append.Send(SIGTERM);
    EXPECT_TRUE(WIFSIGNALED(append.End()));
  }
  EXPECT_TRUE(std::filesystem::exists(archive_ + "/" + SegmentFile(1)));
  const int records = Records();
  EXPECT_EQ(Append(records + 1, records + 1, Copy()).code, 0);
  EXPECT_EQ(Restore({archive_, log_}).code, 0);
  EXPECT_TRUE(RunTool({"dump", "--raw", out_}).out == NumberedLines(1, records + 1));
}

TEST_F(ToolArchiveTest, ACommandWithAnUnknownPercentIsRefusedAndNothingIsMade) {
  for (const char* command : {"cp %q x", "cp %p x%", "100% %p", "%P"}) {
    const Outcome append = Append(1, 1, command);
    EXPECT_EQ(append.code, 2) << command;
    EXPECT_THAT(append.err,
                HasSubstr("--archive_command: expected %p, %f, %a, %b or %% behind each %"));
    EXPECT_FALSE(std::filesystem::exists(log_));
  }
}

TEST_F(ToolArchiveTest, PathsAreOneWordForTheShell) {
  const std::string odd = scratch_.path("it's a $HOME \"log\"; exit 1");
  RunOptions options;
  options.input = NumberedLines(1, kRecords);
  const Outcome append =
      RunTool({"append", "--segment_bytes=16384", "--archive_command=" + Copy(), odd}, options);
  EXPECT_EQ(append.code, 0);
  EXPECT_THAT(append.err, IsEmpty());
  EXPECT_EQ(ReadFiles(archive_)[SegmentFile(1)], ReadFile(odd + "/" + SegmentFile(1)));
}

// ---- restore

TEST_F(ToolArchiveTest, RestoreTakesMetadata) {
  ASSERT_EQ(Append(1, kRecords, Copy()).code, 0);
  const auto metadata = [&] {
    const auto stat = nlohmann::json::parse(RunTool({"stat", "--json", out_}).out);
    std::filesystem::remove_all(out_);
    return std::string(stat["metadata"]);
  };
  ASSERT_EQ(Restore({archive_}).code, 0);
  EXPECT_EQ(metadata(), "");
  ASSERT_EQ(Restore({archive_, "--metadata=schema 3"}).code, 0);
  EXPECT_EQ(metadata(), "schema 3");
  const Outcome outcome = Restore({archive_, log_, "--metadata=" + std::string(257, 'x')});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("257"));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(ToolArchiveTest, RestoresArchiveAndLiveTail) {
  ASSERT_EQ(Append(1, kRecords, Copy()).code, 0);
  const int first = Trim();
  ASSERT_GT(first, 16);
  const auto before = ReadFiles(log_);
  const Outcome restore = Restore({archive_, log_});
  EXPECT_EQ(restore.code, 0) << restore.err;
  EXPECT_THAT(restore.err, IsEmpty());
  EXPECT_THAT(restore.out,
              AllOf(StartsWith("restored records 1 to 60 in "), HasSubstr(", all verified\n")));
  ExpectRestored(1, kRecords);
  EXPECT_EQ(ReadFiles(log_), before);
  std::filesystem::remove_all(out_);
  // Up to an LSN: in the archive, at the seam, in the live tail.
  for (int to : {1, 15, 16, first - 1, first, 59, 60}) {
    const Outcome part = Restore({"--to_lsn=" + std::to_string(to), "--json", archive_, log_});
    ASSERT_EQ(part.code, 0) << part.err;
    const nlohmann::json json = nlohmann::json::parse(part.out);
    EXPECT_EQ(json["type"], "restore");
    EXPECT_EQ(json["destination"], out_);
    EXPECT_EQ(json["first_lsn"], 1);
    EXPECT_EQ(json["last_lsn"], to);
    ExpectRestored(1, to);
    std::filesystem::remove_all(out_);
  }
}

TEST_F(ToolArchiveTest, RestoresTheArchiveAloneAndTheTailIsMissing) {
  ASSERT_EQ(Append(1, kRecords, Copy()).code, 0);
  const int last = LastArchived();
  ASSERT_GT(last, 40);
  ASSERT_LT(last, kRecords);
  std::filesystem::remove_all(log_);
  EXPECT_EQ(Restore({archive_}).code, 0);
  ExpectRestored(1, last);
  std::filesystem::remove_all(out_);
  const Outcome beyond = Restore({"--to_lsn=60", archive_});
  EXPECT_EQ(beyond.code, 2);
  EXPECT_THAT(beyond.err,
              HasSubstr("restore up to record 60: there are records 1 to " + std::to_string(last)));
  EXPECT_FALSE(std::filesystem::exists(out_));
}

TEST_F(ToolArchiveTest, RestoresUpToATime) {
  ASSERT_EQ(Append(1, kRecords, Copy()).code, 0);
  std::vector<int64_t> sealed = {0};  // by LSN
  const auto reader = Reader::OpenReadOnly(log_);
  ASSERT_TRUE(reader.ok());
  for (Record record; (*reader)->Next(&record);) sealed.push_back(record.sealed_unix_micros);
  ASSERT_EQ(sealed.size(), kRecords + 1u);
  (void)Trim();
  int restored = 0;
  for (size_t lsn : {1, 20, 59, 60}) {
    // The clock stood still, or was set back.
    if (lsn < kRecords && sealed[lsn + 1] <= sealed[lsn]) continue;
    const absl::Time time = absl::FromUnixMicros(sealed[lsn]);
    for (const absl::TimeZone zone : {absl::UTCTimeZone(), absl::FixedTimeZone(-5 * 3600)}) {
      const std::string text = absl::FormatTime(absl::RFC3339_full, time, zone);
      EXPECT_EQ(Restore({"--to_time=" + text, archive_, log_}).code, 0) << text;
      ExpectRestored(1, static_cast<int>(lsn));
      std::filesystem::remove_all(out_);
      ++restored;
    }
  }
  EXPECT_GT(restored, 0);
  const Outcome before = Restore({"--to_time=1999-12-31T23:59:59Z", archive_, log_});
  EXPECT_EQ(before.code, 0);
  EXPECT_THAT(before.out, StartsWith("restored no records in "));
  ExpectRestored(1, 0);
}

TEST_F(ToolArchiveTest, WhatRestoreCannotDoIsTwoAndLeavesNothing) {
  ASSERT_EQ(Append(1, kRecords, Copy()).code, 0);
  const std::string empty = scratch_.path("empty"), none = scratch_.path("none");
  std::filesystem::create_directory(empty);
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{}, "expected ARCHIVE, and perhaps DIR"},
      {{archive_, log_, "more"}, "expected ARCHIVE, and perhaps DIR"},
      {{"--to_lsn=0", archive_}, "--to_lsn: expected the LSN of a record, found 0"},
      {{"--to_lsn=61", archive_, log_}, "there are records 1 to 60"},
      {{"--to_time=yesterday", archive_}, "found \"yesterday\""},
      {{"--to_time=2026-01-31", archive_}, "--to_time: expected a time as 2026-01-31T12:00:00Z"},
      {{"--to=3", archive_}, "it has no flag --to; it has --"},
      {{none}, none},
      {{archive_, none}, none},
      {{archive_, empty}, empty},
      {{empty}, "no archived segments in " + empty},
  };
  for (const auto& [arguments, message] : wrong) {
    const Outcome outcome = Restore(arguments);
    EXPECT_EQ(outcome.code, 2) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_THAT(outcome.err, AllOf(StartsWith("seawall restore: "), HasSubstr(message)));
    EXPECT_FALSE(std::filesystem::exists(out_)) << testing::PrintToString(arguments);
  }
  EXPECT_THAT(RunTool({"restore", archive_, log_}).err, HasSubstr("expected --out=DEST"));
  std::filesystem::create_directory(out_);
  WriteFile(out_ + "/mine", "x");
  const Outcome full = Restore({archive_, log_});
  EXPECT_EQ(full.code, 2);
  EXPECT_THAT(full.err, AllOf(HasSubstr("found \"mine\""), HasSubstr("No log was made")));
  EXPECT_EQ(ReadFiles(out_).size(), 1u);
  // An archive that is empty is no harm where the log has all.
  std::filesystem::remove_all(out_);
  EXPECT_EQ(Restore({empty, log_}).code, 0);
  ExpectRestored(1, kRecords);
}

TEST_F(ToolArchiveTest, AMissingOrDamagedSegmentIsOneAndNamed) {
  ASSERT_EQ(Append(1, kRecords, Copy()).code, 0);
  (void)Trim();
  const std::string second = archive_ + "/" + SegmentFile(2);
  const std::string good = ReadFile(second);
  const auto fails = [&](const std::string& what) {
    for (const bool with_log : {false, true}) {
      const Outcome outcome = with_log ? Restore({archive_, log_}) : Restore({archive_});
      EXPECT_EQ(outcome.code, 1) << what;
      EXPECT_THAT(outcome.out, IsEmpty());
      EXPECT_THAT(outcome.err, AllOf(HasSubstr(SegmentFile(2)), HasSubstr("expected "),
                                     HasSubstr("found "), HasSubstr("No log was made")));
      EXPECT_FALSE(std::filesystem::exists(out_)) << what;
    }
  };
  std::filesystem::remove(second);
  fails("missing");
  WriteFile(second, good.substr(0, 8192));
  fails("shortened");
  WriteFile(second, good);
  FlipByte(second, 8000);
  fails("damaged");
  WriteFile(second, ReadFile(archive_ + "/" + SegmentFile(1)));
  fails("another one");
  WriteFile(second, good);
  // Old ones may be removed from an archive.
  std::filesystem::remove(archive_ + "/" + SegmentFile(1));
  const Outcome younger = Restore({"--json", archive_, log_});
  EXPECT_EQ(younger.code, 0);
  const int first = nlohmann::json::parse(younger.out)["first_lsn"];
  EXPECT_GT(first, 1);
  ExpectRestored(first, kRecords);
}

// Beside the writer of the log, whose tail is not archived.
TEST_F(ToolArchiveTest, RestoresBesideAWriter) {
  ASSERT_EQ(Append(1, kRecords, Copy()).code, 0);
  const absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(log_, Options());
  ASSERT_TRUE(log.ok()) << log.status();
  ASSERT_TRUE((*log)->TrimBefore(40).ok());
  ASSERT_TRUE((*log)->AppendDurable(NumberedLine(61)).ok());
  EXPECT_EQ(Restore({archive_, log_}).code, 0);
  ExpectRestored(1, 61);
  ASSERT_TRUE((*log)->AppendDurable(NumberedLine(62)).ok());
  ExpectRestored(1, 61);
}

}  // namespace
}  // namespace seawall
