// SPDX-License-Identifier: Apache-2.0
// The directory of a log that is opened: whether there is a log, making it, and its lock.
#ifndef SEAWALL_ENGINE_LOG_LOG_DIRECTORY_H_
#define SEAWALL_ENGINE_LOG_LOG_DIRECTORY_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/file_system.h"
#include "seawall/options.h"

namespace seawall {

// The lock of a log, for as long as this lives, and for as long as this process does at most: of
// the file LOCK, and of the directory, which is still there where somebody deletes or replaces
// LOCK. Forked children do not have it (OpenOptions::close_on_fork).
class DirectoryLock {
 public:
  DirectoryLock(std::unique_ptr<File> file, std::unique_ptr<File> directory)
      : file_(std::move(file)), directory_(std::move(directory)) {}
  ~DirectoryLock() {
    if (directory_ != nullptr) (void)directory_->Unlock();
    (void)file_->Unlock();
  }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  const std::unique_ptr<File> file_;
  // nullptr where a process that may only read has the directory locked.
  const std::unique_ptr<File> directory_;
};

// What must hold before anything is touched: create_if_missing, expected_id. Returns true if there
// is a log already.
absl::StatusOr<bool> CheckDirectory(FileSystem* fs, const std::string& directory,
                                    const Options& options);

// Takes the lock: one process at a time writes a log. FailedPrecondition names the one that does.
absl::StatusOr<std::unique_ptr<DirectoryLock>> TakeLock(Directory* directory);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_LOG_LOG_DIRECTORY_H_
