// SPDX-License-Identifier: Apache-2.0
// What a log measures of its commits: how long their parts take, how large groups are, and what is
// in flight. What each figure means is said in seawall/stats.h.
#ifndef SEAWALL_ENGINE_METRICS_COMMIT_METER_H_
#define SEAWALL_ENGINE_METRICS_COMMIT_METER_H_

#include <chrono>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "engine/metrics/event_dispatcher.h"
#include "engine/metrics/histogram.h"
#include "seawall/options.h"
#include "seawall/stats.h"

namespace seawall {

using MeterClock = std::chrono::steady_clock;

// In nanoseconds; 0 if `to` is the earlier one.
inline uint64_t NanosBetween(MeterClock::time_point from, MeterClock::time_point to) {
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(to - from).count();
  return nanos > 0 ? static_cast<uint64_t>(nanos) : 0;
}

// The leader's side. Guarded by the log's mutex, which is not held during a write or a sync: that
// one is in flight can be seen meanwhile.
class CommitMeter {
 public:
  using Clock = MeterClock;

  // `events` outlives this; may be nullptr.
  CommitMeter(const Options& options, EventDispatcher* events);

  // A round of writes and syncs begins.
  void RoundBegins(Clock::time_point at);

  void WriteBegins(uint64_t generation);
  // The system calls took from `began` to `ended`; the group has so many records and bytes.
  void WriteEnds(Clock::time_point began, Clock::time_point ended, uint64_t records, uint64_t bytes,
                 const absl::Status& status);
  void SyncBegins(uint64_t generation);
  void SyncEnds(Clock::time_point began, Clock::time_point ended, const absl::Status& status);

  // The round serves somebody who waits since `joined`.
  void AddQueued(Clock::time_point joined) { queue_.Add(NanosBetween(joined, round_io_)); }

  void AddStats(Stats* stats) const;

 private:
  void NoteIo(Clock::time_point began);
  // What was in flight since then has ended; true if it was slow.
  bool Ends(Clock::time_point* since, const absl::Status& status);

  const uint64_t slow_nanos_;  // ~0 if nothing is slow
  EventDispatcher* const events_;
  // When the first write or sync of this round began, or, until then, the round.
  Clock::time_point round_io_ = {};
  bool round_has_io_ = false;
  // What is in flight, since when; the epoch if nothing is.
  Clock::time_point write_since_ = {};
  Clock::time_point sync_since_ = {};
  AtomicHistogram queue_, write_, sync_, group_records_, group_bytes_;
  uint64_t slow_writes_ = 0;
  uint64_t slow_syncs_ = 0;
};

// Chooses, of the appends of this thread that need not wait, those that are timed: two looks at the
// clock would cost as much as a small append itself. At random, so that no pattern of the caller's
// hides behind it; one of kMean.
class AppendSampler {
 public:
  static constexpr uint32_t kMean = 256;

  // For each append: true if Draw() is to decide about it.
  static bool Tick() { return --left_ == 0; }
  // True if it is to be timed.
  static bool Draw();
  // It found no place, and goes on as an AppendTimer does.
  static void PassOn() { passed_on_ = true; }
  static bool TakePassedOn() { return std::exchange(passed_on_, false); }

 private:
  // Until one is timed. Initial-exec: also from a shared library, reading it is one instruction.
  static inline thread_local uint32_t left_ __attribute__((tls_model("initial-exec"))) = 1;
  static inline thread_local uint64_t state_ __attribute__((tls_model("initial-exec"))) = 0;
  static inline thread_local bool passed_on_ __attribute__((tls_model("initial-exec"))) = false;
};

// Times one append that did not find a place at once.
class AppendTimer {
 public:
  // `ticked`: Tick() was called for it.
  AppendTimer(AtomicHistogram* reserve, bool ticked)
      : reserve_(reserve),
        sampled_(ticked ? AppendSampler::TakePassedOn()
                        : AppendSampler::Tick() && AppendSampler::Draw()) {
    if (sampled_) began_ = MeterClock::now();
  }
  // It has to wait: then it is counted in any case.
  void Waits() {
    if (!sampled_ && !waited_) began_ = MeterClock::now();
    waited_ = true;
  }
  void Done() {
    if (sampled_ || waited_) {
      reserve_->Add(NanosBetween(began_, MeterClock::now()), waited_ ? 1 : AppendSampler::kMean);
    }
  }

 private:
  AtomicHistogram* const reserve_;
  const bool sampled_;
  bool waited_ = false;
  MeterClock::time_point began_ = {};
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_METRICS_COMMIT_METER_H_
