// SPDX-License-Identifier: Apache-2.0
// What is in a log's directory, and what to make of it. Reads only; ApplyRecovery (recovery.h)
// carries it out.
#ifndef SEAWALL_ENGINE_RECOVERY_RECOVERY_PLAN_H_
#define SEAWALL_ENGINE_RECOVERY_RECOVERY_PLAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/format/cursor_table.h"
#include "engine/format/format.h"
#include "engine/segments/control_file.h"
#include "engine/segments/segment_list.h"
#include "seawall/file_system.h"
#include "seawall/recovery_report.h"

namespace seawall {

struct RecoveryPlan {
  // No log here, or one of which the creation was not finished: nothing can have been
  // acknowledged. Then only `directory_exists`, `garbage` and `next_generation` count.
  bool exists = false;
  bool directory_exists = false;

  ControlBlock control;
  // All retained segments, oldest first; the last one is the tail, with the end that was decided.
  SegmentList segments;
  SegmentHeader tail_header;
  // The log has cursors, and the newest table of them.
  bool has_cursors = false;
  CursorTable cursors;

  // The records from here on are copied into the fresh segment: a group boundary of the tail.
  // Those below are known to be durable where they are.
  uint64_t copy_from = 0;
  Lsn copy_first_lsn = 0;
  uint64_t digest_at_copy = 0;

  // Above every generation ever used.
  uint64_t next_generation = 1;
  // Files that hold nothing retained.
  std::vector<std::string> garbage;

  RecoveryReport report;
};

// Reads the directory. Changes nothing. Errors as Log::Open. With `carry_small_tail`, a tail that
// holds little is copied as a whole, so that many short lives do not leave many segments.
absl::StatusOr<RecoveryPlan> PlanRecovery(FileSystem* fs, const std::string& directory,
                                          bool carry_small_tail);

// A plan for reading only, perhaps beside a live writer: NotFound if there is no log. Errors as
// PlanRecovery, but what a writer at work can look like is believed only when it stays.
absl::StatusOr<RecoveryPlan> PlanReadOnly(FileSystem* fs, const std::string& directory,
                                          bool carry_small_tail = true);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RECOVERY_RECOVERY_PLAN_H_
