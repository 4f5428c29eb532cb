// SPDX-License-Identifier: Apache-2.0
#include "engine/read/random_read.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

absl::Status NotThere(const SegmentRef& segment, uint64_t offset, Lsn lsn) {
  return DamageStatus(segment.path, offset,
                      absl::StrCat("expected record ", lsn, ", found none that is valid"));
}

// `bytes` are those of the segment from record `first` on, which is at `offset`, to the end of its
// group or less. By their lengths to the record wanted, which says itself whether that is it.
absl::StatusOr<std::string> FindAmongRecords(const SegmentRef& segment, uint64_t offset, Lsn first,
                                             std::string_view bytes, Lsn lsn) {
  std::string_view left = bytes;
  for (Lsn next = first; next < lsn; ++next) {
    const uint64_t record_bytes = left.size() < kRecordHeaderBytes
                                      ? ~uint64_t{0}
                                      : EncodedRecordBytes(RecordLength(left.data()));
    if (record_bytes > left.size()) return NotThere(segment, offset, lsn);
    left.remove_prefix(record_bytes);
  }
  Record record;
  // Its checksum is right for one LSN only, and in this life of this file only.
  if (!FindRecord(left, segment.salt, &record) || record.lsn != lsn) {
    return NotThere(segment, offset + (bytes.size() - left.size()), lsn);
  }
  return std::string(record.payload);
}

// `bytes` are those of the segment from the group of record `first` on, which is at `offset`; the
// last group need not be whole.
absl::StatusOr<std::string> FindAmongGroups(const SegmentRef& segment, uint64_t offset, Lsn first,
                                            std::string_view bytes, Lsn lsn) {
  Lsn expected = first;
  for (uint64_t at = 0; at + kGroupHeaderBytes <= bytes.size();) {
    GroupHeader header;
    uint64_t checksum;
    if (!DecodeGroupHeader(bytes.data() + at, segment.salt, offset + at, &header, &checksum) ||
        header.first_lsn != expected) {
      return NotThere(segment, offset + at, lsn);
    }
    if (lsn <= header.last_lsn()) {
      const uint64_t records_at = at + kGroupHeaderBytes;
      const std::string_view records =
          bytes.substr(records_at, header.group_bytes - kGroupHeaderBytes);
      return FindAmongRecords(segment, offset + records_at, expected, records, lsn);
    }
    expected = header.last_lsn() + 1;
    at += header.group_bytes;
  }
  return NotThere(segment, offset, lsn);
}

}  // namespace

absl::StatusOr<std::string> ReadRecord(SegmentCache* cache, const ReadRange& range, Lsn lsn) {
  absl::StatusOr<CachedSegment> segment = cache->Get(range.segment);
  if (!segment.ok()) return segment.status();
  const std::optional<SegmentIndex::Span> span = segment->index->Find(lsn);
  const uint64_t end = span.has_value() ? std::min(span->end, range.end) : 0;
  if (!span.has_value() || end <= span->offset) {
    return NotThere(range.segment, range.segment.end, lsn);
  }
  const uint64_t bytes = end - span->offset;
  AlignedBuffer buffer = cache->TakeBuffer(bytes);
  absl::StatusOr<size_t> got =
      ReadAt(segment->file.get(), range.segment.path, span->offset, bytes, buffer.data());
  if (!got.ok()) return got.status();
  const auto find = span->is_group ? FindAmongGroups : FindAmongRecords;
  absl::StatusOr<std::string> record =
      find(range.segment, span->offset, span->first_lsn, {buffer.data(), *got}, lsn);
  cache->ReturnBuffer(std::move(buffer));
  return record;
}

}  // namespace seawall
