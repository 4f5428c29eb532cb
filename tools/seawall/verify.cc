// SPDX-License-Identifier: Apache-2.0
// seawall verify: reads everything and says what is damaged.

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/cli/progress.h"
#include "tools/seawall/inspect/copy_checker.h"
#include "tools/seawall/inspect/log_view.h"
#include "tools/seawall/inspect/segment_check.h"
#include "tools/seawall/inspect/to_json.h"

ABSL_FLAG(uint32_t, jobs, 1, "verify: how many segments are read at once");

namespace seawall {
namespace {

constexpr uint32_t kMostJobs = 64;

constexpr char kHelp[] = R"(seawall verify: reads all of a log and says what is damaged, and where.

Usage: seawall verify [--json] [--jobs=N] DIR

  --jobs   how many segments are read at once, 1 to 64: more is faster where one reader does not
           take all that the disk has to give; what is printed is the same
  --json   one JSON object a line; "type" is segment, problem, note or summary

It reads every record of every retained segment through the decoder that recovery and readers use,
and checks: each record's checksum; each group's; that LSNs have no gap; that each segment ends
where, and with the digest that, its successor says; both copies of each segment's header, spares
included; all slots of CONTROL. Bytes that hold nothing (padding, what is behind the end of the
log) are not judged.

Damage to a copy of something that is there more than once is damage, too: nothing is lost yet, and
the next damage may lose it. It goes on behind damage and lists all that it can find.

These are sound, and it says so: a log that was not closed (its writer was killed, or is at work
now), and a torn tail (a last write that was cut off by a crash and was never acknowledged).

On a terminal it shows how far it is, from the third second on.

It only reads and takes no lock; beside a live writer it judges what was there when it began.

Exit status: 0 sound, 1 damaged, 2 could not be done.

Examples:
  seawall verify /var/lib/app/log
  seawall verify --jobs=4 /var/lib/app/log
  seawall verify --json /var/lib/app/log | jq 'select(.type=="problem")'
  seawall verify /backup/log && echo "the backup is whole"

If it finds damage: copy the directory before anything else touches it; check the disk (dmesg,
smartctl); `seawall dump DIR` shows every record that is left, `seawall repair` makes a log of them.
)";

class Verifier {
 public:
  Verifier(const LogView& view, Output* output)
      : view_(view), output_(output), json_(absl::GetFlag(FLAGS_json)) {}

  ExitCode Run() {
    absl::Status status = CheckAll();
    if (!status.ok()) {
      (void)output_->Finish();
      return Fail("verify", status);
    }
    Summarize();
    absl::Status written = output_->Finish();
    if (!written.ok()) return Fail("verify", written);
    return problems_.empty() ? kExitOk : kExitDamaged;
  }

  void OnProblem(const Problem& problem) {
    problems_.push_back(problem);
    if (json_) {
      output_->WriteLine(ToLine(ToJson(problem)));
    } else {
      output_->WriteLine(absl::StrCat("DAMAGE ", problem.ToString()));
      output_->WriteLine(absl::StrCat("       ", problem.consequence));
    }
  }

 private:
  absl::Status CheckAll() {
    const CopyChecker copies(view_, [this](const Problem& problem) { OnProblem(problem); });
    absl::Status status = copies.CheckControl();
    if (!status.ok()) return status;
    for (const Problem& problem : view_.problems) OnProblem(problem);
    CheckProgress progress;
    Progress shown;
    CheckSegments(
        view_, absl::GetFlag(FLAGS_jobs), &progress,
        [&](const SegmentRef& segment, const SegmentFindings& findings) {
          shown.Clear();
          status = Tell(segment, findings);
          return status.ok();
        },
        [&] { shown.ShowNow(progress.records, progress.bytes); });
    shown.Clear();
    if (!status.ok()) return status;
    absl::StatusOr<uint64_t> spares = copies.CheckSpares();
    if (!spares.ok()) return spares.status();
    spares_ = *spares;
    if (!view_.opens.ok()) AddOpeningError();
    return absl::OkStatus();
  }

  // Why the log does not open, unless the same place has been reported in other words.
  void AddOpeningError() {
    Problem problem = ProblemOf(view_.opens);
    problem.consequence = "the log does not open";
    for (const Problem& known : problems_) {
      if (known.path == problem.path && known.group_offset <= problem.offset &&
          problem.offset <= known.offset) {
        return;
      }
    }
    OnProblem(problem);
  }

