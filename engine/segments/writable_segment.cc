// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/writable_segment.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "engine/base/random.h"
#include "engine/format/file_names.h"

namespace seawall {
namespace {

constexpr uint64_t kFirstStepBytes = uint64_t{256} << 10;
constexpr uint64_t kLargestStepBytes = uint64_t{16} << 20;

}  // namespace

OpenOptions WriteOpenOptions(const Options& options) {
  OpenOptions open;
  open.write = true;
  open.direct = options.direct_io;
  open.data_sync = options.sync_method == SyncMethod::kODsync;
  open.full_sync = options.sync_method == SyncMethod::kOSync;
  return open;
}

uint64_t NextAllocation(uint64_t bytes, const Options& options) {
  uint64_t step = std::min(std::max(bytes, kFirstStepBytes), kLargestStepBytes);
  return std::min(AlignUp(bytes + step, kBlockBytes), options.segment_bytes);
}

absl::StatusOr<std::unique_ptr<WritableSegment>> CreateSegmentFile(FileSystem* fs,
                                                                   const std::string& directory,
                                                                   const Options& options,
                                                                   const SegmentHeader& header) {
  auto segment = std::make_unique<WritableSegment>();
  segment->path = JoinPath(directory, SegmentName(header.generation));
  segment->header = header;
  segment->header.salt = RandomU64();
  segment->header.created_unix_micros = UnixMicros();
  OpenOptions open = WriteOpenOptions(options);
  open.create = true;
  open.exclusive = true;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, segment->path, open);
  if (!file.ok()) return file.status();
  segment->file = std::move(*file);
  OpenDirect(fs, options, segment.get());
  return segment;
}

// A file system that has no O_DIRECT, or no more files for this process: it goes without.
void OpenDirect(FileSystem* fs, const Options& options, WritableSegment* segment) {
  if (options.direct_io) return;
  OpenOptions open = WriteOpenOptions(options);
  open.direct = true;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, segment->path, open);
  if (file.ok()) segment->direct = std::move(*file);
}

absl::Status WriteHeader(const WritableSegment& segment) {
  AlignedBuffer block(kSegmentHeaderBytes);
  EncodeSegmentHeader(segment.header, block.data());
  return WriteAt(segment.file.get(), segment.path, 0,
                 std::string_view(block.data(), kSegmentHeaderBytes));
}

}  // namespace seawall
