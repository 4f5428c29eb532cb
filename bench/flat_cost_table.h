// SPDX-License-Identifier: Apache-2.0
// The logs that flat_cost measures, its figures, and how they are shown.
#ifndef SEAWALL_BENCH_FLAT_COST_TABLE_H_
#define SEAWALL_BENCH_FLAT_COST_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "seawall/options.h"
#include "seawall/types.h"

namespace seawall {

constexpr uint64_t kTinySegmentBytes = uint64_t{16} << 10;

// One log.
struct Case {
  std::string name;
  uint64_t bytes = 0;     // one of them
  uint64_t segments = 0;  // is wanted
  std::string path;
  Lsn last_lsn = 0;  // once it is built

  bool tiny() const { return segments > 0; }
  Options options() const {
    Options options;
    options.max_record_bytes = 4096;
    if (tiny()) options.segment_bytes = kTinySegmentBytes;
    return options;
  }
};

enum Figure : size_t {
  kOpenMillis,
  kKilledOpenMillis,
  kHeapKib,
  kRssKib,
  kCommitP50,
  kCommitP99,
  kFloorP50,
  kFloorP99,
  kAppendPerSecond,
  kReadMicros,
  kTruncateMillis,
  kTrimMillis,
  kCloseMillis,
  kSegments,
  kLastLsn,
  kFigures
};
using Figures = std::array<double, kFigures>;

// Figures that are not there.
Figures None();

struct Result {
  Case what;
  Figures medians = None();
  const Figures* smallest = nullptr;  // of the same kind; null for that one itself
};

// On standard output.
void PrintTable(const std::vector<Result>& results);
// False if the file cannot be written.
bool WriteJson(const std::string& path, const std::vector<Result>& results);

}  // namespace seawall

#endif  // SEAWALL_BENCH_FLAT_COST_TABLE_H_
