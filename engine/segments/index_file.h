// SPDX-License-Identifier: Apache-2.0
// The index of a sealed segment in its file, behind the groups (FORMAT.md, section 9). It is a
// hint: one that is missing or does not verify is made again by a scan, and what it leads to is
// believed only when it verifies itself.
#ifndef SEAWALL_ENGINE_SEGMENTS_INDEX_FILE_H_
#define SEAWALL_ENGINE_SEGMENTS_INDEX_FILE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/segments/segment_index.h"
#include "engine/segments/segment_ref.h"
#include "seawall/file_system.h"

namespace seawall {

// A segment whose groups end up to here has no index in its file: it is scanned as fast.
inline constexpr uint64_t kUnindexedBytes = uint64_t{128} << 10;

// What a file of segment_bytes leaves to the index at its end: groups go up to there, but for one
// that fills the segment alone.
uint64_t IndexReserveBytes(uint64_t segment_bytes);

// Writes the index of a sealed segment that ends above kUnindexedBytes to its file, not synced: at
// an offset and in a length that are multiples of 4096, from aligned memory. `segment` says what
// its successor states. ResourceExhausted if it would end above `limit_bytes`.
//
// The header of the successor must be durable. Without it the segment may still become the tail of
// the log, and bytes behind a tail's groups are those of a write that was cut off.
absl::Status WriteSegmentIndex(File* file, const SegmentRef& segment, const SegmentIndex& index,
                               uint64_t limit_bytes);

// The index in the file of a sealed segment: NotFound if there is none that is valid for this end.
absl::StatusOr<std::unique_ptr<SegmentIndex>> ReadSegmentIndex(File* file,
                                                               const SegmentRef& segment);

// Made from the groups. DataLoss if they do not end as the segment should.
absl::StatusOr<std::unique_ptr<SegmentIndex>> ScanSegmentIndex(File* file,
                                                               const SegmentRef& segment);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_INDEX_FILE_H_
