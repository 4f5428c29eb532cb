// SPDX-License-Identifier: Apache-2.0
// The one decoder of segment files: what it finds, where it stops, and that nothing is missed
// between two reads of its buffer.
#include "engine/segments/segment_scanner.h"

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/log_image.h"
#include "tests/support/seed.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

constexpr uint64_t kWindow = uint64_t{256} << 10;  // what a survey looks at in one piece
constexpr uint64_t kNoLimit = ~uint64_t{0} >> 1;
using Found = SegmentScanner::Found;

class SegmentScannerTest : public ::testing::Test {
 protected:
  // A scanner of these bytes.
  SegmentScanner* Scan(const std::string& bytes, uint64_t salt = HeaderOf(1).salt) {
    scanner_.reset();  // it has the file
    EXPECT_EQ(fs_.PutFile("/f", bytes), 0);
    EXPECT_EQ(fs_.Open("/f", OpenOptions(), &file_), 0);
    scanner_ = std::make_unique<SegmentScanner>(file_.get(), "/f", salt);
    return scanner_.get();
  }

  static Found MustFind(SegmentScanner* scanner, uint64_t offset, uint64_t limit, Group* group) {
    absl::StatusOr<Found> found = scanner->ReadGroup(offset, limit, group);
    EXPECT_OK(found);
    return found.ok() ? *found : Found::kNothing;
  }
  static Remnants MustSurvey(SegmentScanner* scanner, uint64_t from, uint64_t limit) {
    absl::StatusOr<Remnants> remnants = scanner->Survey(from, limit);
    EXPECT_OK(remnants);
    return remnants.ok() ? *remnants : Remnants();
  }

  CrashFileSystem fs_;
  std::unique_ptr<File> file_;
  std::unique_ptr<SegmentScanner> scanner_;
};

TEST_F(SegmentScannerTest, FindsGroupsOneBehindTheOther) {
  SegmentImage image(HeaderOf(1));
  image.Group({"one", "two"}, 0).Group({"three"}, 2);
  SegmentScanner* scanner = Scan(image.File(16384));
  Group group;
  ASSERT_EQ(MustFind(scanner, kSegmentHeaderBytes, kNoLimit, &group), Found::kGroup);
  EXPECT_EQ(group.offset, kSegmentHeaderBytes);
  EXPECT_EQ(group.header.first_lsn, 1u);
  EXPECT_EQ(group.header.record_count, 2u);
  EXPECT_EQ(group.end(), image.offset(1));
  EXPECT_EQ(ExtendDigest(0, group.checksum), image.digest_before(1));
  EXPECT_OK(scanner->CheckRecords(group));
  ASSERT_EQ(MustFind(scanner, group.end(), kNoLimit, &group), Found::kGroup);
  EXPECT_EQ(group.header.first_lsn, 3u);
  EXPECT_EQ(group.header.durable_lsn, 2u);
  EXPECT_EQ(MustFind(scanner, group.end(), kNoLimit, &group), Found::kNothing);
}

TEST_F(SegmentScannerTest, NothingIsFoundElsewhereOrUnderAnotherSalt) {
  SegmentImage image(HeaderOf(1));
  image.Group({"one"}, 0);
  Group group;
  EXPECT_EQ(MustFind(Scan(image.File(16384)), kSegmentHeaderBytes + 8, kNoLimit, &group),
            Found::kNothing);
  EXPECT_EQ(MustFind(Scan(image.File(16384)), 1 << 20, kNoLimit, &group), Found::kNothing);
  EXPECT_EQ(MustFind(Scan(image.File(16384), 1), kSegmentHeaderBytes, kNoLimit, &group),
            Found::kNothing);
}

