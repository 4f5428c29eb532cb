// SPDX-License-Identifier: Apache-2.0
// The CONTROL file: whatever happens to one slot, another one is as good or nearly so.
#include "engine/segments/control_file.h"

#include <cerrno>

#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

ControlBlock Block(Lsn durable_lsn) {
  ControlBlock block;
  block.log_id = {7, 8};
  block.first_generation = 1;
  block.tail_generation = 2;
  block.durable_lsn = durable_lsn;
  block.entries = {{2, 99, 4096}};
  return block;
}

class ControlFileTest : public ::testing::Test {
 protected:
  // CONTROL with durable_lsn 1, then written with 2.
  void SetUp() override {
    absl::StatusOr<std::unique_ptr<ControlFile>> control =
        ControlFile::Create(fs_, dir_.path(), Block(1));
    ASSERT_OK(control);
    ASSERT_OK((*control)->Write(Block(2)));
    file_ = ReadFile(path_);
    slots_ = file_.size() / kControlSlotBytes;
    absl::StatusOr<ControlBlock> newest = ReadControl(fs_, dir_.path());
    ASSERT_OK(newest);
    newest_slot_ = newest->sequence % slots_;
  }

  Lsn DurableLsn() {
    absl::StatusOr<ControlBlock> block = ReadControl(fs_, dir_.path());
    EXPECT_OK(block);
    return block.ok() ? block->durable_lsn : 0;
  }

  std::string WithSlot(uint64_t slot, const std::string& bytes) const {
    std::string file = file_;
    return file.replace(slot * kControlSlotBytes, kControlSlotBytes, bytes);
  }

  TempDir dir_;
  FileSystem* const fs_ = FileSystem::Posix();
  const std::string path_ = dir_ / kControlName;
  std::string file_;
  uint64_t slots_ = 0;
  uint64_t newest_slot_ = 0;
};

TEST_F(ControlFileTest, NewestBlockIsRead) {
  absl::StatusOr<ControlBlock> block = ReadControl(fs_, dir_.path());
  ASSERT_OK(block);
  EXPECT_GT(block->sequence, 0u);
  ControlBlock expected = Block(2);
  expected.sequence = block->sequence;
  EXPECT_EQ(*block, expected);
}

TEST_F(ControlFileTest, CreationLeavesNoOtherName) {
  EXPECT_EQ(DirectoryImage(dir_.path()).Names(), "CONTROL");
}

// A log whose creation was interrupted left the temporary file.
TEST_F(ControlFileTest, CreationOverwritesAnUnfinishedOne) {
  TempDir dir;
  WriteFile(dir / kControlTemporaryName, "half a slot");
  ASSERT_OK(ControlFile::Create(fs_, dir.path(), Block(1)));
  EXPECT_OK(ReadControl(fs_, dir.path()));
  EXPECT_EQ(DirectoryImage(dir.path()).Names(), "CONTROL");
}

TEST_F(ControlFileTest, CreationFillsEverySlot) {
  TempDir dir;
  ASSERT_OK(ControlFile::Create(fs_, dir.path(), Block(1)));
  const std::string file = ReadFile(dir / kControlName);
  ASSERT_EQ(file.size(), slots_ * kControlSlotBytes);
  for (uint64_t i = 0; i < slots_; ++i) {
    ControlBlock block;
    uint32_t version;
    EXPECT_EQ(DecodeControlBlock(file.data() + i * kControlSlotBytes, &block, &version),
              DecodeResult::kValid);
    EXPECT_EQ(block.durable_lsn, 1u);
  }
}

TEST_F(ControlFileTest, EachWriteTouchesOneSlotAndGoesRound) {
  absl::StatusOr<ControlBlock> current = ReadControl(fs_, dir_.path());
  ASSERT_OK(current);
  absl::StatusOr<std::unique_ptr<ControlFile>> control =
      ControlFile::Open(fs_, dir_.path(), *current);
  ASSERT_OK(control);
  uint64_t newest = newest_slot_;
  for (Lsn lsn = 3; lsn < 10; ++lsn) {
    const std::string before = ReadFile(path_);
    ASSERT_OK((*control)->Write(Block(lsn)));
    EXPECT_EQ(DurableLsn(), lsn);
    const std::string after = ReadFile(path_);
    for (uint64_t i = 0; i < slots_; ++i) {
      const uint64_t at = i * kControlSlotBytes;
      const bool same = before.compare(at, kControlSlotBytes, after, at, kControlSlotBytes) == 0;
      EXPECT_EQ(same, i != (newest + 1) % slots_) << "slot " << i;
    }
    newest = (newest + 1) % slots_;
  }
}

// ---- Damage

TEST_F(ControlFileTest, DamagedNewestSlotLeavesTheOneBefore) {
  WriteFile(path_, WithSlot(newest_slot_, std::string(kControlSlotBytes, 'x')));
  EXPECT_EQ(DurableLsn(), 1u);
  WriteFile(path_, WithSlot(newest_slot_, std::string(kControlSlotBytes, '\0')));
  EXPECT_EQ(DurableLsn(), 1u);
}

TEST_F(ControlFileTest, DamagedOlderSlotDoesNotMatter) {
  for (uint64_t i = 0; i < slots_; ++i) {
    if (i == newest_slot_) continue;
    WriteFile(path_, WithSlot(i, std::string(kControlSlotBytes, 'x')));
    EXPECT_EQ(DurableLsn(), 2u);
  }
}

