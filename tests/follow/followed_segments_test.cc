// SPDX-License-Identifier: Apache-2.0
// Each row of the tables in followed_segments.h, by enumeration: what a follower makes of a
// published watermark, without any file.
#include "engine/follow/followed_segments.h"

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/format/format.h"
#include "gtest/gtest.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

constexpr uint64_t kCounted = 7 * kCutCountStep;  // where WATERMARK begins to count truncations
constexpr uint64_t kEnd = 8192;                   // of the tail's readable part

SegmentRef Segment(uint64_t generation, Lsn base_lsn) {
  SegmentRef segment;
  segment.path = "/log/" + std::to_string(generation);
  segment.generation = generation;
  segment.salt = 1000 + generation;
  segment.base_lsn = base_lsn;
  return segment;
}

// Segments 10, 12 and 14, with records 1 to 10, 11 to 20, and from 21 on. Of the tail, 21 to 25 may
// be read.
FollowedSegments ThreeSegments(uint64_t cuts = kCounted) {
  std::vector<SegmentRef> segments = {Segment(10, 1), Segment(12, 11), Segment(14, 21)};
  for (SegmentRef& sealed : segments) {
    sealed.last_lsn = sealed.base_lsn + 9;
    sealed.end = 4096 * sealed.generation;
    sealed.digest = sealed.generation;
  }
  return FollowedSegments("/log", std::move(segments), 25, kEnd, cuts);
}

// The same, of which the records below `next` were served.
FollowedSegments Served(Lsn next, uint64_t cuts = kCounted) {
  FollowedSegments segments = ThreeSegments(cuts);
  Lsn from = next;
  EXPECT_OK(segments.BeginAt(&from));
  return segments;
}

WatermarkBlock Block(uint64_t generation, Lsn durable_lsn, uint64_t end) {
  WatermarkBlock block;
  block.generation = generation;
  block.durable_lsn = durable_lsn;
  block.end = end;
  block.cuts = kCounted;
  return block;
}

SegmentHeader Successor(uint64_t generation, uint64_t predecessor, Lsn base_lsn, Lsn durable_lsn) {
  SegmentHeader header;
  header.generation = generation;
  header.salt = 1000 + generation;
  header.predecessor_generation = predecessor;
  header.predecessor_end = 12288;
  header.predecessor_digest = 99;
  header.base_lsn = base_lsn;
  header.durable_lsn = durable_lsn;
  return header;
}

// ---- Before the first watermark

TEST(FollowedSegmentsTest, WhatRecoveryFoundBehindTheProvenEndOfTheTailIsNotRead) {
  const FollowedSegments segments = ThreeSegments();
  EXPECT_TRUE(segments.MayRead(25));
  EXPECT_FALSE(segments.MayRead(26));
  EXPECT_FALSE(segments.Find(26)->sealed());
}

TEST(FollowedSegmentsTest, BeginsAtAnyRecordThatIsThereOrComesNext) {
  for (Lsn from = 0; from <= 30; ++from) {
    FollowedSegments segments = ThreeSegments();
    Lsn first = from;
    const absl::Status status = segments.BeginAt(&first);
    if (from > 26) {
      EXPECT_TRUE(Fails(status, absl::StatusCode::kOutOfRange, {"expected 1 to 26"})) << from;
    } else {
      EXPECT_OK(status);
      EXPECT_EQ(first, from == 0 ? 1 : from);
    }
  }
  FollowedSegments trimmed("/log", {Segment(14, 21)}, 25, kEnd, kCounted);
  Lsn from = 20;
  EXPECT_TRUE(Fails(trimmed.BeginAt(&from), absl::StatusCode::kNotFound, {"holds 21 to 25"}));
}

// ---- Step 1

enum class Count { kSame, kAnotherFile, kOneAbove, kOneAtMost, kReset, kOther };

// The table, in its order. `seen`: the count of before, or 0.
Count RowOf(uint64_t seen, uint64_t cuts, Lsn first_cut, Lsn served) {
  if (seen == 0) seen = kCounted;
  if (cuts == seen) return Count::kSame;
  if (cuts / kCutCountStep != seen / kCutCountStep) return Count::kAnotherFile;
  if (cuts != seen + 1) return Count::kOther;
  if (first_cut == 0) return Count::kReset;
  return first_cut > served ? Count::kOneAbove : Count::kOneAtMost;
}

