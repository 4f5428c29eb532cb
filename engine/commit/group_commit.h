// SPDX-License-Identifier: Apache-2.0
// The way of a record: reserved in a buffer, copied there, sealed in a group, written, synced.
//
// Appending threads reserve LSN and place under the mutex and copy outside it. A thread that waits
// becomes the leader if there is none: it seals what is there, writes and syncs it, wakes those it
// has satisfied, and hands the lead to the first it has not. Meanwhile others fill the next
// buffer. A background thread, the flusher, leads when buffers are full or callbacks are due and
// nobody waits.
#ifndef SEAWALL_ENGINE_COMMIT_GROUP_COMMIT_H_
#define SEAWALL_ENGINE_COMMIT_GROUP_COMMIT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/base/mutex.h"
#include "engine/commit/cursor_set.h"
#include "engine/commit/durable_callbacks.h"
#include "engine/commit/group_buffer.h"
#include "engine/commit/group_writer.h"
#include "engine/commit/round_words.h"
#include "engine/commit/waiter.h"
#include "engine/metrics/commit_meter.h"
#include "engine/metrics/event_dispatcher.h"
#include "engine/store/segment_store.h"
#include "engine/store/watermarks.h"
#include "seawall/options.h"
#include "seawall/stats.h"
#include "seawall/types.h"

namespace seawall {

// Thread-safe.
class GroupCommit {
 public:
  using Callback = DurableCallbacks::Callback;

  // `store`, `marks` and `events` outlive this; `events` may be nullptr.
  GroupCommit(const Options& options, SegmentStore* store, Watermarks* marks,
              EventDispatcher* events = nullptr);
  ~GroupCommit();

  // Appends go to `segment` at `end` from now on, the first one with the LSN behind `last_lsn`;
  // everything before is durable. Starts the flusher.
  void Start(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest, Lsn last_lsn);

  // The way of most appends: without a lock, to the buffer that is open. 0 if that has no room, or
  // none is open; then Append().
  Lsn TryAppend(std::string_view record);
  // Records that fit one group: kMaxBatchRecords, Options::MaxBatchBytes().
  // `tried`: this thread comes from TryAppend() with them.
  absl::StatusOr<LsnRange> Append(absl::Span<const std::string_view> records, bool tried);
  absl::Status Wait(Lsn lsn, Durability level);
  absl::Status Notify(Lsn lsn, Callback callback);

  Lsn appended_lsn() const;
  Lsn durable_lsn() const { return marks_->durable_lsn(); }

  // Returns OK, the sticky error, or FailedPrecondition after Close().
  absl::Status status() const;
  // One moment's, with the store's.
  Stats stats() const;

  // Latches an error met elsewhere.
  void Latch(const absl::Status& status);

  absl::Status TruncateAfter(Lsn lsn) { return Cut(lsn, /*reset=*/false); }
  absl::Status Reset(Lsn first_lsn) { return Cut(first_lsn - 1, /*reset=*/true); }

  // ---- Cursors (group_cursor.cc). Errors as Log::OpenCursor and seawall/cursor.h say.

  // For a log that has them: `table` is durable in both slots of the segment of Start(). Before the
  // store is started, so that nothing they hold is trimmed.
  void StartCursors(CursorTable table);
  absl::Status OpenCursor(std::string_view name);
  absl::Status AdvanceCursor(std::string_view name, Lsn lsn, Durability until);
  absl::Status DropCursor(std::string_view name);
  Lsn PositionOf(std::string_view cursor) const;
  std::vector<CursorInfo> Cursors() const;

  // Makes everything durable, runs the callbacks that are due, stops. Then the log ends at the
  // durable watermark, and digest() is the digest of its last segment.
  absl::Status Close();
  uint64_t digest() const { return writer_.digest(); }

 private:
  using Clock = std::chrono::steady_clock;

  Lsn TryAppendUntimed(std::string_view record);
  ABSL_ATTRIBUTE_NOINLINE static Lsn TryAppendMarked(GroupBuffer* buffer, std::string_view record);
  ABSL_ATTRIBUTE_NOINLINE Lsn TryAppendTimed(std::string_view record);

  // The result of trying to reserve.
  enum class Room { kReserved, kNoBuffer, kNoSpace, kNoSpare };
  struct Reservation {
    GroupBuffer* buffer = nullptr;
    GroupBuffer::Place place;
    uint64_t file_end = 0;  // what kNoSpace lacks
  };

