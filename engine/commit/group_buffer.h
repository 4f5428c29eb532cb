// SPDX-License-Identifier: Apache-2.0
// One group in the making: an aligned buffer where appending threads reserve a place by one
// compare-and-swap, and copy their records at the same time.
#ifndef SEAWALL_ENGINE_COMMIT_GROUP_BUFFER_H_
#define SEAWALL_ENGINE_COMMIT_GROUP_BUFFER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "engine/commit/waiter.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/writable_segment.h"
#include "seawall/options.h"
#include "seawall/types.h"

namespace seawall {

// A buffer is opened for a group, takes reservations, is closed, written by the leader, and opened
// again for a later group.
//
// Open(), Close(), SetLimit() and the fields belong to the owner: the log's mutex until the
// buffer is closed, the leader from then until it is drained. TryReserve() and Done() are for any
// thread without a lock; `memory` belongs, piece by piece, to those that reserved it.
class GroupBuffer {
 public:
  struct Place {
    char* to = nullptr;
    Lsn first_lsn = 0;
    uint64_t salt = 0;
  };

  // What a group is, but for what was reserved.
  struct Group {
    std::shared_ptr<WritableSegment> segment;
    bool begins_segment = false;
    uint64_t origin = 0;  // file offset of memory[0]: a multiple of the write unit
    uint64_t head = 0;    // where in memory the group begins
    Lsn first_lsn = 0;
    // When the first record came; set where there is a flush interval.
    std::chrono::steady_clock::time_point begun_at = {};
  };

  // Room for a group of so many bytes. It may begin anywhere in a block, behind a segment's header
  // and its cursors, and ends with a whole block.
  void Allocate(uint64_t buffer_bytes) {
    memory_ =
        AlignedBuffer(buffer_bytes + kSegmentHeaderBytes + kCursorAreaBytes + 2 * kBlockBytes);
    marks_ = std::make_unique<MarkedRecord[]>(MarkOf(memory_.size()) + 1);
  }

  // Opens it, with a first reservation. Reservations end at `limit` in memory.
  Place Open(Group group, uint64_t limit, uint64_t bytes, uint32_t records) {
    group_ = std::move(group);
    copies_.Reset();
    limit_.store(limit, std::memory_order_relaxed);
    const uint64_t epoch = (word_.load(std::memory_order_relaxed) & kEpochMask) + kEpochUnit;
    const uint64_t begin = group_.head + kGroupHeaderBytes;
    const Place place{memory_.data() + begin, group_.first_lsn, group_.segment->header.salt};
    // Releases the fields: who reserves has seen them.
    word_.store((epoch & kEpochMask) | uint64_t{records} << kEndBits | (begin + bytes),
                std::memory_order_release);
    return place;
  }

  // False if the buffer is closed or this would pass the limit.
  //
  // A buffer may be closed, drained and opened again between the load of the word and its exchange:
  // the epoch in the word tells. After as many openings as it has values (and with the same fill)
  // it does not; then the place is a right one all the same, only its limit was looked up in a
  // group gone by: the file may grow by a record where no zeros are yet.
  bool TryReserve(uint64_t bytes, uint32_t records, Place* place) {
    uint64_t word = word_.load(std::memory_order_acquire);
    do {
      if ((word & kClosed) != 0 || EndOf(word) + bytes > limit_.load(std::memory_order_relaxed) ||
          RecordsOf(word) + records > kMaxBatchRecords) {
        return false;
      }
    } while (!word_.compare_exchange_weak(word, word + (uint64_t{records} << kEndBits) + bytes,
                                          std::memory_order_acquire, std::memory_order_acquire));
    *place = PlaceAt(word);
    return true;
  }
  // The same for a record that Mark() would pass over, as it would nearly all; false for another
  // one, too.
  bool TryReserveUnmarked(uint64_t bytes, Place* place) {
    uint64_t word = word_.load(std::memory_order_acquire);
    uint64_t next;
    do {
      next = word + (uint64_t{1} << kEndBits) + bytes;
      if ((word & kClosed) != 0 || EndOf(word) + bytes > limit_.load(std::memory_order_relaxed) ||
          // One look for both: the end passes a boundary, the number of records overflows.
          ((word ^ next) & (kMarkMask | kEpochMask)) != 0) {
        return false;
      }
    } while (!word_.compare_exchange_weak(word, next, std::memory_order_acquire,
                                          std::memory_order_acquire));
    *place = PlaceAt(word);
    return true;
  }
  // Before Done(), of each record: where it was put, its size there, its LSN. Notes those that
  // ForEachMark() gives.
  void Mark(const char* to, uint64_t bytes, Lsn lsn) {
    const uint64_t at = static_cast<uint64_t>(to - memory_.data());
    const MarkedRecord record{static_cast<uint32_t>(lsn - group_.first_lsn),
                              static_cast<uint32_t>(at)};
    for (uint64_t i = MarkOf(at) + 1; i <= MarkOf(at + bytes); ++i) marks_[i] = record;
  }
  // `records` that were reserved are copied.
  void Done(uint32_t records) { copies_.Done(records); }

