// SPDX-License-Identifier: Apache-2.0
// Groups go around the page cache where that can be had, but small ones while the tail is read.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// Counts the writes of handles with O_DIRECT; can refuse to open such handles, or their writes.
class DirectWatch : public ForwardingFileSystem {
 public:
  DirectWatch() : ForwardingFileSystem(FileSystem::Posix()) {}

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    if (options.direct && open_error != 0) return open_error;
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<WatchedFile>(std::move(*file), options.direct, this);
    return error;
  }

  bool CanBeFollowed() override { return true; }

  int open_error = 0;
  int write_error = 0;
  std::atomic<uint64_t> direct_writes{0};
  std::atomic<uint64_t> refused_writes{0};

 private:
  class WatchedFile : public ForwardingFile {
   public:
    WatchedFile(std::unique_ptr<File> file, bool direct, DirectWatch* watch)
        : ForwardingFile(std::move(file)), direct_(direct), watch_(watch) {}

    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      if (direct_ && watch_->write_error != 0) {
        ++watch_->refused_writes;
        return {watch_->write_error, 0};
      }
      if (direct_) ++watch_->direct_writes;
      return ForwardingFile::PWrite(from, bytes, offset);
    }

   private:
    const bool direct_;
    DirectWatch* const watch_;
  };
};

class DirectWriteTest : public ::testing::Test {
 protected:
  DirectWriteTest() {
    options_.file_system = &watch_;
    options_.segment_bytes = 4 << 20;
    options_.buffer_bytes = 1 << 20;
    options_.max_record_bytes = 600 << 10;
  }

  // Small groups and large ones in turn, so that each kind begins in the other's last block; over
  // several segments.
  void WriteAndReadBack() {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options_);
    ASSERT_OK(log);
    auto payload = [](Lsn lsn) {
      return std::string(lsn % 2 == 0 ? 550000 + lsn : 100 + lsn,
                         static_cast<char>('a' + lsn % 26));
    };
    for (Lsn lsn = 1; lsn <= 40; ++lsn) {
      ASSERT_OK(
          (*log)
              ->Append(payload(lsn), lsn % 3 == 0 ? Durability::kWritten : Durability::kDurable)
              .status());
    }
    for (bool reopened : {false, true}) {
      if (reopened) {
        ASSERT_OK((*log)->Close());
        log->reset();
        log = Log::Open(directory_, options_);
        ASSERT_OK(log);
      } else {
        ASSERT_OK((*log)->WaitDurable(40));
      }
      for (Lsn lsn = 1; lsn <= 40; ++lsn) {
        absl::StatusOr<std::string> record = (*log)->Read(lsn);
        ASSERT_OK(record);
        ASSERT_EQ(*record, payload(lsn));
      }
    }
  }

  DirectWatch watch_;
  TempDir temporary_;
  const std::string directory_ = temporary_ / "log";
  Options options_;
};

TEST_F(DirectWriteTest, AllThatAreSyncedWhileNobodyReads) {
  WriteAndReadBack();
  // 7 of the 20 small ones, those of every sixth record from 3 on, are written only. None of the
  // others, and no large one, was written in parts.
  EXPECT_EQ(watch_.direct_writes, 33u);
}

// They wait for the kernel, not for the disk.
TEST_F(DirectWriteTest, NoSmallOnesThatAreWrittenOnly) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options_);
  ASSERT_OK(log);
  for (int i = 0; i < 20; ++i) ASSERT_OK((*log)->Append("small", Durability::kWritten).status());
  EXPECT_EQ(watch_.direct_writes, 0u);
}

TEST_F(DirectWriteTest, LargeOnesOnlyWhileTheTailIsRead) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options_);
  ASSERT_OK(log);
  ASSERT_OK((*log)->AppendDurable("1").status());
  EXPECT_EQ(watch_.direct_writes, 1u);
  ASSERT_OK((*log)->Read(1).status());
  ASSERT_OK((*log)->AppendDurable("2").status());
  EXPECT_EQ(watch_.direct_writes, 1u);
  const std::string large(500000, 'x');
  ASSERT_OK((*log)->AppendDurable(large).status());
  EXPECT_EQ(watch_.direct_writes, 2u);
  absl::StatusOr<std::unique_ptr<Reader>> reader = (*log)->NewReader(2);
  ASSERT_OK(reader);
  Record record;
  for (Lsn lsn = 2; lsn < 100; ++lsn) {
    ASSERT_TRUE((*reader)->Next(&record));
    ASSERT_OK((*log)->AppendDurable("small").status());
  }
  EXPECT_EQ(watch_.direct_writes, 2u);
  // Nobody reads any more.
  for (int i = 0; i < 40; ++i) ASSERT_OK((*log)->AppendDurable(large).status());
  EXPECT_EQ(watch_.direct_writes, 42u);
  ASSERT_OK((*log)->AppendDurable("small").status());
  EXPECT_EQ(watch_.direct_writes, 43u);
  // In another segment than the one that is written, it is the disk's to be read from anyway.
  ASSERT_OK((*log)->Read(2).status());
  ASSERT_OK((*log)->AppendDurable("small").status());
  EXPECT_EQ(watch_.direct_writes, 44u);
}

TEST_F(DirectWriteTest, LargeOnesOnlyWhileAnotherProcessFollows) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options_);
  ASSERT_OK(log);
  ASSERT_OK((*log)->AppendDurable("first").status());
  absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::Follow(directory_, 1);
  ASSERT_OK(reader);
  // Until the writer has noticed.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (uint64_t before = 0; before != watch_.direct_writes;) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    before = watch_.direct_writes;
    ASSERT_OK((*log)->AppendDurable("next").status());
    ASSERT_OK((*reader)->Wait(deadline));
    Record record;
    while ((*reader)->Next(&record)) {
    }
  }
}

TEST_F(DirectWriteTest, NoneWhereItCannotBeOpened) {
  watch_.open_error = EINVAL;
  WriteAndReadBack();
  EXPECT_EQ(watch_.direct_writes, 0u);
}

TEST_F(DirectWriteTest, NoneWhereItWantsAnotherAlignment) {
  watch_.write_error = EINVAL;
  WriteAndReadBack();
  EXPECT_EQ(watch_.direct_writes, 0u);
  EXPECT_GT(watch_.refused_writes, 0u);
}

TEST_F(DirectWriteTest, AFailureLatches) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory_, options_);
  ASSERT_OK(log);
  ASSERT_OK((*log)->AppendDurable("small"));
  watch_.write_error = EIO;
  EXPECT_FALSE((*log)->AppendDurable("small").ok());
  watch_.write_error = 0;
  EXPECT_FALSE((*log)->AppendDurable("small").ok());
}

// Groups that begin at 512 bytes do not suit every disk.
TEST_F(DirectWriteTest, NotWithGroupsOfSectors) {
  options_.group_alignment_bytes = 512;
  WriteAndReadBack();
}

}  // namespace
}  // namespace seawall
