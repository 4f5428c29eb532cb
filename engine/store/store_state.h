// SPDX-License-Identifier: Apache-2.0
// What the parts of SegmentStore share: one list of segments under one mutex, and the steps that
// more than one of them takes.
#ifndef SEAWALL_ENGINE_STORE_STORE_STATE_H_
#define SEAWALL_ENGINE_STORE_STORE_STATE_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "engine/format/format.h"
#include "engine/metrics/event_dispatcher.h"
#include "engine/segments/control_file.h"
#include "engine/segments/segment_cache.h"
#include "engine/segments/segment_list.h"
#include "engine/segments/segment_ref.h"
#include "engine/store/age_clock.h"
#include "engine/store/disk_budget.h"
#include "engine/store/holds.h"
#include "engine/store/prepared_segments.h"
#include "engine/store/trash.h"
#include "engine/store/watermarks.h"
#include "seawall/options.h"
#include "seawall/stats.h"

namespace seawall {

// The two things that the store cannot do itself. Both point upward, to layers that it does not
// know. They are called without the store's mutex.
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

// What is to be trimmed at the front of the log, and when. Guarded by the store's mutex.
struct TrimState {
  // What keeps records, and below which record they are not wanted any more.
  Holds holds;
  Lsn unwanted_below = 0;
  // So many of the first segments are being trimmed: CONTROL is being written without them, and no
  // hold can be taken on them any more. Changes under control_mutex only.
  size_t under_way = 0;
  // There may be something to trim that the thread has not examined.
  bool due = false;
  // The last examination found a segment of which the successor is not durable yet.
  bool awaits_sync = false;
  // When the thread is to examine again: a segment will be too old then.
  std::chrono::steady_clock::time_point at = std::chrono::steady_clock::time_point::max();

  // The durable watermark has entered another segment.
  void NoteSync() {
    if (awaits_sync) due = true;
    awaits_sync = false;
  }
};

// Segments that are sealed. Guarded by the store's mutex.
struct SealedState {
  // A sealed segment of which the index is not in its file yet; segment.index is set.
  struct Unindexed {
    SegmentRef segment;
    std::shared_ptr<WritableSegment> file;
  };
  std::deque<Unindexed> unindexed;  // oldest first
  uint64_t last = 0;                // the last that Sealer::Await() may return
};

// What the store's thread is at, and what it may do. Guarded by the store's mutex.
struct ThreadState {
  bool busy = false;    // it is in a job
  bool paused = false;  // it begins no other
  bool stop = false;
  // Fail() was called: nothing is begun or waited for any more. Not the sticky error of the log:
  // after a failed write of records the store still finishes what concerns older ones.
  bool failed = false;
};

// What the store's thread can do.
enum class StoreJob { kNone, kIndex, kExtend, kSpare, kTrim, kRemove };

// Lock order: control_mutex, then mutex. `mutex` may be taken under the group commit's mutex, and
// Watermarks and EventDispatcher have leaf locks of their own that may be taken under it.
struct StoreState {
  StoreState(FileSystem* fs, std::string directory, const Options& options, Watermarks* marks,
             EventDispatcher* events);

  // ---- Constant; callbacks and log_id from SegmentStore::Start() on
  FileSystem* const fs;
  const std::string directory;
  const Options options;
  Watermarks* const marks;
  EventDispatcher* const events;  // may be nullptr
  const AgeClock clock;
  SegmentStoreCallbacks callbacks;
  LogId log_id = {};

  SegmentCache cache;  // thread-safe; asks IsCurrent(), so its lock comes before mutex

  // Orders writes of CONTROL.
  Mutex control_mutex;
  std::unique_ptr<ControlFile> control_file ABSL_GUARDED_BY(control_mutex);

  // ---- For the writer, without a lock. Stored under mutex.
  // How far the current segment may be filled. Equals prepared.current().allocated_bytes, except
  // that Extend() raises it only when CONTROL says so.
  std::atomic<uint64_t> allocated{0};
  // The fill from which on Preallocator::NoteFill() has something to do. A hint.
  std::atomic<uint64_t> note_from{0};

  // ---- Under the mutex
  Mutex mutex;
  CondVar work;         // for the thread
  CondVar progress;     // for those that wait for the thread
  CondVar sealed_news;  // for Sealer::Await()

  // All segments that hold records, oldest first; the last one is being written.
  SegmentList segments ABSL_GUARDED_BY(mutex);
  PreparedSegments prepared ABSL_GUARDED_BY(mutex);
  RoomAttempts attempts ABSL_GUARDED_BY(mutex);
  TrimState trim ABSL_GUARDED_BY(mutex);
  // What all files take: those of segments, prepared and trash, and those that are being made.
  DiskBudget budget ABSL_GUARDED_BY(mutex);
  Trash trash ABSL_GUARDED_BY(mutex);
  SealedState sealed ABSL_GUARDED_BY(mutex);
  std::string metadata ABSL_GUARDED_BY(mutex);
  uint64_t first_generation ABSL_GUARDED_BY(mutex) = 0;
  uint64_t next_generation ABSL_GUARDED_BY(mutex) = 0;
  // The first record that went, one for each truncation; 0 for a Reset.
  std::vector<Lsn> cuts ABSL_GUARDED_BY(mutex);
  Stats stats ABSL_GUARDED_BY(mutex);
  ThreadState thread ABSL_GUARDED_BY(mutex);

  // ---- Under the mutex, no files
  // What the thread does next, apart from indexes.
  StoreJob NextJob() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool MayWriteIndex() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  bool IsCurrent(uint64_t generation) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return segments.Find(generation) < segments.size();
  }
  // Another segment is current: shows the writer how far it may be filled.
  void ShowCurrent() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // What CONTROL says now.
  ControlBlock Control() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);

  // ---- Steps that several parts take
  absl::Status WriteControl() ABSL_EXCLUSIVE_LOCKS_REQUIRED(control_mutex)
      ABSL_LOCKS_EXCLUDED(mutex);
  // Writes CONTROL with this spare, then makes it one: from then on its loss is noticed.
  absl::Status ListSpare(Prepared spare) ABSL_LOCKS_EXCLUDED(mutex, control_mutex);
  // Reports a failure that may concern acknowledged records, and returns it.
  absl::Status Fail(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex);
  // The same for a failure to make room. Nothing that was accepted depends on room, so a lack of
  // space (of any kind) is only returned.
  absl::Status RefuseOrFail(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex);
  // A file could not be made as planned: gives back what was taken for it, if it is gone.
  void GiveBack(const std::string& path, uint64_t taken) ABSL_LOCKS_EXCLUDED(mutex);
  // Unlinks files, and gives their bytes back when nobody has them open.
  absl::Status Unlink(std::vector<Trash::File> files) ABSL_LOCKS_EXCLUDED(mutex);
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_STORE_STATE_H_
