// SPDX-License-Identifier: Apache-2.0
// Cursors by the public API: positions that survive, what they hold back, what they cost.
#include "seawall/cursor.h"

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/format/cursor_table.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash/crash_model.h"
#include "tests/support/event.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

using absl::StatusCode;

class CursorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(fs_.MakeDirectory("/data"), 0);
    ASSERT_EQ(fs_.SyncDirectory("/"), 0);
    options_ = ModelledLog::SmallOptions(&fs_);
    options_.segment_bytes = 24 << 10;
    options_.cursors = true;
  }

  std::unique_ptr<Log> MustOpen(CrashFileSystem* fs = nullptr) {
    Options options = options_;
    if (fs != nullptr) options.file_system = fs;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open("/data/log", options);
    EXPECT_OK(log);
    return log.ok() ? std::move(*log) : nullptr;
  }

  static std::unique_ptr<Cursor> MustOpenCursor(Log* log, const std::string& name) {
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = log->OpenCursor(name);
    EXPECT_OK(cursor);
    return cursor.ok() ? std::move(*cursor) : nullptr;
  }

  // `count` records of `bytes`, durable.
  static void Fill(Log* log, int count, size_t bytes = 3000) {
    for (int i = 0; i < count; ++i) ASSERT_OK(log->AppendDurable(std::string(bytes, 'x')));
  }

  // What a power loss now would leave.
  std::unique_ptr<CrashFileSystem> Lost() { return fs_.Capture().PowerLoss(CrashChoice()); }

  CrashFileSystem fs_;
  Options options_;
};

TEST_F(CursorTest, BeginsInFrontOfTheFirstRecordAndMovesForwardOnly) {
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
  EXPECT_EQ(cursor->name(), "a");
  EXPECT_EQ(cursor->position(), 0u);
  Fill(log.get(), 3, 10);
  EXPECT_OK(cursor->Advance(2));
  EXPECT_EQ(cursor->position(), 2u);
  EXPECT_OK(cursor->Advance(1));
  EXPECT_EQ(cursor->position(), 2u);
  EXPECT_OK(log->Append("not durable yet"));
  EXPECT_TRUE(Fails(cursor->Advance(4), StatusCode::kOutOfRange, {"\"a\"", "4", "at most 3"}));
  EXPECT_EQ(MustOpenCursor(log.get(), "a")->position(), 2u) << "another handle, the same cursor";
}

TEST_F(CursorTest, SurvivesAPowerLossWhenAdvanceHasReturned) {
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> a = MustOpenCursor(log.get(), "a");
  std::unique_ptr<Cursor> b = MustOpenCursor(log.get(), "b");
  for (Lsn lsn = 1; lsn <= 30; ++lsn) {
    Fill(log.get(), 1);
    ASSERT_OK((lsn % 3 == 0 ? a : b)->Advance(lsn));
    std::unique_ptr<CrashFileSystem> disk = Lost();
    std::unique_ptr<Log> after = MustOpen(disk.get());
    ASSERT_NE(after, nullptr);
    const std::vector<CursorInfo> cursors = after->cursors();
    ASSERT_EQ(cursors.size(), 2u);
    EXPECT_EQ(cursors[0].name, "a");
    EXPECT_EQ(cursors[0].position, lsn / 3 * 3);
    EXPECT_EQ(cursors[0].durable_position, cursors[0].position);
    EXPECT_EQ(cursors[1].position, lsn % 3 == 0 ? lsn - 1 : lsn);
    disk->Freeze();
  }
  EXPECT_GT(log->stats().rollovers, 2u) << "carried over at rollovers";
}

TEST_F(CursorTest, AppendedGoesWithTheNextSync) {
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
  Fill(log.get(), 2, 10);
  ASSERT_OK(cursor->Advance(2, Durability::kAppended));
  EXPECT_EQ(log->cursors()[0].position, 2u);
  EXPECT_EQ(log->cursors()[0].durable_position, 0u);
  EXPECT_EQ(MustOpen(Lost().get())->cursors()[0].position, 0u);
  Fill(log.get(), 1, 10);
  EXPECT_EQ(log->cursors()[0].durable_position, 2u);
  EXPECT_EQ(MustOpen(Lost().get())->cursors()[0].position, 2u);
  ASSERT_OK(cursor->Advance(3, Durability::kAppended));
  ASSERT_OK(log->Close());
  EXPECT_EQ(MustOpen(Lost().get())->cursors()[0].position, 3u) << "or with Close()";
}

