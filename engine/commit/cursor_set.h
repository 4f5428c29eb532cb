// SPDX-License-Identifier: Apache-2.0
// The cursors of an open log: where each one stands, and how much of that is written and synced.
// Knows neither files nor threads.
#ifndef SEAWALL_ENGINE_COMMIT_CURSOR_SET_H_
#define SEAWALL_ENGINE_COMMIT_CURSOR_SET_H_

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/cursor_table.h"
#include "seawall/cursor.h"
#include "seawall/types.h"

namespace seawall {

// Every change has a number; a table that was taken and synced covers all changes up to it. Thread
// safety is the owner's: CommitRounds' mutex. Take() and Synced() are the leader's.
class CursorSet {
 public:
  // A log without: nothing is ever to be written. Until Start().
  bool enabled() const { return enabled_; }
  // `table` is durable in both slots.
  void Start(CursorTable table);

  // ---- Changes. Each returns its number: it is durable when durable_changes() has come so far.

  // A new cursor, at the position that `begin` returns; or one that is there, unchanged: then the
  // number of the change that made it.
  // ResourceExhausted if there are kMaxCursors.
  absl::StatusOr<uint64_t> Open(std::string_view name, const std::function<Lsn()>& begin);
  // Moves forward only: for an `lsn` at or below the position, the number of the change that set
  // it. NotFound if there is no such cursor.
  absl::StatusOr<uint64_t> Advance(std::string_view name, Lsn lsn);
  absl::StatusOr<uint64_t> Drop(std::string_view name);

  // ---- On the way to the disk

  // There are changes that no table has that was taken.
  bool dirty() const { return changes_ != taken_changes_; }
  // There are changes that are not durable.
  bool pending() const { return changes_ != durable_changes_; }
  uint64_t durable_changes() const { return durable_changes_; }

  // The table to be written now, in as many slots, with the next sequences.
  CursorTable Take(uint64_t slots);
  // The table that was taken last is durable.
  void Synced();

  // For a truncation behind `lsn`, which pulls cursors back to it, or a reset to begin behind it,
  // which moves all there: the table that the fresh segment gets in both slots; then, when that is
  // durable, the cursors as they are now.
  CursorTable TakeCut(Lsn lsn, bool reset);
  void Cut(Lsn lsn, bool reset, CursorTable table);

  // The table that was taken last stands in one slot; what the other one says is older.
  bool in_one_slot() const { return in_one_slot_; }

  // ---- What is known

  // 0 if there is no such cursor.
  Lsn position(std::string_view name) const;
  std::vector<CursorInfo> list() const;
  // By name, the first record that must be kept for a cursor whatever a crash leaves of it.
  std::vector<CursorPosition> holds() const;
  // The lowest sequence of a durable table that says what is durable now: for CONTROL. 0 if not
  // enabled.
  uint64_t durable_sequence() const { return durable_.sequence; }

 private:
  struct Entry {
    CursorPosition at;
    uint64_t change = 0;   // that set it
    uint64_t created = 0;  // the change that made it, with the position `opened`
    Lsn opened = 0;
  };
  std::vector<Entry>::iterator Find(std::string_view name);
  absl::Status NoSuchCursor(std::string_view name) const;
  CursorTable Now(uint64_t slots);

  bool enabled_ = false;
  std::vector<Entry> entries_;  // names ascending
  uint64_t sequence_ = 0;       // the highest one given away
  // changes_ >= taken_changes_ >= durable_changes_; taken_ and durable_ are the tables of the
  // latter two.
  uint64_t changes_ = 0;
  uint64_t taken_changes_ = 0;
  uint64_t durable_changes_ = 0;
  CursorTable taken_;
  CursorTable durable_;
  bool in_one_slot_ = false;
  uint64_t cut_changes_ = 0;  // the changes that the table of TakeCut() has
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_CURSOR_SET_H_
