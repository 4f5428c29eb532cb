// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics/histogram.h"

#include <algorithm>
#include <cmath>

namespace seawall {

uint64_t Histogram::BucketLow(size_t bucket) {
  if (bucket < kPerOctave) return bucket;
  const size_t octave = bucket / kPerOctave + kPerOctaveBits - 1;
  return (kPerOctave + bucket % kPerOctave) << (octave - kPerOctaveBits);
}

uint64_t Histogram::BucketHigh(size_t bucket) {
  return bucket + 1 >= kBuckets ? ~uint64_t{0} : BucketLow(bucket + 1) - 1;
}

void Histogram::Add(uint64_t value, uint64_t times) {
  if (times == 0) return;
  const size_t bucket = BucketOf(value);
  if (counts_.size() <= bucket) counts_.resize(bucket + 1);
  counts_[bucket] += times;
  count_ += times;
  sum_ += value * times;
  max_ = std::max(max_, value);
}

void Histogram::Merge(const Histogram& other) {
  if (counts_.size() < other.counts_.size()) counts_.resize(other.counts_.size());
  for (size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  max_ = std::max(max_, other.max_);
}

Histogram Histogram::Since(const Histogram& earlier) const {
  Histogram since;
  since.counts_ = counts_;
  for (size_t i = 0; i < since.counts_.size(); ++i) {
    // Snapshots in the wrong order have nothing in between.
    since.counts_[i] -= std::min(since.counts_[i], earlier.BucketCount(i));
    since.count_ += since.counts_[i];
    if (since.counts_[i] > 0) since.max_ = std::min(BucketHigh(i), max_);
  }
  if (since.count_ > 0) since.sum_ = sum_ - earlier.sum_;
  return since;
}

double Histogram::Mean() const {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

uint64_t Histogram::Percentile(double percent) const {
  const double wanted = std::ceil(percent / 100 * static_cast<double>(count_));
  uint64_t below = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    below += counts_[i];
    if (below > 0 && static_cast<double>(below) >= wanted) return std::min(BucketHigh(i), max_);
  }
  return max_;
}

uint64_t Histogram::CountUpTo(uint64_t value) const {
  uint64_t count = 0;
  for (size_t i = 0; i < counts_.size() && BucketHigh(i) <= value; ++i) count += counts_[i];
  return count;
}

Histogram AtomicHistogram::Snapshot() const {
  Histogram snapshot;
  // First: what is counted here is not above it.
  snapshot.max_ = max_.load(std::memory_order_relaxed);
  snapshot.counts_.resize(Histogram::BucketOf(snapshot.max_) + 1);
  for (size_t i = 0; i < snapshot.counts_.size(); ++i) {
    snapshot.counts_[i] = counts_[i].load(std::memory_order_relaxed);
    snapshot.count_ += snapshot.counts_[i];
  }
  snapshot.sum_ = sum_.load(std::memory_order_relaxed);
  return snapshot;
}

}  // namespace seawall
