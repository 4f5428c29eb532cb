// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/cursor_area.h"

#include "engine/io/file_io.h"

namespace seawall {

absl::StatusOr<std::optional<CursorTable>> ReadCursorArea(File* file, const std::string& path,
                                                          uint64_t salt) {
  std::string area(kCursorAreaBytes, '\0');
  absl::StatusOr<size_t> got = ReadAt(file, path, kSegmentHeaderBytes, area.size(), area.data());
  if (!got.ok()) return got.status();
  std::optional<CursorTable> newest;
  for (uint64_t at = 0; at < area.size(); at += kCursorSlotBytes) {
    CursorTable table;
    if (DecodeCursorSlot(area.data() + at, salt, kSegmentHeaderBytes + at, &table) &&
        (!newest.has_value() || table.sequence > newest->sequence)) {
      newest = std::move(table);
    }
  }
  return newest;
}

}  // namespace seawall
