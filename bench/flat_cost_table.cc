// SPDX-License-Identifier: Apache-2.0
#include "bench/flat_cost_table.h"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <utility>

#include "absl/strings/str_format.h"
#include "nlohmann/json.hpp"

namespace seawall {
namespace {

constexpr std::array<const char*, kFigures> kNames = {
    "open_ms",       "killed_open_ms", "heap_KiB",     "rss_KiB",      "commit_p50_us",
    "commit_p99_us", "floor_p50_us",   "floor_p99_us", "append_per_s", "read_us",
    "truncate_ms",   "trim_ms",        "close_ms",     "segments",     "last_lsn"};

}  // namespace

Figures None() {
  Figures none;
  none.fill(std::nan(""));
  return none;
}

void PrintTable(const std::vector<Result>& results) {
  absl::PrintF("%-16s", "");
  for (const Result& result : results) absl::PrintF(" %20s", result.what.name);
  absl::PrintF("\n");
  for (size_t figure = 0; figure < kLastLsn; ++figure) {
    absl::PrintF("%-16s", kNames[figure]);
    for (const Result& result : results) {
      const double value = result.medians[figure];
      std::string text =
          std::isnan(value) ? "-" : absl::StrFormat("%.*f", value < 10 ? 2 : 0, value);
      if (result.smallest != nullptr && figure != kSegments && !std::isnan(value)) {
        const double smallest = (*result.smallest)[figure];
        if (smallest > 0) absl::StrAppendFormat(&text, " (%5.2fx)", value / smallest);
      }
      absl::PrintF(" %20s", text);
    }
    absl::PrintF("\n");
  }
  absl::PrintF("%-16s", "commit / floor");
  for (const Result& result : results) {
    absl::PrintF(" %20.2f", result.medians[kCommitP50] / result.medians[kFloorP50]);
  }
  absl::PrintF("\n");
  std::fflush(stdout);  // removing the logs may take a while
}

bool WriteJson(const std::string& path, const std::vector<Result>& results) {
  nlohmann::json logs = nlohmann::json::array();
  for (const Result& result : results) {
    nlohmann::json log = {{"log", result.what.name}, {"tiny_segments", result.what.tiny()}};
    for (size_t figure = 0; figure < kFigures; ++figure) {
      const double value = result.medians[figure];
      if (!std::isnan(value)) log[kNames[figure]] = value;
    }
    logs.push_back(std::move(log));
  }
  std::ofstream file(path);
  file << logs.dump(2) << "\n";
  file.close();
  return !file.fail();
}

}  // namespace seawall
