// SPDX-License-Identifier: Apache-2.0
// Segment files: their names, their growth, and the ways that one comes to be.

#include <cerrno>
#include <string>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/fresh_segment.h"
#include "engine/segments/segment_scanner.h"
#include "engine/segments/spare_segment.h"
#include "engine/segments/writable_segment.h"
#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/log_image.h"
#include "tests/support/seed.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// ---- Names

TEST(SegmentNameTest, SortsAsGenerationsDo) {
  EXPECT_EQ(SegmentName(42), "0000000000000042.seg");
  EXPECT_LT(SegmentName(9), SegmentName(10));
  EXPECT_LT(SegmentName(99), SegmentName(1000000000000));
}

TEST(SegmentNameTest, ComesBack) {
  for (uint64_t generation : {uint64_t{0}, uint64_t{1}, uint64_t{42}, kMaxNumber - 1}) {
    EXPECT_EQ(ParseSegmentName(SegmentName(generation)), generation);
  }
}

TEST(SegmentNameTest, OtherNamesAreNotSegments) {
  for (const char* name :
       {"", ".seg", "1.seg", "000000000000042.seg", "00000000000000042.seg", "0000000000000042",
        "0000000000000042.seg2", "0000000000000042.SEG", "000000000000004x.seg",
        "+000000000000042.seg", " 000000000000042.seg", "-000000000000042.seg",
        "10000000000000000.seg", "18446744073709551615.seg", "9007199254740992.seg",
        "9999999999999999.seg", "CONTROL", "LOCK"}) {
    EXPECT_EQ(ParseSegmentName(name), std::nullopt) << name;
  }
}

// ---- Options

TEST(WriteOptionsTest, EachSyncMethodHasItsCalls) {
  Options options;
  EXPECT_FALSE(WritesAreDurable(options));
  EXPECT_EQ(SyncKindOf(options), File::SyncKind::kData);
  options.sync_method = SyncMethod::kFsync;
  EXPECT_FALSE(WritesAreDurable(options));
  EXPECT_EQ(SyncKindOf(options), File::SyncKind::kFull);
  options.sync_method = SyncMethod::kODsync;
  EXPECT_TRUE(WritesAreDurable(options));
  EXPECT_TRUE(WriteOpenOptions(options).data_sync);
  EXPECT_FALSE(WriteOpenOptions(options).full_sync);
  options.sync_method = SyncMethod::kOSync;
  options.direct_io = true;
  EXPECT_TRUE(WritesAreDurable(options));
  EXPECT_FALSE(WriteOpenOptions(options).data_sync);
  EXPECT_TRUE(WriteOpenOptions(options).full_sync);
  EXPECT_TRUE(WriteOpenOptions(options).direct);
  EXPECT_TRUE(WriteOpenOptions(options).write);
}

TEST(NextAllocationTest, DoublesFromASmallStepToALargeOne) {
  Options options;
  options.segment_bytes = uint64_t{64} << 20;
  std::vector<uint64_t> kib;
  for (uint64_t at = 0; at < options.segment_bytes;) {
    at = NextAllocation(at, options);
    kib.push_back(at >> 10);
  }
  EXPECT_EQ(kib,
            (std::vector<uint64_t>{256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 49152, 65536}));
}

TEST(NextAllocationTest, EndsWithTheSegment) {
  Options options;
  options.segment_bytes = uint64_t{300} << 10;
  EXPECT_EQ(NextAllocation(0, options), uint64_t{256} << 10);
  EXPECT_EQ(NextAllocation(uint64_t{256} << 10, options), options.segment_bytes);
  EXPECT_EQ(NextAllocation(options.segment_bytes, options), options.segment_bytes);
  options.segment_bytes = uint64_t{16} << 10;
  EXPECT_EQ(NextAllocation(0, options), options.segment_bytes);
}

TEST(NextAllocationTest, IsWholeBlocks) {
  Options options;
  EXPECT_EQ(NextAllocation(5000, options) % kBlockBytes, 0u);
}

// ---- Fresh segments

struct Read {
  std::vector<std::string> payloads;
  std::vector<bool> continues;
  std::vector<uint64_t> offsets;
  std::vector<int64_t> sealed;
  std::vector<Lsn> durable;
  uint64_t digest = 0;
  uint64_t end = kSegmentHeaderBytes;
  Lsn first_lsn = 0;
};

