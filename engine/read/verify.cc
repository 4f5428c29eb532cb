// SPDX-License-Identifier: Apache-2.0
#include "seawall/verify.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/mutex.h"
#include "engine/base/run_on_threads.h"
#include "engine/format/format.h"
#include "engine/io/anchored_file_system.h"
#include "engine/read/log_reader.h"
#include "engine/read/read_only.h"
#include "engine/recovery/recovery_plan.h"

namespace seawall {
namespace {

constexpr uint32_t kMostJobs = 64;
constexpr uint64_t kReportBytes = uint64_t{4} << 20;

// What the jobs share.
class Verification {
 public:
  Verification(FileSystem* fs, std::string directory, const VerifyOptions& options,
               std::vector<SegmentRef> segments)
      : fs_(fs),
        directory_(std::move(directory)),
        options_(options),
        segments_(std::move(segments)) {
    progress_.segments = segments_.size();
    for (const SegmentRef& segment : segments_) progress_.bytes += GroupBytes(segment);
  }

  // Takes one segment after the other, until there are none or one has failed.
  void Run() {
    ScanMemory memory;
    memory.may_prefetch = options_.jobs == 1;
    for (;;) {
      size_t next;
      {
        MutexLock lock(&mutex_);
        // Those below the first failure are read: which one is told does not depend on the jobs.
        if (next_ >= std::min(segments_.size(), failed_at_)) return;
        next = next_++;
      }
      Check(next, &memory);
    }
  }

  absl::StatusOr<VerifyReport> Report(LsnRange records) {
    MutexLock lock(&mutex_);
    if (!failure_.ok()) return failure_;
    VerifyReport report;
    report.records = records;
    report.record_count = record_count_;
    report.segments = segments_.size();
    report.bytes = progress_.bytes_done;
    return report;
  }

 private:
  static uint64_t GroupBytes(const SegmentRef& segment) {
    return segment.end - std::min(segment.end, segment.groups_begin);
  }

  void Check(size_t index, ScanMemory* memory) {
    const SegmentRef& segment = segments_[index];
    std::unique_ptr<Reader> reader = NewSourceReader(fs_, FixedSource({segment}), segment.base_lsn,
                                                     GivenUpSince(fs_, directory_),
                                                     /*watch=*/nullptr, /*lookup=*/nullptr, memory);
    Record record;
    uint64_t count = 0, unreported = 0, reported = 0;
    while (reader->Next(&record)) {
      ++count;
      unreported += EncodedRecordBytes(record.payload.size());
      if (unreported < kReportBytes) continue;
      Tell(unreported, 0);
      reported += std::exchange(unreported, 0);
    }
    MutexLock lock(&mutex_);
    record_count_ += count;
    if (!reader->status().ok()) {
      if (index < failed_at_) {
        failed_at_ = index;
        failure_ = reader->status();
      }
      return;
    }
    TellLocked(GroupBytes(segment) - reported, 1);
  }

  void Tell(uint64_t bytes, uint64_t segments) {
    MutexLock lock(&mutex_);
    TellLocked(bytes, segments);
  }
  void TellLocked(uint64_t bytes, uint64_t segments) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    progress_.bytes_done += bytes;
    progress_.segments_done += segments;
    if (options_.progress) options_.progress(progress_);
  }

  FileSystem* const fs_;
  const std::string directory_;
  const VerifyOptions& options_;
  const std::vector<SegmentRef> segments_;

  Mutex mutex_;
  size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t failed_at_ ABSL_GUARDED_BY(mutex_) = ~size_t{0};
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  uint64_t record_count_ ABSL_GUARDED_BY(mutex_) = 0;
  VerifyProgress progress_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<VerifyReport> VerifyLog(const std::string& directory, const VerifyOptions& options) {
  if (options.jobs < 1 || options.jobs > kMostJobs) {
    return absl::InvalidArgumentError(
        absl::StrCat("verify with ", options.jobs, " jobs: expected 1 to ", kMostJobs));
  }
  AnchoredFileSystem files(
      options.file_system == nullptr ? FileSystem::Posix() : options.file_system, directory);
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(&files, directory);
  if (!plan.ok()) return plan.status();
  const LsnRange records{plan->report.first_lsn, plan->report.last_lsn};
  const size_t useful = std::max<size_t>(plan->segments.size(), 1);
  Verification verification(&files, directory, options, plan->segments.Refs());
  RunOnThreads(std::min<size_t>(options.jobs, useful), [&verification] { verification.Run(); });
  return verification.Report(records);
}

}  // namespace seawall
