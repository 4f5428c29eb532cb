// SPDX-License-Identifier: Apache-2.0
// Reads the slots of the cursors' table (cursor_table.h) from a segment's file.
#ifndef SEAWALL_ENGINE_SEGMENTS_CURSOR_AREA_H_
#define SEAWALL_ENGINE_SEGMENTS_CURSOR_AREA_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/format/cursor_table.h"
#include "seawall/file_system.h"

namespace seawall {

// The newer one of the tables in a segment that has slots; an empty optional if neither is valid.
absl::StatusOr<std::optional<CursorTable>> ReadCursorArea(File* file, const std::string& path,
                                                          uint64_t salt);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_CURSOR_AREA_H_
