// SPDX-License-Identifier: Apache-2.0
// The tool beside a writer that appends, rolls over, trims, cuts off, closes and opens again.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <sstream>
#include <string>
#include <utility>

#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/tool/tool_test_util.h"

namespace seawall {
namespace {

using ::testing::HasSubstr;

enum class Life {
  kRollsOver,  // small segments, trimmed rarely
  kTrims,      // keeps the last hundred records: files go and are written again
  kRecycles,   // keeps the last segments only, each of them a few records: hardly a file stays
  kReopens,    // closes and opens all the time
  kTruncates,  // cuts its end off now and then
};

Options WriterOptions() {
  Options options;
  options.segment_bytes = 16384;
  options.buffer_bytes = 8192;
  options.max_record_bytes = 2048;
  return options;
}

// One life of the log: from opening to closing.
absl::Status WriteForAWhile(const std::string& directory, Life life, int stop_fd, bool* stop) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, WriterOptions());
  if (!log.ok()) return log.status();
  const int rounds = life == Life::kReopens ? 20 : 1 << 30;
  for (int i = 0; i < rounds && !*stop; ++i) {
    const std::string record(static_cast<size_t>(life == Life::kRecycles ? 2000 : i % 700),
                             static_cast<char>('a' + i % 26));
    absl::StatusOr<Lsn> lsn =
        (*log)->Append(record, i % 3 == 0 ? Durability::kDurable : Durability::kWritten);
    if (!lsn.ok()) return lsn.status();
    absl::Status status;
    if (life == Life::kTrims && *lsn > 100) status = (*log)->TrimBefore(*lsn - 100);
    if (life == Life::kRecycles) status = (*log)->TrimBefore((*log)->durable_lsn());
    if (life == Life::kTruncates && i % 100 == 99) status = (*log)->TruncateAfter(*lsn - 50);
    if (!status.ok()) return status;
    // A log that grew with the time would make the test slower and slower.
    const Lsn kept = life == Life::kReopens ? 200 : 1000;
    if (life != Life::kTrims && life != Life::kRecycles && *lsn > 2 * kept)
      status = (*log)->TrimBefore(*lsn - kept);
    if (!status.ok()) return status;
    pollfd poll_stop = {stop_fd, POLLIN, 0};
    *stop = poll(&poll_stop, 1, 0) != 0;
  }
  return (*log)->Close();
}

// A process of its own that writes until it is told to stop.
class Writer {
 public:
  Writer(const std::string& directory, Life life) {
    int ready[2], stop[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(stop, O_CLOEXEC), 0);
    child_ = fork();
    if (child_ == 0) {
      close(stop[1]);
      bool stopped = false;
      // The log is there from here on.
      absl::Status status = Log::Open(directory, WriterOptions()).status();
      if (write(ready[1], "r", 1) != 1) _exit(2);
      while (status.ok() && !stopped) status = WriteForAWhile(directory, life, stop[0], &stopped);
      if (!status.ok()) fprintf(stderr, "writer: %s\n", std::string(status.message()).c_str());
      _exit(status.ok() ? 0 : 1);
    }
    close(ready[1]);
    close(stop[0]);
    stop_ = stop[1];
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
  }

  // A failed assertion leaves the test before Stop().
  ~Writer() {
    if (stop_ >= 0) Stop();
  }

  // Its exit status.
  int Stop() {
    close(stop_);
    stop_ = -1;
    int status = 0;
    EXPECT_EQ(waitpid(child_, &status, 0), child_);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t child_ = -1;
  int stop_ = -1;
};

class ToolLiveTest : public ::testing::TestWithParam<Life> {
 protected:
  static constexpr int kRounds = 40;

