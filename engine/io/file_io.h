// SPDX-License-Identifier: Apache-2.0
// System calls made whole: EINTR retried, short counts gone on with, an errno turned into a
// status that names path, offset, expected and found. (Of the other verbs of FileSystem, who calls
// them does the last with ErrnoStatus().)
#ifndef SEAWALL_ENGINE_IO_FILE_IO_H_
#define SEAWALL_ENGINE_IO_FILE_IO_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/file_system.h"

namespace seawall {

// The status for a failed call: "<what> <path>: <strerror>". No space of any kind (ENOSPC,
// EDQUOT, EFBIG) is ResourceExhausted; an I/O error is Unavailable.
absl::Status ErrnoStatus(int error, std::string_view what, const std::string& path);

// "<path>, offset <offset>: <what>" as DataLoss.
absl::Status DamageStatus(const std::string& path, uint64_t offset, std::string_view what);

absl::StatusOr<std::unique_ptr<File>> OpenFile(FileSystem* fs, const std::string& path,
                                               const OpenOptions& options);

// Reads `bytes`, or less only at the end of the file; returns how many.
absl::StatusOr<size_t> ReadAt(File* file, const std::string& path, uint64_t offset, size_t bytes,
                              char* to);

// Writes all of `data`, or fails.
absl::Status WriteAt(File* file, const std::string& path, uint64_t offset, std::string_view data);

// Never retried, EINTR included: after a failed sync the kernel may have marked dirty pages as
// clean, so that a second one reports success for data that is gone (P. Rebello et al., "Can
// Applications Recover from fsync Failures?", USENIX ATC 2020).
absl::Status SyncFile(File* file, const std::string& path, File::SyncKind kind);

absl::Status SyncDirectory(FileSystem* fs, const std::string& directory);

// Removes files by name and makes that durable; of those that cannot be removed the first is told,
// when the others are gone.
absl::Status RemoveFiles(FileSystem* fs, const std::string& directory,
                         const std::vector<std::string>& names);

// Writes zeros over [from, to), in writes of at most 128 KiB; all are multiples of 4096.
absl::Status WriteZeros(File* file, const std::string& path, uint64_t from, uint64_t to);

// Makes the file reach from `from` to `to`, multiples of 4096, without writing in between but for
// the last block. Through a handle with O_DSYNC the new length is durable on return. Unimplemented
// where the file system has no such call.
absl::Status AllocateZeros(File* file, const std::string& path, uint64_t from, uint64_t to);

// "a" and "b" to "a/b"; the directory that holds `path` ("." for a bare name).
std::string JoinPath(const std::string& directory, const std::string& name);
std::string ParentDirectory(const std::string& path);

// Memory for whole blocks, 4096-aligned as O_DIRECT wants it. Zeroed lazily by the kernel.
class AlignedBuffer {
 public:
  enum class Pages {
    kSmall,
    // For memory of some MiB that will all be used, and again and again: it takes a fault for every
    // 2 MiB, if the system has such pages, instead of one for every 4 KiB.
    kHuge,
  };

  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t bytes, Pages pages = Pages::kSmall);

  char* data() { return data_.get(); }
  const char* data() const { return data_.get(); }
  size_t size() const { return size_; }

 private:
  struct Unmap {
    size_t bytes;
    void operator()(char* data) const;
  };
  std::unique_ptr<char, Unmap> data_;
  size_t size_ = 0;
};

int64_t UnixMicros();

}  // namespace seawall

#endif  // SEAWALL_ENGINE_IO_FILE_IO_H_
