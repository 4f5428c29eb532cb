// SPDX-License-Identifier: Apache-2.0
// The cursors of an open log, as seawall/log.h and seawall/cursor.h offer them.
#ifndef SEAWALL_ENGINE_COMMIT_COMMIT_CURSORS_H_
#define SEAWALL_ENGINE_COMMIT_COMMIT_CURSORS_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/commit/group_commit.h"
#include "engine/store/watermarks.h"
#include "seawall/cursor.h"
#include "seawall/types.h"

namespace seawall {

// Thread-safe: it has no state of its own, the group commit's mutex guards the cursors. Errors as
// Log::OpenCursor and seawall/cursor.h say.
class CommitCursors {
 public:
  // Both outlive this.
  CommitCursors(GroupCommit* commit, const Watermarks* marks) : commit_(commit), marks_(marks) {}

  absl::Status Open(std::string_view name);
  absl::Status Advance(std::string_view name, Lsn lsn, Durability until);
  absl::Status Drop(std::string_view name);
  Lsn PositionOf(std::string_view name) const;
  std::vector<CursorInfo> List() const;

 private:
  GroupCommit* const commit_;
  const Watermarks* const marks_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_COMMIT_CURSORS_H_
