// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/spare_segment.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/random.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

absl::Status FillSpare(WritableSegment* segment, const Options& options,
                       uint64_t* allocated_bytes) {
  *allocated_bytes = NextAllocation(0, options);
  absl::Status status =
      WriteZeros(segment->file.get(), segment->path, kSegmentHeaderBytes, *allocated_bytes);
  if (!status.ok()) return status;
  status = WriteHeader(*segment);
  if (!status.ok()) return status;
  return SyncFile(segment->file.get(), segment->path, SyncKindOf(options));
}

}  // namespace

absl::StatusOr<std::unique_ptr<WritableSegment>> CreateSpare(
    FileSystem* fs, const std::string& directory, const Options& options, const LogId& log_id,
    uint64_t generation, uint64_t* allocated_bytes) {
  SegmentHeader header;
  header.log_id = log_id;
  header.generation = generation;
  auto segment = CreateSegmentFile(fs, directory, options, header);
  if (!segment.ok()) return segment.status();
  absl::Status status = FillSpare(segment->get(), options, allocated_bytes);
  if (!status.ok()) {
    fs->Unlink((*segment)->path);  // best effort: what is left over, the next open removes
    return status;
  }
  return segment;
}

absl::StatusOr<std::unique_ptr<WritableSegment>> RecycleSegment(
    FileSystem* fs, const std::string& directory, const Options& options, const LogId& log_id,
    const std::string& old_path, uint64_t generation, uint64_t* allocated_bytes) {
  auto segment = std::make_unique<WritableSegment>();
  segment->path = JoinPath(directory, SegmentName(generation));
  segment->header.log_id = log_id;
  segment->header.generation = generation;
  segment->header.salt = RandomU64();
  segment->header.recycled = true;
  segment->header.created_unix_micros = UnixMicros();
  // Another name of the file is a copy's (backup.h), which must not see it written again. It was
  // made while CONTROL had the segment in the log, or its maker looks at CONTROL once more: a name
  // that comes behind this look is noticed there.
  FileInfo info;
  int error = fs->Stat(old_path, &info);
  if (error != 0) return ErrnoStatus(error, "stat", old_path);
  if (info.links > 1) {
    return absl::FailedPreconditionError(
        absl::StrCat(old_path, ": expected one name of the file, found ", info.links));
  }
  error = fs->Rename(old_path, segment->path);
  if (error != 0) return ErrnoStatus(error, "rename to", segment->path);
  absl::Status status = SyncDirectory(fs, directory);
  if (!status.ok()) return status;
  absl::StatusOr<std::unique_ptr<File>> file =
      OpenFile(fs, segment->path, WriteOpenOptions(options));
  if (!file.ok()) return file.status();
  segment->file = std::move(*file);
  OpenDirect(fs, options, segment.get());
  error = segment->file->Size(allocated_bytes);
  if (error != 0) return ErrnoStatus(error, "fstat", segment->path);
  *allocated_bytes = std::min(AlignDown(*allocated_bytes, kBlockBytes), options.segment_bytes);
  status = WriteHeader(*segment);
  if (!status.ok()) return status;
  status = SyncFile(segment->file.get(), segment->path, SyncKindOf(options));
  if (!status.ok()) return status;
  return segment;
}

}  // namespace seawall
