// SPDX-License-Identifier: Apache-2.0
// The directory of a log that is opened: whether there is a log, making it, and its lock.
#ifndef SEAWALL_ENGINE_LOG_LOG_DIRECTORY_H_
#define SEAWALL_ENGINE_LOG_LOG_DIRECTORY_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/file_system.h"
#include "seawall/options.h"

namespace seawall {

// The lock of the file LOCK, for as long as this lives. Closing the file would not release it: a
// child process that was forked meanwhile has the same open file, and the lock with it.
class DirectoryLock {
 public:
  explicit DirectoryLock(std::unique_ptr<File> file) : file_(std::move(file)) {}
  ~DirectoryLock() { (void)file_->Unlock(); }
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  const std::unique_ptr<File> file_;
};

// What must hold before anything is touched. Returns true if there is a log already.
absl::StatusOr<bool> CheckDirectory(FileSystem* fs, const std::string& directory,
                                    const Options& options);

// Makes the directory, and its name durable.
absl::Status MakeDirectory(FileSystem* fs, const std::string& directory);

// Takes the lock: one process at a time writes a log. FailedPrecondition names the one that does.
absl::StatusOr<std::unique_ptr<DirectoryLock>> TakeLock(FileSystem* fs,
                                                        const std::string& directory);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_LOG_LOG_DIRECTORY_H_
