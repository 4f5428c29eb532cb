// SPDX-License-Identifier: Apache-2.0
// Truncating: everything above a record, or all there is, is replaced by a fresh segment.
//
// The header of the fresh segment, written last, says where its predecessor ends, and so cuts off
// what came after: it is the commit point. A crash before it leaves the log as it was; after it,
// the files that were cut off are garbage, whether CONTROL says so yet or not.
#ifndef SEAWALL_ENGINE_STORE_TRUNCATOR_H_
#define SEAWALL_ENGINE_STORE_TRUNCATOR_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/mutex.h"
#include "engine/format/cursor_table.h"
#include "engine/segments/fresh_segment.h"
#include "engine/segments/segment_ref.h"
#include "engine/store/store_state.h"

namespace seawall {

// Called by one thread at a time, the leader of the group commit, while nobody appends and all is
// durable. The store's thread pauses meanwhile. Has no state of its own.
class Truncator {
 public:
  // `state` outlives this.
  explicit Truncator(StoreState* state) : state_(state) {}

  // Replaces everything above `lsn` by a fresh segment, and returns it. `cursors`: their table, in
  // a log that has it.
  absl::StatusOr<FreshSegment> TruncateAfter(Lsn lsn, const CursorTable* cursors);
  // Replaces everything by a fresh segment that begins at `first_lsn`.
  absl::StatusOr<FreshSegment> Reset(Lsn first_lsn, const CursorTable* cursors);

 private:
  // Waits until the store's thread is in no job, and lets it begin none; the reverse.
  void Pause() ABSL_LOCKS_EXCLUDED(state_->mutex);
  void Resume() ABSL_LOCKS_EXCLUDED(state_->mutex);
  absl::StatusOr<FreshSegment> CutAfter(Lsn lsn, const CursorTable* cursors)
      ABSL_LOCKS_EXCLUDED(state_->mutex, state_->control_mutex);
  // Begins a fresh segment as `header` says, with the records of `source`: nothing comes after it,
  // and the last of `kept` stands before it, if there is any. Fails before that has happened.
  absl::StatusOr<FreshSegment> BeginAnew(std::vector<SegmentRef> kept, SegmentHeader header,
                                         const CopySource& source, const CursorTable* cursors,
                                         Lsn first_cut)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->control_mutex) ABSL_LOCKS_EXCLUDED(state_->mutex);
  // Takes the bytes of a fresh segment, from what is kept for one if need be.
  absl::Status TakeForFresh(uint64_t bytes) ABSL_LOCKS_EXCLUDED(state_->mutex);
  // Makes `fresh` the last segment, after `kept`, moves the watermarks to its end, and makes the
  // files that are no longer needed garbage.
  void Replace(std::vector<SegmentRef> kept, Lsn first_cut, const FreshSegment& fresh,
               uint64_t cursor_sequence) ABSL_LOCKS_EXCLUDED(state_->mutex);

  StoreState* const state_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_TRUNCATOR_H_
