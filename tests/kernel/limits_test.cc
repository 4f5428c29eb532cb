// SPDX-License-Identifier: Apache-2.0
// Running out of space on real kernels: refused before anything is accepted, and the log goes on
// when there is space again, without being opened again.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/kernel/kernel_test_util.h"

namespace seawall {
namespace {

Options LimitOptions() {
  Options options;
  options.segment_bytes = 1 << 20;
  options.buffer_bytes = 128 << 10;
  options.max_record_bytes = 32 << 10;
  return options;
}

// Appends records and knows what the log must hold. Thread-safe.
class Appender {
 public:
  explicit Appender(std::string directory) : directory_(std::move(directory)) {}

  absl::Status Open(const Options& options = LimitOptions()) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options);
    if (!log.ok()) return log.status();
    log_ = std::move(*log);
    return absl::OkStatus();
  }

  // Appends until it is refused, `limit` times at most; the refusal, or OK. Each writer's batches
  // are numbered without a gap: a refused one that came back would be seen.
  absl::Status AppendUntilRefused(uint64_t writer, uint64_t limit, Durability until) {
    for (uint64_t i = 0; i < limit; ++i) {
      uint64_t batch;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        batch = next_batch_[writer];
      }
      const uint32_t count = batch % 5 == 0 ? 3 : 1;
      std::vector<std::string> records;
      for (uint32_t r = 0; r < count; ++r) {
        records.push_back(MakeRecord({writer, batch, r, count}, 100 + batch * 977 % 20000));
      }
      std::vector<std::string_view> views(records.begin(), records.end());
      absl::StatusOr<LsnRange> range = log_->AppendBatch(views, until);
      if (!range.ok()) return range.status();
      std::lock_guard<std::mutex> lock(mutex_);
      ++next_batch_[writer];
      for (uint32_t r = 0; r < count; ++r) {
        if (hashes_.size() < range->last) hashes_.resize(range->last);
        hashes_[range->first - 1 + r] = HashOf(records[r]);
      }
    }
    return absl::OkStatus();
  }

  // Everything that was accepted is durable and reads back, here and for others.
  void Check() {
    ASSERT_EQ(log_->appended_lsn(), hashes_.size());
    absl::Status status = hashes_.empty() ? absl::OkStatus() : log_->WaitDurable(hashes_.size());
    ASSERT_TRUE(status.ok()) << status;
    Compare(ReadContents(log_.get()));
    CheckFromOutside();
  }
  void CheckFromOutside() { Compare(ReadContents(directory_)); }

  Log* log() { return log_.get(); }
  void Drop() { log_.reset(); }

 private:
  void Compare(const absl::StatusOr<LogContents>& found) {
    ASSERT_TRUE(found.ok()) << found.status();
    ASSERT_EQ(found->last_lsn(), hashes_.size());
    for (Lsn lsn = found->first_lsn; lsn <= found->last_lsn(); ++lsn) {
      ASSERT_EQ(found->hashes[lsn - found->first_lsn], hashes_[lsn - 1]) << "record " << lsn;
    }
  }

  const std::string directory_;
  std::unique_ptr<Log> log_;
  std::mutex mutex_;
  std::map<uint64_t, uint64_t> next_batch_;
  std::vector<uint64_t> hashes_;  // by LSN - 1
};

// ---- RLIMIT_FSIZE

// Limits the length of the files that this process writes.
class FileSizeLimit {
 public:
  FileSizeLimit() {
    // The signal would end the process before the library saw the error; its users ignore it, too.
    old_handler_ = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    signal(SIGXFSZ, old_handler_);
  }
  void Set(uint64_t bytes) {
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  void Lift() { ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old_), 0); }

 private:
  rlimit old_;
  void (*old_handler_)(int);
};

TEST(FileSizeLimitTest, AppendsAreRefusedAndGoOn) {
  for (uint64_t limit : {262144, 262145, 300001, 524288, 524289}) {
    SCOPED_TRACE(limit);
    TemporaryDirectory temporary;
    FileSizeLimit file_size;
    Appender appender(temporary.path() + "/log");
    ASSERT_TRUE(appender.Open().ok());
    file_size.Set(limit);
    for (int i = 0; i < 3; ++i) {
      absl::Status status = appender.AppendUntilRefused(
          0, 1000, i == 0 ? Durability::kAppended : Durability::kDurable);
      ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
      EXPECT_NE(status.message().find("File too large"), std::string::npos) << status;
      appender.Check();
    }
    file_size.Lift();
    absl::Status status = appender.AppendUntilRefused(0, 200, Durability::kAppended);
    ASSERT_TRUE(status.ok()) << status;
    appender.Check();
    status = appender.log()->Close();
    ASSERT_TRUE(status.ok()) << status;
    ASSERT_TRUE(appender.Open().ok());
    appender.Check();
  }
}

