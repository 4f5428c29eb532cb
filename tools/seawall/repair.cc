// SPDX-License-Identifier: Apache-2.0
// seawall repair: salvages a damaged log into a new one.
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/io/log_place.h"
#include "seawall/file_system.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/interruption.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/inspect/to_json.h"
#include "tools/seawall/salvage/log_salvage.h"
#include "tools/seawall/salvage/salvage_writer.h"

ABSL_FLAG(std::string, out, "", "repair, restore: the directory of the new log");
ABSL_FLAG(std::string, report, "", "repair: the file that the damage report goes to");
ABSL_FLAG(bool, renumber, false, "repair: one log, also where records are missing");
ABSL_FLAG(bool, keep_partial_batches, false, "repair: keep what is left of an atomic batch");

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall repair: salvages a damaged log: what verifies goes to a new one.

Usage: seawall repair DIR --out=DEST [FLAGS]

  --out=DEST              the directory of the new log: not there yet, or empty; not in DIR
  --report=FILE           the damage report as JSON goes to FILE, and a summary to standard output;
                          without it the report goes to standard output
  --renumber              write one log, and let it go on behind a gap as if there were none
  --keep_partial_batches  keep records of an atomic batch that is not whole, each by itself

DIR is only read, never changed. (Its writer must not be running; `seawall verify DIR` says whether
there is any damage at all.) Every record whose checksum is right is written to DEST, whatever is
wrong around it: headers of groups and segments, CONTROL, names and order of files. A record's
checksum covers its LSN and its segment's salt, so none is taken for another, and nothing stale
for the log: records that were trimmed or cut off do not come back. (But where the segment is gone
that a truncation began, nothing is left that tells of the cut: the report has missing_segment.)

A single flipped bit is corrected: in a record of up to 64 KiB, in the header of a longer one, of a
group, of a segment, and in CONTROL; each is tried until the checksum is right, and the report
says which byte it was.

LSNs stay as they are. They are dense, so a log ends at a gap: DEST is the log up to the first lost
record, and each run of records behind a gap is a log of its own in DEST/from-N, N being its first
LSN. With --renumber all is one log, and the report says which records were moved.

The new log is another one, with an id of its own. It has the metadata of the damaged one, unless
CONTROL, which holds them, is gone.

An atomic batch comes back whole or not at all. A record directly behind a lost one may be the end
of a batch, unless it begins a group: it is dropped, too, up to the end of that batch, and reported
(batch_not_whole).

The report has "damage" (for each place: kind, file, offset, first_lsn and last_lsn of the records
it concerns, whether they are lost or corrected), "logs" (what was written: directory, first_lsn,
records, source_first_lsn) and counts. "first_lsn" is null where nothing is left that says which
record was the first one. "uncertain": no loss is known there, but what would say so is gone: without
CONTROL, for one, nothing says how far the log went. Kinds: bit_corrected, unreadable, missing_segment, shortened,
swapped, duplicate, stale (replaced by later segments), foreign (another log's), header_lost,
no_control, read_error, batch_not_whole, torn_tail (never acknowledged: no loss).

Times of groups are those of the repair. Memory: the largest segment, and two buffers.

Exit status: 0 all records are salvaged as they were, 1 some are lost or were corrected, or it is not
known whether some are lost, 2 could not be done (what is in DEST then is not complete).

Examples:
  seawall repair /var/lib/app/log --out=/var/lib/app/log.new --report=/tmp/damage.json
  seawall repair broken --out=whole | jq '.damage[] | select(.lost)'
  seawall dump whole/from-57          # the records behind the first gap
)";

namespace fs = std::filesystem;

// `path` without symbolic links, as far as it exists.
fs::path Resolved(const std::string& path) {
  std::error_code error;
  const fs::path absolute = fs::absolute(path, error);
  const fs::path resolved = fs::weakly_canonical(absolute, error);
  fs::path plain = (error ? absolute : resolved).lexically_normal();
  return plain.filename().empty() ? plain.parent_path() : plain;
}

