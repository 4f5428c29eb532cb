// SPDX-License-Identifier: Apache-2.0
// A copy of a log, made beside its writer.
#ifndef SEAWALL_BACKUP_H_
#define SEAWALL_BACKUP_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/file_system.h"
#include "seawall/types.h"

namespace seawall {

struct BackupOptions {
  // The copy holds exactly the records up to this one; an atomic batch that goes on behind it is
  // cut. 0: all that are durable (Log::Backup), or that can be read (BackupDirectory), when it
  // begins.
  Lsn to_lsn = 0;

  // Give sealed segments a second name in the copy instead of copying them, where both directories
  // are on one file system. Costs no space and no time, and shares every later damage to the file:
  // for a short-lived copy, or one that is carried elsewhere. A log that trims such a segment
  // unlinks it and never writes to it again. Without this, sealed segments share their blocks with
  // the original where the file system can do that (XFS, btrfs), and are copied elsewhere.
  bool hard_links = false;

  // Called now and then, on the calling thread, with the bytes done so far, of copying and of
  // verifying. What is not OK ends the backup with that status; an exception ends it, too, and goes
  // on to the caller. May be empty.
  std::function<absl::Status(uint64_t bytes)> progress;

  // For BackupDirectory. Not owned; nullptr: the operating system's.
  FileSystem* file_system = nullptr;
};

// A plain value.
struct BackupReport {
  // Of the copy; last_lsn == first_lsn - 1 when it has no records.
  Lsn first_lsn = kFirstLsn;
  Lsn last_lsn = 0;
  uint64_t segments = 0;
  uint64_t copied_bytes = 0;  // written
  uint64_t shared_bytes = 0;  // of segments that share their blocks or their file with the original
};

// Copies the log in `directory` to `destination`, which does not exist yet (its parent does) or is
// empty. The log is only read, without a lock, and may have a live writer in any process. The copy
// is a log of its own, cleanly closed. It was verified as a whole, every checksum, before it
// became one, and is durable on return: a crash before leaves a directory without CONTROL, which
// does not open as a log with records. On an error what was written is removed again, best effort.
//
// Id and metadata are the original's.
//
// Cursors come along: each stands in the copy where it durably stood in the log, or at the copy's
// last record if that is before it, and holds back trimming there, too. Who serves the same
// consumers from both logs delivers twice; Log::DropCursor takes one out of the copy.
//
// Beside a writer in another process, records may be found that are not durable there yet. Its
// trims are not held back: a backup that is overtaken begins again, some times. A Log's own
// Backup() has neither trait.
//
// Thread-safe. Errors:
//   FailedPrecondition  `destination` is there and not empty
//   NotFound            no log in `directory`; no parent of `destination`
//   OutOfRange          to_lsn is not in the log, or overtaken by trims each time; names the range
//   DataLoss            damage, of the original or of the copy when it was read back
//   ResourceExhausted   no space
absl::StatusOr<BackupReport> BackupDirectory(const std::string& directory,
                                             const std::string& destination,
                                             const BackupOptions& options = BackupOptions());

struct RestoreOptions {
  // The last record; 0: the last that is there. An atomic batch that goes on behind it is cut.
  Lsn to_lsn = 0;
  // Without the first group, and all behind it, that was sealed later than this, by the clock of
  // the writer: microseconds since the Unix epoch.
  std::optional<int64_t> to_unix_micros;
  // The metadata (Log::SetMetadata) of the copy. Empty: those of `live`. Archived segments have
  // none, so that without `live` it is this, or nothing.
  std::string metadata;
  // As in BackupOptions.
  std::function<absl::Status(uint64_t bytes)> progress;
  FileSystem* file_system = nullptr;  // not owned; nullptr: the operating system's
};

// Makes a log in `destination` (as BackupDirectory does) of the segments that Options::archive
// has copied to the directory `archive` under their own names, and of the log in `live`, which has
// those that are not archived yet; without it (empty), of the archived ones. `live` is only read
// and may have a writer; if that trims what is being copied, all begins again, some times.
//
// The newest segment says which one is before it, where that ends, and with which digest, and so
// on: segments that a truncation or a recovery has replaced are not looked at, and one that is
// missing, too short or damaged is an error that names it. The oldest that is there begins the log,
// if it is not older ones only that are missing. Without `live`, the newest one ends with its last
// valid group.
//
// Cursors come along from `live`, as in a backup. Without it they stand where they stood while the
// newest archived segment was written, or in front of the first record that is restored: so what
// was consumed later is delivered again.
//
// The copy keeps the log's id, and goes on with a generation that neither directory has: let it
// archive to a directory of its own if the original goes on, too.
//
// Thread-safe. Errors:
//   FailedPrecondition  `destination` is there and not empty
//   NotFound            no such directory; no archived segments and no `live`
//   InvalidArgument     more than kMaxMetadataBytes of metadata
//   OutOfRange          to_lsn is not there; names the range
//   DataLoss            a segment is missing or damaged, or of another log; names it
//   ResourceExhausted   no space
absl::StatusOr<BackupReport> RestoreLog(const std::string& archive, const std::string& live,
                                        const std::string& destination,
                                        const RestoreOptions& options = RestoreOptions());

}  // namespace seawall

#endif  // SEAWALL_BACKUP_H_