  Room Reserve(uint64_t bytes, uint32_t records, Reservation* reservation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Room OpenBuffer(uint64_t bytes, uint32_t records, Reservation* reservation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // True if the open buffer may take so much more, once the file has the room.
  bool FitsGroup(uint64_t bytes, uint32_t records) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint64_t Limit(const GroupBuffer::Group& group) const;
  // Tells the store how far the file is filled, and lets appends pass unnoticed until it wants to
  // know again.
  void NoteFill(GroupBuffer* buffer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Clock::time_point FlushTime(const GroupBuffer& buffer) const;
  Lsn AppendedLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Until a buffer was drained or the lead is free.
  void AwaitDrain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status MakeRoom(Room lacking, uint64_t bytes, uint64_t file_end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // For kNoSpace and kNoSpare: until the store has made room, as far as it can.
  absl::Status AwaitStore(Room lacking, uint64_t bytes, uint64_t file_end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CloseBuffer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Gives up what is above `lsn`, with `reset` all there is; goes on with lsn + 1.
  absl::Status Cut(Lsn lsn, bool reset);
  // Has the store do it, without the mutex, when all is durable and nobody appends.
  absl::Status CutStore(Lsn lsn, bool reset) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells those that wait for a record that it was cut off, at the next HandOver().
  void CutWaiters() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StatusLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Groups go to `segment` at `end` from now on; the last record is durable.
  void GoOnAt(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest, Lsn last_lsn)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // OK unless record `lsn` will never be where it is not yet.
  absl::Status CheckWait(Lsn lsn) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // ---- Leading. Between taking leading_ and HandOver(), this thread alone drains buffers.
  // Returns when `waiter` was satisfied or failed, or leads. Releases the mutex: most of those that
  // wake up do not need it any more.
  Waiter::State AwaitTurn(Waiter* waiter) ABSL_UNLOCK_FUNCTION(mutex_);
  // Chooses what a new waiter sleeps on. Any choice is right; this one saves wake-ups.
  void ChooseWord(Waiter* waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Leads a round for `waiter`, whose turn it is; true if that satisfied it.
  bool LeadFor(const Waiter& waiter) ABSL_LOCKS_EXCLUDED(mutex_);
  // Becomes the leader when its turn comes; fails if the log failed or was closed.
  absl::Status TakeLead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasFullBuffers() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool CallbackWantsSync() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits for the committers that are on their way, so that they share this flush.
  void Gather() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes the closed buffers, with `all` also the open one, and syncs if somebody wants that.
  void Round(bool all, Durability level) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Drain(GroupBuffer* buffer, Durability level) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Sync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WantsSync(Durability level) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether somebody waits for one.
  bool SyncIsAwaited(Durability level) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves the written watermark to `written`, the end of what the writer has written, and, if
  // `durable`, the durable one too. `at`: when the system call returned that brought them so far.
  void Advance(Lsn written, bool durable, Clock::time_point at)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Wakes the satisfied waiters and passes the lead on, or gives it up. Releases the mutex.
  // `committers`: 1 if this thread led for a durable commit of its own.
  void HandOver(uint32_t committers) ABSL_UNLOCK_FUNCTION(mutex_);
  // Whom to wake when the mutex is free.
  struct Wakes;
  // Takes those that need not wait any more from the queue, and the next leader.
  void ReleaseWaiters(uint32_t committers, Wakes* wakes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What becomes of a waiter when a round is over.
  Waiter::State StateBehindRound(const Waiter& waiter, bool has_leader) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Leaves to others what is to be done and nobody leads for.
  void NotifyIdle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Reached(Lsn lsn, Durability level) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Satisfied(const Waiter& waiter) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Counts the wait of one that is satisfied, if it is for a record.
  void AddQueued(const Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // ---- Cursors
  absl::Status CursorStatus() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits until a change of the cursors is durable. Releases the mutex.
  absl::Status WaitForCursors(uint64_t change) ABSL_UNLOCK_FUNCTION(mutex_);
  // Tells the store what they keep from being trimmed.
  void HoldForCursors() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes their table, with a sync behind it.
  bool WriteCursors() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Where the groups of the next segment begin.
  uint64_t GroupsBegin() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return kSegmentHeaderBytes + (cursors_.enabled() ? kCursorAreaBytes : 0);
  }

  // ---- The flusher
  void RunFlusher();
  bool FlushDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool RunCallbacks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const uint64_t write_unit_;    // writes begin and end at multiples of this
  const uint64_t groups_limit_;  // what is behind it in a segment's file is for the index
  SegmentStore* const store_;
  Watermarks* const marks_;  // this moves them, under mutex_
  EventDispatcher* const events_;
  std::thread flusher_;

  mutable Mutex mutex_;
  CondVar room_;  // for appends that wait for a buffer, or for the end of a truncation
  CondVar flusher_work_;

  // Where the next group goes.
  std::shared_ptr<WritableSegment> segment_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_offset_ ABSL_GUARDED_BY(mutex_) = 0;
  bool begins_segment_ ABSL_GUARDED_BY(mutex_) = false;
  bool roll_over_ ABSL_GUARDED_BY(mutex_) = false;  // the next group goes to the next segment

  // A ring: buffers drained_ .. opened_ - 1 (modulo its size) hold records, the last of them takes
  // more if it is open_.
  std::vector<GroupBuffer> buffers_;
  uint64_t opened_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t drained_ ABSL_GUARDED_BY(mutex_) = 0;
  // Written under mutex_. Without it a thread may see one that is closed meanwhile, and may try to
  // reserve there: see GroupBuffer.
  std::atomic<GroupBuffer*> open_{nullptr};
  // The last record of the buffers that were closed. Those in the open one follow.
  Lsn closed_lsn_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t room_waiters_ ABSL_GUARDED_BY(mutex_) = 0;
  bool truncating_ ABSL_GUARDED_BY(mutex_) = false;

  // True while a thread leads.
  bool leading_ ABSL_GUARDED_BY(mutex_) = false;
  // In order of arrival. Without a leader there are none.
  Waiter* first_waiter_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Waiter** last_waiter_ ABSL_GUARDED_BY(mutex_) = &first_waiter_;
  uint32_t waiters_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t durable_waiters_ ABSL_GUARDED_BY(mutex_) = 0;

  // What those sleep on that one round satisfies; but the first that the next round is for is its
  // leader, and sleeps on its own.
  RoundWords round_words_;
  uint32_t round_ ABSL_GUARDED_BY(mutex_) = 0;
  // The last record that the round under way writes; not known before it closes the buffer.
  Lsn round_lsn_ ABSL_GUARDED_BY(mutex_) = ~Lsn{0};
  bool has_heir_ ABSL_GUARDED_BY(mutex_) = false;

  // Gathering. A thread whose commit was just acknowledged tends to be back with the next one after
  // a wake-up: the next leader waits for as many durable waiters, itself included, as there were.
  uint32_t gather_target_ ABSL_GUARDED_BY(mutex_) = 0;
  // Set while the leader sleeps for that; the waiter that completes the number wakes it.
  bool gathering_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<uint32_t> gathered_{0};  // the word it sleeps on
  // Rounds to go without gathering, after it was in vain; doubles each time, up to a limit.
  uint32_t gather_pause_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t gather_backoff_ ABSL_GUARDED_BY(mutex_) = 1;
  // How long a write and a sync take, a moving average: what there is to win.
  Clock::duration round_time_ ABSL_GUARDED_BY(mutex_) = Clock::duration::zero();

  GroupWriter writer_;  // the leader's

  CursorSet cursors_ ABSL_GUARDED_BY(mutex_);
  std::vector<CursorPosition> cursor_holds_ ABSL_GUARDED_BY(mutex_);  // what the store was told
  DurableCallbacks callbacks_ ABSL_GUARDED_BY(mutex_);
  // When something appended is due for stable storage by flush_interval_micros.
  Clock::time_point flush_at_ ABSL_GUARDED_BY(mutex_) = Clock::time_point::max();

  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_flusher_ ABSL_GUARDED_BY(mutex_) = false;
  Stats stats_ ABSL_GUARDED_BY(mutex_);

  // When the watermarks moved last.
  Clock::time_point written_at_ ABSL_GUARDED_BY(mutex_) = {};
  Clock::time_point durable_at_ ABSL_GUARDED_BY(mutex_) = {};
  CommitMeter meter_ ABSL_GUARDED_BY(mutex_);
  AtomicHistogram reserve_, wake_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_GROUP_COMMIT_H_
