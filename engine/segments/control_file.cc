// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/control_file.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"

namespace seawall {

absl::StatusOr<ControlBlock> ReadControl(FileSystem* fs, const std::string& directory,
                                         bool* newest_may_be_lost) {
  const std::string path = JoinPath(directory, kControlName);
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, path, OpenOptions());
  if (!file.ok()) return file.status();
  std::string slots(kControlSlots * kControlSlotBytes, '\0');
  absl::StatusOr<size_t> got = ReadAt(file->get(), path, 0, slots.size(), slots.data());
  if (!got.ok()) return got.status();
  ControlBlock newest;
  bool found = false;
  std::array<bool, kControlSlots> valid = {};
  absl::Status failure =
      DamageStatus(path, 0,
                   absl::StrCat("expected a valid control block in one of ", kControlSlots,
                                " slots, found none in ", *got, " bytes"));
  for (uint64_t i = 0; i < kControlSlots; ++i) {
    ControlBlock block;
    uint32_t version = 0;
    switch (DecodeControlBlock(slots.data() + i * kControlSlotBytes, &block, &version)) {
      case DecodeResult::kValid:
        if (!found || block.sequence > newest.sequence) newest = block;
        found = valid[i] = true;
        break;
      case DecodeResult::kNewer:
        // Not if another slot is valid: a newer Seawall writes all before it changes anything
        // else, so that this is a flipped bit, or an upgrade that was cut short.
        failure = absl::UnimplementedError(
            absl::StrCat(path, ", offset ", i * kControlSlotBytes, ": expected format version ",
                         kFormatVersion, " without unknown features, found version ", version,
                         ": a newer Seawall wrote this log"));
        break;
      case DecodeResult::kZero:
      case DecodeResult::kInvalid:
        break;
    }
  }
  if (!found) return failure;
  if (newest_may_be_lost != nullptr) {
    *newest_may_be_lost = !valid[(newest.sequence + 1) % kControlSlots];
  }
  return newest;
}

absl::Status CheckLogId(const std::string& directory, const std::optional<LogId>& expected,
                        const LogId& found) {
  if (!expected.has_value() || *expected == found) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(JoinPath(directory, kControlName), ", offset ", kLogIdOffset,
                   ": expected log id ", LogIdToString(*expected), " (expected_id), found ",
                   LogIdToString(found), ": another log is in its place"));
}

ControlFile::ControlFile(std::string path, std::unique_ptr<File> file, uint64_t sequence)
    : path_(std::move(path)), file_(std::move(file)), sequence_(sequence) {}

absl::StatusOr<std::unique_ptr<ControlFile>> ControlFile::Create(FileSystem* fs,
                                                                 const std::string& directory,
                                                                 const ControlBlock& block) {
  const std::string path = JoinPath(directory, kControlName);
  const std::string temporary = JoinPath(directory, kControlTemporaryName);
  OpenOptions open;
  open.write = true;
  open.create = true;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, temporary, open);
  if (!file.ok()) return file.status();
  std::unique_ptr<ControlFile> control(new ControlFile(path, std::move(*file), block.sequence));
  absl::Status status = control->WriteAll(block);
  if (!status.ok()) return status;
  int error = fs->Rename(temporary, path);
  if (error != 0) return ErrnoStatus(error, "rename to", path);
  status = SyncDirectory(fs, directory);
  if (!status.ok()) return status;
  return control;
}

absl::StatusOr<std::unique_ptr<ControlFile>> ControlFile::Open(FileSystem* fs,
                                                               const std::string& directory,
                                                               const ControlBlock& current) {
  const std::string path = JoinPath(directory, kControlName);
  OpenOptions open;
  open.write = true;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, path, open);
  if (!file.ok()) return file.status();
  return std::unique_ptr<ControlFile>(new ControlFile(path, std::move(*file), current.sequence));
}

absl::Status ControlFile::Write(ControlBlock block) {
  if (failed_) {
    return absl::FailedPreconditionError(
        absl::StrCat("write ", path_, ": an earlier write or sync of it failed"));
  }
  failed_ = true;  // until it is known to have worked
  block.sequence = ++sequence_;
  std::string slot(kControlSlotBytes, '\0');
  EncodeControlBlock(block, slot.data());
  absl::Status status =
      WriteAt(file_.get(), path_, block.sequence % kControlSlots * kControlSlotBytes, slot);
  if (status.ok()) status = SyncFile(file_.get(), path_, File::SyncKind::kData);
  failed_ = !status.ok();
  return status;
}

absl::Status ControlFile::WriteAll(const ControlBlock& block) {
  absl::Status status;
  for (uint64_t i = 0; status.ok() && i < kControlSlots; ++i) status = Write(block);
  return status;
}

}  // namespace seawall
