// SPDX-License-Identifier: Apache-2.0
// Opening a log of many segments: their headers are read several at a time, and what is wrong is
// told as if they had been read one by one.
#include "engine/recovery/segment_read_ahead.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// Counts who reads a segment's header at the same time; those that do wait for one another, if that
// is wanted. Fails the reading of some.
class HeaderWatch : public ForwardingFileSystem {
 public:
  HeaderWatch() : ForwardingFileSystem(FileSystem::Posix()) {}

  // The first reads return when so many are under way, or after a time that only a failure takes.
  void Gather(int readers) { wanted_ = readers; }
  void Fail(const std::string& path) { failing_.insert(path); }
  int most_readers() const { return most_readers_; }
  int most_files() const { return most_files_; }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error != 0 || options.write || !absl::EndsWith(path, ".seg")) return error;
    const int files = ++files_;
    for (int most = most_files_; files > most && !most_files_.compare_exchange_weak(most, files);) {
    }
    *file = std::make_unique<Watched>(std::move(*file), this, failing_.count(path) > 0);
    return 0;
  }

 private:
  class Watched : public ForwardingFile {
   public:
    Watched(std::unique_ptr<File> file, HeaderWatch* watch, bool fails)
        : ForwardingFile(std::move(file)), watch_(watch), fails_(fails) {}
    ~Watched() override { --watch_->files_; }
    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      if (offset == 0) watch_->Enter();
      const IoResult result = fails_ ? IoResult{EIO, 0} : ForwardingFile::PRead(to, bytes, offset);
      if (offset == 0) --watch_->readers_;
      return result;
    }

   private:
    HeaderWatch* const watch_;
    const bool fails_;
  };

  void Enter() {
    std::unique_lock<std::mutex> lock(mutex_);
    most_readers_ = std::max<int>(most_readers_, ++readers_);
    came_.notify_all();
    ++entered_;
    if (entered_ == 1) return;  // the tail's is read before the others
    came_.wait_for(lock, std::chrono::seconds(20), [this] { return most_readers_ >= wanted_; });
  }

  std::atomic<int> files_{0}, most_files_{0}, readers_{0}, most_readers_{0};
  int wanted_ = 0;
  int entered_ = 0;
  std::set<std::string> failing_;
  std::mutex mutex_;
  std::condition_variable came_;
};

// Logs are built without syncs: there are many segments.
class NoSyncs : public ForwardingFileSystem {
 public:
  NoSyncs() : ForwardingFileSystem(FileSystem::Posix()) {}

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<NoSync>(std::move(*file));
    return error;
  }
  int SyncDirectory(const std::string&) override { return 0; }

 private:
  class NoSync : public ForwardingFile {
   public:
    using ForwardingFile::ForwardingFile;
    int Sync(SyncKind) override { return 0; }
  };
};

class SegmentReadAheadTest : public ::testing::Test {
 protected:
  void Build(uint64_t segments) {
    NoSyncs fs;
    Options options;
    options.file_system = &fs;
    options.segment_bytes = 16 << 10;
    options.buffer_bytes = 8 << 10;
    options.max_record_bytes = 4 << 10;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(path_, options);
    ASSERT_OK(log);
    while ((*log)->stats().segments < segments) {
      ASSERT_OK((*log)->AppendDurable(std::string(3000, 'r')));
    }
    last_lsn_ = (*log)->durable_lsn();
    ASSERT_OK((*log)->Close());
  }  // and the log is gone before `fs`

  std::string SegmentAt(uint64_t generation) { return path_ + "/" + SegmentName(generation); }

  void ExpectAll(FileSystem* fs) {
    auto reader = Reader::OpenReadOnly(path_, 1, fs);
    ASSERT_OK(reader);
    Record record;
    Lsn last = 0;
    while ((*reader)->Next(&record)) ASSERT_EQ(record.lsn, ++last);
    EXPECT_OK((*reader)->status());
    EXPECT_EQ(last, last_lsn_);
  }

  TempDir directory_;
  const std::string path_ = directory_ / "log";
  Lsn last_lsn_ = 0;
};

TEST_F(SegmentReadAheadTest, HeadersAreReadSeveralAtATimeWithFewOpenFiles) {
  Build(60);
  HeaderWatch watch;
  watch.Gather(8);
  ExpectAll(&watch);
  EXPECT_EQ(watch.most_readers(), 8);
  EXPECT_LE(watch.most_files(), 8 + 1);  // the tail's
}

TEST_F(SegmentReadAheadTest, FewHeadersAreReadOneByOne) {
  Build(SegmentReadAhead::kFewSegments);
  HeaderWatch watch;
  ExpectAll(&watch);
  EXPECT_EQ(watch.most_readers(), 1);
}

// More than are read in one batch.
TEST_F(SegmentReadAheadTest, ManySegmentsAreFoundInOrder) {
  Build(560);
  ExpectAll(FileSystem::Posix());
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(path_, Options());
  ASSERT_OK(log);
  EXPECT_EQ((*log)->durable_lsn(), last_lsn_);
}

TEST_F(SegmentReadAheadTest, TheErrorIsThatOfTheNewestSegment) {
  Build(40);
  {
    HeaderWatch watch;
    watch.Fail(SegmentAt(5));
    watch.Fail(SegmentAt(20));
    watch.Fail(SegmentAt(11));
    EXPECT_TRUE(Fails(Reader::OpenReadOnly(path_, 1, &watch), absl::StatusCode::kUnavailable,
                      {SegmentAt(20), "offset 0"}));
  }
  WriteFile(SegmentAt(7), std::string(4096, 'x'));
  std::filesystem::remove(SegmentAt(3));
  std::filesystem::remove(SegmentAt(9));
  EXPECT_TRUE(Fails(Log::Open(path_, Options()), absl::StatusCode::kDataLoss,
                    {SegmentAt(9), "no such file"}));
}

// Two segments that a trim left behind: what is wrong with them is nobody's.
TEST_F(SegmentReadAheadTest, WhatIsNotOfTheLogIsNotAskedFor) {
  Build(40);
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(path_, Options());
    ASSERT_OK(log);
    ASSERT_OK((*log)->TruncateAfter(last_lsn_ / 2));
    last_lsn_ /= 2;
    ASSERT_OK((*log)->Close());
  }
  // Between two generations of the log, and below it.
  WriteFile(SegmentAt(30), "not a segment");
  ExpectAll(FileSystem::Posix());
}

}  // namespace
}  // namespace seawall
