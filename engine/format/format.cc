// SPDX-License-Identifier: Apache-2.0
#include "engine/format/format.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/little_endian.h"
#include "engine/format/checksum.h"

namespace seawall {
namespace {

// "SEAWALSG", "SEAWALCT" as they appear in a hex dump.
constexpr uint64_t kSegmentMagic = 0x47534c4157414553;
constexpr uint64_t kControlMagic = 0x54434c4157414553;
constexpr uint64_t kWatermarkMagic = 0x4d574c4157414553;  // "SEAWALWM"

constexpr uint64_t kSegmentHeaderUsedBytes = 112;
constexpr uint64_t kControlUsedBytes = 296;  // without metadata

int64_t GetI64(const char* from) { return static_cast<int64_t>(GetU64(from)); }

// Takes the values one by one. When this was std::max over an initializer_list parameter, GCC 12.4,
// 13.3 and 14.2 at -O1 held it for a function that reads no memory, and left out the stores before
// it.
template <typename... Values>
bool AreNumbers(Values... values) {
  return ((values < kMaxNumber) && ...);
}

// The part that header sectors and control slots share: magic, version and feature flags come
// before anything else is believed, then the checksum over all bytes before it.
constexpr uint64_t kVersionOffset = 8;
constexpr uint64_t kFeaturesOffset = 12;
constexpr uint32_t kCursorsFeature = 1;   // of a segment: SegmentHeader::cursors
constexpr uint32_t kMetadataFeature = 1;  // of a control slot: ControlBlock::metadata

// In a control slot, where the checksum is without it.
constexpr uint64_t kMetadataLengthOffset = 288;
constexpr uint64_t kMetadataOffset = 296;
static_assert(kMaxControlUsedBytes == kMetadataOffset + kMaxMetadataBytes + 8);

void SealSector(uint64_t magic, uint64_t used_bytes, uint32_t features, char* sector) {
  PutU64(sector, magic);
  PutU32(sector + kVersionOffset, kFormatVersion);
  PutU32(sector + kFeaturesOffset, features);
  PutU64(sector + used_bytes - 8, PositionedChecksum(sector, used_bytes - 8, magic, 0));
}

DecodeResult CheckSector(const char* sector, uint64_t magic, uint64_t used_bytes,
                         uint32_t known_features, uint32_t* found_version) {
  bool zero = true;
  for (uint64_t i = 0; i < used_bytes && zero; ++i) zero = sector[i] == 0;
  if (zero) return DecodeResult::kZero;
  if (GetU64(sector) != magic) return DecodeResult::kInvalid;
  *found_version = GetU32(sector + kVersionOffset);
  if (*found_version > kFormatVersion) return DecodeResult::kNewer;
  if (*found_version != kFormatVersion) return DecodeResult::kInvalid;
  if ((GetU32(sector + kFeaturesOffset) & ~known_features) != 0) return DecodeResult::kNewer;
  if (GetU64(sector + used_bytes - 8) != PositionedChecksum(sector, used_bytes - 8, magic, 0)) {
    return DecodeResult::kInvalid;
  }
  return DecodeResult::kValid;
}

DecodeResult DecodeHeaderSector(const char* from, SegmentHeader* header, uint32_t* found_version) {
  DecodeResult result =
      CheckSector(from, kSegmentMagic, kSegmentHeaderUsedBytes, kCursorsFeature, found_version);
  if (result != DecodeResult::kValid) return result;
  if (GetU32(from + 48) > static_cast<uint32_t>(SegmentState::kBegun)) {
    return DecodeResult::kInvalid;
  }
  header->log_id = {GetU64(from + kLogIdOffset), GetU64(from + kLogIdOffset + 8)};
  header->generation = GetU64(from + kGenerationOffset);
  header->salt = GetU64(from + kSaltOffset);
  header->state = static_cast<SegmentState>(GetU32(from + 48));
  header->recycled = GetU32(from + 52) != 0;
  header->cursors = (GetU32(from + kFeaturesOffset) & kCursorsFeature) != 0;
  header->base_lsn = GetU64(from + kBaseLsnOffset);
  header->durable_lsn = GetU64(from + 64);
  header->predecessor_generation = GetU64(from + kPredecessorGenerationOffset);
  header->predecessor_end = GetU64(from + 80);
  header->predecessor_digest = GetU64(from + 88);
  header->created_unix_micros = GetI64(from + 96);
  const bool good = AreNumbers(header->generation, header->base_lsn, header->durable_lsn,
                               header->predecessor_generation, header->predecessor_end) &&
                    (header->state == SegmentState::kSpare || header->base_lsn >= kFirstLsn);
  return good ? DecodeResult::kValid : DecodeResult::kInvalid;
}

uint64_t GroupChecksum(const char* from, uint64_t salt, uint64_t file_offset) {
  return PositionedChecksum(from + 8, kGroupHeaderBytes - 8, salt, file_offset);
}

// Length and flags are bound in through the position: they are not part of the hashed bytes.
uint64_t RecordSeed(uint32_t length, uint32_t flags, uint64_t salt) {
  return Avalanche(salt ^ (uint64_t{flags} << 32 | length));
}

uint64_t RecordChecksum(const char* payload, uint32_t length, uint32_t flags, Lsn lsn,
                        uint64_t salt) {
  return PositionedChecksum(payload, length, RecordSeed(length, flags, salt), lsn);
}

}  // namespace

std::string LogIdToString(const LogId& id) {
  return absl::StrCat(absl::Hex(id[0], absl::kZeroPad16), absl::Hex(id[1], absl::kZeroPad16));
}

std::optional<LogId> LogIdFromString(std::string_view text) {
  LogId id = {};
  if (text.size() != 32) return std::nullopt;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = absl::ascii_tolower(static_cast<unsigned char>(text[i]));
    const size_t digit = std::string_view("0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    id[i / 16] = id[i / 16] << 4 | digit;
  }
  return id;
}

bool operator==(const SegmentHeader& a, const SegmentHeader& b) {
  return a.log_id == b.log_id && a.generation == b.generation && a.salt == b.salt &&
         a.state == b.state && a.recycled == b.recycled && a.cursors == b.cursors &&
         a.base_lsn == b.base_lsn && a.durable_lsn == b.durable_lsn &&
         a.predecessor_generation == b.predecessor_generation &&
         a.predecessor_end == b.predecessor_end && a.predecessor_digest == b.predecessor_digest &&
         a.created_unix_micros == b.created_unix_micros;
}

void EncodeSegmentHeader(const SegmentHeader& header, char* block) {
  std::memset(block, 0, kSegmentHeaderBytes);
  PutU64(block + kLogIdOffset, header.log_id[0]);
  PutU64(block + kLogIdOffset + 8, header.log_id[1]);
  PutU64(block + kGenerationOffset, header.generation);
  PutU64(block + kSaltOffset, header.salt);
  PutU32(block + 48, static_cast<uint32_t>(header.state));
  PutU32(block + 52, header.recycled ? 1 : 0);
  PutU64(block + kBaseLsnOffset, header.base_lsn);
  PutU64(block + 64, header.durable_lsn);
  PutU64(block + kPredecessorGenerationOffset, header.predecessor_generation);
  PutU64(block + 80, header.predecessor_end);
  PutU64(block + 88, header.predecessor_digest);
  PutU64(block + 96, static_cast<uint64_t>(header.created_unix_micros));
  SealSector(kSegmentMagic, kSegmentHeaderUsedBytes, header.cursors ? kCursorsFeature : 0, block);
  std::memcpy(block + kHeaderCopyOffset, block, kSegmentHeaderUsedBytes);
}

DecodeResult DecodeSegmentHeader(const char* block, SegmentHeader* header,
                                 uint32_t* found_version) {
  SegmentHeader first, second;
  uint32_t first_version = 0, second_version = 0;
  DecodeResult a = DecodeHeaderSector(block, &first, &first_version);
  DecodeResult b = DecodeHeaderSector(block + kHeaderCopyOffset, &second, &second_version);
  if (a == DecodeResult::kValid && b == DecodeResult::kValid) {
    *header = second.state == SegmentState::kBegun && first.state == SegmentState::kSpare ? second
                                                                                          : first;
    return DecodeResult::kValid;
  }
  if (a == DecodeResult::kValid || b == DecodeResult::kValid) {
    *header = a == DecodeResult::kValid ? first : second;
    return DecodeResult::kValid;
  }
  // Both copies must agree that they are newer: one bit flipped in a version is just damage.
  if (a == DecodeResult::kNewer && b == DecodeResult::kNewer) {
    *found_version = first_version;
    return DecodeResult::kNewer;
  }
  return a == DecodeResult::kZero && b == DecodeResult::kZero ? DecodeResult::kZero
                                                              : DecodeResult::kInvalid;
}

uint64_t EncodeGroupHeader(const GroupHeader& header, uint64_t salt, uint64_t file_offset,
                           char* to) {
  std::memcpy(to + 8, kGroupMagic, sizeof(kGroupMagic));
  PutU32(to + 12, header.group_bytes);
  PutU32(to + 16, header.record_count);
  PutU32(to + 20, 0);
  PutU64(to + 24, header.first_lsn);
  PutU64(to + 32, header.durable_lsn);
  PutU64(to + 40, static_cast<uint64_t>(header.sealed_unix_micros));
  uint64_t checksum = GroupChecksum(to, salt, file_offset);
  PutU64(to, checksum);
  return checksum;
}

bool DecodeGroupHeader(const char* from, uint64_t salt, uint64_t file_offset, GroupHeader* header,
                       uint64_t* checksum) {
  if (!HasGroupMagic(from)) return false;
  *checksum = GetU64(from);
  if (*checksum != GroupChecksum(from, salt, file_offset)) return false;
  header->group_bytes = GetU32(from + 12);
  header->record_count = GetU32(from + 16);
  header->first_lsn = GetU64(from + 24);
  header->durable_lsn = GetU64(from + 32);
  header->sealed_unix_micros = GetI64(from + 40);
  return header->group_bytes >= kGroupHeaderBytes && header->group_bytes % kGroupUnitBytes == 0 &&
         header->record_count > 0 && header->first_lsn >= kFirstLsn &&
         AreNumbers(header->first_lsn, header->durable_lsn);
}

uint64_t ExtendDigest(uint64_t digest, uint64_t group_checksum) {
  return Avalanche(digest + group_checksum + 1);
}

void EncodeRecord(std::string_view payload, Lsn lsn, uint32_t flags, uint64_t salt, char* to) {
  uint32_t length = static_cast<uint32_t>(payload.size());
  PutU32(to + 8, length);
  PutU32(to + 12, flags);
  if (length > 0) std::memcpy(to + kRecordHeaderBytes, payload.data(), length);
  // Over the copy, so that what is checked is what will be written.
  PutU64(to, RecordChecksum(to + kRecordHeaderBytes, length, flags, lsn, salt));
}

uint32_t RecordLength(const char* from) { return GetU32(from + 8); }

RecordCursor::RecordCursor(std::string_view group, const GroupHeader& header, uint64_t salt)
    : group_(group.data()),
      at_(group.data() + kGroupHeaderBytes),
      end_(group.data() + group.size()),
      record_(group.data()),
      next_lsn_(header.first_lsn),
      left_(header.record_count),
      salt_(salt),
      sealed_unix_micros_(header.sealed_unix_micros) {}

RecordCursor::Result RecordCursor::Next(Record* record) {
  if (left_ == 0) return error_.empty() ? Result::kEnd : Result::kBad;
  const char* const at = at_;
  record_ = at;
  const size_t room = static_cast<size_t>(end_ - at);
  if (room < kRecordHeaderBytes) return Bad();
  const uint32_t length = GetU32(at + 8);
  const uint32_t flags = GetU32(at + 12);
  const char* const payload = at + kRecordHeaderBytes;
  if (length > room - kRecordHeaderBytes ||
      GetU64(at) != RecordChecksum(payload, length, flags, next_lsn_, salt_) ||
      (flags & ~kKnownRecordFlags) != 0) {
    return Bad();
  }
  record->lsn = next_lsn_;
  record->payload = std::string_view(payload, length);
  record->batch_continues = (flags & kRecordBatchContinues) != 0;
  record->sealed_unix_micros = sealed_unix_micros_;
  at_ = payload + length;
  ++next_lsn_;
  --left_;
  return Result::kRecord;
}

// Says what is wrong with the record at at_, and stays there.
RecordCursor::Result RecordCursor::Bad() {
  left_ = 0;
  const size_t room = static_cast<size_t>(end_ - at_);
  if (room < kRecordHeaderBytes) {
    error_ = absl::StrCat("expected a record header of ", kRecordHeaderBytes, " bytes, found ",
                          room, " bytes to the end of the group");
    return Result::kBad;
  }
  const uint32_t length = GetU32(at_ + 8);
  const uint32_t flags = GetU32(at_ + 12);
  if (length > room - kRecordHeaderBytes) {
    error_ = absl::StrCat("expected a record of at most ", room - kRecordHeaderBytes,
                          " bytes, found a length of ", length);
    return Result::kBad;
  }
  const uint64_t expected =
      RecordChecksum(at_ + kRecordHeaderBytes, length, flags, next_lsn_, salt_);
  if (GetU64(at_) != expected) {
    error_ = absl::StrFormat("expected checksum %016x, found %016x", expected, GetU64(at_));
  } else {
    error_ =
        absl::StrFormat("expected record flags within %08x, found %08x", kKnownRecordFlags, flags);
  }
  return Result::kBad;
}

bool FindRecord(std::string_view bytes, uint64_t salt, Record* record) {
  if (bytes.size() < kRecordHeaderBytes) return false;
  const uint32_t length = GetU32(bytes.data() + 8);
  const uint32_t flags = GetU32(bytes.data() + 12);
  if ((flags & ~kKnownRecordFlags) != 0 || length > bytes.size() - kRecordHeaderBytes) return false;
  record->payload = bytes.substr(kRecordHeaderBytes, length);
  record->lsn = PlaceOf(record->payload.data(), length, GetU64(bytes.data())) -
                RecordSeed(length, flags, salt);
  record->batch_continues = (flags & kRecordBatchContinues) != 0;
  record->sealed_unix_micros = 0;
  return true;
}

uint64_t SaltOfGroup(const char* from, uint64_t file_offset) {
  return PlaceOf(from + 8, kGroupHeaderBytes - 8, GetU64(from)) - file_offset;
}

bool operator==(const ControlBlock& a, const ControlBlock& b) {
  return a.log_id == b.log_id && a.sequence == b.sequence &&
         a.first_generation == b.first_generation && a.tail_generation == b.tail_generation &&
         a.durable_lsn == b.durable_lsn && a.closed == b.closed && a.closed_end == b.closed_end &&
         a.closed_digest == b.closed_digest && a.cursor_sequence == b.cursor_sequence &&
         a.entries == b.entries && a.metadata == b.metadata;
}

void EncodeControlBlock(const ControlBlock& block, char* slot) {
  std::memset(slot, 0, kControlSlotBytes);
  PutU64(slot + kLogIdOffset, block.log_id[0]);
  PutU64(slot + kLogIdOffset + 8, block.log_id[1]);
  PutU64(slot + 32, block.sequence);
  PutU64(slot + 40, block.first_generation);
  PutU64(slot + 48, block.tail_generation);
  PutU64(slot + 56, block.durable_lsn);
  PutU32(slot + 64, block.closed ? 1 : 0);
  PutU32(slot + 68, static_cast<uint32_t>(block.entries.size()));
  PutU64(slot + 72, block.closed_end);
  PutU64(slot + 80, block.closed_digest);
  PutU64(slot + 88, block.cursor_sequence);
  char* to = slot + 96;
  for (const ControlEntry& entry : block.entries) {
    PutU64(to, entry.generation);
    PutU64(to + 8, entry.salt);
    PutU64(to + 16, entry.allocated_bytes);
    to += 24;
  }
  if (block.metadata.empty()) {
    SealSector(kControlMagic, kControlUsedBytes, 0, slot);
    return;
  }
  PutU32(slot + kMetadataLengthOffset, static_cast<uint32_t>(block.metadata.size()));
  std::memcpy(slot + kMetadataOffset, block.metadata.data(), block.metadata.size());
  SealSector(kControlMagic, kMaxControlUsedBytes, kMetadataFeature, slot);
}

DecodeResult DecodeControlBlock(const char* slot, ControlBlock* block, uint32_t* found_version) {
  const bool has_metadata = (GetU32(slot + kFeaturesOffset) & kMetadataFeature) != 0;
  DecodeResult result =
      CheckSector(slot, kControlMagic, has_metadata ? kMaxControlUsedBytes : kControlUsedBytes,
                  kMetadataFeature, found_version);
  if (result != DecodeResult::kValid) return result;
  uint32_t entries = GetU32(slot + 68);
  if (entries > kMaxControlEntries) return DecodeResult::kInvalid;
  block->log_id = {GetU64(slot + kLogIdOffset), GetU64(slot + kLogIdOffset + 8)};
  block->sequence = GetU64(slot + 32);
  block->first_generation = GetU64(slot + 40);
  block->tail_generation = GetU64(slot + 48);
  block->durable_lsn = GetU64(slot + 56);
  block->closed = GetU32(slot + 64) != 0;
  block->closed_end = GetU64(slot + 72);
  block->closed_digest = GetU64(slot + 80);
  block->cursor_sequence = GetU64(slot + 88);
  block->metadata.clear();
  if (has_metadata) {
    const uint32_t length = GetU32(slot + kMetadataLengthOffset);
    if (length == 0 || length > kMaxMetadataBytes) return DecodeResult::kInvalid;
    block->metadata.assign(slot + kMetadataOffset, length);
  }
  block->entries.clear();
  for (size_t i = 0; i < entries; ++i) {
    const char* from = slot + 96 + 24 * i;
    block->entries.push_back({GetU64(from), GetU64(from + 8), GetU64(from + 16)});
    if (!AreNumbers(GetU64(from), GetU64(from + 16))) return DecodeResult::kInvalid;
  }
  const bool good = AreNumbers(block->sequence, block->first_generation, block->tail_generation,
                               block->durable_lsn, block->closed_end, block->cursor_sequence);
  return good ? DecodeResult::kValid : DecodeResult::kInvalid;
}

void EncodeWatermark(const WatermarkBlock& block, char* to) {
  PutU64(to + kLogIdOffset, block.log_id[0]);
  PutU64(to + kLogIdOffset + 8, block.log_id[1]);
  PutU64(to + 32, block.sequence);
  PutU64(to + 40, block.generation);
  PutU64(to + 48, block.end);
  PutU64(to + 56, block.durable_lsn);
  PutU64(to + 64, block.cuts);
  PutU64(to + 72, block.first_cut);
  PutU64(to + 80, block.cut_generation);
  SealSector(kWatermarkMagic, kWatermarkBytes, 0, to);
}

DecodeResult DecodeWatermark(const char* from, WatermarkBlock* block, uint32_t* found_version) {
  const DecodeResult result = CheckSector(from, kWatermarkMagic, kWatermarkBytes, 0, found_version);
  if (result != DecodeResult::kValid) return result;
  block->log_id = {GetU64(from + kLogIdOffset), GetU64(from + kLogIdOffset + 8)};
  block->sequence = GetU64(from + 32);
  block->generation = GetU64(from + 40);
  block->end = GetU64(from + 48);
  block->durable_lsn = GetU64(from + 56);
  block->cuts = GetU64(from + 64);
  block->first_cut = GetU64(from + 72);
  block->cut_generation = GetU64(from + 80);
  const bool good = AreNumbers(block->sequence, block->generation, block->end, block->durable_lsn,
                               block->cuts, block->first_cut, block->cut_generation);
  return good ? DecodeResult::kValid : DecodeResult::kInvalid;
}

}  // namespace seawall
