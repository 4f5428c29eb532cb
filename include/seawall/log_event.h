// SPDX-License-Identifier: Apache-2.0
// What a log tells the program around it when something is out of the ordinary.
#ifndef SEAWALL_LOG_EVENT_H_
#define SEAWALL_LOG_EVENT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace seawall {

enum class LogEventKind {
  // The write of a group, or its sync, has been running for Options::slow_sync_micros, and still
  // is: told once, while the disk stalls. `micros`: how long until now. What is appended piles up
  // in the buffers meanwhile.
  kSlowWrite,
  kSlowSync,
  // It has returned: `micros` is how long it took, `status` what became of it. One of these follows
  // each of those above. It comes alone if the call ended before it could be told.
  kSlowWriteEnded,
  kSlowSyncEnded,
  // Appends waited for the next segment file, which was not ready in time: `micros`, from the first
  // that waited until none did. `status` as the last of them got it.
  kRolloverWait,
  // Options::max_log_bytes is reached, and appends are refused: `status` is what they get, and
  // Log::retention_report() tells what keeps the segments. Once, until there was room again;
  // `micros` is 0.
  kRetentionStall,
  // A write or sync failed: `status` is the error that every waiter and every later call gets until
  // the log is reopened. Exactly once.
  kFailed,
};

// As "slow sync ended".
std::string_view LogEventKindName(LogEventKind kind);

// A plain value.
struct LogEvent {
  LogEventKind kind = LogEventKind::kFailed;
  // When it was noticed: microseconds since the Unix epoch by the system clock, which may step.
  int64_t unix_micros = 0;
  // How long it has lasted, by the steady clock; 0 for kRetentionStall and kFailed.
  uint64_t micros = 0;
  // The segment file of a write or sync; else the log's directory.
  std::string path;
  // OK but where `kind` says otherwise.
  absl::Status status;

  // One line for people.
  std::string ToString() const;
};

}  // namespace seawall

#endif  // SEAWALL_LOG_EVENT_H_
