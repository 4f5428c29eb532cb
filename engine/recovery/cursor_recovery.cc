// SPDX-License-Identifier: Apache-2.0
#include "engine/recovery/cursor_recovery.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/io/file_io.h"
#include "engine/segments/cursor_area.h"

namespace seawall {
namespace {

absl::Status NoValidSlot(const std::string& path) {
  return DamageStatus(path, kSegmentHeaderBytes,
                      absl::StrCat("expected the table of cursors in one of ", kCursorSlots,
                                   " slots, found none that is valid"));
}

}  // namespace

absl::StatusOr<FoundCursors> FindCursors(FileSystem* fs, const SegmentChain& chain,
                                         const ControlBlock& control) {
  FoundCursors found;
  const SegmentFile& tail = chain.tail;
  if (!tail.header.cursors) return found;
  absl::StatusOr<std::optional<CursorTable>> table =
      ReadCursorArea(tail.file.get(), tail.path, tail.header.salt);
  if (!table.ok()) return table.status();
  found.torn = !table->has_value();
  if (found.torn) {
    // What CONTROL calls its tail was synced; so was a segment that others do not lead to, since it
    // was made whole before its header.
    if (control.tail_generation == tail.generation || chain.sealed.empty()) {
      return NoValidSlot(tail.path);
    }
    const SegmentRef before = chain.sealed.Ref(chain.sealed.size() - 1);
    if (before.groups_begin == kSegmentHeaderBytes) return NoValidSlot(tail.path);
    absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, before.path, OpenOptions());
    if (!file.ok()) return file.status();
    table = ReadCursorArea(file->get(), before.path, before.salt);
    if (!table.ok()) return table.status();
    if (!table->has_value()) return NoValidSlot(before.path);
  }
  found.table = std::move(**table);
  if (found.table.sequence < control.cursor_sequence) {
    return DamageStatus(
        tail.path, CursorSlotOffset(control.cursor_sequence),
        absl::StrCat("expected table ", control.cursor_sequence,
                     " of the cursors or a later one (the control file knew it to be durable), "
                     "found table ",
                     found.table.sequence));
  }
  return found;
}

absl::Status CheckCursors(const FoundCursors& found, const SegmentChain& chain, Lsn durable_lsn) {
  const SegmentHeader& tail = chain.tail.header;
  if (found.torn && durable_lsn >= tail.base_lsn) return NoValidSlot(chain.tail.path);
  const Lsn first_lsn = chain.sealed.empty() ? tail.base_lsn : chain.sealed.front().base_lsn;
  for (const CursorPosition& cursor : found.table.cursors) {
    if (cursor.lsn + 1 >= first_lsn) continue;
    return DamageStatus(
        chain.tail.path, CursorSlotOffset(found.table.sequence),
        absl::StrCat("expected cursor \"", cursor.name, "\" at record ", first_lsn - 1,
                     " or above, found ", cursor.lsn, ": what it held was trimmed"));
  }
  return absl::OkStatus();
}

}  // namespace seawall