TEST(FollowedSegmentsTest, EachCountOfTruncations) {
  std::set<Count> met;
  for (uint64_t seen : {uint64_t{0}, kCounted, kCounted + 3}) {
    for (uint64_t cuts : {kCounted, kCounted + 1, kCounted + 2, kCounted + 3, kCounted + 4,
                          kCounted + 5, kCounted - kCutCountStep, kCounted + kCutCountStep + 4}) {
      // From nothing seen, this file's count is believed whatever it is.
      if (seen == 0 && cuts / kCutCountStep != kCounted / kCutCountStep) continue;
      for (Lsn first_cut : {0, 1, 14, 15, 16}) {
        SCOPED_TRACE(std::to_string(seen) + " " + std::to_string(cuts) + " " +
                     std::to_string(first_cut));
        FollowedSegments segments = Served(/*next=*/16, seen);
        WatermarkBlock block = Block(14, 25, kEnd);
        block.cuts = cuts;
        block.first_cut = first_cut;
        const absl::Status status = segments.NoteTruncations(block);
        const Count row = RowOf(seen, cuts, first_cut, /*served=*/15);
        met.insert(row);
        EXPECT_EQ(segments.in_doubt(), row == Count::kAnotherFile);
        switch (row) {
          case Count::kSame:
          case Count::kAnotherFile:
          case Count::kOneAbove:
            EXPECT_OK(status);
            break;
          case Count::kOneAtMost:
            EXPECT_TRUE(Fails(status, absl::StatusCode::kOutOfRange,
                              {"truncated after record " + std::to_string(first_cut - 1)}));
            break;
          case Count::kReset:
          case Count::kOther:
            EXPECT_TRUE(Fails(status, absl::StatusCode::kOutOfRange,
                              {"reset, or truncated more than once"}));
        }
      }
    }
  }
  EXPECT_EQ(met.size(), 6u);
}

TEST(FollowedSegmentsTest, ATruncationIsCountedOnce) {
  FollowedSegments segments = Served(16);
  WatermarkBlock block = Block(14, 25, kEnd);
  for (uint64_t cuts = kCounted; cuts < kCounted + 3; ++cuts) {
    block.cuts = cuts;
    block.first_cut = 20;
    EXPECT_OK(segments.NoteTruncations(block));
    EXPECT_OK(segments.NoteTruncations(block));
    segments.NoteDurable(block);
  }
}

// ---- Step 2

TEST(FollowedSegmentsTest, EachSuccessor) {
  for (uint64_t predecessor : {8, 10, 12, 13, 14, 15}) {
    for (Lsn base_lsn : {16, 21, 22, 26}) {
      // Every segment that has a successor holds a record.
      if (predecessor == 14 && base_lsn <= 21) continue;
      for (Lsn durable_lsn : {14, 15, 25}) {
        SCOPED_TRACE(std::to_string(predecessor) + " " + std::to_string(base_lsn) + " " +
                     std::to_string(durable_lsn));
        FollowedSegments segments = Served(/*next=*/16);
        const absl::Status status =
            segments.Append(Successor(16, predecessor, base_lsn, durable_lsn), "/log/16");
        if (durable_lsn < 15) {
          EXPECT_TRUE(Fails(status, absl::StatusCode::kOutOfRange, {"truncated after record 14"}));
          EXPECT_EQ(segments.tail_generation(), 14u);
          continue;
        }
        ASSERT_OK(status);
        EXPECT_EQ(segments.tail_generation(), 16u);
        EXPECT_EQ(segments.tail_lsn(), base_lsn - 1);
        EXPECT_EQ(segments.Find(base_lsn)->path, "/log/16");
        EXPECT_FALSE(segments.MayRead(base_lsn));
        const bool known = predecessor == 10 || predecessor == 12 || predecessor == 14;
        EXPECT_EQ(segments.first_generation(), known ? 10 : 16);
        const SegmentRef* before = segments.Find(base_lsn - 1);
        ASSERT_EQ(before != nullptr, known);
        if (!known) continue;
        // All after the predecessor are gone, and the successor's header says where that ends.
        EXPECT_EQ(before->generation, predecessor);
        EXPECT_EQ(before->last_lsn, base_lsn - 1);
        EXPECT_EQ(before->end, 12288u);
        EXPECT_EQ(before->digest, 99u);
      }
    }
  }
}

// ---- Step 3

TEST(FollowedSegmentsTest, EachFileThatMayEndADoubt) {
  // Record 15 was served: segment 12 has it.
  for (std::optional<uint64_t> salt :
       {std::optional<uint64_t>(), std::optional<uint64_t>(1012), std::optional<uint64_t>(1014)}) {
    FollowedSegments segments = Served(16);
    WatermarkBlock block = Block(14, 25, kEnd);
    block.cuts = kCounted + 3 * kCutCountStep;
    ASSERT_OK(segments.NoteTruncations(block));
    ASSERT_TRUE(segments.in_doubt());
    ASSERT_NE(segments.Doubted(), nullptr);
    EXPECT_EQ(segments.Doubted()->generation, 12u);
    const absl::Status status = segments.ResolveDoubt(salt);
    if (salt == 1012) {
      EXPECT_OK(status);
      EXPECT_FALSE(segments.in_doubt());
      // From now on that file's count is the one to compare with.
      segments.NoteDurable(block);
      ++block.cuts;
      block.first_cut = 15;
      EXPECT_FALSE(segments.NoteTruncations(block).ok());
    } else {
      EXPECT_TRUE(Fails(status, absl::StatusCode::kOutOfRange, {"before record 16"}));
      EXPECT_TRUE(segments.in_doubt());
    }
  }
}

