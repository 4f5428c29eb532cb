// SPDX-License-Identifier: Apache-2.0
// `seawall probe` as a user runs it, and what it learns of the device.
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/tool/tool_test_util.h"
#include "tools/seawall/probe/disk_device.h"
#include "tools/seawall/probe/disk_probe.h"
#include "tools/seawall/probe/probe_verdict.h"

namespace seawall {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// ---- The device

TEST(DiskDeviceTest, ReadsWhatTheKernelCounts) {
  const ScratchDirectory scratch;
  const std::string here = scratch.path("");
  absl::StatusOr<DiskDevice> device = FindDiskDevice(here, here);
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_THAT(device->file_system, Not(IsEmpty()));
  absl::Status absent = DeviceBytesWritten(*device, here).status();
  EXPECT_TRUE(absl::IsNotFound(absent));
  EXPECT_THAT(std::string(absent.message()), HasSubstr(device->numbers + "/stat"));

  // A partition: the queue is its disk's.
  std::filesystem::create_directories(scratch.path("disk/part"));
  std::filesystem::create_directories(scratch.path("disk/queue"));
  std::filesystem::create_directory_symlink("disk/part", scratch.path(device->numbers));
  WriteFile(scratch.path("disk/part/stat"), "  1 2 3 4 5 6  700 8 9 10 11\n");
  WriteFile(scratch.path("disk/queue/write_cache"), "write back\n");
  device = FindDiskDevice(here, here);
  ASSERT_TRUE(device.ok()) << device.status();
  EXPECT_EQ(device->name, "part");
  EXPECT_EQ(device->write_cache, "write back");
  EXPECT_EQ(*DeviceBytesWritten(*device, here), 700u * 512);
}

// ---- The command

class ProbeToolTest : public ::testing::Test {
 protected:
  ProbeToolTest() { std::filesystem::create_directory(directory_); }

  // Runs the tool and does `meanwhile` with its process once it has made a temporary file.
  // Returns what waitpid(2) says.
  int RunWhile(
      const std::function<void(pid_t)>& meanwhile, const std::function<void()>& in_child = [] {}) {
    const int watch = inotify_init1(IN_CLOEXEC);
    EXPECT_GE(inotify_add_watch(watch, directory_.c_str(), IN_CREATE), 0);
    const pid_t child = fork();
    if (child == 0) {
      in_child();
      const int err = open(scratch_.path("err").c_str(), O_WRONLY | O_CREAT, 0600);
      dup2(err, STDERR_FILENO);
      execl("tools/seawall/seawall", "seawall", "probe", "--seconds=600", directory_.c_str(),
            nullptr);
      _exit(127);
    }
    char event[4096];
    EXPECT_GT(read(watch, event, sizeof(event)), 0);
    close(watch);
    meanwhile(child);
    int status = 0;
    EXPECT_EQ(waitpid(child, &status, 0), child);
    return status;
  }

  const ScratchDirectory scratch_;
  const std::string directory_ = scratch_.path("disk");
};

TEST_F(ProbeToolTest, EndsWithOptionsToCopyAndLeavesNothing) {
  const Outcome outcome = RunTool({"probe", "--seconds=0.1", directory_});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, IsEmpty());
  EXPECT_THAT(outcome.out, HasSubstr("* k"));
  EXPECT_THAT(outcome.out, HasSubstr("  options.sync_method = seawall::SyncMethod::k"));
  EXPECT_THAT(outcome.out, HasSubstr("  options.direct_io = "));
  EXPECT_THAT(outcome.out, HasSubstr("Why (times are geometric means of zeros and recycled, "
                                     "which the log writes to):\n  - "));
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(ProbeToolTest, AsJson) {
  const Outcome outcome = RunTool({"probe", "--seconds=0.1", "--json", directory_});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const nlohmann::json json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["type"], "probe");
  EXPECT_EQ(json["directory"], directory_);
  EXPECT_TRUE(json["options"]["direct_io"].is_boolean());
  EXPECT_TRUE(json["options"]["sync_method"].is_string());
  EXPECT_FALSE(json["reasons"].empty());
  ASSERT_EQ(json["costs"].size(), kCostCount);
  const nlohmann::json& first = json["costs"][0];
  EXPECT_EQ(first["sync_method"], "kFdatasync");
  EXPECT_EQ(first["direct_io"], false);
  EXPECT_EQ(first["preparation"], "zeros");
  EXPECT_EQ(first["group_bytes"], GroupBytesOf(ProbeSize::kRecord));
  EXPECT_GT(first["p50_us"], 0);
  EXPECT_GE(first["p99_us"], first["p50_us"]);
}

