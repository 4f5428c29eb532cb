// SPDX-License-Identifier: Apache-2.0
// The list of a log's segments: small, and handing out what was put in.
#include "engine/segments/segment_list.h"

#include <malloc.h>

#include <memory>
#include <vector>

#include "engine/format/format.h"
#include "engine/segments/segment_index.h"
#include "gtest/gtest.h"

namespace seawall {
namespace {

// The segments 10, 20, ... of 100 records each, from record 1 on; the last one is being written.
SegmentList ListOf(size_t count) {
  SegmentList list("/log");
  for (size_t i = 0; i < count; ++i) {
    SegmentRef segment;
    segment.generation = 10 * (i + 1);
    segment.base_lsn = 100 * i + 1;
    if (i + 1 < count) segment.last_lsn = 100 * (i + 1);
    if (i + 1 < count) segment.end = 8192;
    list.PushBack(segment);
  }
  return list;
}

TEST(SegmentListTest, HandsOutWhatWasPutIn) {
  SegmentRef segment;
  segment.generation = 42;
  segment.salt = 0xfedcba9876543210;
  segment.base_lsn = 7;
  segment.last_lsn = 19;
  segment.end = 12288;
  segment.digest = 0x0123456789abcdef;
  segment.file_bytes = 16384;
  segment.newest_unix_micros = 1763700000000000;
  segment.index = std::make_shared<SegmentIndex>();
  segment.groups_begin = kSegmentHeaderBytes + kCursorAreaBytes;
  SegmentList list("/log");
  list.PushBack(segment);
  const SegmentRef found = list.Ref(0);
  EXPECT_EQ(found.path, "/log/0000000000000042.seg");
  EXPECT_EQ(found.generation, segment.generation);
  EXPECT_EQ(found.salt, segment.salt);
  EXPECT_EQ(found.base_lsn, segment.base_lsn);
  EXPECT_EQ(found.last_lsn, segment.last_lsn);
  EXPECT_EQ(found.end, segment.end);
  EXPECT_EQ(found.digest, segment.digest);
  EXPECT_EQ(found.file_bytes, segment.file_bytes);
  EXPECT_EQ(found.newest_unix_micros, segment.newest_unix_micros);
  EXPECT_EQ(found.index, segment.index);
  EXPECT_EQ(found.groups_begin, segment.groups_begin);
  EXPECT_EQ(found.pin, nullptr);
  list.DropIndex(42);
  EXPECT_EQ(list.Ref(0).index, nullptr);
  EXPECT_EQ(ListOf(1).Ref(0).groups_begin, kSegmentHeaderBytes);
}

TEST(SegmentListTest, FindsByGenerationAndByRecord) {
  const SegmentList list = ListOf(3);
  EXPECT_EQ(list.Find(10), 0u);
  EXPECT_EQ(list.Find(30), 2u);
  for (uint64_t other : {0, 9, 11, 29, 31}) EXPECT_EQ(list.Find(other), 3u) << other;
  EXPECT_EQ(list.FirstAbove(0), 0u);
  EXPECT_EQ(list.FirstAbove(10), 1u);
  EXPECT_EQ(list.FirstAbove(29), 2u);
  EXPECT_EQ(list.FirstAbove(30), 3u);
  EXPECT_EQ(list.CountUpTo(0), 0u);
  EXPECT_EQ(list.CountUpTo(1), 1u);
  EXPECT_EQ(list.CountUpTo(100), 1u);
  EXPECT_EQ(list.CountUpTo(101), 2u);
  EXPECT_EQ(list.CountUpTo(100000), 3u);
  EXPECT_EQ(SegmentList().Find(1), 0u);
}

TEST(SegmentListTest, KnowsTheSumOfEnds) {
  SegmentList list = ListOf(4);
  EXPECT_EQ(list.end_bytes(), 3u * 8192);
  list.EndLast(350, 4096, 0x77);
  EXPECT_EQ(list.end_bytes(), 3u * 8192 + 4096);
  EXPECT_EQ(list.back().last_lsn, 350u);
  EXPECT_EQ(list.back().digest, 0x77u);
  list.EndLast(340, 1024, 0x78);
  EXPECT_EQ(list.end_bytes(), 3u * 8192 + 1024);
  list.PopBack();
  list.PopFront();
  EXPECT_EQ(list.end_bytes(), 2u * 8192);
  list.PushFront(ListOf(2).front());
  EXPECT_EQ(list.end_bytes(), 3u * 8192);
  EXPECT_EQ(list.front().generation, 10u);
}

TEST(SegmentListTest, APinIsSeenUntilTheLastCopyIsGone) {
  SegmentList list = ListOf(3);
  EXPECT_TRUE(list.Pins(0).expired());
  SegmentRef first = list.PinnedRef(0);
  SegmentRef second = list.PinnedRef(0);
  EXPECT_EQ(first.pin, second.pin);
  EXPECT_TRUE(list.Pins(1).expired());
  // The file leaves the list, not the reader.
  const std::weak_ptr<const int> pins = list.Pins(0);
  list.PopFront();
  EXPECT_FALSE(pins.expired());
  first.pin.reset();
  EXPECT_FALSE(pins.expired());
  second.pin.reset();
  EXPECT_TRUE(pins.expired());
}

TEST(SegmentListTest, APinThatWasLetGoCanBeTakenAgain) {
  SegmentList list = ListOf(2);
  list.PinnedRef(0);
  const std::weak_ptr<const int> before = list.Pins(0);
  EXPECT_TRUE(before.expired());
  const SegmentRef again = list.PinnedRef(0);
  EXPECT_TRUE(before.expired());
  EXPECT_FALSE(list.Pins(0).expired());
}

TEST(SegmentListTest, PinsThatNobodyHoldsAreForgotten) {
  SegmentList list = ListOf(1000);
  std::vector<SegmentRef> held;
  for (size_t i = 0; i < list.size(); ++i) {
    const SegmentRef segment = list.PinnedRef(i);
    if (i % 100 == 0) held.push_back(segment);
    EXPECT_LE(list.tracked_pins(), 32u);
  }
  for (size_t i = 0; i < list.size(); ++i) EXPECT_EQ(list.Pins(i).expired(), i % 100 != 0) << i;
}

TEST(SegmentListTest, ASegmentTakesLessThan80Bytes) {
  constexpr size_t kSegments = 100000;
  const size_t before = mallinfo2().uordblks + mallinfo2().hblkhd;
  const SegmentList list = ListOf(kSegments);
  const size_t after = mallinfo2().uordblks + mallinfo2().hblkhd;
  if (after == before) GTEST_SKIP() << "this allocator does not tell";
  EXPECT_LT((after - before) / kSegments, 80u);
}

}  // namespace
}  // namespace seawall
