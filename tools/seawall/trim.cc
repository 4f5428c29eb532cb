// SPDX-License-Identifier: Apache-2.0
// seawall trim: discards the oldest records of a log.
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/copy/archiver.h"
#include "engine/io/file_io.h"
#include "seawall/log.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/interruption.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/inspect/log_view.h"

ABSL_FLAG(uint64_t, before, 0, "trim: the first record (LSN) to keep");
ABSL_FLAG(bool, unarchived, false, "trim: also what was not archived yet");

namespace seawall {
namespace {

constexpr char kHelp[] =
    R"(seawall trim: discards the oldest records of a log, and frees their space.

Usage: seawall trim DIR --before=LSN [FLAGS]

  --before=LSN   the first record to keep: everything below it is not needed any more. At most one
                 above the last record
  --expected_id=HEX
                 trim the log of this id (`seawall stat` shows it) and no other
  --unarchived   also discard segments that the log's archive hook has not taken yet; without it
                 they stay, if the log has ever been archived
  --json         one JSON object, in one line

A log frees whole segments (one file each): a segment goes when all of its records are below LSN. The
segment that is being written never goes. So the log may begin below LSN afterwards, by up to a
segment: what stays is printed, and `seawall stat` shows where the segments begin.

A cursor that has not passed a record holds it, and what comes after it: the log begins there then,
and it is printed which cursor that is. Nothing that was held is discarded later, either: run trim
again when the cursor has moved.

The trim is durable when it returns: no crash brings the records back. LSNs never change. DIR must
not have a writer: a program that has the log open trims it by Log::TrimBefore(), or by the options
retain_bytes and retain_micros. Opening the log recovers it, as its next writer would.

Exit status: 0 done (also if nothing could be freed), 1 the log is damaged (nothing was changed), 2
could not be done: LSN is above the end, the log has a writer, there is no log, an I/O error.

Examples:
  seawall stat /var/lib/app/log                     # where do the segments begin?
  seawall trim /var/lib/app/log --before=500000     # keep record 500000 and what comes after it
  seawall trim --json log --before=1000 | jq .freed_bytes
)";

// What the directory takes on its disk. A file that goes meanwhile takes nothing.
uint64_t DiskBytes(const std::string& directory) {
  uint64_t blocks = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    struct stat info;
    if (stat(entry.path().c_str(), &info) == 0 && S_ISREG(info.st_mode)) {
      blocks += static_cast<uint64_t>(info.st_blocks);
    }
  }
  return 512 * blocks;
}

struct Trimmed {
  Lsn first_before = 0;
  Lsn first = 0;
  Lsn last = 0;
  uint64_t segments = 0;
  uint64_t freed_bytes = 0;
  std::vector<std::string> held_by;
};

// What keeps records below `before`, in words.
std::vector<std::string> HeldBy(const RetentionReport& report, Lsn before) {
  std::vector<std::string> held_by;
  for (const Hold& hold : report.holds) {
    if (hold.lsn >= before) continue;
    held_by.push_back(hold.kind == HoldKind::kArchive
                          ? absl::StrCat("the archive, from record ", hold.lsn, " on")
                          : absl::StrCat(HoldKindName(hold.kind), " \"", hold.name,
                                         "\", from record ", hold.lsn, " on"));
  }
  return held_by;
}

uint64_t SegmentsOf(const RetentionReport& report) {
  return static_cast<uint64_t>(
      std::count_if(report.segments.begin(), report.segments.end(),
                    [](const SegmentRetention& segment) { return segment.first_lsn != 0; }));
}

absl::StatusOr<Trimmed> Trim(const std::string& directory, Lsn before, const LogView& view) {
  Options options;
  options.create_if_missing = false;
  options.max_recycled_segments = 0;
  options.expected_id = view.report.log_id;  // what was looked at is what is trimmed
  // What was not archived is held as by the program that archives it; nothing is archived here.
  std::error_code error;
  if (!absl::GetFlag(FLAGS_unarchived) &&
      std::filesystem::exists(JoinPath(directory, kArchivedName), error)) {
    options.archive = [](const SealedSegment&) {
      return absl::UnavailableError("trim archives nothing");
    };
  }
  Trimmed trimmed;
  const uint64_t bytes = DiskBytes(directory);
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, options);
  if (!log.ok()) return log.status();
  trimmed.first_before = view.report.first_lsn;
  const uint64_t segments = SegmentsOf((*log)->retention_report());
  absl::Status status = (*log)->TrimBefore(before);
  if (!status.ok()) return status;
  trimmed.first = (*log)->first_lsn();
  trimmed.last = (*log)->durable_lsn();
  const RetentionReport report = (*log)->retention_report();
  trimmed.segments = segments - std::min(segments, SegmentsOf(report));
  trimmed.held_by = HeldBy(report, before);
  status = (*log)->Close();
  if (!status.ok()) return status;
  const uint64_t left = DiskBytes(directory);
  trimmed.freed_bytes = bytes - std::min(bytes, left);
  return trimmed;
}

