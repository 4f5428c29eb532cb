// SPDX-License-Identifier: Apache-2.0
// The front of the log: what keeps segments there, and what becomes of those that nothing keeps.
//
// A segment is trimmed when it is not wanted (TrimBefore, or the options say so), no hold is on it,
// and a sync covers the header of its successor. First CONTROL says so, then the file is recycled
// or unlinked: a crash must find either the file or the word that it was trimmed.
#ifndef SEAWALL_ENGINE_STORE_RETENTION_H_
#define SEAWALL_ENGINE_STORE_RETENTION_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "engine/segments/segment_ref.h"
#include "engine/store/store_state.h"
#include "seawall/retention.h"
#include "seawall/types.h"

namespace seawall {

// Thread-safe; has no state of its own. Decides on TrimState and the list of segments, under the
// store's mutex (retention.cc); carries it out on files without it (trimming.cc).
class Retention {
 public:
  // `state` outlives this.
  explicit Retention(StoreState* state) : state_(state) {}

  // Trims whole segments below `lsn` and below all holds; durable on return. What a hold keeps back
  // is trimmed by the thread when the hold lets it go: the wish is remembered, in memory.
  absl::Status TrimBefore(Lsn lsn);

  // Takes the hold of this kind and name, or moves it, in either direction: nothing at or above
  // `lsn` is trimmed before it is moved or released. Takes no lock but the store's, touches no
  // file: what becomes free is trimmed by the thread. Before Start(), any `lsn` will do; later:
  //   OutOfRange  `lsn` is below the first record that is kept, which is named; nothing changes.
  // A truncation moves holds that are above its end to its end; a reset, to its first record.
  absl::Status SetHold(HoldKind kind, const std::string& name, Lsn lsn);
  // Takes it, or moves it, to the first record of the first segment after `generation`, which is
  // not above the last one's: in one step, whatever was truncated meanwhile.
  void HoldAfter(HoldKind kind, const std::string& name, uint64_t generation);
  // Takes it on all that is kept, and returns the first record of that.
  Lsn HoldFirst(HoldKind kind, const std::string& name);
  // None of this name is no error.
  void ReleaseHold(HoldKind kind, const std::string& name);
  std::vector<Hold> holds() const;
  // Reads a block of each segment from before Start(), where ages matter.
  RetentionReport retention_report();
  // From now on, segments that are there now are unlinked when they are trimmed, not recycled.
  void StopRecycling();

  // ---- For the store's thread
  // Takes segments that nobody wants and nothing holds out of the log.
  absl::Status Trim() ABSL_LOCKS_EXCLUDED(state_->mutex, state_->control_mutex);
  // Recycles or unlinks what was trimmed, and unlinks what was cut off.
  absl::Status RemoveTrimmed() ABSL_LOCKS_EXCLUDED(state_->mutex, state_->control_mutex);
  // Unlinks all of that, at the end.
  void EmptyTrash() ABSL_LOCKS_EXCLUDED(state_->mutex, state_->control_mutex);

 private:
  using Clock = std::chrono::steady_clock;

  // Has the thread examine whether there is something to trim, if the first segment may be it.
  void NoteLetGo(Lsn held_from) ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex);
  // Below which record nothing is wanted; lowers *due to when that changes by itself.
  Lsn UnwantedBelow(Clock::time_point* due) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex);
  // Finds out how old segments from before Start() are, as far as that decides on their staying.
  void LearnAges() ABSL_LOCKS_EXCLUDED(state_->mutex);
  bool NextOfUnknownAge(uint64_t* generation, SegmentRef* next) ABSL_LOCKS_EXCLUDED(state_->mutex);
  SegmentRetention Explain(size_t i, uint64_t bytes_after, Lsn unwanted_below) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex);

  StoreState* const state_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_RETENTION_H_
