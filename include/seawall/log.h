// SPDX-License-Identifier: Apache-2.0
// Seawall: a write-ahead log.
//
//   auto log = seawall::Log::Open("/var/lib/app/log", seawall::Options());
//   if (!log.ok()) return log.status();
//   absl::StatusOr<seawall::Lsn> lsn = (*log)->Append("transfer 5 from alice to bob");
//   if (!lsn.ok()) return lsn.status();
//   if (absl::Status s = (*log)->WaitDurable(*lsn); !s.ok()) return s;
//   // From here on the record survives a crash of the process, the kernel and the power.
//
// Three watermarks follow a record: appended, written, durable (types.h). It is acknowledged when
// WaitDurable(lsn) returned OK, or the callback of NotifyDurable(lsn) ran with OK, or
// durable_lsn() >= lsn. After any crash, Open gives back the records 1..k of the appended
// sequence (from the first retained one) with k >= the last acknowledged LSN, each byte-identical
// and each atomic batch whole or not at all; or an error that says what is damaged and where.
#ifndef SEAWALL_LOG_H_
#define SEAWALL_LOG_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "seawall/backup.h"
#include "seawall/cursor.h"
#include "seawall/error.h"
#include "seawall/identity.h"
#include "seawall/options.h"
#include "seawall/reader.h"
#include "seawall/recovery_report.h"
#include "seawall/retention.h"
#include "seawall/stats.h"
#include "seawall/types.h"

namespace seawall {

// Thread-safe: any number of threads append, wait, read and trim at once. Close() and the
// destructor must be the last calls: no other call may be running or follow, except that calls
// that follow Close() on a living object return FailedPrecondition: all but the second Close(),
// Wait() for what was reached, and those that cannot fail.
//
// A log belongs to the process that opened it. In any other, which has a copy of its memory
// (fork(2) and what is made of it: daemon(3), a bare clone(2), os.fork() in Python), every call
// that can fail returns FailedPrecondition, which names both processes, before it touches anything;
// those that cannot fail return 0 or nothing; and the destructor, also of a static object at
// exit(), leaves all to the owner. The same holds for readers and cursors. A child may open logs of
// its own. (A child that shares its parent's memory, of vfork(2), has the parent's log; it should
// only exec or exit.)
//
// A log goes by a handle of its directory: moved, exchanged with another one or mounted over while
// the log is open, the directory remains the log's, and what comes into its old place is not
// touched. The sticky error says where it is then.
//
// Errors that all functions share; ErrorClassOf() (error.h) says what to do about any:
//   FailedPrecondition  the log was closed, or belongs to another process.
//   Aborted             the first failed write or sync, whatever its errno, a full disk's too. It
//                       latches: it is never retried, every waiter and every later call that
//                       needs the disk gets the same status, and what was acknowledged before
//                       stays so. Reopen the log to go on. No other error has this code.
class Log {
 public:
  // Opens the log in `directory`, recovers it, and takes its lock. `directory` is one directory
  // per log; its parent must exist. Returns when all that the report calls recovered is durable.
  //
  // It reads CONTROL, the segments' headers, and the tail of a log that was not closed (or whose
  // tail is under 1 MiB). Damage elsewhere is an error when it is read; `seawall verify` reads all.
  //
  // ResourceExhausted: the kernel gave no thread; the log was recovered, and opens when it does.
  // Nothing on disk is changed when it fails with:
  //   InvalidArgument     the options
  //   NotFound            no log here, and !create_if_missing or expected_id; or no parent
  //                       directory
  //   FailedPrecondition  another process or another Log has it open: the processes that hold its
  //                       lock now are named, if they can be seen; or it is not the log of
  //                       Options::expected_id: both are named
  //   ResourceExhausted   no memory for the buffers: their number and bytes are named
  //   DataLoss            damage to acknowledged data: file, offset, expected, found
  //   Unimplemented       a newer format; or direct_io where the file system has none
  //   PermissionDenied, Unavailable (I/O error), ...: what the kernel said
  static absl::StatusOr<std::unique_ptr<Log>> Open(const std::string& directory,
                                                   const Options& options);

  // Closes, if Close() was not called; an error is lost then, so call Close().
  virtual ~Log() = default;

  // What Open found. Valid as long as the log.
  virtual const RecoveryReport& recovery_report() const = 0;

  // Which log this is (identity.h). Valid as long as the log.
  const LogId& id() const { return recovery_report().log_id; }

