// SPDX-License-Identifier: Apache-2.0
// What the last segment of a log holds, up to the first group that is not good, and what is behind.
// Reads only; what it means is TailVerdict's and the planner's.
#ifndef SEAWALL_ENGINE_RECOVERY_TAIL_SCAN_H_
#define SEAWALL_ENGINE_RECOVERY_TAIL_SCAN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/format.h"
#include "engine/recovery/tail_verdict.h"
#include "engine/segments/segment_file.h"

namespace seawall {

struct TailScan {
  // What decides. ScanTail sets `stop`, the surveys `remnants` and `acknowledged_beyond`.
  TailFacts facts;
  std::string bad;    // what is wrong with the group at `end`
  std::string proof;  // what proves that more had been acknowledged

  uint64_t end = kSegmentHeaderBytes;
  Lsn last_lsn = 0;
  uint64_t digest = 0;
  // The highest watermark seen in the tail's own groups.
  Lsn durable_lsn = 0;
  // Group boundaries, to find the one behind the last proven record.
  struct Boundary {
    uint64_t offset;
    Lsn first_lsn;
    uint64_t digest;  // of the groups before
  };
  std::vector<Boundary> groups;
  // One past the last byte of a write that was never acknowledged, or `end`.
  uint64_t remnants_end = kSegmentHeaderBytes;

  uint64_t scanned_bytes = 0;
  uint64_t scanned_records = 0;
};

absl::StatusOr<TailScan> ScanTail(const SegmentFile& tail);

// Looks at all that is behind scan->end.
absl::Status SurveyBehind(const SegmentFile& tail, TailScan* scan);

// Searches a file after the tail for groups of any segment that the control file lists. A prepared
// segment without its header was being begun when the power failed; or its header is damaged, or it
// stands in another file's place, which need not be one that CONTROL lists. Then groups in it may
// prove that. With `control_may_be_older`, the newest block of CONTROL may be lost, and with it the
// entry of a segment that was begun: then the groups of a file without a header prove its salt
// themselves.
absl::Status SurveyLaterFile(const SegmentFile& file, const ControlBlock& control,
                             bool control_may_be_older, TailScan* scan);

// True if the next group is where the scan found none, or not all of one: a live writer went on
// between two looks, and what was found behind the end is no sign of damage.
absl::StatusOr<bool> WrittenSince(const SegmentFile& tail, const TailScan& scan);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RECOVERY_TAIL_SCAN_H_
