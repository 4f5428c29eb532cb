// SPDX-License-Identifier: Apache-2.0
// Carries out what recovery_plan.h decided: the one unit of recovery that changes the disk. It
// begins a fresh segment, so that a recovered segment is never appended to.
#ifndef SEAWALL_ENGINE_RECOVERY_RECOVERY_H_
#define SEAWALL_ENGINE_RECOVERY_RECOVERY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/cursor_table.h"
#include "engine/format/format.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/segments/control_file.h"
#include "engine/segments/fresh_segment.h"
#include "engine/segments/segment_list.h"
#include "seawall/file_system.h"
#include "seawall/options.h"

namespace seawall {

// A log that is ready to be appended to.
struct RecoveredLog {
  std::unique_ptr<ControlFile> control_file;
  ControlBlock control;  // as written
  SegmentList segments;  // the last one is the fresh segment
  FreshSegment fresh;
  CursorTable cursors;  // in both slots of the fresh segment, if it has slots
};

// Creates the log, or begins a fresh segment behind what the plan retains; then writes CONTROL and
// removes the garbage. The directory exists and is locked. `options.cursors` is set if the plan has
// cursors (LogConfig). Fills in the rest of plan->report, takes plan->segments.
absl::StatusOr<RecoveredLog> ApplyRecovery(FileSystem* fs, const std::string& directory,
                                           const Options& options, RecoveryPlan* plan);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RECOVERY_RECOVERY_H_
