// SPDX-License-Identifier: Apache-2.0
// seawall dump: the records of a log, and what they lie in.
#include <cstdio>
#include <limits>
#include <memory>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/inspect/dump_printer.h"
#include "tools/seawall/inspect/log_view.h"
#include "tools/seawall/inspect/segment_walk.h"

ABSL_FLAG(uint64_t, from, 0, "dump: the first record (LSN); 0 is the first retained one");
ABSL_FLAG(uint64_t, to, std::numeric_limits<uint64_t>::max(),
          "dump, backup: the last record (LSN)");
ABSL_FLAG(uint64_t, limit, std::numeric_limits<uint64_t>::max(), "dump: at most so many records");
ABSL_FLAG(bool, hex, false, "dump: payloads in hexadecimal");
ABSL_FLAG(bool, raw, false, "dump: payloads only, byte for byte");

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall dump: prints the records of a log, and what they lie in.

Usage: seawall dump [FLAGS] DIR

  --from=LSN        begin with this record (default: the first retained one)
  --to=LSN          end with this record
  --limit=N         print at most N records
  --hex             payloads in hexadecimal, as a hex dump or in JSON's "payload_hex"
  --json            one JSON object a line; "type" is log, segment, group, record, problem or note
  --raw             payloads only, byte for byte, nothing between them
  --framing=length  with --raw: before each payload its length, 4 bytes little-endian

The text form is for people: it escapes bytes that are not printable ASCII, and cuts payloads after
200 bytes and says so. The other forms give all. In JSON a payload that is UTF-8 is "payload",
another one "payload_base64".

Records are listed below the group that they were written in (one write, one sync), groups below
their segment (one file). "durable 41" is what the writer knew to be durable when it sealed the
group. A "+" behind an LSN: the atomic batch goes on with the next record.

--raw is the inverse of append: `append` then `dump --raw` gives the input back, the last line
without a newline included. Records that hold newlines of their own, or none, come back apart with
--framing=length on both sides.

It reads only, beside a live writer too, and ends where the log ended when it began. Records that
the writer trims away before they are reached are left out, and a note says so; with --raw, where a
gap could not be seen, that is an error.

Behind damage it goes on with the next group that is whole; --raw stops there. Damage is told in the
output, but for --raw, and on standard error unless both go to the same place.

Exit status: 0 done, 1 damage was met, 2 could not be done.

Examples:
  seawall dump --limit=10 /var/lib/app/log            # the first ten records
  seawall dump --from=5000 --to=5010 --hex /var/lib/app/log
  seawall dump --json /var/lib/app/log | jq -r 'select(.type=="record") | .payload'
  seawall append /tmp/copy <input; seawall dump --raw /tmp/copy | cmp - input
  seawall dump --raw --framing=length /tmp/a | seawall append --framing=length /tmp/b
)";

struct Selection {
  Lsn from = 0;
  Lsn to = 0;
  uint64_t limit = 0;
};

class Dumper : public SegmentVisitor {
 public:
  Dumper(const LogView& view, const Selection& selection, Printer* printer, Output* output)
      : view_(view), selection_(selection), printer_(printer), output_(output) {}

  ExitCode Run() {
    if (view_.control.has_value()) printer_->OnLog(*view_.control);
    for (const Problem& problem : view_.problems) {
      if (!OnProblem(problem)) break;
    }
    for (const SegmentRef& segment : view_.segments) {
      if (stopped_ || segment.base_lsn > selection_.to || selection_.limit == 0) break;
      if (segment.sealed() && segment.last_lsn < selection_.from) continue;
      absl::Status status = DumpSegment(segment);
      if (!status.ok()) return Fail("dump", status);
    }
    absl::Status written = output_->Finish();
    if (!written.ok()) return Fail("dump", written);
    // Last, behind a dump that may be long.
    if (!view_.opens.ok()) {
      std::fprintf(stderr, "seawall dump: the log does not open: %s\n",
                   std::string(view_.opens.message()).c_str());
      return kExitDamaged;
    }
    return exit_code_;
  }

  Wish OnGroup(const Group& group) override {
    if (group.header.first_lsn > selection_.to || printed_ == selection_.limit || !output_->ok()) {
      stopped_ = true;
      return Wish::kStop;
    }
    if (group.header.last_lsn() < selection_.from) return Wish::kSkipGroup;
    printer_->OnGroup(*segment_, group);
    return Wish::kRecords;
  }

