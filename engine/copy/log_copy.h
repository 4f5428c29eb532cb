// SPDX-License-Identifier: Apache-2.0
// Makes a new log of segments of another one, up to an LSN. What backup and restore have in common.
#ifndef SEAWALL_ENGINE_COPY_LOG_COPY_H_
#define SEAWALL_ENGINE_COPY_LOG_COPY_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/cursor_table.h"
#include "engine/format/format.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/segments/segment_ref.h"
#include "seawall/backup.h"
#include "seawall/file_system.h"

namespace seawall {

struct LogCopy {
  FileSystem* from = nullptr;  // that `segments` are read by
  FileSystem* fs = nullptr;    // of the destination
  LogId log_id = {};
  std::string metadata;
  // Oldest first, each the predecessor of the next and with its end; wherever they are. Not empty.
  // All but the last are sealed: nobody writes to them.
  std::vector<SegmentRef> segments;
  Lsn to_lsn = 0;  // from the one before the first record to the last
  // If the log has cursors: those behind `to_lsn` stand at it in the copy, those below the first
  // record in front of it.
  std::optional<CursorTable> cursors;
  // Above all of the original's.
  uint64_t fresh_generation = 0;
  bool hard_links = false;
  // Called when all but CONTROL is there, and verified. May be empty.
  std::function<absl::Status()> before_commit;
  std::function<absl::Status(uint64_t bytes)> progress;
};

// Sealed segments up to `to_lsn` become files of the copy as they are; the records of the next one,
// up to `to_lsn`, go to a fresh segment. All is synced, then read back and verified, then
// CONTROL is written, under another name first: the commit point. Removes what it made when it
// fails. NotFound or DataLoss also if a segment went, or was written again, meanwhile.
absl::StatusOr<BackupReport> CopyLog(const LogCopy& copy, const std::string& destination);

// A writer that trims away what is being copied does so at the front, and a copy is faster than
// that, or will never be.
inline constexpr int kCopyAttempts = 5;

// True if one of `segments` is not part of the log any more, which is `now`.
bool Overtaken(const std::vector<SegmentRef>& segments, const absl::StatusOr<RecoveryPlan>& now);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COPY_LOG_COPY_H_
