// SPDX-License-Identifier: Apache-2.0
// Recovery: damage to the control file, and to acknowledged records in the tail.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "engine/format/cursor_table.h"
#include "engine/format/file_names.h"
#include "engine/recovery/recovery_plan.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/recovery/recovery_test_util.h"
#include "tests/support/log_image.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// ---- The control file

TEST_F(RecoveryTest, MissingControlFileOfALogWithRecords) {
  WriteAll();
  ASSERT_EQ(unlink(ControlPath().c_str()), 0);
  for (bool carry : {false, true}) {
    EXPECT_TRUE(Fails(Plan(carry), absl::StatusCode::kDataLoss,
                      {ControlPath(), "offset 0", "expected the control file of the log in",
                       Path(3), "found no such file"}));
  }
  const DirectoryImage before(dir_.path());
  EXPECT_FALSE(Log::Open(dir_.path(), Options()).ok());
  EXPECT_TRUE(before.Equals(DirectoryImage(dir_.path())));
}

// All records were trimmed or truncated away; the LSNs still go on from there.
TEST_F(RecoveryTest, MissingControlFileOfALogWithoutRecords) {
  SegmentHeader header = HeaderOf(9);
  header.base_lsn = 500;
  WriteFile(Path(9), SegmentImage(header).File(kAllocated));
  ExpectDataLoss({ControlPath(), "expected the control file"});
}

// What is in a segment without a header was written by a log, if it is not zeros.
TEST_F(RecoveryTest, MissingControlFileAndNoHeaderInTheOnlySegment) {
  WriteFile(Path(1), one_.File(kAllocated));
  Overwrite(Path(1), 0, std::string(kSegmentHeaderBytes, '\0'));
  ExpectDataLoss({ControlPath(), "expected the control file of the log in", Path(1)});
  WriteFile(Path(1), std::string(kSegmentHeaderBytes, '\0') + std::string(4000, 'x'));
  ExpectDataLoss({ControlPath(), "expected the control file of the log in", Path(1)});
}

// Nor does the header tell it from one that was just created, if the first group is damaged.
TEST_F(RecoveryTest, MissingControlFileAndNoFirstGroupInTheOnlySegment) {
  WriteFile(Path(1), one_.File(kAllocated));
  Overwrite(Path(1), one_.offset(0), std::string(one_.offset(1) - one_.offset(0), '\0'));
  ExpectDataLoss({ControlPath(), "expected the control file of the log in", Path(1)});
}

// Spares are made for a log that is open, which has a CONTROL.
TEST_F(RecoveryTest, MissingControlFileOfALogOfWhichASpareIsLeft) {
  SegmentHeader spare;
  spare.log_id = control_.log_id;
  spare.generation = 2;
  spare.salt = HeaderOf(2).salt;
  WriteFile(Path(2), SegmentImage(spare).File(kAllocated));
  ExpectDataLoss({ControlPath(), "expected the control file of the log in", Path(2)});
}

// Before their first sync, bytes of a file that is being created may read as anything, but not as
// groups of a log.
TEST_F(RecoveryTest, LeftoversOfACreationAreGarbage) {
  const std::string noise = std::string(kSegmentHeaderBytes, '\0') + std::string(kAllocated, 'x');
  WriteFile(Path(1), noise);
  WriteFile(dir_ / kControlTemporaryName, "");
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->exists);
  ExpectOpens(1, 0);
  EXPECT_FALSE(std::filesystem::exists(Path(1)));
  EXPECT_FALSE(std::filesystem::exists(dir_ / kControlTemporaryName));
}

TEST_F(RecoveryTest, GroupsAreNoLeftoversOfACreation) {
  WriteFile(Path(1), one_.File(kAllocated));
  Overwrite(Path(1), 0, std::string(kSegmentHeaderBytes, '\0'));
  WriteFile(dir_ / kControlTemporaryName, "");
  ExpectDataLoss({ControlPath(), "expected the control file of the log in", Path(1)});
}

