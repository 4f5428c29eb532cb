// SPDX-License-Identifier: Apache-2.0
// The lock of a log, against those who delete, replace or take it; and standard streams that are
// closed. (FINDINGS H4, H5, H6.)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/host/host_test_util.h"
#include "tests/support/small_log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

class LockTest : public ::testing::Test {
 protected:
  // Another process tries to open the log: true if it is refused, and `owner` is named.
  bool RefusesAnother(pid_t owner) {
    Child other([&] {
      return Fails(Log::Open(path_, SmallOptions()), absl::StatusCode::kFailedPrecondition,
                   {absl::StrCat("process ", owner), "LOCK"})
                 ? 0
                 : 1;
    });
    return other.Status() == 0;
  }

  mode_t ModeOfLock() {
    struct stat info;
    EXPECT_EQ(stat((path_ + "/LOCK").c_str(), &info), 0);
    return info.st_mode & 07777;
  }

  TempDir dir_;
  const std::string path_ = dir_ / "log";
};

TEST_F(LockTest, ADeletedOneLetsNobodyIn) {
  auto log = MustOpen(path_, SmallOptions());
  ASSERT_OK(log->AppendDurable("one"));
  std::filesystem::remove(path_ + "/LOCK");
  EXPECT_TRUE(RefusesAnother(getpid()));
  EXPECT_TRUE(
      Fails(Log::Open(path_, SmallOptions()), absl::StatusCode::kFailedPrecondition, {"is open"}));
  ASSERT_OK(log->AppendDurable("two"));
  ASSERT_OK(log->Close());
  EXPECT_EQ(RecordsOf(path_), (std::vector<std::string>{"one", "two"}));
  EXPECT_OK(Log::Open(path_, SmallOptions()));
}

TEST_F(LockTest, AReplacedOneLetsNobodyIn) {
  auto log = MustOpen(path_, SmallOptions());
  WriteFile(path_ + "/another", "");
  std::filesystem::rename(path_ + "/another", path_ + "/LOCK");
  EXPECT_TRUE(RefusesAnother(getpid()));
  ASSERT_OK(log->AppendDurable("one"));
  ASSERT_OK(log->Close());
  EXPECT_OK(Log::Open(path_, SmallOptions()));
}

TEST_F(LockTest, IsForItsOwnerOnly) {
  ASSERT_OK(MustOpen(path_, SmallOptions())->Close());
  EXPECT_EQ(ModeOfLock(), 0600u);
  // One that an older version has made.
  ASSERT_EQ(chmod((path_ + "/LOCK").c_str(), 0644), 0);
  ASSERT_OK(MustOpen(path_, SmallOptions())->Close());
  EXPECT_EQ(ModeOfLock(), 0600u);
}

TEST_F(LockTest, ASymbolicLinkInItsPlaceIsNotFollowed) {
  ASSERT_OK(MustOpen(path_, SmallOptions())->Close());
  WriteFile(dir_ / "victim", "precious");
  std::filesystem::remove(path_ + "/LOCK");
  std::filesystem::create_symlink(dir_ / "victim", path_ + "/LOCK");
  EXPECT_FALSE(Log::Open(path_, SmallOptions()).ok());
  EXPECT_EQ(ReadFile(dir_ / "victim"), "precious");
}

// A process of another user, which may read the directory and not write there.
TEST_F(LockTest, WhoMayOnlyReadKeepsNobodyOut) {
  const PublicDir top(0755);
  const std::string path = top / "log";
  ASSERT_OK(MustOpen(path, SmallOptions())->Close());
  ASSERT_EQ(chmod(path.c_str(), 0755), 0);
  Signal ready, done;
  Child reader([&] {
    const auto lock = [&] {
      if (setuid(kNobody) != 0) return 1;
      if (open((path + "/LOCK").c_str(), O_RDONLY) >= 0 || errno != EACCES) return 2;
      const int directory = open(path.c_str(), O_RDONLY | O_DIRECTORY);
      return directory >= 0 && flock(directory, LOCK_EX | LOCK_NB) == 0 ? 0 : 3;
    };
    const int result = lock();
    ready.Set();
    done.Wait();
    return result;
  });
  ready.Wait();
  const auto log = Log::Open(path, SmallOptions());
  done.Set();
  const int result = reader.Status();
  if (result == 1) GTEST_SKIP() << "takes root, to be somebody else";
  EXPECT_EQ(result, 0);
  EXPECT_OK(log);
}

// One of this user may be a writer whose LOCK is gone.
TEST_F(LockTest, WhoMayWriteAndHasTheDirectoryLockedIsNamed) {
  ASSERT_OK(MustOpen(path_, SmallOptions())->Close());
  Signal ready, done;
  Child other([&] {
    const int directory = open(path_.c_str(), O_RDONLY | O_DIRECTORY);
    const bool locked = directory >= 0 && flock(directory, LOCK_EX | LOCK_NB) == 0;
    ready.Set();
    done.Wait();
    return locked ? 0 : 1;
  });
  ready.Wait();
  EXPECT_TRUE(Fails(Log::Open(path_, SmallOptions()), absl::StatusCode::kFailedPrecondition,
                    {absl::StrCat("process ", other.pid())}));
  done.Set();
  EXPECT_EQ(other.Status(), 0);
  EXPECT_OK(Log::Open(path_, SmallOptions()));
}

TEST(StreamsTest, WhatIsPrintedDoesNotGoIntoTheLog) {
  TempDir dir;
  const std::string path = dir / "log";
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) expected.push_back(absl::StrCat("record ", i));
  Child child([&] {
    for (int fd : {0, 1, 2}) close(fd);
    auto log = Log::Open(path, SmallOptions());
    if (!log.ok()) return 1;
    for (const std::string& record : expected) {
      if (!(*log)->AppendDurable(record).ok()) return 2;
      for (int fd : {1, 2}) {
        if (write(fd, "printed over a record\n", 22) >= 0 || errno != EBADF) return 3;
      }
    }
    return (*log)->Close().ok() ? 0 : 4;
  });
  EXPECT_EQ(child.Status(), 0);
  EXPECT_EQ(RecordsOf(path), expected);
}

}  // namespace
}  // namespace seawall
