// SPDX-License-Identifier: Apache-2.0
// What to choose, from what was measured, and why, in plain words.
#ifndef SEAWALL_TOOLS_SEAWALL_PROBE_PROBE_VERDICT_H_
#define SEAWALL_TOOLS_SEAWALL_PROBE_PROBE_VERDICT_H_

#include <string>
#include <vector>

#include "tools/seawall/probe/disk_probe.h"

namespace seawall {

// Times that differ by less than this factor are a tie; so are times that chance may explain.
inline constexpr double kTieRatio = 1.15;
// No disk makes anything durable in less.
inline constexpr double kFastestDiskMicros = 10;
// With fewer commits of a kind, a difference that is not seen may be there all the same.
inline constexpr uint64_t kFewCommits = 30;

struct ProbeVerdict {
  size_t method = 0;  // index into kProbeMethods
  std::vector<std::string> reasons;
  std::vector<std::string> warnings;
};

// The method that is fastest where the log writes (zeros written ahead, recycled segments): by the
// geometric mean over both sizes, without those that lose at either size against the default. The
// default wins a tie.
//
// `file_system` is its name, for the warnings.
ProbeVerdict ChooseOptions(const ProbeResult& result, const std::string& file_system);

// "kODsync", "kODsync with direct_io"
std::string MethodName(const ProbeMethod& method);
// "kODsync"
std::string SyncMethodName(SyncMethod method);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_PROBE_PROBE_VERDICT_H_