TEST_F(ProbeToolTest, ALogThatIsThereIsNotTouched) {
  RunOptions input;
  input.input = "a\nb\n";
  ASSERT_EQ(RunTool({"append", directory_}, input).code, 0);
  const auto before = ReadFiles(directory_);
  EXPECT_EQ(RunTool({"probe", "--seconds=0.1", directory_}).code, 0);
  EXPECT_EQ(ReadFiles(directory_), before);
}

TEST_F(ProbeToolTest, WhatCannotBeDoneSaysWhatToDo) {
  const Outcome missing = RunTool({"probe", scratch_.path("none")});
  EXPECT_EQ(missing.code, 2);
  EXPECT_THAT(missing.err, AllOf(HasSubstr("none: No such file"), HasSubstr("that exists")));

  WriteFile(scratch_.path("file"), "");
  const Outcome file = RunTool({"probe", scratch_.path("file")});
  EXPECT_EQ(file.code, 2);
  EXPECT_THAT(file.err, AllOf(HasSubstr("Not a directory"), HasSubstr("that exists")));

  ASSERT_EQ(chmod(directory_.c_str(), 0555), 0);
  RunOptions options;
  options.obey_modes = true;
  const Outcome denied = RunTool({"probe", directory_}, options);
  EXPECT_EQ(denied.code, 2);
  EXPECT_THAT(denied.err, AllOf(HasSubstr("Permission denied"), HasSubstr("as a user who may")));
}

TEST_F(ProbeToolTest, WrongUsage) {
  EXPECT_EQ(RunTool({"probe"}).code, 2);
  EXPECT_EQ(RunTool({"probe", directory_, directory_}).code, 2);
  for (const char* seconds : {"0", "-1", "nan", "inf", "3601", "ten"}) {
    const Outcome outcome = RunTool({"probe", std::string("--seconds=") + seconds, directory_});
    EXPECT_EQ(outcome.code, 2) << seconds;
    EXPECT_THAT(outcome.err, HasSubstr("seconds")) << seconds;
  }
  EXPECT_EQ(RunTool({"stat", "--seconds=3", directory_}).code, 2);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(ProbeToolTest, EndedByASignalItRemovesItsFiles) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const int status = RunWhile([signal](pid_t child) { kill(child, signal); });
    EXPECT_TRUE(WIFSIGNALED(status)) << status;
    EXPECT_EQ(WTERMSIG(status), signal);
    EXPECT_TRUE(std::filesystem::is_empty(directory_)) << signal;
  }
}

TEST_F(ProbeToolTest, WithoutSpaceItSaysHowMuchItNeeds) {
  const int status = RunWhile([](pid_t) {},
                              [] {
                                const rlimit limit = {1 << 20, 1 << 20};
                                setrlimit(RLIMIT_FSIZE, &limit);
                              });
  ASSERT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_THAT(ReadFile(scratch_.path("err")),
              AllOf(HasSubstr("File too large"), HasSubstr("64.0 MiB"), HasSubstr("make room")));
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(ProbeToolTest, HelpSaysHowToReadTheTable) {
  EXPECT_THAT(RunTool({"--help"}).out, HasSubstr("  probe "));
  const Outcome outcome = RunTool({"probe", "--help"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("How to read the table"), HasSubstr("99th percentile")));
}

}  // namespace
}  // namespace seawall