// Behind the middle of a segment there may be a spare, and then a segment that cannot be made
// longer is left for it; or not, and appends are refused. Nothing is lost either way.
TEST(FileSizeLimitTest, SegmentsMayEndEarly) {
  for (uint64_t limit : {700000, 1000000, 1048575}) {
    SCOPED_TRACE(limit);
    TemporaryDirectory temporary;
    FileSizeLimit file_size;
    Appender appender(temporary.path() + "/log");
    ASSERT_TRUE(appender.Open().ok());
    file_size.Set(limit);
    for (int i = 0; i < 10; ++i) {
      absl::Status status = appender.AppendUntilRefused(0, 50, Durability::kDurable);
      ASSERT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
    }
    appender.Check();
    file_size.Lift();
    absl::Status status = appender.AppendUntilRefused(0, 100, Durability::kDurable);
    ASSERT_TRUE(status.ok()) << status;
    appender.Check();
  }
}

TEST(FileSizeLimitTest, OpeningIsRefusedAndChangesNothing) {
  TemporaryDirectory temporary;
  FileSizeLimit file_size;
  Appender appender(temporary.path() + "/log");
  // A log that was never there: nothing is left that would be in the way later.
  for (uint64_t limit : {0, 1, 4096, 5000, 12288, 262143}) {
    file_size.Set(limit);
    absl::Status status = appender.Open();
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << limit << ": " << status;
  }
  file_size.Lift();
  ASSERT_TRUE(appender.Open().ok());
  ASSERT_TRUE(appender.AppendUntilRefused(0, 50, Durability::kDurable).ok());
  appender.Drop();
  for (uint64_t limit : {0, 1, 4096, 5000, 12288, 262143}) {
    file_size.Set(limit);
    absl::Status status = appender.Open();
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << limit << ": " << status;
    appender.CheckFromOutside();
  }
  file_size.Lift();
  ASSERT_TRUE(appender.Open().ok());
  appender.Check();
}

// ---- A file system that is full

// Takes all the space of a file system, and gives it back.
class Filler {
 public:
  explicit Filler(std::string path) : path_(std::move(path)) {}
  ~Filler() { Free(); }

  void Fill() {
    OwnedFd fd(open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_GE(fd.get(), 0);
    off_t end = lseek(fd.get(), 0, SEEK_END);
    for (off_t step = off_t{64} << 20; step >= 4096;) {
      if (posix_fallocate(fd.get(), end, step) == 0) {
        end += step;
      } else {
        step /= 2;
      }
    }
    // What an allocator keeps from a large request it may give to a small write.
    const std::string block(4096, 'f');
    while (pwrite(fd.get(), block.data(), block.size(), end) ==
           static_cast<ssize_t>(block.size())) {
      end += static_cast<off_t>(block.size());
    }
    EXPECT_EQ(errno, ENOSPC);
    (void)fsync(fd.get());
  }
  void Free() { (void)unlink(path_.c_str()); }

 private:
  const std::string path_;
};

struct FullCase {
  const char* type;
  uint64_t bytes;
};

class FullDiskTest : public testing::TestWithParam<FullCase> {
 protected:
  void SetUp() override {
    auto mount = Mount::New(GetParam().type, GetParam().bytes);
    if (!mount.ok()) GTEST_SKIP() << mount.status();
    mount_ = std::move(*mount);
  }
  std::string directory() const { return mount_->path() + "/log"; }
  std::string filler() const { return mount_->path() + "/filler"; }

