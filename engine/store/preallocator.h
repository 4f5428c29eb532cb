// SPDX-License-Identifier: Apache-2.0
// Room for the writer: segments are made longer, and the next ones made, before they are needed.
//
// The rollover from one segment to the next is spread over three moments, and cannot be one step:
// each of them becomes true by a system call of its own, and the appending threads must not wait
// for the later ones. In this order:
//   1. TakeSpare(), by an appending thread, under the group commit's mutex: the next segment is
//      current, and appends get places in it. Nothing of it is on disk but its preallocation, which
//      CONTROL lists.
//   2. Begin(), by the leader, after it has written the segment's first group and header in one
//      write, and before the written watermark moves there: the predecessor is sealed. It was made
//      durable before that write, so the header proves its end.
//   3. NoteDurable(), by the leader, after a sync has covered that header and the durable watermark
//      has entered the segment: only now the predecessor's file may change (its index) or go.
// Several segments may be between 1 and 2; the leader begins them one after the other.
#ifndef SEAWALL_ENGINE_STORE_PREALLOCATOR_H_
#define SEAWALL_ENGINE_STORE_PREALLOCATOR_H_

#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "engine/segments/writable_segment.h"
#include "engine/store/store_state.h"
#include "engine/store/zero_rate.h"

namespace seawall {

// Thread-safe; everything is guarded by the store's mutex, except `allocated` (store_state.h). Jobs
// change a segment's file without it, which is safe since only the store's thread does that, and
// only beyond what the writer may fill.
class Preallocator {
 public:
  // `state` outlives this.
  explicit Preallocator(StoreState* state) : state_(state) {}

  // ---- For the writer. It fills one segment after the other: the one that SegmentStore::Start()
  // or TakeSpare() returned last is "the current one", and named by its generation.

  // How far the current segment may be filled: these bytes are on disk. Grows only.
  uint64_t allocated_bytes() const { return state_->allocated.load(std::memory_order_acquire); }
  // Says that the current segment is filled up to `end`; starts work ahead of need. Returns the
  // fill that is worth the next call.
  uint64_t NoteFill(uint64_t end);
  // Waits until the current segment may be filled up to `end`, or another one is current, or the
  // store failed: on_failure() was called then. Fails if an attempt to make room failed:
  // ResourceExhausted on a full disk. The next call tries again.
  absl::Status WaitForSpace(uint64_t generation, uint64_t end);
  // True if the next segment is ready, and may be filled up to `bytes`.
  bool HasSpare(uint64_t bytes) const;
  // True if no spare can be made before another segment is begun: CONTROL's list is full.
  bool AwaitsBegin() const;
  // The next segment, if one is ready; it is current then.
  std::shared_ptr<WritableSegment> TakeSpare();
  // Waits until one is ready, or another one is current; fails as WaitForSpace does.
  absl::Status WaitForSpare(uint64_t generation);
  // The first group of a segment was written: the one before it ended so. Takes over its file, so
  // that the writer need not close it.
  void Begin(const WritableSegment& segment, std::shared_ptr<WritableSegment> predecessor,
             uint64_t predecessor_end, uint64_t predecessor_digest);
  // The durable watermark has entered another segment.
  void NoteDurable();

  // ---- For the store's thread
  absl::Status Extend();
  absl::Status MakeSpare();

 private:
  using Clock = std::chrono::steady_clock;

  // How the current segment is made longer.
  struct Extension {
    std::shared_ptr<WritableSegment> file;
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t wanted = 0;    // somebody waits for this much; `from` if nobody does
    bool in_hurry = false;  // zeros would come too late
  };
  Extension PlanExtension() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex);
  absl::Status Lengthen(Extension* extension) ABSL_LOCKS_EXCLUDED(state_->mutex);
  // Takes from the budget what the file's length is.
  void Recount(const WritableSegment* file) ABSL_LOCKS_EXCLUDED(state_->mutex);
  // Returns the error for `bytes` that have no room below the cap. Posts an event if somebody
  // waits.
  absl::Status RefuseAtCap(uint64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex);
  // Waits for news; fails if that is a failed attempt that began after `asked`.
  absl::Status AwaitAttempt(uint64_t asked) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex);

  StoreState* const state_;
  ZeroRate zero_rate_ ABSL_GUARDED_BY(state_->mutex);
  Clock::time_point spare_wait_began_ ABSL_GUARDED_BY(state_->mutex) = {};  // of the first waiter
  // The log is at its cap, and an event has said so: no other until there was room.
  bool stalled_ ABSL_GUARDED_BY(state_->mutex) = false;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_PREALLOCATOR_H_
