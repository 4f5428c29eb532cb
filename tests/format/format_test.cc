// SPDX-License-Identifier: Apache-2.0
// The bytes on disk, as FORMAT.md specifies them. The golden bytes are the format: when one of
// them has to be changed, kFormatVersion has to be, too.
#include "engine/format/format.h"

#include <string>

#include "engine/format/checksum.h"
#include "gtest/gtest.h"
#include "tests/format/format_samples.h"
#include "tests/support/seed.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// ---- Golden bytes

TEST(ChecksumTest, GoldenValues) {
  EXPECT_EQ(Avalanche(0), 0u);
  EXPECT_EQ(Avalanche(1), 0xb456bcfc34c2cb2cu);
  // XXH3-64 of nothing, and the rule of FORMAT.md on top of it.
  EXPECT_EQ(XXH3_64bits("", 0), 0x2d06800538d394c2u);
  EXPECT_EQ(PositionedChecksum("", 0, 0, 0), Avalanche(0x2d06800538d394c2u));
  EXPECT_EQ(PositionedChecksum("seawall", 7, 3, 4),
            Avalanche(XXH3_64bits("seawall", 7) ^ Avalanche(7)));
}

// Whatever the processor and the compiler: long input takes another way than short.
TEST(ChecksumTest, LongInputGoldenValues) {
  std::string bytes(5000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * i >> 3);
  EXPECT_EQ(Xxh3(bytes.data(), 240), 0xda6c6505865dda4du);
  EXPECT_EQ(Xxh3(bytes.data(), 241), 0xf56317f96d46b5b0u);
  EXPECT_EQ(Xxh3(bytes.data(), 1024), 0xfe3cd84c9e97a5adu);
  EXPECT_EQ(Xxh3(bytes.data(), 5000), 0xdd9891de816b182fu);
}

TEST(ChecksumTest, EveryWayToHashAgrees) {
  const uint64_t seed = TestSeed();
  std::mt19937_64 random(seed);
  std::string bytes(5000, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  for (size_t size = 0; size < bytes.size() - 64; ++size) {
    const char* from = bytes.data() + random() % 64;
    const uint64_t plain = XXH3_64bits(from, size);
    ASSERT_EQ(Xxh3(from, size), plain) << size << " bytes";
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
      ASSERT_EQ(Xxh3Avx2(from, size), plain) << size << " bytes";
    }
#endif
  }
}

TEST(FormatTest, SegmentHeaderGoldenBytes) {
  const std::string block = Encoded(SampleHeader());
  const std::string golden =
      "53454157414c5347"                  // magic
      "0100000000000000"                  // version, features
      "efcdab89674523011032547698badcfe"  // log id
      "2a00000000000000"                  // generation
      "8877665544332211"                  // salt
      "0100000001000000"                  // state, recycled
      "e903000000000000"                  // base LSN
      "e803000000000000"                  // durable LSN
      "29000000000000000000010000000000"  // predecessor: generation, end
      "00ffeeddccbbaa99"                  // predecessor: digest
      "00401e18240a0600"                  // created
      "d3a7b37ac5069e90";                 // checksum
  EXPECT_EQ(Hex(block.substr(0, kHeaderUsedBytes)), golden);
  EXPECT_EQ(Hex(block.substr(kHeaderCopyOffset, kHeaderUsedBytes)), golden);
  std::string rest = block;
  rest.erase(kHeaderCopyOffset, kHeaderUsedBytes).erase(0, kHeaderUsedBytes);
  EXPECT_EQ(rest, std::string(kSegmentHeaderBytes - 2 * kHeaderUsedBytes, '\0'));
}

TEST(FormatTest, GroupHeaderGoldenBytes) {
  EXPECT_EQ(Hex(Encoded(SampleGroup(), kSampleSalt, 4096)),
            "b3bcb42fcdc414fd"          // checksum
            "53574752"                  // magic
            "580000000200000000000000"  // bytes, records, reserved
            "e903000000000000"          // first LSN
            "e803000000000000"          // durable LSN
            "01401e18240a0600");        // sealed
}

TEST(FormatTest, RecordGoldenBytes) {
  EXPECT_EQ(Hex(EncodedRecord("seawall", 1001, 0, kSampleSalt)),
            "e646237afee68382070000000000000073656177616c6c");
  EXPECT_EQ(Hex(EncodedRecord("seawall", 1001, kRecordBatchContinues, kSampleSalt)),
            "2688f8a58f134945070000000100000073656177616c6c");
  EXPECT_EQ(Hex(EncodedRecord("", 1, 0, kSampleSalt)), "31fca7913914bad20000000000000000");
}

