// SPDX-License-Identifier: Apache-2.0
// The words of seawall/retention.h.
#include "absl/strings/str_cat.h"
#include "seawall/retention.h"

namespace seawall {

const char* HoldKindName(HoldKind kind) {
  switch (kind) {
    case HoldKind::kCursor:
      return "cursor";
    case HoldKind::kArchive:
      return "archive";
    case HoldKind::kBackup:
      return "backup";
    case HoldKind::kOther:
      break;
  }
  return "other";
}

const char* KeptBecauseName(KeptBecause why) {
  switch (why) {
    case KeptBecause::kTail:
      return "tail";
    case KeptBecause::kWithinBytes:
      return "within retain_bytes";
    case KeptBecause::kYoung:
      return "younger than retain_micros";
    case KeptBecause::kNotTrimmed:
      return "not trimmed";
    case KeptBecause::kHeld:
      return "held";
    case KeptBecause::kGivenUpNext:
      return "given up next";
    case KeptBecause::kReader:
      return "trimmed, open in a reader";
    case KeptBecause::kRemovedNext:
      return "trimmed, removed next";
    case KeptBecause::kSpare:
      break;
  }
  return "spare";
}

std::string RetentionReport::ToString() const {
  std::string text;
  for (const SegmentRetention& segment : segments) {
    absl::StrAppend(&text, "segment ", segment.generation, ": ");
    if (segment.first_lsn > 0) {
      absl::StrAppend(&text, "records ", segment.first_lsn, "..", segment.last_lsn, ", ");
    }
    absl::StrAppend(&text, segment.bytes, " bytes, ");
    if (segment.age_micros >= 0) absl::StrAppend(&text, segment.age_micros / 1000000, " s old, ");
    absl::StrAppend(&text, segment.text, "\n");
  }
  absl::StrAppend(&text, "on disk ", disk_bytes, " bytes");
  if (max_log_bytes > 0) {
    absl::StrAppend(&text, " of ", max_log_bytes, ", ", reserved_bytes,
                    " of them kept for the next opening");
  }
  return text + "\n";
}

}  // namespace seawall
