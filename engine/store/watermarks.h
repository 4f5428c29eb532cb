// SPDX-License-Identifier: Apache-2.0
// How far an open log has come, in one place: what is written, what is durable, whether that can
// still change, and who sleeps until it does. The Log owns it. The commit path moves it, the
// segment store, readers and the publisher of WATERMARK read it, and none of them keeps a copy.
#ifndef SEAWALL_ENGINE_STORE_WATERMARKS_H_
#define SEAWALL_ENGINE_STORE_WATERMARKS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "engine/store/watermark_watch.h"
#include "seawall/types.h"

namespace seawall {

// All records up to `lsn` have reached some level. Their groups end at `end` in the segment
// `generation`, which is the last one that holds groups of that level.
struct Watermark {
  Lsn lsn = 0;
  uint64_t generation = 0;
  uint64_t end = 0;
};

// Thread-safe.
//
// Locks. mutex_ is a leaf: no other lock is taken while it is held, so it may be taken under any
// lock of the log. It makes the fields of one watermark, and the cursors' sequence, consistent with
// each other. Calls that change something come from one thread at a time: the leader of the group
// commit, or the store while it truncates for that leader; the group commit's mutex orders them.
//
// Invariants:
//   1. durable.lsn <= written.lsn, and both only grow, except by Restart().
//   2. Advance() follows the system call that it reports, so no watermark runs ahead of the disk.
//   3. The LSNs can be read without the lock. They are stored under it, written before durable,
//      with release. So a thread that loads durable_lsn() and then written_lsn() sees 1, unless a
//      truncation came between.
//   4. The sticky error is set at most once. Its message is assigned before failed_ is
//      stored with release, and never again: whoever loads failed_ with acquire and finds it true
//      reads it without a lock. (It is no absl::Status because a shared one is counted inside
//      Abseil, where ThreadSanitizer cannot see it.) It is set under the lock all the same, and
//      end_status() takes the lock, because the proof of watch() needs that.
//   5. Nothing advances after a failure or after End().
//   6. watch() wakes nobody by itself. Its proof (watermark_watch.h) takes mutex_ for "the lock".
class Watermarks {
 public:
  // `place` says where the log's directory is, for WithPlace().
  explicit Watermarks(std::function<std::string()> place = nullptr) : place_(std::move(place)) {}
  Watermarks(const Watermarks&) = delete;
  Watermarks& operator=(const Watermarks&) = delete;

  // ---- For everybody

  Lsn written_lsn() const { return written_lsn_.load(std::memory_order_acquire); }
  Lsn durable_lsn() const { return durable_lsn_.load(std::memory_order_acquire); }
  Watermark written() const;
  Watermark durable() const;
  Watermark at(Durability level) const {
    return level == Durability::kDurable ? durable() : written();
  }

  // What CONTROL may say: the durable watermark, and the lowest sequence of a durable cursor table
  // that says what the cursors durably are (0 without cursors).
  struct Durable {
    Watermark at;
    uint64_t cursor_sequence = 0;
  };
  Durable durable_state() const;

  // The sticky error: after the first failed write or sync the log accepts no more work until it is
  // reopened. OK while there is none.
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  absl::Status failure() const;
  // Returns OK while the watermarks may still move. Then the sticky error, or FailedPrecondition
  // after End().
  absl::Status end_status() const;

  // Where readers at the end of the log sleep.
  WatermarkWatch& watch() { return watch_; }

  // A hint to the writer: somebody reads what was written last, so it should be in the page cache.
  void NoteTailRead() { tail_was_read_.store(true, std::memory_order_relaxed); }

  // ---- For the commit path, and for the store while it truncates

  // The log is written and durable up to `at`: it was opened or truncated there.
  void Restart(const Watermark& at, uint64_t cursor_sequence);
  // The leader has written up to `written`; if `durable`, a sync covers all of it. Returns true if
  // the durable watermark entered another segment.
  bool Advance(const Watermark& written, bool durable, uint64_t cursor_sequence);
  // Sets the sticky error, unless there is one: Aborted, which no refusal is (seawall/error.h),
  // whatever the code of `status`, with its message.
  void Fail(const absl::Status& status);
  // For who met a failure and is about to report it with Fail(): adds to its message where the
  // log's directory is, if that was moved. It asks the file system, so no lock of the log may be
  // held but that which orders writes of CONTROL. OK stays OK.
  absl::Status WithPlace(absl::Status status) const;
  // The log was closed: the watermarks stay where they are.
  void End();
  // For the writer: whether NoteTailRead() was called since the last time.
  bool TakeTailRead() {
    return tail_was_read_.load(std::memory_order_relaxed) &&
           tail_was_read_.exchange(false, std::memory_order_relaxed);
  }

 private:
  const std::function<std::string()> place_;
  mutable Mutex mutex_;
  Watermark written_ ABSL_GUARDED_BY(mutex_);
  Watermark durable_ ABSL_GUARDED_BY(mutex_);
  uint64_t cursor_sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  // written_.lsn and durable_.lsn, for those that read them without the lock (3).
  std::atomic<Lsn> written_lsn_{0};
  std::atomic<Lsn> durable_lsn_{0};

  std::atomic<bool> failed_{false};
  std::string failure_message_;  // published by failed_ (4)
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<bool> tail_was_read_{false};

  WatermarkWatch watch_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_WATERMARKS_H_
