// SPDX-License-Identifier: Apache-2.0
// seawall backup: copies a log, also one that is being written.
#include "seawall/backup.h"

#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/interruption.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/cli/progress.h"

ABSL_FLAG(bool, link, false, "backup: link sealed segments instead of copying them");

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall backup: copies a log, also one that is being written.

Usage: seawall backup [FLAGS] DIR DEST

  --to=LSN   the copy holds exactly the records up to LSN; without it, all that there are
  --link     give sealed segments a second name in DEST (hard links) instead of copying them: no
             time, no space, and no second copy of the bytes when the disk damages one. The log
             never writes to such a file again
  --json     one JSON object, in one line

DEST is not there yet, or empty; its parent is there. DIR is only read, no lock is taken, and a
writer is not disturbed. Sealed segments share their blocks with DIR's where the file system can do
that (XFS, btrfs), and are copied elsewhere; the last one is written anew, up to LSN.

The copy is a log of its own, with DIR's id and metadata, cleanly closed: all of it is synced, and
read back and verified, every checksum, before it becomes a log, by the rename of CONTROL. If backup
is ended before that, by whatever, DEST is no log. An atomic batch that goes on behind LSN is cut
there.

Segments that the writer trims are not held back for backup. It begins again, up to five times, when
it is overtaken, and fails (status 2) if LSN was trimmed. Records of a live log that were written and
not yet made durable may be in the copy.

Exit status: 0 done, 1 the log is damaged, 2 could not be done (DEST is as it was).

Examples:
  seawall backup /var/lib/app/log /backup/log-$(date +%F)
  seawall backup --to=1000 log log.1000 && seawall verify log.1000
  seawall backup --json log copy | jq .last_lsn
)";

ExitCode RunBackup(const std::vector<std::string>& arguments) {
  if (arguments.size() != 2) return FailUsage("backup", "expected DIR and DEST");
  const Interruption interruption;
  const auto tell = [&interruption](const char* what) {
    std::fprintf(stderr, "seawall backup: %s: %s\n", interruption.name().c_str(), what);
  };
  const EndInTime end_in_time(
      interruption, [&tell] { tell("the copy is not known to be durable; remove DEST"); });
  Progress progress;
  BackupOptions options;
  const uint64_t to = absl::GetFlag(FLAGS_to);
  if (to == 0) return FailUsage("backup", "--to: expected the LSN of a record, found 0");
  if (to != ~uint64_t{0}) options.to_lsn = to;
  options.hard_links = absl::GetFlag(FLAGS_link);
  options.progress = [&](uint64_t bytes) {
    progress.ShowBytes(bytes);
    return interruption.signal() == 0 ? absl::OkStatus() : absl::CancelledError("interrupted");
  };
  const ExitCode parent = CheckParent("backup", arguments[1]);
  if (parent != kExitOk) return parent;
  const absl::StatusOr<BackupReport> report = BackupDirectory(arguments[0], arguments[1], options);
  progress.Clear();
  if (interruption.signal() != 0 && !report.ok()) {
    tell("nothing was copied; DEST is as it was");
    interruption.Die();
  }
  if (!report.ok()) return Fail("backup", report.status());
  Output output;
  if (absl::GetFlag(FLAGS_json)) {
    const Json json = {{"type", "backup"},
                       {"directory", arguments[0]},
                       {"destination", arguments[1]},
                       {"first_lsn", report->first_lsn},
                       {"last_lsn", report->last_lsn},
                       {"segments", report->segments},
                       {"copied_bytes", report->copied_bytes},
                       {"shared_bytes", report->shared_bytes}};
    output.WriteLine(ToLine(json));
  } else {
    output.WriteLine(absl::StrCat("backed up ", FormatRecords(report->first_lsn, report->last_lsn),
                                  " in ", FormatCount(report->segments, "segment"), ": ",
                                  FormatBytes(report->copied_bytes), " copied, ",
                                  FormatBytes(report->shared_bytes), " shared, all verified"));
  }
  const absl::Status status = output.Finish();
  return status.ok() ? kExitOk : Fail("backup", status);
}

}  // namespace

Command BackupCommand() {
  return {"backup",
          "copies a log, also one that is being written",
          kHelp,
          {"to", "link", "json"},
          RunBackup};
}

}  // namespace seawall
