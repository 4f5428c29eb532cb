// SPDX-License-Identifier: Apache-2.0
// VerifyLog: what it counts, what it tells, and that neither depends on the number of jobs.
#include "seawall/verify.h"

#include <memory>
#include <string>
#include <vector>

#include "engine/format/format.h"
#include "engine/recovery/recovery_plan.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

constexpr Lsn kRecords = 2000;

class VerifyLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.segment_bytes = 64 << 10;
    options.buffer_bytes = 32 << 10;
    options.max_record_bytes = 4096;
    auto log = Log::Open(path_, options);
    ASSERT_OK(log);
    while ((*log)->appended_lsn() < kRecords) ASSERT_OK((*log)->Append(std::string(500, 'x')));
    ASSERT_OK((*log)->Close());
    auto plan = PlanReadOnly(FileSystem::Posix(), path_);
    ASSERT_OK(plan);
    segments_ = plan->segments.Refs();
    ASSERT_GT(segments_.size(), 10u);
  }

  absl::StatusOr<VerifyReport> Verify(uint32_t jobs) {
    VerifyOptions options;
    options.jobs = jobs;
    progress_.clear();
    options.progress = [this](const VerifyProgress& progress) { progress_.push_back(progress); };
    return VerifyLog(path_, options);
  }

  TempDir directory_;
  const std::string path_ = directory_ / "log";
  std::vector<SegmentRef> segments_;
  std::vector<VerifyProgress> progress_;
};

TEST_F(VerifyLogTest, CountsAndTellsHowFarItIs) {
  for (uint32_t jobs : {1, 2, 7, 64}) {
    auto report = Verify(jobs);
    ASSERT_OK(report);
    EXPECT_EQ(report->records, (LsnRange{1, kRecords}));
    EXPECT_EQ(report->record_count, kRecords);
    EXPECT_EQ(report->segments, segments_.size());
    ASSERT_EQ(progress_.size(), segments_.size());
    VerifyProgress before;
    for (const VerifyProgress& progress : progress_) {
      EXPECT_GT(progress.bytes_done, before.bytes_done);
      EXPECT_EQ(progress.segments_done, before.segments_done + 1);
      EXPECT_EQ(progress.segments, segments_.size());
      before = progress;
    }
    EXPECT_EQ(before.bytes_done, before.bytes);
    EXPECT_EQ(report->bytes, before.bytes);
    EXPECT_GT(before.bytes, kRecords * 516);
  }
}

TEST_F(VerifyLogTest, TheFirstDamageIsToldWhateverTheJobs) {
  for (size_t damaged : {9u, 4u, 6u}) {
    FlipBitInFile(segments_[damaged].path, 8 * (kSegmentHeaderBytes + 3000));
  }
  const std::string first = segments_[4].path;
  for (uint32_t jobs : {1, 3, 16}) {
    EXPECT_TRUE(Fails(Verify(jobs), absl::StatusCode::kDataLoss, {first, "checksum"})) << jobs;
  }
}

TEST_F(VerifyLogTest, RefusesNumbersOfJobsThatMakeNoSense) {
  EXPECT_TRUE(Fails(Verify(0), absl::StatusCode::kInvalidArgument, {"0 jobs", "1 to 64"}));
  EXPECT_TRUE(Fails(Verify(65), absl::StatusCode::kInvalidArgument, {"65 jobs"}));
  EXPECT_TRUE(Fails(VerifyLog(directory_ / "none"), absl::StatusCode::kNotFound));
}

// Counts the advice that a file is read in order.
class AdviceCounter : public ForwardingFileSystem {
 public:
  AdviceCounter() : ForwardingFileSystem(FileSystem::Posix()) {}
  int advised = 0;

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<Advised>(std::move(*file), this);
    return error;
  }

 private:
  class Advised : public ForwardingFile {
   public:
    Advised(std::unique_ptr<File> file, AdviceCounter* counter)
        : ForwardingFile(std::move(file)), counter_(counter) {}
    void AdviseSequential() override {
      ++counter_->advised;
      ForwardingFile::AdviseSequential();
    }

   private:
    AdviceCounter* const counter_;
  };
};

TEST(ReadAheadTest, IsAskedForOncePerFileThatIsReadForLongAndNotForOneRecord) {
  TempDir directory;
  const std::string path = directory / "log";
  Options options;
  options.segment_bytes = 8 << 20;
  auto log = Log::Open(path, options);
  ASSERT_OK(log);
  while ((*log)->stats().segments < 3) {
    for (int i = 0; i < 1000; ++i) ASSERT_OK((*log)->Append(std::string(1000, 'x')));
    ASSERT_OK((*log)->WaitWritten((*log)->appended_lsn()));
  }
  ASSERT_OK((*log)->Close());
  AdviceCounter fs;
  options.file_system = &fs;
  log = Log::Open(path, options);
  ASSERT_OK(log);
  fs.advised = 0;
  ASSERT_OK((*log)->Read(4000));
  EXPECT_EQ(fs.advised, 0);
  auto reader = (*log)->NewReader(1);
  ASSERT_OK(reader);
  Record record;
  ASSERT_TRUE((*reader)->Next(&record));
  EXPECT_EQ(fs.advised, 0);
  while (record.lsn < 8000 && (*reader)->Next(&record)) {
  }
  EXPECT_EQ(fs.advised, 1);
}

}  // namespace
}  // namespace seawall