TEST_F(CursorTest, HoldsBackTrimming) {
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> slow = MustOpenCursor(log.get(), "slow");
  std::unique_ptr<Cursor> fast = MustOpenCursor(log.get(), "fast");
  Fill(log.get(), 20);
  ASSERT_OK(fast->Advance(20));
  ASSERT_OK(log->TrimBefore(21));
  EXPECT_EQ(log->first_lsn(), 1u);
  ASSERT_OK(slow->Advance(12, Durability::kAppended));
  ASSERT_OK(log->TrimBefore(21));
  EXPECT_EQ(log->first_lsn(), 1u) << "a crash would show the cursor where it was";
  ASSERT_OK(slow->Advance(13));
  ASSERT_OK(log->TrimBefore(21));
  const Lsn first = log->first_lsn();
  EXPECT_GT(first, 1u);
  EXPECT_LE(first, 14u);
  ASSERT_OK(log->DropCursor("slow"));
  ASSERT_OK(log->TrimBefore(21));
  EXPECT_GT(log->first_lsn(), 14u);
  // A new one begins with what is left.
  EXPECT_EQ(MustOpenCursor(log.get(), "new")->position(), log->first_lsn() - 1);
}

TEST_F(CursorTest, DroppedIsGoneForGood) {
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
  Fill(log.get(), 1, 10);
  ASSERT_OK(log->DropCursor("a"));
  EXPECT_TRUE(Fails(cursor->Advance(1), StatusCode::kNotFound, {"\"a\""}));
  EXPECT_TRUE(Fails(log->DropCursor("a"), StatusCode::kNotFound));
  EXPECT_EQ(cursor->position(), 0u);
  EXPECT_TRUE(MustOpen(Lost().get())->cursors().empty());
}

TEST_F(CursorTest, TruncationPullsItBack) {
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
  std::unique_ptr<Cursor> behind = MustOpenCursor(log.get(), "b");
  Fill(log.get(), 12);
  ASSERT_OK(cursor->Advance(12));
  ASSERT_OK(behind->Advance(3));
  ASSERT_OK(log->TruncateAfter(7));
  EXPECT_EQ(cursor->position(), 7u);
  EXPECT_EQ(behind->position(), 3u);
  EXPECT_EQ(MustOpen(Lost().get())->cursors()[0].position, 7u);
  Fill(log.get(), 4);
  ASSERT_OK(cursor->Advance(9));
  EXPECT_EQ(MustOpen(Lost().get())->cursors()[0].position, 9u);
  ASSERT_OK(log->Reset(100));
  EXPECT_EQ(cursor->position(), 99u);
  EXPECT_EQ(behind->position(), 99u);
  EXPECT_EQ(MustOpen(Lost().get())->cursors()[1].position, 99u);
}

TEST_F(CursorTest, NamesAndNumberAreBounded) {
  std::unique_ptr<Log> log = MustOpen();
  for (const std::string& name :
       {std::string(), std::string(41, 'n'), std::string("a\0b", 3), std::string("line\n")}) {
    EXPECT_TRUE(Fails(log->OpenCursor(name), StatusCode::kInvalidArgument, {"name"}));
  }
  for (size_t i = 0; i < kMaxCursors; ++i) {
    const std::string number = absl::StrCat(1000 + i);
    ASSERT_OK(log->OpenCursor(std::string(40 - number.size(), 'n') + number));
  }
  EXPECT_TRUE(Fails(log->OpenCursor("one more"), StatusCode::kResourceExhausted, {"64"}));
  EXPECT_EQ(MustOpen(Lost().get())->cursors().size(), kMaxCursors);
}

TEST_F(CursorTest, ALogWithoutIsAsItWasAndOneWithKeepsThem) {
  options_.cursors = false;
  {
    std::unique_ptr<Log> log = MustOpen();
    EXPECT_TRUE(Fails(log->OpenCursor("a"), StatusCode::kFailedPrecondition, {"Options::cursors"}));
    EXPECT_TRUE(log->cursors().empty());
    Fill(log.get(), 10);
  }
  options_.cursors = true;
  {
    std::unique_ptr<Log> log = MustOpen();
    EXPECT_EQ(log->recovery_report().last_lsn, 10u);
    std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
    ASSERT_OK(cursor->Advance(9));
  }
  options_.cursors = false;
  {
    std::unique_ptr<Log> log = MustOpen();
    EXPECT_EQ(log->recovery_report().last_lsn, 10u);
    EXPECT_OK(MustOpenCursor(log.get(), "a")->Advance(10));
    Fill(log.get(), 10);
  }
  EXPECT_EQ(MustOpen()->cursors()[0].position, 10u);
  // Its segments have less room than these options think.
  options_.segment_bytes = 16 << 10;
  EXPECT_TRUE(Fails(Log::Open("/data/log", options_), StatusCode::kInvalidArgument,
                    {"max_record_bytes", "cursors"}));
}

