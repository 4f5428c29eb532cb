// SPDX-License-Identifier: Apache-2.0
// seawall restore: makes a log of archived segments and what is left of the original.
#include <cstdio>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "seawall/backup.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/interruption.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/cli/progress.h"

ABSL_FLAG(uint64_t, to_lsn, ~uint64_t{0}, "restore: the last record of the new log");
ABSL_FLAG(std::string, metadata, "", "restore: the new log's metadata");
ABSL_FLAG(std::string, to_time, "", "restore: nothing that was written later, RFC 3339");

namespace seawall {
namespace {

constexpr char kHelp[] =
    R"(seawall restore: makes a log of archived segments and what is left of the original.

Usage: seawall restore [FLAGS] ARCHIVE [DIR] --out=DEST

  --out=DEST      the directory of the new log: not there yet, or empty
  --to_lsn=LSN    the new log ends with this record
  --to_time=TIME  the new log ends before the first group that was sealed after TIME, by the writer's
                  clock: 2026-01-31T12:00:00Z, 2026-01-31T13:00:00.5+01:00
  --metadata=TEXT the new log's metadata, at most 256 bytes, instead of DIR's. Archived segments have
                  none: without DIR and without this, nor has the new log
  --json          one JSON object, in one line

ARCHIVE holds the segments that `seawall append --archive_command`, or Options::archive of a program,
has copied, under their own names. DIR is the log that they come from, with the segments that are not
archived yet; it is only read, and may have a writer. Without DIR the log ends where the newest
archived segment does.

Each segment says which one is before it, where that ends, and what its digest is: a segment that is
missing, shortened or damaged is an error that names it, and segments that a truncation, a reset or a
recovery has replaced are left out. All is verified, every checksum, before DEST becomes a log; if
restore is ended before that, DEST is no log.

DEST keeps the log's id. Where the original goes on, too, archive them to different directories.

Exit status: 0 done, 1 a segment is missing or damaged, 2 could not be done (DEST is as it was).

Examples:
  seawall restore /archive /var/lib/app/log --out=/var/lib/app/log.new
  seawall restore /archive --out=log --to_time=2026-11-21T09:00:00Z
  seawall restore /archive --out=log --to_lsn=1000 && seawall stat log
)";

// From the flags; empty, or what is wrong with them.
std::string GetOptions(RestoreOptions* options) {
  const uint64_t to_lsn = absl::GetFlag(FLAGS_to_lsn);
  if (to_lsn == 0) return "--to_lsn: expected the LSN of a record, found 0";
  if (to_lsn != ~uint64_t{0}) options->to_lsn = to_lsn;
  options->metadata = absl::GetFlag(FLAGS_metadata);
  const std::string text = absl::GetFlag(FLAGS_to_time);
  if (text.empty()) return "";
  absl::Time time;
  std::string error;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &error)) {
    return absl::StrCat("--to_time: expected a time as 2026-01-31T12:00:00Z, found \"", text,
                        "\": ", error);
  }
  options->to_unix_micros = absl::ToUnixMicros(time);
  return "";
}

ExitCode RunRestore(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.size() > 2) {
    return FailUsage("restore", "expected ARCHIVE, and perhaps DIR");
  }
  const std::string out = absl::GetFlag(FLAGS_out);
  if (out.empty()) return FailUsage("restore", "expected --out=DEST");
  const Interruption interruption;
  const auto tell = [&interruption](const char* what) {
    std::fprintf(stderr, "seawall restore: %s: %s\n", interruption.name().c_str(), what);
  };
  const EndInTime end_in_time(
      interruption, [&tell] { tell("the copy is not known to be durable; remove DEST"); });
  Progress progress;
  RestoreOptions options;
  const std::string problem = GetOptions(&options);
  if (!problem.empty()) return FailUsage("restore", problem);
  options.progress = [&](uint64_t bytes) {
    progress.ShowBytes(bytes);
    return interruption.signal() == 0 ? absl::OkStatus() : absl::CancelledError("interrupted");
  };
  const ExitCode parent = CheckParent("restore", out);
  if (parent != kExitOk) return parent;
  const absl::StatusOr<BackupReport> report =
      RestoreLog(arguments[0], arguments.size() == 2 ? arguments[1] : "", out, options);
  progress.Clear();
  if (interruption.signal() != 0 && !report.ok()) {
    tell("nothing was copied; DEST is as it was");
    interruption.Die();
  }
  if (!report.ok()) {
    return Fail("restore", report.status(), "No log was made; ARCHIVE and DIR are as they were.");
  }
  Output output;
  if (absl::GetFlag(FLAGS_json)) {
    output.WriteLine(ToLine({{"type", "restore"},
                             {"destination", out},
                             {"first_lsn", report->first_lsn},
                             {"last_lsn", report->last_lsn},
                             {"segments", report->segments},
                             {"copied_bytes", report->copied_bytes},
                             {"shared_bytes", report->shared_bytes}}));
  } else {
    output.WriteLine(absl::StrCat("restored ", FormatRecords(report->first_lsn, report->last_lsn),
                                  " in ", FormatCount(report->segments, "segment"), ": ",
                                  FormatBytes(report->copied_bytes + report->shared_bytes),
                                  ", all verified"));
  }
  const absl::Status status = output.Finish();
  return status.ok() ? kExitOk : Fail("restore", status);
}

}  // namespace

Command RestoreCommand() {
  return {"restore",
          "makes a log of archived segments and what is left of the original",
          kHelp,
          {"out", "to_lsn", "to_time", "metadata", "json"},
          RunRestore};
}

}  // namespace seawall
