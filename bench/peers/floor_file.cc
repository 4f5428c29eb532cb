// SPDX-License-Identifier: Apache-2.0
#include "bench/peers/floor_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"

namespace seawall::bench {

FloorBuffer::FloorBuffer(size_t bytes)
    : size_(RoundUp(bytes, kFloorBlockBytes)),
      data_(static_cast<char*>(std::aligned_alloc(kFloorBlockBytes, size_))) {
  if (data_ == nullptr) std::abort();
  std::memset(data_.get(), 0, size_);
}

FloorFile::~FloorFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status FloorFile::Error(std::string_view call) const {
  return absl::InternalError(absl::StrCat(absl::string_view(call.data(), call.size()), " ", path_,
                                          ": ", std::strerror(errno)));
}

absl::Status FloorFile::Create(uint64_t bytes, bool direct) {
  bytes_ = bytes;
  fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd_ < 0) return Error("open");
  const FloorBuffer zeros(size_t{1} << 20);
  for (uint64_t at = 0; at < bytes; at += zeros.size()) {
    const size_t piece = std::min<uint64_t>(zeros.size(), bytes - at);
    if (absl::Status status = Write(zeros.data(), piece, at); !status.ok()) return status;
  }
  if (fsync(fd_) != 0) return Error("fsync");
  if (direct) {
    const int around = open(path_.c_str(), O_RDWR | O_DIRECT | O_CLOEXEC);
    if (around >= 0) {
      // Zeros that are in the page cache would be thrown out by each write.
      posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED);
      close(fd_);
      fd_ = around;
    }
  }
  return absl::OkStatus();
}

absl::Status FloorFile::OpenToRead() {
  fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info;
  if (fd_ < 0 || fstat(fd_, &info) != 0) return Error("open");
  bytes_ = static_cast<uint64_t>(info.st_size);
  return absl::OkStatus();
}

absl::Status FloorFile::Write(const char* from, size_t bytes, uint64_t at) {
  const ssize_t written = pwrite(fd_, from, bytes, static_cast<off_t>(at));
  return written == static_cast<ssize_t>(bytes) ? absl::OkStatus() : Error("pwrite");
}

absl::Status FloorFile::Read(char* to, size_t bytes, uint64_t at) const {
  const ssize_t read = pread(fd_, to, bytes, static_cast<off_t>(at));
  return read == static_cast<ssize_t>(bytes) ? absl::OkStatus() : Error("pread");
}

absl::Status FloorFile::Sync() {
  return fdatasync(fd_) == 0 ? absl::OkStatus() : Error("fdatasync");
}

absl::Status FloorFile::Close() {
  const int fd = fd_;
  fd_ = -1;
  return fd < 0 || close(fd) == 0 ? absl::OkStatus() : Error("close");
}

absl::Status VisitFloorRecords(const char* begin, const char* end, size_t record_bytes,
                               absl::FunctionRef<void(std::string_view)> visit) {
  const size_t stride = FloorStride(record_bytes);
  for (; static_cast<size_t>(end - begin) >= stride; begin += stride) {
    uint64_t hash, length;
    std::memcpy(&hash, begin, sizeof(hash));
    std::memcpy(&length, begin + sizeof(hash), sizeof(length));
    if (length == 0) return absl::OkStatus();
    if (length != record_bytes || hash != Xxh3(begin + kFloorHeaderBytes, record_bytes)) {
      return absl::DataLossError("a bare loop's record does not verify");
    }
    visit(std::string_view(begin + kFloorHeaderBytes, record_bytes));
  }
  return absl::OkStatus();
}

}  // namespace seawall::bench
