// SPDX-License-Identifier: Apache-2.0
// A disk that remembers: a file whose every write and flush is recorded, to be put under a loop
// device; and the images that a power cut may leave of it.
//
// A process of its own serves the file through FUSE, so that nothing that hangs or dies on this
// side can hang the kernel. It speaks the kernel's protocol (linux/fuse.h) itself: it has a single
// file and needs seven requests of it.
#ifndef SEAWALL_TESTS_KERNEL_RECORDING_DISK_H_
#define SEAWALL_TESTS_KERNEL_RECORDING_DISK_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/kernel/kernel_test_util.h"

namespace seawall {

class RecordingDisk {
 public:
  // `image`: what is on the disk to begin with.
  static absl::StatusOr<std::unique_ptr<RecordingDisk>> New(OwnedFd image, uint64_t bytes);
  // The disk must not be in use any more.
  ~RecordingDisk();

  // Opens the disk, as a backing file for a loop device.
  absl::StatusOr<OwnedFd> Open() const;

  // Writes and flushes so far. What happened before has a number below this.
  uint64_t events() const;
  // The numbers of the flushes.
  std::vector<uint64_t> flushes() const;
  uint64_t bytes() const { return bytes_; }
  uint64_t written_bytes() const;

 private:
  friend class PowerCuts;
  struct Event;
  struct Tape;

  RecordingDisk() = default;

  TemporaryDirectory directory_;
  std::string path_;
  OwnedFd image_;  // as it was at the beginning
  uint64_t bytes_ = 0;
  Tape* tape_ = nullptr;
  pid_t server_ = -1;
  bool mounted_ = false;
};

// Makes the images that power cuts leave, from the first to the last. All that was written before
// the last flush is there; of later writes, any subset of sectors (of the first block's: all or
// none).
class PowerCuts {
 public:
  explicit PowerCuts(const RecordingDisk& disk);

  // The power fails before event `event`, which is not below that of the call before.
  OwnedFd ImageAt(uint64_t event, std::mt19937_64* random);

  // Of the last image: writes since the last flush, and those that survived whole or in part.
  uint64_t pending() const { return pending_; }
  uint64_t survived() const { return survived_; }

 private:
  static constexpr uint64_t kBlock = 4096;
  static constexpr uint64_t kSector = 512;

  void Apply(uint64_t event);
  const char* Data(uint64_t event) const;

  const RecordingDisk& disk_;
  // What is durable: the blocks that are not all zeros.
  std::map<uint64_t, std::string> blocks_;
  uint64_t durable_ = 0;  // events applied to blocks_
  uint64_t pending_ = 0;
  uint64_t survived_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_KERNEL_RECORDING_DISK_H_
