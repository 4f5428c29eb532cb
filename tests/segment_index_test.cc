// The index of a segment: what it leads to, and which bytes of a file are one.
#include "engine/segment_index.h"

#include <memory>
#include <string>
#include <vector>

#include "engine/file_io.h"
#include "engine/format.h"
#include "engine/index_file.h"
#include "gtest/gtest.h"
#include "tests/test_util.h"

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
  for (uint64_t i = 0; i < 1000; ++i) index.Note(GroupAt(i));
  const std::vector<IndexEntry> entries = index.entries();
  ASSERT_EQ(entries.size(), 31u);  // every 33rd group: 33,000 bytes are the first above 32 KiB
  EXPECT_EQ(entries[0], GroupAt(0));
  EXPECT_EQ(entries[1], GroupAt(33));
  EXPECT_FALSE(index.Find(kBase - 1).has_value());
  for (uint64_t i = 0; i < 1000; ++i) {
    for (Lsn lsn : {GroupAt(i).first_lsn, GroupAt(i).first_lsn + 9}) {
      const SegmentIndex::Span span = *index.Find(lsn);
      EXPECT_EQ(span.from, GroupAt(i / 33 * 33)) << lsn;
      EXPECT_EQ(span.end, i >= 990 ? ~uint64_t{0} : GroupAt((i / 33 + 1) * 33).offset) << lsn;
    }
  }
}

TEST(SegmentIndex, TheReserveIsEnoughForTheSmallestGroups) {
  EXPECT_EQ(IndexReserveBytes(uint64_t{16} << 10), 0u);
  EXPECT_EQ(IndexReserveBytes(kUnindexedBytes), 0u);
  for (uint64_t bytes : {uint64_t{256} << 10, uint64_t{64} << 20, uint64_t{1} << 30}) {
    const uint64_t reserve = IndexReserveBytes(bytes);
    EXPECT_EQ(reserve % kBlockBytes, 0u);
    EXPECT_LE(reserve, bytes / 50);
    SegmentIndex index;
    for (uint64_t at = kSegmentHeaderBytes; at < bytes - reserve; at += 64) index.Note({at, at, 0});
    EXPECT_GE(reserve, 64 + 24 * index.entries().size());
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
    for (uint64_t i = 0; i < 1000; ++i) index_.Note(GroupAt(i));
    offset_ = AlignUp(segment_.end, kBlockBytes);
    WriteFile(segment_.path, std::string(offset_, 'g'));
    OpenOptions options;
    options.write = true;
    auto file = OpenFile(FileSystem::Posix(), segment_.path, options);
    ASSERT_OK(file);
    file_ = std::move(*file);
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
  EXPECT_EQ((*read)->entries(), index_.entries());
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

TEST_F(IndexFileTest, EveryBitCounts) {
  ASSERT_OK(WriteSegmentIndex(file_.get(), segment_, index_, uint64_t{1} << 20));
  const size_t bytes = 56 + 24 * index_.entries().size() + 8;
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
