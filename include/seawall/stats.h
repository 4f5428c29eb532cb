// SPDX-License-Identifier: Apache-2.0
// What one open log did since it was opened, and what it is doing.
#ifndef SEAWALL_STATS_H_
#define SEAWALL_STATS_H_

#include <cstdint>

#include "seawall/histogram.h"
#include "seawall/types.h"

namespace seawall {

// A plain value, a consistent snapshot: all of it is of one moment, but for reserve_nanos and
// wake_nanos, to which threads add without a lock. Log::stats() does not wait for the disk: it
// returns also while a write or a sync hangs, and after a failure.
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
  uint64_t segments_archived = 0;  // by Options::archive
  uint64_t archive_failures = 0;   // calls of it that did not return OK
  // Of sealed segments, for random reads: into their files; not into them (no space, an I/O error:
  // the next random read of the segment scans it); made by a scan.
  uint64_t indexes_written = 0;
  uint64_t index_write_failures = 0;
  uint64_t index_scans = 0;
  uint64_t waiters = 0;    // threads waiting now
  uint64_t followers = 0;  // in Reader::Wait() now; the one that publishes WATERMARK is among them
  uint64_t watermark_failures = 0;  // WATERMARK could not be written: only other processes miss it
  bool failed = false;  // an error is latched: the log takes no more until it is reopened

  // What is in flight: for how long the write of a group, or its sync, has been running; at least 1
  // then, 0 if none is. A disk that stalls is seen here while it stalls. (A write's age includes
  // the sealing before it, which waits for threads that are still copying their records.)
  uint64_t write_in_flight_micros = 0;
  uint64_t sync_in_flight_micros = 0;
  // Those that have ended, and had taken Options::slow_sync_micros or longer.
  uint64_t slow_writes = 0;
  uint64_t slow_syncs = 0;
  // Of which Options::on_event was not told, or threw at.
  uint64_t events_lost = 0;

  // A group is what one write, and mostly one sync, commits: how many records shared it, and how
  // many bytes it has with its header and without padding.
  Histogram group_records;
  Histogram group_bytes;

  // How long things take, in nanoseconds by the steady clock. For who commits alone, queue + write
  // + sync is what WaitDurable took, but for a microsecond; for who shares a commit, wake is added.
  //
  // An Append or AppendBatch, until its records are in the buffer; not the wait for a durability.
  // Those that had to wait (for a buffer, a spare segment, space) are all counted. Of the others,
  // about one in 256, chosen at random, is timed and counts as 256: timing each would cost as much
  // again as a small append. So count() is about the number of calls, once there are many.
  Histogram reserve_nanos;
  // From the call of Wait, WaitDurable or WaitWritten (also within AppendDurable) to the begin of
  // the first write of the round that serves it; of its sync, if all is written. 0 for who came
  // later. It includes the wait for the round before, and for others that are to share this one.
  // Without the calls that find what they wait for, and those that fail.
  Histogram queue_nanos;
  // The system calls that wrote one group; with O_DSYNC and O_SYNC, that made it durable.
  Histogram write_nanos;
  // One sync of groups. Empty with O_DSYNC and O_SYNC. Syncs of other files and of segments being
  // prepared are not in here: what delays the log by them is counted as waits.
  Histogram sync_nanos;
  // From the return of the write or sync that satisfied a waiting thread until that thread runs.
  // Without those that made the round themselves.
  Histogram wake_nanos;
};

}  // namespace seawall

#endif  // SEAWALL_STATS_H_