// All groups of a file, by the decoder that recovery uses.
Read ReadGroups(const std::string& path, uint64_t salt) {
  Read read;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(FileSystem::Posix(), path, OpenOptions());
  EXPECT_OK(file);
  if (!file.ok()) return read;
  SegmentScanner scanner(file->get(), path, salt);
  Group group;
  for (;;) {
    absl::StatusOr<SegmentScanner::Found> found =
        scanner.ReadGroup(read.end, ~uint64_t{0} >> 1, &group);
    EXPECT_OK(found);
    if (!found.ok() || *found != SegmentScanner::Found::kGroup) return read;
    EXPECT_OK(scanner.CheckRecords(group));
    if (read.first_lsn == 0) read.first_lsn = group.header.first_lsn;
    EXPECT_EQ(group.header.first_lsn, read.first_lsn + read.payloads.size());
    read.offsets.push_back(group.offset);
    read.sealed.push_back(group.header.sealed_unix_micros);
    read.durable.push_back(group.header.durable_lsn);
    RecordCursor cursor(group.bytes, group.header, salt);
    Record record;
    while (cursor.Next(&record) == RecordCursor::Result::kRecord) {
      read.payloads.emplace_back(record.payload);
      read.continues.push_back(record.batch_continues);
    }
    read.digest = ExtendDigest(read.digest, group.checksum);
    read.end = group.end();
  }
}

class FreshSegmentTest : public ::testing::Test {
 protected:
  absl::StatusOr<FreshSegment> Prepare(const SegmentImage& from, size_t first_group, Lsn last_lsn) {
    WriteFile(source_path_, from.File());
    SegmentHeader header = HeaderOf(2);
    header.base_lsn = 1;
    CopySource source{source_path_, from.header().salt, from.offset(first_group), from.end(),
                      last_lsn};
    return PrepareFresh(FileSystem::Posix(), dir_.path(), options_, header, &source);
  }

  TempDir dir_;
  Options options_;
  const std::string source_path_ = dir_ / SegmentName(1);
  const std::string path_ = dir_ / SegmentName(2);
};

TEST_F(FreshSegmentTest, WithoutASourceIsZerosUntilItIsCommitted) {
  SegmentHeader header = HeaderOf(2);
  header.state = SegmentState::kSpare;
  header.salt = 0;
  absl::StatusOr<FreshSegment> fresh =
      PrepareFresh(FileSystem::Posix(), dir_.path(), options_, header, nullptr);
  ASSERT_OK(fresh);
  EXPECT_EQ(fresh->segment->path, path_);
  EXPECT_EQ(fresh->end, kSegmentHeaderBytes);
  EXPECT_EQ(fresh->digest, 0u);
  EXPECT_EQ(fresh->copied_records, 0u);
  EXPECT_EQ(fresh->allocated_bytes, NextAllocation(kSegmentHeaderBytes, options_));
  const std::string file = ReadFile(path_);
  EXPECT_EQ(file.size(), fresh->allocated_bytes);
  EXPECT_EQ(file, std::string(file.size(), '\0'));

  ASSERT_OK(CommitFresh(options_, *fresh));
  SegmentHeader found;
  uint32_t version;
  const std::string committed = ReadFile(path_);
  ASSERT_EQ(DecodeSegmentHeader(committed.data(), &found, &version), DecodeResult::kValid);
  EXPECT_EQ(found, fresh->segment->header);
  EXPECT_EQ(found.state, SegmentState::kBegun);
  EXPECT_FALSE(found.recycled);
  EXPECT_NE(found.salt, 0u);
  EXPECT_EQ(committed.substr(kSegmentHeaderBytes), file.substr(kSegmentHeaderBytes));
}

TEST_F(FreshSegmentTest, CopiesGroupsAtEachAlignment) {
  SegmentImage source(HeaderOf(1));
  std::vector<std::string> expected;
  for (Lsn lsn = 1; lsn <= 30; ++lsn) {
    expected.push_back(PayloadOf(lsn));
    expected.push_back(std::string(lsn * 37 % 900, static_cast<char>('a' + lsn % 26)));
    source.Group({expected[expected.size() - 2], expected.back()}, 2 * lsn - 2);
  }
  for (uint32_t alignment : {8u, 512u, 4096u}) {
    SCOPED_TRACE(alignment);
    options_.group_alignment_bytes = alignment;
    absl::StatusOr<FreshSegment> fresh = Prepare(source, 0, source.last_lsn());
    ASSERT_OK(fresh);
    EXPECT_EQ(fresh->copied_records, 60u);
    EXPECT_EQ(fresh->end % kBlockBytes, 0u) << "no later write touches what was copied";
    EXPECT_EQ(std::filesystem::file_size(path_), fresh->allocated_bytes);
    EXPECT_GT(fresh->allocated_bytes, fresh->end);
    Read read = ReadGroups(path_, fresh->segment->header.salt);
    EXPECT_EQ(read.payloads, expected);
    EXPECT_EQ(read.first_lsn, 1u);
    EXPECT_EQ(read.end, fresh->end);
    EXPECT_EQ(read.digest, fresh->digest);
    EXPECT_EQ(read.offsets.size(), 30u);
    for (uint64_t offset : read.offsets) EXPECT_EQ(offset % alignment, 0u);
    EXPECT_EQ(read.durable[3], 6u) << "a copied group keeps its watermark";
    EXPECT_EQ(read.sealed[3], 1700000000000007) << "and its time";
    EXPECT_EQ(ReadGroups(path_, source.header().salt).payloads.size(), 0u);
    ASSERT_EQ(unlink(path_.c_str()), 0);
  }
}

