// SPDX-License-Identifier: Apache-2.0
#include "bench/plots.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"

namespace seawall::bench {
namespace {

// A peer has one colour in all plots.
Style StyleOf(const Results& results, const PeerInfo& info) {
  if (info.floor) return {};
  int color = 0;
  for (const PeerInfo& other : results.peers()) {
    if (other.name == info.name) break;
    if (!other.floor) ++color;
  }
  return {color, info.name == "seawall"};
}

// Lines over the points, which differ in what `x` gives.
template <typename X, typename Name, typename Y>
LinePlot Lines(const Results& results, const std::vector<Point>& points, X x, Name name, Y y) {
  LinePlot plot;
  for (const Point& point : points) plot.x_ticks.emplace_back(x(point), name(point));
  for (const PeerInfo& info : results.peers()) {
    LinePlot::Series series{info.title, StyleOf(results, info), {}};
    for (const Point& point : points) {
      const std::optional<double> value = y(info, point);
      if (value.has_value() && *value > 0) series.points.emplace_back(x(point), *value);
    }
    if (!series.points.empty()) plot.series.push_back(std::move(series));
  }
  return plot;
}

LinePlot OverThreads(const Results& results, const std::vector<Point>& points, Metric metric,
                     const std::string& what) {
  LinePlot plot = Lines(
      results, points, [](const Point& point) { return static_cast<double>(point.threads); },
      [](const Point& point) { return absl::StrCat(point.threads); },
      [&](const PeerInfo& info, const Point& point) {
        return results.MedianOf(info.name, point, metric);
      });
  plot.title = absl::StrCat(what, ", ", SizeName(points[0].record_bytes));
  plot.x_title = "threads";
  return plot;
}

LinePlot OverSizes(const Results& results, const std::vector<Point>& points) {
  LinePlot plot = Lines(
      results, points, [](const Point& point) { return static_cast<double>(point.record_bytes); },
      [](const Point& point) { return SizeName(point.record_bytes); },
      [&](const PeerInfo& info, const Point& point) {
        auto value = results.MedianOf(info.name, point, kRecordsPerSecond);
        if (value.has_value()) *value *= static_cast<double>(point.record_bytes);
        return value;
      });
  const int threads = points[0].threads;
  plot.title = absl::StrCat("Bytes appended per second, without waiting, ", threads,
                            threads == 1 ? " thread" : " threads");
  plot.x_title = "length of a record";
  return plot;
}

}  // namespace

std::vector<LinePlot> LinePlots(const Results& results) {
  std::map<size_t, std::vector<Point>> commits;  // by size
  std::map<int, std::vector<Point>> appends;     // by threads
  for (const Point& point : results.Points()) {
    if (point.workload == Workload::kCommit) commits[point.record_bytes].push_back(point);
    if (point.workload == Workload::kAppend) appends[point.threads].push_back(point);
  }
  std::vector<LinePlot> plots;
  for (const auto& [bytes, points] : commits) {
    plots.push_back(OverThreads(results, points, kRecordsPerSecond, "Durable commits per second"));
    plots.push_back(
        OverThreads(results, points, kP50Micros, "Commit latency, median, microseconds"));
    plots.push_back(
        OverThreads(results, points, kP99Micros, "Commit latency, 99th percentile, microseconds"));
    plots.push_back(
        OverThreads(results, points, kCpuMicrosPerRecord, "CPU per commit, microseconds"));
  }
  for (const auto& [threads, points] : appends) plots.push_back(OverSizes(results, points));
  return plots;
}

std::vector<BarPlot> BarPlots(const Results& results) {
  std::vector<BarPlot> plots;
  for (const Point& point : results.Points()) {
    BarPlot plot;
    if (point.workload == Workload::kReplay) {
      plot.title = absl::StrCat("Records read per second, warm, ", SizeName(point.record_bytes));
    } else if (point.workload == Workload::kAsync) {
      plot.title =
          absl::StrCat("Commits per second, ", kOutstanding, " outstanding, ",
                       point.threads == 1 ? "callbacks to one thread"
                                          : absl::StrCat(point.threads, " waiting threads"));
    } else {
      continue;
    }
    for (const PeerInfo* info : results.PeersAt(point)) {
      const auto value = results.MedianOf(info->name, point, kRecordsPerSecond);
      if (value.has_value()) plot.bars.push_back({info->title, StyleOf(results, *info), *value});
    }
    plots.push_back(std::move(plot));
  }
  return plots;
}

}  // namespace seawall::bench
