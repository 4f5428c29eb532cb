// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/fresh_segment.h"

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine/io/file_io.h"
#include "engine/segments/segment_scanner.h"

namespace seawall {
namespace {

constexpr uint64_t kCopyBytes = uint64_t{1} << 20;

// Appends groups to a fresh segment, re-sealed for their new place, in writes of whole blocks.
// Memory: kCopyBytes and the largest group.
class GroupCopier {
 public:
  GroupCopier(const Options& options, FreshSegment* to)
      : unit_(options.group_alignment_bytes), to_(to) {}

  // Takes the records of `group` up to `last_lsn`.
  absl::Status Copy(const SegmentScanner& from, const Group& group, Lsn last_lsn) {
    SealGroup(unit_);
    if (used_ >= kCopyBytes) {
      absl::Status status = WriteBlocks();
      if (!status.ok()) return status;
    }
    Reserve(used_ + group.bytes.size() + kBlockBytes);
    group_at_ = used_;
    header_ = group.header;
    header_.record_count = 0;
    used_ += kGroupHeaderBytes;
    SegmentIndex* const index = to_->segment->index.get();
    index->NoteGroup({header_.first_lsn, to_->end + group_at_, to_->digest});
    const uint64_t salt = to_->segment->header.salt;
    RecordCursor cursor(group.bytes, group.header, from.salt());
    Record record;
    RecordCursor::Result result;
    while ((result = cursor.Next(&record)) == RecordCursor::Result::kRecord &&
           record.lsn <= last_lsn) {
      uint32_t flags = record.batch_continues && record.lsn < last_lsn ? kRecordBatchContinues : 0;
      EncodeRecord(record.payload, record.lsn, flags, salt, buffer_.data() + used_);
      if (header_.record_count > 0 && group.bytes.size() > kSmallGroupBytes) {
        index->NoteRecord({record.lsn, to_->end + used_});
      }
      used_ += EncodedRecordBytes(record.payload.size());
      ++header_.record_count;
    }
    if (result == RecordCursor::Result::kBad) {
      return DamageStatus(from.path(), group.offset + cursor.record_offset(), cursor.error());
    }
    return absl::OkStatus();
  }

  // Writes all. The last group is padded to a block, so that no later write touches its blocks.
  absl::Status Finish() {
    SealGroup(kBlockBytes);
    return WriteBlocks();
  }

 private:
  // Completes the group that was taken last: its end is a multiple of `unit`.
  void SealGroup(uint64_t unit) {
    if (header_.record_count == 0) return;
    const uint64_t offset = to_->end + group_at_;
    uint64_t end = AlignUp(to_->end + used_, unit) - to_->end;
    Reserve(end);
    std::memset(buffer_.data() + used_, 0, end - used_);
    used_ = end;
    header_.group_bytes = static_cast<uint32_t>(used_ - group_at_);
    uint64_t checksum =
        EncodeGroupHeader(header_, to_->segment->header.salt, offset, buffer_.data() + group_at_);
    to_->digest = ExtendDigest(to_->digest, checksum);
    to_->copied_records += header_.record_count;
    header_.record_count = 0;
  }

  // Writes the whole blocks that are complete; the rest moves to the front.
  absl::Status WriteBlocks() {
    uint64_t bytes = AlignDown(used_, kBlockBytes);
    absl::Status status = WriteAt(to_->segment->file.get(), to_->segment->path, to_->end,
                                  std::string_view(buffer_.data(), bytes));
    if (!status.ok()) return status;
    std::memmove(buffer_.data(), buffer_.data() + bytes, used_ - bytes);
    used_ -= bytes;
    to_->end += bytes;
    return absl::OkStatus();
  }

  void Reserve(uint64_t bytes) {
    if (buffer_.size() >= bytes) return;
    AlignedBuffer larger(AlignUp(std::max(bytes, 2 * kCopyBytes), kBlockBytes));
    if (used_ > 0) std::memcpy(larger.data(), buffer_.data(), used_);
    buffer_ = std::move(larger);
  }

  const uint64_t unit_;
  FreshSegment* const to_;
  // Bytes of the file from to_->end on, a block boundary; the last group begins at group_at_ and
  // is not sealed while header_.record_count > 0.
  AlignedBuffer buffer_;
  uint64_t used_ = 0;
  uint64_t group_at_ = 0;
  GroupHeader header_;
};

absl::Status CopyGroups(FileSystem* fs, const Options& options, const CopySource& source,
                        FreshSegment* fresh) {
  if (source.fs != nullptr) fs = source.fs;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, source.path, OpenOptions());
  if (!file.ok()) return file.status();
  SegmentScanner scanner(file->get(), source.path, source.salt);
  GroupCopier copier(options, fresh);
  for (uint64_t at = source.from; at < source.to;) {
    Group group;
    absl::StatusOr<SegmentScanner::Found> found = scanner.ReadGroup(at, source.to, &group);
    if (!found.ok()) return found.status();
    if (*found != SegmentScanner::Found::kGroup) {
      return DamageStatus(source.path, at, "expected the group that was here before");
    }
    if (group.header.first_lsn > source.last_lsn) break;
    absl::Status status = copier.Copy(scanner, group, source.last_lsn);
    if (!status.ok()) return status;
    at = group.end();
  }
  return copier.Finish();
}

absl::Status FillFresh(FileSystem* fs, const std::string& directory, const Options& options,
                       const CopySource* source, const CursorTable* cursors, FreshSegment* fresh) {
  WritableSegment* segment = fresh->segment.get();
  fresh->end = segment->header.groups_begin();
  if (cursors != nullptr) {
    AlignedBuffer area(kCursorAreaBytes);
    EncodeCursorArea(*cursors, segment->header.salt, area.data());
    absl::Status status = WriteAt(segment->file.get(), segment->path, kSegmentHeaderBytes,
                                  std::string_view(area.data(), kCursorAreaBytes));
    if (!status.ok()) return status;
  }
  if (source != nullptr) {
    absl::Status status = CopyGroups(fs, options, *source, fresh);
    if (!status.ok()) return status;
  }
  fresh->allocated_bytes = std::max(fresh->end, NextAllocation(fresh->end, options));
  absl::Status status =
      WriteZeros(segment->file.get(), segment->path, fresh->end, fresh->allocated_bytes);
  if (!status.ok()) return status;
  status = SyncFile(segment->file.get(), segment->path, SyncKindOf(options));
  if (!status.ok()) return status;
  return SyncDirectory(fs, directory);
}

}  // namespace

absl::StatusOr<FreshSegment> PrepareFresh(FileSystem* fs, const std::string& directory,
                                          const Options& options, SegmentHeader header,
                                          const CopySource* source, const CursorTable* cursors) {
  header.state = SegmentState::kBegun;
  header.cursors = cursors != nullptr;
  auto segment = CreateSegmentFile(fs, directory, options, header);
  if (!segment.ok()) return segment.status();
  FreshSegment fresh;
  fresh.segment = std::move(*segment);
  absl::Status status = FillFresh(fs, directory, options, source, cursors, &fresh);
  if (!status.ok()) {
    fs->Unlink(fresh.segment->path);  // best effort, as above
    return status;
  }
  return fresh;
}

absl::Status CommitFresh(const Options& options, const FreshSegment& fresh) {
  const WritableSegment& segment = *fresh.segment;
  absl::Status status = WriteHeader(segment);
  if (!status.ok()) return status;
  return SyncFile(segment.file.get(), segment.path, SyncKindOf(options));
}

}  // namespace seawall
