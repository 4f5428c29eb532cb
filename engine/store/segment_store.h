// SPDX-License-Identifier: Apache-2.0
// The segments of an open log: which there are, which one comes next, which may go. A background
// thread works ahead of the writer: it writes zeros into the segment that is being filled, makes
// spare segments, and recycles or unlinks what was trimmed.
//
// One class, for all of it is one list under one mutex; a file for each part of a segment's life:
//   segment_store.cc      starting and stopping, the thread and what it does next, CONTROL
//   segment_space.cc      not full yet: spares, zeros ahead of the writer, and who waits for them
//   segment_sealed.cc     full: its index is written, and the archive may have it
//   segment_retention.cc  what keeps it: holds, options, its age; the report
//   segment_removal.cc    given up at the front: CONTROL says so, the file is recycled or unlinked
//   segment_cut.cc        given up at the back, or with all others: a fresh segment takes its place
// What is decided without files is apart: segment_list.h (the list), holds.h, disk_budget.h (the
// cap), retain_options.h. How a segment's file is made: engine/segments.
#ifndef SEAWALL_ENGINE_STORE_SEGMENT_STORE_H_
#define SEAWALL_ENGINE_STORE_SEGMENT_STORE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/mutex.h"
#include "engine/format/cursor_table.h"
#include "engine/format/format.h"
#include "engine/metrics/event_dispatcher.h"
#include "engine/recovery/recovery.h"
#include "engine/segments/control_file.h"
#include "engine/segments/fresh_segment.h"
#include "engine/segments/segment_cache.h"
#include "engine/segments/segment_list.h"
#include "engine/segments/segment_ref.h"
#include "engine/segments/writable_segment.h"
#include "engine/store/age_clock.h"
#include "engine/store/disk_budget.h"
#include "engine/store/holds.h"
#include "engine/store/retain_options.h"
#include "engine/store/watermarks.h"
#include "seawall/options.h"
#include "seawall/stats.h"

namespace seawall {

// The two things that the store cannot do itself. Both point upward, to layers that it does not
// know. They are called without the store's locks, except control_mutex_.
struct SegmentStoreCallbacks {
  // A truncation or a Reset is about to be made durable, and discards the records from `first_cut`
  // on, 0 for all. Readers in other processes must find that on file before the commit point, or
  // they could serve what is appended in its place as if nothing had happened. May be empty.
  std::function<void(Lsn first_cut)> before_cut;
  // A sync of a segment that holds records failed, or a write of CONTROL: it becomes the log's
  // sticky error. The group commit sets that, because it must also close the buffer that appending
  // threads use without a lock, and wake its waiters.
  std::function<void(const absl::Status&)> on_failure;
};

// Thread-safe. Lock order: control_mutex_, then mutex_. The group commit calls this with its mutex
// held, so that one comes before mutex_; on_failure takes it, and is called with neither of these.
class SegmentStore {
 public:
  // `marks` and `events` outlive this; `events` may be nullptr. Truncations move the watermarks, in
  // the step that replaces the segments.
  SegmentStore(FileSystem* fs, std::string directory, const Options& options, Watermarks* marks,
               EventDispatcher* events = nullptr);
  ~SegmentStore();

  // Takes over a recovered log, at whose end the watermarks are, and starts the thread. Returns the
  // segment to write to.
  std::shared_ptr<WritableSegment> Start(RecoveredLog log, SegmentStoreCallbacks callbacks);
  // Stops the thread; a job that it is in is finished first. Wakes those that wait.
  void Stop();

  // ---- For the writer. It fills one segment after the other: the one that Start() or TakeSpare()
  // returned last is "the current one", and named by its generation.

  // How far the current segment may be filled: these bytes are on disk. Grows only.
  uint64_t allocated_bytes() const { return allocated_.load(std::memory_order_acquire); }
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

  // The durable watermark has entered another segment, so a sync covers that one's header: the
  // index of its predecessor may be written now, and the predecessor may be trimmed.
  void NoteDurable();

  // ---- For everybody

  // For random reads of what Locate() finds.
  SegmentCache* cache() { return &cache_; }
  // The segment that holds `lsn`, which is not above the written ones; none below the first. The
  // copy pins the file.
  std::optional<SegmentRef> Locate(Lsn lsn);
  Lsn first_lsn() const;
  // Waits for a sealed segment above `generation` that is as it will stay (its end is durable, and
  // it has its index), and returns the first of them. Returns none if there is none after Stop().
  std::optional<SegmentRef> AwaitSealed(uint64_t generation);
  // Counts the TruncateAfter and Reset calls that changed the log.
  size_t truncations() const;
  // The lowest record that was cut off since truncations() was `since`: 0 by a Reset, ~0 if none
  // was.
  Lsn FirstCut(size_t since) const;
  void AddStats(Stats* stats) const;

