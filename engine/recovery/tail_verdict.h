// SPDX-License-Identifier: Apache-2.0
// The decision of recovery: what the end of the last segment means. One table, which
// recovery_test enumerates.
#ifndef SEAWALL_ENGINE_RECOVERY_TAIL_VERDICT_H_
#define SEAWALL_ENGINE_RECOVERY_TAIL_VERDICT_H_

namespace seawall {

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

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RECOVERY_TAIL_VERDICT_H_
