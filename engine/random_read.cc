#include "engine/random_read.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/file_io.h"
#include "engine/format.h"

namespace seawall {
namespace {

absl::Status NotThere(const SegmentRef& segment, uint64_t offset, Lsn lsn) {
  return DamageStatus(segment.path, offset,
                      absl::StrCat("expected the group of record ", lsn, ", found no valid group"));
}

absl::StatusOr<std::string> FindInGroup(const SegmentRef& segment, std::string_view group,
                                        uint64_t offset, const GroupHeader& header, Lsn lsn) {
  RecordCursor cursor(group, header, segment.salt);
  Record record;
  while (cursor.Next(&record) == RecordCursor::Result::kRecord) {
    if (record.lsn == lsn) return std::string(record.payload);
  }
  return DamageStatus(segment.path, offset + cursor.record_offset(), cursor.error());
}

// `bytes` are those of the segment from `from.offset` on.
absl::StatusOr<std::string> FindIn(const SegmentRef& segment, const IndexEntry& from,
                                   std::string_view bytes, Lsn lsn) {
  Lsn expected = from.first_lsn;
  for (uint64_t at = 0; at + kGroupHeaderBytes <= bytes.size();) {
    GroupHeader header;
    uint64_t checksum;
    const uint64_t offset = from.offset + at;
    if (!DecodeGroupHeader(bytes.data() + at, segment.salt, offset, &header, &checksum) ||
        header.first_lsn != expected || header.group_bytes > bytes.size() - at) {
      return NotThere(segment, offset, expected);
    }
    if (lsn <= header.last_lsn()) {
      return FindInGroup(segment, bytes.substr(at, header.group_bytes), offset, header, lsn);
    }
    expected = header.last_lsn() + 1;
    at += header.group_bytes;
  }
  return NotThere(segment, from.offset + bytes.size(), expected);
}

}  // namespace

absl::StatusOr<std::string> ReadRecord(SegmentCache* cache, const ReadRange& range, Lsn lsn) {
  absl::StatusOr<CachedSegment> segment = cache->Get(range.segment);
  if (!segment.ok()) return segment.status();
  const std::optional<SegmentIndex::Span> span = segment->index->Find(lsn);
  const uint64_t end = span.has_value() ? std::min(span->end, range.end) : 0;
  if (!span.has_value() || end <= span->from.offset) {
    return NotThere(range.segment, range.segment.end, lsn);
  }
  const uint64_t bytes = end - span->from.offset;
  AlignedBuffer buffer = cache->TakeBuffer(bytes);
  absl::StatusOr<size_t> got =
      ReadAt(segment->file.get(), range.segment.path, span->from.offset, bytes, buffer.data());
  if (!got.ok()) return got.status();
  absl::StatusOr<std::string> record =
      FindIn(range.segment, span->from, std::string_view(buffer.data(), *got), lsn);
  cache->ReturnBuffer(std::move(buffer));
  return record;
}

}  // namespace seawall