TEST_F(FreshSegmentTest, CopiesFromAGroupInTheMiddle) {
  SegmentImage source(HeaderOf(1));
  for (Lsn lsn = 1; lsn <= 5; ++lsn) source.Group({PayloadOf(lsn)}, 0);
  absl::StatusOr<FreshSegment> fresh = Prepare(source, 3, 5);
  ASSERT_OK(fresh);
  EXPECT_EQ(fresh->copied_records, 2u);
  Read read = ReadGroups(path_, fresh->segment->header.salt);
  EXPECT_EQ(read.first_lsn, 4u);
  EXPECT_EQ(read.payloads, (std::vector<std::string>{PayloadOf(4), PayloadOf(5)}));
}

TEST_F(FreshSegmentTest, CutsInsideAGroup) {
  SegmentImage source(HeaderOf(1));
  source.Group({"one", "two"}, 0);
  source.Group({"three", "four", "five"}, 2, kGroupUnitBytes, /*batch=*/true);
  source.Group({"six"}, 5);
  for (uint32_t alignment : {8u, 512u, 4096u}) {
    options_.group_alignment_bytes = alignment;
    absl::StatusOr<FreshSegment> fresh = Prepare(source, 1, 4);
    ASSERT_OK(fresh);
    EXPECT_EQ(fresh->copied_records, 2u);
    Read read = ReadGroups(path_, fresh->segment->header.salt);
    EXPECT_EQ(read.payloads, (std::vector<std::string>{"three", "four"}));
    // Record 4 is the last one of what is left of the batch.
    EXPECT_EQ(read.continues, (std::vector<bool>{true, false}));
    EXPECT_EQ(read.digest, fresh->digest);
    ASSERT_EQ(unlink(path_.c_str()), 0);
  }
}

// More than the copier holds at a time, in groups smaller and larger than that.
TEST_F(FreshSegmentTest, CopiesMuchMoreThanItsBuffer) {
  std::mt19937_64 random(TestSeed());
  SegmentImage source(HeaderOf(1));
  std::vector<std::string> expected;
  while (source.end() < (uint64_t{6} << 20)) {
    std::vector<std::string> records;
    const uint64_t largest = random() % 10 == 0 ? uint64_t{1500} << 10 : 60000;
    for (uint64_t n = 1 + random() % 4; n > 0; --n) {
      records.push_back(std::string(random() % largest, static_cast<char>(random())));
      expected.push_back(records.back());
    }
    source.Group(records, 0);
  }
  for (uint32_t alignment : {8u, 512u, 4096u}) {
    options_.group_alignment_bytes = alignment;
    absl::StatusOr<FreshSegment> fresh = Prepare(source, 0, source.last_lsn());
    ASSERT_OK(fresh);
    Read read = ReadGroups(path_, fresh->segment->header.salt);
    EXPECT_TRUE(read.payloads == expected);
    EXPECT_EQ(read.end, fresh->end);
    EXPECT_EQ(read.digest, fresh->digest);
    for (uint64_t offset : read.offsets) ASSERT_EQ(offset % alignment, 0u);
    ASSERT_EQ(unlink(path_.c_str()), 0);
  }
}

TEST_F(FreshSegmentTest, DamagedSourceIsReportedAndLeavesNothing) {
  SegmentImage source(HeaderOf(1));
  source.Group({"one"}, 0).Group({"two", "three"}, 1);
  std::string bytes = source.File();
  FlipBit(&bytes, source.payload_offset(1) * 8);
  WriteFile(source_path_, bytes);
  CopySource from{source_path_, source.header().salt, source.offset(0), source.end(), 3};
  EXPECT_TRUE(Fails(
      PrepareFresh(FileSystem::Posix(), dir_.path(), options_, HeaderOf(2), &from),
      absl::StatusCode::kDataLoss,
      {source_path_, "offset " + std::to_string(source.offset(1) + 48), "expected checksum"}));
  EXPECT_EQ(DirectoryImage(dir_.path()).Names(), SegmentName(1));
}