TEST_F(SegmentScannerTest, GroupBeyondTheEndOfTheFileIsCutShort) {
  SegmentImage image(HeaderOf(1));
  image.Group({std::string(1000, 'x')}, 0);
  const std::string file = image.File();
  Group group;
  EXPECT_EQ(MustFind(Scan(file.substr(0, file.size() - 1)), kSegmentHeaderBytes, kNoLimit, &group),
            Found::kCutShort);
  EXPECT_TRUE(group.bytes.empty());
  EXPECT_EQ(group.header.first_lsn, 1u);
  // Not even a header.
  EXPECT_EQ(MustFind(Scan(file.substr(0, kSegmentHeaderBytes + kGroupHeaderBytes - 1)),
                     kSegmentHeaderBytes, kNoLimit, &group),
            Found::kNothing);
}

// Behind the limit a live writer may be writing.
TEST_F(SegmentScannerTest, NothingBehindTheLimitIsLookedAt) {
  SegmentImage image(HeaderOf(1));
  image.Group({"one"}, 0).Group({"two"}, 1);
  SegmentScanner* scanner = Scan(image.File());
  Group group;
  EXPECT_EQ(MustFind(scanner, kSegmentHeaderBytes, image.offset(1), &group), Found::kGroup);
  EXPECT_EQ(MustFind(scanner, image.offset(1), image.offset(1), &group), Found::kNothing);
  EXPECT_EQ(MustFind(scanner, image.offset(1), image.end() - 8, &group), Found::kCutShort);
  EXPECT_EQ(scanner->bytes_read(), image.end() - 8 - kSegmentHeaderBytes);
  EXPECT_EQ(MustFind(scanner, image.offset(1), image.end(), &group), Found::kGroup)
      << "the limit grew";
}

// Bytes behind the limit of an earlier call are read anew: they were not there yet.
TEST_F(SegmentScannerTest, FollowsAFileThatGrows) {
  SegmentImage image(HeaderOf(1));
  image.Group({"one"}, 0);
  const uint64_t first_end = image.end();
  image.Group({"two"}, 1);
  std::string half = image.File(8192);
  half.replace(first_end, image.end() - first_end, std::string(image.end() - first_end, '\0'));
  SegmentScanner* scanner = Scan(half);
  Group group;
  ASSERT_EQ(MustFind(scanner, kSegmentHeaderBytes, first_end, &group), Found::kGroup);
  EXPECT_EQ(MustFind(scanner, first_end, first_end, &group), Found::kNothing);
  ASSERT_EQ(fs_.PutBytes("/f", first_end, image.File().substr(first_end)), 0);
  ASSERT_EQ(MustFind(scanner, first_end, image.end(), &group), Found::kGroup);
  EXPECT_OK(scanner->CheckRecords(group));
}

TEST_F(SegmentScannerTest, GroupsOfAllSizesAreWhole) {
  std::mt19937_64 random(TestSeed());
  SegmentImage image(HeaderOf(1));
  while (image.end() < 8 * kWindow) {
    const uint64_t largest = random() % 5 == 0 ? 3 * kWindow : 5000;
    image.Group({std::string(random() % largest, static_cast<char>(random()))}, 0);
  }
  SegmentScanner* scanner = Scan(image.File());
  uint64_t at = kSegmentHeaderBytes;
  uint64_t digest = 0;
  while (at < image.end()) {
    Group group;
    ASSERT_EQ(MustFind(scanner, at, kNoLimit, &group), Found::kGroup) << "offset " << at;
    ASSERT_OK(scanner->CheckRecords(group));
    digest = ExtendDigest(digest, group.checksum);
    at = group.end();
  }
  EXPECT_EQ(digest, image.digest());
  EXPECT_EQ(scanner->bytes_read(), image.end() - kSegmentHeaderBytes) << "some were read twice";
}

