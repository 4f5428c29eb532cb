// SPDX-License-Identifier: Apache-2.0
// What tests of random reads have in common: records that tell their LSN, a file system that counts
// what is read from segments.
#ifndef SEAWALL_TESTS_READ_RANDOM_READ_LAB_H_
#define SEAWALL_TESTS_READ_RANDOM_READ_LAB_H_

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/io/file_io.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/segments/index_file.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {

inline constexpr uint64_t kMiB = uint64_t{1} << 20;
inline constexpr size_t kRecordBytes = 500;

// Counts what is done to segment files, and fails the writing of an index if that is wanted.
class SegmentCounter : public ForwardingFileSystem {
 public:
  SegmentCounter() : ForwardingFileSystem(FileSystem::Posix()) {}

  struct Counts {
    int opens = 0;
    int reads = 0;
    uint64_t bytes = 0;
  };
  // Since the last call.
  Counts Take() { return {opens_.exchange(0), reads_.exchange(0), bytes_.exchange(0)}; }
  int open_files() const { return open_files_; }
  void FailIndexes() { fail_indexes_ = true; }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error != 0 || !absl::EndsWith(path, ".seg")) return error;
    if (!options.write) ++opens_;
    *file = std::make_unique<CountingFile>(std::move(*file), this, !options.write);
    return 0;
  }

 private:
  class CountingFile : public ForwardingFile {
   public:
    CountingFile(std::unique_ptr<File> file, SegmentCounter* counter, bool counted)
        : ForwardingFile(std::move(file)), counter_(counter), counted_(counted) {
      if (counted_) ++counter_->open_files_;
    }
    ~CountingFile() override {
      if (counted_) --counter_->open_files_;
    }
    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      ++counter_->reads_;
      const IoResult result = ForwardingFile::PRead(to, bytes, offset);
      counter_->bytes_ += result.bytes;
      return result;
    }
    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      if (counter_->fail_indexes_ && std::memcmp(from, "SEAWALIX", 8) == 0) return {EIO, 0};
      return ForwardingFile::PWrite(from, bytes, offset);
    }

   private:
    SegmentCounter* const counter_;
    const bool counted_;
  };

  std::atomic<int> opens_{0}, reads_{0}, open_files_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<bool> fail_indexes_{false};
};

inline std::string RecordOf(Lsn lsn) {
  std::string record = absl::StrCat(lsn, " ");
  record.resize(kRecordBytes, 'r');
  return record;
}

class RandomReadTest : public ::testing::Test {
 protected:
  static Options OptionsOf(uint64_t segment_bytes, FileSystem* fs = nullptr) {
    Options options;
    options.segment_bytes = segment_bytes;
    options.buffer_bytes = 64 << 10;
    options.max_record_bytes = 4096;
    options.file_system = fs;
    return options;
  }

  std::unique_ptr<Log> MustOpen(const Options& options) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(path_, options);
    EXPECT_OK(log);
    return std::move(*log);
  }

  // Appends until there are so many segments, the last of them short.
  void Fill(Log* log, uint64_t segments) {
    while (log->stats().segments < segments) {
      for (int i = 0; i < 50; ++i) ASSERT_OK(log->Append(RecordOf(log->appended_lsn() + 1)));
      ASSERT_OK(log->WaitDurable(log->appended_lsn()));
    }
  }

  // A closed log, each of its sealed segments with an index but for the last.
  void Build(const Options& options, uint64_t segments) {
    std::unique_ptr<Log> log = MustOpen(options);
    Fill(log.get(), segments);
    ASSERT_OK(log->Close());
    EXPECT_EQ(log->stats().indexes_written, segments - 1);
    EXPECT_EQ(log->stats().index_write_failures, 0u);
    for (const SegmentRef& segment : Segments()) {
      EXPECT_LE(std::filesystem::file_size(segment.path), options.segment_bytes);
    }
  }

  std::vector<SegmentRef> Segments() const {
    absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(FileSystem::Posix(), path_);
    EXPECT_OK(plan);
    return plan->segments.Refs();
  }

  // Overwrites the index of a segment with another one that verifies.
  static void Forge(const SegmentRef& segment, IndexEntries entries) {
    OpenOptions options;
    options.write = true;
    auto file = OpenFile(FileSystem::Posix(), segment.path, options);
    ASSERT_OK(file);
    ASSERT_OK(
        WriteSegmentIndex(file->get(), segment, SegmentIndex(std::move(entries)), ~uint64_t{0}));
    ASSERT_OK(ReadSegmentIndex(file->get(), segment));
  }

  TempDir directory_;
  const std::string path_ = directory_ / "log";
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_READ_RANDOM_READ_LAB_H_
