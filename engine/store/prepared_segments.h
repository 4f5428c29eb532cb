// SPDX-License-Identifier: Apache-2.0
// The segments that the writer has or will get, and who waits for more.
#ifndef SEAWALL_ENGINE_STORE_PREPARED_SEGMENTS_H_
#define SEAWALL_ENGINE_STORE_PREPARED_SEGMENTS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "engine/format/format.h"
#include "engine/segments/writable_segment.h"

namespace seawall {

// A segment that is not known to be sealed: CONTROL lists it.
struct Prepared {
  std::shared_ptr<WritableSegment> file;
  uint64_t allocated_bytes = 0;
  uint64_t file_bytes = 0;  // taken from the budget: more than allocated, while it grows

  uint64_t generation() const { return file->header.generation; }
  uint64_t salt() const { return file->header.salt; }
};

// Attempts to make room (jobs kExtend and kSpare), and the status of the one that ended last.
//
// After a failure nothing is done ahead of need until somebody waits again. A waiter is refused
// only by an attempt that began after it asked: an older one may have failed for want of space that
// is there now. Each waiter gets one such attempt. Not thread-safe: the store's mutex guards it.
class RoomAttempts {
 public:
  // A waiter asks for an attempt; pass what it returns to ResultSince().
  uint64_t Ask() { return asked_at_ = begun_; }
  void Begin() { ++begun_; }
  // `over`: false if the failed attempt may still succeed by what the thread does next.
  void End(const absl::Status& status, bool over) {
    if (over) ended_ = begun_;
    code_ = status.code();
    message_ = std::string(status.message());
  }

  // Whether work ahead of need goes on, and whether the thread owes a waiter an attempt.
  bool ok() const { return code_ == absl::StatusCode::kOk; }
  bool owed() const { return ok() || asked_at_ == begun_ || ended_ < begun_; }
  // OK while no attempt has failed that began after the question.
  absl::Status ResultSince(uint64_t asked) const {
    return ended_ <= asked || ok() ? absl::OkStatus() : absl::Status(code_, message_);
  }

 private:
  uint64_t begun_ = 0;
  uint64_t ended_ = 0;
  uint64_t asked_at_ = 0;  // begun_ when somebody last asked
  absl::StatusCode code_ = absl::StatusCode::kOk;
  std::string message_;
};

// A queue: the last segment of the log, those that the writer took after it and has not begun, and
// the spares. One of the first two kinds is current: what is appended next goes there.
//
// Invariants: not empty after the first Restart(). The front is the last segment in the
// SegmentList; those after it hold no record yet. Everything before the spares was taken, in this
// order. Not thread-safe: the store's mutex guards it.
class PreparedSegments {
 public:
  // `first` is the last segment of the log, and current; there are no others.
  void Restart(Prepared first) {
    list_.clear();
    list_.push_back(std::move(first));
    current_ = 0;
    Leave();
  }

  size_t size() const { return list_.size(); }
  const Prepared& operator[](size_t i) const { return list_[i]; }
  const Prepared& front() const { return list_.front(); }
  const Prepared& current() const { return list_[current_]; }
  size_t spares() const { return list_.size() - current_ - 1; }
  const Prepared* next_spare() const { return spares() > 0 ? &list_[current_ + 1] : nullptr; }
  // Whether CONTROL has an entry left for another one.
  bool MayAdd() const { return list_.size() < kMaxControlEntries - 1; }
  // nullptr if it is not here any more.
  Prepared* Find(const WritableSegment* file) {
    for (Prepared& prepared : list_) {
      if (prepared.file.get() == file) return &prepared;
    }
    return nullptr;
  }

  void AddSpare(Prepared spare) { list_.push_back(std::move(spare)); }
  // The first spare is current from now on. There is one.
  void TakeSpare() {
    ++current_;
    Leave();
  }
  // The front is sealed: the one after it holds the first records of the next segment.
  void PopSealed() {
    list_.pop_front();
    --current_;
  }

  // How far the current segment is filled, and how much was filled in all since the log was opened.
  uint64_t fill() const { return fill_; }
  uint64_t filled() const { return filled_before_ + fill_; }
  void NoteFill(uint64_t end) { fill_ = std::max(fill_, end); }

  // Threads that wait until the current segment may be filled up to `end`, or for a spare.
  void AddSpaceWaiter(uint64_t end) {
    ++space_waiters_;
    wanted_ = std::max(wanted_, end);
  }
  void RemoveSpaceWaiter() {
    if (--space_waiters_ == 0) wanted_ = 0;
  }
  // True if it is the first one; true if it was the last one.
  bool AddSpareWaiter() { return spare_waiters_++ == 0; }
  bool RemoveSpareWaiter() { return --spare_waiters_ == 0; }
  // The highest fill that somebody waits for in the current segment; 0 if nobody does.
  uint64_t wanted() const { return wanted_; }
  uint32_t spare_waiters() const { return spare_waiters_; }
  bool HasWaiters() const { return space_waiters_ + spare_waiters_ > 0; }

 private:
  // Another segment is current.
  void Leave() {
    filled_before_ += std::exchange(fill_, 0);
    wanted_ = 0;  // those who wait for the old one's find that it is not current any more
  }

  std::deque<Prepared> list_;
  size_t current_ = 0;          // index in list_
  uint64_t fill_ = 0;           // of the current one
  uint64_t filled_before_ = 0;  // in those that were current before
  uint32_t space_waiters_ = 0;
  uint32_t spare_waiters_ = 0;
  uint64_t wanted_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_PREPARED_SEGMENTS_H_
