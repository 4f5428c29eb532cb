// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics/commit_meter.h"

#include <algorithm>

namespace seawall {
namespace {

// 0 is "nothing in flight".
uint64_t AgeMicros(CommitMeter::Clock::time_point since, CommitMeter::Clock::time_point now) {
  if (since == CommitMeter::Clock::time_point()) return 0;
  return std::max<uint64_t>(NanosBetween(since, now) / 1000, 1);
}

}  // namespace

CommitMeter::CommitMeter(const Options& options, EventDispatcher* events)
    : slow_nanos_(options.slow_sync_micros == 0 ? ~uint64_t{0} : options.slow_sync_micros * 1000),
      events_(events) {}

void CommitMeter::RoundBegins(Clock::time_point at) {
  round_io_ = at;
  round_has_io_ = false;
}

void CommitMeter::NoteIo(Clock::time_point began) {
  if (!round_has_io_) round_io_ = began;
  round_has_io_ = true;
}

bool CommitMeter::Ends(Clock::time_point* since, const absl::Status& status) {
  const Clock::time_point now = Clock::now();
  const bool slow = NanosBetween(*since, now) >= slow_nanos_;
  *since = {};
  // If it has told of a stall, that counts, however the clocks were read.
  return (events_ != nullptr && events_->IoEnds(now, status)) || slow;
}

void CommitMeter::WriteBegins(uint64_t generation) {
  write_since_ = Clock::now();
  if (events_ != nullptr) {
    events_->IoBegins(EventDispatcher::Io::kWrite, generation, write_since_);
  }
}

void CommitMeter::WriteEnds(Clock::time_point began, Clock::time_point ended, uint64_t records,
                            uint64_t bytes, const absl::Status& status) {
  if (Ends(&write_since_, status)) ++slow_writes_;
  NoteIo(began);
  write_.Add(NanosBetween(began, ended));
  group_records_.Add(records);
  group_bytes_.Add(bytes);
}

void CommitMeter::SyncBegins(uint64_t generation) {
  sync_since_ = Clock::now();
  if (events_ != nullptr) events_->IoBegins(EventDispatcher::Io::kSync, generation, sync_since_);
}

void CommitMeter::SyncEnds(Clock::time_point began, Clock::time_point ended,
                           const absl::Status& status) {
  if (Ends(&sync_since_, status)) ++slow_syncs_;
  NoteIo(began);
  sync_.Add(NanosBetween(began, ended));
}

void CommitMeter::AddStats(Stats* stats) const {
  stats->queue_nanos = queue_.Snapshot();
  stats->write_nanos = write_.Snapshot();
  stats->sync_nanos = sync_.Snapshot();
  stats->group_records = group_records_.Snapshot();
  stats->group_bytes = group_bytes_.Snapshot();
  stats->slow_writes = slow_writes_;
  stats->slow_syncs = slow_syncs_;
  if (events_ != nullptr) stats->events_lost = events_->lost();
  const Clock::time_point now = Clock::now();
  stats->write_in_flight_micros = AgeMicros(write_since_, now);
  stats->sync_in_flight_micros = AgeMicros(sync_since_, now);
}

bool AppendSampler::Draw() {
  const bool first = state_ == 0;
  if (first) {
    const auto ticks = MeterClock::now().time_since_epoch().count();
    state_ = (static_cast<uint64_t>(ticks) ^ reinterpret_cast<uintptr_t>(&state_)) | 1;
  }
  auto draw = [] {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return 1 +
           static_cast<uint32_t>(((state_ >> 32) * (2 * kMean - 1)) >> 32);  // 1 to 2 * kMean - 1
  };
  // A thread's first append is no likelier than others: there may be many short-lived threads.
  if (first) {
    const uint32_t to_go = draw();
    if (to_go > 1) {
      left_ = to_go - 1;
      return false;
    }
  }
  left_ = draw();
  return true;
}

}  // namespace seawall
