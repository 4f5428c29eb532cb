// SPDX-License-Identifier: Apache-2.0
// What the tests of recovery share: a small log made of bytes, and a file system that fails as
// told.
#ifndef SEAWALL_TESTS_RECOVERY_RECOVERY_TEST_UTIL_H_
#define SEAWALL_TESTS_RECOVERY_RECOVERY_TEST_UTIL_H_

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/recovery/recovery_plan.h"
#include "gtest/gtest.h"
#include "seawall/file_system.h"
#include "seawall/recovery_report.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/log_image.h"
#include "tests/support/test_util.h"

namespace seawall {

// The length of a segment's file.
inline constexpr uint64_t kAllocated = 32768;

// Opening or reading a path with `part` in it fails with an error, so many times.
class FaultyFileSystem : public ForwardingFileSystem {
 public:
  FaultyFileSystem(std::string part, int open_error, int read_error, int times)
      : ForwardingFileSystem(FileSystem::Posix()),
        part_(std::move(part)),
        open_error_(open_error),
        read_error_(read_error),
        times_(times) {}

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const bool meant = path.find(part_) != std::string::npos && times_ > 0;
    if (meant && open_error_ != 0) {
      --times_;
      return open_error_;
    }
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0 && meant && read_error_ != 0) {
      *file = std::make_unique<FaultyFile>(std::move(*file), read_error_);
    }
    return error;
  }

 private:
  // Reads behind the segment's header fail.
  class FaultyFile : public ForwardingFile {
   public:
    FaultyFile(std::unique_ptr<File> file, int error)
        : ForwardingFile(std::move(file)), error_(error) {}

    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      if (offset >= kSegmentHeaderBytes) return {error_, 0};
      return ForwardingFile::PRead(to, bytes, offset);
    }

   private:
    const int error_;
  };

  const std::string part_;
  const int open_error_;
  const int read_error_;
  int times_;
};

// A real directory with three segments: records 1..3, 4..6, and 7..10 in three groups of the tail,
// the last of which knows record 8 to be durable. CONTROL knows record 7 to be.

class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest();

  // A segment with groups of so many records; each group knows the one before to be durable.
  static SegmentImage Filled(const SegmentHeader& header, const std::vector<int>& groups,
                             Lsn durable_lsn);

  std::string Path(uint64_t generation) const { return dir_ / SegmentName(generation); }
  std::string ControlPath() const { return dir_ / kControlName; }

  void Write(const SegmentImage& segment) {
    WriteFile(Path(segment.header().generation), segment.File(kAllocated));
  }
  void WriteControl();
  void WriteAll() {
    for (const SegmentImage* segment : {&one_, &two_, &three_}) Write(*segment);
    WriteControl();
  }
  // As a clean close does.
  void MarkClosed();

  absl::StatusOr<RecoveryPlan> Plan(bool carry_small_tail = false) {
    return PlanRecovery(fs_, dir_.path(), carry_small_tail);
  }

  // All ways to open the log fail so, and change nothing but LOCK.
  void ExpectDamage(absl::StatusCode code, std::initializer_list<std::string> parts);
  void ExpectDataLoss(std::initializer_list<std::string> parts) {
    ExpectDamage(absl::StatusCode::kDataLoss, parts);
  }

  // The log opens, holds records `first` to `last` with their payloads, and so it does the next
  // time. Returns the first report.
  RecoveryReport ExpectOpens(Lsn first, Lsn last);

  TempDir dir_;
  FileSystem* fs_ = FileSystem::Posix();
  SegmentImage one_;
  SegmentImage two_;
  SegmentImage three_;
  ControlBlock control_;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_RECOVERY_RECOVERY_TEST_UTIL_H_
