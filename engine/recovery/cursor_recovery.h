// SPDX-License-Identifier: Apache-2.0
// Which table of cursors counts, of those in the segments of a log. Reads only.
#ifndef SEAWALL_ENGINE_RECOVERY_CURSOR_RECOVERY_H_
#define SEAWALL_ENGINE_RECOVERY_CURSOR_RECOVERY_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/cursor_table.h"
#include "engine/format/format.h"
#include "engine/recovery/segment_chain.h"
#include "seawall/file_system.h"
#include "seawall/types.h"

namespace seawall {

struct FoundCursors {
  CursorTable table;  // empty, with sequence 0, for a log without cursors
  // The tail has slots and no valid one: a crash tore the write that began it, if nothing shows
  // that it was ever synced.
  bool torn = false;
};

// The newest table: in the tail, or, if the write that begins it was torn, in the segment before.
// DataLoss if a segment that is known to be durable has no valid slot, or if CONTROL knows a newer
// table to be durable than is there.
absl::StatusOr<FoundCursors> FindCursors(FileSystem* fs, const SegmentChain& chain,
                                         const ControlBlock& control);

// DataLoss if the tail's slots are not valid, though its own groups, which knew the records up to
// `durable_lsn` to be durable, show that it was synced with them; or if records are gone that a
// cursor held: an older table than the newest was found.
absl::Status CheckCursors(const FoundCursors& found, const SegmentChain& chain, Lsn durable_lsn);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RECOVERY_CURSOR_RECOVERY_H_
