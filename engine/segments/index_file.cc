// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/index_file.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/base/little_endian.h"
#include "engine/format/checksum.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/segment_scanner.h"

namespace seawall {
namespace {

constexpr uint64_t kIndexMagic = 0x5849'4c41'5741'4553;  // "SEAWALIX"
constexpr uint32_t kIndexVersion = 1;
constexpr uint64_t kIndexHeaderBytes = 56;
constexpr uint64_t kGroupEntryBytes = 24;
constexpr uint64_t kRecordEntryBytes = 16;
constexpr uint64_t kChecksumBytes = 8;

uint64_t IndexOffset(const SegmentRef& segment) { return AlignUp(segment.end, kBlockBytes); }

uint64_t EncodedBytes(uint64_t groups, uint64_t records) {
  return kIndexHeaderBytes + groups * kGroupEntryBytes + records * kRecordEntryBytes +
         kChecksumBytes;
}

uint64_t IntervalsOf(uint64_t end) {
  return (end - kSegmentHeaderBytes + kIndexIntervalBytes - 1) / kIndexIntervalBytes;
}

// An entry for each interval that is begun, and one more for the group behind each record's.
uint64_t MostBytes(uint64_t end) { return EncodedBytes(IntervalsOf(end), IntervalsOf(end)); }

// What is read at once: enough unless most groups are just larger than an interval.
uint64_t UsualBytes(uint64_t end) {
  return EncodedBytes(IntervalsOf(end), (IntervalsOf(end) + 1) / 2);
}

uint64_t IndexChecksum(const char* from, uint64_t bytes, const SegmentRef& segment) {
  return PositionedChecksum(from, bytes, segment.salt, IndexOffset(segment));
}

uint64_t EncodedBytes(const IndexEntries& entries) {
  return EncodedBytes(entries.groups.size(), entries.records.size());
}

void Encode(const SegmentRef& segment, const IndexEntries& entries, char* to) {
  PutU64(to, kIndexMagic);
  PutU32(to + 8, kIndexVersion);
  PutU32(to + 12, 0);
  PutU64(to + 16, segment.generation);
  PutU64(to + 24, segment.last_lsn);
  PutU64(to + 32, segment.end);
  PutU64(to + 40, segment.digest);
  PutU32(to + 48, static_cast<uint32_t>(entries.groups.size()));
  PutU32(to + 52, static_cast<uint32_t>(entries.records.size()));
  char* at = to + kIndexHeaderBytes;
  for (const IndexEntry& group : entries.groups) {
    PutU64(at, group.first_lsn);
    PutU64(at + 8, group.offset);
    PutU64(at + 16, group.digest);
    at += kGroupEntryBytes;
  }
  for (const RecordEntry& record : entries.records) {
    PutU64(at, record.lsn);
    PutU64(at + 8, record.offset);
    at += kRecordEntryBytes;
  }
  PutU64(at, IndexChecksum(to, static_cast<uint64_t>(at - to), segment));
}

// True if entries may be those of this segment.
bool AreInOrder(const IndexEntries& entries, const SegmentRef& segment) {
  const std::vector<IndexEntry>& groups = entries.groups;
  const std::vector<RecordEntry>& records = entries.records;
  if (!(groups.front() == IndexEntry{segment.base_lsn, segment.groups_begin, 0})) return false;
  for (size_t i = 1; i < groups.size(); ++i) {
    if (groups[i].first_lsn <= groups[i - 1].first_lsn ||
        groups[i].offset <= groups[i - 1].offset) {
      return false;
    }
  }
  RecordEntry last{segment.base_lsn, segment.groups_begin};
  for (const RecordEntry& record : records) {
    if (record.lsn <= last.lsn || record.offset <= last.offset) return false;
    last = record;
  }
  return std::max(groups.back().first_lsn, last.lsn) <= segment.last_lsn &&
         std::max(groups.back().offset, last.offset) < segment.end;
}

// How long the index is that begins with `bytes`, which are kIndexHeaderBytes or more. 0: it is
// none, or of another segment.
uint64_t IndexBytes(std::string_view bytes, const SegmentRef& segment) {
  const char* const from = bytes.data();
  if (GetU64(from) != kIndexMagic || GetU32(from + 8) != kIndexVersion || GetU32(from + 12) != 0 ||
      GetU64(from + 16) != segment.generation || GetU64(from + 24) != segment.last_lsn ||
      GetU64(from + 32) != segment.end || GetU64(from + 40) != segment.digest) {
    return 0;
  }
  const uint64_t total = EncodedBytes(GetU32(from + 48), GetU32(from + 52));
  return GetU32(from + 48) > 0 && total <= MostBytes(segment.end) ? total : 0;
}

// `bytes`: as many as IndexBytes() says.
bool Decode(std::string_view bytes, const SegmentRef& segment, IndexEntries* entries) {
  const char* const from = bytes.data();
  const uint64_t hashed = bytes.size() - kChecksumBytes;
  if (GetU64(from + hashed) != IndexChecksum(from, hashed, segment)) return false;
  const char* at = from + kIndexHeaderBytes;
  entries->groups.reserve(GetU32(from + 48));
  for (uint32_t left = GetU32(from + 48); left > 0; --left, at += kGroupEntryBytes) {
    entries->groups.push_back({GetU64(at), GetU64(at + 8), GetU64(at + 16)});
  }
  entries->records.reserve(GetU32(from + 52));
  for (uint32_t left = GetU32(from + 52); left > 0; --left, at += kRecordEntryBytes) {
    entries->records.push_back({GetU64(at), GetU64(at + 8)});
  }
  return AreInOrder(*entries, segment);
}

// A group and its records, up to one that does not verify.
void NoteIn(SegmentIndex* index, const IndexEntry& entry, const Group& group, uint64_t salt) {
  index->NoteGroup(entry);
  if (group.header.group_bytes <= kSmallGroupBytes) return;
  RecordCursor cursor(group.bytes, group.header, salt);
  Record record;
  while (cursor.Next(&record) == RecordCursor::Result::kRecord) {
    if (record.lsn == entry.first_lsn) continue;
    index->NoteRecord({record.lsn, group.offset + cursor.record_offset()});
  }
}

absl::Status NoIndex(const SegmentRef& segment) {
  return absl::NotFoundError(absl::StrCat(segment.path, ", offset ", IndexOffset(segment),
                                          ": expected an index of the segment, found none"));
}

}  // namespace

uint64_t IndexReserveBytes(uint64_t segment_bytes) {
  if (segment_bytes <= kUnindexedBytes) return 0;
  return AlignUp(MostBytes(segment_bytes), kBlockBytes);
}

absl::Status WriteSegmentIndex(File* file, const SegmentRef& segment, const SegmentIndex& index,
                               uint64_t limit_bytes) {
  const IndexEntries entries = index.entries();
  const uint64_t offset = IndexOffset(segment);
  const uint64_t bytes = AlignUp(EncodedBytes(entries), kBlockBytes);
  if (offset + bytes > limit_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(segment.path, ", offset ", offset,
                                                     ": no room for the segment's index of ", bytes,
                                                     " bytes below ", limit_bytes));
  }
  AlignedBuffer buffer(bytes);
  Encode(segment, entries, buffer.data());
  return WriteAt(file, segment.path, offset, std::string_view(buffer.data(), bytes));
}

