// SPDX-License-Identifier: Apache-2.0
// Readers: every record of a log in order, or an error that says what is damaged and stays.
#include "engine/read/log_reader.h"

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/segments/control_file.h"
#include "gtest/gtest.h"
#include "seawall/reader.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/log_image.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// Segments 1, 2 and 3 with records 1..4, 5..8 and 9..12, two in each group, in "/log".
class LogReaderTest : public ::testing::Test {
 protected:
  LogReaderTest() {
    EXPECT_EQ(fs_.MakeDirectory("/log"), 0);
    for (uint64_t generation = 1; generation <= 3; ++generation) {
      SegmentImage image(HeaderOf(generation, images_.empty() ? nullptr : &images_.back()));
      for (int group = 0; group < 2; ++group) {
        const Lsn last = image.last_lsn();
        image.Group({PayloadOf(last + 1), PayloadOf(last + 2)}, last, kGroupUnitBytes,
                    /*batch=*/group == 1);
      }
      images_.push_back(image);
      refs_.push_back(image.Ref("/log"));
      EXPECT_EQ(fs_.PutFile(refs_.back().path, image.File(16384)), 0);
    }
  }

  std::unique_ptr<Reader> NewReader(Lsn from) {
    return NewSourceReader(&fs_, FixedSource(refs_), from);
  }

  // As a clean close leaves it.
  void PutControl() {
    ControlBlock block;
    block.log_id = images_[0].header().log_id;
    block.first_generation = 1;
    block.tail_generation = 3;
    block.durable_lsn = 12;
    block.closed = true;
    block.closed_end = images_[2].end();
    block.closed_digest = images_[2].digest();
    ASSERT_OK(ControlFile::Create(&fs_, "/log", block));
  }

  // Reads on; returns the LSNs, checks payloads.
  static std::vector<Lsn> ReadAll(Reader* reader) {
    std::vector<Lsn> lsns;
    Record record;
    while (reader->Next(&record)) {
      EXPECT_EQ(record.payload, PayloadOf(record.lsn));
      EXPECT_EQ(record.batch_continues, record.lsn % 4 == 3);
      EXPECT_EQ(reader->next_lsn(), record.lsn + 1);
      lsns.push_back(record.lsn);
    }
    return lsns;
  }

  static std::vector<Lsn> Range(Lsn first, Lsn last) {
    std::vector<Lsn> lsns;
    for (Lsn lsn = first; lsn <= last; ++lsn) lsns.push_back(lsn);
    return lsns;
  }

  // The reader from record 1 returns those up to `last`, then fails so, and goes on to.
  void ExpectDamageAfter(Lsn last, std::initializer_list<std::string> parts) {
    std::unique_ptr<Reader> reader = NewReader(1);
    EXPECT_EQ(ReadAll(reader.get()), Range(1, last));
    EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kDataLoss, parts));
    Record record;
    EXPECT_FALSE(reader->Next(&record));
    EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kDataLoss, parts));
  }

  CrashFileSystem fs_;
  std::vector<SegmentImage> images_;
  std::vector<SegmentRef> refs_;
};

TEST_F(LogReaderTest, ReadsFromEachRecordToTheEnd) {
  for (Lsn from = 1; from <= 13; ++from) {
    std::unique_ptr<Reader> reader = NewReader(from);
    EXPECT_EQ(reader->next_lsn(), from);
    EXPECT_EQ(ReadAll(reader.get()), Range(from, 12)) << "from " << from;
    EXPECT_OK(reader->status());
    EXPECT_EQ(reader->next_lsn(), 13u);
  }
}

TEST_F(LogReaderTest, RecordCarriesItsGroupsTime) {
  std::unique_ptr<Reader> reader = NewReader(3);
  Record record;
  ASSERT_TRUE(reader->Next(&record));
  EXPECT_EQ(record.sealed_unix_micros, 1700000000000003);
}

TEST_F(LogReaderTest, DamagedRecordIsNotTheEnd) {
  ASSERT_EQ(fs_.FlipBit(refs_[1].path, images_[1].payload_offset(0) * 8), 0);
  ExpectDamageAfter(4, {refs_[1].path, "offset " + std::to_string(images_[1].offset(0) + 48),
                        "expected checksum", "found"});
}

TEST_F(LogReaderTest, DamagedGroupHeaderIsNotTheEnd) {
  ASSERT_EQ(fs_.FlipBit(refs_[2].path, images_[2].offset(1) * 8), 0);
  ExpectDamageAfter(10, {refs_[2].path, "offset " + std::to_string(images_[2].offset(1)),
                         "expected the group of record 11", "found no valid group"});
}

TEST_F(LogReaderTest, ZeroedGroupIsNotTheEnd) {
  ASSERT_EQ(fs_.ZeroBytes(refs_[0].path, kSegmentHeaderBytes, 4096), 0);
  ExpectDamageAfter(0, {refs_[0].path, "offset 4096", "expected the group of record 1"});
}

TEST_F(LogReaderTest, TruncatedFileIsNotTheEnd) {
  ASSERT_EQ(fs_.SetLength(refs_[1].path, images_[1].offset(1) + 20), 0);
  ExpectDamageAfter(6, {refs_[1].path, "expected the group of record 7"});
}

// A segment that verifies in itself, but is not the one that its successor knew.
TEST_F(LogReaderTest, SegmentWithAnotherDigestIsDamage) {
  refs_[0].digest ^= 1;
  ExpectDamageAfter(2, {refs_[0].path, "expected the segment to end with record 4", "digest"});
}

