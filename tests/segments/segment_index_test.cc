// SPDX-License-Identifier: Apache-2.0
// The index of a segment: what it leads to, and which bytes of a file are one.
#include "engine/segments/segment_index.h"

#include <memory>
#include <string>
#include <vector>

#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/index_file.h"
#include "gtest/gtest.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

constexpr uint64_t kGroupBytes = 1000;
constexpr Lsn kBase = 1000;

// Group i has the records kBase + 10 * i .. + 9.
IndexEntry GroupAt(uint64_t i) {
  return {kBase + 10 * i, kSegmentHeaderBytes + i * kGroupBytes, i * 7};
}

TEST(SegmentIndex, HasAnEntryForEachIntervalAndLeadsToTheOneBelow) {
  SegmentIndex index;
  EXPECT_FALSE(index.Find(kBase).has_value());
  for (uint64_t i = 0; i < 1000; ++i) index.NoteGroup(GroupAt(i));
  const std::vector<IndexEntry> entries = index.entries().groups;
  ASSERT_EQ(entries.size(), 31u);  // every 33rd group: 33,000 bytes are the first above 32 KiB
  EXPECT_EQ(entries[0], GroupAt(0));
  EXPECT_EQ(entries[1], GroupAt(33));
  EXPECT_FALSE(index.Find(kBase - 1).has_value());
  for (uint64_t i = 0; i < 1000; ++i) {
    for (Lsn lsn : {GroupAt(i).first_lsn, GroupAt(i).first_lsn + 9}) {
      const SegmentIndex::Span span = *index.Find(lsn);
      EXPECT_TRUE(span.is_group);
      EXPECT_EQ(span.first_lsn, GroupAt(i / 33 * 33).first_lsn) << lsn;
      EXPECT_EQ(span.offset, GroupAt(i / 33 * 33).offset) << lsn;
      EXPECT_EQ(index.FindGroup(lsn), GroupAt(i / 33 * 33)) << lsn;
      EXPECT_EQ(span.end, i >= 990 ? ~uint64_t{0} : GroupAt((i / 33 + 1) * 33).offset) << lsn;
    }
  }
}

// Groups of 100 records of 1000 bytes, and between them small ones.
TEST(SegmentIndex, HasRecordsOfLargeGroupsAndTheGroupsBehindThem) {
  SegmentIndex index;
  Lsn lsn = kBase;
  uint64_t at = kSegmentHeaderBytes;
  for (int i = 0; i < 5; ++i) {
    index.NoteGroup({lsn, at, 0});
    for (uint64_t j = 1; j < 100; ++j) index.NoteRecord({lsn + j, at + 48 + 1000 * j});
    lsn += 100;
    at += 100 * 1000 + 48;
    index.NoteGroup({lsn, at, 0});
    ++lsn;
    at += 1000;
  }
  const IndexEntries entries = index.entries();
  // The first one, and each small one; a large one begins too near to that.
  ASSERT_EQ(entries.groups.size(), 6u);
  // In a group at 33, 66 and 99 records, for 33,000 bytes are the first above 32 KiB.
  ASSERT_EQ(entries.records.size(), 5u * 3u);
  const RecordEntry first{kBase + 33, kSegmentHeaderBytes + 48 + 33000};
  EXPECT_EQ(entries.records[0], first);
  const SegmentIndex::Span within = *index.Find(kBase + 65);
  EXPECT_FALSE(within.is_group);
  EXPECT_EQ(within.first_lsn, first.lsn);
  EXPECT_EQ(within.offset, first.offset);
  EXPECT_EQ(within.end, first.offset + 33000);
  EXPECT_EQ(index.FindGroup(kBase + 65)->first_lsn, kBase);
  // What is behind a record's entry is of its group.
  EXPECT_EQ(index.Find(kBase + 99)->end, kSegmentHeaderBytes + 100 * 1000 + 48);
  EXPECT_TRUE(index.Find(kBase + 100)->is_group);
  EXPECT_EQ(index.Find(kBase + 32)->end, first.offset);
}

