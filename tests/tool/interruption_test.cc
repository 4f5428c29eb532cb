// SPDX-License-Identifier: Apache-2.0
// Signals as the tool takes them, in processes of their own: what cannot end in order ends all the
// same, and says its last words.
#include "tools/seawall/cli/interruption.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <string>

#include "gtest/gtest.h"

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

class Child {
 public:
  // Runs `body` in a process of its own; `say` writes to us.
  explicit Child(const std::function<void(const std::function<void(const char*)>& say)>& body) {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      body([&](const char* text) {
        const std::string line = text;
        if (write(fds[1], line.data(), line.size()) < 0) _exit(126);
      });
      _exit(0);
    }
    close(fds[1]);
    fd_ = fds[0];
  }
  ~Child() { close(fd_); }

  void AwaitReady() { EXPECT_EQ(ReadOne(), 'r'); }
  void Send(int signal) {
    sent_ = Clock::now();
    EXPECT_EQ(kill(pid_, signal), 0);
  }
  // Until it has ended; what it said meanwhile.
  std::string End(int* status) {
    std::string said;
    for (char c; (c = ReadOne()) != '\0';) said += c;
    EXPECT_EQ(waitpid(pid_, status, 0), pid_);
    took_ = Clock::now() - sent_;
    return said;
  }
  double took_seconds() const { return took_.count(); }

 private:
  char ReadOne() {
    char c = '\0';
    return read(fd_, &c, 1) == 1 ? c : '\0';
  }

  pid_t pid_ = -1;
  int fd_ = -1;
  Clock::time_point sent_;
  std::chrono::duration<double> took_{};
};

[[noreturn]] void HangForEver() {
  for (;;) (void)poll(nullptr, 0, -1);
}

TEST(InterruptionTest, WhatHangsEndsInTimeAndSaysItsLastWords) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Child child([](const auto& say) {
      const Interruption interruption;
      const EndInTime end_in_time(interruption, [&] { say("hung"); });
      say("r");
      HangForEver();
    });
    child.AwaitReady();
    child.Send(signal);
    int status = 0;
    EXPECT_EQ(child.End(&status), "hung");
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == signal) << status;
    EXPECT_LT(child.took_seconds(), 2);
  }
}

// Nothing is said of what ended by itself, however long the process goes on.
TEST(InterruptionTest, WhatHasEndedSaysNothing) {
  Child child([](const auto& say) {
    const Interruption interruption;
    {
      const EndInTime end_in_time(interruption, [&] { say("hung"); });
      say("r");
      (void)interruption.WaitForInput(-1);
    }
    (void)poll(nullptr, 0, 2000);  // longer than it would have been given
    say("ended");
    interruption.Die();
  });
  child.AwaitReady();
  child.Send(SIGTERM);
  int status = 0;
  EXPECT_EQ(child.End(&status), "ended");
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
}

TEST(InterruptionTest, ASecondSignalEndsAtOnceButNotOneThatComesWithTheFirst) {
  for (bool together : {false, true}) {
    Child child([](const auto& say) {
      const Interruption interruption;
      const EndInTime end_in_time(interruption, [&] { say("hung"); });
      say("r");
      HangForEver();
    });
    child.AwaitReady();
    child.Send(SIGTERM);
    if (!together) (void)poll(nullptr, 0, 300);
    child.Send(SIGTERM);
    int status = 0;
    EXPECT_EQ(child.End(&status), together ? "hung" : "");
    EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
  }
}

}  // namespace
}  // namespace seawall
