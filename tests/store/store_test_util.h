// SPDX-License-Identifier: Apache-2.0
// A log without class Log: the segment store and what fills it, for tests of what only they show.
#ifndef SEAWALL_TESTS_STORE_STORE_TEST_UTIL_H_
#define SEAWALL_TESTS_STORE_STORE_TEST_UTIL_H_

#include <string>

#include "engine/commit/group_commit.h"
#include "engine/recovery/recovery.h"
#include "engine/store/segment_store.h"
#include "gtest/gtest.h"
#include "tests/support/test_util.h"

namespace seawall {

class StoreUnderTest {
 public:
  StoreUnderTest(FileSystem* fs, const std::string& directory, const Options& options)
      : store(fs, directory, options, &marks),
        commit_(options, AllocateBuffers(options), &store, &marks) {
    absl::StatusOr<RecoveryPlan> plan = PlanRecovery(fs, directory, /*carry_small_tail=*/true);
    EXPECT_OK(plan);
    absl::StatusOr<RecoveredLog> log = ApplyRecovery(fs, directory, options, &*plan);
    EXPECT_OK(log);
    SegmentStoreCallbacks callbacks;
    callbacks.on_failure = [this](const absl::Status& status) { commit_.Latch(status); };
    commit_.Start(log->fresh.segment, log->fresh.end, log->fresh.digest, plan->report.last_lsn);
    store.Start(std::move(*log), std::move(callbacks));
  }
  ~StoreUnderTest() { (void)Close(); }

  absl::Status Close() {
    absl::Status status = commit_.Close();
    store.Stop();
    return status;
  }

  absl::StatusOr<Lsn> Append(std::string_view record) {
    absl::StatusOr<LsnRange> range = commit_.Append({&record, 1}, /*tried=*/false);
    if (!range.ok()) return range.status();
    return range->last;
  }
  // Durable records until `segments` hold some; the last one.
  Lsn FillSegments(size_t segments, size_t record_bytes) {
    Lsn last = commit_.appended_lsn();
    for (Stats stats; stats.segments < segments; store.AddStats(&stats)) {
      absl::StatusOr<Lsn> lsn = Append(std::string(record_bytes, 'r'));
      EXPECT_OK(lsn);
      if (!lsn.ok()) return 0;
      last = *lsn;
      EXPECT_OK(commit_.Wait(last, Durability::kDurable));
    }
    return last;
  }
  absl::Status WaitWritten(Lsn lsn) { return commit_.Wait(lsn, Durability::kWritten); }
  absl::Status WaitDurable(Lsn lsn) { return commit_.Wait(lsn, Durability::kDurable); }
  absl::Status TruncateAfter(Lsn lsn) { return commit_.Truncate(lsn, /*reset=*/false); }

  Watermarks marks;
  SegmentStore store;

 private:
  GroupCommit commit_;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_STORE_STORE_TEST_UTIL_H_