void Print(const std::string& directory, Lsn before, const Trimmed& trimmed, Output* output) {
  if (absl::GetFlag(FLAGS_json)) {
    output->WriteLine(ToLine({{"type", "trim"},
                              {"directory", directory},
                              {"before", before},
                              {"old_first_lsn", trimmed.first_before},
                              {"first_lsn", trimmed.first},
                              {"last_lsn", trimmed.last},
                              {"freed_segments", trimmed.segments},
                              {"freed_bytes", trimmed.freed_bytes},
                              {"held_by", trimmed.held_by}}));
    return;
  }
  const std::string holds =
      absl::StrCat("the log holds ", FormatRecords(trimmed.first, trimmed.last));
  if (trimmed.first == trimmed.first_before) {
    output->WriteLine(absl::StrCat("trimmed nothing; ", holds));
  } else {
    output->WriteLine(absl::StrCat("trimmed ",
                                   FormatRecords(trimmed.first_before, trimmed.first - 1), ": ",
                                   FormatCount(trimmed.segments, "segment"), ", ",
                                   FormatBytes(trimmed.freed_bytes), " on disk are free; ", holds));
  }
  if (!trimmed.held_by.empty()) {
    output->WriteLine(absl::StrCat("held by ", absl::StrJoin(trimmed.held_by, "; by ")));
  } else if (trimmed.first < before && trimmed.first <= trimmed.last) {
    output->WriteLine(absl::StrCat("A segment goes as a whole: that of record ", trimmed.first,
                                   " holds records from ", before,
                                   " on, too, or is the one that is being written."));
  }
}

ExitCode RunTrim(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return FailUsage("trim", "expected one DIR");
  const std::string& directory = arguments[0];
  const Lsn before = absl::GetFlag(FLAGS_before);
  if (before == 0) return FailUsage("trim", "expected --before=LSN, the first record to keep");
  std::optional<LogId> id;
  if (!GetExpectedId(&id)) return FailUsage("trim", kExpectedIdUsage);
  const absl::StatusOr<LogView> view = LoadLogView(directory);
  if (!view.ok()) return Fail("trim", view.status());
  if (!view->opens.ok()) return Fail("trim", view->opens);
  const absl::Status other = CheckLogId(directory, id, view->report.log_id);
  if (!other.ok()) return Fail("trim", other, "Nothing was changed.");
  const RecoveryReport& report = view->report;
  if (before > report.last_lsn + 1) {
    return Fail("trim",
                absl::OutOfRangeError(absl::StrCat("--before=", before, ": the log has ",
                                                   FormatRecords(report.first_lsn, report.last_lsn),
                                                   "; expected at most ", report.last_lsn + 1)),
                "Nothing was changed.");
  }
  const Interruption interruption;
  const EndInTime end_in_time(interruption, [&interruption] {
    std::fprintf(
        stderr,
        "seawall trim: %s: the trim is durable or did not happen: `seawall stat DIR` shows "
        "where the log begins\n",
        interruption.name().c_str());
  });
  const absl::StatusOr<Trimmed> trimmed = Trim(directory, before, *view);
  if (absl::IsFailedPrecondition(trimmed.status())) {
    return Fail(
        "trim", trimmed.status(),
        "Nothing was changed. The program that writes the log trims it: Log::TrimBefore().");
  }
  if (!trimmed.ok()) return Fail("trim", trimmed.status());
  Output output;
  Print(directory, before, *trimmed, &output);
  const absl::Status written = output.Finish();
  if (!written.ok()) return Fail("trim", written);
  // It was done before the signal could stop it.
  if (interruption.signal() != 0) interruption.Die();
  return kExitOk;
}

}  // namespace

Command TrimCommand() {
  return {"trim",
          "discards the oldest records, frees their space",
          kHelp,
          {"before", "expected_id", "unarchived", "json"},
          RunTrim};
}

}  // namespace seawall
