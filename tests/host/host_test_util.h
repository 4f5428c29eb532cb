// SPDX-License-Identifier: Apache-2.0
// Processes for tests of what a host program may do around its log.
#ifndef SEAWALL_TESTS_HOST_HOST_TEST_UTIL_H_
#define SEAWALL_TESTS_HOST_HOST_TEST_UTIL_H_

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/test_util.h"

namespace seawall {

// Tells another process that something happened, once for each Set().
class Signal {
 public:
  Signal() { EXPECT_EQ(pipe(ends_), 0); }
  ~Signal() {
    close(ends_[0]);
    close(ends_[1]);
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void Set() {
    const char byte = 0;
    EXPECT_EQ(write(ends_[1], &byte, 1), 1);
  }
  void Wait() {
    char byte;
    EXPECT_EQ(read(ends_[0], &byte, 1), 1);
  }

 private:
  int ends_[2] = {-1, -1};
};

// A child process that runs `body`, ends with what it returns, and is killed by SIGALRM if it
// hangs.
class Child {
 public:
  using Make = pid_t (*)();

  static pid_t Fork() { return fork(); }
  // Without the C library, so that no handler of pthread_atfork(3) runs.
  static pid_t BareClone() {
    return static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  }

  explicit Child(const std::function<int()>& body, Make make = &Fork) {
    pid_ = make();
    if (pid_ != 0) return;
    alarm(30);
    _exit(body());
  }
  ~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    (void)Status();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void Kill() { kill(pid_, SIGKILL); }
  // What it exited with; 1000 and the signal that ended it (1014: it hung).
  int Status() {
    int status = 0;
    EXPECT_EQ(waitpid(std::exchange(pid_, -1), &status, 0) > 0, true);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
};

inline constexpr uid_t kNobody = 65534;

// An empty directory with this mode where other users can come to. That of the other tests may lie
// in one that is closed to them; /tmp is open to all (Filesystem Hierarchy Standard).
class PublicDir : public TempDir {
 public:
  explicit PublicDir(mode_t mode) : TempDir("/tmp") { EXPECT_EQ(chmod(path().c_str(), mode), 0); }
};

// The payloads of all records of a log that nobody has open.
inline std::vector<std::string> RecordsOf(const std::string& directory) {
  std::vector<std::string> records;
  auto reader = Reader::OpenReadOnly(directory);
  EXPECT_OK(reader);
  if (!reader.ok()) return records;
  Record record;
  while ((*reader)->Next(&record)) records.emplace_back(record.payload);
  EXPECT_OK((*reader)->status());
  return records;
}

}  // namespace seawall

#endif  // SEAWALL_TESTS_HOST_HOST_TEST_UTIL_H_
