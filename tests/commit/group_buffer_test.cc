// SPDX-License-Identifier: Apache-2.0
// Reserving without a lock. Under ThreadSanitizer this shows, too, that the leader sees all copies
// and that nobody reads what belongs to the next group.
#include "engine/commit/group_buffer.h"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace seawall {
namespace {

constexpr uint64_t kBufferBytes = 8192;

GroupBuffer::Group GroupAt(Lsn first_lsn, uint64_t head = 0) {
  GroupBuffer::Group group;
  group.segment = std::make_shared<WritableSegment>();
  group.segment->header.salt = first_lsn * 7;
  group.head = head;
  group.first_lsn = first_lsn;
  return group;
}

TEST(GroupBufferTest, PlacesFollowOneAnother) {
  GroupBuffer buffer;
  buffer.Allocate(kBufferBytes);
  GroupBuffer::Place first = buffer.Open(GroupAt(41, 100), 1000, 50, 1);
  EXPECT_EQ(first.to, buffer.memory() + 100 + kGroupHeaderBytes);
  EXPECT_EQ(first.first_lsn, 41u);
  EXPECT_EQ(first.salt, 41u * 7);
  GroupBuffer::Place second;
  ASSERT_TRUE(buffer.TryReserve(60, 3, &second));
  EXPECT_EQ(second.to, first.to + 50);
  EXPECT_EQ(second.first_lsn, 42u);
  EXPECT_EQ(buffer.record_count(), 4u);
  EXPECT_EQ(buffer.last_lsn(), 44u);
  EXPECT_EQ(buffer.end(), 100 + kGroupHeaderBytes + 110);
  EXPECT_EQ(buffer.fill().payload_bytes, 110 - 4 * kRecordHeaderBytes);
}

TEST(GroupBufferTest, TakesUpToItsLimitAndNothingOnceClosed) {
  GroupBuffer buffer;
  buffer.Allocate(kBufferBytes);
  GroupBuffer::Place place;
  EXPECT_FALSE(buffer.TryReserve(16, 1, &place)) << "never opened";
  buffer.Open(GroupAt(1), kGroupHeaderBytes + 100, 50, 1);
  EXPECT_FALSE(buffer.TryReserve(51, 1, &place));
  EXPECT_TRUE(buffer.TryReserve(50, 1, &place));
  EXPECT_FALSE(buffer.TryReserve(1, 1, &place));
  buffer.SetLimit(kGroupHeaderBytes + 200);
  EXPECT_TRUE(buffer.TryReserve(1, 1, &place));
  buffer.Close();
  EXPECT_FALSE(buffer.TryReserve(1, 1, &place));
  EXPECT_EQ(buffer.record_count(), 3u);
}

TEST(GroupBufferTest, TakesSoManyRecords) {
  GroupBuffer buffer;
  buffer.Allocate(kBufferBytes);
  buffer.Open(GroupAt(1), kBufferBytes, 16, kMaxBatchRecords - 1);
  GroupBuffer::Place place;
  EXPECT_FALSE(buffer.TryReserve(16, 2, &place));
  ASSERT_TRUE(buffer.TryReserve(16, 1, &place));
  EXPECT_EQ(place.first_lsn, kMaxBatchRecords);
  EXPECT_EQ(buffer.record_count(), kMaxBatchRecords);
  EXPECT_FALSE(buffer.TryReserve(16, 1, &place));
}

TEST(GroupBufferTest, TakesSoManyRecordsWithoutMarks) {
  GroupBuffer buffer;
  buffer.Allocate(kBufferBytes);
  buffer.Open(GroupAt(1), kBufferBytes, 16, kMaxBatchRecords - 1);
  GroupBuffer::Place place;
  ASSERT_TRUE(buffer.TryReserveUnmarked(16, &place));
  EXPECT_EQ(place.first_lsn, kMaxBatchRecords);
  EXPECT_FALSE(buffer.TryReserveUnmarked(16, &place));
  EXPECT_EQ(buffer.record_count(), kMaxBatchRecords);
}

// Records of all sizes: each boundary has the one that passes it, or ends at it.
TEST(GroupBufferTest, MarksTheRecordsAtBoundaries) {
  constexpr uint64_t kBoundary = 16 << 10;
  constexpr uint64_t kEnd = 20 * kBoundary;
  GroupBuffer buffer;
  buffer.Allocate(kEnd);
  for (uint64_t head : {uint64_t{0}, uint64_t{96}, kBoundary - kGroupHeaderBytes - 8}) {
    for (uint64_t bytes : {uint64_t{16}, uint64_t{512}, uint64_t{1000}, 3 * kBoundary + 24}) {
      const Lsn first = 1 + head + bytes;
      GroupBuffer::Place place = buffer.Open(GroupAt(first, head), kEnd, bytes, 1);
      std::vector<uint64_t> begins;
      for (;;) {
        const uint64_t at = static_cast<uint64_t>(place.to - buffer.memory());
        begins.push_back(at);
        buffer.Mark(place.to, bytes, place.first_lsn);
        buffer.Done(1);
        const bool crosses = (at + bytes) / kBoundary != (at + 2 * bytes) / kBoundary;
        if (buffer.TryReserveUnmarked(bytes, &place)) {
          ASSERT_FALSE(crosses) << at;
        } else if (!buffer.TryReserve(bytes, 1, &place)) {
          break;
        } else {
          ASSERT_TRUE(crosses) << at;
        }
      }
      buffer.Close();
      buffer.WaitForCopies();
      uint64_t boundary = (head + kGroupHeaderBytes) / kBoundary * kBoundary;
      buffer.ForEachMark([&](const GroupBuffer::MarkedRecord& record) {
        boundary += kBoundary;
        ASSERT_LT(record.number, begins.size());
        EXPECT_EQ(record.at, begins[record.number]);
        EXPECT_LT(record.at, boundary);
        EXPECT_GE(record.at + bytes, boundary);
      });
      EXPECT_EQ(boundary, buffer.end() / kBoundary * kBoundary);
      buffer.Drained();
    }
  }
}

// The epoch goes round after 4096 openings, and must not carry into its neighbours.
TEST(GroupBufferTest, IsOpenedAgainAndAgain) {
  GroupBuffer buffer;
  buffer.Allocate(kBufferBytes);
  for (Lsn lsn = 1; lsn < 10000; lsn += 2) {
    buffer.Open(GroupAt(lsn), kBufferBytes, 20, 1);
    GroupBuffer::Place place;
    ASSERT_TRUE(buffer.TryReserve(20, 1, &place));
    ASSERT_EQ(place.first_lsn, lsn + 1);
    buffer.Done(1);
    buffer.Done(1);
    buffer.Close();
    buffer.WaitForCopies();
    ASSERT_EQ(buffer.last_lsn(), lsn + 1);
    buffer.Drained();
  }
}

// Threads append without a pause, with a pointer to a buffer that may be closed, drained and open
// for another group by now. The owner closes, checks and opens again.
TEST(GroupBufferTest, EveryReservationIsInExactlyOneGroup) {
  constexpr int kThreads = 3;
  constexpr uint64_t kBytes = 24;
  GroupBuffer buffer;
  buffer.Allocate(kBufferBytes);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> reserved{0};
  auto append = [&] {
    while (!stop.load(std::memory_order_relaxed)) {
      GroupBuffer::Place place;
      if (!buffer.TryReserve(kBytes, 1, &place)) continue;
      std::memcpy(place.to, &place.first_lsn, sizeof(Lsn));
      std::memcpy(place.to + 8, &place.salt, sizeof(uint64_t));
      buffer.Done(1);
      reserved.fetch_add(1, std::memory_order_relaxed);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(append);
  Lsn next = 1;
  uint64_t opened = 0;
  // The threads may not have begun by then: until they have taken part.
  for (; opened < 3000 || reserved.load(std::memory_order_relaxed) == 0; ++opened) {
    const uint64_t head = opened % 64;
    GroupBuffer::Place own = buffer.Open(GroupAt(next, head), kBufferBytes, kBytes, 1);
    const uint64_t salt = own.salt;
    ASSERT_EQ(own.first_lsn, next);
    std::memcpy(own.to, &next, sizeof(Lsn));
    std::memcpy(own.to + 8, &salt, sizeof(uint64_t));
    buffer.Done(1);
    if (opened % 3 == 0) std::this_thread::yield();
    buffer.Close();
    buffer.WaitForCopies();
    const char* at = buffer.memory() + head + kGroupHeaderBytes;
    for (Lsn lsn = next; lsn <= buffer.last_lsn(); ++lsn, at += kBytes) {
      Lsn found_lsn = 0;
      uint64_t found_salt = 0;
      std::memcpy(&found_lsn, at, sizeof(Lsn));
      std::memcpy(&found_salt, at + 8, sizeof(uint64_t));
      ASSERT_EQ(found_lsn, lsn);
      ASSERT_EQ(found_salt, salt);
    }
    ASSERT_EQ(buffer.end(), head + kGroupHeaderBytes + kBytes * buffer.record_count());
    next = buffer.last_lsn() + 1;
    buffer.Drained();
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(next - 1, reserved + opened);
}

}  // namespace
}  // namespace seawall
