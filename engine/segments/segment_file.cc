// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/segment_file.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

using HeaderBlock = std::array<char, kSegmentHeaderBytes>;

// Asked when a name cannot be read as a segment's: of those that can, there may be very many.
absl::Status CheckRegular(FileSystem* fs, const std::string& path) {
  FileInfo info;
  const int error = fs->Stat(path, &info);
  if (error != 0) return ErrnoStatus(error, "stat", path);
  if (info.is_regular) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, ": expected a segment file, found ",
                   info.is_directory ? "a directory" : "something else"));
}

absl::Status OpenAndRead(FileSystem* fs, SegmentFile* found, HeaderBlock* block) {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, found->path, OpenOptions());
  if (!file.ok()) return file.status();
  found->file = std::move(*file);
  const int error = found->file->Size(&found->bytes);
  if (error != 0) return ErrnoStatus(error, "fstat", found->path);
  absl::StatusOr<size_t> got =
      ReadAt(found->file.get(), found->path, 0, block->size(), block->data());
  if (!got.ok()) return got.status();
  std::fill(block->begin() + static_cast<std::ptrdiff_t>(*got), block->end(), '\0');
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<uint64_t>> ListGenerations(FileSystem* fs,
                                                      const std::string& directory) {
  std::vector<std::string> names;
  const int error = fs->List(directory, &names);
  if (error != 0) return ErrnoStatus(error, "list", directory);
  std::vector<uint64_t> generations;
  for (const std::string& name : names) {
    if (std::optional<uint64_t> generation = ParseSegmentName(name)) {
      generations.push_back(*generation);
    }
  }
  std::sort(generations.begin(), generations.end());
  return generations;
}

absl::StatusOr<SegmentFile> ReadSegmentFile(FileSystem* fs, const std::string& directory,
                                            uint64_t generation, const LogId* log_id) {
  SegmentFile found;
  found.generation = generation;
  found.path = JoinPath(directory, SegmentName(generation));
  HeaderBlock block;
  absl::Status status = OpenAndRead(fs, &found, &block);
  if (!status.ok()) {
    const absl::Status regular = CheckRegular(fs, found.path);
    return absl::IsFailedPrecondition(regular) ? regular : status;
  }
  uint32_t version = 0;
  switch (DecodeSegmentHeader(block.data(), &found.header, &version)) {
    case DecodeResult::kZero:
    case DecodeResult::kInvalid:
      status = CheckRegular(fs, found.path);
      if (!status.ok()) return status;
      return found;
    case DecodeResult::kNewer:
      return absl::UnimplementedError(absl::StrCat(
          found.path, ", offset 0: expected format version ", kFormatVersion,
          " without unknown features, found version ", version, ": a newer Seawall wrote it"));
    case DecodeResult::kValid:
      break;
  }
  if (log_id != nullptr && found.header.log_id != *log_id) {
    found.kind = FileKind::kForeign;
    return found;
  }
  if (found.header.generation != generation) {
    found.kind = FileKind::kMislabelled;
  } else {
    found.kind = found.header.state == SegmentState::kBegun ? FileKind::kBegun : FileKind::kSpare;
  }
  return found;
}

absl::Status CheckEntry(const SegmentFile& file, const ControlBlock& control) {
  const auto entry =
      std::find_if(control.entries.begin(), control.entries.end(),
                   [&file](const ControlEntry& e) { return e.generation == file.generation; });
  if (entry == control.entries.end()) return absl::OkStatus();
  if (file.bytes < entry->allocated_bytes) {
    return DamageStatus(file.path, file.bytes,
                        absl::StrCat("expected at least ", entry->allocated_bytes,
                                     " bytes, found the end of the file"));
  }
  if ((file.kind == FileKind::kSpare || file.kind == FileKind::kBegun) &&
      file.header.salt != entry->salt) {
    return DamageStatus(file.path, kSaltOffset,
                        absl::StrCat("expected salt ", entry->salt, ", found ", file.header.salt,
                                     ": another file stands in this segment's place"));
  }
  return absl::OkStatus();
}

absl::Status MissingSegment(const std::string& directory, uint64_t generation,
                            std::string_view why) {
  return absl::DataLossError(absl::StrCat(JoinPath(directory, SegmentName(generation)),
                                          ", offset 0: expected segment ", generation, " (",
                                          std::string(why), "), found no such file"));
}

absl::Status ForeignSegment(const SegmentFile& file, const LogId& log_id) {
  return absl::DataLossError(absl::StrCat(
      file.path, ", offset ", kLogIdOffset, ": expected log id ", LogIdToString(log_id), ", found ",
      LogIdToString(file.header.log_id), ": a segment of another log"));
}

absl::Status MislabelledSegment(const SegmentFile& file) {
  return DamageStatus(file.path, kGenerationOffset,
                      absl::StrCat("expected the header of generation ", file.generation,
                                   ", found that of generation ", file.header.generation));
}

absl::Status CheckSealed(const SegmentFile& file, const LogId& log_id) {
  switch (file.kind) {
    case FileKind::kBegun:
      return absl::OkStatus();
    case FileKind::kForeign:
      return ForeignSegment(file, log_id);
    case FileKind::kMislabelled:
      return MislabelledSegment(file);
    case FileKind::kSpare:
    case FileKind::kUnreadable:
      break;
  }
  return DamageStatus(file.path, 0,
                      "expected the header of a sealed segment, found none that is valid");
}

}  // namespace seawall
