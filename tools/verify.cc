// seawall verify: reads everything and says what is damaged.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "engine/control_file.h"
#include "engine/file_io.h"
#include "tools/command.h"
#include "tools/json.h"
#include "tools/log_view.h"
#include "tools/output.h"
#include "tools/segment_walk.h"

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall verify: reads all of a log and says what is damaged, and where.

Usage: seawall verify [--json] DIR

  --json   one JSON object a line; "type" is segment, problem, note or summary

It reads every record of every retained segment through the decoder that recovery and readers use,
and checks: each record's checksum; each group's; that LSNs have no gap; that each segment ends
where, and with the digest that, its successor says; both copies of each segment's header, spares
included; all slots of CONTROL. Bytes that hold nothing (padding, what is behind the end of the
log) are not judged.

Damage to a copy of something that is there more than once is damage, too: nothing is lost yet, and the next
damage may lose it. It goes on behind damage and lists all that it can find.

These are sound, and it says so: a log that was not closed (its writer was killed, or is at work
now), and a torn tail (a last write that was cut off by a crash and was never acknowledged).

It only reads and takes no lock; beside a live writer it judges what was there when it began.

Exit status: 0 sound, 1 damaged, 2 could not be done.

Examples:
  seawall verify /var/lib/app/log
  seawall verify --json /var/lib/app/log | jq 'select(.type=="problem")'
  seawall verify /backup/log && echo "the backup is whole"

If it finds damage: copy the directory before anything else touches it; check the disk (dmesg,
smartctl); `seawall dump DIR` shows every record that is left.
)";

class Verifier : public SegmentVisitor {
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

  Wish OnGroup(const Group& group) override {
    ++groups_;
    bytes_ += group.header.group_bytes;
    return Wish::kRecords;
  }
  bool OnRecord(const Record&, uint64_t) override {
    ++records_;
    return true;
  }
  bool OnProblem(const Problem& problem) override {
    problems_.push_back(problem);
    if (json_) {
      output_->WriteLine(ToLine(ToJson(problem)));
    } else {
      output_->WriteLine(absl::StrCat("DAMAGE ", problem.ToString()));
      output_->WriteLine(absl::StrCat("       ", problem.consequence));
    }
    return true;
  }