  // Up to kMaxMetadataBytes of the user's own, empty for none. They stay over trims, truncations,
  // Reset, crashes and damage, and come along into backups, repairs, and what is restored beside
  // the live log (RestoreOptions::metadata).
  virtual std::string metadata() const = 0;

  // Changes them, atomically: a crash leaves the old ones or the new ones. Durable when it returns
  // OK: no crash, and no damage to one block of CONTROL or two, brings the old ones back. It waits
  // for three syncs, while appends go on. While a log has metadata, a Seawall that does not know
  // them refuses it.
  //   InvalidArgument  more than kMaxMetadataBytes; nothing is changed
  //   Aborted          latched; when the log is opened again, it has the old or the new ones
  virtual absl::Status SetMetadata(std::string_view metadata) = 0;

  // Appends one record and returns its LSN when it has come as far as `until`. With kAppended it
  // is in a buffer of this process: a crash of the process loses it. `record` may be empty, is
  // copied, and may hold any bytes.
  //   InvalidArgument    longer than max_record_bytes; both sizes are named, nothing is appended
  //   ResourceExhausted  no space on disk, or the buffers are full and when_full is kFail;
  //                      nothing is appended, and later appends work when there is space again
  //   Aborted            latched; with `until` above kAppended the record may or may not survive
  virtual absl::StatusOr<Lsn> Append(std::string_view record,
                                     Durability until = Durability::kAppended) = 0;

  // Appends all records with consecutive LSNs, atomically: after a crash all are there or none.
  // Errors as Append; an empty batch is InvalidArgument, one over kMaxBatchRecords or
  // Options::MaxBatchBytes(), too.
  virtual absl::StatusOr<LsnRange> AppendBatch(absl::Span<const std::string_view> records,
                                               Durability until = Durability::kAppended) = 0;

  // Append(record, kDurable).
  absl::StatusOr<Lsn> AppendDurable(std::string_view record) {
    return Append(record, Durability::kDurable);
  }

  // Returns when all records up to `lsn` have come as far as `level`. The calling thread may be
  // the one that writes and syncs, for itself and for all others that wait (group commit, DeWitt
  // et al., "Implementation techniques for main memory database systems", SIGMOD 1984).
  // `lsn` 0, the appended_lsn() of an empty log, is no record at all: OK at once.
  //   OutOfRange  `lsn` was never assigned, or was cut off by TruncateAfter meanwhile
  virtual absl::Status Wait(Lsn lsn, Durability level) = 0;
  absl::Status WaitWritten(Lsn lsn) { return Wait(lsn, Durability::kWritten); }
  absl::Status WaitDurable(Lsn lsn) { return Wait(lsn, Durability::kDurable); }

  // Calls `callback` once: with OK when all records up to `lsn` are durable, or with the error
  // that prevents it, Aborted, or OutOfRange when TruncateAfter cut the record off. It runs on a
  // thread of the log, one callback at a time, never inside this call; it may call Append and
  // NotifyDurable, must not block for long, must not throw (that ends the process), and must not
  // Close or destroy the log. A WaitDurable() of the same record may return first. Close() and the
  // destructor return when all callbacks have run.
  //
  // Order: a callback runs before those of higher LSNs if, when it was registered, their records
  // were not durable yet and the log had not failed; and before those of its own LSN that are
  // registered after it. One that is registered later than that may run after callbacks of higher
  // LSNs. Callbacks that get OutOfRange have no place in this order.
  //
  // Two errors are returned, and the callback is destroyed without having been called; every other
  // error goes to the callback:
  //   OutOfRange          `lsn` was never assigned
  //   FailedPrecondition  the log was closed, whether the record is durable or not
  virtual absl::Status NotifyDurable(Lsn lsn,
                                     absl::AnyInvocable<void(const absl::Status&)> callback) = 0;

  // The watermarks. appended >= written >= durable; each only grows, but for TruncateAfter
  // and Reset.
  // written_lsn() and durable_lsn() take no lock. first_lsn() is the first retained record, or
  // appended_lsn() + 1 if none is.
  virtual Lsn first_lsn() const = 0;
  virtual Lsn appended_lsn() const = 0;
  virtual Lsn written_lsn() const = 0;
  virtual Lsn durable_lsn() const = 0;

