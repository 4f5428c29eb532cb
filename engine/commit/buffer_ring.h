// SPDX-License-Identifier: Apache-2.0
// The buffers that groups are made in, and where in the segments the groups will go.
#ifndef SEAWALL_ENGINE_COMMIT_BUFFER_RING_H_
#define SEAWALL_ENGINE_COMMIT_BUFFER_RING_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/commit/fast_append.h"
#include "engine/commit/group_buffer.h"
#include "engine/segments/writable_segment.h"
#include "engine/store/preallocator.h"
#include "seawall/options.h"
#include "seawall/stats.h"
#include "seawall/types.h"

namespace seawall {

// Not thread-safe: CommitRounds' mutex guards it. (Threads that append without the mutex reserve in
// the open buffer, which this publishes in a FastAppend.)
//
// Invariants:
//   1. Buffers drained_ .. opened_ - 1, modulo the ring's size, hold records, oldest first. All of
//      them but the last are closed; the last one is closed, or it is the open one.
//   2. Groups lie in the file in the order of the ring, without a gap: each begins where the one
//      before it ends, or at the beginning of the next segment.
//   3. LSNs are dense: closed_lsn_ is the last one of the closed buffers, and the open buffer's
//      first is the one after it.
//   4. A buffer is opened again only after PopFront(), which follows the write of its group
//      (CommitRounds::Drain); it need not be synced. All copies into it have ended by then, since
//      the writer waited for them.
class BufferRing {
 public:
  using Clock = std::chrono::steady_clock;

  // `preallocator` and `fast` outlive this. `buffers` are those of AllocateBuffers(options).
  BufferRing(const Options& options, std::vector<GroupBuffer> buffers, Preallocator* preallocator,
             FastAppend* fast);

  // The next group goes to `segment` at `end`; its first record is the one after `last_lsn`.
  // Nothing is in the ring.
  void GoOnAt(std::shared_ptr<WritableSegment> segment, uint64_t end, Lsn last_lsn);

  // ---- For appending threads

  // What came of trying to reserve.
  enum class Room {
    kReserved,
    kNoBuffer,       // all buffers hold records
    kFileFull,       // the file has to be made longer first
    kNoNextSegment,  // the next segment is not ready
  };
  struct Reservation {
    GroupBuffer* buffer = nullptr;
    GroupBuffer::Place place;
    uint64_t file_end = 0;  // how long the file has to be; set with kFileFull
    bool opened_buffer = false;
    bool closed_buffer = false;  // it was full, and is to be written
  };
  Room Reserve(uint64_t bytes, uint32_t records, Reservation* reservation);

  // With kFileFull, where the disk is full too: has the next group go to the next segment, if that
  // is ready with room for so much, and returns true. Closes the open buffer then. `generation` is
  // the segment that was full.
  bool RollOverEarly(uint64_t generation, uint64_t bytes);

  // The last record appended.
  Lsn last_lsn() const {
    const GroupBuffer* open = fast_->open();
    return open != nullptr ? open->last_lsn() : closed_lsn_;
  }
  // The segment that the next group goes to.
  uint64_t generation() const { return segment_->header.generation; }

  // ---- For the leader, who drains them

  // From here on nothing is reserved in the buffer that is open.
  void CloseOpen();
  bool has_full() const { return full() > 0; }
  // How many buffers are closed and not drained.
  uint64_t full() const { return opened_ - drained_ - (fast_->open() != nullptr ? 1 : 0); }
  bool empty() const { return opened_ == drained_; }
  // The last record of the closed buffers.
  Lsn closed_lsn() const { return closed_lsn_; }
  GroupBuffer* front() { return &buffers_[drained_ % buffers_.size()]; }
  // The group in front() was written.
  void PopFront();
  // When what is in `buffer` is due for stable storage by flush_interval_micros.
  Clock::time_point FlushTimeOf(const GroupBuffer& buffer) const;

  void AddStats(Stats* stats) const;

 private:
  Room OpenNext(uint64_t bytes, uint32_t records, Reservation* reservation);
  // True if the open buffer may take so much more, once the file has the room.
  bool Fits(const GroupBuffer& open, uint64_t bytes, uint32_t records) const;
  // Where reservations for a group end, as long as the file is as long as it is now.
  uint64_t Limit(const GroupBuffer::Group& group) const;
  // Reports to the store how far the file is filled, and lets appends pass without that until the
  // store wants to know again.
  void NoteFill(GroupBuffer* buffer);
  uint64_t GroupsBegin() const {
    return kSegmentHeaderBytes + (options_.cursors ? kCursorAreaBytes : 0);
  }

  const Options options_;
  const uint64_t write_unit_;    // writes begin and end at multiples of this
  const uint64_t groups_limit_;  // what comes after it in a segment's file is for the index
  Preallocator* const preallocator_;
  FastAppend* const fast_;

  std::vector<GroupBuffer> buffers_;
  uint64_t opened_ = 0;
  uint64_t drained_ = 0;
  Lsn closed_lsn_ = 0;

  // Where the next group goes: to next_offset_ of segment_, whose header it brings along if
  // begins_segment_; or to the next segment, if roll_over_.
  std::shared_ptr<WritableSegment> segment_;
  uint64_t next_offset_ = 0;
  bool begins_segment_ = false;
  bool roll_over_ = false;

  // Of the closed buffers.
  uint64_t appended_records_ = 0;
  uint64_t appended_payload_bytes_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_BUFFER_RING_H_
