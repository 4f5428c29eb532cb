// SPDX-License-Identifier: Apache-2.0
#include "engine/log/log_directory.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

std::string LockHolder(File* lock, const std::string& path) {
  char text[32] = {};
  absl::StatusOr<size_t> got = ReadAt(lock, path, 0, sizeof(text) - 1, text);
  std::string pid = got.ok() ? std::string(absl::StripSuffix(text, "\n")) : std::string();
  return pid.empty() ? "another process" : absl::StrCat("process ", pid);
}

}  // namespace

absl::StatusOr<bool> CheckDirectory(FileSystem* fs, const std::string& directory,
                                    const Options& options) {
  FileInfo info;
  const std::string control = JoinPath(directory, kControlName);
  int error = fs->Stat(control, &info);
  if (error == 0) return true;
  if (error != ENOENT) return ErrnoStatus(error, "stat", control);
  if (!options.create_if_missing) {
    return absl::NotFoundError(
        absl::StrCat("no log in ", directory, ", and create_if_missing is not set"));
  }
  return false;
}

// If its name cannot be made durable, the directory is removed again: the kernel may have marked
// the name clean, so that a later sync of the parent would report success without writing it.
absl::Status MakeDirectory(FileSystem* fs, const std::string& directory) {
  const int error = fs->MakeDirectory(directory);
  if (error != 0 && error != EEXIST) return ErrnoStatus(error, "mkdir", directory);
  absl::Status status = SyncDirectory(fs, ParentDirectory(directory));
  // Best effort. What was there before is not ours to remove.
  if (!status.ok() && error == 0) (void)fs->RemoveDirectory(directory);
  return status;
}

// flock(2): the lock goes with the process, however that ends.
absl::StatusOr<std::unique_ptr<DirectoryLock>> TakeLock(FileSystem* fs,
                                                        const std::string& directory) {
  const std::string path = JoinPath(directory, kLockName);
  OpenOptions open;
  open.write = true;
  open.create = true;
  absl::StatusOr<std::unique_ptr<File>> lock = OpenFile(fs, path, open);
  if (!lock.ok()) return lock.status();
  int error;
  do {
    error = (*lock)->TryLock();
  } while (error == EINTR);
  if (error == EWOULDBLOCK) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": the log is open in ", LockHolder(lock->get(), path),
        "; one process at a time may write it, others can read it with Reader::OpenReadOnly"));
  }
  if (error != 0) return ErrnoStatus(error, "flock", path);
  // For people who wonder who has it; nothing depends on it.
  if ((*lock)->Truncate(0) == 0) {
    (void)WriteAt(lock->get(), path, 0, absl::StrCat(getpid(), "\n"));
  }
  return std::make_unique<DirectoryLock>(std::move(*lock));
}

}  // namespace seawall
