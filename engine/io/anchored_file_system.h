// SPDX-License-Identifier: Apache-2.0
// A log's directory by its handle: what is opened as one log stays one, wherever its directory
// goes.
#ifndef SEAWALL_ENGINE_IO_ANCHORED_FILE_SYSTEM_H_
#define SEAWALL_ENGINE_IO_ANCHORED_FILE_SYSTEM_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "seawall/file_system.h"

namespace seawall {

// The file system `base`, but that the files directly in `directory` are reached by a handle of the
// directory (openat(2) and its like), not by its path. So a directory that is moved, exchanged with
// another one, mounted over, or named by a relative path before a chdir(2), remains the same.
// Everything else, directories within it as well, is reached by path.
//
// Thread-safe.
class AnchoredFileSystem final : public FileSystem {
 public:
  // Opens `directory`. If that fails, error() is why, and everything goes by path. `base` outlives
  // this.
  AnchoredFileSystem(FileSystem* base, const std::string& directory);

  FileSystem* base() const { return base_; }
  int error() const { return error_; }
  // nullptr if there is an error.
  Directory* directory() const { return handle_.get(); }

  // Whether the path that was opened leads to another directory by now.
  bool IsReplaced() const;
  // A path that leads to this file of the directory now, also after a chdir(2). NotFound if there
  // is none.
  absl::StatusOr<std::string> CurrentPathOf(const std::string& path) const;
  // For the end of an error text, which has the path of the opening: where the directory is now, or
  // nothing if it is still there.
  std::string PlaceNote() const;

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override;
  int OpenDirectory(const std::string& path, std::unique_ptr<Directory>* directory) override;
  int Stat(const std::string& path, FileInfo* info) override;
  int MakeDirectory(const std::string& path) override;
  int List(const std::string& directory, std::vector<std::string>* names) override;
  int Rename(const std::string& from, const std::string& to) override;
  int Unlink(const std::string& path) override;
  int RemoveDirectory(const std::string& path) override;
  int Link(const std::string& from, const std::string& to) override;
  int CloneFile(const std::string& from, const std::string& to) override;
  int SyncDirectory(const std::string& directory) override;
  bool CanBeFollowed() override;
  int Watch(const std::string& directory, const std::string& name,
            std::unique_ptr<FileWatch>* watch) override;

 private:
  enum class Place { kHere, kElsewhere, kReplaced };

  // The name in the directory that a path means, "." for the directory; nothing for other paths.
  std::optional<std::string> NameOf(const std::string& path) const;
  Place FindPlace() const;

  FileSystem* const base_;
  const std::string path_;  // without slashes at its end
  // Means the same after a chdir(2). Simulated file systems have no working directory.
  const std::string opened_path_;
  std::unique_ptr<Directory> handle_;
  FileInfo opened_;  // of the directory
  int error_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_IO_ANCHORED_FILE_SYSTEM_H_
