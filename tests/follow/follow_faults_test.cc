// SPDX-License-Identifier: Apache-2.0
// Following a log when something else goes wrong: WATERMARK is deleted, or cannot be written, or is
// not to be believed; there is no file descriptor just then.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "engine/follow/watermark_file.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/small_log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

// Fails what it is told to fail of the files whose path has `part` in it.
class FaultyFileSystem : public ForwardingFileSystem {
 public:
  explicit FaultyFileSystem(std::string part)
      : ForwardingFileSystem(FileSystem::Posix()), part_(std::move(part)) {}

  std::atomic<int> open_error{0}, read_error{0}, write_error{0}, unlink_error{0};

  bool CanBeFollowed() override { return true; }
  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    if (Concerns(path) && open_error != 0) return open_error;
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0 && Concerns(path)) *file = std::make_unique<FaultyFile>(std::move(*file), this);
    return error;
  }
  int Unlink(const std::string& path) override {
    if (Concerns(path) && unlink_error != 0) return unlink_error;
    return ForwardingFileSystem::Unlink(path);
  }

 private:
  class FaultyFile : public ForwardingFile {
   public:
    FaultyFile(std::unique_ptr<File> file, const FaultyFileSystem* fs)
        : ForwardingFile(std::move(file)), fs_(*fs) {}

    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      if (fs_.read_error != 0) return {fs_.read_error, 0};
      return ForwardingFile::PRead(to, bytes, offset);
    }
    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      if (fs_.write_error != 0) return {fs_.write_error, 0};
      return ForwardingFile::PWrite(from, bytes, offset);
    }

   private:
    const FaultyFileSystem& fs_;
  };

  bool Concerns(const std::string& path) const { return path.find(part_) != std::string::npos; }

  const std::string part_;
};

class FollowFaultsTest : public ::testing::Test {
 protected:
  std::unique_ptr<Reader> Follow(Lsn from = 0, FileSystem* fs = nullptr) {
    auto reader = Reader::Follow(directory_, from, fs);
    EXPECT_OK(reader);
    return reader.ok() ? std::move(*reader) : nullptr;
  }

  static Clock::time_point Soon() { return Clock::now() + std::chrono::seconds(20); }

  static void ExpectNext(Reader* reader, LsnRange range, const std::string& history = "a") {
    Record record;
    for (Lsn lsn = range.first; lsn <= range.last; ++lsn) {
      ASSERT_OK(reader->Wait(Soon()));
      ASSERT_TRUE(reader->Next(&record)) << reader->status();
      ASSERT_EQ(record.lsn, lsn);
      ASSERT_EQ(record.payload, Payload(history, lsn));
    }
  }

  const TempDir scratch_;
  const std::string directory_ = scratch_ / "log";
  const std::string watermark_ = directory_ + "/" + kWatermarkName;
};

// ---- WATERMARK is deleted while no writer is there, which would go on counting.

TEST_F(FollowFaultsTest, ADeletedWatermarkEndsNoneWhoseRecordsAreThere) {
  auto log = MustOpen(directory_, Options());
  Append(log.get(), 3, "a");
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 3});
  Append(log.get(), 2, "a");
  ASSERT_OK(log->TruncateAfter(4));  // not what it was served
  // Over 1 MiB: the next writer leaves this segment.
  Append(log.get(), 399, "a", Durability::kAppended);
  Append(log.get(), 1, "a");
  ExpectNext(reader.get(), {4, 404});
  for (int life = 0; life < 3; ++life) {
    ASSERT_OK(log->Close());
    ASSERT_TRUE(std::filesystem::remove(watermark_));
    log = MustOpen(directory_, Options());
    Append(log.get(), 399, "a", Durability::kAppended);
    Append(log.get(), 1, "a");
    ExpectNext(reader.get(), {reader->next_lsn(), reader->next_lsn() + 399});
  }
}

// One that came before there was a word, as it does where a backup was made.
TEST_F(FollowFaultsTest, OneThatSawNoWordGoesByTheFirst) {
  auto log = MustOpen(directory_, Options());
  Append(log.get(), 2, "a");
  ASSERT_OK(log->Close());
  ASSERT_TRUE(std::filesystem::remove(watermark_));
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 2});
  log = MustOpen(directory_, Options());
  Append(log.get(), 1, "a");
  ExpectNext(reader.get(), {3, 3});
  ASSERT_OK(log->TruncateAfter(2));
  EXPECT_TRUE(Fails(reader->Wait(Soon()), absl::StatusCode::kOutOfRange));
}

