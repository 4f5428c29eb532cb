// SPDX-License-Identifier: Apache-2.0
// What the leader of a round does at the disk: writes and syncs, measured, and the watermarks that
// follow from them.
#ifndef SEAWALL_ENGINE_COMMIT_ROUND_IO_H_
#define SEAWALL_ENGINE_COMMIT_ROUND_IO_H_

#include <chrono>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "engine/commit/group_writer.h"
#include "engine/commit/waiter.h"
#include "engine/metrics/commit_meter.h"
#include "engine/store/watermarks.h"
#include "seawall/options.h"
#include "seawall/stats.h"

namespace seawall {

// Not thread-safe: CommitRounds' mutex guards it. Write(), WriteCursors() and Sync() drop that
// mutex while they are in the kernel, so that others can append and join the queue meanwhile; only
// the leader calls them, and the writer belongs to the leader.
//
// Invariant: what a watermark says was written or synced by a call that had returned OK before
// Advance().
class RoundIo {
 public:
  using Clock = std::chrono::steady_clock;

  // `preallocator`, `marks` and `events` outlive this; `events` may be nullptr.
  RoundIo(const Options& options, Preallocator* preallocator, Watermarks* marks,
          EventDispatcher* events);

  // The next group goes to `segment`, where those until now end at `end` and have this digest.
  void GoOnAt(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest) {
    writer_.Start(std::move(segment), end, digest);
  }
  void BeginRound(Clock::time_point now) { meter_.RoundBegins(now); }

  // Writes the group in a closed buffer; see GroupWriter::Write().
  absl::Status Write(Mutex* mutex, GroupBuffer* buffer, const CursorTable* cursors,
                     bool sync_follows) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Writes the cursors' table; a sync has to follow.
  absl::Status WriteCursors(Mutex* mutex, const CursorTable& cursors)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // Makes durable what was written. No call where each write is a sync of its own.
  absl::Status Sync(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // Moves the written watermark to record `written`, which ends what the writer has written, and,
  // if `durable`, the durable one too. Returns true if that one entered another segment.
  bool Advance(Lsn written, bool durable, uint64_t cursor_sequence);

  // The waiter has what it waited for: sets when that had come, and counts how long it was queued.
  void NoteReached(Waiter* waiter) {
    waiter->reached_at = waiter->level == Durability::kDurable ? durable_at_ : written_at_;
    NoteQueued(*waiter);
  }
  // The same for the leader's own wait, which nobody wakes it from.
  void NoteQueued(const Waiter& waiter) {
    if (waiter.cursor_change == 0) meter_.AddQueued(waiter.joined_at);
  }

  uint64_t digest() const { return writer_.digest(); }
  void AddStats(Stats* stats) const;

 private:
  const bool writes_are_durable_;
  Watermarks* const marks_;
  GroupWriter writer_;
  CommitMeter meter_;
  // When the watermarks moved last.
  Clock::time_point written_at_ = {};
  Clock::time_point durable_at_ = {};
  uint64_t bytes_written_ = 0;  // the writer's, when it was not in a call
  uint64_t groups_written_ = 0;
  uint64_t syncs_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_ROUND_IO_H_