TEST(FormatTest, ControlSlotGoldenBytes) {
  const std::string slot = Encoded(SampleControl());
  EXPECT_EQ(Hex(slot.substr(0, kControlUsedBytes)),
            "53454157414c4354"                                  // magic
            "0100000000000000"                                  // version, features
            "efcdab89674523011032547698badcfe"                  // log id
            "0700000000000000"                                  // sequence
            "2800000000000000"                                  // first generation
            "2a00000000000000"                                  // tail generation
            "ea03000000000000"                                  // durable LSN
            "0100000002000000"                                  // closed, entries
            "50100000000000000807060504030201"                  // closed: end, digest
            "0000000000000000"                                  // reserved
            "2a0000000000000088776655443322110000040000000000"  // entry
            "2b0000000000000011223344556677880000020000000000"  // entry
            "000000000000000000000000000000000000000000000000"  // unused entry
            "000000000000000000000000000000000000000000000000"  // unused entry
            "000000000000000000000000000000000000000000000000"  // unused entry
            "000000000000000000000000000000000000000000000000"  // unused entry
            "000000000000000000000000000000000000000000000000"  // unused entry
            "000000000000000000000000000000000000000000000000"  // unused entry
            "c667ade39a053d4c");                                // checksum
  EXPECT_EQ(slot.substr(kControlUsedBytes), std::string(kControlSlotBytes - kControlUsedBytes, 0));
}

TEST(FormatTest, ControlSlotWithMetadataGoldenBytes) {
  const std::string without = Encoded(SampleControl());
  const std::string slot = Encoded(SampleControlWithMetadata());
  EXPECT_EQ(Hex(slot.substr(0, 16)),
            "53454157414c43540100000001000000");  // magic, version, feature
  EXPECT_EQ(slot.substr(16, 272), without.substr(16, 272));
  EXPECT_EQ(Hex(slot.substr(288, 16)), "0800000000000000736368656d612033");  // length, metadata
  EXPECT_EQ(slot.substr(304, 248), std::string(248, '\0'));
  EXPECT_EQ(Hex(slot.substr(552, 8)), "41ca19d0d44f85d9");  // checksum
  EXPECT_EQ(slot.substr(560), std::string(kControlSlotBytes - 560, '\0'));
}

TEST(FormatTest, WatermarkGoldenBytes) {
  EXPECT_EQ(Hex(Encoded(SampleWatermark())),
            "53454157414c574d"                  // magic
            "0100000000000000"                  // version, features
            "efcdab89674523011032547698badcfe"  // log id
            "0900000000000000"                  // sequence
            "2a00000000000000"                  // generation
            "4000010000000000"                  // end
            "ea03000000000000"                  // durable LSN
            "0300000000000000"                  // truncations
            "de03000000000000"                  // the first record that the last one gave up
            "2900000000000000"                  // the tail then
            "0bc5fb2619e08fae");                // checksum
}

TEST(FormatTest, DigestGoldenValues) {
  EXPECT_EQ(ExtendDigest(0, 0), Avalanche(1));
  EXPECT_EQ(ExtendDigest(5, 7), Avalanche(13));
  // A segment with one group of checksum 0 is not one without groups, and order counts.
  EXPECT_NE(ExtendDigest(0, 0), 0u);
  EXPECT_NE(ExtendDigest(ExtendDigest(0, 1), 2), ExtendDigest(ExtendDigest(0, 2), 1));
}

TEST(FormatTest, NamesAreWhatTheHexDumpShows) {
  EXPECT_EQ(Encoded(SampleHeader()).substr(0, 8), "SEAWALSG");
  EXPECT_EQ(Encoded(SampleControl()).substr(0, 8), "SEAWALCT");
  EXPECT_EQ(Encoded(SampleWatermark()).substr(0, 8), "SEAWALWM");
  EXPECT_EQ(Encoded(SampleGroup(), kSampleSalt, 4096).substr(8, 4), "SWGR");
}

TEST(FormatTest, LogIdIsPrintedAsHex) {
  const LogId id = {0x0123456789abcdef, 0x10};
  EXPECT_EQ(LogIdToString(id), "0123456789abcdef0000000000000010");
  EXPECT_EQ(LogIdFromString("0123456789abcdef0000000000000010"), id);
  EXPECT_EQ(LogIdFromString("0123456789ABCDEF0000000000000010"), id);
  for (const char* text :
       {"", "0123456789abcdef000000000000001", "0x23456789abcdef0000000000000010",
        "0123456789abcdef00000000000000100", " 123456789abcdef0000000000000010",
        "0123456789abcdeg0000000000000010"}) {
    EXPECT_EQ(LogIdFromString(text), std::nullopt) << text;
  }
}

