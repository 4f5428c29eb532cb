// SPDX-License-Identifier: Apache-2.0
// What the cursors of a log keep from being trimmed.
#ifndef SEAWALL_ENGINE_COMMIT_CURSOR_HOLDS_H_
#define SEAWALL_ENGINE_COMMIT_CURSOR_HOLDS_H_

#include <string_view>
#include <vector>

#include "engine/commit/cursor_set.h"
#include "engine/store/retention.h"
#include "seawall/types.h"

namespace seawall {

// Not thread-safe: CommitRounds' mutex guards it. It calls the store, whose mutex comes later in
// the lock order.
//
// Invariant: the store holds for each name in held_ the record that is there, and for no other
// cursor, but for those that HoldAll() took since the last Update().
class CursorHolds {
 public:
  // `retention` outlives this.
  explicit CursorHolds(Retention* retention) : retention_(retention) {}

  // Holds for a new cursor all that the log has, and returns the first record of that.
  Lsn HoldAll(std::string_view name);
  // The store gets the difference between what it holds and what the cursors need now.
  void Update(const CursorSet& cursors);

 private:
  Retention* const retention_;
  std::vector<CursorPosition> held_;  // names ascending
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_CURSOR_HOLDS_H_