  // From here on nothing is reserved.
  void Close() { word_.fetch_or(kClosed, std::memory_order_acq_rel); }
  void SetLimit(uint64_t limit) { limit_.store(limit, std::memory_order_relaxed); }
  // After Close(): returns when all that was reserved is copied.
  void WaitForCopies() { copies_.WaitFor(record_count()); }
  // After the group was written.
  void Drained() { group_.segment.reset(); }

  const Group& group() const { return group_; }
  char* memory() { return memory_.data(); }
  // Grow until Close().
  uint64_t end() const { return EndOf(word_.load(std::memory_order_relaxed)); }
  uint32_t record_count() const { return RecordsOf(word_.load(std::memory_order_relaxed)); }
  Lsn last_lsn() const { return group_.first_lsn + record_count() - 1; }

  // A record, and where in memory it begins.
  struct MarkedRecord {
    uint32_t number = 0;  // in the group, from 0
    uint32_t at = 0;
  };
  // After WaitForCopies(): calls `take` with a record for each boundary (kMarkBits) in the group,
  // in order; with the same one again if several lie in it.
  template <typename Take>
  void ForEachMark(Take take) const {
    const uint64_t last = MarkOf(end());
    for (uint64_t i = MarkOf(group_.head + kGroupHeaderBytes) + 1; i <= last; ++i) {
      take(marks_[i]);
    }
  }

  // What was reserved until one moment.
  struct Fill {
    uint32_t records = 0;
    uint64_t payload_bytes = 0;
  };
  Fill fill() const {
    const uint64_t word = word_.load(std::memory_order_relaxed);
    const uint32_t records = RecordsOf(word);
    return {records,
            EndOf(word) - group_.head - kGroupHeaderBytes - uint64_t{records} * kRecordHeaderBytes};
  }

 private:
  // The word: 1 bit closed, 12 bits epoch, 20 bits records, 31 bits end in memory.
  static constexpr int kEndBits = 31;
  static constexpr int kRecordBits = 20;
  static constexpr uint64_t kEpochUnit = uint64_t{1} << (kEndBits + kRecordBits);
  static constexpr uint64_t kClosed = uint64_t{1} << 63;
  static constexpr uint64_t kEpochMask = kClosed - kEpochUnit;
  static_assert(kMaxBatchRecords == (uint32_t{1} << kRecordBits) - 1);

  static uint64_t EndOf(uint64_t word) { return word & ((uint64_t{1} << kEndBits) - 1); }
  static uint32_t RecordsOf(uint64_t word) {
    return static_cast<uint32_t>(word >> kEndBits) & ((uint32_t{1} << kRecordBits) - 1);
  }

  // Boundaries are at multiples of this in memory: each one within the group has a record of its
  // own that begins before it and ends at or behind it.
  static constexpr int kMarkBits = 14;
  static constexpr uint64_t kMarkMask =
      (uint64_t{1} << kEndBits) - (uint64_t{1} << kMarkBits);  // of the word

  static uint64_t MarkOf(uint64_t at) { return at >> kMarkBits; }

  // What was reserved by the exchange of this word. The fields stay as they are until Done().
  Place PlaceAt(uint64_t word) {
    return {memory_.data() + EndOf(word), group_.first_lsn + RecordsOf(word),
            group_.segment->header.salt};
  }

  AlignedBuffer memory_;
  // By boundary. Each belongs to the one thread that copies its record, until Done(), then to the
  // leader; those within a group are all set by it, so that none is left of another group.
  std::unique_ptr<MarkedRecord[]> marks_;
  Group group_;
  std::atomic<uint64_t> word_{kClosed};
  std::atomic<uint64_t> limit_{0};
  CopyCount copies_;
};

// The memory of all buffers of a log. Throws std::bad_alloc if the kernel does not give so much.
inline std::vector<GroupBuffer> AllocateBuffers(const Options& options) {
  std::vector<GroupBuffer> buffers(options.buffer_count);
  for (GroupBuffer& buffer : buffers) buffer.Allocate(options.buffer_bytes);
  return buffers;
}

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_GROUP_BUFFER_H_
