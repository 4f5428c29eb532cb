// SPDX-License-Identifier: Apache-2.0
// What was measured, as plain values.
#ifndef SEAWALL_BENCH_RESULTS_H_
#define SEAWALL_BENCH_RESULTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "bench/peers/peer.h"

namespace seawall::bench {

enum Metric : size_t {
  kRecordsPerSecond,
  kP50Micros,  // of a commit, from call to return or callback
  kP99Micros,
  kP999Micros,
  kMostMicros,
  kLeastShare,  // the slowest thread's records, of a thread's mean
  kMostShare,   // the fastest thread's
  kCpuMicrosPerRecord,
  kSwitchesPerRecord,  // context switches
  kRecordsPerFlush,
  kDeviceBytesPerRecord,  // of all that the disk wrote
  kRecords,
  kFlushes,
  kMetrics
};

struct MetricInfo {
  std::string_view name;  // in JSON
  std::string_view title;
  bool more_is_better;
};
const MetricInfo& InfoOf(Metric metric);

// One run; a metric that the workload does not have is absent.
using Metrics = std::array<std::optional<double>, kMetrics>;

// Where on the axes.
struct Point {
  Workload workload = Workload::kCommit;
  int threads = 1;
  size_t record_bytes = 128;

  bool operator<(const Point& other) const {
    return std::tie(workload, record_bytes, threads) <
           std::tie(other.workload, other.record_bytes, other.threads);
  }
  bool operator==(const Point& other) const { return !(*this < other) && !(other < *this); }
};

std::string_view NameOf(Workload workload);
std::optional<Workload> WorkloadOf(std::string_view name);
// "128 B", "1 KiB"
std::string SizeName(size_t bytes);

// The middle one, or the mean of both.
double Median(std::vector<double> values);

// Of a comparison: who took part, and all runs.
class Results {
 public:
  struct Run {
    Metrics metrics;
    std::string error;  // why there are none
  };

  explicit Results(std::vector<PeerInfo> peers) : peers_(std::move(peers)) {}

  void Add(const std::string& peer, const Point& point, Run run) {
    runs_[{point, peer}].push_back(std::move(run));
  }

  const std::vector<PeerInfo>& peers() const { return peers_; }
  const PeerInfo& peer(const std::string& name) const;
  std::vector<Point> Points() const;
  // The peers that have runs there, in order.
  std::vector<const PeerInfo*> PeersAt(const Point& point) const;
  const std::vector<Run>& Runs(const std::string& peer, const Point& point) const;
  std::vector<std::string> Errors() const;

  // Over the runs that have it; nothing if a run failed.
  std::optional<double> MedianOf(const std::string& peer, const Point& point, Metric metric) const;
  // The least and the most of the runs.
  std::optional<std::pair<double, double>> RangeOf(const std::string& peer, const Point& point,
                                                   Metric metric) const;
  // The first floor with a result, and the peer with the most records per second: neither a floor
  // nor Seawall. nullptr if there is none.
  const PeerInfo* FloorAt(const Point& point) const;
  const PeerInfo* BestPeerAt(const Point& point) const;

 private:
  bool HasResult(const std::string& peer, const Point& point) const {
    return MedianOf(peer, point, kRecordsPerSecond).has_value();
  }

  std::vector<PeerInfo> peers_;
  std::map<std::pair<Point, std::string>, std::vector<Run>> runs_;
};

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_RESULTS_H_
