// One record, wherever it is.
#ifndef SEAWALL_ENGINE_RANDOM_READ_H_
#define SEAWALL_ENGINE_RANDOM_READ_H_

#include <string>

#include "absl/status/statusor.h"
#include "engine/log_reader.h"
#include "engine/segment_cache.h"
#include "seawall/types.h"

namespace seawall {

// The payload of record `lsn`, which `range` holds: with one read of the groups that the index
// leads to, and at most two before it (segment_cache.h). The checksums of its group, of those
// before it there, and of the records before it are verified. An error may be the index's: a Reader
// tells.
absl::StatusOr<std::string> ReadRecord(SegmentCache* cache, const ReadRange& range, Lsn lsn);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RANDOM_READ_H_
