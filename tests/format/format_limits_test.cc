// SPDX-License-Identifier: Apache-2.0
// What is refused of the bytes on disk, under a checksum that is right: newer versions, and fields
// out of range.
#include <string>

#include "engine/format/format.h"
#include "gtest/gtest.h"
#include "tests/format/format_samples.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// ---- Versions and features

TEST(FormatLimitsTest, NewerVersionIsNamedBeforeItsChecksumIsBelieved) {
  std::string block = Encoded(SampleHeader());
  PutLittleEndian(&block, 8, 9, 4);
  PutLittleEndian(&block, kHeaderCopyOffset + 8, 9, 4);
  SegmentHeader header;
  uint32_t version = 0;
  EXPECT_EQ(DecodeSegmentHeader(block.data(), &header, &version), DecodeResult::kNewer);
  EXPECT_EQ(version, 9u);

  std::string slot = Encoded(SampleControl());
  PutLittleEndian(&slot, 8, 9, 4);
  ControlBlock control;
  EXPECT_EQ(DecodeControlBlock(slot.data(), &control, &version), DecodeResult::kNewer);
  EXPECT_EQ(version, 9u);
}

TEST(FormatLimitsTest, UnknownFeatureIsNewer) {
  std::string block = Encoded(SampleHeader());
  FlipBit(&block, kFeaturesBit + 5);
  FlipBit(&block, kHeaderCopyOffset * 8 + kFeaturesBit + 5);
  Reseal(&block, 0, kSegmentMagic, kHeaderUsedBytes);
  Reseal(&block, kHeaderCopyOffset, kSegmentMagic, kHeaderUsedBytes);
  SegmentHeader header;
  EXPECT_EQ(Decode(block, &header), DecodeResult::kNewer);

  std::string slot = Encoded(SampleControl());
  FlipBit(&slot, kFeaturesBit + 5);
  Reseal(&slot, 0, kControlMagic, kControlUsedBytes);
  ControlBlock control;
  EXPECT_EQ(Decode(slot, &control), DecodeResult::kNewer);

  std::string watermark = Encoded(SampleWatermark());
  FlipBit(&watermark, kFeaturesBit + 5);
  WatermarkBlock message;
  EXPECT_EQ(Decode(watermark, &message), DecodeResult::kNewer);
}

TEST(FormatLimitsTest, OneCopyThatSaysNewerIsDamage) {
  std::string block = Encoded(SampleHeader());
  FlipBit(&block, kVersionBit + 3);
  SegmentHeader header;
  ASSERT_EQ(Decode(block, &header), DecodeResult::kValid);
  EXPECT_EQ(header, SampleHeader());
}

TEST(FormatLimitsTest, VersionZeroIsInvalid) {
  std::string slot = Encoded(SampleControl());
  PutLittleEndian(&slot, 8, 0, 4);
  Reseal(&slot, 0, kControlMagic, kControlUsedBytes);
  ControlBlock control;
  EXPECT_EQ(Decode(slot, &control), DecodeResult::kInvalid);
}

// ---- Fields out of range, under a checksum that is right.

TEST(FormatLimitsTest, UnknownSegmentStateIsInvalid) {
  std::string block = Encoded(SampleHeader());
  for (uint64_t at : {uint64_t{0}, kHeaderCopyOffset}) {
    PutLittleEndian(&block, at + 48, 2, 4);
    Reseal(&block, at, kSegmentMagic, kHeaderUsedBytes);
  }
  SegmentHeader header;
  EXPECT_EQ(Decode(block, &header), DecodeResult::kInvalid);
}

TEST(FormatLimitsTest, ControlSlotWithMoreEntriesThanItHoldsIsInvalid) {
  std::string slot = Encoded(SampleControl());
  PutLittleEndian(&slot, 68, kMaxControlEntries + 1, 4);
  Reseal(&slot, 0, kControlMagic, kControlUsedBytes);
  ControlBlock control;
  EXPECT_EQ(Decode(slot, &control), DecodeResult::kInvalid);
}

