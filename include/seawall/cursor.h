// SPDX-License-Identifier: Apache-2.0
// Durable positions of consumers: where each one goes on after a restart.
//
//   auto cursor = log->OpenCursor("billing");          // begins at the first retained record
//   auto reader = log->NewReader((*cursor)->position() + 1);
//   while ((*reader)->Next(&record)) {
//     Deliver(record);
//     absl::Status status = (*cursor)->Advance(record.lsn);   // shares a sync with the commits
//   }
#ifndef SEAWALL_CURSOR_H_
#define SEAWALL_CURSOR_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "seawall/types.h"

namespace seawall {

// In one log. A cursor's name has 1 to kMaxCursorNameBytes bytes, none below 0x20, none 0x7f.
inline constexpr size_t kMaxCursors = 64;
inline constexpr size_t kMaxCursorNameBytes = 40;

// A plain value: one cursor of a log.
struct CursorInfo {
  std::string name;
  // The last record that was consumed; the next one to read is position + 1.
  Lsn position = 0;
  // What a crash leaves of it, at least; and what holds back trimming.
  Lsn durable_position = 0;
};

// A named position of an open log: all records up to it are done with, for whoever the name stands
// for. Made by Log::OpenCursor. It is kept with the log, and the records above it are: TrimBefore
// gives up nothing above the durable position of any cursor.
//
// What a crash leaves: the position of the last Advance that returned OK with kDurable, or of a
// later one; so what was delivered after it is delivered again (at least once). It is the same for
// a killed process and a power loss, whatever was asked with kAppended between may be lost to both.
//
// TruncateAfter(lsn) moves cursors above `lsn` to `lsn`: what they stood for is gone. Reset(lsn)
// moves all to lsn - 1.
//
// Thread-safe. Any number of objects for one name share its position. Must not outlive the log.
class Cursor {
 public:
  virtual ~Cursor() = default;

  virtual const std::string& name() const = 0;

  // As the last Advance said; 0 before the first record. 0, too, when the cursor was dropped.
  virtual Lsn position() const = 0;

  // Moves the position to `lsn`. It only moves forward: an `lsn` at or below it changes nothing,
  // and is no error. With kDurable it returns when the position, or a later one, survives every
  // crash: the cursors' table is written before the next sync of the log, and one sync serves all
  // records and cursors that wait. kWritten is the same as kDurable. With kAppended it returns at
  // once, and the position goes with whatever is synced next, at the latest by Close(); no flush
  // interval waits for it.
  //   OutOfRange           `lsn` is above durable_lsn(): it might yet be lost, its number reused
  //   NotFound             the cursor was dropped
  //   FailedPrecondition   the log was closed
  //   Aborted              latched, as everywhere; the position may or may not survive
  virtual absl::Status Advance(Lsn lsn, Durability until = Durability::kDurable) = 0;
};

}  // namespace seawall

#endif  // SEAWALL_CURSOR_H_
