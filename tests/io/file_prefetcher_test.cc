// SPDX-License-Identifier: Apache-2.0
// Reading ahead of who goes through a file: each byte is the file's, in whatever steps and however
// the two threads take turns, and what cannot be had is not made up.
#include "engine/io/file_prefetcher.h"

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <random>
#include <string_view>
#include <thread>

#include "engine/io/file_io.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace seawall {
namespace {

constexpr uint64_t kPiece = FilePrefetcher::kPieceBytes;
constexpr uint64_t kRing = FilePrefetcher::kRingBytes;
constexpr uint64_t kMost = FilePrefetcher::kMostBytes;
constexpr uint64_t kNoLimit = ~uint64_t{0} >> 1;

// What the file holds from `offset`, a multiple of 8, on.
uint64_t WordAt(uint64_t offset) { return (offset / 8 + 1) * 0x9E3779B97F4A7C15u; }

bool IsTheFiles(std::string_view bytes, uint64_t offset) {
  for (size_t i = 0; i < bytes.size();) {
    const size_t skip = (offset + i) % 8;
    const size_t count = std::min(bytes.size() - i, 8 - skip);
    const uint64_t word = WordAt(offset + i - skip);
    if (std::memcmp(bytes.data() + i, reinterpret_cast<const char*>(&word) + skip, count) != 0) {
      return false;
    }
    i += count;
  }
  return true;
}

// A long file that is nowhere.
class LongFile : public File {
 public:
  explicit LongFile(uint64_t size) : size_(size) {}

  // From now on a read that goes beyond `offset` fails.
  void FailBehind(uint64_t offset) { fail_behind_ = offset; }
  // Reads by other threads than the test's wait until that one has begun so many.
  void HoldOthers(int reads) { reads_here_first_ = reads; }

  IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
    Enter();
    IoResult result;
    if (offset + bytes > fail_behind_) {
      result.error = EIO;
    } else if (offset < size_) {
      result.bytes = std::min<uint64_t>(bytes, size_ - offset);
      for (size_t i = 0; i < result.bytes; i += 8) {
        const uint64_t word = WordAt(offset + i);
        std::memcpy(static_cast<char*>(to) + i, &word, std::min<size_t>(8, result.bytes - i));
      }
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    ++reads_;
    changed_.notify_all();
    return result;
  }
  void AwaitReads(uint64_t reads) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return reads_ >= reads; });
  }

  IoResult PWrite(const void*, size_t, uint64_t) override { return {EBADF, 0}; }
  int Sync(SyncKind) override { return EBADF; }
  int Size(uint64_t*) override { return EBADF; }
  int TryLock() override { return EBADF; }
  int Unlock() override { return EBADF; }
  int Truncate(uint64_t) override { return EBADF; }

 private:
  void Enter() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (std::this_thread::get_id() == test_) {
      ++reads_here_;
      changed_.notify_all();
    } else {
      changed_.wait(lock, [&] { return reads_here_ >= reads_here_first_; });
    }
  }

  const uint64_t size_;
  const std::thread::id test_ = std::this_thread::get_id();
  uint64_t fail_behind_ = ~uint64_t{0};
  int reads_here_first_ = 0;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  int reads_here_ = 0;
  uint64_t reads_ = 0;
};

class FilePrefetcherTest : public ::testing::Test {
 protected:
  // All of [offset, offset + bytes) and nothing wrong behind it.
  static void ExpectBytes(FilePrefetcher* prefetcher, uint64_t offset, uint64_t bytes) {
    const std::string_view got = prefetcher->Get(offset, bytes);
    ASSERT_GE(got.size(), bytes) << "at " << offset;
    ASSERT_TRUE(IsTheFiles(got, offset)) << bytes << " bytes at " << offset;
  }

  AlignedBuffer memory_{FilePrefetcher::kMemoryBytes};
};

TEST_F(FilePrefetcherTest, GivesTheFilesBytesInStepsOfAllSizes) {
  std::mt19937_64 random(TestSeed());
  const uint64_t from = 12288;
  const uint64_t limit = from + 5 * kRing + 4711;
  LongFile file(limit);
  FilePrefetcher prefetcher(&file, "/f", from, limit, memory_.data());
  for (uint64_t at = from; at < limit;) {
    const uint64_t largest = random() % 4 == 0 ? kMost : uint64_t{200000};
    const uint64_t bytes = std::min(1 + random() % largest, limit - at);
    ASSERT_NO_FATAL_FAILURE(ExpectBytes(&prefetcher, at, bytes));
    at += random() % 3 == 0 ? random() % bytes : bytes;  // some of it once more
  }
}

