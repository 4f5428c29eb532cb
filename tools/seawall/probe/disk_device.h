// SPDX-License-Identifier: Apache-2.0
// What lies under a directory: its file system, and the block device with its count of writes.
#ifndef SEAWALL_TOOLS_SEAWALL_PROBE_DISK_DEVICE_H_
#define SEAWALL_TOOLS_SEAWALL_PROBE_DISK_DEVICE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace seawall {

struct DiskDevice {
  std::string file_system;  // "xfs"; in hex if statfs(2) gives a number that has no name here
  std::string numbers;      // "254:0"
  // Empty if there is no such device in /sys (tmpfs, btrfs, overlayfs, network file systems).
  std::string name;         // "vda1"
  std::string write_cache;  // "write back" (volatile) or "write through"; or empty
};

// `sys_block` is for tests.
absl::StatusOr<DiskDevice> FindDiskDevice(const std::string& directory,
                                          const std::string& sys_block = "/sys/dev/block");

// What was written to the device so far.
absl::StatusOr<uint64_t> DeviceBytesWritten(const DiskDevice& device,
                                            const std::string& sys_block = "/sys/dev/block");

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_PROBE_DISK_DEVICE_H_