TEST_F(LogReaderTest, SegmentThatEndsElsewhereIsDamage) {
  refs_[0].end += 8;
  ExpectDamageAfter(2, {refs_[0].path, "expected the segment to end with record 4 at offset " +
                                           std::to_string(images_[0].end() + 8)});
}

TEST_F(LogReaderTest, GroupOfAnotherRecordIsDamage) {
  refs_[1].base_lsn = 4;
  refs_[0].last_lsn = 3;
  std::unique_ptr<Reader> reader = NewReader(4);
  EXPECT_TRUE(ReadAll(reader.get()).empty());
  EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kDataLoss,
                    {refs_[1].path, "expected the group of record 4, found that of record 5"}));
}

TEST_F(LogReaderTest, ReadErrorIsAnErrorForGood) {
  std::unique_ptr<Reader> reader = NewReader(1);
  Fault fault;
  fault.kind = CallKind::kRead;
  fault.path_contains = SegmentName(2);
  fault.error = EIO;
  fs_.InjectFault(fault);
  EXPECT_EQ(ReadAll(reader.get()), Range(1, 4));
  EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kUnavailable, {refs_[1].path}));
  Record record;
  EXPECT_FALSE(reader->Next(&record));
  EXPECT_EQ(reader->next_lsn(), 5u);
}

TEST_F(LogReaderTest, SegmentThatIsGoneIsAnError) {
  ASSERT_EQ(fs_.DeleteFile(refs_[1].path), 0);
  std::unique_ptr<Reader> reader = NewReader(1);
  EXPECT_EQ(ReadAll(reader.get()), Range(1, 4));
  EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kNotFound, {refs_[1].path}));
}

// ---- A log that is being written

TEST_F(LogReaderTest, GoesOnWhenRecordsWereAdded) {
  Lsn limit = 9;
  // Segment 3 is being written: it is not sealed, and may be read up to the end of group 0 or 1.
  ReadSource source = [&](Lsn lsn) -> absl::StatusOr<std::optional<ReadRange>> {
    if (lsn > limit) return std::nullopt;
    if (lsn <= 8) return FixedSource(refs_)(lsn);
    SegmentRef open = refs_[2];
    open.last_lsn = ~Lsn{0};
    return ReadRange{open, limit, limit <= 10 ? images_[2].offset(1) : images_[2].end()};
  };
  limit = 8;
  std::unique_ptr<Reader> reader = NewSourceReader(&fs_, source, 7);
  EXPECT_EQ(ReadAll(reader.get()), Range(7, 8));
  limit = 10;
  EXPECT_EQ(ReadAll(reader.get()), Range(9, 10));
  EXPECT_EQ(ReadAll(reader.get()), Range(11, 10));
  limit = 12;
  EXPECT_EQ(ReadAll(reader.get()), Range(11, 12));
  EXPECT_OK(reader->status());
}

TEST_F(LogReaderTest, ErrorOfTheSourceIsTheReadersForGood) {
  bool trimmed = false;
  ReadSource source = [&](Lsn lsn) -> absl::StatusOr<std::optional<ReadRange>> {
    if (trimmed) return absl::OutOfRangeError("trimmed");
    return FixedSource(refs_)(lsn);
  };
  std::unique_ptr<Reader> reader = NewSourceReader(&fs_, source, 1);
  Record record;
  ASSERT_TRUE(reader->Next(&record));
  trimmed = true;
  EXPECT_EQ(ReadAll(reader.get()), Range(2, 4)) << "it holds the segment that it is in";
  EXPECT_EQ(reader->status(), absl::OutOfRangeError("trimmed"));
  trimmed = false;
  EXPECT_FALSE(reader->Next(&record));
}

// ---- OpenReadOnly

TEST_F(LogReaderTest, OpenReadOnlyReadsAndWritesNothing) {
  PutControl();
  const uint64_t before = fs_.calls();
  absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::OpenReadOnly("/log", 0, &fs_);
  ASSERT_OK(reader);
  EXPECT_EQ(ReadAll(reader->get()), Range(1, 12));
  EXPECT_OK((*reader)->status());
  for (const FileSystemCall& call : fs_.Trace()) {
    if (call.ordinal <= before) continue;
    EXPECT_FALSE(call.may_change) << call;
    EXPECT_NE(call.kind, CallKind::kLock) << call;
  }
}

TEST_F(LogReaderTest, OpenReadOnlyOutOfRangeNamesTheRange) {
  PutControl();
  ASSERT_OK(Reader::OpenReadOnly("/log", 13, &fs_));
  EXPECT_TRUE(Fails(Reader::OpenReadOnly("/log", 14, &fs_), absl::StatusCode::kOutOfRange,
                    {"read from record 14: expected 1 to 13"}));
}

TEST_F(LogReaderTest, OpenReadOnlyWithoutALog) {
  EXPECT_TRUE(Fails(Reader::OpenReadOnly("/none", 0, &fs_), absl::StatusCode::kNotFound,
                    {"no log in /none"}));
}

TEST_F(LogReaderTest, OpenReadOnlyOfADamagedLog) {
  PutControl();
  ASSERT_EQ(fs_.DeleteFile(refs_[0].path), 0);
  EXPECT_TRUE(Fails(Reader::OpenReadOnly("/log", 0, &fs_), absl::StatusCode::kDataLoss,
                    {refs_[0].path, "found no such file"}));
}

}  // namespace
}  // namespace seawall
