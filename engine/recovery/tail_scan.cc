// SPDX-License-Identifier: Apache-2.0
#include "engine/recovery/tail_scan.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/segments/headerless_segment.h"
#include "engine/segments/segment_scanner.h"

namespace seawall {

absl::StatusOr<TailScan> ScanTail(const SegmentFile& tail) {
  SegmentScanner scanner(tail.file.get(), tail.path, tail.header.salt);
  TailScan scan;
  scan.last_lsn = tail.header.base_lsn - 1;
  scan.end = tail.header.groups_begin();
  for (;;) {
    Group group;
    absl::StatusOr<SegmentScanner::Found> found = scanner.ReadGroup(scan.end, tail.bytes, &group);
    if (!found.ok()) return found.status();
    if (*found == SegmentScanner::Found::kNothing) break;
    if (*found == SegmentScanner::Found::kCutShort) {
      scan.facts.stop = TailFacts::Stop::kBadRecords;
      scan.bad = absl::StrCat("expected a group of ", group.header.group_bytes,
                              " bytes, found the end of the file");
      break;
    }
    absl::Status records = scanner.CheckRecords(group);
    if (!records.ok()) {
      scan.facts.stop = TailFacts::Stop::kBadRecords;
      scan.bad = std::string(records.message());
      break;
    }
    if (group.header.first_lsn != scan.last_lsn + 1) {
      scan.facts.stop = TailFacts::Stop::kWrongLsn;
      scan.bad =
          absl::StrCat("expected record ", scan.last_lsn + 1, ", found ", group.header.first_lsn);
      break;
    }
    scan.groups.push_back({group.offset, group.header.first_lsn, scan.digest});
    scan.digest = ExtendDigest(scan.digest, group.checksum);
    scan.durable_lsn = std::max(scan.durable_lsn, group.header.durable_lsn);
    scan.scanned_records += group.header.record_count;
    scan.last_lsn = group.header.last_lsn();
    scan.end = group.end();
  }
  scan.scanned_bytes = scan.remnants_end = scan.end;
  return scan;
}

absl::Status SurveyBehind(const SegmentFile& tail, TailScan* scan) {
  SegmentScanner scanner(tail.file.get(), tail.path, tail.header.salt);
  absl::StatusOr<Remnants> remnants = scanner.Survey(scan->end, tail.bytes);
  if (!remnants.ok()) return remnants.status();
  scan->scanned_bytes += tail.bytes - std::min(tail.bytes, scan->end);
  // A recycled file holds old bytes there, which tell nothing.
  scan->remnants_end = tail.header.recycled ? remnants->groups_end
                                            : std::max(remnants->groups_end, remnants->nonzero_end);
  scan->facts.remnants = scan->remnants_end > scan->end;
  if (remnants->durable_lsn > scan->last_lsn) {
    scan->facts.acknowledged_beyond = true;
    scan->proof =
        absl::StrCat("a later group knew record ", remnants->durable_lsn, " to be durable");
  }
  return absl::OkStatus();
}

absl::Status SurveyLaterFile(const SegmentFile& file, const ControlBlock& control,
                             bool control_may_be_older, TailScan* scan) {
  std::vector<std::pair<uint64_t, std::string>> salts;
  bool listed = false;
  for (const ControlEntry& entry : control.entries) {
    salts.emplace_back(entry.salt, absl::StrCat("generation ", entry.generation));
    listed = listed || entry.generation == file.generation;
  }
  if (control_may_be_older && !listed && file.kind == FileKind::kUnreadable) {
    absl::StatusOr<std::optional<HeaderlessSegment>> segment =
        FindHeaderlessSegment(file.file.get(), file.path, file.bytes);
    if (!segment.ok()) return segment.status();
    if (segment->has_value()) salts.emplace_back((*segment)->salt, "an unlisted segment");
  }
  for (const auto& [salt, whose] : salts) {
    SegmentScanner scanner(file.file.get(), file.path, salt);
    absl::StatusOr<Remnants> remnants = scanner.Survey(kSegmentHeaderBytes, file.bytes);
    if (!remnants.ok()) return remnants.status();
    if (remnants->groups_end == kSegmentHeaderBytes || remnants->durable_lsn <= scan->last_lsn) {
      continue;
    }
    scan->facts.acknowledged_beyond = true;
    scan->proof =
        absl::StrCat("a group of ", whose, " in ", file.path,
                     ", which has not the header of a segment that was begun, knew record ",
                     remnants->durable_lsn, " to be durable");
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> WrittenSince(const SegmentFile& tail, const TailScan& scan) {
  SegmentScanner scanner(tail.file.get(), tail.path, tail.header.salt);
  Group group;
  absl::StatusOr<SegmentScanner::Found> found = scanner.ReadGroup(scan.end, ~uint64_t{0}, &group);
  if (!found.ok()) return found.status();
  return *found == SegmentScanner::Found::kGroup && group.header.first_lsn == scan.last_lsn + 1 &&
         scanner.CheckRecords(group).ok();
}

}  // namespace seawall