// `path` is `directory`, or in it.
bool IsIn(const std::string& path, const std::string& directory) {
  const fs::path inner = Resolved(path), outer = Resolved(directory);
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

absl::Status CheckDestination(const std::string& destination) {
  FileInfo info;
  if (FileSystem::Posix()->Stat(destination, &info) != 0) return absl::OkStatus();
  return CheckPlaceIsEmpty(FileSystem::Posix(), destination);
}

// Keeps writers away for as long as the file lives; nullptr if there is nothing to lock.
absl::StatusOr<std::unique_ptr<File>> LockOut(const std::string& directory) {
  const std::string path = JoinPath(directory, kLockName);
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(FileSystem::Posix(), path, OpenOptions());
  if (absl::IsNotFound(file.status())) return std::unique_ptr<File>();
  if (!file.ok()) return file.status();
  int error;
  do {
    error = (*file)->TryLock();
  } while (error == EINTR);
  if (error != 0 && error != EWOULDBLOCK) return ErrnoStatus(error, "flock", path);
  if (error != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory, ": expected a log that nobody writes, found its writer at work"));
  }
  return file;
}

Json ToJson(const Finding& damage) {
  Json json = {{"kind", damage.kind}, {"file", damage.path}, {"offset", damage.offset}};
  if (damage.records.last != 0) {
    json["first_lsn"] = damage.records.first == 0 ? Json(nullptr) : Json(damage.records.first);
    json["last_lsn"] = damage.records.last;
  }
  json["lost"] = damage.lost;
  if (damage.uncertain) json["uncertain"] = true;
  json["corrected"] = damage.corrected;
  json["what"] = damage.what;
  return json;
}

Json Report(const std::string& directory, const SalvageResult& result,
            const SalvageWriter& writer) {
  Json json = {{"type", "repair"}, {"directory", directory}};
  json["opens"] = result.opens.ok();
  if (!result.opens.ok()) json["why_not"] = std::string(result.opens.message());
  json["records"] = writer.records();
  json["bytes"] = writer.bytes();
  json["lost"] = result.lost();
  json["uncertain"] = result.uncertain();
  json["corrected"] = result.corrected();
  json["logs"] = Json::array();
  for (const SalvagedRun& run : writer.runs()) {
    json["logs"].push_back({{"directory", run.directory},
                            {"first_lsn", run.first_lsn},
                            {"records", run.records},
                            {"source_first_lsn", run.source_first_lsn}});
  }
  json["damage"] = Json::array();
  for (const Finding& damage : result.damage) json["damage"].push_back(ToJson(damage));
  return json;
}

void Summarize(const SalvageResult& result, const SalvageWriter& writer, Output* output) {
  for (const Finding& damage : result.damage) {
    std::string records;
    if (damage.records.last != 0) {
      records = absl::StrCat(": ", damage.records.first == 0
                                       ? absl::StrCat("records up to ", damage.records.last)
                                       : FormatRecords(damage.records.first, damage.records.last));
    }
    output->WriteLine(absl::StrCat(damage.lost        ? "LOST      "
                                   : damage.corrected ? "CORRECTED "
                                   : damage.uncertain ? "UNCERTAIN "
                                                      : "note      ",
                                   damage.kind, " at ", damage.path, ", offset ", damage.offset,
                                   records, ": ", damage.what));
  }
  output->WriteLine(absl::StrCat("salvaged ", FormatCount(writer.records(), "record"), " (",
                                 FormatBytes(writer.bytes()), ")"));
  for (const SalvagedRun& run : writer.runs()) {
    std::string moved;
    if (run.first_lsn != run.source_first_lsn) {
      moved = absl::StrCat(", which were ", FormatRecords(run.source_first_lsn,
                                                          run.source_first_lsn + run.records - 1));
    }
    output->WriteLine(absl::StrCat("  ", run.directory, ": ",
                                   FormatRecords(run.first_lsn, run.first_lsn + run.records - 1),
                                   moved));
  }
  output->WriteLine(
      result.lost() ? "Some records are lost."
      : result.uncertain()
          ? "No loss is known, but what would say so is gone: more may have been acknowledged."
      : result.corrected() ? "No record is lost; single bits were corrected."
                           : "OK: no record is lost.");
}

absl::Status WriteReport(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  return file.good() ? absl::OkStatus() : ErrnoStatus(errno, "write", path);
}

