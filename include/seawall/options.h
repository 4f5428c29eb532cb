// SPDX-License-Identifier: Apache-2.0
// What can be chosen when a log is opened. The defaults suit a database on a local disk.
#ifndef SEAWALL_OPTIONS_H_
#define SEAWALL_OPTIONS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "seawall/file_system.h"
#include "seawall/identity.h"
#include "seawall/log_event.h"
#include "seawall/types.h"

namespace seawall {

// How a written group is brought to stable storage. All give the same promise on a disk that
// honours flushes (DESIGN.md, "Assumptions"); they differ in speed from disk to disk.
enum class SyncMethod {
  kFdatasync,  // pwrite, then fdatasync(2): data and the metadata needed to read it
  kFsync,      // pwrite, then fsync(2): timestamps and all other metadata, too
  kODsync,     // open with O_DSYNC: each pwrite returns when its data is stable
  kOSync,      // open with O_SYNC: each pwrite returns when data and metadata are stable
};

// What Append does while every buffer is full because the disk is slower than the callers.
enum class WhenFull {
  kWait,  // the caller waits: back-pressure
  kFail,  // the caller gets ResourceExhausted at once and nothing was accepted
};

// The most records in one atomic batch.
inline constexpr uint32_t kMaxBatchRecords = (uint32_t{1} << 20) - 1;

// A segment that nobody appends to any more, as Options::archive gets it.
struct SealedSegment {
  // Absolute, and where the file is now, if the log's directory was moved.
  std::string path;
  // Its number, in its name: used once, and growing. Segments hold LSNs in the order of their
  // generations, but for those that a truncation, a Reset or a recovery has replaced by later ones.
  uint64_t generation = 0;
  Lsn first_lsn = 0;
  Lsn last_lsn = 0;
  // Of what counts in the file; behind it is nothing that is needed.
  uint64_t bytes = 0;
};

struct Options {
  // Create the directory and an empty log where there is none. Without it, opening such a
  // directory is NotFound.
  bool create_if_missing = true;

  // Open this log and no other: FailedPrecondition, which names both, if another one is in the
  // directory, and NotFound if none is, whatever create_if_missing says: a log that is lost is not
  // silently made anew. Nothing is touched then, LOCK neither. Empty: whichever is there.
  std::optional<LogId> expected_id;

  // The metadata of the log if this creates it (Log::SetMetadata): any bytes, at most
  // kMaxMetadataBytes. That of a log that is there already stays as it is.
  std::string metadata;

  // The length at which the log rolls over to the next segment file. A multiple of 4096, from
  // 16 KiB to 1 GiB. Trimming frees whole segments.
  uint64_t segment_bytes = uint64_t{64} << 20;

  // The size of one in-process buffer; a group (what one write and one sync commit) fills one at
  // most. A multiple of 4096. A log holds buffer_bytes * buffer_count of memory for records, no
  // more, and touches only what is used.
  uint64_t buffer_bytes = uint64_t{4} << 20;
  // 2 to 64: one is being filled while another is being written.
  uint32_t buffer_count = 2;
  WhenFull when_full = WhenFull::kWait;

  // The longest payload that Append accepts. It must fit one buffer and one segment; a batch must
  // so as a whole, and is bounded by that: see MaxBatchBytes().
  uint64_t max_record_bytes = uint64_t{2} << 20;

  SyncMethod sync_method = SyncMethod::kFdatasync;

  // Write around the page cache (O_DIRECT), always. Opening fails with Unimplemented where the file
  // system has no O_DIRECT. Without it, that is done where it is possible and nobody would miss
  // what is not in the cache: with groups from 256 KiB up, and with all that are synced at once
  // while nobody reads records near the end of the log, or follows it (bench/EXPERIMENTS.md).
  bool direct_io = false;

  // Records go to stable storage when somebody waits for them, and to the kernel when a buffer is
  // full. With an interval they also go to stable storage this many microseconds after they were
  // appended, at the latest, plus the time of a sync. 0: no interval. At most a day.
  uint64_t flush_interval_micros = 0;

  // A write or sync of a group that takes as long as this is slow: Stats counts it, and on_event is
  // told. 0: none is. At most a day.
  uint64_t slow_sync_micros = 1000000;

  // Called for each event (log_event.h), one after the other, in the order in which they happened,
  // on a thread that the log has for nothing else, and never under a lock of the log. It may call
  // the log, and may take its time: meanwhile up to 256 events wait, what comes on top (but
  // kFailed) is lost, and a stall may be told late. It must not Close or destroy the log: both
  // return when all events have been handed over. If it throws, the exception is swallowed, and
  // that event counts as lost (Stats::events_lost). nullptr: no thread, no events.
  std::function<void(const LogEvent&)> on_event;