TEST(FormatLimitsTest, ControlSlotWithMoreMetadataThanItHoldsIsInvalid) {
  ControlBlock control = SampleControl(), decoded;
  control.metadata = std::string(kMaxMetadataBytes, 'x');
  std::string slot = Encoded(control);
  ASSERT_EQ(Decode(slot, &decoded), DecodeResult::kValid);
  EXPECT_EQ(decoded, control);
  // None is written without the feature.
  for (uint64_t length : {uint64_t{0}, kMaxMetadataBytes + 1, uint64_t{0xffffffff}}) {
    PutLittleEndian(&slot, 288, length, 4);
    Reseal(&slot, 0, kControlMagic, kMetadataControlUsedBytes);
    EXPECT_EQ(Decode(slot, &decoded), DecodeResult::kInvalid) << length;
  }
}

TEST(FormatLimitsTest, GroupThatCannotBeIsInvalid) {
  GroupHeader shorter_than_its_header = SampleGroup();
  shorter_than_its_header.group_bytes = 40;
  EXPECT_FALSE(Decodes(Encoded(shorter_than_its_header, kSampleSalt, 4096), kSampleSalt, 4096));
  GroupHeader unaligned = SampleGroup();
  unaligned.group_bytes = 81;
  EXPECT_FALSE(Decodes(Encoded(unaligned, kSampleSalt, 4096), kSampleSalt, 4096));
  GroupHeader without_records = SampleGroup();
  without_records.record_count = 0;
  EXPECT_FALSE(Decodes(Encoded(without_records, kSampleSalt, 4096), kSampleSalt, 4096));
}

// With right checksums, too: found by tests/fuzz, where LSNs and sequences wrapped around.
TEST(FormatLimitsTest, NumbersThatNothingCountsToAreInvalid) {
  for (uint64_t SegmentHeader::*field :
       {&SegmentHeader::generation, &SegmentHeader::base_lsn, &SegmentHeader::durable_lsn,
        &SegmentHeader::predecessor_generation, &SegmentHeader::predecessor_end}) {
    SegmentHeader header = SampleHeader(), decoded;
    header.*field = kMaxNumber - 1;
    EXPECT_EQ(Decode(Encoded(header), &decoded), DecodeResult::kValid);
    header.*field = kMaxNumber;
    EXPECT_EQ(Decode(Encoded(header), &decoded), DecodeResult::kInvalid);
  }
  for (uint64_t GroupHeader::*field : {&GroupHeader::first_lsn, &GroupHeader::durable_lsn}) {
    GroupHeader group = SampleGroup();
    group.*field = kMaxNumber - 1;
    EXPECT_TRUE(Decodes(Encoded(group, kSampleSalt, 4096), kSampleSalt, 4096));
    group.*field = kMaxNumber;
    EXPECT_FALSE(Decodes(Encoded(group, kSampleSalt, 4096), kSampleSalt, 4096));
  }
  for (uint64_t ControlBlock::*field :
       {&ControlBlock::sequence, &ControlBlock::first_generation, &ControlBlock::tail_generation,
        &ControlBlock::durable_lsn, &ControlBlock::closed_end}) {
    ControlBlock control = SampleControl(), decoded;
    control.*field = kMaxNumber - 1;
    EXPECT_EQ(Decode(Encoded(control), &decoded), DecodeResult::kValid);
    control.*field = kMaxNumber;
    EXPECT_EQ(Decode(Encoded(control), &decoded), DecodeResult::kInvalid);
  }
  for (uint64_t ControlEntry::*field :
       {&ControlEntry::generation, &ControlEntry::allocated_bytes}) {
    ControlBlock control = SampleControl(), decoded;
    control.entries.back().*field = kMaxNumber;
    EXPECT_EQ(Decode(Encoded(control), &decoded), DecodeResult::kInvalid);
  }
}

TEST(FormatLimitsTest, ASegmentBeginsWithARecordThatThereIs) {
  SegmentHeader header = SampleHeader(), decoded;
  header.state = SegmentState::kBegun;
  header.base_lsn = 0;
  EXPECT_EQ(Decode(Encoded(header), &decoded), DecodeResult::kInvalid);
  GroupHeader group = SampleGroup();
  group.first_lsn = 0;
  EXPECT_FALSE(Decodes(Encoded(group, kSampleSalt, 4096), kSampleSalt, 4096));
}