  std::unique_ptr<Mount> mount_;
};

TEST_P(FullDiskTest, AppendsAreRefusedAndGoOn) {
  Appender appender(directory());
  ASSERT_TRUE(appender.Open().ok());
  Filler fill(filler());
  for (int round = 0; round < 4; ++round) {
    SCOPED_TRACE(round);
    absl::Status status = appender.AppendUntilRefused(0, 30, Durability::kDurable);
    ASSERT_TRUE(status.ok()) << status;
    fill.Fill();
    for (int i = 0; i < 3; ++i) {
      status = appender.AppendUntilRefused(
          0, 2000, (round + i) % 2 == 0 ? Durability::kDurable : Durability::kAppended);
      ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
      appender.Check();
      if (HasFatalFailure()) return;
    }
    fill.Free();
    status = appender.AppendUntilRefused(0, 30, Durability::kDurable);
    ASSERT_TRUE(status.ok()) << status;
    appender.Check();
    if (HasFatalFailure()) return;
  }
  absl::Status status = appender.log()->Close();
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_TRUE(appender.Open().ok());
  appender.Check();
}

TEST_P(FullDiskTest, ManyThreadsAreRefusedTogether) {
  Appender appender(directory());
  ASSERT_TRUE(appender.Open().ok());
  Filler fill(filler());
  for (int round = 0; round < 2; ++round) {
    fill.Fill();
    std::vector<std::thread> threads;
    std::atomic<int> refused{0};
    for (uint64_t writer = 0; writer < 8; ++writer) {
      threads.emplace_back([&, writer] {
        absl::Status status = appender.AppendUntilRefused(
            writer, 5000, writer % 2 == 0 ? Durability::kDurable : Durability::kAppended);
        EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
        if (absl::IsResourceExhausted(status)) ++refused;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(refused, 8);
    appender.Check();
    if (HasFatalFailure()) return;
    fill.Free();
    absl::Status status = appender.AppendUntilRefused(3, 100, Durability::kDurable);
    ASSERT_TRUE(status.ok()) << status;
    appender.Check();
    if (HasFatalFailure()) return;
  }
}

// Trimming gives the log its own space back.
TEST_P(FullDiskTest, TrimmingMakesRoom) {
  Appender appender(directory());
  ASSERT_TRUE(appender.Open().ok());
  ASSERT_TRUE(appender.AppendUntilRefused(0, 300, Durability::kDurable).ok());
  Filler fill(filler());
  fill.Fill();
  absl::Status status = appender.AppendUntilRefused(0, 5000, Durability::kDurable);
  ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
  for (int i = 0; i < 3; ++i) {
    status = appender.log()->TrimBefore(appender.log()->durable_lsn() + 1);
    ASSERT_TRUE(status.ok()) << status;
    const Lsn before = appender.log()->appended_lsn();
    status = appender.AppendUntilRefused(0, 5000, Durability::kDurable);
    ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
    EXPECT_GT(appender.log()->appended_lsn(), before) << status;
    appender.Check();
    if (HasFatalFailure()) return;
  }
}

// A log that is opened while there is no space opens, or says so and is left as it was.
TEST_P(FullDiskTest, OpeningWhileFull) {
  for (bool closed : {true, false}) {
    SCOPED_TRACE(closed);
    Appender appender(absl::StrCat(directory(), closed));
    ASSERT_TRUE(appender.Open().ok());
    ASSERT_TRUE(appender.AppendUntilRefused(0, 100, Durability::kDurable).ok());
    Filler fill(filler());
    fill.Fill();
    absl::Status status = appender.AppendUntilRefused(0, 5000, Durability::kDurable);
    ASSERT_TRUE(absl::IsResourceExhausted(status)) << status;
    if (closed) {
      status = appender.log()->Close();
      ASSERT_TRUE(status.ok()) << status;
    }
    appender.Drop();
    for (int i = 0; i < 3; ++i) {
      status = appender.Open();
      EXPECT_TRUE(status.ok() || absl::IsResourceExhausted(status)) << status;
      std::printf("%s, opening while full: %s\n", GetParam().type, status.ToString().c_str());
      appender.CheckFromOutside();
      if (HasFatalFailure()) return;
      appender.Drop();
    }
    status = Log::Open(mount_->path() + "/new", LimitOptions()).status();
    EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
    fill.Free();
    status = Log::Open(mount_->path() + "/new", LimitOptions()).status();
    EXPECT_TRUE(status.ok()) << status;
    ASSERT_TRUE(appender.Open().ok());
    ASSERT_TRUE(appender.AppendUntilRefused(0, 100, Durability::kDurable).ok());
    appender.Check();
    if (HasFatalFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(FileSystems, FullDiskTest,
                         testing::Values(FullCase{"ext4", 48 << 20}, FullCase{"xfs", 320 << 20},
                                         FullCase{"btrfs", 128 << 20}, FullCase{"tmpfs", 16 << 20}),
                         [](const auto& full) { return full.param.type; });

}  // namespace
}  // namespace seawall