  // Groups begin at multiples of this: 8, 512 or 4096. With 8, a write may touch a disk sector
  // that already holds acknowledged records, rewriting them with the same bytes; that is safe
  // where a sector that is being written when the power fails keeps its old or gets its new bytes
  // (as SQLite assumes, "powersafe overwrite"). With 512 or 4096, no write touches a sector
  // of that size that holds acknowledged records, at the price of space. With direct_io, 512 means
  // 4096.
  uint32_t group_alignment_bytes = 8;

  // Trimmed segments that are kept to be written again instead of creating new ones.
  uint32_t max_recycled_segments = 2;

  // Each segment begun from now on has room for the positions of consumers (Log::OpenCursor), two
  // blocks of 4096 bytes. A log that once had it keeps it, whatever this says; a Seawall that does
  // not know cursors refuses it.
  bool cursors = false;

  // Retention. TrimBefore() always works; with these the log trims itself, by whole sealed segments
  // from the front, at each rollover and when time has come, on a thread of its own. What something
  // holds (a cursor, the archive, a backup) stays all the same: Log::retention_report() tells.
  // 0: off.
  //
  // A segment goes when the segments behind it hold at least this many bytes: of headers and groups
  // as written, without what is allocated ahead. So at least this much is kept, and up to a segment
  // more.
  uint64_t retain_bytes = 0;
  // A segment goes when its newest record is older than this: or, with retain_bytes, when either
  // says so. At most 100 years. Age is counted by the monotonic clock from when a segment is
  // sealed, so that a wall clock that is set does no harm while the log is open. For segments from
  // before it was opened, the wall clock of then (in the group headers) is compared with that at
  // opening: one that was set forward meanwhile makes them look older by that much, and they may
  // go; one that was set back, younger.
  uint64_t retain_micros = 0;

  // The hard cap: what the log has on disk (segments as allocated, spares, trimmed files that are
  // kept, or that a reader of this process has open; and 48 KiB for CONTROL and other small files)
  // never exceeds it. An append that would need more is refused before anything is accepted, with
  // ResourceExhausted, as on a full disk and at once whatever when_full is (it says what is done
  // when buffers are full); appends go on when a trim has freed space, or a hold's release, or
  // retention. One segment of the cap, and 16 KiB, is kept free: opening the log after a crash
  // copies records to a fresh segment, and TruncateAfter may. Opening itself is never refused: a
  // log that was larger before may be opened, read and trimmed. At least 3 * segment_bytes + 64
  // KiB; with retain_bytes, that and a segment more besides. 0: no cap.
  uint64_t max_log_bytes = 0;

  // If set, called with each sealed segment before that may be trimmed: to copy the file elsewhere,
  // complete and durable (`cp` alone is not; see seawall/backup.h for what is made of the copies).
  // In order, by a thread of its own, one call at a time; again, after archive_retry_micros and
  // then twice as long each time, up to a minute, until it returns OK (an exception is a failure).
  // Meanwhile appends go on, and the log keeps the segments. Which ones it took is remembered in
  // the log's directory; but a crash between its return and that makes it be called again for the
  // same segment: it must not mind. It must not Close or destroy the log. Close() calls it for what
  // is sealed by then, up to the first failure or until archive_close_micros have passed; the rest
  // follows when the log is opened again. The segment that is being written is not archived before
  // it is full, or cut.
  std::function<absl::Status(const SealedSegment&)> archive;
  // From 1 to a minute.
  uint64_t archive_retry_micros = 100'000;
  // How long Close() and the destructor wait for `archive`: no call of it begins after that, and
  // one that has not returned by then is left to end by itself, on a thread of its own. What it
  // captures must live as long. The log is closed and all its records are durable: Close() returns
  // DeadlineExceeded, which says what was not archived. Up to a day.
  uint64_t archive_close_micros = 30'000'000;

  // Not owned; must outlive the log. nullptr: the operating system's.
  FileSystem* file_system = nullptr;

  // The most bytes that an atomic batch may have, counting its payloads and 16 bytes for each.
  uint64_t MaxBatchBytes() const;

  // OK, or one InvalidArgument that lists every problem with its value and the allowed range.
  absl::Status Validate() const;
};

}  // namespace seawall

#endif  // SEAWALL_OPTIONS_H_