// A log goes on counting from what it finds. Found by tests/fuzz: a sequence that wrapped around
// made the next opening believe an older slot, and miss a segment.
TEST_F(RecoveryTest, CountersThatLeaveNoRoomToCountAreDamage) {
  control_.sequence = kMaxNumber / 2;
  WriteAll();
  ExpectDataLoss({ControlPath(), "expected record, generation and sequence below"});
  control_.sequence = kMaxNumber / 2 - 1;
  WriteAll();
  EXPECT_OK(Plan());
  control_.entries.push_back({kMaxNumber - 1, 1, 0});
  WriteAll();
  ExpectDataLoss({});
}

TEST_F(RecoveryTest, ATableOfCursorsThatLeavesNoRoomToCountIsDamage) {
  TempDir dir;
  Options options;
  options.cursors = true;
  {
    auto log = Log::Open(dir.path(), options);
    ASSERT_OK(log);
    ASSERT_OK((*log)->AppendDurable("kept"));
    ASSERT_OK((*log)->Close());
  }
  const std::string path = dir / SegmentName(1);
  std::string bytes = ReadFile(path);
  SegmentHeader header;
  uint32_t version = 0;
  ASSERT_EQ(DecodeSegmentHeader(bytes.data(), &header, &version), DecodeResult::kValid);
  for (uint64_t sequence : {kMaxNumber / 2, kMaxNumber / 2 - 2}) {
    EncodeCursorArea({sequence, {}}, header.salt, &bytes[kSegmentHeaderBytes]);
    WriteFile(path, bytes);
    EXPECT_EQ(PlanRecovery(FileSystem::Posix(), dir.path(), true).status().code(),
              sequence == kMaxNumber / 2 ? absl::StatusCode::kDataLoss : absl::StatusCode::kOk);
  }
}

TEST_F(RecoveryTest, OneDamagedControlSlotIsHarmless) {
  WriteAll();
  for (uint64_t i = 0; i < kControlSlots; ++i) {
    WriteControl();
    FlipBitInFile(ControlPath(), (i * kControlSlotBytes + 40) * 8);
    absl::StatusOr<RecoveryPlan> plan = Plan();
    ASSERT_OK(plan);
    EXPECT_EQ(plan->control, control_);
  }
}

TEST_F(RecoveryTest, AllControlSlotsDamaged) {
  WriteAll();
  for (uint64_t i = 0; i < kControlSlots; ++i) {
    FlipBitInFile(ControlPath(), (i * kControlSlotBytes + 40) * 8);
  }
  ExpectDataLoss({ControlPath(), "offset 0", "expected a valid control block", "found none"});
}

TEST_F(RecoveryTest, EmptyControlFile) {
  WriteAll();
  WriteFile(ControlPath(), "");
  ExpectDataLoss({ControlPath(), "expected a valid control block", "found none in 0 bytes"});
}

TEST_F(RecoveryTest, NewerControlFile) {
  WriteAll();
  for (uint64_t i = 0; i < kControlSlots; ++i) {
    Overwrite(ControlPath(), i * kControlSlotBytes + 8, "\x07");
  }
  ExpectDamage(absl::StatusCode::kUnimplemented,
               {ControlPath(), "expected format version 1", "found version 7"});
}

// Older slots must not name segments that were trimmed and removed since.
TEST_F(RecoveryTest, DamagedNewestControlSlotAfterATrim) {
  CrashFileSystem fs;
  Options options;
  options.segment_bytes = uint64_t{16} << 10;
  options.max_record_bytes = 4000;
  options.max_recycled_segments = 0;
  options.file_system = &fs;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open("/log", options);
  ASSERT_OK(log);
  for (int i = 0; i < 20; ++i) ASSERT_OK((*log)->AppendDurable(std::string(4000, 'x')));
  // The disk as it is when the trim has written its last word, before the background thread, which
  // waits for that, removes the files and has words of its own.
  std::unique_ptr<CrashFileSystem> disk;
  fs.SetCallHook([&, trimmer = std::this_thread::get_id()](const FileSystemCall& call, CrashPhase,
                                                           const CaptureFn& capture) {
    if (std::this_thread::get_id() == trimmer && call.kind == CallKind::kSync) {
      disk = capture().Kill();
    }
  });
  ASSERT_OK((*log)->TrimBefore(15));
  fs.SetCallHook(nullptr);
  ASSERT_NE(disk, nullptr);
  absl::StatusOr<ControlBlock> newest = ReadControl(disk.get(), "/log");
  ASSERT_OK(newest);
  ASSERT_GT(newest->first_generation, 1u);
  for (uint64_t generation = 1; generation < newest->first_generation; ++generation) {
    ASSERT_EQ(disk->DeleteFile("/log/" + SegmentName(generation)), 0);
  }
  const uint64_t slot = newest->sequence % kControlSlots * kControlSlotBytes;
  ASSERT_EQ(disk->FlipBit("/log/CONTROL", (slot + 40) * 8), 0);
  absl::StatusOr<RecoveryPlan> plan = PlanRecovery(disk.get(), "/log", true);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 20u);
}

