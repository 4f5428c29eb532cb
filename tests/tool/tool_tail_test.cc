// SPDX-License-Identifier: Apache-2.0
// seawall tail, beside writers that come and go.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

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

using ::testing::HasSubstr;

// `seawall tail -f`, whose output is read line by line.
class Tail {
 public:
  explicit Tail(std::vector<std::string> arguments) {
    int out[2], err[2];
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(err, O_CLOEXEC), 0);
    child_ = fork();
    if (child_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(err[1], STDERR_FILENO);
      arguments.insert(arguments.begin(), "tail");
      std::string tool = "tools/seawall/seawall";
      std::vector<char*> argv = {tool.data()};
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      execv(tool.c_str(), argv.data());
      _exit(127);
    }
    close(out[1]);
    close(err[1]);
    out_ = out[0];
    err_ = err[0];
  }
  ~Tail() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    if (out_ >= 0) close(out_);
    close(err_);
  }

  std::string Line() {
    std::string line;
    for (char c; read(out_, &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  void CloseOutput() {
    close(out_);
    out_ = -1;
  }
  void Signal(int signal) { EXPECT_EQ(kill(child_, signal), 0); }
  // As waitpid() tells it.
  int Await() {
    int status = -1;
    EXPECT_EQ(waitpid(child_, &status, 0), child_);
    child_ = -1;
    return status;
  }
  std::string Errors() {
    std::string errors;
    for (char c; read(err_, &c, 1) == 1;) errors += c;
    return errors;
  }

 private:
  pid_t child_ = -1;
  int out_ = -1, err_ = -1;
};

class ToolTailTest : public ::testing::Test {
 protected:
  void Open() {
    log_.reset();
    auto log = Log::Open(directory_, Options());
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = std::move(*log);
  }
  void Append(int records) {
    for (int i = 0; i < records; ++i) {
      const std::string record = "record " + std::to_string(log_->appended_lsn() + 1);
      ASSERT_TRUE(log_->AppendDurable(record).ok());
    }
  }
  static void ExpectRecord(Tail* tail, Lsn lsn) {
    const std::string line = tail->Line();
    EXPECT_EQ(line.substr(0, line.find(' ')), std::to_string(lsn));
    EXPECT_THAT(line, HasSubstr("  record " + std::to_string(lsn)));
  }

  const ScratchDirectory scratch_;
  const std::string directory_ = scratch_.path("log");
  std::unique_ptr<Log> log_;
};

TEST_F(ToolTailTest, TheLastRecords) {
  Open();
  Append(25);
  ASSERT_TRUE(log_->Close().ok());
  EXPECT_EQ(RunTool({"tail", "--raw", directory_, "-n", "3"}).out, "record 23record 24record 25");
  const Outcome ten = RunTool({"tail", directory_});
  EXPECT_EQ(ten.code, 0);
  EXPECT_EQ(ten.out.substr(0, 4), "16  ");
  EXPECT_EQ(RunTool({"tail", "-n=100", "--raw", directory_}).out.substr(0, 8), "record 1");
  EXPECT_EQ(RunTool({"tail", "-n=0", directory_}).out, "");
  EXPECT_EQ(RunTool({"tail", "--raw", "-n2", directory_}).out, "record 24record 25");
  EXPECT_EQ(RunTool({"tail", "-n2x", directory_}).code, 2);
  const auto json = nlohmann::json::parse(RunTool({"tail", "--json", "-n=1", directory_}).out);
  EXPECT_EQ(json["lsn"], 25);
  EXPECT_EQ(json["payload"], "record 25");
  EXPECT_EQ(RunTool({"tail", "--from=26", directory_}).code, 0);
  EXPECT_EQ(RunTool({"tail", "--from=27", directory_}).code, 2);
  EXPECT_EQ(RunTool({"tail", "--from=2", "-n=3", directory_}).code, 2);
  EXPECT_EQ(RunTool({"tail", "-f", scratch_.path("none")}).code, 2);
}

TEST_F(ToolTailTest, FollowsThroughTheWritersLives) {
  Open();
  Append(3);
  Tail tail({"-f", "--from=1", directory_});
  for (Lsn lsn = 1; lsn <= 3; ++lsn) ExpectRecord(&tail, lsn);
  for (Lsn lsn = 4; lsn <= 9; ++lsn) {
    if (lsn == 6) Open();
    Append(1);
    ExpectRecord(&tail, lsn);
  }
  tail.Signal(SIGTERM);
  const int status = tail.Await();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
}

TEST_F(ToolTailTest, EndsWhenNobodyReadsItsOutput) {
  Open();
  Append(1);
  Tail tail({"-f", directory_});
  ExpectRecord(&tail, 1);
  tail.CloseOutput();
  // No record comes that it could fail to write.
  EXPECT_EQ(tail.Await(), 0);
}

TEST_F(ToolTailTest, SaysWhyItEnds) {
  Open();
  Append(5);
  Tail tail({"--follow", "--from=1", directory_});
  for (Lsn lsn = 1; lsn <= 5; ++lsn) ExpectRecord(&tail, lsn);
  ASSERT_TRUE(log_->TruncateAfter(3).ok());
  const int status = tail.Await();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 2) << status;
  EXPECT_THAT(tail.Errors(), HasSubstr("truncated after record 3"));
}

TEST_F(ToolTailTest, ADeletedLogEndsIt) {
  Open();
  Append(1);
  Tail tail({"-f", directory_});
  ExpectRecord(&tail, 1);
  log_.reset();
  std::filesystem::remove_all(directory_);
  EXPECT_EQ(WEXITSTATUS(tail.Await()), 2);
  EXPECT_THAT(tail.Errors(), HasSubstr("is gone"));
}

}  // namespace
}  // namespace seawall
