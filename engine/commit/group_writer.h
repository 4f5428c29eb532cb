// SPDX-License-Identifier: Apache-2.0
// Seals groups and writes them, each where the one before ended.
#ifndef SEAWALL_ENGINE_COMMIT_GROUP_WRITER_H_
#define SEAWALL_ENGINE_COMMIT_GROUP_WRITER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "engine/commit/group_buffer.h"
#include "engine/format/cursor_table.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/writable_segment.h"
#include "engine/store/preallocator.h"
#include "engine/store/watermarks.h"
#include "seawall/options.h"
#include "seawall/types.h"

namespace seawall {

// Writes begin and end at multiples of this.
inline uint64_t WriteUnit(const Options& options) {
  return options.group_alignment_bytes < 512 ? kBlockBytes : options.group_alignment_bytes;
}

// Belongs to the leader: one thread at a time, and what it did happens before what the next does.
class GroupWriter {
 public:
  // `preallocator` and `marks` outlive this. Of the watermarks it takes only NoteTailRead()'s hint.
  GroupWriter(const Options& options, Preallocator* preallocator, Watermarks* marks);

  // The next group goes to `segment`, where those until now end at `end`, a multiple of the block
  // size, and have this digest.
  void Start(std::shared_ptr<WritableSegment> segment, uint64_t end, uint64_t digest);

  // Seals what a closed buffer holds and writes it, with what else is in its first and last block.
  // `durable_lsn`: the watermark now. If the group begins a segment of a log that has cursors,
  // their table goes into both slots. `sync_follows`: somebody waits for that, too.
  absl::Status Write(GroupBuffer* buffer, Lsn durable_lsn, const CursorTable* cursors,
                     bool sync_follows);
  // Writes the cursors' table to its slot. The one before it is durable, in the other slot.
  absl::Status WriteCursors(const CursorTable& cursors);
  // Makes durable what was written to the segment.
  absl::Status Sync();

  // The segment that was written last, and where its groups end. The written watermark gets them
  // from here.
  uint64_t generation() const { return segment_->header.generation; }
  uint64_t end() const { return end_; }
  uint64_t digest() const { return digest_; }
  uint64_t bytes_written() const { return bytes_written_; }
  // Of the last Write() or Sync(): when its system calls began and when they had returned.
  std::chrono::steady_clock::time_point io_began() const { return io_began_; }
  std::chrono::steady_clock::time_point io_ended() const { return io_ended_; }

 private:
  std::shared_ptr<WritableSegment> BeginSegment(GroupBuffer* buffer, const CursorTable* cursors);
  absl::Status WriteToSegment(uint64_t offset, std::string_view bytes, bool sync_follows);
  void NoteInIndex(const GroupBuffer& buffer);
  uint64_t Seal(GroupBuffer* buffer, uint64_t group_bytes, Lsn durable_lsn);

  const Options options_;
  const uint64_t unit_;
  Preallocator* const preallocator_;
  Watermarks* const marks_;
  std::shared_ptr<WritableSegment> segment_;
  uint64_t end_ = 0;
  uint64_t digest_ = 0;
  uint64_t bytes_written_ = 0;
  // Until bytes_written_ is so much, small groups go through the page cache: somebody reads there.
  uint64_t cached_until_ = 0;
  std::chrono::steady_clock::time_point io_began_ = {};
  std::chrono::steady_clock::time_point io_ended_ = {};
  AlignedBuffer cursor_slot_;
  AlignedBuffer tail_block_;  // the last block of the segment, as far as it is filled
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_GROUP_WRITER_H_
