// SPDX-License-Identifier: Apache-2.0
// The one decoder: finds groups in a segment file. Recovery, readers, dump and verify all read
// through it, so that they cannot disagree on what is in a file.
#ifndef SEAWALL_ENGINE_SEGMENTS_SEGMENT_SCANNER_H_
#define SEAWALL_ENGINE_SEGMENTS_SEGMENT_SCANNER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/io/file_prefetcher.h"

namespace seawall {

// A group with a valid header. `bytes` points into the scanner until its next read.
struct Group {
  GroupHeader header;
  uint64_t offset = 0;
  uint64_t checksum = 0;
  std::string_view bytes;

  uint64_t end() const { return offset + header.group_bytes; }
};

// What lies behind the last good group.
struct Remnants {
  // The highest watermark of any valid group header found.
  Lsn durable_lsn = 0;
  // The end of the last such group, or `from` if there is none.
  uint64_t groups_end = 0;
  // One past the last byte that is not zero, or `from` if all are zero.
  uint64_t nonzero_end = 0;
};

// What one scanner leaves to the next.
struct ScanMemory {
  AlignedBuffer buffer;
  // False where as many scan at once as there are processors: a long scan reads ahead otherwise.
  bool may_prefetch = true;
};

// Thread-compatible. `file` is not owned, and outlives this.
class SegmentScanner {
 public:
  // `memory`: that of a scanner before, to go on with.
  SegmentScanner(File* file, std::string path, uint64_t salt, ScanMemory memory = ScanMemory());

  enum class Found {
    kGroup,     // header valid, all its bytes are there; records not yet checked
    kNothing,   // no valid group header here
    kCutShort,  // a valid header of a group that goes beyond `limit`; group->bytes is empty
  };
  // Looks for a group at `offset`. Nothing at or behind `limit` is looked at: it is the end of the
  // file, or of what a live writer has published.
  absl::StatusOr<Found> ReadGroup(uint64_t offset, uint64_t limit, Group* group);

  // Checks each record of a group. DataLoss at the first bad one.
  absl::Status CheckRecords(const Group& group) const;

  // Reads all of [from, limit), looking for valid group headers at every place one may begin.
  absl::StatusOr<Remnants> Survey(uint64_t from, uint64_t limit);

  const std::string& path() const { return path_; }
  uint64_t salt() const { return salt_; }
  // Bytes read from the file so far.
  uint64_t bytes_read() const { return bytes_read_; }
  // For the next scanner; this one is done.
  ScanMemory TakeMemory();

 private:
  // Makes [offset, offset + bytes) available if it lies below limit; the view is shorter at the
  // end of the file.
  absl::StatusOr<std::string_view> Fetch(uint64_t offset, uint64_t bytes, uint64_t limit);
  // Reads so that the buffer begins at `offset` and has `bytes` of the file, or all to its end.
  absl::Status Fill(uint64_t offset, uint64_t bytes, uint64_t limit);
  void StartPrefetching(uint64_t offset, uint64_t limit);
  // False if prefetcher_ does not have that; it is gone then, and what was in memory_.
  bool FillFromPrefetcher(uint64_t offset, uint64_t bytes);

  File* const file_;
  const std::string path_;
  const uint64_t salt_;
  ScanMemory memory_;
  bool may_prefetch_;  // from here on; not a second time
  // Somewhere in memory_: [window_offset_, window_offset_ + window_bytes_) of the file.
  const char* window_ = nullptr;
  uint64_t window_offset_ = 0;
  uint64_t window_bytes_ = 0;
  uint64_t next_read_bytes_ = 0;
  bool advised_ = false;
  uint64_t bytes_read_ = 0;
  std::unique_ptr<FilePrefetcher> prefetcher_;  // in memory_, while it is of use
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_SEGMENT_SCANNER_H_