  absl::Status Tell(const SegmentRef& segment, const SegmentFindings& findings) {
    for (const Problem& problem : findings.problems) OnProblem(problem);
    if (!findings.status.ok()) return findings.status;
    if (findings.left) {
      Note(absl::StrCat(segment.path,
                        " left the log (trimmed or cut off by its writer) while it was read"));
    }
    records_ += findings.records;
    groups_ += findings.groups;
    bytes_ += findings.bytes;
    if (json_) {
      Json json = ToJson(segment);
      json["records"] = findings.records;
      json["groups"] = findings.groups;
      json["bytes"] = findings.bytes;
      json["sound"] = findings.problems.empty();
      output_->WriteLine(ToLine(json));
    }
    return absl::OkStatus();
  }

  void Note(const std::string& note) {
    output_->WriteLine(json_ ? ToLine({{"type", "note"}, {"note", note}})
                             : absl::StrCat("note: ", note));
  }

  std::string Verdict() const {
    if (!view_.opens.ok()) return "damaged: the log does not open";
    const RecoveryReport& report = view_.report;
    switch (report.verdict) {
      case RecoveryVerdict::kTornTail:
        return absl::StrCat("torn tail: ", FormatBytes(report.discarded_bytes), " at ",
                            report.torn_path, ", offset ", report.torn_offset,
                            " were never acknowledged; the next open discards them");
      case RecoveryVerdict::kUnclosed:
        return "not closed: its writer is at work, or was killed; nothing is torn";
      case RecoveryVerdict::kClean:
      case RecoveryVerdict::kCreated:
        break;
    }
    return "closed by its writer";
  }

  void Summarize() {
    const RecoveryReport& report = view_.report;
    if (json_) {
      Json json = {{"type", "summary"},
                   {"directory", view_.directory},
                   {"sound", problems_.empty()},
                   {"opens", view_.opens.ok()}};
      if (view_.control.has_value()) json["log_id"] = LogIdToString(view_.control->log_id);
      if (view_.opens.ok()) {
        json["verdict"] = std::string(RecoveryVerdictName(report.verdict));
        json["first_lsn"] = report.first_lsn;
        json["last_lsn"] = report.last_lsn;
        json["torn_bytes"] = report.discarded_bytes;
      }
      json["segments"] = view_.segments.size();
      json["spares"] = spares_;
      json["groups"] = groups_;
      json["records"] = records_;
      json["bytes"] = bytes_;
      json["problems"] = problems_.size();
      output_->WriteLine(ToLine(json));
      return;
    }
    output_->WriteLine(absl::StrCat(view_.directory, ": read ", FormatCount(records_, "record"),
                                    " in ", FormatCount(groups_, "group"), ", ",
                                    FormatCount(view_.segments.size(), "segment"), ", ",
                                    FormatBytes(bytes_), "; ", FormatCount(spares_, "spare")));
    if (view_.opens.ok()) {
      output_->WriteLine(
          absl::StrCat("the log holds ", FormatRecords(report.first_lsn, report.last_lsn)));
    }
    output_->WriteLine(Verdict());
    if (problems_.empty()) {
      output_->WriteLine("OK: no damage");
    } else {
      output_->WriteLine(absl::StrCat(
          FormatCount(problems_.size(), "place"), problems_.size() == 1 ? " is" : " are",
          " damaged. Copy the directory before anything else touches it; `seawall dump ",
          view_.directory,
          "` shows every record that is left, `seawall repair` makes a log of them."));
    }
  }

  const LogView& view_;
  Output* const output_;
  const bool json_;
  std::vector<Problem> problems_;
  uint64_t records_ = 0;
  uint64_t groups_ = 0;
  uint64_t bytes_ = 0;
  uint64_t spares_ = 0;
};

ExitCode RunVerify(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return FailUsage("verify", "expected one DIR");
  const uint32_t jobs = absl::GetFlag(FLAGS_jobs);
  if (jobs < 1 || jobs > kMostJobs) {
    return FailUsage("verify", absl::StrCat("--jobs is ", jobs, ", expected 1 to ", kMostJobs));
  }
  absl::StatusOr<LogView> view = LoadLogView(arguments[0]);
  if (!view.ok()) return Fail("verify", view.status());
  Output output;
  return Verifier(*view, &output).Run();
}

}  // namespace

Command VerifyCommand() {
  return {"verify",
          "reads everything, says what is damaged and where",
          kHelp,
          {"jobs", "json"},
          RunVerify};
}

}  // namespace seawall