  ScratchDirectory scratch_;
  const std::string log_ = scratch_.path("log");
};

TEST_P(ToolLiveTest, VerifyReportsNoDamage) {
  Writer writer(log_, GetParam());
  for (int i = 0; i < kRounds; ++i) {
    const Outcome outcome = RunTool({"verify", log_});
    ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
    ASSERT_THAT(outcome.out, HasSubstr("OK: no damage"));
    ASSERT_THAT(outcome.out, Not(HasSubstr("torn tail")));
  }
  EXPECT_EQ(writer.Stop(), 0);
}

TEST_P(ToolLiveTest, StatCounts) {
  Writer writer(log_, GetParam());
  for (int i = 0; i < kRounds; ++i) {
    const Outcome outcome = RunTool({"stat", "--json", log_});
    ASSERT_EQ(outcome.code, 0) << outcome.out << outcome.err;
    const auto json = nlohmann::json::parse(outcome.out);
    ASSERT_LE(json["records"], json["last_lsn"].get<uint64_t>());
  }
  EXPECT_EQ(writer.Stop(), 0);
}

TEST_P(ToolLiveTest, DumpShowsConsecutiveRecords) {
  Writer writer(log_, GetParam());
  for (int i = 0; i < kRounds / 4; ++i) {
    const Outcome outcome = RunTool({"dump", "--json", log_});
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    std::istringstream lines(outcome.out);
    std::string line;
    uint64_t next = 0;
    while (std::getline(lines, line)) {
      const auto json = nlohmann::json::parse(line);
      // What left the log before dump came to it is announced.
      if (json["type"] == "note") next = 0;
      if (json["type"] != "record") continue;
      if (next != 0) {
        ASSERT_EQ(json["lsn"], next);
      }
      next = json["lsn"].get<uint64_t>() + 1;
    }
  }
  EXPECT_EQ(writer.Stop(), 0);
}

INSTANTIATE_TEST_SUITE_P(Writer, ToolLiveTest,
                         ::testing::Values(Life::kRollsOver, Life::kTrims, Life::kRecycles,
                                           Life::kReopens, Life::kTruncates),
                         [](const auto& life) -> std::string {
                           switch (life.param) {
                             case Life::kRollsOver:
                               return "RollsOver";
                             case Life::kTrims:
                               return "Trims";
                             case Life::kRecycles:
                               return "Recycles";
                             case Life::kReopens:
                               return "Reopens";
                             case Life::kTruncates:
                               return "Truncates";
                           }
                           return "";
                         });

// The tool with its output held back: it stands still in the middle of the first segment's records,
// while this process, the writer, trims that segment and all but the last.
class OvertakenToolTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.segment_bytes = 1 << 20;  // several read buffers
    options.buffer_bytes = 65536;
    options.max_record_bytes = 4000;
    options.max_recycled_segments = 6;
    options.file_system = &names_;
    auto log = Log::Open(directory_, options);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = std::move(*log);
    AppendSegments(3);
  }

  void AppendSegments(uint64_t segments) {
    const std::string record(4000, 'r');
    for (const uint64_t end = log_->stats().rollovers + segments; log_->stats().rollovers < end;) {
      ASSERT_TRUE(log_->Append(record, Durability::kWritten).ok());
    }
    ASSERT_TRUE(log_->Append(record, Durability::kDurable).ok());
  }

  // Trims the first segment, and writes its file again as another one; then trims most of the rest.
  void Overtake() {
    for (Lsn lsn = 2; log_->first_lsn() == 1; ++lsn) ASSERT_TRUE(log_->TrimBefore(lsn).ok());
    names_.AwaitGone(JoinPath(directory_, SegmentName(1)));
    AppendSegments(8);
    ASSERT_TRUE(log_->TrimBefore(log_->durable_lsn()).ok());
  }

  // Runs `seawall COMMAND`, and overtakes it when its output has begun.
  Outcome RunOvertaken(const std::string& command) {
    const std::string errors = scratch_.path("errors");
    FILE* tool = popen(
        ("tools/seawall/seawall " + command + " " + directory_ + " 2>" + errors).c_str(), "r");
    Outcome outcome;
    char block[4096];
    size_t got = fread(block, 1, sizeof(block), tool);
    Overtake();
    for (; got > 0; got = fread(block, 1, sizeof(block), tool)) outcome.out.append(block, got);
    outcome.code = WEXITSTATUS(pclose(tool));
    outcome.err = ReadFile(errors);
    return outcome;
  }

  ScratchDirectory scratch_;
  const std::string directory_ = scratch_.path("log");
  NameWatch names_{FileSystem::Posix()};
  std::unique_ptr<Log> log_;
};

TEST_F(OvertakenToolTest, DumpSaysWhatLeftTheLog) {
  const Lsn last = log_->durable_lsn();
  const Outcome outcome = RunOvertaken("dump --json");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  std::istringstream lines(outcome.out);
  std::string line;
  Lsn records = 0;
  int notes = 0;
  while (std::getline(lines, line)) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_NE(json["type"], "problem") << line;
    if (json["type"] == "note") ++notes;
    if (json["type"] != "record") continue;
    ++records;
    if (notes == 0) {
      ASSERT_EQ(json["lsn"], records);
    }
  }
  EXPECT_GT(notes, 0);
  EXPECT_LT(records, last);
}

// There a gap could not be seen.
TEST_F(OvertakenToolTest, DumpRawFails) {
  const Outcome outcome = RunOvertaken("dump --raw");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("left the log"));
}

}  // namespace
}  // namespace seawall