// ---- Round trips

TEST(FormatTest, RandomValuesComeBack) {
  std::mt19937_64 random(TestSeed());
  const auto number = [&random] { return 1 + random() % (kMaxNumber - 1); };
  for (int i = 0; i < 1000; ++i) {
    SegmentHeader header;
    header.log_id = {random(), random()};
    header.generation = number();
    header.salt = random();
    header.state = random() % 2 == 0 ? SegmentState::kSpare : SegmentState::kBegun;
    header.recycled = random() % 2 == 0;
    header.base_lsn = number();
    header.durable_lsn = number();
    header.predecessor_generation = number();
    header.predecessor_end = number();
    header.predecessor_digest = random();
    header.created_unix_micros = static_cast<int64_t>(random());
    SegmentHeader decoded_header;
    ASSERT_EQ(Decode(Encoded(header), &decoded_header), DecodeResult::kValid);
    ASSERT_EQ(decoded_header, header);

    GroupHeader group;
    group.group_bytes = static_cast<uint32_t>(48 + random() % 100 * 8);
    group.record_count = static_cast<uint32_t>(1 + random() % 100);
    group.first_lsn = number();
    group.durable_lsn = number();
    group.sealed_unix_micros = static_cast<int64_t>(random());
    const uint64_t salt = random();
    const uint64_t offset = random();
    std::string bytes(kGroupHeaderBytes, '\0');
    const uint64_t checksum = EncodeGroupHeader(group, salt, offset, bytes.data());
    GroupHeader decoded;
    uint64_t decoded_checksum = 0;
    ASSERT_TRUE(DecodeGroupHeader(bytes.data(), salt, offset, &decoded, &decoded_checksum));
    ASSERT_EQ(decoded_checksum, checksum);
    ASSERT_EQ(decoded.group_bytes, group.group_bytes);
    ASSERT_EQ(decoded.record_count, group.record_count);
    ASSERT_EQ(decoded.first_lsn, group.first_lsn);
    ASSERT_EQ(decoded.durable_lsn, group.durable_lsn);
    ASSERT_EQ(decoded.sealed_unix_micros, group.sealed_unix_micros);

    ControlBlock block;
    block.log_id = {random(), random()};
    block.sequence = number();
    block.first_generation = number();
    block.tail_generation = number();
    block.durable_lsn = number();
    block.closed = random() % 2 == 0;
    block.closed_end = number();
    block.closed_digest = random();
    for (uint64_t n = random() % (kMaxControlEntries + 1); n > 0; --n) {
      block.entries.push_back({number(), random(), number()});
    }
    ControlBlock decoded_block;
    ASSERT_EQ(Decode(Encoded(block), &decoded_block), DecodeResult::kValid);
    ASSERT_EQ(decoded_block, block);
  }
}

TEST(FormatTest, RecordsOfAGroupComeBack) {
  const std::string bytes = SampleGroupBytes();
  RecordCursor cursor(bytes, SampleGroup(), kSampleSalt);
  Record record;
  ASSERT_EQ(cursor.Next(&record), RecordCursor::Result::kRecord) << cursor.error();
  EXPECT_EQ(record.lsn, 1001u);
  EXPECT_EQ(record.payload, "ab");
  EXPECT_TRUE(record.batch_continues);
  EXPECT_EQ(record.sealed_unix_micros, 1700000000000001);
  EXPECT_EQ(cursor.record_offset(), 48u);
  ASSERT_EQ(cursor.Next(&record), RecordCursor::Result::kRecord) << cursor.error();
  EXPECT_EQ(record.lsn, 1002u);
  EXPECT_EQ(record.payload, "cde");
  EXPECT_FALSE(record.batch_continues);
  EXPECT_EQ(cursor.record_offset(), 66u);
  EXPECT_EQ(cursor.Next(&record), RecordCursor::Result::kEnd);
  EXPECT_EQ(cursor.Next(&record), RecordCursor::Result::kEnd);
}

// ---- Damage

// A flipped bit in one copy is harmless: the other copy is as good.
TEST(FormatTest, EveryBitOfASegmentHeaderBlockMayFlip) {
  const std::string block = Encoded(SampleHeader());
  for (uint64_t bit = 0; bit < block.size() * 8; ++bit) {
    std::string damaged = block;
    FlipBit(&damaged, bit);
    SegmentHeader header;
    ASSERT_EQ(Decode(damaged, &header), DecodeResult::kValid) << "bit " << bit;
    ASSERT_EQ(header, SampleHeader()) << "bit " << bit;
  }
}

