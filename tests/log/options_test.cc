// SPDX-License-Identifier: Apache-2.0
#include "seawall/options.h"

#include <limits>

#include "gtest/gtest.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

TEST(OptionsTest, DefaultsAreValid) { EXPECT_OK(Options().Validate()); }

TEST(OptionsTest, EveryProblemIsInOneError) {
  Options options;
  options.segment_bytes = 1000;
  options.buffer_bytes = 5000;
  options.buffer_count = 1;
  options.group_alignment_bytes = 16;
  options.max_recycled_segments = 100;
  options.flush_interval_micros = kMost;
  EXPECT_TRUE(Fails(
      options.Validate(), kInvalid,
      {"options: segment_bytes is 1000, expected a multiple of 4096 from 16384 to 1073741824; ",
       "buffer_bytes is 5000, expected a multiple of 4096 from 8192 to 1073741824; ",
       "buffer_count is 1, expected 2 to 64; ",
       "group_alignment_bytes is 16, expected 8, 512 or 4096; ",
       "max_recycled_segments is 100, expected at most 6; ",
       "flush_interval_micros is 18446744073709551615, expected at most 86400000000"}));
}

// Each bound from both sides.

TEST(OptionsTest, SegmentBytes) {
  Options options;
  options.max_record_bytes = 1000;
  for (uint64_t good : {uint64_t{16} << 10, uint64_t{5} << 12, uint64_t{1} << 30}) {
    options.segment_bytes = good;
    EXPECT_OK(options.Validate()) << good;
  }
  for (uint64_t bad : {uint64_t{0}, uint64_t{3} << 12, (uint64_t{16} << 10) + 1,
                       (uint64_t{1} << 30) + 4096, kMost, kMost - 4095}) {
    options.segment_bytes = bad;
    EXPECT_TRUE(Fails(options.Validate(), kInvalid, {"segment_bytes is"})) << bad;
  }
}

TEST(OptionsTest, BufferBytes) {
  Options options;
  options.max_record_bytes = 1000;
  for (uint64_t good : {uint64_t{8} << 10, uint64_t{1} << 30}) {
    options.buffer_bytes = good;
    EXPECT_OK(options.Validate()) << good;
  }
  for (uint64_t bad : {uint64_t{0}, uint64_t{4096}, (uint64_t{8} << 10) + 512,
                       (uint64_t{1} << 30) + 4096, kMost}) {
    options.buffer_bytes = bad;
    EXPECT_TRUE(Fails(options.Validate(), kInvalid, {"buffer_bytes is"})) << bad;
  }
}

TEST(OptionsTest, BufferCount) {
  Options options;
  for (uint32_t good : {2u, 64u}) {
    options.buffer_count = good;
    EXPECT_OK(options.Validate()) << good;
  }
  for (uint32_t bad : {0u, 1u, 65u}) {
    options.buffer_count = bad;
    EXPECT_TRUE(Fails(options.Validate(), kInvalid, {"buffer_count is"})) << bad;
  }
}

TEST(OptionsTest, GroupAlignmentBytes) {
  Options options;
  for (uint32_t good : {8u, 512u, 4096u}) {
    options.group_alignment_bytes = good;
    EXPECT_OK(options.Validate()) << good;
  }
  for (uint32_t bad : {0u, 1u, 4u, 1024u, 8192u}) {
    options.group_alignment_bytes = bad;
    EXPECT_TRUE(Fails(options.Validate(), kInvalid, {"group_alignment_bytes is"})) << bad;
  }
}

TEST(OptionsTest, MaxRecycledSegments) {
  Options options;
  for (uint32_t good : {0u, 6u}) {
    options.max_recycled_segments = good;
    EXPECT_OK(options.Validate()) << good;
  }
  options.max_recycled_segments = 7;
  EXPECT_TRUE(Fails(options.Validate(), kInvalid, {"max_recycled_segments is 7"}));
}

TEST(OptionsTest, FlushIntervalMicros) {
  Options options;
  options.flush_interval_micros = uint64_t{24} * 3600 * 1000 * 1000;
  EXPECT_OK(options.Validate());
  ++options.flush_interval_micros;
  EXPECT_TRUE(Fails(options.Validate(), kInvalid, {"flush_interval_micros is"}));
}

TEST(OptionsTest, SlowSyncMicros) {
  Options options;
  for (uint64_t good : {uint64_t{0}, uint64_t{1}, uint64_t{24} * 3600 * 1000 * 1000}) {
    options.slow_sync_micros = good;
    EXPECT_OK(options.Validate()) << good;
  }
  ++options.slow_sync_micros;
  EXPECT_TRUE(Fails(options.Validate(), kInvalid, {"slow_sync_micros is"}));
}

// A record is a batch of one, with 16 bytes for its header.
TEST(OptionsTest, LongestRecordFitsTheLargestBatch) {
  for (uint32_t alignment : {8u, 512u, 4096u}) {
    Options options;
    options.segment_bytes = uint64_t{16} << 10;
    options.buffer_bytes = uint64_t{8} << 10;
    options.group_alignment_bytes = alignment;
    options.max_record_bytes = options.MaxBatchBytes() - 16;
    EXPECT_OK(options.Validate());
    ++options.max_record_bytes;
    EXPECT_TRUE(Fails(options.Validate(), kInvalid, {"max_record_bytes is "}));
  }
}

TEST(OptionsTest, RecordBoundThatOverflowsIsAProblem) {
  Options options;
  for (uint64_t bad : {kMost, kMost - 15, kMost - 16}) {
    options.max_record_bytes = bad;
    EXPECT_TRUE(Fails(options.Validate(), kInvalid, {"max_record_bytes is "})) << bad;
  }
}

TEST(OptionsTest, LargestBatchFitsBufferAndSegment) {
  Options options;
  options.buffer_bytes = uint64_t{8} << 10;
  EXPECT_LE(options.MaxBatchBytes(), options.buffer_bytes - 48);
  options.buffer_bytes = uint64_t{1} << 20;
  options.segment_bytes = uint64_t{16} << 10;
  EXPECT_LE(options.MaxBatchBytes(), options.segment_bytes - 4096 - 48);
}

}  // namespace
}  // namespace seawall
