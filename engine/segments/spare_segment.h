// SPDX-License-Identifier: Apache-2.0
// Spares: segments that are preallocated before they are needed, so that a rollover touches no
// directory.
#ifndef SEAWALL_ENGINE_SEGMENTS_SPARE_SEGMENT_H_
#define SEAWALL_ENGINE_SEGMENTS_SPARE_SEGMENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "engine/segments/writable_segment.h"
#include "seawall/options.h"

namespace seawall {

// Creates the file of a segment: its first zeros, a spare's header, synced. The directory entry
// is not durable yet. On failure the file is removed again, as far as that works.
absl::StatusOr<std::unique_ptr<WritableSegment>> CreateSpare(
    FileSystem* fs, const std::string& directory, const Options& options, const LogId& log_id,
    uint64_t generation, uint64_t* allocated_bytes);

// Makes a trimmed segment's file a spare of another generation: renames it, makes that durable,
// then writes the new header and syncs it. In this order a file that bears an old header under a
// new name is known to be between the two. FailedPrecondition if the file has another name.
absl::StatusOr<std::unique_ptr<WritableSegment>> RecycleSegment(
    FileSystem* fs, const std::string& directory, const Options& options, const LogId& log_id,
    const std::string& old_path, uint64_t generation, uint64_t* allocated_bytes);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_SPARE_SEGMENT_H_
