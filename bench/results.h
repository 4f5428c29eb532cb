// SPDX-License-Identifier: Apache-2.0
// What one run of a comparison measured, and where on the axes it did.
#ifndef SEAWALL_BENCH_RESULTS_H_
#define SEAWALL_BENCH_RESULTS_H_

#include <cstddef>
#include <map>
#include <string>
#include <tuple>

#include "bench/peers/peer.h"

namespace seawall::bench {

// The figures of a run, by these names, as in the result file. A figure that the workload does not
// have is absent.
using Metrics = std::map<std::string, double>;

inline constexpr char kRecordsPerSecond[] = "records_per_second";
inline constexpr char kP50Micros[] = "p50_micros";  // of a commit, from call to return or callback
inline constexpr char kP99Micros[] = "p99_micros";
inline constexpr char kP999Micros[] = "p999_micros";
inline constexpr char kMostMicros[] = "most_micros";
inline constexpr char kLeastShare[] = "least_share";  // the slowest thread's records, of the mean
inline constexpr char kMostShare[] = "most_share";    // the fastest thread's
inline constexpr char kCpuMicrosPerRecord[] = "cpu_micros_per_record";
inline constexpr char kSwitchesPerRecord[] = "switches_per_record";  // context switches
inline constexpr char kRecordsPerFlush[] = "records_per_flush";
inline constexpr char kDeviceBytesPerRecord[] = "device_bytes_per_record";  // all the disk wrote
inline constexpr char kRecords[] = "records";
inline constexpr char kFlushes[] = "flushes";

struct Point {
  Workload workload = Workload::kCommit;
  int threads = 1;
  size_t record_bytes = 128;

  bool operator<(const Point& other) const {
    return std::tie(workload, record_bytes, threads) <
           std::tie(other.workload, other.record_bytes, other.threads);
  }
};

// In the order of Workload.
inline constexpr const char* kWorkloadNames[] = {"commit", "append", "replay", "async"};

inline const char* NameOf(Workload workload) {
  return kWorkloadNames[static_cast<size_t>(workload)];
}

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_RESULTS_H_