// Segments that are long enough for an index, which begins where the groups do.
TEST_F(CursorTest, RecordsAreReadByIndexAsWell) {
  options_.segment_bytes = 256 << 10;
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
  for (int i = 1; i <= 200; ++i) {
    ASSERT_OK(log->AppendDurable(absl::StrCat(i, " ", std::string(5000, 'x'))));
  }
  ASSERT_OK(cursor->Advance(200));
  const auto read_all = [](Log* from) {
    for (Lsn lsn = 200; lsn > 0; lsn -= 3) {
      absl::StatusOr<std::string> record = from->Read(lsn);
      ASSERT_OK(record);
      EXPECT_EQ(record->substr(0, record->find(' ')), absl::StrCat(lsn));
      if (lsn < 4) break;
    }
  };
  EXPECT_GT(log->stats().rollovers, 2u);
  read_all(log.get());
  ASSERT_OK(log->Close());
  read_all(MustOpen().get());
}

TEST_F(CursorTest, IsOverAfterClose) {
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
  Fill(log.get(), 2, 10);
  ASSERT_OK(log->Close());
  EXPECT_TRUE(Fails(cursor->Advance(1), StatusCode::kFailedPrecondition, {"closed"}));
  EXPECT_TRUE(Fails(log->OpenCursor("b"), StatusCode::kFailedPrecondition));
  EXPECT_TRUE(Fails(log->DropCursor("a"), StatusCode::kFailedPrecondition));
}

// ---- Damage

std::string SegmentPath(Log* log) {
  return "/data/log/" + SegmentName(log->stats().segments_created + 1);
}

// Where the cursors of a log of one segment stand when it is opened; or why it is not.
absl::StatusOr<Lsn> PositionAfter(CrashFileSystem* disk, Options options) {
  options.file_system = disk;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open("/data/log", options);
  if (!log.ok()) return log.status();
  const Lsn position = (*log)->cursors()[0].position;
  disk->Freeze();
  return position;
}

TEST_F(CursorTest, DamageToASlotIsHarmlessOrTold) {
  options_.segment_bytes = 128 << 10;
  std::unique_ptr<Log> log = MustOpen();
  const std::string path = SegmentPath(log.get());
  std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
  Fill(log.get(), 3, 10);
  ASSERT_OK(cursor->Advance(1));
  ASSERT_OK(cursor->Advance(2));
  const auto damaged = [&](CrashFileSystem* from, std::initializer_list<uint64_t> slots) {
    std::unique_ptr<CrashFileSystem> disk = from->Capture().Kill();
    for (uint64_t slot : slots) {
      EXPECT_EQ(disk->ZeroBytes(path, kSegmentHeaderBytes + slot * kCursorSlotBytes, 16), 0);
    }
    return PositionAfter(disk.get(), options_);
  };
  // Not closed: the newest slot may be a write that a crash tore, both may not.
  int older = 0;
  for (uint64_t slot : {0, 1}) {
    const absl::StatusOr<Lsn> position = damaged(&fs_, {slot});
    ASSERT_OK(position);
    EXPECT_GE(*position, 1u);
    older += *position == 1 ? 1 : 0;
  }
  EXPECT_EQ(older, 1);
  EXPECT_TRUE(Fails(damaged(&fs_, {0, 1}), StatusCode::kDataLoss, {path, "4096", "cursors"}));
  // Closed: it stands in both.
  ASSERT_OK(log->Close());
  for (uint64_t slot : {0, 1}) {
    const absl::StatusOr<Lsn> position = damaged(&fs_, {slot});
    ASSERT_OK(position);
    EXPECT_EQ(*position, 2u);
  }
  EXPECT_TRUE(Fails(damaged(&fs_, {0, 1}), StatusCode::kDataLoss, {path, "4096", "cursors"}));
}

TEST_F(CursorTest, AnOlderTableThanControlKnowsIsDamage) {
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
  Fill(log.get(), 20);
  ASSERT_OK(cursor->Advance(10));
  ASSERT_OK(cursor->Advance(12));
  ASSERT_OK(log->TrimBefore(5));  // writes CONTROL
  std::string path;
  for (const std::string& file : fs_.AllFiles()) {
    std::string bytes;
    SegmentHeader header;
    uint32_t version = 0;
    if (fs_.GetFile(file, &bytes) == 0 && bytes.size() >= kSegmentHeaderBytes &&
        DecodeSegmentHeader(bytes.data(), &header, &version) == DecodeResult::kValid &&
        header.state == SegmentState::kBegun && file > path &&
        file == JoinPath(ParentDirectory(file), SegmentName(header.generation))) {
      path = file;  // and not one that is about to be recycled, under its next name
    }
  }
  int told = 0;
  for (uint64_t slot : {0, 1}) {
    std::unique_ptr<CrashFileSystem> disk = fs_.Capture().Kill();
    ASSERT_EQ(disk->ZeroBytes(path, kSegmentHeaderBytes + slot * kCursorSlotBytes, 16), 0);
    const absl::StatusOr<Lsn> position = PositionAfter(disk.get(), options_);
    if (position.ok()) {
      EXPECT_EQ(*position, 12u);
      continue;
    }
    EXPECT_TRUE(Fails(position, StatusCode::kDataLoss, {path, "expected table", "control file"}));
    ++told;
  }
  EXPECT_EQ(told, 1);
}

