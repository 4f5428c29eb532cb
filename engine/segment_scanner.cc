#include "engine/segment_scanner.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace seawall {
namespace {

constexpr uint64_t kReadBytes = uint64_t{256} << 10;

// One past the last byte of `bytes` that is not zero; 0 if all are.
size_t NonzeroEnd(std::string_view bytes) {
  size_t end = bytes.find_last_not_of('\0');
  return end == std::string_view::npos ? 0 : end + 1;
}

}  // namespace

SegmentScanner::SegmentScanner(File* file, std::string path, uint64_t salt)
    : file_(file), path_(std::move(path)), salt_(salt) {}

absl::StatusOr<std::string_view> SegmentScanner::Fetch(uint64_t offset, uint64_t bytes,
                                                       uint64_t limit) {
  if (offset >= limit) return std::string_view();
  bytes = std::min(bytes, limit - offset);
  if (offset < buffer_offset_ || offset + bytes > buffer_offset_ + buffer_bytes_) {
    uint64_t wanted = std::min(std::max(bytes, kReadBytes), limit - offset);
    if (buffer_.size() < wanted) {
      buffer_ = AlignedBuffer(AlignUp(std::max(wanted, kReadBytes), kBlockBytes));
    }
    buffer_bytes_ = 0;  // should the read fail half-way
    absl::StatusOr<size_t> got = ReadAt(file_, path_, offset, wanted, buffer_.data());
    if (!got.ok()) return got.status();
    buffer_offset_ = offset;
    buffer_bytes_ = *got;
    bytes_read_ += *got;
  }
  uint64_t available = buffer_offset_ + buffer_bytes_ - offset;
  return std::string_view(buffer_.data() + (offset - buffer_offset_), std::min(bytes, available));
}

absl::StatusOr<SegmentScanner::Found> SegmentScanner::ReadGroup(uint64_t offset, uint64_t limit,
                                                                Group* group) {
  absl::StatusOr<std::string_view> bytes = Fetch(offset, kGroupHeaderBytes, limit);
  if (!bytes.ok()) return bytes.status();
  if (bytes->size() < kGroupHeaderBytes ||
      !DecodeGroupHeader(bytes->data(), salt_, offset, &group->header, &group->checksum)) {
    return Found::kNothing;
  }
  group->offset = offset;
  group->bytes = std::string_view();
  if (group->header.group_bytes > limit - offset) return Found::kCutShort;
  bytes = Fetch(offset, group->header.group_bytes, limit);
  if (!bytes.ok()) return bytes.status();
  if (bytes->size() < group->header.group_bytes) return Found::kCutShort;
  group->bytes = *bytes;
  return Found::kGroup;
}

absl::Status SegmentScanner::CheckRecords(const Group& group) const {
  RecordCursor cursor(group.bytes, group.header, salt_);
  Record record;
  for (;;) {
    switch (cursor.Next(&record)) {
      case RecordCursor::Result::kRecord:
        break;
      case RecordCursor::Result::kEnd:
        return absl::OkStatus();
      case RecordCursor::Result::kBad:
        return DamageStatus(path_, group.offset + cursor.record_offset(), cursor.error());
    }
  }
}

absl::StatusOr<Remnants> SegmentScanner::Survey(uint64_t from, uint64_t limit) {
  Remnants remnants;
  remnants.groups_end = remnants.nonzero_end = from;
  uint64_t at = AlignUp(from, kGroupUnitBytes);
  while (at < limit) {
    absl::StatusOr<std::string_view> bytes = Fetch(at, kReadBytes, limit);
    if (!bytes.ok()) return bytes.status();
    if (bytes->empty()) break;
    if (size_t end = NonzeroEnd(*bytes); end > 0) {
      remnants.nonzero_end = at + end;
      for (uint64_t i = 0; i + kGroupHeaderBytes <= bytes->size(); i += kGroupUnitBytes) {
        GroupHeader header;
        uint64_t checksum;
        if (!DecodeGroupHeader(bytes->data() + i, salt_, at + i, &header, &checksum)) continue;
        remnants.durable_lsn = std::max(remnants.durable_lsn, header.durable_lsn);
        remnants.groups_end =
            std::max(remnants.groups_end, std::min<uint64_t>(at + i + header.group_bytes, limit));
      }
    }
    // Step so that a header across two reads is seen whole in the second.
    if (bytes->size() < kReadBytes) break;
    at += AlignDown(bytes->size() - kGroupHeaderBytes, kGroupUnitBytes);
  }
  return remnants;
}

}  // namespace seawall