// Of a file that is worth reading ahead: groups that lie across its pieces, and one that is larger
// than all that is read ahead.
class LongScanTest : public SegmentScannerTest {
 protected:
  static SegmentImage LongImage(uint64_t seed, bool with_giant) {
    std::mt19937_64 random(seed);
    SegmentImage image(HeaderOf(1));
    bool giant = with_giant;
    while (image.end() < (uint64_t{26} << 20)) {
      uint64_t largest = random() % 8 == 0 ? uint64_t{3} << 20 : 30000;
      if (giant && image.end() > (uint64_t{12} << 20)) {
        largest = uint64_t{9} << 20;
        image.Group({std::string(largest, 'g')}, 0);
        giant = false;
      }
      image.Group({std::string(random() % largest, static_cast<char>(random()))}, 0);
    }
    return image;
  }

  // Scans all of it; returns the offset of the group that is not good, or the end.
  static uint64_t ScanAll(SegmentScanner* scanner, const SegmentImage& image, uint64_t* digest) {
    uint64_t at = kSegmentHeaderBytes;
    *digest = 0;
    while (at < image.end()) {
      Group group;
      if (MustFind(scanner, at, kNoLimit, &group) != Found::kGroup) return at;
      if (!scanner->CheckRecords(group).ok()) return at;
      *digest = ExtendDigest(*digest, group.checksum);
      at = group.end();
    }
    return at;
  }
};

TEST_F(LongScanTest, GroupsOfAllSizesAreWhole) {
  for (const bool with_giant : {false, true}) {
    const SegmentImage image = LongImage(TestSeed(), with_giant);
    uint64_t digest;
    EXPECT_EQ(ScanAll(Scan(image.File()), image, &digest), image.end());
    EXPECT_EQ(digest, image.digest());
  }
}

// What lies behind the limit, where a live writer may be writing, is not read ahead.
TEST_F(LongScanTest, FollowsAFileThatGrows) {
  const SegmentImage image = LongImage(TestSeed(), /*with_giant=*/false);
  size_t middle = 0;
  while (image.offset(middle) < (uint64_t{20} << 20)) ++middle;
  const uint64_t limit = image.offset(middle);
  const std::string file = image.File();
  SegmentScanner* scanner = Scan(file.substr(0, limit) + std::string(file.size() - limit, '\0'));
  Group group;
  uint64_t at = kSegmentHeaderBytes;
  for (; at < limit; at = group.end()) {
    ASSERT_EQ(MustFind(scanner, at, limit, &group), Found::kGroup);
  }
  ASSERT_EQ(fs_.PutBytes("/f", limit, file.substr(limit)), 0);
  for (; at < image.end(); at = group.end()) {
    ASSERT_EQ(MustFind(scanner, at, image.end(), &group), Found::kGroup) << "offset " << at;
    ASSERT_OK(scanner->CheckRecords(group));
  }
}

TEST_F(LongScanTest, OneBitIsMissedNowhere) {
  const uint64_t seed = TestSeed();
  const SegmentImage image = LongImage(seed, /*with_giant=*/false);
  std::mt19937_64 random(seed);
  std::string file = image.File();
  for (int round = 0; round < 3; ++round) {
    const size_t group = random() % image.groups();
    const uint64_t end = group + 1 < image.groups() ? image.offset(group + 1) : image.end();
    // Not the padding behind the last record.
    const uint64_t bit = (image.offset(group) + random() % (end - image.offset(group) - 8)) * 8;
    FlipBit(&file, bit);
    uint64_t digest;
    EXPECT_EQ(ScanAll(Scan(file), image, &digest), image.offset(group)) << "bit " << bit;
    FlipBit(&file, bit);
  }
}

