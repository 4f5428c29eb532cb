// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "bench/report.h"

namespace seawall::bench {
namespace {

using Json = nlohmann::ordered_json;

Json ToJson(const PeerInfo& info) {
  return {{"name", info.name},
          {"title", info.title},
          {"version", info.version},
          {"notes", info.notes},
          {"floor", info.floor}};
}

Json Runs(const Results& results, const PeerInfo& info, const Point& point) {
  Json rounds = Json::array();
  for (const Results::Run& run : results.Runs(info.name, point)) {
    Json round = Json::object();
    if (!run.error.empty()) round["error"] = run.error;
    for (size_t i = 0; i < kMetrics; ++i) {
      const std::string name(InfoOf(static_cast<Metric>(i)).name);
      if (run.metrics[i].has_value()) round[name] = *run.metrics[i];
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

Json Medians(const Results& results, const PeerInfo& info, const Point& point) {
  Json medians = Json::object();
  for (size_t i = 0; i < kMetrics; ++i) {
    const Metric metric = static_cast<Metric>(i);
    const auto median = results.MedianOf(info.name, point, metric);
    if (median.has_value()) medians[std::string(InfoOf(metric).name)] = *median;
  }
  return medians;
}

}  // namespace

std::string JsonReport(const Results& results, const Environment& environment) {
  Json json;
  for (const auto& [name, value] : environment) json["environment"][name] = value;
  json["peers"] = Json::array();
  for (const PeerInfo& info : results.peers()) json["peers"].push_back(ToJson(info));
  json["results"] = Json::array();
  for (const Point& point : results.Points()) {
    const PeerInfo* floor = results.FloorAt(point);
    const PeerInfo* best = results.BestPeerAt(point);
    for (const PeerInfo* info : results.PeersAt(point)) {
      json["results"].push_back({{"workload", std::string(NameOf(point.workload))},
                                 {"threads", point.threads},
                                 {"record_bytes", point.record_bytes},
                                 {"peer", info->name},
                                 {"floor", floor == nullptr ? Json() : Json(floor->name)},
                                 {"best_peer", best == nullptr ? Json() : Json(best->name)},
                                 {"medians", Medians(results, *info, point)},
                                 {"rounds", Runs(results, *info, point)}});
    }
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace seawall::bench