// ---- What it costs

// Counts writes and syncs of segments.
class Counting : public ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;

  std::atomic<int> writes{0};
  std::atomic<int> syncs{0};

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0 && ParseSegmentName(path.substr(path.rfind('/') + 1)).has_value()) {
      *file = std::make_unique<CountingFile>(std::move(*file), this);
    }
    return error;
  }

 private:
  class CountingFile : public ForwardingFile {
   public:
    CountingFile(std::unique_ptr<File> file, Counting* counts)
        : ForwardingFile(std::move(file)), counts_(counts) {}

    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      ++counts_->writes;
      return ForwardingFile::PWrite(from, bytes, offset);
    }
    int Sync(SyncKind kind) override {
      ++counts_->syncs;
      return ForwardingFile::Sync(kind);
    }

   private:
    Counting* const counts_;
  };
};

TEST_F(CursorTest, ARecordAndACursorShareOneSync) {
  Counting counts(&fs_);
  options_.file_system = &counts;
  options_.segment_bytes = 128 << 10;  // no rollover, and nothing written ahead of need
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> a = MustOpenCursor(log.get(), "a");
  std::unique_ptr<Cursor> b = MustOpenCursor(log.get(), "b");
  Fill(log.get(), 3, 10);
  counts.writes = counts.syncs = 0;
  ASSERT_OK(log->AppendDurable("no cursor moved"));
  EXPECT_EQ(counts.writes, 1);
  EXPECT_EQ(counts.syncs, 1);
  counts.writes = counts.syncs = 0;
  ASSERT_OK(a->Advance(2, Durability::kAppended));
  ASSERT_OK(b->Advance(3, Durability::kAppended));
  EXPECT_EQ(counts.writes, 0);
  ASSERT_OK(log->AppendDurable("with two cursors"));
  EXPECT_EQ(counts.writes, 2);
  EXPECT_EQ(counts.syncs, 1);
  EXPECT_EQ(log->cursors()[1].durable_position, 3u);
  counts.writes = counts.syncs = 0;
  ASSERT_OK(log->Append("with the cursor"));
  ASSERT_OK(a->Advance(4));
  EXPECT_EQ(counts.writes, 2);
  EXPECT_EQ(counts.syncs, 1);
  EXPECT_EQ(log->durable_lsn(), 6u);
  counts.writes = counts.syncs = 0;
  ASSERT_OK(a->Advance(5));
  ASSERT_OK(a->Advance(4));
  EXPECT_EQ(counts.writes, 1);
  EXPECT_EQ(counts.syncs, 1);
}

// Threads that append and threads that advance, at once: positions end where they were moved to.
TEST_F(CursorTest, ManyThreads) {
  std::unique_ptr<Log> log = MustOpen();
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] { Fill(log.get(), 60, 200); });
    threads.emplace_back([&, t] {
      std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), absl::StrCat("cursor ", t));
      while (cursor->position() < 180) {
        const Lsn durable = log->durable_lsn();
        ASSERT_OK(log->Wait(std::min<Lsn>(log->appended_lsn(), durable + 1), Durability::kDurable));
        ASSERT_OK(cursor->Advance(log->durable_lsn()));
        ASSERT_OK(log->TrimBefore(cursor->position()));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const CursorInfo& cursor : log->cursors()) {
    EXPECT_EQ(cursor.position, 180u);
    EXPECT_EQ(cursor.durable_position, 180u);
  }
  EXPECT_EQ(MustOpen(Lost().get())->cursors().size(), 3u);
}

TEST_F(CursorTest, AFailedSyncIsToldToThoseThatAdvance) {
  std::unique_ptr<Log> log = MustOpen();
  std::unique_ptr<Cursor> cursor = MustOpenCursor(log.get(), "a");
  Fill(log.get(), 2, 10);
  Fault fault;
  fault.kind = CallKind::kSync;
  fault.forever = true;  // the store may sync a spare before the cursor is
  fault.error = EIO;
  fs_.InjectFault(fault);
  const absl::Status first = cursor->Advance(1);
  EXPECT_TRUE(Fails(first, StatusCode::kAborted, {"reopened"}));
  EXPECT_EQ(cursor->Advance(2), first);
  EXPECT_EQ(log->OpenCursor("b").status(), first);
  EXPECT_EQ(log->DropCursor("a"), first);
  EXPECT_EQ(log->cursors()[0].durable_position, 0u);
}

}  // namespace
}  // namespace seawall
