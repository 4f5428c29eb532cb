// SPDX-License-Identifier: Apache-2.0
// A histogram that threads add to without a lock.
#ifndef SEAWALL_ENGINE_METRICS_HISTOGRAM_H_
#define SEAWALL_ENGINE_METRICS_HISTOGRAM_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "seawall/histogram.h"

namespace seawall {

// Thread-safe, of fixed memory: adding takes two atomic additions.
class AtomicHistogram {
 public:
  void Add(uint64_t value) { Add(value, 1); }
  // As Add(value), so many times.
  void Add(uint64_t value, uint64_t times) {
    counts_[Histogram::BucketOf(value)].fetch_add(times, std::memory_order_relaxed);
    sum_.fetch_add(value * times, std::memory_order_relaxed);
    uint64_t max = max_.load(std::memory_order_relaxed);
    while (value > max && !max_.compare_exchange_weak(max, value, std::memory_order_relaxed)) {
    }
  }

  // What was added until now. Of what is added meanwhile, a part: an addition may be in the counts
  // and not in the sum yet, or the other way round.
  Histogram Snapshot() const;

 private:
  std::array<std::atomic<uint64_t>, Histogram::kBuckets> counts_ = {};
  std::atomic<uint64_t> sum_{0};
  std::atomic<uint64_t> max_{0};
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_METRICS_HISTOGRAM_H_