TEST(FormatLimitsTest, RecordLongerThanItsGroupIsNotRead) {
  std::string group = SampleGroupBytes();
  PutLittleEndian(&group, 48 + 8, 25, 4);  // 24 bytes are left behind the first record's header
  RecordCursor cursor(group, SampleGroup(), kSampleSalt);
  Record record;
  ASSERT_EQ(cursor.Next(&record), RecordCursor::Result::kBad);
  EXPECT_EQ(cursor.error(), "expected a record of at most 24 bytes, found a length of 25");
  EXPECT_EQ(cursor.record_offset(), 48u);
  EXPECT_EQ(cursor.Next(&record), RecordCursor::Result::kBad) << "bad for good";
}

TEST(FormatLimitsTest, GroupThatEndsInsideARecordHeaderIsBad) {
  const std::string group = SampleGroupBytes().substr(0, 48 + 18 + 8);
  RecordCursor cursor(group, SampleGroup(), kSampleSalt);
  Record record;
  ASSERT_EQ(cursor.Next(&record), RecordCursor::Result::kRecord);
  ASSERT_EQ(cursor.Next(&record), RecordCursor::Result::kBad);
  EXPECT_EQ(cursor.error(),
            "expected a record header of 16 bytes, found 8 bytes to the end of the group");
  EXPECT_EQ(cursor.record_offset(), 66u);
}

TEST(FormatLimitsTest, UnknownRecordFlagIsBad) {
  const std::string group =
      std::string(kGroupHeaderBytes, '\0') + EncodedRecord("ab", 1001, 2, kSampleSalt);
  RecordCursor cursor(group, SampleGroup(), kSampleSalt);
  Record record;
  ASSERT_EQ(cursor.Next(&record), RecordCursor::Result::kBad);
  EXPECT_EQ(cursor.error(), "expected record flags within 00000001, found 00000002");
}

TEST(FormatLimitsTest, BadRecordNamesBothChecksums) {
  std::string group = SampleGroupBytes();
  FlipBit(&group, (48 + 16) * 8);
  RecordCursor cursor(group, SampleGroup(), kSampleSalt);
  Record record;
  ASSERT_EQ(cursor.Next(&record), RecordCursor::Result::kBad);
  EXPECT_NE(cursor.error().find("expected checksum "), std::string::npos) << cursor.error();
  EXPECT_NE(cursor.error().find(", found "), std::string::npos) << cursor.error();
}

TEST(FormatLimitsTest, RecordTellsItsLsnToWhoKnowsTheSalt) {
  for (const size_t size : {0, 1, 240, 241, 5000}) {
    for (const Lsn lsn : {Lsn{1}, Lsn{77}, kMaxNumber - 1}) {
      const std::string payload(size, 'x');
      std::string bytes(EncodedRecordBytes(size) + 9, '\0');
      EncodeRecord(payload, lsn, kRecordBatchContinues, 0x5a17, bytes.data());
      Record record;
      ASSERT_TRUE(FindRecord(bytes, 0x5a17, &record));
      EXPECT_EQ(record.lsn, lsn);
      EXPECT_EQ(record.payload, payload);
      EXPECT_TRUE(record.batch_continues);
      ASSERT_TRUE(FindRecord(bytes, 0x5a18, &record));
      EXPECT_NE(record.lsn, lsn);
      if (size > 0) {
        EXPECT_FALSE(FindRecord(std::string_view(bytes).substr(0, 15 + size), 0x5a17, &record));
      }
    }
  }
}

TEST(FormatLimitsTest, GroupTellsTheSaltOfItsSegment) {
  GroupHeader group;
  group.group_bytes = 96;
  group.record_count = 2;
  group.first_lsn = 7;
  char bytes[kGroupHeaderBytes];
  EncodeGroupHeader(group, 0xfedcba9876543210, 8192, bytes);
  EXPECT_EQ(SaltOfGroup(bytes, 8192), 0xfedcba9876543210);
  EXPECT_NE(SaltOfGroup(bytes, 8200), 0xfedcba9876543210);
}

}  // namespace
}  // namespace seawall
