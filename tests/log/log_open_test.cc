// SPDX-License-Identifier: Apache-2.0
// What Log::Open takes, and gives back: the lock, memory, the directory's name.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/test_util.h"
#include "tests/testing/crash_test_util.h"

namespace seawall {
namespace {

// A child process with all files that this one has open, until the object goes.
class ForkedChild {
 public:
  ForkedChild() {
    int ends[2];
    if (pipe(ends) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[1]);
      char byte;
      _exit(read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    close(ends[0]);
    write_end_ = ends[1];
  }
  ~ForkedChild() {
    close(write_end_);
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0);
  }
  ForkedChild(const ForkedChild&) = delete;
  ForkedChild& operator=(const ForkedChild&) = delete;

 private:
  pid_t pid_ = -1;
  int write_end_ = -1;
};

TEST(LogLockTest, AForkedChildDoesNotKeepTheLockOfAClosedLog) {
  TempDir dir;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir / "log", Options());
  ASSERT_OK(log);
  ForkedChild child;
  EXPECT_TRUE(
      Fails(Log::Open(dir / "log", Options()), absl::StatusCode::kFailedPrecondition, {"is open"}));
  ASSERT_OK((*log)->Close());
  EXPECT_OK(Log::Open(dir / "log", Options()));
}

// A child may be forked at any moment: an Open that fails gives the lock up as Close does.
TEST(LogLockTest, AnOpenThatFailsUnlocks) {
  CrashFileSystem fs;
  Options options;
  options.file_system = &fs;
  ASSERT_OK(Log::Open("/log", options));
  ASSERT_EQ(fs.PutFile("/log/CONTROL", "damaged"), 0);
  const size_t before = fs.Trace().size();
  EXPECT_TRUE(Fails(Log::Open("/log", options), absl::StatusCode::kDataLoss));
  int locks = 0;
  int unlocks = 0;
  const std::vector<FileSystemCall> trace = fs.Trace();
  for (size_t i = before; i < trace.size(); ++i) {
    locks += trace[i].kind == CallKind::kLock;
    unlocks += trace[i].kind == CallKind::kUnlock;
  }
  // Of LOCK and of the directory.
  EXPECT_EQ(locks, 2);
  EXPECT_EQ(unlocks, 2);
}

// Address space for `more` bytes, as long as the object lives.
class AddressSpaceLimit {
 public:
  explicit AddressSpaceLimit(uint64_t more) {
    if (getrlimit(RLIMIT_AS, &before_) != 0) std::abort();
    uint64_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit = before_;
    limit.rlim_cur = pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) + more;
    if (setrlimit(RLIMIT_AS, &limit) != 0) std::abort();
  }
  ~AddressSpaceLimit() { (void)setrlimit(RLIMIT_AS, &before_); }
  AddressSpaceLimit(const AddressSpaceLimit&) = delete;
  AddressSpaceLimit& operator=(const AddressSpaceLimit&) = delete;

 private:
  rlimit before_;
};

Options HugeBuffers() {
  Options options;
  options.buffer_bytes = uint64_t{1} << 30;
  options.buffer_count = 64;
  return options;
}

TEST(LogMemoryTest, BuffersThatDoNotFitAreRefusedBeforeAnythingIsChanged) {
  TempDir dir;
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir / "log", Options());
    ASSERT_OK(log);
    ASSERT_OK((*log)->AppendDurable("kept"));
  }
  const DirectoryImage before(dir / "log");
  {
    AddressSpaceLimit limit(uint64_t{1} << 29);
    EXPECT_TRUE(Fails(Log::Open(dir / "log", HugeBuffers()), absl::StatusCode::kResourceExhausted,
                      {dir / "log", "64 buffers", "68719476736 bytes"}));
  }
  EXPECT_TRUE(DirectoryImage(dir / "log").Equals(before));
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir / "log", Options());
  ASSERT_OK(log);
  EXPECT_EQ((*log)->Read(1).value(), "kept");
}

TEST(LogMemoryTest, BuffersThatDoNotFitDoNotCreateALog) {
  TempDir dir;
  {
    AddressSpaceLimit limit(uint64_t{1} << 29);
    EXPECT_TRUE(Fails(Log::Open(dir / "log", HugeBuffers()), absl::StatusCode::kResourceExhausted));
  }
  EXPECT_FALSE(std::filesystem::exists(dir / "log"));
}

// A failed sync of the parent leaves the new directory's name in doubt, and the next sync says
// nothing of it: the name has to be made anew.
TEST(LogDirectoryTest, ADirectoryWhoseNameCouldNotBeSyncedIsMadeAnew) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.MakeDirectory("/data"), 0);
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  Options options;
  options.file_system = &fs;
  fs.InjectFault(FailOnce(CallKind::kSyncDirectory));
  EXPECT_TRUE(Fails(Log::Open("/data/log", options), absl::StatusCode::kUnavailable, {"/data"}));
  FileInfo info;
  EXPECT_EQ(fs.Stat("/data/log", &info), ENOENT);
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open("/data/log", options);
  ASSERT_OK(log);
  ASSERT_OK((*log)->AppendDurable("kept"));
  fs.Capture().ForEachImage(
      50, /*seed=*/1, [&](const CrashChoice& choice, std::unique_ptr<CrashFileSystem> disk) {
        Options opening;
        opening.file_system = disk.get();
        absl::StatusOr<std::unique_ptr<Log>> opened = Log::Open("/data/log", opening);
        EXPECT_OK(opened);
        EXPECT_EQ(opened.ok() ? (*opened)->Read(1).value_or("gone") : "", "kept")
            << choice.ToString();
        return !::testing::Test::HasFailure();
      });
}

// Not ours to remove: somebody may have given it an owner and a mode.
TEST(LogDirectoryTest, ADirectoryThatWasThereBeforeIsNotRemoved) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.MakeDirectory("/log"), 0);
  Options options;
  options.file_system = &fs;
  fs.InjectFault(FailOnce(CallKind::kSyncDirectory));
  EXPECT_TRUE(Fails(Log::Open("/log", options), absl::StatusCode::kUnavailable));
  FileInfo info;
  EXPECT_EQ(fs.Stat("/log", &info), 0);
  EXPECT_OK(Log::Open("/log", options));
}

}  // namespace
}  // namespace seawall