// A bit flipped in a version, too: one slot that says "newer" is damage as long as another is good.
TEST_F(ControlFileTest, AnyFlippedBitLeavesAnotherSlot) {
  for (uint64_t bit = 0; bit < 300 * 8; ++bit) {
    std::string file = file_;
    FlipBit(&file, newest_slot_ * kControlSlotBytes * 8 + bit);
    WriteFile(path_, file);
    ASSERT_EQ(DurableLsn(), bit < 296 * 8 ? 1u : 2u) << "bit " << bit;
  }
}

TEST_F(ControlFileTest, NoValidSlotIsDamage) {
  WriteFile(path_, std::string(file_.size(), 'x'));
  EXPECT_TRUE(Fails(ReadControl(fs_, dir_.path()), absl::StatusCode::kDataLoss,
                    {path_, "offset 0", "expected a valid control block", "found none"}));
}

TEST_F(ControlFileTest, EmptyFileIsDamage) {
  WriteFile(path_, "");
  EXPECT_TRUE(Fails(ReadControl(fs_, dir_.path()), absl::StatusCode::kDataLoss,
                    {path_, "found none in 0 bytes"}));
}

TEST_F(ControlFileTest, FileCutToOneSlotIsReadThroughIt) {
  WriteFile(path_, file_.substr(0, kControlSlotBytes));
  EXPECT_OK(ReadControl(fs_, dir_.path()));
}

TEST_F(ControlFileTest, MissingFileIsNotFound) {
  TempDir dir;
  EXPECT_TRUE(
      Fails(ReadControl(fs_, dir.path()), absl::StatusCode::kNotFound, {dir / kControlName}));
}

TEST_F(ControlFileTest, NewerVersionIsNamed) {
  std::string file = file_;
  for (uint64_t i = 0; i < slots_; ++i) file[i * kControlSlotBytes + 8] = 2;
  WriteFile(path_, file);
  EXPECT_TRUE(Fails(ReadControl(fs_, dir_.path()), absl::StatusCode::kUnimplemented,
                    {path_, "expected format version 1", "found version 2", "a newer Seawall"}));
}

// ---- Crashes and failing calls

TEST_F(ControlFileTest, CreationSyncsBeforeItRenamesAndTheDirectoryAfter) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.MakeDirectory("/log"), 0);
  fs.SyncAll();
  ASSERT_OK(ControlFile::Create(&fs, "/log", Block(1)));
  bool dirty = false;
  bool renamed = false;
  bool directory_synced = false;
  for (const FileSystemCall& call : fs.Trace()) {
    if (call.kind == CallKind::kWrite) {
      EXPECT_FALSE(renamed);
      dirty = true;
    }
    if (call.kind == CallKind::kSync) dirty = false;
    if (call.kind == CallKind::kRename) {
      EXPECT_FALSE(dirty);
      renamed = true;
    }
    if (call.kind == CallKind::kSyncDirectory) directory_synced = renamed;
  }
  EXPECT_TRUE(directory_synced);
}

TEST_F(ControlFileTest, PowerLossInsideAWriteLeavesTheOldOrTheNewBlock) {
  for (bool strict : {false, true}) {
    CrashOptions options;
    options.strict_sectors = strict;
    CrashFileSystem fs(options);
    ASSERT_EQ(fs.MakeDirectory("/log"), 0);
    absl::StatusOr<std::unique_ptr<ControlFile>> control =
        ControlFile::Create(&fs, "/log", Block(1));
    ASSERT_OK(control);
    fs.SyncAll();
    for (Lsn lsn = 2; lsn < 6; ++lsn) {
      size_t images = 0;
      fs.SetCallHook([&](const FileSystemCall& call, CrashPhase, const CaptureFn& capture) {
        if (call.kind != CallKind::kSync) return;
        capture().ForEachImage(
            100, 1, [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> disk) {
              absl::StatusOr<ControlBlock> block = ReadControl(disk.get(), "/log");
              EXPECT_OK(block);
              const Lsn found = block.ok() ? block->durable_lsn : 0;
              EXPECT_TRUE(found == lsn - 1 || found == lsn) << found;
              ++images;
              return !HasFailure();
            });
      });
      ASSERT_OK((*control)->Write(Block(lsn)));
      EXPECT_GT(images, 1u);
      fs.SetCallHook(nullptr);
    }
  }
}

TEST_F(ControlFileTest, FailedSyncIsReportedAndNothingIsWrittenAfterIt) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.MakeDirectory("/log"), 0);
  absl::StatusOr<std::unique_ptr<ControlFile>> control = ControlFile::Create(&fs, "/log", Block(1));
  ASSERT_OK(control);
  Fault fault;
  fault.kind = CallKind::kSync;
  fault.error = EIO;
  fs.InjectFault(fault);
  EXPECT_TRUE(Fails((*control)->Write(Block(2)), absl::StatusCode::kUnavailable,
                    {"fdatasync /log/CONTROL"}));
  EXPECT_EQ(fs.faults_hit(), 1u);
  // The slot that it may have spoilt is in doubt for good: another write could spoil another one.
  const uint64_t before = fs.calls();
  EXPECT_TRUE(
      Fails((*control)->Write(Block(3)), absl::StatusCode::kFailedPrecondition, {"/log/CONTROL"}));
  EXPECT_EQ(fs.calls(), before);
}

}  // namespace
}  // namespace seawall
