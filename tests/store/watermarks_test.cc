// SPDX-License-Identifier: Apache-2.0
// The watermarks of an open log, alone and together with the store that moves them back.
#include "engine/store/watermarks.h"

#include <string>

#include "engine/segments/control_file.h"
#include "gtest/gtest.h"
#include "tests/store/store_test_util.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

void ExpectAt(const Watermark& mark, Lsn lsn, uint64_t generation, uint64_t end) {
  EXPECT_EQ(mark.lsn, lsn);
  EXPECT_EQ(mark.generation, generation);
  EXPECT_EQ(mark.end, end);
}

TEST(WatermarksTest, DurableFollowsWritten) {
  Watermarks marks;
  marks.Restart({10, 3, 4096}, /*cursor_sequence=*/7);
  EXPECT_FALSE(marks.Advance({12, 3, 8192}, /*durable=*/false, 8));
  ExpectAt(marks.written(), 12, 3, 8192);
  ExpectAt(marks.durable(), 10, 3, 4096);
  EXPECT_EQ(marks.durable_state().cursor_sequence, 7u) << "the table of 8 is not synced either";
  EXPECT_FALSE(marks.Advance({12, 3, 8192}, /*durable=*/true, 8)) << "the same segment";
  ExpectAt(marks.at(Durability::kDurable), 12, 3, 8192);
  EXPECT_EQ(marks.durable_state().cursor_sequence, 8u);
  EXPECT_FALSE(marks.Advance({13, 4, 4096}, /*durable=*/false, 8));
  EXPECT_EQ(marks.written_lsn(), 13u);
  EXPECT_EQ(marks.durable_lsn(), 12u);
  EXPECT_TRUE(marks.Advance({13, 4, 4096}, /*durable=*/true, 8)) << "another segment";
  marks.Restart({5, 6, 4096}, 9);
  EXPECT_EQ(marks.written_lsn(), 5u);
  ExpectAt(marks.at(Durability::kWritten), 5, 6, 4096);
  ExpectAt(marks.durable_state().at, 5, 6, 4096);
}

TEST(WatermarksTest, TheFirstErrorStays) {
  Watermarks marks;
  EXPECT_FALSE(marks.failed());
  EXPECT_OK(marks.failure());
  EXPECT_OK(marks.end_status());
  marks.Fail(absl::DataLossError("first"));
  marks.Fail(absl::InternalError("second"));
  EXPECT_TRUE(marks.failed());
  EXPECT_EQ(marks.failure().code(), absl::StatusCode::kAborted) << "no refusal's code";
  EXPECT_EQ(marks.failure().message(), "first; the log takes no more until it is reopened");
  marks.End();
  EXPECT_EQ(marks.end_status(), marks.failure()) << "closing does not hide it";
}

TEST(WatermarksTest, AfterTheEndNothingMoves) {
  Watermarks marks;
  marks.End();
  EXPECT_EQ(marks.end_status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(marks.failed());
}

TEST(WatermarksTest, TheHintOfATailReadIsTakenOnce) {
  Watermarks marks;
  EXPECT_FALSE(marks.TakeTailRead());
  marks.NoteTailRead();
  marks.NoteTailRead();
  EXPECT_TRUE(marks.TakeTailRead());
  EXPECT_FALSE(marks.TakeTailRead());
}

// A trim that comes right after a truncation writes CONTROL. If it said that the records of before
// are durable, a crash then would look like the loss of acknowledged records.
TEST(WatermarksTest, ATruncationMovesThemBeforeAnybodyWritesControl) {
  TempDir dir;
  Options options;
  options.segment_bytes = 16 << 10;
  options.buffer_bytes = 8 << 10;
  options.max_record_bytes = 4 << 10;
  StoreUnderTest log(FileSystem::Posix(), dir.path(), options);
  const Lsn last = log.FillSegments(4, 3000);
  ASSERT_GT(last, 4u);
  const Lsn kept = last - 2;
  // The store alone: the group commit does not know of it yet, as if its thread were held up.
  absl::StatusOr<FreshSegment> cut = log.store.TruncateAfter(kept, nullptr);
  ASSERT_OK(cut);
  ASSERT_OK(log.store.retention().TrimBefore(log.store.Locate(1)->last_lsn + 1));
  absl::StatusOr<ControlBlock> control = ReadControl(FileSystem::Posix(), dir.path());
  ASSERT_OK(control);
  EXPECT_GT(control->first_generation, 1u) << "the trim has written it";
  EXPECT_EQ(control->durable_lsn, kept);
  EXPECT_EQ(control->tail_generation, cut->segment->header.generation);
  EXPECT_EQ(log.marks.written_lsn(), kept);
}

}  // namespace
}  // namespace seawall
