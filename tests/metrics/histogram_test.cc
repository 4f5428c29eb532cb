// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics/histogram.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace seawall {
namespace {

// Values of all magnitudes, below the last bucket.
std::vector<uint64_t> RandomValues(std::mt19937_64* random, size_t count) {
  std::vector<uint64_t> values(count);
  for (uint64_t& value : values) value = (*random)() >> (24 + (*random)() % 40);
  return values;
}

TEST(HistogramTest, BucketsFollowEachOtherWithoutGaps) {
  uint64_t next = 0;
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    const uint64_t low = Histogram::BucketLow(i);
    const uint64_t high = Histogram::BucketHigh(i);
    ASSERT_EQ(low, next) << i;
    ASSERT_EQ(Histogram::BucketOf(low), i);
    ASSERT_EQ(Histogram::BucketOf(high), i);
    if (i + 1 < Histogram::kBuckets) {
      ASSERT_LE((high - low) * 16, low) << i;
    }
    next = high + 1;
  }
  EXPECT_EQ(next, 0u);  // the last one ends with the last value
}

TEST(HistogramTest, AnEmptyOneSaysNothing) {
  const Histogram none;
  EXPECT_EQ(none.count(), 0u);
  EXPECT_EQ(none.max(), 0u);
  EXPECT_EQ(none.Mean(), 0);
  EXPECT_EQ(none.Percentile(50), 0u);
  EXPECT_EQ(none.CountUpTo(~uint64_t{0}), 0u);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 0; value < 32; ++value) histogram.Add(value);
  EXPECT_EQ(histogram.Percentile(0), 0u);
  EXPECT_EQ(histogram.Percentile(50), 15u);
  EXPECT_EQ(histogram.Percentile(100), 31u);
  EXPECT_EQ(histogram.CountUpTo(15), 16u);
  EXPECT_EQ(histogram.sum(), 31u * 16);
}

TEST(HistogramTest, WhatIsTooLargeForABucketHasItsMaximum) {
  Histogram histogram;
  histogram.Add(~uint64_t{0} - 7);
  histogram.Add(uint64_t{1} << 40);
  EXPECT_EQ(histogram.BucketCount(Histogram::kBuckets - 1), 2u);
  EXPECT_EQ(histogram.Percentile(50), ~uint64_t{0} - 7);
  EXPECT_EQ(histogram.max(), ~uint64_t{0} - 7);
}

// Against the sorted values themselves.
TEST(HistogramTest, PercentilesAreAtMostASixteenthTooHigh) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 200; ++round) {
    std::vector<uint64_t> values = RandomValues(&random, 1 + random() % 300);
    Histogram histogram;
    AtomicHistogram atomic;
    uint64_t sum = 0;
    for (uint64_t value : values) {
      histogram.Add(value);
      atomic.Add(value);
      sum += value;
    }
    std::sort(values.begin(), values.end());
    ASSERT_EQ(histogram.count(), values.size());
    ASSERT_EQ(histogram.sum(), sum);
    ASSERT_EQ(histogram.max(), values.back());
    const Histogram snapshot = atomic.Snapshot();
    for (double percent : {0.0, 1.0, 25.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
      const double rank = std::ceil(percent / 100 * static_cast<double>(values.size()));
      const uint64_t exact = values[rank < 1 ? 0 : static_cast<size_t>(rank) - 1];
      const uint64_t told = histogram.Percentile(percent);
      ASSERT_GE(told, exact) << percent;
      ASSERT_LE(told, exact + exact / 16) << percent;
      ASSERT_EQ(snapshot.Percentile(percent), told) << percent;
    }
    const uint64_t edge = Histogram::BucketHigh(random() % (Histogram::kBuckets - 1));
    ASSERT_EQ(histogram.CountUpTo(edge),
              static_cast<uint64_t>(std::upper_bound(values.begin(), values.end(), edge) -
                                    values.begin()));
  }
}

TEST(HistogramTest, AMergeIsTheSumAndSinceTakesItApartAgain) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 100; ++round) {
    Histogram first, second, both;
    for (uint64_t value : RandomValues(&random, random() % 50)) {
      first.Add(value);
      both.Add(value);
    }
    for (uint64_t value : RandomValues(&random, random() % 50)) {
      second.Add(value, 3);
      for (int i = 0; i < 3; ++i) both.Add(value);
    }
    Histogram merged = first;
    merged.Merge(second);
    const Histogram since = both.Since(first);
    for (size_t i = 0; i < Histogram::kBuckets; ++i) {
      ASSERT_EQ(merged.BucketCount(i), both.BucketCount(i));
      ASSERT_EQ(since.BucketCount(i), second.BucketCount(i));
    }
    ASSERT_EQ(merged.count(), both.count());
    ASSERT_EQ(merged.sum(), both.sum());
    ASSERT_EQ(merged.max(), both.max());
    ASSERT_EQ(since.count(), second.count());
    ASSERT_EQ(since.sum(), second.sum());
    ASSERT_GE(since.max(), second.max());
    ASSERT_LE(since.max(), second.max() + second.max() / 16);
  }
}

TEST(HistogramTest, ThreadsLoseNothing) {
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kAdds = 20000;
  AtomicHistogram histogram;
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&histogram, t] {
      for (uint64_t i = 0; i < kAdds; ++i) histogram.Add(i * kThreads + t);
    });
  }
  uint64_t count = 0;
  for (int i = 0; i < 100; ++i) {
    const Histogram snapshot = histogram.Snapshot();
    EXPECT_GE(snapshot.count(), count);
    EXPECT_GE(snapshot.max(), snapshot.Percentile(100));
    count = snapshot.count();
  }
  for (std::thread& thread : threads) thread.join();
  const Histogram all = histogram.Snapshot();
  constexpr uint64_t kCount = kThreads * kAdds;
  EXPECT_EQ(all.count(), kCount);
  EXPECT_EQ(all.sum(), kCount * (kCount - 1) / 2);
  EXPECT_EQ(all.max(), kCount - 1);
}

}  // namespace
}  // namespace seawall