TEST(SegmentIndex, TheReserveIsEnoughForTheSmallestGroups) {
  EXPECT_EQ(IndexReserveBytes(uint64_t{16} << 10), 0u);
  EXPECT_EQ(IndexReserveBytes(kUnindexedBytes), 0u);
  for (uint64_t bytes : {uint64_t{256} << 10, uint64_t{64} << 20, uint64_t{1} << 30}) {
    const uint64_t reserve = IndexReserveBytes(bytes);
    EXPECT_EQ(reserve % kBlockBytes, 0u);
    EXPECT_LE(reserve, bytes / 50);
    SegmentIndex index;
    for (uint64_t at = kSegmentHeaderBytes; at < bytes - reserve; at += 64) {
      index.NoteGroup({at, at, 0});
    }
    EXPECT_GE(reserve, 64 + 24 * index.entries().groups.size());
  }
}

TEST(SegmentIndex, TheReserveIsEnoughForGroupsThatAreJustLargerThanAnInterval) {
  for (uint64_t bytes : {uint64_t{256} << 10, uint64_t{64} << 20}) {
    const uint64_t reserve = IndexReserveBytes(bytes);
    SegmentIndex index;
    for (uint64_t at = kSegmentHeaderBytes; at < bytes - reserve; at += kIndexIntervalBytes + 64) {
      index.NoteGroup({at, at, 0});
      index.NoteRecord({at + 1, at + kIndexIntervalBytes});
    }
    const IndexEntries entries = index.entries();
    EXPECT_EQ(entries.records.size() + 1, entries.groups.size() + 1);
    EXPECT_GE(reserve, 64 + 24 * entries.groups.size() + 16 * entries.records.size());
  }
}

class IndexFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    segment_.path = directory_ / "1.seg";
    segment_.generation = 1;
    segment_.salt = 0x1234567;
    segment_.base_lsn = kBase;
    segment_.last_lsn = kBase + 10 * 1000 - 1;
    segment_.end = kSegmentHeaderBytes + 1000 * kGroupBytes;
    segment_.digest = 99;
    NoteAll(&index_);
    offset_ = AlignUp(segment_.end, kBlockBytes);
    WriteFile(segment_.path, std::string(offset_, 'g'));
    OpenOptions options;
    options.write = true;
    auto file = OpenFile(FileSystem::Posix(), segment_.path, options);
    ASSERT_OK(file);
    file_ = std::move(*file);
  }

  // Three groups of a thousand have records with entries.
  static void NoteAll(SegmentIndex* index) {
    for (uint64_t i = 0; i < 1000; ++i) {
      index->NoteGroup(GroupAt(i));
      const bool large = i == 32 || i == 626 || i == 989;
      if (large) index->NoteRecord({GroupAt(i).first_lsn + 9, GroupAt(i).offset + 900});
    }
  }

  bool ReadsWith(IndexEntries entries) {
    const SegmentIndex index(std::move(entries));
    EXPECT_OK(WriteSegmentIndex(file_.get(), segment_, index, uint64_t{1} << 20));
    return Reads(segment_);
  }

  bool Reads(const SegmentRef& segment) { return ReadSegmentIndex(file_.get(), segment).ok(); }

  TempDir directory_;
  SegmentRef segment_;
  SegmentIndex index_;
  uint64_t offset_ = 0;
  std::unique_ptr<File> file_;
};

TEST_F(IndexFileTest, ComesBackAsItWasWritten) {
  EXPECT_TRUE(
      Fails(ReadSegmentIndex(file_.get(), segment_), absl::StatusCode::kNotFound, {"1007616"}));
  ASSERT_OK(WriteSegmentIndex(file_.get(), segment_, index_, uint64_t{1} << 20));
  auto read = ReadSegmentIndex(file_.get(), segment_);
  ASSERT_OK(read);
  EXPECT_EQ((*read)->entries().groups, index_.entries().groups);
  EXPECT_EQ((*read)->entries().records, index_.entries().records);
  const std::string bytes = ReadFile(segment_.path);
  EXPECT_EQ(bytes.size(), offset_ + 4096);
  EXPECT_EQ(bytes.substr(0, offset_), std::string(offset_, 'g'));
}

TEST_F(IndexFileTest, IsNotWrittenBeyondTheLimit) {
  EXPECT_TRUE(Fails(WriteSegmentIndex(file_.get(), segment_, index_, offset_ + 4095),
                    absl::StatusCode::kResourceExhausted, {"4096 bytes"}));
  EXPECT_EQ(ReadFile(segment_.path).size(), offset_);
  EXPECT_OK(WriteSegmentIndex(file_.get(), segment_, index_, offset_ + 4096));
}