// That it can be written, before the hour that a large log takes. A file in the new log's directory
// has to wait until that is there, and a pipe would be closed here before the report comes.
absl::Status CheckReport(const std::string& path, const std::string& destination) {
  if (path.empty() || IsIn(path, destination)) return absl::OkStatus();
  std::error_code error;
  const fs::file_type type = fs::status(path, error).type();
  if (type != fs::file_type::regular && type != fs::file_type::not_found) return absl::OkStatus();
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::app);
  return file.is_open() ? absl::OkStatus() : ErrnoStatus(errno, "write", path);
}

// Passes records on until a signal comes.
class InterruptibleSink : public SalvageSink {
 public:
  InterruptibleSink(const Interruption& interruption, SalvageSink* to)
      : interruption_(interruption), to_(to) {}

  void OnMetadata(const std::string& metadata) override { to_->OnMetadata(metadata); }
  absl::Status OnRecords(Lsn first_lsn, const std::vector<std::string_view>& records) override {
    if (interruption_.signal() != 0) return absl::CancelledError("interrupted");
    return to_->OnRecords(first_lsn, records);
  }

 private:
  const Interruption& interruption_;
  SalvageSink* const to_;
};

absl::StatusOr<ExitCode> Repair(const std::string& directory, const std::string& destination,
                                const std::string& report) {
  const Interruption interruption;
  const auto tell = [&interruption] {
    std::fprintf(stderr,
                 "seawall repair: %s: DEST, if it is there now, is not complete; the log was not "
                 "changed\n",
                 interruption.name().c_str());
  };
  const EndInTime end_in_time(interruption, tell);
  SalvageWriter writer(destination, absl::GetFlag(FLAGS_renumber));
  InterruptibleSink sink(interruption, &writer);
  absl::StatusOr<SalvageResult> result =
      SalvageLog(directory, absl::GetFlag(FLAGS_keep_partial_batches), &sink);
  if (interruption.signal() != 0) {
    tell();
    interruption.Die();
  }
  if (!result.ok()) return result.status();
  absl::Status status = writer.Finish(result->first_lsn);
  if (!status.ok()) return status;
  const std::string text =
      Report(directory, *result, writer).dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  Output output;
  if (report.empty()) {
    output.Write(text);
  } else {
    status = WriteReport(report, text);
    if (!status.ok()) return status;
    Summarize(*result, writer, &output);
  }
  status = output.Finish();
  if (!status.ok()) return status;
  return result->lost() || result->uncertain() || result->corrected() ? kExitDamaged : kExitOk;
}

ExitCode RunRepair(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return FailUsage("repair", "expected one DIR");
  const std::string out = absl::GetFlag(FLAGS_out);
  const std::string report = absl::GetFlag(FLAGS_report);
  if (out.empty())
    return FailUsage("repair", "expected --out=DEST: a log is never repaired in place");
  if (IsIn(out, arguments[0])) {
    return FailUsage("repair", "--out is in DIR: a log is never repaired in place");
  }
  if (!report.empty() && IsIn(report, arguments[0])) {
    return FailUsage("repair", "--report is in DIR, which is only read");
  }
  const ExitCode parent = CheckParent("repair", out);
  if (parent != kExitOk) return parent;
  const absl::Status destination = CheckDestination(out);
  if (!destination.ok()) {
    return Fail("repair", destination,
                "Nothing was written. Name a directory that is not there yet.");
  }
  const absl::Status writable = CheckReport(report, out);
  if (!writable.ok()) {
    return Fail("repair", writable, "That is the report's file; nothing was written.");
  }
  const absl::StatusOr<std::unique_ptr<File>> lock = LockOut(arguments[0]);
  if (absl::IsFailedPrecondition(lock.status())) {
    return Fail("repair", lock.status(),
                "Nothing was written. `seawall backup` copies a log that is being written.");
  }
  if (!lock.ok()) return Fail("repair", lock.status());
  const absl::StatusOr<ExitCode> code = Repair(arguments[0], out, report);
  if (code.ok()) return *code;
  // DataLoss would say that it was done, with damage.
  Fail("repair", code.status(),
       absl::IsNotFound(code.status())
           ? "Check the path."
           : "The log was not changed. DEST, if it is there now, is not complete.");
  return kExitCouldNotRun;
}

}  // namespace

Command RepairCommand() {
  return {"repair",
          "salvages a damaged log: what verifies goes to a new one",
          kHelp,
          {"out", "report", "renumber", "keep_partial_batches"},
          RunRepair};
}

}  // namespace seawall