// ---- Damage to acknowledged records in the tail

TEST_F(RecoveryTest, DamagedGroupThatALaterGroupKnewToBeDurable) {
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(1) * 8);
  ExpectDataLoss({Path(3), "offset " + std::to_string(three_.offset(1)), "expected record 8",
                  "a later group knew record 8 to be durable", "found", "checksum"});
}

TEST_F(RecoveryTest, DamagedGroupHeaderThatALaterGroupKnewToBeDurable) {
  WriteAll();
  FlipBitInFile(Path(3), three_.offset(1) * 8);
  ExpectDataLoss({Path(3), "offset " + std::to_string(three_.offset(1)), "expected record 8",
                  "found no valid group"});
}

TEST_F(RecoveryTest, DamagedLastGroupThatTheControlFileKnewToBeDurable) {
  control_.durable_lsn = 10;
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  ExpectDataLoss({Path(3), "offset " + std::to_string(three_.offset(2)), "expected record 9",
                  "the control file knew record 10 to be durable"});
}

TEST_F(RecoveryTest, DamagedLastGroupOfAClosedLog) {
  MarkClosed();
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  EXPECT_TRUE(Fails(Log::Open(dir_.path(), Options()), absl::StatusCode::kDataLoss,
                    {Path(3), "expected record 9", "record 10 to be durable"}));
}

// A fresh segment holds copies, and its header says so.
TEST_F(RecoveryTest, DamagedCopyInAFreshSegment) {
  SegmentHeader header = HeaderOf(3, &two_);
  header.durable_lsn = 10;
  three_ = Filled(header, {1, 1, 2}, 6);
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  ExpectDataLoss({Path(3), "expected record 9", "the segment's header knew record 10"});
}

TEST_F(RecoveryTest, GapBetweenGroups) {
  three_ = SegmentImage(HeaderOf(3, &two_));
  three_.Group({PayloadOf(7)}, 6).SkipTo(9).Group({PayloadOf(9)}, 7);
  WriteAll();
  ExpectDataLoss(
      {Path(3), "offset " + std::to_string(three_.offset(1)), "expected record 8", "found 9"});
}

TEST_F(RecoveryTest, ReadErrorIsNotTheEndOfTheLog) {
  WriteAll();
  FaultyFileSystem faulty(SegmentName(3), 0, EIO, 1000);
  fs_ = &faulty;
  ExpectDamage(absl::StatusCode::kUnavailable, {Path(3), "read ", "Input/output error"});
}

TEST_F(RecoveryTest, PermissionDenied) {
  WriteAll();
  FaultyFileSystem faulty(SegmentName(2), EACCES, 0, 1000);
  fs_ = &faulty;
  ExpectDamage(absl::StatusCode::kPermissionDenied, {"open " + Path(2), "Permission denied"});
}

TEST_F(RecoveryTest, PermissionDeniedByTheKernel) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  WriteAll();
  ASSERT_EQ(chmod(Path(3).c_str(), 0), 0);
  EXPECT_TRUE(Fails(Log::Open(dir_.path(), Options()), absl::StatusCode::kPermissionDenied,
                    {"open " + Path(3)}));
}

}  // namespace
}  // namespace seawall