TEST_F(IndexFileTest, IsOfThisSegmentThisLifeAndThisEnd) {
  ASSERT_OK(WriteSegmentIndex(file_.get(), segment_, index_, uint64_t{1} << 20));
  SegmentRef other = segment_;
  other.salt ^= 1;  // the file was recycled
  EXPECT_FALSE(Reads(other));
  other = segment_;
  other.generation = 2;
  EXPECT_FALSE(Reads(other));
  other = segment_;
  other.end -= 8;  // it was cut since, in the same block
  EXPECT_FALSE(Reads(other));
  other = segment_;
  other.digest ^= 1;
  EXPECT_FALSE(Reads(other));
  other = segment_;
  --other.last_lsn;
  EXPECT_FALSE(Reads(other));
  other = segment_;
  --other.base_lsn;
  EXPECT_FALSE(Reads(other));
  EXPECT_TRUE(Reads(segment_));
}

TEST_F(IndexFileTest, GoldenBytes) {
  const SegmentIndex index(
      {{{kBase, kSegmentHeaderBytes, 0}, {kBase + 10, 8192, 0x1122334455667788}}, {{1003, 40000}}});
  ASSERT_OK(WriteSegmentIndex(file_.get(), segment_, index, uint64_t{1} << 20));
  const std::string bytes = ReadFile(segment_.path).substr(offset_);
  EXPECT_EQ(Hex(bytes.substr(0, 128)),
            "53454157414c4958"
            "01000000"
            "00000000"
            "0100000000000000"
            "f72a000000000000"
            "40520f0000000000"
            "6300000000000000"
            "02000000"
            "01000000"
            "e803000000000000"
            "0010000000000000"
            "0000000000000000"
            "f203000000000000"
            "0020000000000000"
            "8877665544332211"
            "eb03000000000000"
            "409c000000000000"
            "b2c7a6cb3ebf970f");
  EXPECT_EQ(bytes.substr(128), std::string(4096 - 128, '\0'));
}

TEST_F(IndexFileTest, EntriesAreInOrderAndOfTheSegment) {
  const IndexEntries good = index_.entries();
  ASSERT_EQ(good.records.size(), 3u);
  EXPECT_TRUE(ReadsWith(good));
  IndexEntries bad = good;
  bad.groups[0].digest = 1;
  EXPECT_FALSE(ReadsWith(bad));
  bad = good;
  std::swap(bad.groups[3], bad.groups[4]);
  EXPECT_FALSE(ReadsWith(bad));
  bad = good;
  std::swap(bad.records[1], bad.records[2]);
  EXPECT_FALSE(ReadsWith(bad));
  bad = good;
  bad.records[1].offset = bad.records[0].offset;
  EXPECT_FALSE(ReadsWith(bad));
  bad = good;
  bad.records[0].lsn = kBase;  // the first group's entry leads there
  EXPECT_FALSE(ReadsWith(bad));
  bad = good;
  bad.records[2].lsn = segment_.last_lsn + 1;
  EXPECT_FALSE(ReadsWith(bad));
  bad = good;
  bad.records[2].offset = segment_.end;
  EXPECT_FALSE(ReadsWith(bad));
  EXPECT_FALSE(ReadsWith({{}, good.records}));
}

TEST_F(IndexFileTest, EveryBitCounts) {
  ASSERT_OK(WriteSegmentIndex(file_.get(), segment_, index_, uint64_t{1} << 20));
  const IndexEntries entries = index_.entries();
  const size_t bytes = 56 + 24 * entries.groups.size() + 16 * entries.records.size() + 8;
  std::string index = ReadFile(segment_.path).substr(offset_, bytes);
  for (uint64_t bit = 0; bit < 8 * bytes; ++bit) {
    std::string damaged = index;
    FlipBit(&damaged, bit);
    ASSERT_OK(WriteAt(file_.get(), segment_.path, offset_, damaged));
    ASSERT_FALSE(Reads(segment_)) << bit;
  }
  for (size_t kept : {size_t{0}, size_t{63}, bytes - 1}) {
    ASSERT_EQ(file_->Truncate(offset_ + kept), 0);
    EXPECT_FALSE(Reads(segment_)) << kept;
  }
}

}  // namespace
}  // namespace seawall
