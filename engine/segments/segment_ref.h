// SPDX-License-Identifier: Apache-2.0
// A segment as readers know it.
#ifndef SEAWALL_ENGINE_SEGMENTS_SEGMENT_REF_H_
#define SEAWALL_ENGINE_SEGMENTS_SEGMENT_REF_H_

#include <cstdint>
#include <memory>
#include <string>

#include "engine/format/format.h"
#include "engine/segments/segment_index.h"
#include "seawall/types.h"

namespace seawall {

struct WritableSegment;

// A segment of which the place in the log is known. A value; copies of one share its pin.
struct SegmentRef {
  std::string path;
  uint64_t generation = 0;
  uint64_t salt = 0;
  Lsn base_lsn = 0;
  // Of a sealed segment. While it is being written last_lsn is ~0 and end is 0.
  Lsn last_lsn = ~Lsn{0};
  uint64_t end = 0;
  uint64_t digest = 0;
  // The length of the file; unset while it is being written.
  uint64_t file_bytes = 0;
  // None of a sealed segment's records is newer; 0 if that is not known. See AgeClock.
  int64_t newest_unix_micros = 0;
  // Held by everybody who may still read the file: it is not written again before they are gone.
  std::shared_ptr<const int> pin;
  // Of one that is being written, until the index is in the file; else nullptr.
  std::shared_ptr<const SegmentIndex> index;
  uint64_t groups_begin = kSegmentHeaderBytes;

  bool sealed() const { return last_lsn != ~Lsn{0}; }
  // Whether a sealed segment, read up to `offset`, ends there as its successor says.
  bool EndsAt(Lsn next_lsn, uint64_t offset, uint64_t digest_of_groups) const {
    return next_lsn == last_lsn + 1 && offset == end && digest_of_groups == digest;
  }
};

// What readers need to know of a segment that is being written.
SegmentRef RefOf(const WritableSegment& segment);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_SEGMENT_REF_H_