TEST_F(LongScanTest, AFailedReadIsAnErrorWhereverItIs) {
  const SegmentImage image = LongImage(TestSeed(), /*with_giant=*/false);
  SegmentScanner* scanner = Scan(image.File());
  Group group;
  uint64_t at = kSegmentHeaderBytes;
  for (; at < image.end() / 2; at = group.end()) {
    ASSERT_EQ(MustFind(scanner, at, kNoLimit, &group), Found::kGroup);
  }
  Fault fault;
  fault.kind = CallKind::kRead;
  fault.error = EIO;
  fault.forever = true;
  fs_.InjectFault(fault);
  // What was read already may be had; then there is the error, and no end.
  for (;;) {
    absl::StatusOr<Found> found = scanner->ReadGroup(at, kNoLimit, &group);
    if (!found.ok()) {
      EXPECT_TRUE(Fails(found, absl::StatusCode::kUnavailable, {"of /f"}));
      break;
    }
    ASSERT_EQ(*found, Found::kGroup);
    ASSERT_LT(group.end(), image.end());
    at = group.end();
  }
}

TEST_F(SegmentScannerTest, ReadsLittleForOneGroup) {
  SegmentImage image(HeaderOf(1));
  while (image.end() < 8 * kWindow) image.Group({std::string(5000, 'x')}, 0);
  SegmentScanner* scanner = Scan(image.File());
  Group group;
  ASSERT_EQ(MustFind(scanner, image.offset(100), kNoLimit, &group), Found::kGroup);
  EXPECT_EQ(scanner->bytes_read(), uint64_t{64} << 10);
  ASSERT_EQ(MustFind(scanner, image.offset(5), kNoLimit, &group), Found::kGroup);
  EXPECT_EQ(scanner->bytes_read(), uint64_t{128} << 10);
  EXPECT_OK(scanner->CheckRecords(group));
}

TEST_F(SegmentScannerTest, BadRecordNamesItsOffsetInTheFile) {
  SegmentImage image(HeaderOf(1));
  image.Group({"one", "two"}, 0);
  std::string file = image.File();
  const uint64_t second = image.payload_offset(0) + 3;  // its header
  FlipBit(&file, second * 8);
  SegmentScanner* scanner = Scan(file);
  Group group;
  ASSERT_EQ(MustFind(scanner, kSegmentHeaderBytes, kNoLimit, &group), Found::kGroup);
  EXPECT_TRUE(Fails(scanner->CheckRecords(group), absl::StatusCode::kDataLoss,
                    {"/f, offset " + std::to_string(second) + ": expected checksum"}));
}

TEST_F(SegmentScannerTest, ReadErrorIsAnError) {
  SegmentImage image(HeaderOf(1));
  image.Group({"one"}, 0);
  SegmentScanner* scanner = Scan(image.File());
  Fault fault;
  fault.kind = CallKind::kRead;
  fault.error = EIO;
  fs_.InjectFault(fault);
  Group group;
  EXPECT_TRUE(Fails(scanner->ReadGroup(kSegmentHeaderBytes, kNoLimit, &group),
                    absl::StatusCode::kUnavailable, {"of /f"}));
  fs_.InjectFault(fault);
  EXPECT_TRUE(Fails(scanner->Survey(0, image.end()), absl::StatusCode::kUnavailable, {"of /f"}));
  EXPECT_EQ(MustFind(scanner, kSegmentHeaderBytes, kNoLimit, &group), Found::kGroup)
      << "what a failed read left in the buffer is not used";
}

// ---- Survey

TEST_F(SegmentScannerTest, SurveyOfZerosFindsNothing) {
  SegmentScanner* scanner = Scan(std::string(3 * kWindow, '\0'));
  Remnants remnants = MustSurvey(scanner, 5000, 3 * kWindow);
  EXPECT_EQ(remnants.durable_lsn, 0u);
  EXPECT_EQ(remnants.groups_end, 5000u);
  EXPECT_EQ(remnants.nonzero_end, 5000u);
}

TEST_F(SegmentScannerTest, SurveyFindsTheLastByteThatIsNotZero) {
  for (uint64_t size = 1; size < 200; ++size) {
    for (uint64_t last = 0; last < size; ++last) {
      std::string file(kSegmentHeaderBytes + size, '\0');
      file[kSegmentHeaderBytes + last] = '\x80';
      if (last % 3 == 0) file[kSegmentHeaderBytes] = 'x';
      ASSERT_EQ(MustSurvey(Scan(file), kSegmentHeaderBytes, file.size()).nonzero_end,
                kSegmentHeaderBytes + last + 1)
          << size << " bytes";
    }
  }
}

