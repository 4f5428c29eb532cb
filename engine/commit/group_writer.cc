// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/group_writer.h"

#include <cstring>
#include <string_view>
#include <utility>

#include "engine/format/format.h"

namespace seawall {
namespace {

// Writes from here on go around the page cache, whoever reads.
constexpr uint64_t kDirectWriteBytes = uint64_t{256} << 10;
// Smaller ones that are to be synced as well, when so much was written since somebody read from the
// segment being written.
constexpr uint64_t kUnreadBytes = uint64_t{16} << 20;

}  // namespace

GroupWriter::GroupWriter(const Options& options, Preallocator* preallocator, Watermarks* marks)
    : options_(options),
      unit_(WriteUnit(options)),
      preallocator_(preallocator),
      marks_(marks),
      tail_block_(kBlockBytes) {}

void GroupWriter::Start(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest) {
  segment_ = std::move(segment);
  end_ = end;
  digest_ = digest;
}

absl::Status GroupWriter::Write(GroupBuffer* buffer, Lsn durable_lsn, const CursorTable* cursors,
                                bool sync_follows) {
  buffer->WaitForCopies();
  const GroupBuffer::Group& group = buffer->group();
  char* const memory = buffer->memory();
  const uint64_t end =
      AlignUp(group.origin + buffer->end(), options_.group_alignment_bytes) - group.origin;
  const uint64_t write_end = AlignUp(end, unit_);
  std::memset(memory + buffer->end(), 0, write_end - buffer->end());

  std::shared_ptr<WritableSegment> predecessor;
  const uint64_t predecessor_end = end_;
  if (group.begins_segment) {
    predecessor = BeginSegment(buffer, cursors);
  } else {
    std::memcpy(memory, tail_block_.data(), group.head);
  }
  const uint64_t checksum = Seal(buffer, end - group.head, durable_lsn);
  NoteInIndex(*buffer);
  io_began_ = std::chrono::steady_clock::now();
  absl::Status status =
      WriteToSegment(group.origin, std::string_view(memory, write_end), sync_follows);
  io_ended_ = std::chrono::steady_clock::now();
  if (!status.ok()) return status;
  if (group.begins_segment) {
    preallocator_->Begin(*segment_, std::move(predecessor), predecessor_end,
                         segment_->header.predecessor_digest);
  }
  end_ = group.origin + end;
  bytes_written_ += write_end;
  digest_ = ExtendDigest(digest_, checksum);
  const uint64_t filled = end % unit_;
  std::memcpy(tail_block_.data(), memory + end - filled, filled);
  return absl::OkStatus();
}

// Nobody is led there before the group can be read: its LSNs cannot.
void GroupWriter::NoteInIndex(const GroupBuffer& buffer) {
  const GroupBuffer::Group& group = buffer.group();
  SegmentIndex* const index = segment_->index.get();
  index->NoteGroup({group.first_lsn, group.origin + group.head, digest_});
  if (buffer.end() - group.head <= kSmallGroupBytes) return;
  buffer.ForEachMark([&](const GroupBuffer::MarkedRecord& record) {
    if (record.number == 0) return;  // the group's entry leads there
    index->NoteRecord({group.first_lsn + record.number, group.origin + record.at});
  });
}

// Around the page cache, which would cost a copy of what it will not be asked for, and more of the
// processor in the sync; through it for who waits only until the kernel has it, and while somebody
// reads what was just written, and would have to wait for the disk. PostgreSQL decides so, by its
// configuration: O_DIRECT unless the log is archived or streamed (get_sync_bit() in xlog.c). Linux
// keeps the two ways coherent: a direct write first writes back, then drops, what the cache has of
// its range (open(2), "O_DIRECT", advises against mixing them only for the speed of that).
absl::Status GroupWriter::WriteToSegment(uint64_t offset, std::string_view bytes,
                                         bool sync_follows) {
  if (marks_->TakeTailRead()) cached_until_ = bytes_written_ + kUnreadBytes;
  const bool unread = bytes_written_ >= cached_until_;
  const bool direct = (sync_follows && unread) || bytes.size() >= kDirectWriteBytes;
  if (direct && segment_->direct != nullptr && offset % kBlockBytes == 0 &&
      bytes.size() % kBlockBytes == 0) {
    absl::Status status = WriteAt(segment_->direct.get(), segment_->path, offset, bytes);
    // It wants another alignment, or wrote a part that has another one.
    if (!absl::IsInvalidArgument(status)) return status;
    segment_->direct.reset();
  }
  return WriteAt(segment_->file.get(), segment_->path, offset, bytes);
}

// The header of a segment, and the cursors as they stand, are written with its first group: the
// segments before may be trimmed from then on. Returns the segment before.
std::shared_ptr<WritableSegment> GroupWriter::BeginSegment(GroupBuffer* buffer,
                                                           const CursorTable* cursors) {
  const GroupBuffer::Group& group = buffer->group();
  std::shared_ptr<WritableSegment> predecessor = std::exchange(segment_, group.segment);
  SegmentHeader& header = segment_->header;
  header.state = SegmentState::kBegun;
  header.base_lsn = group.first_lsn;
  header.durable_lsn = group.first_lsn - 1;
  header.predecessor_generation = predecessor->header.generation;
  header.predecessor_end = end_;
  header.predecessor_digest = std::exchange(digest_, 0);
  header.cursors = cursors != nullptr;
  EncodeSegmentHeader(header, buffer->memory());
  if (cursors != nullptr) {
    EncodeCursorArea(*cursors, header.salt, buffer->memory() + kSegmentHeaderBytes);
  }
  return predecessor;
}

// Returns the checksum of the group's header.
uint64_t GroupWriter::Seal(GroupBuffer* buffer, uint64_t group_bytes, Lsn durable_lsn) {
  const GroupBuffer::Group& group = buffer->group();
  GroupHeader header;
  header.group_bytes = static_cast<uint32_t>(group_bytes);
  header.record_count = buffer->record_count();
  header.first_lsn = group.first_lsn;
  header.durable_lsn = durable_lsn;
  header.sealed_unix_micros = UnixMicros();
  return EncodeGroupHeader(header, segment_->header.salt, group.origin + group.head,
                           buffer->memory() + group.head);
}

absl::Status GroupWriter::WriteCursors(const CursorTable& cursors) {
  if (cursor_slot_.size() == 0) cursor_slot_ = AlignedBuffer(kCursorSlotBytes);
  EncodeCursorSlot(cursors, segment_->header.salt, cursor_slot_.data());
  absl::Status status =
      WriteAt(segment_->file.get(), segment_->path, CursorSlotOffset(cursors.sequence),
              std::string_view(cursor_slot_.data(), kCursorSlotBytes));
  if (status.ok()) bytes_written_ += kCursorSlotBytes;
  return status;
}

absl::Status GroupWriter::Sync() {
  io_began_ = std::chrono::steady_clock::now();
  absl::Status status = SyncFile(segment_->file.get(), segment_->path, SyncKindOf(options_));
  io_ended_ = std::chrono::steady_clock::now();
  return status;
}

}  // namespace seawall
