// The tool beside a writer that appends, rolls over, trims, cuts off, closes and opens again.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "tests/tool_test_util.h"

namespace seawall {
namespace {

using ::testing::HasSubstr;

enum class Life {
  kRollsOver,  // small segments, trimmed rarely
  kTrims,      // keeps the last hundred records: files go and are written again
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
    const std::string record(static_cast<size_t>(i % 700), static_cast<char>('a' + i % 26));
    absl::StatusOr<Lsn> lsn =
        (*log)->Append(record, i % 3 == 0 ? Durability::kDurable : Durability::kWritten);
    if (!lsn.ok()) return lsn.status();
    absl::Status status;
    if (life == Life::kTrims && *lsn > 100) status = (*log)->TrimBefore(*lsn - 100);
    if (life == Life::kTruncates && i % 100 == 99) status = (*log)->TruncateAfter(*lsn - 50);
    if (!status.ok()) return status;
    // A log that grew with the time would make the test slower and slower.
    const Lsn kept = life == Life::kReopens ? 200 : 1000;
    if (life != Life::kTrims && *lsn > 2 * kept) status = (*log)->TrimBefore(*lsn - kept);
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
                         ::testing::Values(Life::kRollsOver, Life::kTrims, Life::kReopens,
                                           Life::kTruncates),
                         [](const auto& life) -> std::string {
                           switch (life.param) {
                             case Life::kRollsOver:
                               return "RollsOver";
                             case Life::kTrims:
                               return "Trims";
                             case Life::kReopens:
                               return "Reopens";
                             case Life::kTruncates:
                               return "Truncates";
                           }
                           return "";
                         });

}  // namespace
}  // namespace seawall
