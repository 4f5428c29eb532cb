// SPDX-License-Identifier: Apache-2.0
// What the store decides without files: which segment the writer has, who waits, and what becomes
// of files that have left the log.
#include "engine/store/prepared_segments.h"

#include <chrono>
#include <memory>
#include <vector>

#include "engine/store/disk_budget.h"
#include "engine/store/trash.h"
#include "engine/store/zero_rate.h"
#include "gtest/gtest.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

Prepared Segment(uint64_t generation) {
  auto file = std::make_shared<WritableSegment>();
  file->header.generation = generation;
  return {std::move(file), 100, 100};
}

TEST(PreparedSegmentsTest, TakenInOrderAndGoneWhenSealed) {
  PreparedSegments prepared;
  prepared.Restart(Segment(1));
  EXPECT_EQ(prepared.next_spare(), nullptr);
  prepared.AddSpare(Segment(2));
  prepared.AddSpare(Segment(3));
  EXPECT_EQ(prepared.spares(), 2u);
  EXPECT_EQ(prepared.next_spare()->generation(), 2u);
  prepared.TakeSpare();
  prepared.TakeSpare();
  EXPECT_EQ(prepared.current().generation(), 3u);
  EXPECT_EQ(prepared.front().generation(), 1u) << "taken is not begun";
  EXPECT_EQ(prepared.spares(), 0u);
  prepared.PopSealed();
  EXPECT_EQ(prepared.front().generation(), 2u);
  EXPECT_EQ(prepared.current().generation(), 3u);
}

TEST(PreparedSegmentsTest, AsManyAsControlHasEntriesForAndOneLeft) {
  PreparedSegments prepared;
  prepared.Restart(Segment(1));
  for (uint64_t i = 2; prepared.MayAdd(); ++i) prepared.AddSpare(Segment(i));
  EXPECT_EQ(prepared.size(), kMaxControlEntries - 1);
}

// The rate of filling is a difference of these: it must not go back.
TEST(PreparedSegmentsTest, WhatWasFilledOnlyGrows) {
  PreparedSegments prepared;
  prepared.Restart(Segment(1));
  prepared.NoteFill(70);
  prepared.NoteFill(60);
  EXPECT_EQ(prepared.fill(), 70u);
  prepared.AddSpare(Segment(2));
  prepared.TakeSpare();
  EXPECT_EQ(prepared.fill(), 0u);
  prepared.NoteFill(5);
  EXPECT_EQ(prepared.filled(), 75u);
  prepared.Restart(Segment(3));
  EXPECT_EQ(prepared.fill(), 0u);
  EXPECT_EQ(prepared.filled(), 75u) << "a truncation";
}

TEST(PreparedSegmentsTest, WantedIsOfTheCurrentSegment) {
  PreparedSegments prepared;
  prepared.Restart(Segment(1));
  prepared.AddSpaceWaiter(500);
  prepared.AddSpaceWaiter(300);
  EXPECT_EQ(prepared.wanted(), 500u);
  prepared.RemoveSpaceWaiter();
  EXPECT_EQ(prepared.wanted(), 500u) << "one is left, no lower than that";
  prepared.AddSpare(Segment(2));
  prepared.TakeSpare();
  EXPECT_EQ(prepared.wanted(), 0u) << "the waiter will find another one current";
  EXPECT_TRUE(prepared.HasWaiters());
  prepared.RemoveSpaceWaiter();
  EXPECT_FALSE(prepared.HasWaiters());
  EXPECT_TRUE(prepared.AddSpareWaiter());
  EXPECT_FALSE(prepared.AddSpareWaiter());
  EXPECT_FALSE(prepared.RemoveSpareWaiter());
  EXPECT_TRUE(prepared.RemoveSpareWaiter());
}