  bool OnRecord(const Record& record, uint64_t offset) override {
    if (record.lsn < selection_.from) return true;
    stopped_ = record.lsn > selection_.to || printed_ == selection_.limit;
    if (stopped_) return false;
    printer_->OnRecord(*segment_, record, offset);
    ++printed_;
    return true;
  }

  bool OnProblem(const Problem& problem) override {
    exit_code_ = kExitDamaged;
    stopped_ = !printer_->OnProblem(problem);
    // Who redirects the output still sees it, and nobody sees it twice.
    if (stopped_ || !ErrorsGoWithOutput()) {
      std::fprintf(stderr, "seawall dump: damage: %s: %s\n", problem.ToString().c_str(),
                   problem.consequence.c_str());
    }
    return !stopped_;
  }

 private:
  absl::Status DumpSegment(const SegmentRef& segment) {
    segment_ = &segment;
    printer_->OnSegment(segment);
    SegmentWalk walk(view_.directory, segment, this);
    absl::StatusOr<WalkEnd> end = walk.Run();
    if (!end.ok()) return end.status();
    if (*end != WalkEnd::kLeft) return absl::OkStatus();
    const std::string note =
        absl::StrCat(FormatRecords(walk.next_lsn(), segment.last_lsn),
                     " left the log (trimmed or cut off by its writer) before dump came to them");
    if (printer_->OnNote(note)) return absl::OkStatus();
    return absl::AbortedError(absl::StrCat(note, "; run it again"));
  }

  const LogView& view_;
  const Selection selection_;
  Printer* const printer_;
  Output* const output_;
  const SegmentRef* segment_ = nullptr;
  uint64_t printed_ = 0;
  bool stopped_ = false;
  ExitCode exit_code_ = kExitOk;
};

std::string FlagProblem(const Selection& selection, Framing framing) {
  const bool raw = absl::GetFlag(FLAGS_raw);
  if (selection.to < selection.from) {
    return absl::StrCat("--to=", selection.to, " is below --from=", selection.from);
  }
  if (raw && absl::GetFlag(FLAGS_json)) return "--raw and --json exclude each other";
  if (raw && absl::GetFlag(FLAGS_hex)) return "--raw and --hex exclude each other";
  if (!raw && framing != Framing::kLines) return "--framing is for --raw";
  return "";
}

// Of a log that opens: what was asked for must be there, or be the place where the next record
// goes.
std::string OutsideProblem(const Selection& selection, const LogView& view) {
  if (!view.opens.ok()) return "";
  const RecoveryReport& report = view.report;
  const std::string has =
      absl::StrCat(": the log has ", FormatRecords(report.first_lsn, report.last_lsn));
  if (selection.from != 0 &&
      (selection.from < report.first_lsn || selection.from > report.last_lsn + 1)) {
    return absl::StrCat("--from=", selection.from, has);
  }
  if (selection.to < report.first_lsn) return absl::StrCat("--to=", selection.to, has);
  return "";
}

std::unique_ptr<Printer> NewPrinter(Output* output, Framing framing) {
  const bool hex = absl::GetFlag(FLAGS_hex);
  if (absl::GetFlag(FLAGS_raw)) return NewRawPrinter(output, framing);
  return absl::GetFlag(FLAGS_json) ? NewJsonPrinter(output, hex) : NewTextPrinter(output, hex);
}

ExitCode RunDump(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return FailUsage("dump", "expected one DIR");
  const Selection selection = {absl::GetFlag(FLAGS_from), absl::GetFlag(FLAGS_to),
                               absl::GetFlag(FLAGS_limit)};
  Framing framing;
  if (!GetFraming(&framing)) return FailUsage("dump", "--framing is lines or length");
  const std::string problem = FlagProblem(selection, framing);
  if (!problem.empty()) return FailUsage("dump", problem);
  absl::StatusOr<LogView> view = LoadLogView(arguments[0]);
  if (!view.ok()) return Fail("dump", view.status());
  const std::string outside = OutsideProblem(selection, *view);
  if (!outside.empty()) return FailUsage("dump", outside);
  Output output;
  const std::unique_ptr<Printer> printer = NewPrinter(&output, framing);
  return Dumper(*view, selection, printer.get(), &output).Run();
}

}  // namespace

Command DumpCommand() {
  return {"dump",
          "prints records: as text, JSON, hexadecimal, or raw",
          kHelp,
          {"from", "to", "limit", "hex", "json", "raw", "framing"},
          RunDump};
}

}  // namespace seawall
