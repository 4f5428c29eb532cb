// SPDX-License-Identifier: Apache-2.0
#include "engine/recovery/tail_verdict.h"

namespace seawall {

// One row per verdict; the first that fits decides.
TailVerdict DecideTail(const TailFacts& facts) {
  // Acknowledged records are gone, or a group verifies that this log did not write here.
  if (facts.acknowledged_beyond || facts.stop == TailFacts::Stop::kWrongLsn) {
    return TailVerdict::kDamaged;
  }
  // A closed log ends where it was closed; nothing is written behind that end.
  if (facts.closed_here) return TailVerdict::kClean;
  if (facts.remnants || facts.stop == TailFacts::Stop::kBadRecords) return TailVerdict::kTorn;
  return TailVerdict::kUnclosed;
}

}  // namespace seawall
