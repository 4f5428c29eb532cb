// SPDX-License-Identifier: Apache-2.0
// Measures what a durable commit costs on one disk: for each way to stable storage that Options can
// select, in files that were prepared in different ways, and for two sizes of a group.
//
// All combinations take turns in short slices in random order, so that what else the machine does
// meets all of them alike. Writes are those of the log: whole blocks, from aligned memory, with the
// flags and the sync of the options; only a growing file is written to as others do it.
#ifndef SEAWALL_TOOLS_SEAWALL_PROBE_DISK_PROBE_H_
#define SEAWALL_TOOLS_SEAWALL_PROBE_DISK_PROBE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "seawall/file_system.h"
#include "seawall/options.h"

namespace seawall {

struct ProbeMethod {
  SyncMethod sync_method;
  bool direct_io;
};

// All that Options can select; among those that cost the same, the earlier one is to be preferred.
inline constexpr ProbeMethod kProbeMethods[] = {
    {SyncMethod::kFdatasync, false},  // the default
    {SyncMethod::kODsync, false},    {SyncMethod::kFdatasync, true}, {SyncMethod::kODsync, true},
    {SyncMethod::kFsync, false},     {SyncMethod::kOSync, false},    {SyncMethod::kFsync, true},
    {SyncMethod::kOSync, true},
};
inline constexpr size_t kProbeMethodCount = sizeof(kProbeMethods) / sizeof(kProbeMethods[0]);

// What the file is like where a commit is written.
enum class Preparation {
  kZeros,      // zeros were written ahead and synced: a segment of the log
  kRecycled,   // records were written and synced: a recycled segment of the log
  kAllocated,  // fallocate(2), nothing written
  kGrowing,    // the end of the file: each commit makes it longer (with O_DIRECT, by whole blocks)
};
inline constexpr size_t kPreparationCount = 4;

enum class ProbeSize {
  kRecord,  // a group with one record of 128 bytes
  kGroup,   // a group of 16 KiB
};
inline constexpr size_t kProbeSizeCount = 2;
// The bytes of the group that is committed.
size_t GroupBytesOf(ProbeSize size);

// Of one combination.
struct CommitCost {
  std::string unavailable;  // why it could not be measured; the rest is then 0
  uint64_t commits = 0;
  double p50_micros = 0;
  double p99_micros = 0;
  // Where the median lies with 95% confidence, by the order statistics of the slices' medians: what
  // the machine does meanwhile meets neighbouring commits alike, so that they are no two witnesses.
  // 0 and infinity where there are too few to tell.
  double p50_low_micros = 0;
  double p50_high_micros = 0;
  // That reached the device for one commit: the lower quartile over slices, as what others write
  // only ever adds.
  std::optional<double> device_bytes;
};

// The index of a combination in ProbeResult::costs.
constexpr size_t CostIndex(size_t method, Preparation preparation, ProbeSize size) {
  return (method * kPreparationCount + static_cast<size_t>(preparation)) * kProbeSizeCount +
         static_cast<size_t>(size);
}
inline constexpr size_t kCostCount = kProbeMethodCount * kPreparationCount * kProbeSizeCount;

struct ProbeResult {
  std::vector<CommitCost> costs = std::vector<CommitCost>(kCostCount);
  int64_t nanos = 0;                // that it took
  std::string device_bytes_absent;  // why there are none; or empty

  // `method` is an index into kProbeMethods.
  const CommitCost& At(size_t method, Preparation preparation, ProbeSize size) const {
    return costs[CostIndex(method, preparation, size)];
  }
};

// What the probe has from the outside.
struct ProbeEnvironment {
  FileSystem* file_system;
  // Never goes back.
  std::function<int64_t()> now_nanos;
  // fallocate(2) of a file's first bytes. An errno value, 0 for success.
  std::function<int(const std::string& path, uint64_t bytes)> allocate;
  // What was written to the device since it is there, by anybody.
  std::function<absl::StatusOr<uint64_t>()> device_bytes;
  // True: end as soon as possible.
  std::function<bool()> cancelled;
  // Called often, with the nanoseconds that have passed.
  std::function<void(int64_t)> progress;
  uint64_t seed;
};

// Its temporary files have names that begin so.
inline constexpr char kProbeFilePrefix[] = "seawall-probe.";
// The most that they take.
inline constexpr uint64_t kProbeFileBytes = uint64_t{2} << 20;
inline constexpr uint64_t kProbeDiskBytes = kProbeFileBytes * kProbeMethodCount * kPreparationCount;

// Takes about `nanos`, or as long as one commit of everything takes. The temporary files in
// `directory` are removed, whatever comes. A method or preparation that the file system refuses is
// marked unavailable; any other failure ends the probe. Cancelled if `cancelled` says so.
absl::StatusOr<ProbeResult> ProbeDisk(const std::string& directory, int64_t nanos,
                                      const ProbeEnvironment& environment);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_PROBE_DISK_PROBE_H_
