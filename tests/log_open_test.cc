// What Log::Open takes, and gives back: the lock, memory, the directory's name.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/test_util.h"

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
  EXPECT_EQ(locks, 1);
  EXPECT_EQ(unlocks, 1);
}

}  // namespace
}  // namespace seawall
