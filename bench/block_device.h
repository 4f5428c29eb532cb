// SPDX-License-Identifier: Apache-2.0
// What the disk below a directory did, for anybody, as the kernel counts it.
#ifndef SEAWALL_BENCH_BLOCK_DEVICE_H_
#define SEAWALL_BENCH_BLOCK_DEVICE_H_

#include <cstdint>
#include <string>

namespace seawall::bench {

class BlockDevice {
 public:
  struct Counts {
    uint64_t bytes_written = 0;
    uint64_t flushes = 0;
  };

  // Tries it with a file in `directory`: not every device counts, or needs flushes.
  explicit BlockDevice(const std::string& directory);

  bool counts_flushes() const { return counts_flushes_; }
  // Zeros where the kernel does not say.
  Counts Now() const;

 private:
  std::string stat_path_;
  bool counts_flushes_ = false;
};

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_BLOCK_DEVICE_H_