TEST_F(SegmentScannerTest, SurveyFindsTheHighestWatermarkBehindDamage) {
  SegmentImage image(HeaderOf(1));
  image.Group({"one"}, 0).Group({"two"}, 1).Group({"three"}, 2).Group({"four"}, 2);
  std::string file = image.File(16384);
  FlipBit(&file, image.offset(1) * 8);
  Remnants remnants = MustSurvey(Scan(file), image.offset(1), file.size());
  EXPECT_EQ(remnants.durable_lsn, 2u);
  EXPECT_EQ(remnants.groups_end, image.end());
  EXPECT_GT(remnants.nonzero_end, image.offset(3));
  EXPECT_LE(remnants.nonzero_end, image.end());
}

// The records of a torn group may be anything; its header counts.
TEST_F(SegmentScannerTest, SurveyNeedsNoValidRecords) {
  SegmentImage image(HeaderOf(1));
  image.Group({"one"}, 0).Group({"two"}, 1);
  std::string file = image.File(16384);
  FlipBit(&file, image.payload_offset(1) * 8);
  EXPECT_EQ(MustSurvey(Scan(file), image.offset(1), file.size()).durable_lsn, 1u);
}

TEST_F(SegmentScannerTest, SurveySeesHeadersAtEveryPlaceOfItsWindows) {
  // A group whose header begins at each multiple of 8 around the ends of the first two reads.
  for (uint64_t window : {uint64_t{1}, uint64_t{2}}) {
    for (uint64_t back = 0; back <= 128; back += 8) {
      const uint64_t at = kSegmentHeaderBytes + window * kWindow - back;
      SegmentImage image(HeaderOf(1));
      const uint64_t filler = at - kSegmentHeaderBytes - kGroupHeaderBytes - kRecordHeaderBytes;
      image.Group({std::string(filler, '\0')}, 0).Group({"two"}, 77);
      ASSERT_EQ(image.offset(1), at);
      Remnants remnants = MustSurvey(Scan(image.File()), kSegmentHeaderBytes + 8, image.end());
      EXPECT_EQ(remnants.durable_lsn, 77u) << "offset " << at;
      EXPECT_EQ(remnants.groups_end, image.end());
    }
  }
}

TEST_F(SegmentScannerTest, SurveyOfStaleGroupsFindsBytesButNoGroups) {
  SegmentImage stale(HeaderOf(9));
  stale.Group({"old"}, 500);
  Remnants remnants = MustSurvey(Scan(stale.File(16384)), kSegmentHeaderBytes, 16384);
  EXPECT_EQ(remnants.durable_lsn, 0u);
  EXPECT_EQ(remnants.groups_end, kSegmentHeaderBytes);
  EXPECT_GT(remnants.nonzero_end, kSegmentHeaderBytes);
}

TEST_F(SegmentScannerTest, SurveyStopsAtItsLimitAndAtTheEndOfTheFile) {
  SegmentImage image(HeaderOf(1));
  image.Group({"one"}, 5).Group({"two"}, 6);
  SegmentScanner* scanner = Scan(image.File());
  EXPECT_EQ(MustSurvey(scanner, kSegmentHeaderBytes, image.offset(1)).durable_lsn, 5u);
  EXPECT_EQ(MustSurvey(scanner, kSegmentHeaderBytes, image.offset(1) + 24).groups_end,
            image.offset(1));
  EXPECT_EQ(MustSurvey(scanner, kSegmentHeaderBytes, kNoLimit).durable_lsn, 6u);
  EXPECT_EQ(MustSurvey(scanner, image.end() + 4096, kNoLimit).groups_end, image.end() + 4096);
}

}  // namespace
}  // namespace seawall
