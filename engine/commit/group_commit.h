// SPDX-License-Identifier: Apache-2.0
// The way of a record: reserved in a buffer, copied there, sealed in a group, written, synced.
//
// Appending threads reserve LSN and place in a buffer and copy outside of any lock. A thread that
// waits becomes the leader if there is none: it seals what is there, writes and syncs it, wakes
// those it has satisfied, and hands the lead to the first it has not (group commit, DeWitt et al.,
// SIGMOD 1984). Meanwhile others fill the next buffer. A background thread, the flusher, leads when
// buffers are full or callbacks are due and nobody waits.
//
// Who does what, all under one mutex:
//   FastAppend        most appends, without the mutex
//   BufferRing        the buffers, and where in the file their groups go
//   CommitQueue       who waits, on which word, and the commit delay
//   RoundIo           a leader's writes and syncs, without the mutex while they are in the kernel
//   DurableCallbacks  what NotifyDurable() was given
//   CursorSet, CursorHolds  the cursors, and what they keep from being trimmed
//   CommitRounds      has the mutex and these; the lead, a round and its hand-off
//   GroupCommit       appending with the mutex, waiting, truncating, closing, the flusher
// engine/commit/model/commit_protocol.pml has the protocol between them, with these names.
#ifndef SEAWALL_ENGINE_COMMIT_GROUP_COMMIT_H_
#define SEAWALL_ENGINE_COMMIT_GROUP_COMMIT_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/commit/buffer_ring.h"
#include "engine/commit/commit_rounds.h"
#include "engine/commit/cursor_holds.h"
#include "engine/commit/cursor_set.h"
#include "engine/commit/durable_callbacks.h"
#include "engine/commit/fast_append.h"
#include "engine/commit/group_buffer.h"
#include "engine/metrics/event_dispatcher.h"
#include "engine/store/segment_store.h"
#include "engine/store/watermarks.h"
#include "seawall/options.h"
#include "seawall/stats.h"
#include "seawall/types.h"

namespace seawall {

// Thread-safe.
//
// Invariant: whoever sets rounds_.leading, in AwaitTurn() or itself, calls HandOff() before it
// returns, as waiters depend on that.
class GroupCommit {
 public:
  using Callback = DurableCallbacks::Callback;

  // `buffers` are those of AllocateBuffers(options). `store`, `marks` and `events` outlive this;
  // `events` may be nullptr.
  GroupCommit(const Options& options, std::vector<GroupBuffer> buffers, SegmentStore* store,
              Watermarks* marks, EventDispatcher* events = nullptr);
  ~GroupCommit();

  // Appends go to `segment` at `end` from now on, the first one with the LSN after `last_lsn`;
  // everything before is durable. Starts the flusher.
  void Start(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest, Lsn last_lsn);

  // The way of most appends: without a lock, to the buffer that is open. 0 if that has no room, or
  // none is open; then Append().
  Lsn TryAppend(std::string_view record) { return fast_.Try(record); }
  // Records that fit one group: kMaxBatchRecords, Options::MaxBatchBytes().
  // `tried`: this thread comes from TryAppend() with them.
  absl::StatusOr<LsnRange> Append(absl::Span<const std::string_view> records, bool tried);
  absl::Status Wait(Lsn lsn, Durability level);
  absl::Status Notify(Lsn lsn, Callback callback);

  Lsn appended_lsn() const;
  // Returns OK, the sticky error, or FailedPrecondition after Close().
  absl::Status status() const;
  // One moment's, with the store's.
  Stats stats() const;

  // Makes an error that was met elsewhere the sticky one.
  void Latch(const absl::Status& status);

  // Discards what is above `lsn`, with `reset` all there is; goes on with lsn + 1.
  absl::Status Truncate(Lsn lsn, bool reset);

  // For a log that has cursors: `table` is durable in both slots of the segment of Start(). Before
  // the store is started, so that nothing they hold is trimmed.
  void StartCursors(CursorTable table);
  // Runs `change`, which returns the number of its change, under the mutex; then, unless `until` is
  // kAppended, waits until that change is durable. Fails without running it if the log has no
  // cursors, failed or was closed.
  absl::Status ChangeCursors(
      Durability until,
      absl::FunctionRef<absl::StatusOr<uint64_t>(CursorSet*, CursorHolds*)> change);
  void ReadCursors(absl::FunctionRef<void(const CursorSet&)> read) const;

  // Makes everything durable, runs the callbacks that are due, stops. Then the log ends at the
  // durable watermark, and digest() is the digest of its last segment.
  absl::Status Close();
  uint64_t digest() const;

 private:
  using Clock = std::chrono::steady_clock;
  using Room = BufferRing::Room;

  // ---- Appending, where there is no room at once (group_append.cc)
  absl::Status MakeRoom(Room lacking, uint64_t bytes, uint64_t file_end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(rounds_.mutex);
  // For kFileFull and kNoNextSegment: until the store has made room, as far as it can.
  absl::Status AwaitStore(Room lacking, uint64_t bytes, uint64_t file_end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(rounds_.mutex);
  // Until a buffer was drained or the lead is free.
  void AwaitDrain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(rounds_.mutex);

  // ---- Waiting
  // Returns an error if `lsn` can no longer reach a level that it has not reached: the log failed,
  // was closed, or never assigned it.
  absl::Status CheckWait(Lsn lsn) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(rounds_.mutex);
  // Has the store truncate, without the mutex, when all is durable and nobody appends.
  absl::Status TruncateStore(Lsn lsn, bool reset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(rounds_.mutex);

  // ---- The flusher
  void RunFlusher();
  // Runs what is due, without the mutex; false if nothing was.
  bool RunCallbacks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(rounds_.mutex);

  const Options options_;
  SegmentStore* const store_;
  Watermarks* const marks_;
  EventDispatcher* const events_;
  std::thread flusher_;
  FastAppend fast_;       // without the mutex
  AtomicHistogram wake_;  // how long woken threads take to return

  CommitRounds rounds_;
  bool truncating_ ABSL_GUARDED_BY(rounds_.mutex) = false;
  bool stop_flusher_ ABSL_GUARDED_BY(rounds_.mutex) = false;
  uint64_t buffer_full_waits_ ABSL_GUARDED_BY(rounds_.mutex) = 0;
  uint64_t rollover_waits_ ABSL_GUARDED_BY(rounds_.mutex) = 0;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_GROUP_COMMIT_H_
