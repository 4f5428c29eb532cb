// SPDX-License-Identifier: Apache-2.0
#include "engine/segments/segment_ref.h"

#include "engine/segments/writable_segment.h"

namespace seawall {

SegmentRef RefOf(const WritableSegment& segment) {
  SegmentRef ref;
  ref.path = segment.path;
  ref.generation = segment.header.generation;
  ref.salt = segment.header.salt;
  ref.base_lsn = segment.header.base_lsn;
  ref.index = segment.index;
  ref.groups_begin = segment.header.groups_begin();
  return ref;
}

}  // namespace seawall
