// SPDX-License-Identifier: Apache-2.0
// Samples of what format_test and format_limits_test look at, and how they are encoded.
#ifndef SEAWALL_TESTS_FORMAT_FORMAT_SAMPLES_H_
#define SEAWALL_TESTS_FORMAT_FORMAT_SAMPLES_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/format/checksum.h"
#include "engine/format/format.h"

namespace seawall {

inline constexpr uint64_t kSegmentMagic = 0x47534c4157414553;
inline constexpr uint64_t kControlMagic = 0x54434c4157414553;
inline constexpr uint64_t kHeaderUsedBytes = 112;
inline constexpr uint64_t kControlUsedBytes = 296;
inline constexpr uint64_t kMetadataControlUsedBytes = 560;
inline constexpr uint64_t kVersionBit = 8 * 8;
inline constexpr uint64_t kFeaturesBit = 12 * 8;

inline constexpr LogId kSampleLogId = {0x0123456789abcdef, 0xfedcba9876543210};
inline constexpr uint64_t kSampleSalt = 0x1122334455667788;

inline SegmentHeader SampleHeader() {
  SegmentHeader header;
  header.log_id = kSampleLogId;
  header.generation = 42;
  header.salt = kSampleSalt;
  header.state = SegmentState::kBegun;
  header.recycled = true;
  header.base_lsn = 1001;
  header.durable_lsn = 1000;
  header.predecessor_generation = 41;
  header.predecessor_end = 65536;
  header.predecessor_digest = 0x99aabbccddeeff00;
  header.created_unix_micros = 1700000000000000;
  return header;
}

inline GroupHeader SampleGroup() {
  GroupHeader header;
  header.group_bytes = 88;
  header.record_count = 2;
  header.first_lsn = 1001;
  header.durable_lsn = 1000;
  header.sealed_unix_micros = 1700000000000001;
  return header;
}

inline ControlBlock SampleControl() {
  ControlBlock block;
  block.log_id = kSampleLogId;
  block.sequence = 7;
  block.first_generation = 40;
  block.tail_generation = 42;
  block.durable_lsn = 1002;
  block.closed = true;
  block.closed_end = 4176;
  block.closed_digest = 0x0102030405060708;
  block.entries = {{42, kSampleSalt, 262144}, {43, 0x8877665544332211, 131072}};
  return block;
}

inline ControlBlock SampleControlWithMetadata() {
  ControlBlock block = SampleControl();
  block.metadata = "schema 3";
  return block;
}

inline WatermarkBlock SampleWatermark() {
  WatermarkBlock block;
  block.log_id = kSampleLogId;
  block.sequence = 9;
  block.generation = 42;
  block.end = 65600;
  block.durable_lsn = 1002;
  block.cuts = 3;
  block.first_cut = 990;
  block.cut_generation = 41;
  return block;
}

inline std::string Encoded(const WatermarkBlock& block) {
  std::string bytes(kWatermarkBytes, '\xff');
  EncodeWatermark(block, bytes.data());
  return bytes;
}

inline std::string Encoded(const SegmentHeader& header) {
  std::string block(kSegmentHeaderBytes, '\xff');
  EncodeSegmentHeader(header, block.data());
  return block;
}

inline std::string Encoded(const GroupHeader& header, uint64_t salt, uint64_t offset) {
  std::string bytes(kGroupHeaderBytes, '\xff');
  EncodeGroupHeader(header, salt, offset, bytes.data());
  return bytes;
}

inline std::string Encoded(const ControlBlock& block) {
  std::string slot(kControlSlotBytes, '\xff');
  EncodeControlBlock(block, slot.data());
  return slot;
}

inline std::string EncodedRecord(std::string_view payload, Lsn lsn, uint32_t flags, uint64_t salt) {
  std::string bytes(EncodedRecordBytes(payload.size()), '\xff');
  EncodeRecord(payload, lsn, flags, salt, bytes.data());
  return bytes;
}

inline void PutLittleEndian(std::string* bytes, uint64_t offset, uint64_t value, int size) {
  for (int i = 0; i < size; ++i) (*bytes)[offset + i] = static_cast<char>(value >> (8 * i));
}

// Makes the checksum of a sector right again after its fields were changed.
inline void Reseal(std::string* sector, uint64_t offset, uint64_t magic, uint64_t used_bytes) {
  PutLittleEndian(sector, offset + used_bytes - 8,
                  PositionedChecksum(sector->data() + offset, used_bytes - 8, magic, 0), 8);
}

inline DecodeResult Decode(const std::string& block, SegmentHeader* header) {
  uint32_t version = 0;
  return DecodeSegmentHeader(block.data(), header, &version);
}

inline DecodeResult Decode(const std::string& slot, ControlBlock* block) {
  uint32_t version = 0;
  return DecodeControlBlock(slot.data(), block, &version);
}

inline DecodeResult Decode(const std::string& bytes, WatermarkBlock* block) {
  uint32_t version = 0;
  return DecodeWatermark(bytes.data(), block, &version);
}

inline bool Decodes(const std::string& bytes, uint64_t salt, uint64_t offset) {
  GroupHeader header;
  uint64_t checksum;
  return DecodeGroupHeader(bytes.data(), salt, offset, &header, &checksum);
}

// The whole group of SampleGroup(): "ab" and "cde", the first one a part of a batch.
inline std::string SampleGroupBytes() {
  std::string group = Encoded(SampleGroup(), kSampleSalt, 4096) +
                      EncodedRecord("ab", 1001, kRecordBatchContinues, kSampleSalt) +
                      EncodedRecord("cde", 1002, 0, kSampleSalt);
  group.resize(SampleGroup().group_bytes);
  return group;
}

}  // namespace seawall

#endif  // SEAWALL_TESTS_FORMAT_FORMAT_SAMPLES_H_
