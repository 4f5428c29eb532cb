#include "engine/index_file.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/checksum.h"
#include "engine/file_io.h"
#include "engine/format.h"
#include "engine/little_endian.h"
#include "engine/segment_scanner.h"

namespace seawall {
namespace {

constexpr uint64_t kIndexMagic = 0x5849'4c41'5741'4553;  // "SEAWALIX"
constexpr uint32_t kIndexVersion = 1;
constexpr uint64_t kIndexHeaderBytes = 56;
constexpr uint64_t kEntryBytes = 24;
constexpr uint64_t kChecksumBytes = 8;

uint64_t IndexOffset(const SegmentRef& segment) { return AlignUp(segment.end, kBlockBytes); }

uint64_t EncodedBytes(uint64_t entries) {
  return kIndexHeaderBytes + entries * kEntryBytes + kChecksumBytes;
}

// There is one entry, at most, for each interval that is begun.
uint64_t MostEntries(uint64_t end) {
  return (end - kSegmentHeaderBytes + kIndexIntervalBytes - 1) / kIndexIntervalBytes;
}

uint64_t IndexChecksum(const char* from, uint64_t bytes, const SegmentRef& segment) {
  return PositionedChecksum(from, bytes, segment.salt, IndexOffset(segment));
}

void Encode(const SegmentRef& segment, const std::vector<IndexEntry>& entries, char* to) {
  PutU64(to, kIndexMagic);
  PutU32(to + 8, kIndexVersion);
  PutU32(to + 12, 0);
  PutU64(to + 16, segment.generation);
  PutU64(to + 24, segment.last_lsn);
  PutU64(to + 32, segment.end);
  PutU64(to + 40, segment.digest);
  PutU64(to + 48, entries.size());
  char* at = to + kIndexHeaderBytes;
  for (const IndexEntry& entry : entries) {
    PutU64(at, entry.first_lsn);
    PutU64(at + 8, entry.offset);
    PutU64(at + 16, entry.digest);
    at += kEntryBytes;
  }
  PutU64(at, IndexChecksum(to, static_cast<uint64_t>(at - to), segment));
}

// True if entries may be those of this segment.
bool AreInOrder(const std::vector<IndexEntry>& entries, const SegmentRef& segment) {
  if (!(entries.front() == IndexEntry{segment.base_lsn, segment.groups_begin, 0})) return false;
  for (size_t i = 1; i < entries.size(); ++i) {
    if (entries[i].first_lsn <= entries[i - 1].first_lsn ||
        entries[i].offset <= entries[i - 1].offset) {
      return false;
    }
  }
  return entries.back().first_lsn <= segment.last_lsn && entries.back().offset < segment.end;
}

bool Decode(std::string_view bytes, const SegmentRef& segment, std::vector<IndexEntry>* entries) {
  if (bytes.size() < EncodedBytes(1)) return false;
  const char* const from = bytes.data();
  const uint64_t count = GetU64(from + 48);
  if (GetU64(from) != kIndexMagic || GetU32(from + 8) != kIndexVersion || GetU32(from + 12) != 0 ||
      count == 0 || count > MostEntries(segment.end) || EncodedBytes(count) > bytes.size()) {
    return false;
  }
  const uint64_t hashed = EncodedBytes(count) - kChecksumBytes;
  if (GetU64(from + hashed) != IndexChecksum(from, hashed, segment)) return false;
  if (GetU64(from + 16) != segment.generation || GetU64(from + 24) != segment.last_lsn ||
      GetU64(from + 32) != segment.end || GetU64(from + 40) != segment.digest) {
    return false;
  }
  for (uint64_t i = 0; i < count; ++i) {
    const char* at = from + kIndexHeaderBytes + i * kEntryBytes;
    entries->push_back({GetU64(at), GetU64(at + 8), GetU64(at + 16)});
  }
  return AreInOrder(*entries, segment);
}

absl::Status NoIndex(const SegmentRef& segment) {
  return absl::NotFoundError(absl::StrCat(segment.path, ", offset ", IndexOffset(segment),
                                          ": expected an index of the segment, found none"));
}

}  // namespace

uint64_t IndexReserveBytes(uint64_t segment_bytes) {
  if (segment_bytes <= kUnindexedBytes) return 0;
  return AlignUp(EncodedBytes(MostEntries(segment_bytes)), kBlockBytes);
}

absl::Status WriteSegmentIndex(File* file, const SegmentRef& segment, const SegmentIndex& index,
                               uint64_t limit_bytes) {
  const std::vector<IndexEntry> entries = index.entries();
  const uint64_t offset = IndexOffset(segment);
  const uint64_t bytes = AlignUp(EncodedBytes(entries.size()), kBlockBytes);
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
  std::string bytes(EncodedBytes(MostEntries(segment.end)), '\0');
  absl::StatusOr<size_t> got =
      ReadAt(file, segment.path, IndexOffset(segment), bytes.size(), bytes.data());
  if (!got.ok()) return got.status();
  bytes.resize(*got);
  std::vector<IndexEntry> entries;
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
    index->Note(next);
    next = {group.header.last_lsn() + 1, group.end(), ExtendDigest(next.digest, group.checksum)};
  }
  if (!(next == IndexEntry{segment.last_lsn + 1, segment.end, segment.digest})) {
    return DamageStatus(segment.path, next.offset,
                        absl::StrCat("expected the segment to end with record ", segment.last_lsn));
  }
  return index;
}

}  // namespace seawall
