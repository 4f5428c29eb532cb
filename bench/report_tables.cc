// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/report.h"

namespace seawall::bench {
namespace {

std::string ThreadsName(int threads) {
  return absl::StrCat(threads, threads == 1 ? " thread" : " threads");
}

// What the columns of an overview are.
std::string AxisName(const Point& point) {
  if (point.workload == Workload::kAsync) {
    return point.threads == 1 ? "callbacks, 1 thread"
                              : absl::StrCat(point.threads, " waiting threads");
  }
  return ThreadsName(point.threads);
}

std::string WorkloadTitle(Workload workload) {
  switch (workload) {
    case Workload::kCommit:
      return "Durable commits per second";
    case Workload::kAppend:
      return "Records appended per second, without waiting, synced at the end";
    case Workload::kReplay:
      return "Records read per second, from the page cache";
    case Workload::kAsync:
      return absl::StrCat("Commits per second with ", kOutstanding, " outstanding");
  }
  return "";
}

bool Failed(const Results& results, const std::string& peer, const Point& point) {
  const auto& runs = results.Runs(peer, point);
  return std::any_of(runs.begin(), runs.end(), [](const auto& run) { return !run.error.empty(); });
}

std::string Cell(const Results& results, const std::string& peer, const Point& point,
                 Metric metric) {
  const auto value = results.MedianOf(peer, point, metric);
  if (value.has_value()) return Number(*value);
  return Failed(results, peer, point) ? "FAILED" : "-";
}

Table::Row RowOf(const PeerInfo& info) {
  Table::Row row;
  row.cells.push_back(info.title);
  row.floor = info.floor;
  row.seawall = info.name == "seawall";
  return row;
}

std::string Ratio(const Results& results, const std::string& peer, const PeerInfo* to,
                  const Point& point) {
  const auto mine = results.MedianOf(peer, point, kRecordsPerSecond);
  if (!mine.has_value() || to == nullptr) return "-";
  const double theirs = *results.MedianOf(to->name, point, kRecordsPerSecond);
  return theirs > 0 ? absl::StrFormat("%.2f", *mine / theirs) : "-";
}

Table Overview(const Results& results, const std::vector<Point>& points) {
  Table table;
  table.title =
      absl::StrCat(WorkloadTitle(points[0].workload), ", ", SizeName(points[0].record_bytes));
  table.columns.push_back("");
  for (const Point& point : points) table.columns.push_back(AxisName(point));
  for (const PeerInfo& info : results.peers()) {
    Table::Row row = RowOf(info);
    bool any = false;
    for (const Point& point : points) {
      row.cells.push_back(Cell(results, info.name, point, kRecordsPerSecond));
      any = any || row.cells.back() != "-";
    }
    if (any) table.rows.push_back(std::move(row));
  }
  Table::Row to_floor, to_best, best;
  to_floor.cells.push_back("Seawall / floor");
  to_best.cells.push_back("Seawall / best peer");
  best.cells.push_back("best peer");
  for (const Point& point : points) {
    to_floor.cells.push_back(Ratio(results, "seawall", results.FloorAt(point), point));
    const PeerInfo* peer = results.BestPeerAt(point);
    to_best.cells.push_back(Ratio(results, "seawall", peer, point));
    best.cells.push_back(peer == nullptr ? "-" : peer->name);
  }
  for (Table::Row* row : {&to_floor, &to_best, &best}) table.rows.push_back(std::move(*row));
  return table;
}

Table Detail(const Results& results, const Point& point) {
  Table table;
  const std::string_view workload = NameOf(point.workload);
  table.title = absl::StrCat(absl::string_view(workload.data(), workload.size()), ", ",
                             SizeName(point.record_bytes), ", ", AxisName(point));
  const std::vector<const PeerInfo*> peers = results.PeersAt(point);
  table.columns = {"", "records/s", "least..most", "/ floor", "/ best"};
  std::vector<Metric> metrics;
  for (Metric metric :
       {kP50Micros, kP99Micros, kP999Micros, kLeastShare, kMostShare, kCpuMicrosPerRecord,
        kSwitchesPerRecord, kRecordsPerFlush, kDeviceBytesPerRecord}) {
    const bool any = std::any_of(peers.begin(), peers.end(), [&](const PeerInfo* info) {
      return results.MedianOf(info->name, point, metric).has_value();
    });
    if (!any) continue;
    metrics.push_back(metric);
    table.columns.emplace_back(InfoOf(metric).title);
  }
  for (const PeerInfo* info : peers) {
    Table::Row row = RowOf(*info);
    row.cells.push_back(Cell(results, info->name, point, kRecordsPerSecond));
    const auto range = results.RangeOf(info->name, point, kRecordsPerSecond);
    row.cells.push_back(
        range.has_value() ? absl::StrCat(Number(range->first), "..", Number(range->second)) : "-");
    row.cells.push_back(Ratio(results, info->name, results.FloorAt(point), point));
    row.cells.push_back(Ratio(results, info->name, results.BestPeerAt(point), point));
    for (Metric metric : metrics) row.cells.push_back(Cell(results, info->name, point, metric));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::string Number(double value) {
  if (value < 10) return absl::StrFormat("%.2f", value);
  if (value < 100) return absl::StrFormat("%.1f", value);
  std::string digits = absl::StrFormat("%.0f", value);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

std::vector<Table> OverviewTables(const Results& results) {
  std::vector<Table> tables;
  std::vector<Point> group;
  for (const Point& point : results.Points()) {
    if (!group.empty() &&
        (group[0].workload != point.workload || group[0].record_bytes != point.record_bytes)) {
      tables.push_back(Overview(results, group));
      group.clear();
    }
    group.push_back(point);
  }
  if (!group.empty()) tables.push_back(Overview(results, group));
  return tables;
}

std::vector<Table> DetailTables(const Results& results) {
  std::vector<Table> tables;
  for (const Point& point : results.Points()) tables.push_back(Detail(results, point));
  return tables;
}

}  // namespace seawall::bench
