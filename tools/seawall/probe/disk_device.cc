// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/probe/disk_device.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

// Of /sys/block/*/stat, whatever the device's own sectors are.
constexpr uint64_t kStatSectorBytes = 512;

std::string FileSystemName(uint32_t magic) {
  switch (magic) {
    case EXT4_SUPER_MAGIC:
      return "ext4";  // or ext2, ext3: they share the number
    case XFS_SUPER_MAGIC:
      return "xfs";
    case BTRFS_SUPER_MAGIC:
      return "btrfs";
    case TMPFS_MAGIC:
      return "tmpfs";
    case RAMFS_MAGIC:
      return "ramfs";
    case F2FS_SUPER_MAGIC:
      return "f2fs";
    case OVERLAYFS_SUPER_MAGIC:
      return "overlayfs";
    case FUSE_SUPER_MAGIC:
      return "fuse";
    case NFS_SUPER_MAGIC:
      return "nfs";
    case MSDOS_SUPER_MAGIC:
      return "vfat";
    case 0x2fc12fc1:  // these two are not in the kernel's headers, or not in all of them
      return "zfs";
    case 0xca451a4e:
      return "bcachefs";
    default:
      return absl::StrFormat("0x%x", magic);
  }
}

// The first line; empty if there is none.
std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// /sys/dev/block/254:0 is a link to .../block/vda.
std::string DeviceName(const std::string& link) {
  char target[4096];
  const ssize_t bytes = readlink(link.c_str(), target, sizeof(target));
  if (bytes <= 0) return "";
  const std::string path(target, static_cast<size_t>(bytes));
  return path.substr(path.find_last_of('/') + 1);
}

}  // namespace

absl::StatusOr<DiskDevice> FindDiskDevice(const std::string& directory,
                                          const std::string& sys_block) {
  struct statfs file_system;
  if (statfs(directory.c_str(), &file_system) < 0) return ErrnoStatus(errno, "statfs", directory);
  struct stat info;
  if (stat(directory.c_str(), &info) < 0) return ErrnoStatus(errno, "stat", directory);
  DiskDevice device;
  device.file_system = FileSystemName(static_cast<uint32_t>(file_system.f_type));
  device.numbers = absl::StrCat(major(info.st_dev), ":", minor(info.st_dev));
  const std::string link = JoinPath(sys_block, device.numbers);
  device.name = DeviceName(link);
  device.write_cache = FirstLine(link + "/queue/write_cache");
  // A partition has its disk's queue.
  if (device.write_cache.empty()) device.write_cache = FirstLine(link + "/../queue/write_cache");
  return device;
}

absl::StatusOr<uint64_t> DeviceBytesWritten(const DiskDevice& device,
                                            const std::string& sys_block) {
  const std::string path = JoinPath(JoinPath(sys_block, device.numbers), "stat");
  const std::string line = FirstLine(path);
  unsigned long long sectors = 0;
  // Documentation/block/stat.rst: the seventh is "write sectors".
  if (std::sscanf(line.c_str(), "%*u %*u %*u %*u %*u %*u %llu", &sectors) != 1) {
    return absl::NotFoundError(
        absl::StrCat("there is no ", path, ", as ", device.file_system,
                     " is not directly on one block device, or /sys is hidden"));
  }
  return sectors * kStatSectorBytes;
}

}  // namespace seawall
