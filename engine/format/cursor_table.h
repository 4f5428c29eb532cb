// SPDX-License-Identifier: Apache-2.0
// The table of cursors as bytes: two slots of one block each, behind the header of a segment that
// has them (SegmentHeader::cursors). They are written in turn, each before a sync of the segment
// that is being written, so that a torn write leaves the other.
#ifndef SEAWALL_ENGINE_FORMAT_CURSOR_TABLE_H_
#define SEAWALL_ENGINE_FORMAT_CURSOR_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/format/format.h"
#include "seawall/cursor.h"
#include "seawall/types.h"

namespace seawall {

struct CursorPosition {
  std::string name;
  Lsn lsn = 0;

  friend bool operator==(const CursorPosition& a, const CursorPosition& b) {
    return a.name == b.name && a.lsn == b.lsn;
  }
};

struct CursorTable {
  // Grows with each one written in the life of the log: the highest is the newest.
  uint64_t sequence = 0;
  std::vector<CursorPosition> cursors;  // at most kMaxCursors, names ascending

  // The highest position; 0 without cursors.
  Lsn highest() const;
};

// OK, or InvalidArgument for what is no cursor's name.
absl::Status CheckCursorName(std::string_view name);

// Where in its segment the table with this sequence stands.
inline uint64_t CursorSlotOffset(uint64_t sequence) {
  return kSegmentHeaderBytes + sequence % kCursorSlots * kCursorSlotBytes;
}

// Fills a slot of kCursorSlotBytes.
void EncodeCursorSlot(const CursorTable& table, uint64_t salt, char* slot);
// Fills both slots, an area of kCursorAreaBytes: the table with its sequence, and the same with the
// next one, so that one bad block loses nothing.
void EncodeCursorArea(CursorTable table, uint64_t salt, char* area);

// True iff `slot` is a slot of the segment with this salt, at this offset.
bool DecodeCursorSlot(const char* slot, uint64_t salt, uint64_t file_offset, CursorTable* table);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FORMAT_CURSOR_TABLE_H_
