// The way of a record: reserved in a buffer, copied there, sealed in a group, written, synced.
//
// Appending threads reserve LSN and place under the mutex and copy outside it. A thread that waits
// becomes the leader if there is none: it seals what is there, writes and syncs it, wakes those it
// has satisfied, and hands the lead to the first it has not. Meanwhile others fill the next
// buffer. A background thread, the flusher, leads when buffers are full or callbacks are due and
// nobody waits.
#ifndef SEAWALL_ENGINE_GROUP_COMMIT_H_
#define SEAWALL_ENGINE_GROUP_COMMIT_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/file_io.h"
#include "engine/mutex.h"
#include "engine/segment_store.h"
#include "engine/waiter.h"
#include "seawall/options.h"
#include "seawall/stats.h"
#include "seawall/types.h"

namespace seawall {

// How far readers may go.
struct ReadPoint {
  Lsn lsn = 0;
  // The segment being written, and where the groups up to `lsn` end in it.
  uint64_t generation = 0;
  uint64_t end = 0;
};

// Thread-safe.
class GroupCommit {
 public:
  using Callback = absl::AnyInvocable<void(const absl::Status&)>;

  // `store` outlives this.
  GroupCommit(const Options& options, SegmentStore* store);
  ~GroupCommit();

  // Appends go to `segment` at `end` from now on, the first one with the LSN behind `last_lsn`;
  // everything before is durable. Starts the flusher.
  void Start(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest, Lsn last_lsn);

  // Records that fit one group (Options::MaxBatchBytes()).
  absl::StatusOr<LsnRange> Append(absl::Span<const std::string_view> records);
  absl::Status Wait(Lsn lsn, Durability level);
  absl::Status Notify(Lsn lsn, Callback callback);

  Lsn appended_lsn() const { return appended_lsn_.load(std::memory_order_acquire); }
  Lsn written_lsn() const { return written_lsn_.load(std::memory_order_acquire); }
  Lsn durable_lsn() const { return durable_lsn_.load(std::memory_order_acquire); }

  ReadPoint read_point(Durability level) const;
  DurablePoint durable_point() const;
  // OK, or the error that was latched, or FailedPrecondition after Close().
  absl::Status status() const;
  void AddStats(Stats* stats) const;

  // Latches an error met elsewhere.
  void Latch(const absl::Status& status);

  absl::Status TruncateAfter(Lsn lsn);

  // Makes everything durable, runs the callbacks that are due, stops. Then the end of the log is
  // durable_point() and these.
  absl::Status Close();
  uint64_t end() const;
  uint64_t digest() const;

 private:
  using Clock = std::chrono::steady_clock;

  // One group in the making. The fields are guarded by mutex_ until it is closed to reservations,
  // and belong to the leader from then until it is drained. `memory` belongs, piece by piece, to
  // the threads that reserved it, until copies.WaitForNone().
  struct Buffer {
    AlignedBuffer memory;
    std::shared_ptr<WritableSegment> segment;
    bool begins_segment = false;
    uint64_t origin = 0;  // file offset of memory[0]: a multiple of the write unit
    uint64_t head = 0;    // where in memory the group begins
    uint64_t end = 0;     // one past the last reserved byte in memory
    Lsn first_lsn = 0;
    uint32_t record_count = 0;
    CopyCount copies;

    Lsn last_lsn() const { return first_lsn + record_count - 1; }
  };

  // The result of trying to reserve.
  enum class Room { kReserved, kNoBuffer, kNoSpace, kNoSpare };
  struct Reservation {
    Buffer* buffer = nullptr;
    char* to = nullptr;
    Lsn first_lsn = 0;
    uint64_t salt = 0;
    uint64_t file_end = 0;  // what kNoSpace lacks
  };

