// SPDX-License-Identifier: Apache-2.0
// The results of a comparison as text, as JSON, and as a page with plots.
#ifndef SEAWALL_BENCH_REPORT_H_
#define SEAWALL_BENCH_REPORT_H_

#include <string>
#include <utility>
#include <vector>

#include "bench/results.h"

namespace seawall::bench {

// Where and how it was measured: names and values.
using Environment = std::vector<std::pair<std::string, std::string>>;

struct Table {
  std::string title;
  std::vector<std::string> columns;  // the first one is left-aligned, the others are numbers
  struct Row {
    std::vector<std::string> cells;
    bool floor = false;
    bool seawall = false;
  };
  std::vector<Row> rows;
};

// Over all points of a workload and a record size: records/s, and Seawall's ratios.
std::vector<Table> OverviewTables(const Results& results);
// One for each point, with all metrics that it has.
std::vector<Table> DetailTables(const Results& results);

std::string TextReport(const Results& results, const Environment& environment);
std::string JsonReport(const Results& results, const Environment& environment);
std::string HtmlReport(const Results& results, const Environment& environment);

// A number in at most four digits or with thousands' commas: "1,234,567", "12.3", "0.98".
std::string Number(double value);

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_REPORT_H_
