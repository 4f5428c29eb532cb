// SPDX-License-Identifier: Apache-2.0
#include "bench/results.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace seawall::bench {

const MetricInfo& InfoOf(Metric metric) {
  static constexpr std::array<MetricInfo, kMetrics> kInfos = {{
      {"records_per_second", "records/s", true},
      {"p50_micros", "p50 us", false},
      {"p99_micros", "p99 us", false},
      {"p999_micros", "p99.9 us", false},
      {"most_micros", "max us", false},
      {"least_share", "slowest", true},
      {"most_share", "fastest", false},
      {"cpu_micros_per_record", "CPU us", false},
      {"switches_per_record", "switches", false},
      {"records_per_flush", "per flush", true},
      {"device_bytes_per_record", "disk B", false},
      {"records", "records", true},
      {"flushes", "flushes", false},
  }};
  return kInfos[metric];
}

std::string_view NameOf(Workload workload) {
  switch (workload) {
    case Workload::kCommit:
      return "commit";
    case Workload::kAppend:
      return "append";
    case Workload::kReplay:
      return "replay";
    case Workload::kAsync:
      return "async";
  }
  return "";
}

std::optional<Workload> WorkloadOf(std::string_view name) {
  for (Workload workload :
       {Workload::kCommit, Workload::kAppend, Workload::kReplay, Workload::kAsync}) {
    if (NameOf(workload) == name) return workload;
  }
  return std::nullopt;
}

std::string SizeName(size_t bytes) {
  if (bytes >= size_t{1} << 20 && bytes % (size_t{1} << 20) == 0) {
    return absl::StrCat(bytes >> 20, " MiB");
  }
  if (bytes >= 1024 && bytes % 1024 == 0) return absl::StrCat(bytes >> 10, " KiB");
  return absl::StrCat(bytes, " B");
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

const PeerInfo& Results::peer(const std::string& name) const {
  return *std::find_if(peers_.begin(), peers_.end(),
                       [&name](const PeerInfo& info) { return info.name == name; });
}

std::vector<Point> Results::Points() const {
  std::vector<Point> points;
  for (const auto& [key, runs] : runs_) {
    if (points.empty() || !(points.back() == key.first)) points.push_back(key.first);
  }
  return points;
}

std::vector<const PeerInfo*> Results::PeersAt(const Point& point) const {
  std::vector<const PeerInfo*> there;
  for (const PeerInfo& info : peers_) {
    if (!Runs(info.name, point).empty()) there.push_back(&info);
  }
  return there;
}

const std::vector<Results::Run>& Results::Runs(const std::string& peer, const Point& point) const {
  static const std::vector<Run>* const none = new std::vector<Run>;
  auto found = runs_.find({point, peer});
  return found == runs_.end() ? *none : found->second;
}

std::vector<std::string> Results::Errors() const {
  std::vector<std::string> errors;
  for (const auto& [key, runs] : runs_) {
    const auto& [point, name] = key;
    for (const Run& run : runs) {
      if (run.error.empty()) continue;
      const std::string_view workload = NameOf(point.workload);
      errors.push_back(absl::StrCat(peer(name).title, ", ",
                                    absl::string_view(workload.data(), workload.size()), ", ",
                                    SizeName(point.record_bytes), ", ", point.threads,
                                    point.threads == 1 ? " thread: " : " threads: ", run.error));
    }
  }
  return errors;
}

std::optional<double> Results::MedianOf(const std::string& peer, const Point& point,
                                        Metric metric) const {
  std::vector<double> values;
  for (const Run& run : Runs(peer, point)) {
    if (!run.error.empty()) return std::nullopt;
    if (run.metrics[metric].has_value()) values.push_back(*run.metrics[metric]);
  }
  if (values.empty()) return std::nullopt;
  return Median(std::move(values));
}

std::optional<std::pair<double, double>> Results::RangeOf(const std::string& peer,
                                                          const Point& point, Metric metric) const {
  std::optional<std::pair<double, double>> range;
  for (const Run& run : Runs(peer, point)) {
    if (!run.metrics[metric].has_value()) continue;
    const double value = *run.metrics[metric];
    if (!range.has_value()) range = {value, value};
    range = {std::min(range->first, value), std::max(range->second, value)};
  }
  return range;
}

const PeerInfo* Results::FloorAt(const Point& point) const {
  for (const PeerInfo& info : peers_) {
    if (info.floor && HasResult(info.name, point)) return &info;
  }
  return nullptr;
}

const PeerInfo* Results::BestPeerAt(const Point& point) const {
  const PeerInfo* best = nullptr;
  double most = 0;
  for (const PeerInfo& info : peers_) {
    if (info.floor || info.name == "seawall" || !HasResult(info.name, point)) continue;
    const double speed = *MedianOf(info.name, point, kRecordsPerSecond);
    if (best != nullptr && speed <= most) continue;
    best = &info;
    most = speed;
  }
  return best;
}

}  // namespace seawall::bench
