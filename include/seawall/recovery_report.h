// SPDX-License-Identifier: Apache-2.0
// What opening a log found.
#ifndef SEAWALL_RECOVERY_REPORT_H_
#define SEAWALL_RECOVERY_REPORT_H_

#include <cstdint>
#include <string>

#include "seawall/identity.h"
#include "seawall/types.h"

namespace seawall {

// The verdicts that let a log open. Damage is not among them: it is an error (DataLoss), and
// nothing on disk is changed.
enum class RecoveryVerdict {
  kCreated,   // there was no log; an empty one was made
  kClean,     // the last writer closed it
  kUnclosed,  // the last writer did not close it; every byte behind its last group was unused
  kTornTail,  // as kUnclosed, and bytes of a group that was never acknowledged were discarded
};

std::string_view RecoveryVerdictName(RecoveryVerdict verdict);

// A plain value.
struct RecoveryReport {
  RecoveryVerdict verdict = RecoveryVerdict::kCreated;
  LogId log_id = {};
  // The retained records; last_lsn == first_lsn - 1 when there are none.
  Lsn first_lsn = kFirstLsn;
  Lsn last_lsn = 0;
  // Up to here the log itself proves that records were acknowledged. Those after it, up to
  // last_lsn, were found intact and have been made durable before Open returned.
  Lsn proven_durable_lsn = 0;
  uint64_t segments = 0;
  // Read and checked at open: the unsealed tail only.
  uint64_t scanned_bytes = 0;
  uint64_t scanned_records = 0;
  // Copied from the old tail into the fresh segment.
  uint64_t copied_records = 0;
  // Torn: written by the last writer, never acknowledged, not recovered.
  uint64_t discarded_bytes = 0;
  // Where the torn group begins, if there is one: "path" and offset.
  std::string torn_path;
  uint64_t torn_offset = 0;
  uint64_t elapsed_micros = 0;

  // One line for people.
  std::string ToString() const;
};

}  // namespace seawall

#endif  // SEAWALL_RECOVERY_REPORT_H_