TEST(FollowedSegmentsTest, ADoubtDoesNotEndWithoutTheSegmentOfWhatWasServed) {
  struct Case {
    uint64_t predecessor;
    Lsn base_lsn;
    bool is_there;
  };
  // The successor leaves segment 12 with records up to 20, to 15, to 14, and takes its place.
  for (const Case& c : {Case{14, 26, true}, Case{12, 16, true}, Case{12, 15, false},
                        Case{10, 11, false}, Case{8, 11, false}}) {
    SCOPED_TRACE(c.base_lsn);
    FollowedSegments segments = Served(16);
    WatermarkBlock block = Block(16, 25, kEnd);
    block.cuts = kCounted + kCutCountStep;
    ASSERT_OK(segments.NoteTruncations(block));
    ASSERT_OK(segments.Append(Successor(16, c.predecessor, c.base_lsn, 25), "/log/16"));
    EXPECT_EQ(segments.Doubted() != nullptr, c.is_there);
    EXPECT_EQ(segments.ResolveDoubt(1012).ok(), c.is_there);
  }
}

// ---- Step 4

TEST(FollowedSegmentsTest, EachPlaceOfAWatermark) {
  for (uint64_t generation : {10, 12, 14}) {
    for (Lsn durable_lsn : {20, 25, 26, 40}) {
      for (uint64_t cut_generation : {0, 12, 13, 14, 15}) {
        SCOPED_TRACE(std::to_string(generation) + " " + std::to_string(durable_lsn) + " " +
                     std::to_string(cut_generation));
        FollowedSegments segments = Served(16);
        WatermarkBlock block = Block(generation, durable_lsn, 16384);
        block.cut_generation = cut_generation;
        segments.NoteDurable(block);
        const bool truncating = generation <= cut_generation && cut_generation >= 14;
        const bool news = generation == 14 && durable_lsn > 25;
        EXPECT_EQ(segments.tail_lsn(), news ? durable_lsn : 25);
        EXPECT_EQ(segments.MayRead(1), !truncating);
        EXPECT_EQ(segments.MayRead(segments.tail_lsn()), !truncating);
        EXPECT_FALSE(segments.MayRead(segments.tail_lsn() + 1));
        EXPECT_EQ(segments.Serve(*segments.Find(21)).end, news ? 16384 : kEnd);
      }
    }
  }
}

TEST(FollowedSegmentsTest, ReadsAgainWhenATruncationIsOver) {
  FollowedSegments segments = Served(16);
  WatermarkBlock block = Block(14, 25, kEnd);
  block.cuts = kCounted + 1;
  block.first_cut = 24;
  block.cut_generation = 14;
  ASSERT_OK(segments.NoteTruncations(block));
  segments.NoteDurable(block);
  EXPECT_FALSE(segments.MayRead(16));
  block.generation = 16;
  block.durable_lsn = 23;
  ASSERT_OK(segments.NoteTruncations(block));
  ASSERT_OK(segments.Append(Successor(16, 14, 24, 23), "/log/16"));
  segments.NoteDurable(block);
  EXPECT_TRUE(segments.MayRead(23));
  EXPECT_FALSE(segments.MayRead(24));
}

// ---- Reading

TEST(FollowedSegmentsTest, ServesAWholeSegmentAtOnce) {
  FollowedSegments segments = Served(3);
  const ReadRange range = segments.Serve(*segments.Find(3));
  EXPECT_EQ(range.segment.generation, 10u);
  EXPECT_EQ(range.last_lsn, 10u);
  EXPECT_EQ(range.end, 40960u);
  // Records up to 10 count as served: a truncation of 10 ends the follower, one of 11 does not.
  WatermarkBlock block = Block(14, 25, kEnd);
  block.cuts = kCounted + 1;
  block.first_cut = 11;
  EXPECT_OK(segments.NoteTruncations(block));
  ++block.cuts;
  block.first_cut = 10;
  EXPECT_FALSE(segments.NoteTruncations(block).ok());
}

TEST(FollowedSegmentsTest, FindsEachRecordInItsSegment) {
  const FollowedSegments segments = ThreeSegments();
  EXPECT_EQ(segments.Find(0), nullptr);
  for (Lsn lsn = 1; lsn <= 30; ++lsn) {
    EXPECT_EQ(segments.Find(lsn)->generation, lsn <= 10 ? 10 : lsn <= 20 ? 12 : 14) << lsn;
  }
}

}  // namespace
}  // namespace seawall