TEST_F(FreshSegmentTest, GroupThatVanishedFromTheSourceIsReported) {
  SegmentImage source(HeaderOf(1));
  source.Group({"one"}, 0);
  CopySource from{source_path_, source.header().salt, kSegmentHeaderBytes, source.end() + 4096, 9};
  WriteFile(source_path_, source.File(source.end() + 4096));
  EXPECT_TRUE(Fails(PrepareFresh(FileSystem::Posix(), dir_.path(), options_, HeaderOf(2), &from),
                    absl::StatusCode::kDataLoss,
                    {source_path_, "offset " + std::to_string(source.end())}));
}

TEST_F(FreshSegmentTest, ExistingFileIsNotTouched) {
  WriteFile(path_, "something");
  EXPECT_TRUE(Fails(PrepareFresh(FileSystem::Posix(), dir_.path(), options_, HeaderOf(2), nullptr),
                    absl::StatusCode::kAlreadyExists, {path_}));
  EXPECT_EQ(ReadFile(path_), "something");
}

// ---- The order of what happens on disk, on a file system that keeps a record.

std::string Steps(const CrashFileSystem& fs, uint64_t after) {
  std::string steps;
  for (const FileSystemCall& call : fs.Trace()) {
    if (call.ordinal <= after || call.kind == CallKind::kRead) continue;
    std::string step = CallKindName(call.kind);
    if (call.kind == CallKind::kWrite) step += call.offset == 0 ? "(header)" : "(behind)";
    steps += (steps.empty() ? "" : " ") + step;
  }
  return steps;
}

std::string Names(std::initializer_list<CallKind> kinds) {
  std::string names;
  for (CallKind kind : kinds) names += (names.empty() ? "" : " ") + std::string(CallKindName(kind));
  return names;
}

class SegmentStepsTest : public ::testing::Test {
 protected:
  SegmentStepsTest() {
    EXPECT_EQ(fs_.MakeDirectory("/log"), 0);
    fs_.SyncAll();
    options_.segment_bytes = uint64_t{16} << 10;
    options_.max_record_bytes = 1000;
  }

  CrashFileSystem fs_;
  Options options_;
  const std::string write_ = CallKindName(CallKind::kWrite);
};

TEST_F(SegmentStepsTest, FreshSegmentIsDurableBeforeItsHeaderIsWritten) {
  absl::StatusOr<FreshSegment> fresh = PrepareFresh(&fs_, "/log", options_, HeaderOf(1), nullptr);
  ASSERT_OK(fresh);
  EXPECT_EQ(Steps(fs_, 1), Names({CallKind::kOpen, CallKind::kOpen}) + " " + write_ + "(behind) " +
                               Names({CallKind::kSync, CallKind::kSyncDirectory}));
  EXPECT_EQ(fs_.Capture().pending_units(), 0u);
  const uint64_t before = fs_.calls();
  ASSERT_OK(CommitFresh(options_, *fresh));
  EXPECT_EQ(Steps(fs_, before), write_ + "(header) " + Names({CallKind::kSync}));
  EXPECT_EQ(fs_.Capture().pending_units(), 0u);
}

TEST_F(SegmentStepsTest, SpareIsSyncedWithItsHeader) {
  uint64_t allocated = 0;
  auto spare = CreateSpare(&fs_, "/log", options_, {1, 2}, 7, &allocated);
  ASSERT_OK(spare);
  EXPECT_EQ(allocated, options_.segment_bytes);
  EXPECT_EQ(Steps(fs_, 1), Names({CallKind::kOpen, CallKind::kOpen}) + " " + write_ + "(behind) " +
                               write_ + "(header) " + Names({CallKind::kSync}));
  std::string file;
  ASSERT_EQ(fs_.GetFile("/log/" + SegmentName(7), &file), 0);
  ASSERT_EQ(file.size(), allocated);
  SegmentHeader header;
  uint32_t version;
  ASSERT_EQ(DecodeSegmentHeader(file.data(), &header, &version), DecodeResult::kValid);
  EXPECT_EQ(header, (*spare)->header);
  EXPECT_EQ(header.state, SegmentState::kSpare);
  EXPECT_EQ(header.generation, 7u);
  EXPECT_EQ(header.log_id, (LogId{1, 2}));
  EXPECT_FALSE(header.recycled);
  EXPECT_EQ(file.substr(kSegmentHeaderBytes), std::string(allocated - kSegmentHeaderBytes, '\0'));
}

