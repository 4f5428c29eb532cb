// SPDX-License-Identifier: Apache-2.0
// What a comparison's page shows.
#ifndef SEAWALL_BENCH_PLOTS_H_
#define SEAWALL_BENCH_PLOTS_H_

#include <vector>

#include "bench/results.h"
#include "bench/svg.h"

namespace seawall::bench {

// Commits per second and latencies over threads, for each record size; bytes appended per second
// over record sizes, for each number of threads.
std::vector<LinePlot> LinePlots(const Results& results);

// Records read per second, for each record size; commits with many outstanding.
std::vector<BarPlot> BarPlots(const Results& results);

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_PLOTS_H_
