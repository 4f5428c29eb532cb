// SPDX-License-Identifier: Apache-2.0
// One run of one peer: the workload, and the check that it was done.
#ifndef SEAWALL_BENCH_MEASURE_H_
#define SEAWALL_BENCH_MEASURE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bench/block_device.h"
#include "bench/peers/peer.h"
#include "bench/results.h"

namespace seawall::bench {

struct MeasureOptions {
  std::string directory;                // runs take place in a directory below it, which goes away
  const BlockDevice* device = nullptr;  // of its disk; not null
  double seconds = 1;
  bool season = true;
  uint64_t append_bytes = uint64_t{256} << 20;  // of payload; or what comes in `seconds`
  uint64_t replay_bytes = uint64_t{128} << 20;
};

// A peer that lost a record, or that acknowledged without having flushed, is an error.
absl::StatusOr<Metrics> Measure(const PeerInfo& peer, const Point& point,
                                const MeasureOptions& options);

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_MEASURE_H_
