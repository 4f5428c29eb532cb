// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/headerless_segment.h"

#include <algorithm>

#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/segment_scanner.h"

namespace seawall {
namespace {

constexpr uint64_t kWindowBytes = uint64_t{1} << 20;

// The group at `offset`, if its first record verifies with `salt`; a record count of 0 if not.
absl::StatusOr<GroupHeader> ReadProvenGroup(File* file, const std::string& path, uint64_t bytes,
                                            uint64_t offset, uint64_t salt) {
  SegmentScanner scanner(file, path, salt);
  Group group;
  absl::StatusOr<SegmentScanner::Found> found = scanner.ReadGroup(offset, bytes, &group);
  if (!found.ok()) return found.status();
  if (*found != SegmentScanner::Found::kGroup) return GroupHeader();
  RecordCursor cursor(group.bytes, group.header, salt);
  Record record;
  if (cursor.Next(&record) != RecordCursor::Result::kRecord) return GroupHeader();
  return group.header;
}

}  // namespace

absl::StatusOr<bool> HasGroupAt(File* file, const std::string& path, uint64_t bytes,
                                uint64_t offset, uint64_t salt) {
  absl::StatusOr<GroupHeader> group = ReadProvenGroup(file, path, bytes, offset, salt);
  if (!group.ok()) return group.status();
  return group->record_count > 0;
}

absl::StatusOr<std::optional<HeaderlessSegment>> FindHeaderlessSegment(
    File* file, const std::string& path, uint64_t bytes, std::optional<uint64_t> known_salt) {
  std::string window(kWindowBytes, '\0');
  uint64_t at = kSegmentHeaderBytes;
  while (at + kGroupHeaderBytes <= bytes) {
    const uint64_t wanted = std::min(kWindowBytes, bytes - at);
    absl::StatusOr<size_t> got = ReadAt(file, path, at, wanted, window.data());
    if (!got.ok()) return got.status();
    for (uint64_t i = 0; i + kGroupHeaderBytes <= *got; i += kGroupUnitBytes) {
      if (!HasGroupMagic(window.data() + i)) continue;
      const uint64_t salt = SaltOfGroup(window.data() + i, at + i);
      if (known_salt.has_value() && salt != *known_salt) continue;
      absl::StatusOr<GroupHeader> group = ReadProvenGroup(file, path, bytes, at + i, salt);
      if (!group.ok()) return group.status();
      if (group->record_count == 0) continue;
      return std::optional<HeaderlessSegment>({salt, at + i, group->first_lsn});
    }
    if (*got < kWindowBytes) break;
    // A header across two reads is seen whole in the second.
    at += AlignDown(*got - kGroupHeaderBytes, kGroupUnitBytes);
  }
  return std::optional<HeaderlessSegment>();
}

}  // namespace seawall
