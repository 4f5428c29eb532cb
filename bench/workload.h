// SPDX-License-Identifier: Apache-2.0
// The workloads, and what is measured while they run.
#ifndef SEAWALL_BENCH_WORKLOAD_H_
#define SEAWALL_BENCH_WORKLOAD_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/block_device.h"
#include "bench/peers/peer.h"
#include "bench/results.h"

namespace seawall::bench {

struct WorkloadOptions {
  uint64_t run = 0;  // marks the records
  Point point;
  double seconds = 1;
  uint64_t most_bytes = 0;              // of payload; kAppend
  const BlockDevice* device = nullptr;  // not null
};

struct Outcome {
  Metrics metrics;
  std::vector<uint64_t> acknowledged;  // records, by thread, warming up included
  uint64_t most_outstanding = 1;       // records that one flush may have acknowledged
};

// kCommit, kAppend, kAsync.
absl::StatusOr<Outcome> RunWorkload(Peer* peer, const WorkloadOptions& options);

// kAsync with callbacks, on the calling thread. Closes the peer.
absl::StatusOr<Outcome> RunAsync(Peer* peer, const WorkloadOptions& options);

// Reads the log over and over, for so long and at least once; it holds `records`.
absl::StatusOr<Metrics> RunReplay(Peer* peer, uint64_t records, double seconds,
                                  const BlockDevice& device);

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_WORKLOAD_H_
