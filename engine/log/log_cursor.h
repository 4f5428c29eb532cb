// SPDX-License-Identifier: Apache-2.0
// The cursor of seawall/cursor.h: a name, and the log that keeps it.
#ifndef SEAWALL_ENGINE_LOG_LOG_CURSOR_H_
#define SEAWALL_ENGINE_LOG_LOG_CURSOR_H_

#include <memory>
#include <string>

#include "engine/commit/commit_cursors.h"
#include "seawall/cursor.h"

namespace seawall {

// `cursors` outlives it, and has a cursor of this name.
std::unique_ptr<Cursor> NewLogCursor(CommitCursors* cursors, std::string name);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_LOG_LOG_CURSOR_H_
