// SPDX-License-Identifier: Apache-2.0
// What holds a log's front: TrimBefore() and the thread give up nothing at or above a hold, and the
// thread what a hold lets go.
#include "engine/store/holds.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/store/store_test_util.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

constexpr size_t kRecordBytes = 3000;

Options SmallOptions() {
  Options options;
  options.segment_bytes = 16 << 10;
  options.buffer_bytes = 8 << 10;
  options.max_record_bytes = 4 << 10;
  return options;
}

TEST(HoldsTest, TheLowestCounts) {
  Holds holds;
  EXPECT_EQ(holds.Lowest(), Holds::kNone);
  EXPECT_EQ(holds.Set(HoldKind::kCursor, "a", 7), Holds::kNone);
  EXPECT_EQ(holds.Set(HoldKind::kArchive, "a", 5), Holds::kNone);
  EXPECT_EQ(holds.Lowest(), 5u);
  EXPECT_EQ(holds.Set(HoldKind::kArchive, "a", 9), 5u);
  EXPECT_EQ(holds.Lowest(), 7u);
  holds.Cut(8, 8);
  ASSERT_EQ(holds.All().size(), 2u);
  EXPECT_EQ(holds.All()[0].lsn, 7u);
  EXPECT_EQ(holds.All()[1].lsn, 8u) << "what it waited for is gone";
  // The segment that comes begins with copies: the archive has to take it as a whole.
  holds.Cut(6, 5);
  EXPECT_EQ(holds.All()[0].lsn, 6u);
  EXPECT_EQ(holds.All()[1].lsn, 5u);
  EXPECT_EQ(holds.Set(HoldKind::kCursor, "a", 7), 6u);
  EXPECT_EQ(holds.Set(HoldKind::kArchive, "a", 8), 5u);
  EXPECT_EQ(holds.Release(HoldKind::kBackup, "a"), Holds::kNone);
  EXPECT_EQ(holds.Release(HoldKind::kCursor, "a"), 7u);
  EXPECT_EQ(holds.Lowest(), 8u);
}

class HoldTest : public ::testing::Test {
 protected:
  void SetUp() override {
    log_ = std::make_unique<StoreUnderTest>(&watch_, dir_.path(), SmallOptions());
    last_ = log_->FillSegments(6, kRecordBytes);
    ASSERT_GT(last_, 0u);
  }
  SegmentStore& store() { return log_->store; }
  Lsn BaseOf(Lsn lsn) { return store().Locate(lsn)->base_lsn; }

  TempDir dir_;
  NameWatch watch_{FileSystem::Posix()};
  std::unique_ptr<StoreUnderTest> log_;
  Lsn last_ = 0;
};

TEST_F(HoldTest, TrimStopsAtTheLowestHoldAndTheThreadGoesOn) {
  const std::string first = store().Locate(1)->path;
  const Lsn low = store().Locate(1)->last_lsn + 2;
  const Lsn high = store().Locate(low)->last_lsn + 2;
  const std::string second = store().Locate(low)->path;
  ASSERT_OK(store().retention().SetHold(HoldKind::kCursor, "slow", low));
  ASSERT_OK(store().retention().SetHold(HoldKind::kArchive, "", high));
  const Lsn base_of_low = BaseOf(low), base_of_high = BaseOf(high);
  ASSERT_OK(store().retention().TrimBefore(last_));
  EXPECT_EQ(store().first_lsn(), base_of_low);
  watch_.AwaitGone(first);
  EXPECT_OK(store().retention().SetHold(HoldKind::kCursor, "slow", low + 1));
  EXPECT_EQ(store().first_lsn(), base_of_low) << "a step within the segment";
  EXPECT_OK(store().retention().SetHold(HoldKind::kCursor, "slow", last_));
  watch_.AwaitGone(second);
  EXPECT_EQ(store().first_lsn(), base_of_high) << "the other hold";
  const std::string third = store().Locate(high)->path;
  store().retention().ReleaseHold(HoldKind::kArchive, "");
  watch_.AwaitGone(third);
  store().retention().ReleaseHold(HoldKind::kCursor, "slow");
  EXPECT_TRUE(store().retention().holds().empty());
}

TEST_F(HoldTest, NothingIsGivenUpThatNobodyAskedToTrim) {
  ASSERT_OK(store().retention().SetHold(HoldKind::kCursor, "c", 1));
  const Lsn wish = store().Locate(1)->last_lsn + 1;
  ASSERT_OK(store().retention().TrimBefore(wish));
  EXPECT_EQ(store().first_lsn(), 1u);
  const std::string first = store().Locate(1)->path;
  store().retention().ReleaseHold(HoldKind::kCursor, "c");
  watch_.AwaitGone(first);
  EXPECT_EQ(store().first_lsn(), wish);
}

TEST_F(HoldTest, WhatIsGoneCannotBeHeld) {
  const Lsn low = store().Locate(1)->last_lsn + 1;
  ASSERT_OK(store().retention().SetHold(HoldKind::kCursor, "c", low));
  ASSERT_OK(store().retention().TrimBefore(last_));
  EXPECT_TRUE(Fails(store().retention().SetHold(HoldKind::kBackup, "b", low - 1),
                    absl::StatusCode::kOutOfRange,
                    {"backup \"b\"", absl::StrCat("begins at record ", low)}));
  EXPECT_TRUE(Fails(store().retention().SetHold(HoldKind::kCursor, "c", low - 1),
                    absl::StatusCode::kOutOfRange, {absl::StrCat("begins at record ", low)}));
  ASSERT_EQ(store().retention().holds().size(), 1u);
  EXPECT_EQ(store().retention().holds()[0].lsn, low) << "a refused move changes nothing";
}

