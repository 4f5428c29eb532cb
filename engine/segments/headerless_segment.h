// SPDX-License-Identifier: Apache-2.0
// What the groups of a segment prove when its header is lost: which salt it has, and where its
// records begin. A group is bound to its place and its salt by its checksum, and its first record
// to the same salt and to its LSN, so that the two together are no accident.
#ifndef SEAWALL_ENGINE_SEGMENTS_HEADERLESS_SEGMENT_H_
#define SEAWALL_ENGINE_SEGMENTS_HEADERLESS_SEGMENT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "seawall/file_system.h"
#include "seawall/types.h"

namespace seawall {

struct HeaderlessSegment {
  uint64_t salt = 0;
  // The first group that is left. It need not be the first one that there was.
  uint64_t first_group = 0;
  Lsn first_lsn = 0;
};

// Searches the first `bytes` of a file, for groups of `known_salt` if that is known: others are of
// an earlier incarnation of the file. An empty optional: no group is left whose first record
// verifies. Memory: 1 MiB, and the first group.
absl::StatusOr<std::optional<HeaderlessSegment>> FindHeaderlessSegment(
    File* file, const std::string& path, uint64_t bytes,
    std::optional<uint64_t> known_salt = std::nullopt);

// True if a group begins at `offset` whose first record verifies with this salt.
absl::StatusOr<bool> HasGroupAt(File* file, const std::string& path, uint64_t bytes,
                                uint64_t offset, uint64_t salt);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_HEADERLESS_SEGMENT_H_
