// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/segment_scanner.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace seawall {
namespace {

// How much a survey looks at in one piece.
constexpr uint64_t kWindowBytes = uint64_t{256} << 10;
// A read behind the one before takes twice as much, between these two: who wants one group of a
// file does not pay for a megabyte, and who scans it does not pay for many calls.
constexpr uint64_t kFirstReadBytes = uint64_t{64} << 10;
constexpr uint64_t kMostReadBytes = uint64_t{1} << 20;
constexpr uint64_t kHugePageBytes = uint64_t{2} << 20;
// Who has read so much of a file, and may read so much more of it, is worth a thread and its
// memory.
constexpr uint64_t kScanBytes = uint64_t{2} << 20;
constexpr uint64_t kLongScanBytes = uint64_t{16} << 20;

// One past the last byte of `bytes` that is not zero; 0 if all are.
size_t NonzeroEnd(std::string_view bytes) {
  // Zeros written ahead are most of what an unclosed log's last segment holds.
  size_t end = bytes.size();
  uint64_t words[8];
  for (; end >= sizeof(words); end -= sizeof(words)) {
    std::memcpy(words, bytes.data() + end - sizeof(words), sizeof(words));
    uint64_t any = 0;
    for (uint64_t word : words) any |= word;
    if (any != 0) break;
  }
  while (end > 0 && bytes[end - 1] == '\0') --end;
  return end;
}

}  // namespace

SegmentScanner::SegmentScanner(File* file, std::string path, uint64_t salt, ScanMemory memory)
    : file_(file),
      path_(std::move(path)),
      salt_(salt),
      memory_(std::move(memory)),
      may_prefetch_(memory_.may_prefetch) {}

ScanMemory SegmentScanner::TakeMemory() {
  prefetcher_.reset();
  window_bytes_ = 0;
  return std::move(memory_);
}

absl::StatusOr<std::string_view> SegmentScanner::Fetch(uint64_t offset, uint64_t bytes,
                                                       uint64_t limit) {
  if (offset >= limit) return std::string_view();
  bytes = std::min(bytes, limit - offset);
  if (offset < window_offset_ || offset + bytes > window_offset_ + window_bytes_) {
    absl::Status status = Fill(offset, bytes, limit);
    if (!status.ok()) return status;
  }
  uint64_t available = window_offset_ + window_bytes_ - offset;
  return std::string_view(window_ + (offset - window_offset_), std::min(bytes, available));
}

absl::Status SegmentScanner::Fill(uint64_t offset, uint64_t bytes, uint64_t limit) {
  const uint64_t end = window_offset_ + window_bytes_;
  bool goes_on = window_bytes_ > 0 && offset >= window_offset_ && offset <= end;
  // Who comes with a buffer for that has scanned the segment before.
  const bool scans = (goes_on && bytes_read_ >= kScanBytes) ||
                     memory_.buffer.size() >= FilePrefetcher::kMemoryBytes;
  if (scans && may_prefetch_ && limit - offset >= kLongScanBytes) StartPrefetching(offset, limit);
  if (prefetcher_ != nullptr) {
    if (FillFromPrefetcher(offset, bytes)) return absl::OkStatus();
    goes_on = false;  // the window was in its memory
  }
  next_read_bytes_ = goes_on ? std::min(2 * next_read_bytes_, kMostReadBytes) : kFirstReadBytes;
  if (next_read_bytes_ == kMostReadBytes && !advised_) {
    // Not before: who wants one group would make the system read what nobody asks for.
    file_->AdviseSequential();
    advised_ = true;
  }
  const uint64_t wanted = std::min(std::max(bytes, next_read_bytes_), limit - offset);
  // What is there already is not read again.
  const uint64_t kept = goes_on ? end - offset : 0;
  const char* const from = memory_.buffer.data() + (goes_on ? offset - window_offset_ : 0);
  if (memory_.buffer.size() < wanted) {
    // Beyond what is read ahead, groups are large, and all of the buffer is used.
    AlignedBuffer larger = wanted <= kMostReadBytes ? AlignedBuffer(kMostReadBytes)
                                                    : AlignedBuffer(AlignUp(wanted, kHugePageBytes),
                                                                    AlignedBuffer::Pages::kHuge);
    if (kept > 0) std::memcpy(larger.data(), from, kept);
    memory_.buffer = std::move(larger);
  } else if (kept > 0) {
    std::memmove(memory_.buffer.data(), from, kept);
  }
  window_ = memory_.buffer.data();
  window_offset_ = offset;
  window_bytes_ = kept;
  absl::StatusOr<size_t> got =
      ReadAt(file_, path_, offset + kept, wanted - kept, memory_.buffer.data() + kept);
  if (!got.ok()) {
    window_bytes_ = 0;
    return got.status();
  }
  window_bytes_ += *got;
  bytes_read_ += *got;
  return absl::OkStatus();
}

void SegmentScanner::StartPrefetching(uint64_t offset, uint64_t limit) {
  may_prefetch_ = false;
  if (!advised_) file_->AdviseSequential();
  advised_ = true;
  if (memory_.buffer.size() < FilePrefetcher::kMemoryBytes) {
    try {
      memory_.buffer = AlignedBuffer(AlignUp(FilePrefetcher::kMemoryBytes, kHugePageBytes),
                                     AlignedBuffer::Pages::kHuge);
    } catch (const std::bad_alloc&) {
      return;  // it goes without
    }
  }
  prefetcher_ = std::make_unique<FilePrefetcher>(file_, path_, AlignDown(offset, kBlockBytes),
                                                 limit, memory_.buffer.data());
}

bool SegmentScanner::FillFromPrefetcher(uint64_t offset, uint64_t bytes) {
  const std::string_view got = prefetcher_->Get(offset, bytes);
  if (got.empty()) {
    prefetcher_.reset();
    window_bytes_ = 0;
    return false;
  }
  const bool goes_on = offset >= window_offset_ && offset < window_offset_ + window_bytes_;
  bytes_read_ += got.size() - (goes_on ? window_offset_ + window_bytes_ - offset : 0);
  window_ = got.data();
  window_offset_ = offset;
  window_bytes_ = got.size();
  return true;
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
    absl::StatusOr<std::string_view> bytes = Fetch(at, kWindowBytes, limit);
    if (!bytes.ok()) return bytes.status();
    if (bytes->empty()) break;
    if (size_t end = NonzeroEnd(*bytes); end > 0) {
      remnants.nonzero_end = at + end;
      for (uint64_t i = 0; i + kGroupHeaderBytes <= bytes->size(); i += kGroupUnitBytes) {
        if (!HasGroupMagic(bytes->data() + i)) continue;
        GroupHeader header;
        uint64_t checksum;
        if (!DecodeGroupHeader(bytes->data() + i, salt_, at + i, &header, &checksum)) continue;
        remnants.durable_lsn = std::max(remnants.durable_lsn, header.durable_lsn);
        remnants.groups_end =
            std::max(remnants.groups_end, std::min<uint64_t>(at + i + header.group_bytes, limit));
      }
    }
    // Step so that a header across two reads is seen whole in the second.
    if (bytes->size() < kWindowBytes) break;
    at += AlignDown(bytes->size() - kGroupHeaderBytes, kGroupUnitBytes);
  }
  return remnants;
}

}  // namespace seawall