// What was returned stays as it is while the thread fills all the room that there is.
TEST_F(FilePrefetcherTest, NothingThatIsInUseIsReadOver) {
  LongFile file(kNoLimit);
  FilePrefetcher prefetcher(&file, "/f", 0, kNoLimit, memory_.data());
  uint64_t at = 0;
  for (const uint64_t bytes : {3 * kPiece, kPiece / 2, kMost, uint64_t{1}, kMost, kMost}) {
    const std::string_view got = prefetcher.Get(at, bytes);
    ASSERT_GE(got.size(), bytes);
    file.AwaitReads((at + kRing) / kPiece);  // up to where `at` would be read over
    ASSERT_TRUE(IsTheFiles(got, at)) << bytes << " bytes at " << at;
    at += bytes;
  }
}

TEST_F(FilePrefetcherTest, ReadsTheNextPiecesWhileTheThreadIsBusyWithOne) {
  LongFile file(kNoLimit);
  // A thread that has begun to read is stuck until this one has read three pieces.
  file.HoldOthers(3);
  FilePrefetcher prefetcher(&file, "/f", 0, kNoLimit, memory_.data());
  ExpectBytes(&prefetcher, 0, 6 * kPiece);
}

TEST_F(FilePrefetcherTest, WhatCannotBeHadIsEmpty) {
  LongFile file(kNoLimit);
  FilePrefetcher prefetcher(&file, "/f", kPiece, 5 * kPiece, memory_.data());
  ExpectBytes(&prefetcher, 2 * kPiece, 100);
  EXPECT_TRUE(prefetcher.Get(2 * kPiece - 1, 1).empty()) << "given up";
  EXPECT_TRUE(prefetcher.Get(5 * kPiece, 1).empty()) << "behind the limit";
  EXPECT_TRUE(prefetcher.Get(4 * kPiece, kPiece + 1).empty()) << "across the limit";
  EXPECT_TRUE(prefetcher.Get(3 * kPiece, kMost + 1).empty()) << "too much";
  ExpectBytes(&prefetcher, 4 * kPiece, kPiece);
}

TEST_F(FilePrefetcherTest, NothingBehindTheLimitIsRead) {
  LongFile file(kNoLimit);
  file.FailBehind(5 * kPiece + 8);
  FilePrefetcher prefetcher(&file, "/f", 0, 5 * kPiece + 8, memory_.data());
  ExpectBytes(&prefetcher, 0, 5 * kPiece + 8);
  EXPECT_EQ(prefetcher.Get(5 * kPiece, 8).size(), 8u);
}

TEST_F(FilePrefetcherTest, TheEndOfTheFileIsAnEnd) {
  LongFile file(3 * kPiece + 80);
  FilePrefetcher prefetcher(&file, "/f", 0, kNoLimit, memory_.data());
  ExpectBytes(&prefetcher, 0, 2 * kPiece);
  const std::string_view tail = prefetcher.Get(3 * kPiece, 80);
  EXPECT_EQ(tail.size(), 80u);
  EXPECT_TRUE(IsTheFiles(tail, 3 * kPiece));
  EXPECT_TRUE(prefetcher.Get(3 * kPiece, 81).empty());
  EXPECT_TRUE(prefetcher.Get(4 * kPiece, 1).empty());
}

TEST_F(FilePrefetcherTest, APieceThatCannotBeReadIsNotServed) {
  LongFile file(kNoLimit);
  file.FailBehind(2 * kPiece);
  FilePrefetcher prefetcher(&file, "/f", 0, kNoLimit, memory_.data());
  ExpectBytes(&prefetcher, 0, 2 * kPiece);
  EXPECT_TRUE(prefetcher.Get(2 * kPiece - 8, 16).empty());
  EXPECT_TRUE(prefetcher.Get(2 * kPiece, 8).empty());
}

TEST_F(FilePrefetcherTest, EndsWhateverItsThreadIsDoing) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 50; ++round) {
    LongFile file(kNoLimit);
    FilePrefetcher prefetcher(&file, "/f", 0, kNoLimit, memory_.data());
    const uint64_t pieces = random() % 4;
    if (pieces > 0) ExpectBytes(&prefetcher, 0, pieces * kPiece);
    if (random() % 2 == 0) file.AwaitReads(1 + random() % 8);
  }
}

}  // namespace
}  // namespace seawall
