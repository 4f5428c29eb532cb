// SPDX-License-Identifier: Apache-2.0
// The rounds of the group commit: who leads one, what it writes and syncs, and whom it wakes.
#ifndef SEAWALL_ENGINE_COMMIT_COMMIT_ROUNDS_H_
#define SEAWALL_ENGINE_COMMIT_COMMIT_ROUNDS_H_

#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "engine/commit/buffer_ring.h"
#include "engine/commit/commit_queue.h"
#include "engine/commit/cursor_holds.h"
#include "engine/commit/cursor_set.h"
#include "engine/commit/durable_callbacks.h"
#include "engine/commit/fast_append.h"
#include "engine/commit/group_buffer.h"
#include "engine/commit/round_io.h"
#include "engine/commit/waiter.h"
#include "engine/metrics/event_dispatcher.h"
#include "engine/store/segment_store.h"
#include "engine/store/watermarks.h"
#include "seawall/options.h"
#include "seawall/types.h"

namespace seawall {

// The mutex of GroupCommit and what it guards, with the steps of a round, which need all of it.
//
// Invariant: at most one thread leads. Between setting `leading` and HandOff() it alone drains
// buffers, writes, syncs and moves the watermarks, and whoever would do that meanwhile waits in the
// queue.
class CommitRounds {
 public:
  using Clock = std::chrono::steady_clock;

  // `buffers` are those of AllocateBuffers(options). The pointers outlive this; `events` may be
  // nullptr.
  CommitRounds(const Options& options, std::vector<GroupBuffer> buffers, FastAppend* fast,
               SegmentStore* store, Watermarks* marks, EventDispatcher* events);

  mutable Mutex mutex;
  CondVar room;  // for appends that wait for a buffer, or for the end of a truncation
  CondVar flusher_work;

  BufferRing ring ABSL_GUARDED_BY(mutex);
  CommitQueue queue ABSL_GUARDED_BY(mutex);
  RoundIo io ABSL_GUARDED_BY(mutex);
  CursorSet cursors ABSL_GUARDED_BY(mutex);
  CursorHolds cursor_holds ABSL_GUARDED_BY(mutex);
  DurableCallbacks callbacks ABSL_GUARDED_BY(mutex);

  bool leading ABSL_GUARDED_BY(mutex) = false;  // a thread leads
  uint32_t room_waiters ABSL_GUARDED_BY(mutex) = 0;
  // When something appended is due for stable storage by flush_interval_micros.
  Clock::time_point flush_at ABSL_GUARDED_BY(mutex) = Clock::time_point::max();
  bool closed ABSL_GUARDED_BY(mutex) = false;

  static absl::Status Closed() { return absl::FailedPreconditionError("the log is closed"); }
  // OK, the sticky error, or Closed().
  absl::Status StatusLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Makes an error the sticky one, unless there is one. The waiters are told at HandOff().
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool Reached(Lsn lsn, Durability level) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // There is something to write or to sync that nobody may be waiting for.
  bool FlushDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // ---- The lead
  // Returns when `waiter` was satisfied or failed, or leads. Releases the mutex: most of those that
  // wake up do not need it any more.
  Waiter::State AwaitTurn(Waiter* waiter) ABSL_UNLOCK_FUNCTION(mutex);
  // Leads a round for `waiter`, whose turn it is; true if that satisfied it.
  bool LeadFor(const Waiter& waiter) ABSL_LOCKS_EXCLUDED(mutex);
  // Becomes the leader when its turn comes; fails if the log failed or was closed.
  absl::Status TakeLead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Ends the round: wakes the satisfied waiters, and hands the lead to the next leader or gives it
  // up. Releases the mutex. `committers`: 1 if this thread led for a durable commit of its own.
  void HandOff(uint32_t committers) ABSL_UNLOCK_FUNCTION(mutex);

  // ---- For the leader. They drop the mutex while they are in the kernel.
  // Writes the closed buffers, with `all` also the open one, and syncs if somebody wants that.
  void Round(bool all, Durability level) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Return false if the log failed.
  bool WriteCursors() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool Sync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

 private:
  bool Satisfied(const Waiter& waiter) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool Drain(Durability level) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool WantsSync(Durability level) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Whether somebody waits for one.
  bool SyncIsAwaited(Durability level) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  void Advance(Lsn written, bool durable) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  const bool writes_are_durable_;
  Preallocator* const preallocator_;
  Watermarks* const marks_;  // this moves them, under the mutex
  EventDispatcher* const events_;
};

// Who waits asks this first, and mostly has what it wants.
inline bool CommitRounds::Reached(Lsn lsn, Durability level) const {
  switch (level) {
    case Durability::kAppended:
      return lsn <= ring.last_lsn();
    case Durability::kWritten:
      return lsn <= marks_->written_lsn();
    case Durability::kDurable:
      return lsn <= marks_->durable_lsn();
  }
  return false;
}

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_COMMIT_ROUNDS_H_