TEST_F(HoldTest, ATruncationTakesHoldsAndWishesBackToItsEnd) {
  ASSERT_OK(store().retention().SetHold(HoldKind::kCursor, "c", last_ + 1));
  ASSERT_OK(store().retention().SetHold(HoldKind::kOther, "o", 1));
  ASSERT_OK(store().retention().TrimBefore(last_));
  const Lsn cut = store().Locate(1)->last_lsn + 1;
  const std::string first = store().Locate(1)->path;
  ASSERT_OK(log_->TruncateAfter(cut));
  EXPECT_EQ(store().retention().holds()[0].lsn, cut + 1);
  last_ = log_->FillSegments(6, kRecordBytes);
  store().retention().ReleaseHold(HoldKind::kCursor, "c");
  store().retention().ReleaseHold(HoldKind::kOther, "o");
  watch_.AwaitGone(first);
  EXPECT_LE(store().first_lsn(), cut + 1) << "the wish was for the records that were cut";
}

// The segment behind is begun, but not durable; what makes it so is all that happens then.
TEST(HoldMovedTest, ATrimThatWaitsForASyncGoesOnWithIt) {
  Watchdog watchdog(std::chrono::seconds(20));
  watchdog.Begin("a trim that waits for a sync");
  TempDir dir;
  NameWatch watch(FileSystem::Posix());
  StoreUnderTest log(&watch, dir.path(), SmallOptions());
  Lsn last = 0;
  for (Stats stats; stats.segments < 2; log.store.AddStats(&stats)) {
    absl::StatusOr<Lsn> lsn = log.Append(std::string(kRecordBytes, 'r'));
    ASSERT_OK(lsn);
    last = *lsn;
    ASSERT_OK(log.WaitWritten(last));
  }
  const std::string first = log.store.Locate(1)->path;
  ASSERT_OK(log.store.retention().TrimBefore(last));
  EXPECT_EQ(log.store.first_lsn(), 1u);
  ASSERT_OK(log.WaitDurable(last));
  watch.AwaitGone(first);
  EXPECT_EQ(log.store.first_lsn(), last);
}

// The hold lets go of a segment that is not the first one, for the first one is just being given
// up.
TEST(HoldMovedTest, WhileTheFirstSegmentIsBeingGivenUp) {
  TempDir dir;
  SyncGate gate(FileSystem::Posix(), "CONTROL");
  NameWatch watch(&gate);
  StoreUnderTest log(&watch, dir.path(), SmallOptions());
  const Lsn last = log.FillSegments(6, kRecordBytes);
  const Lsn second = log.store.Locate(1)->last_lsn + 1;
  const Lsn third = log.store.Locate(second)->last_lsn + 1;
  const std::string path = log.store.Locate(second)->path;
  ASSERT_OK(log.store.retention().SetHold(HoldKind::kCursor, "c", second));
  std::thread trimmer =
      gate.RunIntoSync([&] { EXPECT_OK(log.store.retention().TrimBefore(last)); });
  EXPECT_OK(log.store.retention().SetHold(HoldKind::kCursor, "c", third));
  gate.LetGo();
  trimmer.join();
  watch.AwaitGone(path);
  EXPECT_EQ(log.store.first_lsn(), third);
}

// Counts attempts to make the open segment longer, and fails them while the disk is "full".
class FullDisk : public ForwardingFileSystem {
 public:
  FullDisk() : ForwardingFileSystem(FileSystem::Posix()) {}

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const bool attempt = options.data_sync || options.exclusive;
    if (attempt && full_) {
      ++attempts_;
      return ENOSPC;
    }
    return ForwardingFileSystem::Open(path, options, file);
  }
  void set_full(bool full) { full_ = full; }
  int attempts() const { return attempts_; }

 private:
  std::atomic<bool> full_{false};
  std::atomic<int> attempts_{0};
};

TEST(AttemptTest, EachRefusalTookOneAttempt) {
  TempDir dir;
  FullDisk disk;
  Options options = SmallOptions();
  options.segment_bytes = 1 << 20;
  StoreUnderTest log(&disk, dir.path(), options);
  disk.set_full(true);
  absl::Status refused;
  while (refused.ok()) refused = log.Append(std::string(kRecordBytes, 'r')).status();
  // One ahead of need, one for who asked.
  const int before = disk.attempts();
  EXPECT_LE(before, 2);
  constexpr int kRefusals = 200;
  for (int i = 0; i < kRefusals; ++i) {
    EXPECT_TRUE(
        Fails(log.Append(std::string(kRecordBytes, 'r')), absl::StatusCode::kResourceExhausted));
  }
  EXPECT_EQ(disk.attempts() - before, kRefusals);
  disk.set_full(false);
  EXPECT_OK(log.Append(std::string(kRecordBytes, 'r')));
}

}  // namespace
}  // namespace seawall