  // The payload of one record, which must be written (kWritten), from the file, checked.
  //   NotFound    below first_lsn(): trimmed, perhaps by another thread meanwhile; names the range
  //   OutOfRange  above written_lsn(); names the range
  virtual absl::StatusOr<std::string> Read(Lsn lsn) = 0;

  // A reader that begins at `from`, from first_lsn() to one above the limit's watermark.
  // Errors as Read. A trim after that is the reader's to tell: OutOfRange, which names first_lsn(),
  // when it goes on to a segment that is gone, were it the first one. The reader must not outlive
  // the log; it may be used beside Close() and after it.
  virtual absl::StatusOr<std::unique_ptr<Reader>> NewReader(
      Lsn from, ReadLimit limit = ReadLimit::kDurable) = 0;

  // Gives up the records below `lsn`: whole segments that hold nothing else are recycled or
  // unlinked. first_lsn() grows, to `lsn` at most. Durable when it returns: no crash brings the
  // records back into the log. `lsn` up to durable_lsn() + 1; above it: OutOfRange.
  //
  // What something holds (a cursor, the archive, a backup) is kept: OK all the same, and
  // first_lsn() tells how far it came. When the hold lets it go, a thread of the log gives it up.
  // That the records are not wanted is remembered in memory only: after the log was opened again,
  // say it again.
  virtual absl::Status TrimBefore(Lsn lsn) = 0;

  // Opens the cursor of this name (cursor.h), for which the log was opened with Options::cursors or
  // has had it before. A new one begins in front of the first retained record; it is durable when
  // this returns, and holds back trimming from then on. It must not outlive the log.
  //   InvalidArgument     the name
  //   FailedPrecondition  the log has no cursors
  //   ResourceExhausted   there are kMaxCursors already
  virtual absl::StatusOr<std::unique_ptr<Cursor>> OpenCursor(std::string_view name) = 0;
  // Removes a cursor; durable when this returns. NotFound if there is none of this name.
  virtual absl::Status DropCursor(std::string_view name) = 0;
  // All cursors, by name.
  virtual std::vector<CursorInfo> cursors() const = 0;

  // Gives up the records above `lsn`; the next record appended gets lsn + 1. What was cut is
  // never confused with what is appended later. Atomic, durable when it returns; its cost does
  // not depend on how much is cut. No append may run at the same time; waiters for cut LSNs get
  // OutOfRange. `lsn` from first_lsn() - 1 to appended_lsn(), else OutOfRange.
  virtual absl::Status TruncateAfter(Lsn lsn) = 0;

  // Gives up all records; the log is empty then, and the next record appended gets `first_lsn`,
  // which may be below or above the present ones: what a replica does that installed a snapshot.
  // Atomic: a crash, of the process or of the machine, leaves the whole old log or the empty new
  // one. Durable when it returns; its cost does not depend on the length of the log, whose files go
  // in the background. What was given up never comes back, and is never confused with records that
  // get the same LSNs later. Readers that were made before get OutOfRange when they go on to
  // another segment, as do callbacks that have not run; records below `first_lsn` count as durable,
  // as trimmed ones do. No append may run at the same time.
  //   InvalidArgument    `first_lsn` is not 1 to kMaxFirstLsn
  //   ResourceExhausted  the disk is full; nothing has changed
  virtual absl::Status Reset(Lsn first_lsn) = 0;

  // Copies the log to `destination`, up to options.to_lsn, which is not above durable_lsn(): see
  // backup.h. Runs beside appends, rollovers and trims, which wait for nothing: what is to be
  // copied is held, and given up when the backup has ended. A truncation or Reset below
  // the end of the backup may make it fail. options.file_system is not looked at. Errors as
  // BackupDirectory.
  virtual absl::StatusOr<BackupReport> Backup(const std::string& destination,
                                              const BackupOptions& options = BackupOptions()) = 0;

  // Makes everything appended durable, marks the log as cleanly closed, and gives the lock up.
  // The second call returns what the first one did.
  //   Aborted           a failure latched, now or before; the log is closed all the same
  //   DeadlineExceeded  the log is closed, and all its records are durable; but Options::archive
  //                     did not return in time: names the first segment that is not archived
  virtual absl::Status Close() = 0;

  virtual Stats stats() const = 0;

  // What is kept, and for each file why. With retain_micros it reads a block of each segment from
  // before the log was opened, the first time.
  virtual RetentionReport retention_report() = 0;
};

}  // namespace seawall

#endif  // SEAWALL_LOG_H_
