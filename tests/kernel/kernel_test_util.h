// SPDX-License-Identifier: Apache-2.0
// What the tests on real kernels share: file systems of their own on loop devices, records that
// tell who wrote them, and the check of what a log holds.
#ifndef SEAWALL_TESTS_KERNEL_KERNEL_TEST_UTIL_H_
#define SEAWALL_TESTS_KERNEL_KERNEL_TEST_UTIL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/log.h"
#include "seawall/reader.h"

namespace seawall {

// Empty, or why this process cannot mount anything. The first call gives the process its own mount
// namespace: whatever is mounted goes with the process, however it ends.
std::string WhyNoMounts();

// A directory that is removed with its contents. Under $TEST_TMPDIR, else /tmp; or under `parent`.
class TemporaryDirectory {
 public:
  explicit TemporaryDirectory(const std::string& parent = "");
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// An owned file descriptor.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  ~OwnedFd();
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// A file in memory, of which only what was written takes space.
OwnedFd SparseMemoryFile(uint64_t bytes);

// The options that mkfs needs for tests: small, and everything written at once.
std::string MkfsCommand(const std::string& type, const std::string& device);
bool HaveCommand(const std::string& name);

// A loop device over `backing`, that frees itself with its last user.
struct LoopDevice {
  OwnedFd fd;
  std::string path;
};
absl::StatusOr<LoopDevice> AttachLoop(int backing, uint32_t block_bytes = 512);

// A mounted file system, unmounted by the destructor.
class Mount {
 public:
  // A new ext4, xfs or btrfs in memory, or a tmpfs.
  static absl::StatusOr<std::unique_ptr<Mount>> New(const std::string& type, uint64_t bytes,
                                                    uint32_t block_bytes = 512);
  // The file system on a loop device over `backing`.
  static absl::StatusOr<std::unique_ptr<Mount>> Over(int backing, const std::string& type);
  ~Mount();

  const std::string& path() const { return directory_.path(); }
  absl::Status Remount(bool read_only);
  absl::Status Unmount();

 private:
  Mount() = default;
  absl::Status DoMount(const std::string& device, const std::string& type, const char* data);

  TemporaryDirectory directory_;
  bool mounted_ = false;
};

// ---- Records that tell who wrote them

// One record of an atomic batch; a record appended alone is a batch of one.
struct RecordName {
  uint64_t writer = 0;
  uint64_t batch = 0;  // of this writer: 0, 1, 2...
  uint32_t index = 0;  // in the batch
  uint32_t count = 1;  // of the batch
};

inline constexpr size_t kMinNamedRecordBytes = 40;

// Deterministic. At least kMinNamedRecordBytes long.
std::string MakeRecord(const RecordName& name, size_t bytes);
// False unless `record` is byte for byte what MakeRecord made.
bool ParseRecord(std::string_view record, RecordName* name);
// Never 0.
uint64_t HashOf(std::string_view record);

// What a log holds: record hashes by LSN, checked to be whole and in order.
struct LogContents {
  Lsn first_lsn = 1;
  std::vector<uint64_t> hashes;
  Lsn last_lsn() const { return first_lsn + hashes.size() - 1; }
};

// Reads to the end. An error unless LSNs are dense, each record is one that MakeRecord made,
// batches are whole, and each writer's batches are there without a gap.
absl::StatusOr<LogContents> ReadContents(Reader* reader);
absl::StatusOr<LogContents> ReadContents(Log* log);
absl::StatusOr<LogContents> ReadContents(const std::string& directory);

}  // namespace seawall

#endif  // SEAWALL_TESTS_KERNEL_KERNEL_TEST_UTIL_H_
