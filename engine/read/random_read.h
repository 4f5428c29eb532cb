// SPDX-License-Identifier: Apache-2.0
// One record, wherever it is.
#ifndef SEAWALL_ENGINE_READ_RANDOM_READ_H_
#define SEAWALL_ENGINE_READ_RANDOM_READ_H_

#include <string>

#include "absl/status/statusor.h"
#include "engine/read/log_reader.h"
#include "engine/segments/segment_cache.h"
#include "seawall/types.h"

namespace seawall {

// The payload of record `lsn`, which `range` holds: with one read from where the index leads to, of
// kIndexIntervalBytes, kSmallGroupBytes and a record or two at most, and at most two before it
// (segment_cache.h; three, where groups are just longer than an interval).
//
// What is verified is the record: its checksum has its length, its flags, its LSN and the salt of
// this life of the file in it, and no two records were ever sealed with the same LSN and salt. So
// it takes neither the group's header, nor the records before it (they may be damaged), nor a right
// index to prove it. That it may be seen is for `range` to know. An error may be the index's: a
// Reader tells.
absl::StatusOr<std::string> ReadRecord(SegmentCache* cache, const ReadRange& range, Lsn lsn);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_READ_RANDOM_READ_H_