  // Gives up whole segments below `lsn` and below all holds; durable on return. What a hold keeps
  // back is given up by the thread when the hold lets it go: the wish is remembered, in memory.
  absl::Status TrimBefore(Lsn lsn);

  // Takes the hold of this kind and name, or moves it, in either direction: nothing at or above
  // `lsn` is given up before it is moved or released. Takes no lock but the store's, touches no
  // file: what becomes free is given up by the thread. Before Start(), any `lsn` will do; later:
  //   OutOfRange  `lsn` is below the first record that is kept, which is named; nothing changes.
  // A truncation moves holds that are above its end to its end; a reset, to its first record.
  absl::Status SetHold(HoldKind kind, const std::string& name, Lsn lsn);
  // Takes it, or moves it, to the first record of the first segment behind `generation`, which is
  // not above the last one's: in one step, whatever was truncated meanwhile.
  void HoldBehind(HoldKind kind, const std::string& name, uint64_t generation);
  // Takes it on all that is kept, and returns the first record of that.
  Lsn HoldFirst(HoldKind kind, const std::string& name);
  // None of this name is no error.
  void ReleaseHold(HoldKind kind, const std::string& name);
  std::vector<Hold> holds() const;
  // Reads a block of each segment from before Start(), where ages matter.
  RetentionReport retention_report();
  // From now on, segments that are there now are unlinked when they are trimmed, not recycled.
  void StopRecycling();
  const std::string& directory() const { return directory_; }

  // Replaces everything above `lsn` by a fresh segment, and returns it. Nobody appends meanwhile.
  struct Truncated {
    std::shared_ptr<WritableSegment> segment;
    uint64_t end = 0;
    uint64_t digest = 0;
  };
  // `cursors`: their table, in a log that has it.
  absl::StatusOr<Truncated> TruncateAfter(Lsn lsn, const CursorTable* cursors);
  // Replaces everything by a fresh segment that begins at `first_lsn`.
  absl::StatusOr<Truncated> Reset(Lsn first_lsn, const CursorTable* cursors);

  // Writes that the log was closed at the durable watermark, where all that was written ends; the
  // groups of the last segment have this digest. After Stop().
  absl::Status MarkClosed(uint64_t digest);

 private:
  using Clock = std::chrono::steady_clock;

  // A prepared segment that is not known to be sealed: CONTROL lists it.
  struct Prepared {
    uint64_t generation = 0;
    uint64_t salt = 0;
    uint64_t allocated_bytes = 0;
    std::shared_ptr<WritableSegment> file;
    uint64_t file_bytes = 0;  // taken from the budget: more than allocated, while it grows
  };
  // A file that is no longer part of the log.
  struct Gone {
    std::vector<std::string> names;  // it may bear one of them
    uint64_t generation = 0;
    uint64_t file_bytes = 0;
    std::weak_ptr<const int> pins;
  };
  // A file that left the log, or is unlinked, and that readers may still have open: for as long as
  // there are pins, as no more can be had.
  struct Left {
    uint64_t generation = 0;
    uint64_t file_bytes = 0;
    std::weak_ptr<const int> pins;
  };
  enum class Job { kNone, kExtend, kSpare, kTrim, kRemove };

  // Sealed, and its index is not in its file yet. `segment.index` is set.
  struct Sealed {
    SegmentRef segment;
    std::shared_ptr<WritableSegment> file;
  };

