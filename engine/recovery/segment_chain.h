// SPDX-License-Identifier: Apache-2.0
// Which segments make up a log: the tail, and by what each header says of its predecessor, all that
// are before it.
#ifndef SEAWALL_ENGINE_RECOVERY_SEGMENT_CHAIN_H_
#define SEAWALL_ENGINE_RECOVERY_SEGMENT_CHAIN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/format/format.h"
#include "engine/segments/segment_file.h"
#include "engine/segments/segment_list.h"
#include "seawall/file_system.h"

namespace seawall {

struct SegmentChain {
  SegmentList sealed;
  SegmentFile tail;  // the last segment that was begun; it may be damaged at its end
  // After the tail, without the header of a segment that was begun; they may hold groups if that is
  // damage.
  std::vector<SegmentFile> doubtful;
};

// A segment as its header states it, ending where others say that it does.
SegmentEntry EntryOf(const SegmentFile& file, Lsn last_lsn, uint64_t end, uint64_t digest);

// The segment in `file` as the predecessor that `next` names: DataLoss unless it is one, reaches to
// the end that `next` states, and comes before it.
absl::StatusOr<SegmentEntry> PredecessorOf(const SegmentHeader& next, const SegmentFile& file,
                                           const LogId& log_id);

// `generations`: of the files in the directory, descending. DataLoss if a segment that `control` or
// a header vouches for is missing, too short, or not itself.
absl::StatusOr<SegmentChain> ReadChain(FileSystem* fs, const std::string& directory,
                                       const std::vector<uint64_t>& generations,
                                       const ControlBlock& control);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RECOVERY_SEGMENT_CHAIN_H_
