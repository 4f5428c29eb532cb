// SPDX-License-Identifier: Apache-2.0
// A log as the tool sees it: read only, perhaps beside a live writer, perhaps damaged. Where the
// library stops at the first damage, this goes on.
#ifndef SEAWALL_TOOLS_SEAWALL_INSPECT_LOG_VIEW_H_
#define SEAWALL_TOOLS_SEAWALL_INSPECT_LOG_VIEW_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/cursor_table.h"
#include "engine/format/format.h"
#include "engine/segments/control_file.h"
#include "engine/segments/segment_ref.h"
#include "seawall/file_system.h"
#include "seawall/recovery_report.h"

namespace seawall {

// Damage at one place.
struct Problem {
  std::string path;
  uint64_t offset = 0;
  std::string expected;
  std::string found;
  std::string consequence;    // what it means for the user
  uint64_t group_offset = 0;  // of the group that `offset` is in, or `offset`

  std::string ToString() const;
};

// From a status that names "<path>, offset <n>: expected <...>, found <...>".
Problem ProblemOf(const absl::Status& damage);

// Both copies of a segment's header, each on its own.
struct HeaderCopies {
  uint64_t file_bytes = 0;
  std::array<DecodeResult, 2> results = {};
  std::array<SegmentHeader, 2> headers;
  std::optional<SegmentHeader> header;  // what the library makes of the two, if one is valid

  bool valid(size_t i) const { return results[i] == DecodeResult::kValid; }
};
absl::StatusOr<HeaderCopies> ReadHeaderCopies(const std::string& path);

// Each slot of CONTROL, on its own.
struct ControlSlots {
  std::array<DecodeResult, kControlSlots> results = {};
  std::array<ControlBlock, kControlSlots> blocks;

  bool valid(size_t i) const { return results[i] == DecodeResult::kValid; }
  bool any_valid() const;
  // If any is valid: the slot that comes after the newest one. Unless that is valid, it may have
  // been newer.
  size_t next() const;
};
absl::StatusOr<ControlSlots> ReadControlSlots(const std::string& directory);

struct LogView {
  std::string directory;
  // What Log::Open would say: OK, or DataLoss.
  absl::Status opens;
  RecoveryReport report;  // if opens.ok()
  std::optional<ControlBlock> control;
  std::vector<CursorPosition> cursors;  // if opens.ok()
  // Oldest first. If opens.ok(), each with its end. Otherwise those of which a header is left; one
  // whose end is not known is not sealed().
  std::vector<SegmentRef> segments;
  // If !opens.ok(): segments that should be there.
  std::vector<Problem> problems;
};

// NotFound if there is no log. Errors other than DataLoss as Log::Open.
absl::StatusOr<LogView> LoadLogView(const std::string& directory);

// True if a live writer has trimmed or cut off `segment` since it was found: what is in its file
// now says nothing about the log.
bool LeftTheLog(const std::string& directory, const SegmentRef& segment);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_INSPECT_LOG_VIEW_H_
