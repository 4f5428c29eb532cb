// SPDX-License-Identifier: Apache-2.0
#include "seawall/recovery_report.h"

#include "absl/strings/str_cat.h"

namespace seawall {

std::string_view RecoveryVerdictName(RecoveryVerdict verdict) {
  switch (verdict) {
    case RecoveryVerdict::kCreated:
      return "created";
    case RecoveryVerdict::kClean:
      return "clean";
    case RecoveryVerdict::kUnclosed:
      return "unclosed";
    case RecoveryVerdict::kTornTail:
      return "torn tail";
  }
  return "unknown";
}

std::string RecoveryReport::ToString() const {
  std::string text = std::string(RecoveryVerdictName(verdict));
  if (last_lsn < first_lsn) {
    absl::StrAppend(&text, ": no records");
  } else {
    absl::StrAppend(&text, ": records ", first_lsn, "..", last_lsn);
  }
  absl::StrAppend(&text, " in ", segments, segments == 1 ? " segment" : " segments");
  if (verdict == RecoveryVerdict::kTornTail) {
    absl::StrAppend(&text, ", ", discarded_bytes, discarded_bytes == 1 ? " byte" : " bytes",
                    " never acknowledged discarded at ", torn_path, " offset ", torn_offset);
  }
  absl::StrAppend(&text, "; scanned ", scanned_records,
                  scanned_records == 1 ? " record, " : " records, ", scanned_bytes, " bytes in ",
                  elapsed_micros, " us");
  return text;
}

}  // namespace seawall
