// SPDX-License-Identifier: Apache-2.0
// Reads a segment and says what is damaged in it; several at once, told in order.
#ifndef SEAWALL_TOOLS_SEAWALL_INSPECT_SEGMENT_CHECK_H_
#define SEAWALL_TOOLS_SEAWALL_INSPECT_SEGMENT_CHECK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/segments/segment_ref.h"
#include "engine/segments/segment_scanner.h"
#include "tools/seawall/inspect/log_view.h"

namespace seawall {

struct SegmentFindings {
  // Why it could not be done.
  absl::Status status;
  std::vector<Problem> problems;
  // A live writer has taken it out of the log meanwhile.
  bool left = false;
  uint64_t records = 0;
  uint64_t groups = 0;
  uint64_t bytes = 0;
};

// What was read so far, of all segments; grows only. Each is for itself: nothing is ordered by
// them.
struct CheckProgress {
  std::atomic<uint64_t> records{0};
  std::atomic<uint64_t> bytes{0};
};

// Both copies of the header, every group and record, the end. `memory`: to go on with.
SegmentFindings CheckSegment(const LogView& view, const SegmentRef& segment, ScanMemory* memory,
                             CheckProgress* progress);

// Checks all segments of the view on `jobs` threads of its own. On this thread, `told` gets what
// was found in each, in order, and `wait` is called each quarter of a second meanwhile. Ends early
// when `told` returns false.
void CheckSegments(const LogView& view, size_t jobs, CheckProgress* progress,
                   const std::function<bool(const SegmentRef&, const SegmentFindings&)>& told,
                   const std::function<void()>& wait);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_INSPECT_SEGMENT_CHECK_H_