 private:
  absl::Status CheckAll() {
    absl::Status status = CheckControl();
    if (!status.ok()) return status;
    for (const Problem& problem : view_.problems) OnProblem(problem);
    for (const SegmentRef& segment : view_.segments) {
      status = CheckSegment(segment);
      if (!status.ok()) return status;
    }
    status = CheckSpares();
    if (!status.ok()) return status;
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

  absl::Status CheckControl() {
    absl::StatusOr<ControlSlots> slots = ReadControlSlots(view_.directory);
    for (size_t i = 0; i < kControlSlots; ++i) {
      // A slot that is being written just now is whole at another look.
      for (int looks = 1; slots.ok() && !slots->valid(i) && looks < kLooks; ++looks) {
        slots = ReadControlSlots(view_.directory);
      }
      if (absl::IsNotFound(slots.status())) return absl::OkStatus();  // why it does not open
      if (!slots.ok()) return slots.status();
      if (slots->valid(i)) continue;
      OnProblem(
          {JoinPath(view_.directory, kControlName), i * kControlSlotBytes,
           absl::StrCat("a valid control block in slot ", i + 1, " of ", kControlSlots),
           NameOf(slots->results[i]),
           slots->any_valid() ? "nothing is lost: another slot is valid" : "the log does not open",
           i * kControlSlotBytes});
    }
    return absl::OkStatus();
  }

  static std::string NameOf(DecodeResult result) {
    switch (result) {
      case DecodeResult::kValid:
        return "a valid one";
      case DecodeResult::kZero:
        return "zeros";
      case DecodeResult::kInvalid:
        return "bytes that do not verify";
      case DecodeResult::kNewer:
        return "a newer format version";
    }
    return "";
  }

  absl::Status CheckSegment(const SegmentRef& segment) {
    const size_t known = problems_.size();
    // The write of a header that no later sync stands behind may have been torn by a crash.
    const bool tail = segment.generation == view_.segments.back().generation;
    const bool settled = !tail || view_.report.proven_durable_lsn >= segment.base_lsn;
    absl::Status status = CheckHeader(segment, settled, /*spare=*/false);
    if (!status.ok()) return status;
    const uint64_t records = records_, groups = groups_, bytes = bytes_;
    absl::StatusOr<WalkEnd> end = SegmentWalk(view_.directory, segment, this).Run();
    if (absl::IsUnavailable(end.status())) {
      OnProblem({segment.path, 0, "a file that can be read", std::string(end.status().message()),
                 "what is in it from there on was not checked", 0});
    } else if (!end.ok()) {
      return end.status();
    } else if (*end == WalkEnd::kLeft) {
      Note(absl::StrCat(segment.path,
                        " left the log (trimmed or cut off by its writer) while it was read"));
    }
    if (json_) {
      Json json = ToJson(segment);
      json["records"] = records_ - records;
      json["groups"] = groups_ - groups;
      json["bytes"] = bytes_ - bytes;
      json["sound"] = problems_.size() == known;
      output_->WriteLine(ToLine(json));
    }
    return absl::OkStatus();
  }

  // Both copies are whole, and equal if `settled`.
  absl::Status CheckHeader(const SegmentRef& segment, bool settled, bool spare) {
    absl::StatusOr<HeaderCopies> copies = ReadHeaderCopies(segment.path);
    for (int looks = 1; copies.ok() && !Sound(*copies, settled) && looks < kLooks; ++looks) {
      copies = ReadHeaderCopies(segment.path);
    }
    const bool gone = absl::IsNotFound(copies.status());
    if (!gone && !copies.ok()) return copies.status();
    if (!gone && Sound(*copies, settled)) return absl::OkStatus();
    if (spare ? !IsPrepared(segment.generation) : LeftTheLog(view_.directory, segment)) {
      return absl::OkStatus();
    }
    if (gone) {
      OnProblem({segment.path, 0, "a segment file", "no such file", "it cannot be read", 0});
      return absl::OkStatus();
    }
    for (size_t i = 0; i < copies->results.size(); ++i) {
      if (!copies->valid(i)) BadCopy(segment, *copies, i, spare);
    }
    if (copies->valid(0) && copies->valid(1)) {
      OnProblem({segment.path, kHeaderCopyOffset, "the same header as at offset 0",
                 "another one that is valid", "nothing is lost: the first one is used",
                 kHeaderCopyOffset});
    }
    return absl::OkStatus();
  }

  static bool Sound(const HeaderCopies& copies, bool settled) {
    return copies.valid(0) && copies.valid(1) &&
           (!settled || copies.headers[0] == copies.headers[1]);
  }

  void BadCopy(const SegmentRef& segment, const HeaderCopies& copies, size_t i, bool spare) {
    const uint64_t offset = i == 0 ? 0 : kHeaderCopyOffset;
    for (const Problem& known : view_.problems) {
      if (known.path == segment.path && known.offset == 0 && i == 0) return;  // said already
    }
    std::string consequence = "nothing is lost: the other copy is valid";
    if (!copies.valid(1 - i)) {
      consequence =
          spare ? "nothing is lost: the segment holds no records yet" : "the log does not open";
    }
    OnProblem({segment.path, offset, absl::StrCat("a valid segment header, copy ", i + 1, " of 2"),
               NameOf(copies.results[i]), consequence, offset});
  }

  // Prepared segments that hold no record yet: those that CONTROL lists must be whole.
  absl::Status CheckSpares() {
    absl::StatusOr<std::vector<uint64_t>> generations = ListGenerations(view_.directory);
    if (!generations.ok()) return generations.status();
    const uint64_t tail = view_.segments.empty() ? 0 : view_.segments.back().generation;
    for (uint64_t generation : *generations) {
      if (generation <= tail || !IsPrepared(generation)) continue;
      SegmentRef spare;
      spare.path = JoinPath(view_.directory, SegmentName(generation));
      spare.generation = generation;
      // The write that begins it may have been torn by a crash: two valid copies will do.
      absl::Status status = CheckHeader(spare, /*settled=*/false, /*spare=*/true);
      if (!status.ok()) return status;
      ++spares_;
    }
    return absl::OkStatus();
  }

  // As CONTROL has it now.
  bool IsPrepared(uint64_t generation) const {
    absl::StatusOr<ControlBlock> control = ReadControl(FileSystem::Posix(), view_.directory);
    if (!control.ok()) return false;
    return std::any_of(
        control->entries.begin(), control->entries.end(),
        [generation](const ControlEntry& entry) { return entry.generation == generation; });
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
    output_->WriteLine(absl::StrCat(view_.directory, ": read ", records_, " records in ", groups_,
                                    " groups, ", view_.segments.size(), " segments, ",
                                    FormatBytes(bytes_), "; ", spares_, " spare",
                                    spares_ == 1 ? "" : "s"));
    if (view_.opens.ok()) {
      output_->WriteLine(
          absl::StrCat("the log holds ", FormatRecords(report.first_lsn, report.last_lsn)));
    }
    output_->WriteLine(Verdict());
    if (problems_.empty()) {
      output_->WriteLine("OK: no damage");
    } else {
      output_->WriteLine(absl::StrCat(
          problems_.size(), problems_.size() == 1 ? " place is" : " places are",
          " damaged. Copy the directory before anything else touches it; `seawall dump ",
          view_.directory, "` shows every record that is left."));
    }
  }

  static constexpr int kLooks = 3;

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
  absl::StatusOr<LogView> view = LoadLogView(arguments[0]);
  if (!view.ok()) return Fail("verify", view.status());
  Output output;
  return Verifier(*view, &output).Run();
}

}  // namespace

Command VerifyCommand() {
  return {"verify", "reads everything, says what is damaged and where", kHelp, {"json"}, RunVerify};
}

}  // namespace seawall
