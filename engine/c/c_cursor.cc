// SPDX-License-Identifier: Apache-2.0
// The C interface's cursors: seawall/c.h says what each function does.
#include <vector>

#include "engine/c/c_error.h"
#include "engine/c/c_handles.h"
#include "seawall/cursor.h"

struct seawall_cursor {
  std::shared_ptr<seawall::Log> log;  // destroyed after what is in it, by the order here
  std::unique_ptr<seawall::Cursor> cursor;
};

static_assert(sizeof(seawall_cursor_info::name) > seawall::kMaxCursorNameBytes);

using seawall::CheckNotNull;
using seawall::Guarded;

seawall_code seawall_log_open_cursor(seawall_log* log, const char* name, seawall_cursor** cursor,
                                     seawall_error** error) {
  if (cursor != nullptr) *cursor = nullptr;
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    status.Update(CheckNotNull(name, "name"));
    status.Update(CheckNotNull(cursor, "cursor"));
    if (!status.ok()) return status;
    auto handle = std::make_unique<seawall_cursor>();
    handle->log = log->log;
    auto opened = log->log->OpenCursor(name);
    if (!opened.ok()) return opened.status();
    handle->cursor = std::move(*opened);
    *cursor = handle.release();
    return absl::OkStatus();
  });
}

seawall_code seawall_log_drop_cursor(seawall_log* log, const char* name, seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    status.Update(CheckNotNull(name, "name"));
    return status.ok() ? log->log->DropCursor(name) : status;
  });
}

uint64_t seawall_cursor_position(const seawall_cursor* cursor) {
  return cursor == nullptr ? 0 : cursor->cursor->position();
}

seawall_code seawall_cursor_advance(seawall_cursor* cursor, uint64_t lsn, seawall_durability until,
                                    seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(cursor, "cursor");
    if (!status.ok()) return status;
    absl::StatusOr<seawall::Durability> level = seawall::ReadDurability(until);
    return level.ok() ? cursor->cursor->Advance(lsn, *level) : level.status();
  });
}

void seawall_cursor_free(seawall_cursor* cursor) { delete cursor; }

seawall_code seawall_log_cursors(const seawall_log* log, seawall_cursor_info* infos,
                                 size_t capacity, size_t* count, seawall_error** error) {
  if (count != nullptr) *count = 0;
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    if (capacity != 0) status.Update(CheckNotNull(infos, "infos"));
    status.Update(CheckNotNull(count, "count"));
    if (!status.ok()) return status;
    const std::vector<seawall::CursorInfo> cursors = log->log->cursors();
    *count = cursors.size();
    for (size_t i = 0; i < std::min(capacity, cursors.size()); ++i) {
      infos[i] = {};
      std::memcpy(infos[i].name, cursors[i].name.data(),
                  std::min(cursors[i].name.size(), sizeof(infos[i].name) - 1));
      infos[i].position = cursors[i].position;
      infos[i].durable_position = cursors[i].durable_position;
    }
    return absl::OkStatus();
  });
}