TEST_F(FollowFaultsTest, ADeletedWatermarkForgetsNoTruncation) {
  auto log = MustOpen(directory_, Options());
  Append(log.get(), 30, "a");
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 30});
  // While nobody looks; and the numbers come back to where they were.
  ASSERT_OK(log->TruncateAfter(25));
  Append(log.get(), 20, "b");
  ASSERT_OK(log->Close());
  ASSERT_TRUE(std::filesystem::remove(watermark_));
  log = MustOpen(directory_, Options());
  EXPECT_TRUE(Fails(reader->Wait(Soon()), absl::StatusCode::kOutOfRange, {"made anew"}));
}

// A backup that is put into the log's directory has its id, no WATERMARK, and comes to the same
// generations.
TEST_F(FollowFaultsTest, ABackupInItsPlaceIsNotTheSameHistory) {
  auto log = MustOpen(directory_, SmallOptions());
  Append(log.get(), 6, "a");
  ASSERT_OK(log->Backup(scratch_ / "copy"));
  for (int life = 0; life < 5; ++life) {  // each takes a generation
    ASSERT_OK(log->Close());
    log = MustOpen(directory_, SmallOptions());
  }
  Append(log.get(), 30, "a");
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 36});
  ASSERT_OK(log->Close());
  for (const auto& file : std::filesystem::directory_iterator(directory_)) {
    std::filesystem::remove(file);
  }
  for (const auto& file : std::filesystem::directory_iterator(scratch_ / "copy")) {
    std::filesystem::rename(file, directory_ + "/" + file.path().filename().string());
  }
  log = MustOpen(directory_, SmallOptions());
  Append(log.get(), 80, "b");
  EXPECT_TRUE(Fails(reader->Wait(Soon()), absl::StatusCode::kOutOfRange, {"made anew"}));
}

// ---- A truncation that cannot be announced.

TEST_F(FollowFaultsTest, ATruncationThatCannotBeAnnouncedIsNoticed) {
  FaultyFileSystem fs(kWatermarkName);
  Options options;
  options.file_system = &fs;
  auto log = MustOpen(directory_, options);
  Append(log.get(), 30, "a");
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 30});
  fs.write_error = EIO;
  ASSERT_OK(log->TruncateAfter(25));
  Append(log.get(), 20, "b");
  ASSERT_OK(log->Close());
  log = MustOpen(directory_, Options());
  EXPECT_TRUE(Fails(reader->Wait(Soon()), absl::StatusCode::kOutOfRange));
}

TEST_F(FollowFaultsTest, WhatCouldNotBeAnnouncedIsToldByTheSameWriter) {
  FaultyFileSystem fs(kWatermarkName);
  auto log = MustOpen(directory_, SmallOptions(&fs));
  Append(log.get(), 10, "a");
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 10});
  fs.write_error = EIO;
  ASSERT_OK(log->TruncateAfter(10 - 3));
  fs.write_error = 0;
  Append(log.get(), 3, "b");
  EXPECT_TRUE(Fails(reader->Wait(Soon()), absl::StatusCode::kOutOfRange, {"after record 7"}));
}

// Though nothing comes behind it that would have to be told.
TEST_F(FollowFaultsTest, TheLastWordIsWrittenWhenItCanBe) {
  FaultyFileSystem fs(kWatermarkName);
  auto log = MustOpen(directory_, SmallOptions(&fs));
  auto reader = Follow();
  fs.write_error = ENOSPC;
  Append(log.get(), 1, "a");
  while (log->stats().watermark_failures == 0) std::this_thread::yield();
  EXPECT_TRUE(Fails(reader->Wait(Clock::now()), absl::StatusCode::kDeadlineExceeded));
  fs.write_error = 0;
  ExpectNext(reader.get(), {1, 1});
}

// The old word stays there, and the next writer goes on from that. The segment that the truncation
// began shows it.
TEST_F(FollowFaultsTest, ATruncationThatNobodyToldOfIsNoticedByItsSegment) {
  FaultyFileSystem fs(kWatermarkName);
  auto log = MustOpen(directory_, SmallOptions(&fs));
  Append(log.get(), 10, "a");
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 10});
  fs.write_error = fs.unlink_error = EIO;
  ASSERT_OK(log->TruncateAfter(7));
  Append(log.get(), 20, "b");
  ASSERT_OK(log->Close());
  log = MustOpen(directory_, SmallOptions());
  EXPECT_TRUE(Fails(reader->Wait(Soon()), absl::StatusCode::kOutOfRange, {"after record 7"}));
}

// ---- Counters that leave no room to count.

