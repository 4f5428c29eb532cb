// What is in a log's directory, and what to make of it. Planning only reads; applying a plan
// begins a fresh segment, so that a recovered segment is never appended to.
#ifndef SEAWALL_ENGINE_RECOVERY_H_
#define SEAWALL_ENGINE_RECOVERY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/control_file.h"
#include "engine/format.h"
#include "engine/segment.h"
#include "seawall/file_system.h"
#include "seawall/recovery_report.h"

namespace seawall {

// ---- The decision: what the end of the last segment means. recovery_test enumerates it.

struct TailFacts {
  // What stands where the next group would begin.
  enum class Stop {
    kNothing,     // no group header that verifies
    kBadRecords,  // a group header that verifies, before bytes that do not
    kWrongLsn,    // a whole group with another LSN than the next one
  };
  Stop stop = Stop::kNothing;
  // Something proves that records beyond the end had been acknowledged: the watermark of a later
  // group, of a later segment, of the segment's own header, or of the control file.
  bool acknowledged_beyond = false;
  // Bytes of a write that was never acknowledged are behind the end.
  bool remnants = false;
  // The control file says that the log was closed, at this end.
  bool closed_here = false;
};

enum class TailVerdict { kClean, kUnclosed, kTorn, kDamaged };

TailVerdict DecideTail(const TailFacts& facts);

// ---- The plan

struct RecoveryPlan {
  // No log here, or one of which the creation was not finished: nothing can have been
  // acknowledged. Then only `directory_exists`, `garbage` and `next_generation` count.
  bool exists = false;
  bool directory_exists = false;

  ControlBlock control;
  // All retained segments, oldest first; the last one is the tail, with the end that was decided.
  std::vector<SegmentRef> segments;
  SegmentHeader tail_header;

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
absl::StatusOr<RecoveryPlan> PlanReadOnly(FileSystem* fs, const std::string& directory);

// A log that is ready to be appended to.
struct RecoveredLog {
  std::unique_ptr<ControlFile> control_file;
  ControlBlock control;              // as written
  std::vector<SegmentRef> segments;  // the last one is the fresh segment
  FreshSegment fresh;
};

// What readers need to know of a segment that is being written.
SegmentRef RefOf(const WritableSegment& segment);

// Creates the log, or begins a fresh segment behind what the plan retains; then writes CONTROL and
// removes the garbage. The directory exists and is locked. Fills in the rest of plan->report.
absl::StatusOr<RecoveredLog> ApplyRecovery(FileSystem* fs, const std::string& directory,
                                           const Options& options, RecoveryPlan* plan);

// Removes files by name and makes that durable.
absl::Status RemoveFiles(FileSystem* fs, const std::string& directory,
                         const std::vector<std::string>& names);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RECOVERY_H_
