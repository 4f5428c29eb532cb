// SPDX-License-Identifier: Apache-2.0
// How values are distributed: how long syncs took, how large groups were.
#ifndef SEAWALL_HISTOGRAM_H_
#define SEAWALL_HISTOGRAM_H_

#include <cstddef>
#include <cstdint>
#include <vector>

namespace seawall {

// Counts of values, in buckets that are 1 wide below 32, and above it at most 1/16 of the values in
// them: each power of two has 16 (log-linear, as HdrHistogram's). What it says of a value is so
// never too low, and too high by 1/16 of it at most. 2^40 and more (18 minutes, in nanoseconds)
// share the last bucket: of those only the number, the sum and the largest are known.
//
// A plain value, of 5 KB at most.
class Histogram {
 public:
  static constexpr size_t kBuckets = 592;

  // The bucket of a value, and the lowest and the highest value of a bucket.
  static size_t BucketOf(uint64_t value) {
    if (value < kPerOctave) return static_cast<size_t>(value);
    if (value >> kBits != 0) return kBuckets - 1;
    const int octave = 63 - __builtin_clzll(value);
    const uint64_t within = (value >> (octave - kPerOctaveBits)) - kPerOctave;
    return static_cast<size_t>(octave - kPerOctaveBits + 1) * kPerOctave +
           static_cast<size_t>(within);
  }
  static uint64_t BucketLow(size_t bucket);
  static uint64_t BucketHigh(size_t bucket);

  void Add(uint64_t value) { Add(value, 1); }
  // As Add(value), so many times.
  void Add(uint64_t value, uint64_t times);
  // As if all that was added to `other` had been added here.
  void Merge(const Histogram& other);
  // What was added behind `earlier`, an older snapshot of the same histogram: the last minute's
  // values, say. Its max() is that of its highest bucket, or of everything if that is lower.
  Histogram Since(const Histogram& earlier) const;

  uint64_t count() const { return count_; }
  // Exact; modulo 2^64.
  uint64_t sum() const { return sum_; }
  // Exact; 0 if there are none.
  uint64_t max() const { return max_; }
  double Mean() const;

  // The least of the values that at least `percent` (0 to 100) of all values do not exceed, or up
  // to 1/16 above that; never above max(). 0 if there are none.
  uint64_t Percentile(double percent) const;

  // How many are in buckets that end at `value` or below: exactly those up to `value`, if that is
  // the end of a bucket.
  uint64_t CountUpTo(uint64_t value) const;
  // 0 for what is not a bucket.
  uint64_t BucketCount(size_t bucket) const {
    return bucket < counts_.size() ? counts_[bucket] : 0;
  }

 private:
  friend class AtomicHistogram;
  static constexpr int kBits = 40;
  static constexpr int kPerOctaveBits = 4;
  static constexpr uint64_t kPerOctave = uint64_t{1} << kPerOctaveBits;
  static_assert(kBuckets == (kBits - kPerOctaveBits + 1) * kPerOctave);

  std::vector<uint64_t> counts_;  // up to the last bucket that is not empty, or further
  uint64_t count_ = 0;            // the sum of counts_
  uint64_t sum_ = 0;
  uint64_t max_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_HISTOGRAM_H_