TEST_F(SegmentStepsTest, SpareThatCannotBeFilledIsRemoved) {
  fs_.SetSpaceLimit(8192);
  uint64_t allocated = 0;
  EXPECT_TRUE(Fails(CreateSpare(&fs_, "/log", options_, {1, 2}, 7, &allocated),
                    absl::StatusCode::kResourceExhausted, {SegmentName(7)}));
  std::vector<std::string> names;
  ASSERT_EQ(fs_.List("/log", &names), 0);
  EXPECT_TRUE(names.empty());
}

// In this order an old header under a new name is known to be between the two; the other way round
// a new header could appear under the old name.
TEST_F(SegmentStepsTest, RecyclingRenamesThenSyncsTheNameThenWritesTheHeader) {
  SegmentImage old(HeaderOf(3));
  old.Group({"old record"}, 0);
  const std::string old_path = "/log/" + SegmentName(3);
  ASSERT_EQ(fs_.PutFile(old_path, old.File(options_.segment_bytes)), 0);
  const uint64_t before = fs_.calls();
  uint64_t allocated = 0;
  auto recycled = RecycleSegment(&fs_, "/log", options_, {0x1111, 0x2222}, old_path, 9, &allocated);
  ASSERT_OK(recycled);
  EXPECT_EQ(Steps(fs_, before), Names({CallKind::kStat, CallKind::kRename, CallKind::kSyncDirectory,
                                       CallKind::kOpen, CallKind::kOpen, CallKind::kSize}) +
                                    " " + write_ + "(header) " + Names({CallKind::kSync}));
  EXPECT_EQ(fs_.Capture().pending_units(), 0u);
  EXPECT_EQ(allocated, options_.segment_bytes);
  std::string file;
  ASSERT_EQ(fs_.GetFile("/log/" + SegmentName(9), &file), 0);
  SegmentHeader header;
  uint32_t version;
  ASSERT_EQ(DecodeSegmentHeader(file.data(), &header, &version), DecodeResult::kValid);
  EXPECT_EQ(header.state, SegmentState::kSpare);
  EXPECT_EQ(header.generation, 9u);
  EXPECT_TRUE(header.recycled);
  EXPECT_NE(header.salt, old.header().salt) << "old groups must not verify";
  // The old group is still there, and is nothing any more.
  GroupHeader group;
  uint64_t checksum;
  const char* at = file.data() + kSegmentHeaderBytes;
  EXPECT_TRUE(DecodeGroupHeader(at, old.header().salt, kSegmentHeaderBytes, &group, &checksum));
  EXPECT_FALSE(DecodeGroupHeader(at, header.salt, kSegmentHeaderBytes, &group, &checksum));
}

TEST_F(SegmentStepsTest, RecyclingStopsAtTheFirstFailure) {
  for (CallKind kind : {CallKind::kRename, CallKind::kSyncDirectory, CallKind::kOpen,
                        CallKind::kSize, CallKind::kWrite, CallKind::kSync}) {
    CrashFileSystem fs;
    ASSERT_EQ(fs.MakeDirectory("/log"), 0);
    const std::string old_path = "/log/" + SegmentName(3);
    ASSERT_EQ(fs.PutFile(old_path, std::string(options_.segment_bytes, 'x')), 0);
    Fault fault;
    fault.kind = kind;
    fault.error = EIO;
    fs.InjectFault(fault);
    uint64_t allocated = 0;
    EXPECT_TRUE(Fails(RecycleSegment(&fs, "/log", options_, {1, 2}, old_path, 9, &allocated),
                      absl::StatusCode::kUnavailable))
        << CallKindName(kind);
    EXPECT_EQ(fs.Trace().back().kind, kind) << "nothing is done after it";
  }
}

TEST_F(SegmentStepsTest, RecycledFileLongerThanASegmentCountsAsOne) {
  const std::string old_path = "/log/" + SegmentName(3);
  ASSERT_EQ(fs_.PutFile(old_path, std::string(options_.segment_bytes + 5000, 'x')), 0);
  uint64_t allocated = 0;
  ASSERT_OK(RecycleSegment(&fs_, "/log", options_, {1, 2}, old_path, 9, &allocated));
  EXPECT_EQ(allocated, options_.segment_bytes);
}

TEST_F(SegmentStepsTest, SaltsDiffer) {
  uint64_t allocated = 0;
  auto a = CreateSpare(&fs_, "/log", options_, {1, 2}, 1, &allocated);
  auto b = CreateSpare(&fs_, "/log", options_, {1, 2}, 2, &allocated);
  ASSERT_OK(a);
  ASSERT_OK(b);
  EXPECT_NE((*a)->header.salt, (*b)->header.salt);
}

}  // namespace
}  // namespace seawall
