// SPDX-License-Identifier: Apache-2.0
#include "engine/io/log_place.h"

#include <cerrno>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

// Whether this error of syncing a directory says that it cannot be done at all: fsync(2) has EINVAL
// for what has no such thing. Any other may have lost the name.
bool CannotBeSynced(int error) {
  return error == EACCES || error == EPERM || error == EINVAL || error == EOPNOTSUPP ||
         error == ENOSYS;
}

absl::Status SyncName(FileSystem* fs, const std::string& directory) {
  const std::string parent = ParentDirectory(directory);
  int error = fs->SyncDirectory(parent);
  if (error == 0) return absl::OkStatus();
  absl::Status status = ErrnoStatus(error, "fsync directory", parent);
  if (!CannotBeSynced(error)) return status;
  std::unique_ptr<Directory> handle;
  if (fs->OpenDirectory(directory, &handle) != 0) return status;
  error = handle->SyncFileSystem();
  if (error == 0) return absl::OkStatus();
  return CannotBeSynced(error) ? status : ErrnoStatus(error, "syncfs", directory);
}

}  // namespace

absl::StatusOr<bool> MakePlace(FileSystem* fs, const std::string& directory) {
  const int error = fs->MakeDirectory(directory);
  if (error != 0 && error != EEXIST) return ErrnoStatus(error, "mkdir", directory);
  const bool made = error == 0;
  absl::Status status = SyncName(fs, directory);
  if (status.ok()) return made;
  // The kernel may have marked the name clean, so that a later sync of the parent would report
  // success without writing it. What was there before is not ours to remove.
  if (made) (void)fs->RemoveDirectory(directory);
  return status;
}

absl::Status CheckPlaceIsEmpty(FileSystem* fs, const std::string& directory) {
  std::vector<std::string> names;
  const int error = fs->List(directory, &names);
  if (error == ENOTDIR) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, ": expected a directory, found a file"));
  }
  if (error != 0) return ErrnoStatus(error, "list", directory);
  for (const std::string& name : names) {
    if (name == kLostAndFoundName) continue;
    return absl::FailedPreconditionError(absl::StrCat(
        directory, ": expected no such directory or an empty one, found \"", name, "\""));
  }
  return absl::OkStatus();
}

}  // namespace seawall
