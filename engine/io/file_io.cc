// SPDX-License-Identifier: Apache-2.0
#include "engine/io/file_io.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <new>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "engine/base/align.h"

namespace seawall {
namespace {

// What a commit may have to wait for at the disk while zeros are written ahead.
constexpr size_t kZeroChunkBytes = size_t{128} << 10;

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
      return absl::StatusCode::kNotFound;
    case EEXIST:
      return absl::StatusCode::kAlreadyExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::StatusCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case EINVAL:
    case ENAMETOOLONG:
      return absl::StatusCode::kInvalidArgument;
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
      return absl::StatusCode::kFailedPrecondition;
    default:
      return absl::StatusCode::kUnavailable;
  }
}

}  // namespace

absl::Status ErrnoStatus(int error, std::string_view what, const std::string& path) {
  return absl::Status(CodeOf(error), absl::StrCat(std::string(what), " ", path, ": ",
                                                  std::generic_category().message(error)));
}

absl::Status DamageStatus(const std::string& path, uint64_t offset, std::string_view what) {
  return absl::DataLossError(absl::StrCat(path, ", offset ", offset, ": ", std::string(what)));
}

absl::StatusOr<std::unique_ptr<File>> OpenFile(FileSystem* fs, const std::string& path,
                                               const OpenOptions& options) {
  std::unique_ptr<File> file;
  int error;
  do {
    error = fs->Open(path, options, &file);
  } while (error == EINTR);
  if (error != 0) return ErrnoStatus(error, options.create ? "create" : "open", path);
  return file;
}

absl::StatusOr<size_t> ReadAt(File* file, const std::string& path, uint64_t offset, size_t bytes,
                              char* to) {
  size_t done = 0;
  while (done < bytes) {
    IoResult result = file->PRead(to + done, bytes - done, offset + done);
    if (result.error == EINTR) continue;
    if (result.error != 0) {
      return ErrnoStatus(
          result.error,
          absl::StrCat("read ", bytes - done, " bytes at offset ", offset + done, " of"), path);
    }
    if (result.bytes == 0) break;
    done += result.bytes;
  }
  return done;
}

absl::Status WriteAt(File* file, const std::string& path, uint64_t offset, std::string_view data) {
  size_t done = 0;
  while (done < data.size()) {
    IoResult result = file->PWrite(data.data() + done, data.size() - done, offset + done);
    if (result.error == EINTR) continue;
    // POSIX has no write of 0 bytes without an error; going on would never end.
    if (result.error == 0 && result.bytes == 0) result.error = ENOSPC;
    if (result.error != 0) {
      return ErrnoStatus(
          result.error,
          absl::StrCat("write ", data.size() - done, " bytes at offset ", offset + done, " of"),
          path);
    }
    done += result.bytes;
  }
  return absl::OkStatus();
}

absl::Status SyncFile(File* file, const std::string& path, File::SyncKind kind) {
  int error = file->Sync(kind);
  if (error == 0) return absl::OkStatus();
  return ErrnoStatus(error, kind == File::SyncKind::kData ? "fdatasync" : "fsync", path);
}

absl::Status SyncDirectory(FileSystem* fs, const std::string& directory) {
  int error = fs->SyncDirectory(directory);
  if (error == 0) return absl::OkStatus();
  return ErrnoStatus(error, "fsync directory", directory);
}

absl::Status RemoveFiles(FileSystem* fs, const std::string& directory,
                         const std::vector<std::string>& names) {
  absl::Status status;
  for (const std::string& name : names) {
    std::string path = JoinPath(directory, name);
    int error = fs->Unlink(path);
    if (error != 0 && error != ENOENT) status.Update(ErrnoStatus(error, "unlink", path));
  }
  if (!names.empty()) status.Update(SyncDirectory(fs, directory));
  return status;
}

absl::Status WriteZeros(File* file, const std::string& path, uint64_t from, uint64_t to) {
  // Never written, so the kernel maps its one zero page throughout.
  static const AlignedBuffer* const zeros = new AlignedBuffer(kZeroChunkBytes);
  while (from < to) {
    size_t bytes = static_cast<size_t>(std::min<uint64_t>(to - from, kZeroChunkBytes));
    absl::Status status = WriteAt(file, path, from, std::string_view(zeros->data(), bytes));
    if (!status.ok()) return status;
    from += bytes;
  }
  return absl::OkStatus();
}

absl::Status AllocateZeros(File* file, const std::string& path, uint64_t from, uint64_t to) {
  int error;
  do {
    error = file->Allocate(from, to - from);
  } while (error == EINTR);
  if (error == EOPNOTSUPP || error == ENOSYS) {
    return absl::UnimplementedError(absl::StrCat(path, ": no fallocate here"));
  }
  if (error != 0) return ErrnoStatus(error, "fallocate", path);
  return WriteZeros(file, path, to - kBlockBytes, to);
}

std::string JoinPath(const std::string& directory, const std::string& name) {
  if (!directory.empty() && directory.back() == '/') return directory + name;
  return directory + "/" + name;
}

std::string ParentDirectory(const std::string& path) {
  size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) return "/";
  size_t slash = path.find_last_of('/', end);
  if (slash == std::string::npos) return ".";
  size_t last = path.find_last_not_of('/', slash);
  return last == std::string::npos ? "/" : path.substr(0, last + 1);
}

AlignedBuffer::AlignedBuffer(size_t bytes, Pages pages) : size_(bytes) {
  void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  if (pages == Pages::kHuge) madvise(data, bytes, MADV_HUGEPAGE);  // a wish
  data_ = std::unique_ptr<char, Unmap>(static_cast<char*>(data), Unmap{bytes});
}

void AlignedBuffer::Unmap::operator()(char* data) const { munmap(data, bytes); }

int64_t UnixMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace seawall