// With the other copy gone, every flipped bit is noticed, and none passes for a newer version.
TEST(FormatTest, EveryBitOfALoneHeaderCopyIsChecked) {
  for (uint64_t kept : {uint64_t{0}, kHeaderCopyOffset}) {
    std::string block(kSegmentHeaderBytes, '\0');
    block.replace(kept, kHeaderUsedBytes, Encoded(SampleHeader()).substr(0, kHeaderUsedBytes));
    SegmentHeader header;
    ASSERT_EQ(Decode(block, &header), DecodeResult::kValid);
    ASSERT_EQ(header, SampleHeader());
    for (uint64_t bit = 0; bit < kHeaderUsedBytes * 8; ++bit) {
      std::string damaged = block;
      FlipBit(&damaged, kept * 8 + bit);
      ASSERT_EQ(Decode(damaged, &header), DecodeResult::kInvalid) << "bit " << bit;
    }
  }
}

TEST(FormatTest, TheSameBitFlippedInBothHeaderCopiesIsNeverValid) {
  const std::string block = Encoded(SampleHeader());
  for (uint64_t bit = 0; bit < kHeaderUsedBytes * 8; ++bit) {
    std::string damaged = block;
    FlipBit(&damaged, bit);
    FlipBit(&damaged, kHeaderCopyOffset * 8 + bit);
    SegmentHeader header;
    ASSERT_NE(Decode(damaged, &header), DecodeResult::kValid) << "bit " << bit;
  }
}

TEST(FormatTest, EveryBitOfAGroupHeaderIsChecked) {
  const std::string bytes = Encoded(SampleGroup(), kSampleSalt, 4096);
  ASSERT_TRUE(Decodes(bytes, kSampleSalt, 4096));
  for (uint64_t bit = 0; bit < kGroupHeaderBytes * 8; ++bit) {
    std::string damaged = bytes;
    FlipBit(&damaged, bit);
    ASSERT_FALSE(Decodes(damaged, kSampleSalt, 4096)) << "bit " << bit;
  }
}

TEST(FormatTest, EveryBitOfARecordIsChecked) {
  const std::string group = SampleGroupBytes();
  const uint64_t records_end = 48 + 18 + 19;
  for (uint64_t bit = kGroupHeaderBytes * 8; bit < group.size() * 8; ++bit) {
    std::string damaged = group;
    FlipBit(&damaged, bit);
    RecordCursor cursor(damaged, SampleGroup(), kSampleSalt);
    Record record;
    RecordCursor::Result result;
    do {
      result = cursor.Next(&record);
    } while (result == RecordCursor::Result::kRecord);
    // The padding behind the records holds nothing.
    ASSERT_EQ(result,
              bit < records_end * 8 ? RecordCursor::Result::kBad : RecordCursor::Result::kEnd)
        << "bit " << bit;
  }
}

TEST(FormatTest, EveryBitOfAControlSlotIsChecked) {
  for (const ControlBlock& sample : {SampleControl(), SampleControlWithMetadata()}) {
    const std::string slot = Encoded(sample);
    const uint64_t used = sample.metadata.empty() ? kControlUsedBytes : kMetadataControlUsedBytes;
    for (uint64_t bit = 0; bit < slot.size() * 8; ++bit) {
      std::string damaged = slot;
      FlipBit(&damaged, bit);
      ControlBlock block;
      if (bit < used * 8) {
        ASSERT_NE(Decode(damaged, &block), DecodeResult::kValid) << "bit " << bit;
      } else {
        ASSERT_EQ(Decode(damaged, &block), DecodeResult::kValid) << "bit " << bit;
        ASSERT_EQ(block, sample) << "bit " << bit;
      }
    }
  }
}

// ---- Bytes that are right, in a place that is wrong.

TEST(FormatTest, EveryBitOfAWatermarkIsChecked) {
  const std::string good = Encoded(SampleWatermark());
  WatermarkBlock block;
  ASSERT_EQ(Decode(good, &block), DecodeResult::kValid);
  EXPECT_EQ(Encoded(block), good);
  for (uint64_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    FlipBit(&bytes, bit);
    ASSERT_NE(Decode(bytes, &block), DecodeResult::kValid) << bit;
  }
  // What a write that was torn anywhere leaves of the one before.
  WatermarkBlock before = SampleWatermark();
  --before.sequence;
  before.end -= 40;
  for (size_t torn = 1; torn < good.size(); ++torn) {
    const std::string bytes = good.substr(0, torn) + Encoded(before).substr(torn);
    EXPECT_EQ(Decode(bytes, &block) == DecodeResult::kValid,
              bytes == good || bytes == Encoded(before))
        << torn;
  }
}

