// SPDX-License-Identifier: Apache-2.0
// The queue of examples/queue: each consumer gets each message, in order, at least once, over
// crashes.
#include "examples/queue/queue.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/test_util.h"

namespace queue {
namespace {

using seawall::CrashChoice;
using seawall::CrashFileSystem;

class QueueTest : public ::testing::Test {
 protected:
  void SetUp() override {
    disk_ = std::make_unique<CrashFileSystem>();
    ASSERT_EQ(disk_->MakeDirectory("/data"), 0);
    ASSERT_EQ(disk_->SyncDirectory("/"), 0);
    Open();
  }

  void Open() {
    seawall::Options options;
    options.file_system = disk_.get();
    options.segment_bytes = 24 << 10;
    options.buffer_bytes = 8 << 10;
    options.max_record_bytes = 6 << 10;
    absl::StatusOr<std::unique_ptr<Queue>> queue = Queue::Open("/data/queue", options);
    ASSERT_OK(queue);
    queue_ = std::move(*queue);
  }

  // The power fails; another process goes on with what is left.
  void Crash() {
    std::unique_ptr<CrashFileSystem> left = disk_->Capture().PowerLoss(CrashChoice());
    disk_->Freeze();
    queue_.reset();
    disk_ = std::move(left);
    Open();
  }

  std::unique_ptr<Consumer> Subscribe(const std::string& name) {
    absl::StatusOr<std::unique_ptr<Consumer>> consumer = queue_->Subscribe(name);
    EXPECT_OK(consumer);
    return consumer.ok() ? std::move(*consumer) : nullptr;
  }

  void Push(int from, int to, size_t bytes = 0) {
    for (int i = from; i <= to; ++i) {
      std::string message = absl::StrCat(i, " ");
      ASSERT_OK(queue_->Push(message.append(bytes, 'x')));
    }
  }

  // The number of the next message; 0 if there is none.
  static int Take(Consumer* consumer) {
    absl::StatusOr<std::optional<std::string>> message = consumer->Take();
    EXPECT_OK(message);
    return message.ok() && message->has_value() ? std::stoi(**message) : 0;
  }

  std::unique_ptr<CrashFileSystem> disk_;
  std::unique_ptr<Queue> queue_;
};

TEST_F(QueueTest, EachConsumerGetsEachMessageInOrder) {
  std::unique_ptr<Consumer> a = Subscribe("a");
  std::unique_ptr<Consumer> b = Subscribe("b");
  EXPECT_EQ(Take(a.get()), 0);
  Push(1, 3);
  for (int i = 1; i <= 3; ++i) EXPECT_EQ(Take(a.get()), i);
  EXPECT_EQ(Take(a.get()), 0);
  Push(4, 4);
  EXPECT_EQ(Take(a.get()), 4);
  for (int i = 1; i <= 4; ++i) EXPECT_EQ(Take(b.get()), i);
}

TEST_F(QueueTest, ACrashGivesOutAgainWhatWasNotDone) {
  int next = 1;  // the first message that is not done
  for (int round = 0; round < 8; ++round) {
    std::unique_ptr<Consumer> consumer = Subscribe("a");
    Push(10 * round + 1, 10 * round + 10, 900);
    for (int i = 0; i < 7; ++i) ASSERT_EQ(Take(consumer.get()), next + i);
    ASSERT_OK(consumer->Done());
    next += 7;
    ASSERT_EQ(Take(consumer.get()), next) << "taken, and lost to the crash";
    consumer.reset();
    Crash();
  }
  EXPECT_GT(queue_->log()->first_lsn(), 1u) << "what is done takes no space";
}

TEST_F(QueueTest, WhatOneConsumerHasNotDoneIsKept) {
  std::unique_ptr<Consumer> fast = Subscribe("fast");
  std::unique_ptr<Consumer> slow = Subscribe("slow");
  Push(1, 40, 3000);
  for (int i = 1; i <= 40; ++i) ASSERT_EQ(Take(fast.get()), i);
  ASSERT_OK(fast->Done());
  EXPECT_EQ(queue_->log()->first_lsn(), 1u);
  ASSERT_EQ(Take(slow.get()), 1);
  ASSERT_OK(queue_->Unsubscribe("slow"));
  ASSERT_OK(fast->Done());
  EXPECT_GT(queue_->log()->first_lsn(), 30u);
}

// ---- The program

// "STATUS OUTPUT", of both streams.
std::string RunQueue(const std::string& command) {
  FILE* pipe = popen(("{ " + command + "; } 2>&1; echo =$?").c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::string output(1 << 16, '\0');
  output.resize(std::fread(output.data(), 1, output.size(), pipe));
  EXPECT_EQ(pclose(pipe), 0);
  return output;
}

TEST(QueueProgramTest, PopsWhatWasPushed) {
  seawall::TempDir dir;
  const std::string program = "examples/queue/queue_main " + (dir / "q");
  EXPECT_EQ(RunQueue("printf 'a\\n\\nb' | " + program + " push"), "=0\n");
  EXPECT_EQ(RunQueue(program + " pop me 2"), "a\n\n=0\n");
  EXPECT_EQ(RunQueue(program + " pop me"), "b\n=0\n");
  EXPECT_EQ(RunQueue(program + " pop me"), "=0\n");
  EXPECT_EQ(RunQueue(program + " pop other >/dev/full"),
            "queue: UNAVAILABLE: the standard output is closed\n=1\n");
  EXPECT_EQ(RunQueue(program + " pop other 1"), "a\n=0\n") << "it was not out";
}

TEST(QueueProgramTest, WhatIsNoCountIsWrongUsage) {
  seawall::TempDir dir;
  for (const char* count : {"x", "0", "-1", "3x", "''", "99999999999999999999"}) {
    const std::string output =
        RunQueue("examples/queue/queue_main " + (dir / "q") + " pop me " + count);
    EXPECT_NE(output.find("Usage:"), std::string::npos) << count;
    EXPECT_NE(output.find("\n=2\n"), std::string::npos) << count;
  }
}

TEST(QueueProgramTest, AnInputThatCannotBeReadIsAnError) {
  seawall::TempDir dir;
  const std::string program = "examples/queue/queue_main " + (dir / "q");
  EXPECT_EQ(RunQueue(program + " push </"),
            "queue: UNAVAILABLE: the standard input cannot be read\n=1\n");
}

TEST(QueueProgramTest, UnderBazelRunADirectoryIsWhereTheUserIs) {
  seawall::TempDir dir;
  EXPECT_EQ(RunQueue("echo a | BUILD_WORKING_DIRECTORY=" + dir.path() +
                     " examples/queue/queue_main here push"),
            "=0\n");
  EXPECT_EQ(RunQueue("examples/queue/queue_main " + (dir / "here") + " pop me"), "a\n=0\n");
}

}  // namespace
}  // namespace queue
