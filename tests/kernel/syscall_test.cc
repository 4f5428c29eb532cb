// SPDX-License-Identifier: Apache-2.0
// What the log asks of the kernel: one write and one sync for a lone durable commit, on the thread
// that commits; nothing more at a rollover; little for a small log. Counted once at the seam, and
// once by strace, which sees what goes past the seam.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/file_system.h"
#include "seawall/log.h"
#include "tests/kernel/kernel_test_util.h"

namespace seawall {
namespace {

constexpr char kTracedDirectory[] = "SEAWALL_SYSCALL_TEST_DIRECTORY";

// Counts the calls of the thread that made it.
struct Counts {
  std::atomic<uint64_t> writes{0};
  std::atomic<uint64_t> data_syncs{0};
  std::atomic<uint64_t> others{0};
};

class CountingFile : public File {
 public:
  CountingFile(std::unique_ptr<File> file, const pid_t* thread, Counts* counts)
      : file_(std::move(file)), thread_(thread), counts_(counts) {}

  IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
    Count(&counts_->others);
    return file_->PRead(to, bytes, offset);
  }
  IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
    Count(&counts_->writes);
    return file_->PWrite(from, bytes, offset);
  }
  int Sync(SyncKind kind) override {
    Count(kind == SyncKind::kData ? &counts_->data_syncs : &counts_->others);
    return file_->Sync(kind);
  }
  int Size(uint64_t* bytes) override {
    Count(&counts_->others);
    return file_->Size(bytes);
  }
  int TryLock() override { return file_->TryLock(); }
  int Unlock() override { return file_->Unlock(); }
  int Truncate(uint64_t bytes) override { return file_->Truncate(bytes); }

 private:
  void Count(std::atomic<uint64_t>* counter) const {
    if (gettid() == *thread_) ++*counter;
  }

  const std::unique_ptr<File> file_;
  const pid_t* const thread_;
  Counts* const counts_;
};

// The operating system's, and counts what the thread calls that made this object.
class CountingFileSystem : public FileSystem {
 public:
  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    Count();
    std::unique_ptr<File> opened;
    int error = posix_->Open(path, options, &opened);
    if (error == 0) *file = std::make_unique<CountingFile>(std::move(opened), &thread_, &counts_);
    return error;
  }
  int Stat(const std::string& path, FileInfo* info) override {
    Count();
    return posix_->Stat(path, info);
  }
  int MakeDirectory(const std::string& path) override {
    Count();
    return posix_->MakeDirectory(path);
  }
  int List(const std::string& directory, std::vector<std::string>* names) override {
    Count();
    return posix_->List(directory, names);
  }
  int Rename(const std::string& from, const std::string& to) override {
    Count();
    return posix_->Rename(from, to);
  }
  int Unlink(const std::string& path) override {
    Count();
    return posix_->Unlink(path);
  }
  int RemoveDirectory(const std::string& path) override {
    Count();
    return posix_->RemoveDirectory(path);
  }
  int SyncDirectory(const std::string& directory) override {
    Count();
    return posix_->SyncDirectory(directory);
  }

  const Counts& counts() const { return counts_; }

 private:
  void Count() {
    if (gettid() == thread_) ++counts_.others;
  }

  FileSystem* const posix_ = FileSystem::Posix();
  const pid_t thread_ = gettid();
  Counts counts_;
};

Options SmallSegments() {
  Options options;
  options.segment_bytes = 64 << 10;
  options.buffer_bytes = 32 << 10;
  options.max_record_bytes = 8 << 10;
  return options;
}

TEST(SyscallTest, ALoneDurableCommitIsOneWriteAndOneSyncAlsoAtRollover) {
  TemporaryDirectory temporary;
  CountingFileSystem fs;
  Options options = SmallSegments();
  options.file_system = &fs;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(temporary.path() + "/log", options);
  ASSERT_TRUE(log.ok()) << log.status();
  const std::string record(1000, 'r');
  const uint64_t opening_others = fs.counts().others;
  const uint64_t opening_writes = fs.counts().writes;
  const uint64_t opening_syncs = fs.counts().data_syncs;
  for (uint64_t i = 1; i <= 300; ++i) {
    ASSERT_TRUE((*log)->AppendDurable(record).ok());
    ASSERT_EQ(fs.counts().writes - opening_writes, i);
    ASSERT_EQ(fs.counts().data_syncs - opening_syncs, i);
    ASSERT_EQ(fs.counts().others, opening_others);
  }
  const Stats stats = (*log)->stats();
  EXPECT_GT(stats.rollovers, 3u);
  std::printf("300 commits, %llu rollovers, %llu of them waited for a spare\n",
              static_cast<unsigned long long>(stats.rollovers),
              static_cast<unsigned long long>(stats.rollover_waits));
}

