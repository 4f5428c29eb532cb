// SPDX-License-Identifier: Apache-2.0
// The segments of an open log: which there are, which one comes next, which may go. A background
// thread works ahead of the writer: it preallocates the segment that is being filled and the next
// ones, and recycles or unlinks what was trimmed.
//
// A part for each stage of a segment's life, all on one StoreState (store_state.h) under one mutex:
//   preallocator.h   before it is full: spares, preallocation, who waits for them, rollover
//   sealer.h         full: its index is written, and the archive may have it
//   retention.h      what keeps it (holds, options, its age), and how it goes at the front
//   truncator.h      how it goes at the back, or with all others: a fresh segment takes its place
// The parts have few fields of their own. What is decided without files is in classes that the
// mutex guards: segment_list.h, prepared_segments.h, holds.h, disk_budget.h, trash.h, zero_rate.h.
#ifndef SEAWALL_ENGINE_STORE_SEGMENT_STORE_H_
#define SEAWALL_ENGINE_STORE_SEGMENT_STORE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/recovery/recovery.h"
#include "engine/segments/fresh_segment.h"
#include "engine/segments/segment_cache.h"
#include "engine/segments/segment_ref.h"
#include "engine/store/preallocator.h"
#include "engine/store/retention.h"
#include "engine/store/sealer.h"
#include "engine/store/store_state.h"
#include "engine/store/truncator.h"
#include "seawall/options.h"
#include "seawall/stats.h"

namespace seawall {

// Thread-safe: see StoreState for the locks.
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
  // Writes that the log was closed at the durable watermark, where all that was written ends; the
  // groups of the last segment have this digest. After Stop().
  absl::Status MarkClosed(uint64_t digest);
  // As Log::SetMetadata(), for at most kMaxMetadataBytes. An error may also be the log's.
  absl::Status SetMetadata(std::string_view metadata);
  std::string metadata() const;

  // For the writer.
  Preallocator& preallocator() { return preallocator_; }
  // For those that want records to stay, or to go.
  Retention& retention() { return retention_; }
  // As Truncator says.
  absl::StatusOr<FreshSegment> TruncateAfter(Lsn lsn, const CursorTable* cursors) {
    return truncator_.TruncateAfter(lsn, cursors);
  }
  absl::StatusOr<FreshSegment> Reset(Lsn first_lsn, const CursorTable* cursors) {
    return truncator_.Reset(first_lsn, cursors);
  }

  // ---- For readers, and for the archive

  const std::string& directory() const { return state_.directory; }
  const LogId& log_id() const { return state_.log_id; }
  // For random reads of what Locate() finds.
  SegmentCache* cache() { return &state_.cache; }
  // The segment that holds `lsn`, which is not above the written ones; none below the first. The
  // copy pins the file.
  std::optional<SegmentRef> Locate(Lsn lsn);
  Lsn first_lsn() const;
  // As Sealer::Await() says.
  std::optional<SegmentRef> AwaitSealed(uint64_t generation) { return sealer_.Await(generation); }
  // Counts the TruncateAfter and Reset calls that changed the log.
  size_t truncations() const;
  // The lowest record that was cut off since truncations() was `since`: 0 by a Reset, ~0 if none
  // was.
  Lsn FirstCut(size_t since) const;
  void AddStats(Stats* stats) const;

 private:
  using Clock = std::chrono::steady_clock;

  void Run();
  // Sleeps until there may be a job.
  void AwaitWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_.mutex);
  absl::Status Do(StoreJob job) ABSL_LOCKS_EXCLUDED(state_.mutex);

  mutable StoreState state_;
  Preallocator preallocator_{&state_};
  Sealer sealer_{&state_};
  Retention retention_{&state_};
  Truncator truncator_{&state_};
  std::thread thread_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_SEGMENT_STORE_H_