TEST_F(FollowFaultsTest, CountersNearTheirEndAreNotGoneOnWith) {
  auto log = MustOpen(directory_, Options());
  Append(log.get(), 1, "a");
  ASSERT_OK(log->Close());
  auto file = OpenFile(FileSystem::Posix(), watermark_, OpenOptions());
  ASSERT_OK(file);
  auto word = ReadWatermark(file->get(), watermark_);
  ASSERT_OK(word);
  ASSERT_TRUE(word->has_value());
  for (uint64_t WatermarkBlock::*counter : {&WatermarkBlock::sequence, &WatermarkBlock::cuts}) {
    WatermarkBlock forged = **word;
    forged.*counter = kMaxNumber - 1;
    std::string bytes(kWatermarkBytes, '\0');
    EncodeWatermark(forged, bytes.data());
    WriteFile(watermark_, bytes);
    log = MustOpen(directory_, Options());
    auto reader = Follow();
    const Lsn next = log->durable_lsn() + 1;
    ASSERT_OK(log->AppendDurable(Payload("a", next)));
    ASSERT_OK(log->AppendDurable(Payload("a", next + 1)));
    ASSERT_OK(log->TruncateAfter(next));
    ExpectNext(reader.get(), {1, next});
    ASSERT_OK(log->Close());
  }
}

// ---- What passes: the caller is told, and the next call tries again.

class FollowShortageTest : public FollowFaultsTest, public ::testing::WithParamInterface<int> {};

TEST_P(FollowShortageTest, OfWatermarkIsToldByWait) {
  auto log = MustOpen(directory_, SmallOptions());
  FaultyFileSystem fs(kWatermarkName);
  auto reader = Follow(1, &fs);
  for (Lsn lsn = 1; lsn <= 9; ++lsn) {
    Append(log.get(), 1, "a");
    fs.open_error = GetParam();
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(Fails(reader->Wait(Soon()), absl::StatusCode::kResourceExhausted, {watermark_}));
      EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kResourceExhausted));
    }
    fs.open_error = 0;
    ExpectNext(reader.get(), {lsn, lsn});
  }
}

TEST_P(FollowShortageTest, OfASegmentIsToldByNext) {
  auto log = MustOpen(directory_, SmallOptions());
  FaultyFileSystem fs(".seg");
  auto reader = Follow(1, &fs);
  Record record;
  for (Lsn lsn = 1; lsn <= 20; ++lsn) {
    Append(log.get(), 1, "a");
    ASSERT_OK(reader->Wait(Soon()));
    fs.open_error = fs.read_error = GetParam();
    // In the midst of a segment the file is open already; of what was read ahead nothing is.
    for (int i = 0; i < 3; ++i) {
      EXPECT_FALSE(reader->Next(&record)) << lsn;
      EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kResourceExhausted));
    }
    // Once: the loop of Wait() and Next() ends, and may be begun again.
    EXPECT_TRUE(Fails(reader->Wait(Soon()), absl::StatusCode::kResourceExhausted)) << lsn;
    EXPECT_OK(reader->Wait(Soon()));
    fs.open_error = fs.read_error = 0;
    ASSERT_TRUE(reader->Next(&record)) << lsn << ": " << reader->status();
    ASSERT_EQ(record.payload, Payload("a", lsn));
    EXPECT_OK(reader->status());
  }
}

TEST_P(FollowShortageTest, AReaderOfAnOpenLogTriesAgain) {
  FaultyFileSystem fs(".seg");
  auto log = MustOpen(directory_, SmallOptions(&fs));
  Append(log.get(), 20, "a");
  auto reader = log->NewReader(1);
  ASSERT_OK(reader);
  Record record;
  for (Lsn lsn = 1; lsn <= 20;) {
    fs.read_error = fs.open_error = GetParam();
    while ((*reader)->Next(&record)) EXPECT_EQ(record.lsn, lsn++);
    if (lsn > 20) break;
    EXPECT_TRUE(Fails((*reader)->status(), absl::StatusCode::kResourceExhausted));
    EXPECT_TRUE(Fails((*reader)->Wait(Soon()), absl::StatusCode::kResourceExhausted));
    fs.read_error = fs.open_error = 0;
    if (lsn % 2 == 0) {
      EXPECT_OK((*reader)->Wait(Soon()));
    }
    ASSERT_TRUE((*reader)->Next(&record));
    EXPECT_EQ(record.lsn, lsn);
    ASSERT_EQ(record.payload, Payload("a", lsn));
    ++lsn;
  }
}

INSTANTIATE_TEST_SUITE_P(All, FollowShortageTest, ::testing::Values(EMFILE, ENFILE, ENOMEM),
                         [](const auto& test) {
                           return test.param == EMFILE   ? "EMFILE"
                                  : test.param == ENFILE ? "ENFILE"
                                                         : "ENOMEM";
                         });

}  // namespace
}  // namespace seawall