TEST(RoomAttemptsTest, AWaiterIsRefusedByAnAttemptOfItsOwnOnly) {
  const absl::Status full = absl::ResourceExhaustedError("full");
  RoomAttempts attempts;
  attempts.Begin();
  const uint64_t asked = attempts.Ask();
  attempts.End(full, /*over=*/true);
  EXPECT_OK(attempts.ResultSince(asked)) << "that one began before";
  EXPECT_FALSE(attempts.ok()) << "nothing ahead of need";
  EXPECT_TRUE(attempts.owed());
  attempts.Begin();
  attempts.End(full, /*over=*/false);
  EXPECT_OK(attempts.ResultSince(asked)) << "a trim may still make room";
  EXPECT_TRUE(attempts.owed());
  attempts.Begin();
  attempts.End(full, /*over=*/true);
  EXPECT_EQ(attempts.ResultSince(asked).message(), "full");
  EXPECT_FALSE(attempts.owed()) << "until somebody asks again";
  attempts.Ask();
  EXPECT_TRUE(attempts.owed());
}

TEST(ZeroRateTest, ComparesTheWriterWithTheZeros) {
  using std::chrono::seconds;
  const ZeroRate::Clock::time_point start = ZeroRate::Clock::now();
  ZeroRate rate;
  EXPECT_FALSE(rate.WriterIsFaster(start, 1000, 0, 1000)) << "no zeros were timed";
  rate.NoteZeros(100, seconds(1));
  // 50 bytes a second leave 2 s for 100 bytes; 300 bytes of zeros take 3 s.
  EXPECT_TRUE(rate.WriterIsFaster(start + seconds(2), 1100, 100, 300));
  EXPECT_FALSE(rate.WriterIsFaster(start + seconds(4), 1200, 100, 100)) << "they take 1 s";
  EXPECT_FALSE(rate.WriterIsFaster(start + seconds(6), 1200, 100, 300)) << "nothing was filled";
}

class TrashTest : public ::testing::Test {
 protected:
  static std::vector<uint64_t> GenerationsOf(const std::vector<Trash::File>& files) {
    std::vector<uint64_t> generations;
    for (const Trash::File& file : files) generations.push_back(file.generation);
    return generations;
  }
  Trash trash_;
};

TEST_F(TrashTest, OneFileAJobIsRecycledAndOnlyIfNobodyHasItOpen) {
  auto reader = std::make_shared<const int>(0);
  trash_.AddTrimmed(Trash::FileOf(1, 100, reader));
  trash_.AddTrimmed(Trash::FileOf(2, 100, {}));
  trash_.AddTrimmed(Trash::FileOf(3, 100, {}));
  trash_.AddCut(Trash::FileOf(9, 100, {}));
  Trash::Work work = trash_.Take(/*spares=*/2);
  EXPECT_EQ(GenerationsOf(work.unlink), (std::vector<uint64_t>{9, 1}));
  ASSERT_TRUE(work.recycle.has_value());
  EXPECT_EQ(work.recycle->generation, 2u);
  EXPECT_TRUE(trash_.HasFiles()) << "3 is for the next job";
  work = trash_.Take(/*spares=*/0);
  EXPECT_EQ(GenerationsOf(work.unlink), std::vector<uint64_t>{3});
  EXPECT_FALSE(work.recycle.has_value());
  EXPECT_FALSE(trash_.HasFiles());
}

TEST_F(TrashTest, WhatABackupMayShareIsNotRecycled) {
  trash_.StopRecyclingBelow(2);
  trash_.AddTrimmed(Trash::FileOf(1, 100, {}));
  trash_.AddTrimmed(Trash::FileOf(2, 100, {}));
  const Trash::Work work = trash_.Take(/*spares=*/1);
  EXPECT_EQ(GenerationsOf(work.unlink), std::vector<uint64_t>{1});
  ASSERT_TRUE(work.recycle.has_value());
  EXPECT_EQ(work.recycle->generation, 2u);
}

TEST_F(TrashTest, AnUnlinkedFileCountsUntilItIsClosed) {
  DiskBudget budget((Options()));
  const uint64_t others = budget.used();
  auto reader = std::make_shared<const int>(0);
  budget.Take(300);
  trash_.AddPinned(Trash::FileOf(1, 100, reader));
  trash_.AddPinned(Trash::FileOf(2, 200, {}));
  trash_.ForgetClosed(&budget);
  EXPECT_EQ(budget.used(), others + 100);
  ASSERT_EQ(trash_.pinned().size(), 1u);
  reader.reset();
  trash_.ForgetClosed(&budget);
  EXPECT_EQ(budget.used(), others);
}

}  // namespace
}  // namespace seawall
