// SPDX-License-Identifier: Apache-2.0
#include "engine/base/process_mark.h"

#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>

#include "gtest/gtest.h"

namespace seawall {
namespace {

// The exit status of `child` in a process that `make` makes; -1 if it did not exit.
int StatusOf(const std::function<pid_t()>& make, const std::function<int()>& child) {
  const pid_t pid = make();
  if (pid == 0) _exit(child());
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t Fork() { return fork(); }
// Without the C library, so that no handler of pthread_atfork(3) runs.
pid_t BareClone() {
  return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

class ProcessMarkTest : public ::testing::TestWithParam<pid_t (*)()> {};

TEST_P(ProcessMarkTest, IsNoChilds) {
  const ProcessMark mark;
  EXPECT_TRUE(mark.IsMine());
  EXPECT_EQ(mark.pid(), getpid());
  EXPECT_EQ(StatusOf(GetParam(), [&] { return mark.IsMine() ? 1 : 0; }), 0);
  EXPECT_TRUE(mark.IsMine());
}

TEST_P(ProcessMarkTest, AChildsOwnIsNeitherItsParentsNorItsChilds) {
  const ProcessMark grandparents;
  const int status = StatusOf(GetParam(), [&] {
    const ProcessMark parents;
    if (!parents.IsMine() || grandparents.IsMine() || parents.pid() != getpid()) return 1;
    return StatusOf(GetParam(), [&] {
      const ProcessMark own;
      return own.IsMine() && !parents.IsMine() && !grandparents.IsMine() ? 0 : 2;
    });
  });
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(grandparents.IsMine());
}

TEST_P(ProcessMarkTest, AGrandchildIsNotItsGrandparentThoughItsParentMadeNoMark) {
  const ProcessMark mark;
  EXPECT_EQ(StatusOf(GetParam(),
                     [&] {
                       return StatusOf(GetParam(), [&] {
                         const ProcessMark own;
                         return own.IsMine() && !mark.IsMine() ? 0 : 1;
                       });
                     }),
            0);
}

INSTANTIATE_TEST_SUITE_P(All, ProcessMarkTest, ::testing::Values(&Fork, &BareClone),
                         [](const auto& tested) {
                           return tested.index == 0 ? "Fork" : "BareClone";
                         });

}  // namespace
}  // namespace seawall
