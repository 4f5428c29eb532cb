// SPDX-License-Identifier: Apache-2.0
// What a comparison runs, from its flags.
#ifndef SEAWALL_BENCH_COMPARE_PLAN_H_
#define SEAWALL_BENCH_COMPARE_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bench/peers/peer.h"
#include "bench/results.h"

namespace seawall::bench {

// Empty lists: the default.
struct PlanOptions {
  std::vector<std::string> workloads;
  std::vector<std::string> peers;
  std::vector<std::string> threads;
  std::vector<std::string> sizes;  // bytes, or with K or M
  int rounds = 0;                  // 0: the default
  bool quick = false;
  bool smoke = false;
  uint64_t seed = 0;
};

struct PlannedRun {
  const PeerInfo* peer;
  Point point;
  int round;
};

// The peers of `all` that `names` names, and all floors; or all.
absl::StatusOr<std::vector<PeerInfo>> ChoosePeers(const std::vector<PeerInfo>& all,
                                                  const std::vector<std::string>& names);

// Round by round, the points of each in random order, and the peers of each point one after the
// other in random order: what the machine does meanwhile meets all alike. `peers` outlives it.
absl::StatusOr<std::vector<PlannedRun>> MakePlan(const PlanOptions& options,
                                                 const std::vector<PeerInfo>& peers);

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_COMPARE_PLAN_H_
