// SPDX-License-Identifier: Apache-2.0
// What is kept of a log, and why.
#ifndef SEAWALL_RETENTION_H_
#define SEAWALL_RETENTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "seawall/types.h"

namespace seawall {

// Who may keep a log from giving records up.
enum class HoldKind {
  kCursor,   // a consumer that has not read further
  kArchive,  // segments that were not archived yet
  kBackup,   // a backup that is being made
  kOther,
};

// "cursor", "archive", ...
const char* HoldKindName(HoldKind kind);

// Nothing at or above `lsn` is given up while this stands.
struct Hold {
  HoldKind kind = HoldKind::kOther;
  std::string name;
  Lsn lsn = 0;
};

// Why a file still takes space.
enum class KeptBecause {
  kTail,         // it is being written
  kWithinBytes,  // Options::retain_bytes
  kYoung,        // Options::retain_micros
  kNotTrimmed,   // no retention is set, and nobody asked to trim it
  kHeld,         // it is not wanted any more, but held
  kGivenUpNext,  // about to be trimmed: when the segment behind it is durable
  kReader,       // trimmed; a reader of this process has it open
  kRemovedNext,  // trimmed or cut off; about to be recycled or unlinked
  kSpare,        // prepared for records to come
};
// "tail", "within retain_bytes", ...
const char* KeptBecauseName(KeptBecause why);

struct SegmentRetention {
  uint64_t generation = 0;  // names the file
  // Of a segment that is part of the log; both 0 of one that is not, or not yet. The tail's last
  // record is the log's last durable one; it may be below first_lsn: the tail is empty.
  Lsn first_lsn = 0;
  Lsn last_lsn = 0;
  uint64_t bytes = 0;  // of the file
  // How old its newest record is at least; -1 where that says nothing: the tail, a spare.
  int64_t age_micros = -1;
  KeptBecause why = KeptBecause::kTail;
  std::string text;  // the same for people: held by cursor "mailer" at record 5
};

// A snapshot.
struct RetentionReport {
  Lsn first_lsn = 0;
  std::vector<SegmentRetention>
      segments;  // in the order of the log; then spares; then trimmed ones
  std::vector<Hold> holds;
  // What counts against Options::max_log_bytes: all the above and 48 KiB; and that cap, 0 for none.
  uint64_t disk_bytes = 0;
  uint64_t max_log_bytes = 0;
  // Of the cap, what is kept free for the next opening. Appends are refused when they need more
  // than max_log_bytes - reserved_bytes - disk_bytes.
  uint64_t reserved_bytes = 0;

  // One line for each segment, and one with the totals.
  std::string ToString() const;
};

}  // namespace seawall

#endif  // SEAWALL_RETENTION_H_
