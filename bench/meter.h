// SPDX-License-Identifier: Apache-2.0
// What a workload measures itself with.
#ifndef SEAWALL_BENCH_METER_H_
#define SEAWALL_BENCH_METER_H_

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "bench/block_device.h"
#include "bench/flush_counter.h"
#include "bench/results.h"

namespace seawall::bench {

using Clock = std::chrono::steady_clock;

// Before the clock starts: a part of the time measured.
constexpr double kWarmUp = 0.2;

inline double Seconds(Clock::duration duration) {
  return std::chrono::duration<double>(duration).count();
}
inline Clock::duration Duration(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// What the whole process has used.
struct Usage {
  double cpu_micros = 0;
  double switches = 0;
  double flushes = 0;
  double device_bytes = 0;  // the only one that others have a share in

  static Usage Now(const BlockDevice& device) {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    auto micros = [](const timeval& time) {
      return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    };
    return {micros(usage.ru_utime) + micros(usage.ru_stime),
            static_cast<double>(usage.ru_nvcsw + usage.ru_nivcsw),
            static_cast<double>(FlushCount()), static_cast<double>(device.Now().bytes_written)};
  }
};

inline void SetUsage(const Usage& from, const Usage& to, double records, Metrics* metrics) {
  (*metrics)[kRecords] = records;
  (*metrics)[kFlushes] = to.flushes - from.flushes;
  if (records == 0) return;
  (*metrics)[kCpuMicrosPerRecord] = (to.cpu_micros - from.cpu_micros) / records;
  (*metrics)[kSwitchesPerRecord] = (to.switches - from.switches) / records;
  if (to.flushes > from.flushes) {
    (*metrics)[kRecordsPerFlush] = records / (to.flushes - from.flushes);
    (*metrics)[kDeviceBytesPerRecord] = (to.device_bytes - from.device_bytes) / records;
  }
}

// Latencies in nanoseconds; longer than four seconds counts as that.
using Latencies = std::vector<uint32_t>;

inline uint32_t Nanos(Clock::duration duration) {
  return static_cast<uint32_t>(std::min<int64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count(), UINT32_MAX));
}

inline void SetLatencies(Latencies nanos, Metrics* metrics) {
  if (nanos.empty()) return;
  auto percentile = [&nanos](double part) {
    auto nth = nanos.begin() + static_cast<int64_t>(static_cast<double>(nanos.size() - 1) * part);
    std::nth_element(nanos.begin(), nth, nanos.end());
    return static_cast<double>(*nth) / 1e3;
  };
  (*metrics)[kP50Micros] = percentile(0.5);
  (*metrics)[kP99Micros] = percentile(0.99);
  (*metrics)[kP999Micros] = percentile(0.999);
  (*metrics)[kMostMicros] = percentile(1);
}

// When what is measured begins and ends.
struct Window {
  Clock::time_point start;
  Clock::time_point end;

  static Window FromNow(double seconds) {
    const Clock::time_point start = Clock::now() + Duration(seconds * kWarmUp);
    return {start, start + Duration(seconds)};
  }
  bool Holds(Clock::time_point time) const { return time >= start && time < end; }
};

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_METER_H_
