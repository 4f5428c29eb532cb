// SPDX-License-Identifier: Apache-2.0
// The metrics of open logs as text for Prometheus and others that read OpenMetrics 1.0.
#ifndef SEAWALL_OPENMETRICS_H_
#define SEAWALL_OPENMETRICS_H_

#include <string>
#include <utility>
#include <vector>

#include "seawall/stats.h"

namespace seawall {

// What an HTTP server says of the text: its Content-Type.
inline constexpr char kOpenMetricsContentType[] =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

// Name and value. Names as OpenMetrics has them ([a-zA-Z_][a-zA-Z0-9_]*, each once, not "le"): any
// other character becomes "_". Values are UTF-8: bytes that are not become "?".
using MetricLabels = std::vector<std::pair<std::string, std::string>>;

struct LabelledStats {
  MetricLabels labels;
  Stats stats;
};

// One exposition, with its "# EOF", of one log or of several that differ in their labels: all of
// Stats, named seawall_..., times in seconds. Of each histogram it has two buckets for each power
// of two (one, for the sizes of groups), so that their number does not change: coarser than
// Histogram::Percentile(). Thread-safe; touches no log.
//
//   http.Handle("/metrics", [&] { return OpenMetricsText(log->stats(), {{"log", "orders"}}); });
std::string OpenMetricsText(const std::vector<LabelledStats>& logs);
std::string OpenMetricsText(const Stats& stats, const MetricLabels& labels = {});

}  // namespace seawall

#endif  // SEAWALL_OPENMETRICS_H_