  Room Reserve(uint64_t bytes, uint32_t records, Reservation* reservation)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Room OpenBuffer(uint64_t bytes, Reservation* reservation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Until a buffer was drained or the lead is free.
  void AwaitDrain() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status MakeRoom(Room lacking, uint64_t bytes, uint64_t file_end)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CloseBuffer() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status StatusLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // ---- Leading. Between taking leading_ and HandOver(), this thread alone drains buffers.
  // Returns when `waiter` was satisfied or failed, or leads. Releases the mutex: most of those that
  // wake up do not need it any more.
  Waiter::State AwaitTurn(Waiter* waiter) ABSL_UNLOCK_FUNCTION(mutex_);
  // Becomes the leader when its turn comes; fails if the log failed or was closed.
  absl::Status TakeLead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasFullBuffers() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool CallbackWantsSync() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits for the committers that are on their way, so that they share this flush.
  void Gather() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Writes the closed buffers, with `all` also the open one, and syncs if somebody wants that.
  void Round(bool all, Durability level) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteGroup(Buffer* buffer, Lsn durable_lsn) ABSL_LOCKS_EXCLUDED(mutex_);
  bool Drain(Buffer* buffer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Sync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool WantsSync(Durability level) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Advance(Lsn written, Lsn durable) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Wakes the satisfied waiters and passes the lead on, or gives it up. Releases the mutex.
  // `committers`: 1 if this thread led for a durable commit of its own.
  void HandOver(uint32_t committers) ABSL_UNLOCK_FUNCTION(mutex_);
  bool Reached(Lsn lsn, Durability level) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // ---- The flusher
  void RunFlusher();
  bool FlushDue() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Sets the callbacks for records above `lsn` aside, to be called with OutOfRange.
  void CutCallbacks(Lsn lsn) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool RunCallbacks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Options options_;
  const uint64_t write_unit_;  // writes begin and end at multiples of this
  SegmentStore* const store_;
  std::thread flusher_;

  mutable Mutex mutex_;
  CondVar room_;  // for appends that wait for a buffer, or for the end of a truncation
  CondVar flusher_work_;

  // Written under mutex_, read without: appended >= written >= durable, seen in the order durable,
  // written, appended.
  std::atomic<Lsn> appended_lsn_{0};
  std::atomic<Lsn> written_lsn_{0};
  std::atomic<Lsn> durable_lsn_{0};

  // Where the next group goes.
  std::shared_ptr<WritableSegment> segment_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_offset_ ABSL_GUARDED_BY(mutex_) = 0;
  bool begins_segment_ ABSL_GUARDED_BY(mutex_) = false;
  bool roll_over_ ABSL_GUARDED_BY(mutex_) = false;  // the next group goes to the next segment

  // A ring: buffers drained_ .. opened_ - 1 (modulo its size) hold records, the last of them takes
  // more if open_ is set.
  std::vector<Buffer> buffers_;
  uint64_t opened_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t drained_ ABSL_GUARDED_BY(mutex_) = 0;
  Buffer* open_ ABSL_GUARDED_BY(mutex_) = nullptr;
  uint32_t room_waiters_ ABSL_GUARDED_BY(mutex_) = 0;
  bool truncating_ ABSL_GUARDED_BY(mutex_) = false;

  // True while a thread leads.
  bool leading_ ABSL_GUARDED_BY(mutex_) = false;
  // In order of arrival. Without a leader there are none.
  Waiter* first_waiter_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Waiter** last_waiter_ ABSL_GUARDED_BY(mutex_) = &first_waiter_;
  uint32_t waiters_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t durable_waiters_ ABSL_GUARDED_BY(mutex_) = 0;

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

  // Owned by the leader.
  std::shared_ptr<WritableSegment> writing_;
  uint64_t digest_ = 0;
  AlignedBuffer tail_block_;  // the last block of writing_, as far as it is filled

  // Of writing_: where the written groups end, where the durable ones end.
  uint64_t writing_generation_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t written_end_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t durable_end_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t durable_generation_ ABSL_GUARDED_BY(mutex_) = 0;

  struct Pending {
    Lsn lsn;
    Callback callback;
  };
  std::deque<Pending> callbacks_ ABSL_GUARDED_BY(mutex_);  // by LSN
  // For records that TruncateAfter cut off.
  std::vector<Pending> cut_callbacks_ ABSL_GUARDED_BY(mutex_);
  // When something appended is due for stable storage by flush_interval_micros.
  Clock::time_point flush_at_ ABSL_GUARDED_BY(mutex_) = Clock::time_point::max();

  // The latched error, by parts: a shared absl::Status is reference-counted inside Abseil, where
  // ThreadSanitizer cannot see it.
  absl::StatusCode failed_ ABSL_GUARDED_BY(mutex_) = absl::StatusCode::kOk;
  std::string failure_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_flusher_ ABSL_GUARDED_BY(mutex_) = false;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_GROUP_COMMIT_H_