absl::StatusOr<std::unique_ptr<SegmentIndex>> ReadSegmentIndex(File* file,
                                                               const SegmentRef& segment) {
  if (segment.end <= kUnindexedBytes) return NoIndex(segment);
  const uint64_t offset = IndexOffset(segment);
  std::string bytes(UsualBytes(segment.end), '\0');
  absl::StatusOr<size_t> got = ReadAt(file, segment.path, offset, bytes.size(), bytes.data());
  if (!got.ok()) return got.status();
  const uint64_t total = *got < kIndexHeaderBytes ? 0 : IndexBytes(bytes, segment);
  if (total == 0) return NoIndex(segment);
  bytes.resize(total);
  if (*got < total) {
    absl::StatusOr<size_t> rest =
        ReadAt(file, segment.path, offset + *got, total - *got, bytes.data() + *got);
    if (!rest.ok()) return rest.status();
    if (*rest < total - *got) return NoIndex(segment);
  }
  IndexEntries entries;
  if (!Decode(bytes, segment, &entries)) return NoIndex(segment);
  return std::make_unique<SegmentIndex>(std::move(entries));
}

absl::StatusOr<std::unique_ptr<SegmentIndex>> ScanSegmentIndex(File* file,
                                                               const SegmentRef& segment) {
  auto index = std::make_unique<SegmentIndex>();
  SegmentScanner scanner(file, segment.path, segment.salt);
  Group group;
  IndexEntry next{segment.base_lsn, segment.groups_begin, 0};
  while (next.offset < segment.end) {
    absl::StatusOr<SegmentScanner::Found> found =
        scanner.ReadGroup(next.offset, segment.end, &group);
    if (!found.ok()) return found.status();
    if (*found != SegmentScanner::Found::kGroup || group.header.first_lsn != next.first_lsn) {
      return DamageStatus(segment.path, next.offset,
                          absl::StrCat("expected the group of record ", next.first_lsn));
    }
    NoteIn(index.get(), next, group, segment.salt);
    next = {group.header.last_lsn() + 1, group.end(), ExtendDigest(next.digest, group.checksum)};
  }
  if (!segment.EndsAt(next.first_lsn, next.offset, next.digest)) {
    return DamageStatus(segment.path, next.offset,
                        absl::StrCat("expected the segment to end with record ", segment.last_lsn));
  }
  return index;
}

}  // namespace seawall
