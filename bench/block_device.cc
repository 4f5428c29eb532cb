// SPDX-License-Identifier: Apache-2.0
#include "bench/block_device.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>

namespace seawall::bench {
namespace {

bool WriteAndSync(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return false;
  const bool synced = write(fd, "x", 1) == 1 && fsync(fd) == 0;
  close(fd);
  unlink(path.c_str());
  return synced;
}

}  // namespace

BlockDevice::BlockDevice(const std::string& directory) {
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) return;
  std::error_code error;
  std::filesystem::path device =
      std::filesystem::canonical("/sys/dev/block/" + std::to_string(major(info.st_dev)) + ":" +
                                     std::to_string(minor(info.st_dev)),
                                 error);
  if (error) return;
  // Flushes are counted for the whole disk only.
  if (std::filesystem::exists(device / "partition", error)) device = device.parent_path();
  stat_path_ = device / "stat";
  const uint64_t before = Now().flushes;
  // A write that is durable by itself (FUA) is no flush, and is not counted.
  int has_fua = 0;
  std::ifstream(device / "queue/fua") >> has_fua;
  counts_flushes_ =
      has_fua == 0 && WriteAndSync(directory + "/flush-probe") && Now().flushes > before;
}

BlockDevice::Counts BlockDevice::Now() const {
  // Documentation/block/stat.rst: the seventh number is the sectors written, the sixteenth the
  // flushes completed.
  constexpr size_t kSectorsField = 6, kFlushesField = 15, kFields = 16, kSectorBytes = 512;
  std::array<uint64_t, kFields> fields = {};
  if (stat_path_.empty()) return {};
  std::ifstream stat(stat_path_);
  for (uint64_t& field : fields) stat >> field;
  return {fields[kSectorsField] * kSectorBytes, fields[kFlushesField]};
}

}  // namespace seawall::bench
