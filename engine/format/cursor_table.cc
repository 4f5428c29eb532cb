// SPDX-License-Identifier: Apache-2.0
#include "engine/format/cursor_table.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "engine/base/little_endian.h"
#include "engine/format/checksum.h"

namespace seawall {
namespace {

constexpr char kCursorMagic[4] = {'S', 'W', 'C', 'U'};
constexpr uint64_t kEntriesOffset = 32;
constexpr uint64_t kEntryBytes = 16 + kMaxCursorNameBytes;
static_assert(kEntriesOffset + kMaxCursors * kEntryBytes <= kCursorSlotBytes);

uint64_t SlotChecksum(const char* slot, uint64_t salt, uint64_t file_offset) {
  return PositionedChecksum(slot + 8, kCursorSlotBytes - 8, salt, file_offset);
}

bool DecodeEntry(const char* from, CursorPosition* cursor) {
  cursor->lsn = GetU64(from);
  const uint32_t name_bytes = GetU32(from + 8);
  if (name_bytes > kMaxCursorNameBytes || cursor->lsn >= kMaxNumber) return false;
  cursor->name.assign(from + 16, name_bytes);
  return CheckCursorName(cursor->name).ok();
}

}  // namespace

Lsn CursorTable::highest() const {
  Lsn highest = 0;
  for (const CursorPosition& cursor : cursors) highest = std::max(highest, cursor.lsn);
  return highest;
}

absl::Status CheckCursorName(std::string_view name) {
  if (name.empty() || name.size() > kMaxCursorNameBytes) {
    return absl::InvalidArgumentError(absl::StrCat("a cursor's name of ", name.size(),
                                                   " bytes: expected 1 to ", kMaxCursorNameBytes));
  }
  for (char c : name) {
    const unsigned char byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a cursor's name with the byte ", uint32_t{byte}, ": expected no control character"));
    }
  }
  return absl::OkStatus();
}

void EncodeCursorSlot(const CursorTable& table, uint64_t salt, char* slot) {
  std::memset(slot, 0, kCursorSlotBytes);
  std::memcpy(slot + 8, kCursorMagic, sizeof(kCursorMagic));
  PutU32(slot + 12, static_cast<uint32_t>(table.cursors.size()));
  PutU64(slot + 16, table.sequence);
  char* to = slot + kEntriesOffset;
  for (const CursorPosition& cursor : table.cursors) {
    PutU64(to, cursor.lsn);
    PutU32(to + 8, static_cast<uint32_t>(cursor.name.size()));
    cursor.name.copy(to + 16, cursor.name.size());
    to += kEntryBytes;
  }
  PutU64(slot, SlotChecksum(slot, salt, CursorSlotOffset(table.sequence)));
}

void EncodeCursorArea(CursorTable table, uint64_t salt, char* area) {
  for (uint64_t i = 0; i < kCursorSlots; ++i) {
    EncodeCursorSlot(table, salt, area + CursorSlotOffset(table.sequence) - kSegmentHeaderBytes);
    ++table.sequence;
  }
}

bool DecodeCursorSlot(const char* slot, uint64_t salt, uint64_t file_offset, CursorTable* table) {
  if (std::memcmp(slot + 8, kCursorMagic, sizeof(kCursorMagic)) != 0 ||
      GetU64(slot) != SlotChecksum(slot, salt, file_offset)) {
    return false;
  }
  const uint32_t count = GetU32(slot + 12);
  table->sequence = GetU64(slot + 16);
  table->cursors.clear();
  if (count > kMaxCursors || table->sequence >= kMaxNumber) return false;
  for (uint32_t i = 0; i < count; ++i) {
    CursorPosition cursor;
    if (!DecodeEntry(slot + kEntriesOffset + i * kEntryBytes, &cursor)) return false;
    if (i > 0 && cursor.name <= table->cursors.back().name) return false;
    table->cursors.push_back(std::move(cursor));
  }
  return true;
}

}  // namespace seawall