  // ---- The thread, and what all parts use
  void Run();
  Job NextJob() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Do(Job job) ABSL_LOCKS_EXCLUDED(mutex_);
  void Pause() ABSL_LOCKS_EXCLUDED(mutex_);
  void Resume() ABSL_LOCKS_EXCLUDED(mutex_);
  // Reports a failure that may concern acknowledged records, and returns it.
  absl::Status Fail(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);
  // What CONTROL says now.
  ControlBlock Control() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteControl() ABSL_EXCLUSIVE_LOCKS_REQUIRED(control_mutex_)
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsCurrent(uint64_t generation) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return segments_.Find(generation) < segments_.size();
  }
  bool MayPrepare() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  size_t Spares() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return prepared_.size() - current_ - 1;
  }
  bool HasGarbage() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !trimmed_.empty() || !cut_files_.empty();
  }

  // ---- Room for the writer (segment_space.cc)
  // How the current segment is made longer.
  struct Extension {
    std::shared_ptr<WritableSegment> file;
    uint64_t from = 0;
    uint64_t to = 0;
    uint64_t wanted = 0;    // somebody waits for this much; `from` if nobody does
    bool in_hurry = false;  // zeros would come too late
  };
  absl::Status Extend() ABSL_LOCKS_EXCLUDED(mutex_);
  Extension PlanExtension() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status Lengthen(Extension* extension) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status MakeSpare() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status AddSpare(std::unique_ptr<WritableSegment> file, uint64_t allocated_bytes,
                        uint64_t file_bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  // A file could not be made as planned: gives back what was taken for it, if it is gone.
  void GiveBack(const std::string& path, uint64_t taken) ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes what the file's length is.
  void Recount(const WritableSegment* file) ABSL_LOCKS_EXCLUDED(mutex_);
  // As Fail(), for a failure to make room, which concerns no record yet.
  absl::Status RefuseOrFail(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);
  // No room below the cap for so much more. Tells of it if somebody waits.
  absl::Status RefuseAtCap(uint64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits for news; fails if that is a failed attempt, not one of the first `seen`.
  absl::Status AwaitAttempt(uint64_t seen) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // ---- Sealed segments (segment_sealed.cc)
  bool MayWriteIndex() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteIndex() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // A sealed file, for which `taken` was taken from the budget, has come to be this long.
  void SettleSealed(uint64_t generation, uint64_t taken, uint64_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of files that are about to go.
  void ForgetCached(const std::vector<std::string>& names) ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- What keeps them (segment_retention.cc)
  // Has the thread look whether there is something to give up, if the first segment may be it.
  void NoteLetGo(Lsn held_from) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Below which record nothing is wanted; lowers *due to when that changes by itself.
  Lsn UnwantedBelow(Clock::time_point* due) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Finds out how old segments from before Start() are, as far as it decides on their staying.
  void LearnAges() ABSL_LOCKS_EXCLUDED(mutex_);
  bool NextOfUnknownAge(uint64_t* generation, SegmentRef* next) ABSL_LOCKS_EXCLUDED(mutex_);
  int64_t NewestBefore(const SegmentRef& next) const;
  SegmentRetention Explain(size_t i, uint64_t bytes_behind, Lsn unwanted_below) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // ---- Giving up the front (segment_removal.cc)
  // Takes segments that nobody wants and nothing holds out of the log.
  absl::Status GiveUp() ABSL_LOCKS_EXCLUDED(mutex_, control_mutex_);
  absl::Status RemoveTrimmed() ABSL_LOCKS_EXCLUDED(mutex_);
  // Unlinks files, and gives their bytes back when nobody has them open.
  absl::Status Remove(std::vector<Gone> gone) ABSL_LOCKS_EXCLUDED(mutex_);
  void ForgetClosedPins() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // ---- Giving up the back, or all (segment_cut.cc)
  absl::StatusOr<Truncated> CutAfter(Lsn lsn, const CursorTable* cursors)
      ABSL_LOCKS_EXCLUDED(mutex_, control_mutex_);
  // Finds the end of record `lsn` in `segment`, and what of its group is to be copied.
  absl::Status FindCut(const SegmentRef& segment, Lsn lsn, CopySource* source,
                       SegmentHeader* header) const;
  // Begins a fresh segment as `header` says, with the records of `source`: nothing is behind it,
  // and the last of `kept` stands before it, if there is any. Fails before that has happened.
  absl::StatusOr<Truncated> BeginAnew(std::vector<SegmentRef> kept, SegmentHeader header,
                                      const CopySource& source, const CursorTable* cursors,
                                      Lsn first_cut) ABSL_EXCLUSIVE_LOCKS_REQUIRED(control_mutex_)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Takes the bytes of a fresh segment, from what is kept for one if need be.
  absl::Status TakeForFresh(uint64_t bytes) ABSL_LOCKS_EXCLUDED(mutex_);
  // Makes `fresh` the last segment, after `kept`, moves the watermarks to its end, and makes the
  // files that are no longer needed garbage.
  void Replace(std::vector<SegmentRef> kept, Lsn first_cut, const FreshSegment& fresh,
               uint64_t cursor_sequence) ABSL_LOCKS_EXCLUDED(mutex_);

  FileSystem* const fs_;
  const std::string directory_;
  const Options options_;
  const AgeClock clock_;
  Watermarks* const marks_;
  EventDispatcher* const events_;
  SegmentStoreCallbacks callbacks_;
  SegmentCache cache_;
  std::thread thread_;

  // Orders writes of CONTROL.
  mutable Mutex control_mutex_;
  std::unique_ptr<ControlFile> control_file_ ABSL_GUARDED_BY(control_mutex_);

  // Of the current segment: equals prepared_[current_].allocated_bytes, readable without the lock.
  std::atomic<uint64_t> allocated_{0};
  // The fill from which on NoteFill() has something to say; ~0 for nothing.
  std::atomic<uint64_t> note_from_{0};

  mutable Mutex mutex_;
  CondVar work_;         // for the thread
  CondVar progress_;     // for those that wait for the thread
  CondVar sealed_news_;  // for AwaitSealed()
  LogId log_id_ ABSL_GUARDED_BY(mutex_) = {};
  // All segments that hold records, oldest first; the last one is being written.
  SegmentList segments_ ABSL_GUARDED_BY(mutex_);
  // The last of segments_, those that were taken after it, then the spares. Not empty.
  std::deque<Prepared> prepared_ ABSL_GUARDED_BY(mutex_);
  size_t current_ ABSL_GUARDED_BY(mutex_) = 0;  // index in prepared_
  uint64_t fill_ ABSL_GUARDED_BY(mutex_) = 0;   // of the current one
  // Threads in WaitForSpace() and WaitForSpare(), and the highest fill that one of the former waits
  // for in the current segment.
  uint32_t space_waiters_ ABSL_GUARDED_BY(mutex_) = 0;
  uint32_t spare_waiters_ ABSL_GUARDED_BY(mutex_) = 0;
  Clock::time_point spare_wait_began_ ABSL_GUARDED_BY(mutex_) = {};  // of the first of them
  uint64_t wanted_ ABSL_GUARDED_BY(mutex_) = 0;
  // How fast the writer fills and the thread writes zeros: to tell which of them wins. Bytes filled
  // before the current segment; what was filled in all when the last extension was planned, and
  // when that was; what a byte of zeros takes, 0 if that is not known yet.
  uint64_t filled_before_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t planned_fill_ ABSL_GUARDED_BY(mutex_) = 0;
  Clock::time_point planned_at_ ABSL_GUARDED_BY(mutex_) = Clock::now();
  double zero_seconds_per_byte_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t last_sealed_ ABSL_GUARDED_BY(mutex_) = 0;  // the last that AwaitSealed() may return
  uint64_t first_generation_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t next_generation_ ABSL_GUARDED_BY(mutex_) = 0;
  // The first record that went, one for each truncation; 0 for a Reset.
  std::vector<Lsn> cuts_ ABSL_GUARDED_BY(mutex_);
  // What keeps records, and below which record they are not wanted any more.
  Holds holds_ ABSL_GUARDED_BY(mutex_);
  Lsn unwanted_below_ ABSL_GUARDED_BY(mutex_) = 0;
  // The first of segments_ that CONTROL is being told are not part of the log: no hold can be taken
  // on them any more. Changes under control_mutex_ only.
  size_t giving_up_ ABSL_GUARDED_BY(mutex_) = 0;
  // There may be something to give up, that the thread has not looked at.
  bool trim_due_ ABSL_GUARDED_BY(mutex_) = false;
  // The last look found a segment of which the successor is not durable yet.
  bool trim_awaits_sync_ ABSL_GUARDED_BY(mutex_) = false;
  // When the thread is to look again: a segment will be too old then.
  Clock::time_point trim_at_ ABSL_GUARDED_BY(mutex_) = Clock::time_point::max();
  // What all files take: those of segments_, prepared_, trimmed_ and pinned_, and those that are
  // being made or removed.
  DiskBudget budget_ ABSL_GUARDED_BY(mutex_);
  bool stalled_ ABSL_GUARDED_BY(mutex_) = false;  // at the cap, and it was told
  std::vector<Left> pinned_ ABSL_GUARDED_BY(mutex_);
  // Those below are not recycled: a backup may share their blocks.
  uint64_t recycle_from_generation_ ABSL_GUARDED_BY(mutex_) = 0;
  std::deque<Left> trimmed_ ABSL_GUARDED_BY(mutex_);
  // What was cut off. To be unlinked only: older slots of CONTROL list their salts, and a
  // recycled file behind the tail with groups of such a salt is damage.
  std::vector<Gone> cut_files_ ABSL_GUARDED_BY(mutex_);
  // For the thread, which writes their indexes and closes them; oldest first.
  std::deque<Sealed> sealed_ ABSL_GUARDED_BY(mutex_);
  // Jobs that make room, and the status of the one that ended last. After a failure nothing is
  // done ahead of need until somebody waits again. Who waits is refused only by an attempt that
  // began after it asked: an older one may have failed for want of space that is there now. Each
  // asker gets one such attempt: asked_at_ is attempts_begun_ when somebody last asked.
  uint64_t attempts_begun_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t attempts_ended_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t asked_at_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::StatusCode attempt_code_ ABSL_GUARDED_BY(mutex_) = absl::StatusCode::kOk;
  std::string attempt_message_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;    // the thread is in a job
  bool failed_ ABSL_GUARDED_BY(mutex_) = false;  // latched: nothing is begun or waited for any more
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_SEGMENT_STORE_H_
