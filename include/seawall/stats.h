// Counters of one open log, since it was opened.
#ifndef SEAWALL_STATS_H_
#define SEAWALL_STATS_H_

#include <cstdint>

#include "seawall/types.h"

namespace seawall {

// A plain value, a consistent snapshot.
struct Stats {
  Lsn first_lsn = 0;
  Lsn appended_lsn = 0;
  Lsn written_lsn = 0;
  Lsn durable_lsn = 0;

  uint64_t appended_records = 0;
  uint64_t appended_payload_bytes = 0;
  uint64_t groups_written = 0;
  uint64_t bytes_written = 0;  // by the writer, whole blocks; without the zeros written ahead
  uint64_t zero_bytes_written = 0;
  uint64_t syncs = 0;  // of groups; 0 with O_DSYNC and O_SYNC, where the write is the sync
  uint64_t rollovers = 0;
  uint64_t rollover_waits = 0;     // a rollover that found no spare segment ready
  uint64_t space_waits = 0;        // an append that waited for the zeros ahead of it
  uint64_t buffer_full_waits = 0;  // an append that waited for a buffer: back-pressure
  uint64_t segments = 0;
  uint64_t segments_created = 0;
  uint64_t segments_recycled = 0;
  uint64_t segments_unlinked = 0;
  uint64_t waiters = 0;    // threads waiting now
  uint64_t followers = 0;  // readers in Reader::Wait() now
};

}  // namespace seawall

#endif  // SEAWALL_STATS_H_
