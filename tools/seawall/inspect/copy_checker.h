// SPDX-License-Identifier: Apache-2.0
// Judges what a log keeps more than once, each copy on its own: where one is damaged nothing is
// lost yet, and recovery and readers say nothing of it.
#ifndef SEAWALL_TOOLS_SEAWALL_INSPECT_COPY_CHECKER_H_
#define SEAWALL_TOOLS_SEAWALL_INSPECT_COPY_CHECKER_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/segments/segment_ref.h"
#include "tools/seawall/inspect/log_view.h"

namespace seawall {

// Damage goes to `report`; the functions fail when a file cannot be read.
class CopyChecker {
 public:
  // `view` must outlive it.
  CopyChecker(const LogView& view, std::function<void(const Problem&)> report);

  // Each slot of CONTROL.
  absl::Status CheckControl() const;
  // Both copies of the header of a segment of the view.
  absl::Status CheckHeader(const SegmentRef& segment) const;
  // Prepared segments that hold no record yet: those that CONTROL lists must be whole. How many.
  absl::StatusOr<uint64_t> CheckSpares() const;

 private:
  // Both copies are whole, and equal if `settled`.
  absl::Status CheckCopies(const SegmentRef& segment, bool settled, bool spare) const;
  void ReportCopy(const SegmentRef& segment, const HeaderCopies& copies, size_t i,
                  bool spare) const;
  bool IsPrepared(uint64_t generation) const;

  const LogView& view_;
  const std::function<void(const Problem&)> report_;
};

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_INSPECT_COPY_CHECKER_H_