// What strace runs: commits between two marks that it can see.
TEST(SyscallTest, DISABLED_TracedCommits) {
  const char* directory = std::getenv(kTracedDirectory);
  ASSERT_NE(directory, nullptr) << "runs under strace, from the next test";
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, SmallSegments());
  ASSERT_TRUE(log.ok()) << log.status();
  const std::string record(1000, 'r');
  for (int i = 0; i < 100; ++i) ASSERT_TRUE((*log)->AppendDurable(record).ok());
  (void)access("/mark-begin", F_OK);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE((*log)->AppendDurable(record).ok());
  (void)access("/mark-end", F_OK);
  EXPECT_GT((*log)->stats().rollovers, 3u);
}

TEST(SyscallTest, StraceSeesNothingElse) {
  if (!HaveCommand("strace")) GTEST_SKIP() << "no strace here";
  TemporaryDirectory temporary;
  const std::string trace = temporary.path() + "/trace";
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command = absl::StrCat(
      "env -u XML_OUTPUT_FILE -u GTEST_OUTPUT -u GTEST_TOTAL_SHARDS ", kTracedDirectory, "=",
      temporary.path(), "/log strace -f -o ", trace, " ", self,
      " --gtest_also_run_disabled_tests --gtest_filter=SyscallTest.DISABLED_* >/dev/null 2>&1");
  if (std::system(command.c_str()) != 0) GTEST_SKIP() << "strace may not trace here";
  std::ifstream lines(trace);
  std::string line, thread;
  std::map<std::string, int> calls;
  while (std::getline(lines, line)) {
    const std::string pid = line.substr(0, line.find(' '));
    if (line.find("/mark-begin") != std::string::npos) {
      thread = pid;
      continue;
    }
    if (line.find("/mark-end") != std::string::npos) break;
    if (thread.empty() || pid != thread) continue;
    const size_t name = line.find_first_not_of(' ', pid.size());
    if (line.compare(name, 1, "<") == 0) continue;  // "<... resumed>": counted when it began
    ++calls[line.substr(name, line.find('(') - name)];
  }
  std::printf("200 commits by strace, on the committing thread:");
  for (const auto& [name, count] : calls) std::printf(" %s %d", name.c_str(), count);
  std::printf("\n");
  EXPECT_EQ(calls["pwrite64"], 200);
  EXPECT_EQ(calls["fdatasync"], 200);
  // Beside them only what wakes the thread that works ahead, a few times in each segment.
  EXPECT_LE(calls["futex"], 100);
  for (const char* name : {"pwrite64", "fdatasync", "futex"}) calls.erase(name);
  EXPECT_TRUE(calls.empty()) << calls.begin()->first;
}

// The disk space of the files in a directory.
uint64_t DiskUsage(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    struct stat info;
    if (stat(entry.path().c_str(), &info) == 0)
      bytes += static_cast<uint64_t>(info.st_blocks) * 512;
  }
  return bytes;
}

TEST(SmallLogTest, TheFirstDurableRecordIsCheap) {
  TemporaryDirectory temporary;
  double fastest = 1e9;
  for (int i = 0; i < 5; ++i) {
    const std::string directory = absl::StrCat(temporary.path(), "/", i);
    const auto start = std::chrono::steady_clock::now();
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, Options());
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_TRUE((*log)->AppendDurable("first").ok());
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    fastest = std::min(fastest, took.count());
    EXPECT_LT(DiskUsage(directory), 1u << 20);
    ASSERT_TRUE((*log)->Close().ok());
    EXPECT_LT(DiskUsage(directory), 1u << 20);
  }
  // Not held against a bound: it is the disk's time, some ten syncs.
  std::printf("creating a log and appending its first durable record: %.1f ms\n", fastest);
}

TEST(SmallLogTest, AThousandShortLivesLeaveFewSegments) {
  // A thousand openings are ten thousand syncs; where memory serves as a disk, that is quick.
  const bool memory = access("/dev/shm", W_OK) == 0;
  TemporaryDirectory temporary(memory ? "/dev/shm" : "");
  const std::string directory = temporary.path() + "/log";
  for (Lsn i = 1; i <= 1000; ++i) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, Options());
    ASSERT_TRUE(log.ok()) << log.status();
    absl::StatusOr<Lsn> lsn = (*log)->AppendDurable(MakeRecord({0, i - 1, 0, 1}, 100));
    ASSERT_TRUE(lsn.ok()) << lsn.status();
    ASSERT_EQ(*lsn, i);
    ASSERT_TRUE((*log)->Close().ok());
  }
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".seg") ++files;
  }
  std::printf("1000 lives: %d segments, %llu KiB\n", files,
              static_cast<unsigned long long>(DiskUsage(directory) >> 10));
  EXPECT_LE(files, 3);
  absl::StatusOr<LogContents> contents = ReadContents(directory);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->hashes.size(), 1000u);
}

}  // namespace
}  // namespace seawall
