// SPDX-License-Identifier: Apache-2.0
#include "engine/log/log_directory.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/segments/control_file.h"

namespace seawall {
namespace {

// OK if a lock was taken, or FailedPrecondition if `holder` has it.
absl::Status LockStatus(int error, const std::string& path, const std::string& holder,
                        const char* what) {
  if (error == 0) return absl::OkStatus();
  if (error != EWOULDBLOCK) return ErrnoStatus(error, "flock", path);
  return absl::FailedPreconditionError(absl::StrCat(
      path, ": the log is open in ", holder.empty() ? "another process" : holder, what,
      "; one process at a time may write it, others can read it with Reader::OpenReadOnly"));
}

}  // namespace

absl::StatusOr<bool> CheckDirectory(FileSystem* fs, const std::string& directory,
                                    const Options& options) {
  if (options.expected_id.has_value()) {
    absl::StatusOr<ControlBlock> control = ReadControl(fs, directory);
    if (absl::IsNotFound(control.status())) {
      return absl::NotFoundError(absl::StrCat("no log in ", directory, ": expected log id ",
                                              LogIdToString(*options.expected_id),
                                              " (expected_id)"));
    }
    absl::Status status = control.status();
    if (status.ok()) status = CheckLogId(directory, options.expected_id, control->log_id);
    if (!status.ok()) return status;
  }
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

// flock(2): the lock goes with the process, however that ends. Whoever can open a file can lock it,
// so LOCK is for its owner only; and it is never followed elsewhere, as it is written to.
absl::StatusOr<std::unique_ptr<DirectoryLock>> TakeLock(Directory* directory) {
  const std::string path = JoinPath(directory->path(), kLockName);
  OpenOptions open;
  open.write = true;
  open.create = true;
  open.mode = 0600;
  open.tighten_mode = true;
  open.no_follow = true;
  open.close_on_fork = true;
  std::unique_ptr<File> lock;
  int error;
  do {
    error = directory->Open(kLockName, open, &lock);
  } while (error == EINTR);
  if (error != 0) return ErrnoStatus(error, "create", path);
  do {
    error = lock->TryLock();
  } while (error == EINTR);
  absl::Status status = LockStatus(error, path, error == EWOULDBLOCK ? lock->LockHolder() : "", "");
  if (!status.ok()) return status;
  // A writer may have locked a LOCK that is not the one of that name any more.
  std::unique_ptr<File> directory_lock;
  std::string holder;
  do {
    error = directory->TryLock(&directory_lock, &holder);
  } while (error == EINTR);
  status = LockStatus(error, directory->path(), holder,
                      ", whose LOCK was deleted or replaced (the directory is locked, too)");
  if (!status.ok()) return status;
  // For people who wonder who has it; nothing depends on it.
  if (lock->Truncate(0) == 0) {
    (void)WriteAt(lock.get(), path, 0, absl::StrCat(getpid(), "\n"));
  }
  return std::make_unique<DirectoryLock>(std::move(lock), std::move(directory_lock));
}

}  // namespace seawall