TEST(FormatTest, StaleGroupOfARecycledFileDoesNotVerify) {
  const std::string bytes = Encoded(SampleGroup(), kSampleSalt, 4096);
  EXPECT_FALSE(Decodes(bytes, kSampleSalt + 1, 4096));
}

TEST(FormatTest, GroupAtAnotherOffsetDoesNotVerify) {
  const std::string bytes = Encoded(SampleGroup(), kSampleSalt, 4096);
  EXPECT_FALSE(Decodes(bytes, kSampleSalt, 4104));
  EXPECT_FALSE(Decodes(bytes, kSampleSalt, 0));
}

TEST(FormatTest, StaleRecordDoesNotVerify) {
  std::string bytes = SampleGroupBytes();
  RecordCursor other_salt(bytes, SampleGroup(), kSampleSalt + 1);
  Record record;
  EXPECT_EQ(other_salt.Next(&record), RecordCursor::Result::kBad);
  GroupHeader moved = SampleGroup();
  moved.first_lsn += 1;
  RecordCursor other_lsn(bytes, moved, kSampleSalt);
  EXPECT_EQ(other_lsn.Next(&record), RecordCursor::Result::kBad);
}

// Two records whose bytes were exchanged: each is fine in itself.
TEST(FormatTest, SwappedRecordsDoNotVerify) {
  GroupHeader header = SampleGroup();
  const std::string a = EncodedRecord("ab", 1001, 0, kSampleSalt);
  const std::string b = EncodedRecord("cd", 1002, 0, kSampleSalt);
  const std::string swapped = std::string(kGroupHeaderBytes, '\0') + b + a;
  RecordCursor cursor(swapped, header, kSampleSalt);
  Record record;
  EXPECT_EQ(cursor.Next(&record), RecordCursor::Result::kBad);
}

// ---- Headers that a crash tore apart between their sectors.

TEST(FormatTest, BegunCopyWinsOverSpareCopy) {
  SegmentHeader spare;
  spare.log_id = SampleHeader().log_id;
  spare.generation = 42;
  spare.salt = kSampleSalt;
  const std::string old_block = Encoded(spare);
  const std::string new_block = Encoded(SampleHeader());
  SegmentHeader header;
  const std::string first_only =
      new_block.substr(0, kHeaderCopyOffset) + old_block.substr(kHeaderCopyOffset);
  ASSERT_EQ(Decode(first_only, &header), DecodeResult::kValid);
  EXPECT_EQ(header, SampleHeader());
  const std::string last_only =
      old_block.substr(0, kHeaderCopyOffset) + new_block.substr(kHeaderCopyOffset);
  ASSERT_EQ(Decode(last_only, &header), DecodeResult::kValid);
  EXPECT_EQ(header, SampleHeader());
}

TEST(FormatTest, SpareHeaderComesBack) {
  SegmentHeader spare;
  spare.generation = 3;
  SegmentHeader header = SampleHeader();
  ASSERT_EQ(Decode(Encoded(spare), &header), DecodeResult::kValid);
  EXPECT_EQ(header.state, SegmentState::kSpare);
  EXPECT_EQ(header, spare);
}

TEST(FormatTest, ZerosAreNoHeader) {
  SegmentHeader header;
  ControlBlock block;
  EXPECT_EQ(Decode(std::string(kSegmentHeaderBytes, '\0'), &header), DecodeResult::kZero);
  EXPECT_EQ(Decode(std::string(kControlSlotBytes, '\0'), &block), DecodeResult::kZero);
  EXPECT_FALSE(Decodes(std::string(kGroupHeaderBytes, '\0'), 0, 0));
}

TEST(FormatTest, OtherBytesAreNoHeader) {
  SegmentHeader header;
  ControlBlock block;
  EXPECT_EQ(Decode(std::string(kSegmentHeaderBytes, 'x'), &header), DecodeResult::kInvalid);
  EXPECT_EQ(Decode(std::string(kControlSlotBytes, 'x'), &block), DecodeResult::kInvalid);
  // Neither is the other kind of sector.
  EXPECT_EQ(Decode(Encoded(SampleControl()), &header), DecodeResult::kInvalid);
  EXPECT_EQ(Decode(Encoded(SampleHeader()), &block), DecodeResult::kInvalid);
}

}  // namespace
}  // namespace seawall
