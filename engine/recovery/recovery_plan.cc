// SPDX-License-Identifier: Apache-2.0
#include "engine/recovery/recovery_plan.h"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/recovery/cursor_recovery.h"
#include "engine/recovery/segment_chain.h"
#include "engine/recovery/tail_scan.h"
#include "engine/recovery/tail_verdict.h"
#include "engine/segments/headerless_segment.h"
#include "engine/segments/segment_file.h"
#include "engine/segments/segment_scanner.h"

namespace seawall {
namespace {

// A tail that ends below this is copied rather than kept as a segment of its own.
constexpr uint64_t kSmallTailBytes = uint64_t{1} << 20;

class Planner {
 public:
  // `live`: a writer may be at work, and what is read is for reading only.
  Planner(FileSystem* fs, const std::string& directory, bool live)
      : fs_(fs), directory_(directory), live_(live) {}

  absl::StatusOr<RecoveryPlan> Plan(bool carry_small_tail);

 private:
  absl::Status ListFiles();
  absl::StatusOr<SegmentFile> ReadSegment(uint64_t generation) const;
  absl::StatusOr<bool> ProvesALog(const SegmentFile& file) const;
  absl::Status CheckNothingIsLost();
  absl::StatusOr<TailScan> FindEnd(bool carry_small_tail) const;
  absl::StatusOr<TailScan> ClosedEnd() const;
  absl::Status LookBehind(TailScan* scan) const;
  absl::Status DecideEnd(const TailScan& scan);
  void ChooseCopy(const TailScan& scan, bool carry_small_tail);
  void CollectGarbage();

  FileSystem* const fs_;
  const std::string directory_;
  const bool live_;
  RecoveryPlan plan_;
  bool creating_ = false;  // the first file of a creation is there, and so is no control file yet
  std::vector<uint64_t> generations_;  // of the files that are there, descending
  SegmentChain chain_;
  FoundCursors cursors_;
  // The newest block of the control file may be lost (ReadControl).
  bool control_may_be_older_ = false;
  // The control file's own proof, if it speaks of this tail.
  Lsn control_durable_lsn_ = 0;
};

absl::Status Planner::ListFiles() {
  FileInfo info;
  int error = fs_->Stat(directory_, &info);
  if (error == ENOENT) return absl::OkStatus();
  if (error != 0) return ErrnoStatus(error, "stat", directory_);
  if (!info.is_directory) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory_, ": expected a directory, found a file"));
  }
  plan_.directory_exists = true;
  std::vector<std::string> names;
  error = fs_->List(directory_, &names);
  if (error != 0) return ErrnoStatus(error, "list", directory_);
  for (const std::string& name : names) {
    if (std::optional<uint64_t> generation = ParseSegmentName(name)) {
      generations_.push_back(*generation);
    } else if (name == kControlTemporaryName) {
      creating_ = true;
      plan_.garbage.push_back(name);
    }
  }
  std::sort(generations_.rbegin(), generations_.rend());
  if (!generations_.empty()) plan_.next_generation = generations_.front() + 1;
  return absl::OkStatus();
}

absl::StatusOr<SegmentFile> Planner::ReadSegment(uint64_t generation) const {
  return ReadSegmentFile(fs_, directory_, generation,
                         plan_.exists ? &plan_.control.log_id : nullptr);
}

// Whether a segment's file was part of a log, where there is no control file to say so. Creating a
// log writes zeros, syncs them, and writes a header that begins the log: whatever else is in the
// file was written to a log. While a creation is under way, bytes that were not synced yet may read
// as anything, but not as a group.
absl::StatusOr<bool> Planner::ProvesALog(const SegmentFile& file) const {
  if (file.kind == FileKind::kSpare) return !creating_;  // made for a log that was open
  const SegmentHeader& header = file.header;
  uint64_t zeros_begin = kSegmentHeaderBytes;
  if (file.kind != FileKind::kUnreadable) {
    if (header.predecessor_generation != 0 || header.base_lsn != kFirstLsn) return true;
    zeros_begin = header.groups_begin();
  }
  SegmentScanner scanner(file.file.get(), file.path, header.salt);
  absl::StatusOr<Remnants> found = scanner.Survey(zeros_begin, file.bytes);
  if (!found.ok()) return found.status();
  if (found->nonzero_end == zeros_begin) return false;
  if (!creating_) return true;
  absl::StatusOr<std::optional<HeaderlessSegment>> groups =
      FindHeaderlessSegment(file.file.get(), file.path, file.bytes);
  if (!groups.ok()) return groups.status();
  return groups->has_value();
}

// Without a control file, a log was never ready to be used, unless the file was lost.
absl::Status Planner::CheckNothingIsLost() {
  for (uint64_t generation : generations_) {
    absl::StatusOr<SegmentFile> file = ReadSegment(generation);
    if (!file.ok()) return file.status();
    plan_.garbage.push_back(SegmentName(generation));
    absl::StatusOr<bool> proves = ProvesALog(*file);
    if (!proves.ok()) return proves.status();
    if (*proves) {
      return absl::DataLossError(
          absl::StrCat(JoinPath(directory_, kControlName),
                       ", offset 0: expected the control file of the log in ", file->path,
                       ", found no such file"));
    }
  }
  return absl::OkStatus();
}

// Sealed by the control file: O(1), as for every sealed segment.
absl::StatusOr<TailScan> Planner::ClosedEnd() const {
  TailScan scan;
  scan.end = scan.remnants_end = plan_.control.closed_end;
  scan.last_lsn = plan_.control.durable_lsn;
  scan.digest = plan_.control.closed_digest;
  scan.facts.closed_here = true;
  if (chain_.tail.bytes < scan.end) {
    return DamageStatus(
        chain_.tail.path, chain_.tail.bytes,
        absl::StrCat("expected ", scan.end, " bytes of groups, found the end of the file"));
  }
  return scan;
}

absl::Status Planner::LookBehind(TailScan* scan) const {
  absl::Status status = SurveyBehind(chain_.tail, scan);
  if (!status.ok()) return status;
  for (const SegmentFile& file : chain_.doubtful) {
    status = SurveyLaterFile(file, plan_.control, control_may_be_older_, scan);
    if (!status.ok()) return status;
  }
  const Lsn header_lsn = chain_.tail.header.durable_lsn;
  if (header_lsn > scan->last_lsn || control_durable_lsn_ > scan->last_lsn) {
    scan->facts.acknowledged_beyond = true;
    scan->proof =
        absl::StrCat(header_lsn > scan->last_lsn ? "the segment's header" : "the control file",
                     " knew record ", std::max(header_lsn, control_durable_lsn_), " to be durable");
  }
  if (cursors_.table.highest() > scan->last_lsn) {
    scan->facts.acknowledged_beyond = true;
    scan->proof = absl::StrCat("a cursor stands at record ", cursors_.table.highest());
  }
  return absl::OkStatus();
}

absl::StatusOr<TailScan> Planner::FindEnd(bool carry_small_tail) const {
  const ControlBlock& control = plan_.control;
  const bool closed = control.closed && control.tail_generation == chain_.tail.generation;
  if (closed && (control.closed_end > kSmallTailBytes || !carry_small_tail)) return ClosedEnd();
  absl::StatusOr<TailScan> scan = ScanTail(chain_.tail);
  if (!scan.ok()) return scan.status();
  TailFacts& facts = scan->facts;
  facts.closed_here =
      closed && scan->end == control.closed_end && scan->last_lsn == control.durable_lsn;
  absl::Status status = LookBehind(&*scan);
  if (!status.ok()) return status;
  if (live_ &&
      (facts.acknowledged_beyond || facts.remnants || facts.stop != TailFacts::Stop::kNothing)) {
    absl::StatusOr<bool> written = WrittenSince(chain_.tail, *scan);
    if (!written.ok()) return written.status();
    // The log ended here when it was looked at.
    if (*written) facts = TailFacts();
  }
  return scan;
}

absl::Status Planner::DecideEnd(const TailScan& scan) {
  RecoveryReport& report = plan_.report;
  switch (DecideTail(scan.facts)) {
    case TailVerdict::kDamaged:
      return DamageStatus(
          chain_.tail.path, scan.end,
          absl::StrCat("expected record ", scan.last_lsn + 1,
                       scan.proof.empty() ? std::string() : absl::StrCat(" (", scan.proof, ")"),
                       ", found ", scan.bad.empty() ? "no valid group" : scan.bad));
    case TailVerdict::kClean:
      report.verdict = RecoveryVerdict::kClean;
      break;
    case TailVerdict::kUnclosed:
      report.verdict = RecoveryVerdict::kUnclosed;
      break;
    case TailVerdict::kTorn:
      report.verdict = RecoveryVerdict::kTornTail;
      if (!scan.facts.remnants) break;
      report.torn_path = chain_.tail.path;
      report.torn_offset = scan.end;
      report.discarded_bytes = scan.remnants_end - scan.end;
      break;
  }
  plan_.segments = std::move(chain_.sealed);
  plan_.segments.PushBack(EntryOf(chain_.tail, scan.last_lsn, scan.end, scan.digest));
  report.scanned_bytes = scan.scanned_bytes;
  report.scanned_records = scan.scanned_records;
  report.proven_durable_lsn =
      std::max({chain_.tail.header.base_lsn - 1, scan.durable_lsn, control_durable_lsn_});
  report.first_lsn = plan_.segments.front().base_lsn;
  report.last_lsn = scan.last_lsn;
  report.segments = plan_.segments.size();
  return absl::OkStatus();
}

// Records are durable where they are up to the last watermark that a sync of this very file stands
// behind; the watermark in its header speaks of other files.
void Planner::ChooseCopy(const TailScan& scan, bool carry_small_tail) {
  const Lsn proven = std::max(scan.durable_lsn, control_durable_lsn_);
  const bool small = scan.end <= std::min<uint64_t>(kSmallTailBytes, chain_.tail.bytes);
  plan_.copy_from = scan.end;
  plan_.copy_first_lsn = scan.last_lsn + 1;
  plan_.digest_at_copy = scan.digest;
  for (const TailScan::Boundary& group : scan.groups) {
    if (group.first_lsn <= proven && !(small && carry_small_tail)) continue;
    plan_.copy_from = group.offset;
    plan_.copy_first_lsn = group.first_lsn;
    plan_.digest_at_copy = group.digest;
    break;
  }
}

// What is another log's, or cannot be looked at, is not ours to remove.
void Planner::CollectGarbage() {
  size_t retained = plan_.segments.size();  // those before it are older than what was looked at
  for (uint64_t generation : generations_) {
    while (retained > 0 && plan_.segments[retained - 1].generation > generation) --retained;
    if (retained > 0 && plan_.segments[retained - 1].generation == generation) continue;
    absl::StatusOr<SegmentFile> file = ReadSegment(generation);
    if (file.ok() && file->kind != FileKind::kForeign) {
      plan_.garbage.push_back(SegmentName(generation));
    }
  }
}

absl::StatusOr<RecoveryPlan> Planner::Plan(bool carry_small_tail) {
  absl::Status status = ListFiles();
  if (!status.ok()) return status;
  if (!plan_.directory_exists) return std::move(plan_);
  absl::StatusOr<ControlBlock> control = ReadControl(fs_, directory_, &control_may_be_older_);
  if (absl::IsNotFound(control.status())) {
    status = CheckNothingIsLost();
    if (!status.ok()) return status;
    return std::move(plan_);
  }
  if (!control.ok()) return control.status();
  plan_.control = *control;
  plan_.report.log_id = control->log_id;
  plan_.exists = true;
  plan_.next_generation = std::max(plan_.next_generation, control->tail_generation + 1);
  for (const ControlEntry& entry : control->entries) {
    plan_.next_generation = std::max(plan_.next_generation, entry.generation + 1);
  }
  absl::StatusOr<SegmentChain> chain = ReadChain(fs_, directory_, generations_, *control);
  if (!chain.ok()) return chain.status();
  chain_ = std::move(*chain);
  plan_.tail_header = chain_.tail.header;
  if (chain_.tail.generation == control->tail_generation) {
    control_durable_lsn_ = control->durable_lsn;
  }
  // Before the end is looked for: beside a live writer, that is behind them then.
  absl::StatusOr<FoundCursors> cursors = FindCursors(fs_, chain_, *control);
  if (!cursors.ok()) return cursors.status();
  cursors_ = std::move(*cursors);
  absl::StatusOr<TailScan> scan = FindEnd(carry_small_tail);
  if (!scan.ok()) return scan.status();
  status = CheckCursors(cursors_, chain_, scan->durable_lsn);
  if (!status.ok()) return status;
  plan_.has_cursors = chain_.tail.header.cursors;
  plan_.cursors = cursors_.table;
  status = DecideEnd(*scan);
  if (!status.ok()) return status;
  ChooseCopy(*scan, carry_small_tail);
  // A log goes on counting from here; none comes half as far.
  const uint64_t highest = std::max(
      {plan_.report.last_lsn, plan_.next_generation, control->sequence, plan_.cursors.sequence});
  if (highest >= kMaxNumber / 2) {
    return DamageStatus(JoinPath(directory_, kControlName), 0,
                        absl::StrCat("expected record, generation and sequence below ",
                                     kMaxNumber / 2, ", found ", highest));
  }
  CollectGarbage();
  return std::move(plan_);
}

// What a live writer at work between two of our looks can be taken for; empty if it is nothing of
// the kind.
std::string DoubtfulFinding(const absl::StatusOr<RecoveryPlan>& plan) {
  if (!plan.ok()) {
    const bool doubtful = absl::IsNotFound(plan.status()) || absl::IsDataLoss(plan.status());
    return doubtful ? std::string(plan.status().message()) : std::string();
  }
  const RecoveryReport& report = plan->report;
  if (report.verdict != RecoveryVerdict::kTornTail) return "";
  return absl::StrCat(report.torn_path, " ", report.torn_offset, " ", report.discarded_bytes);
}

}  // namespace

absl::StatusOr<RecoveryPlan> PlanRecovery(FileSystem* fs, const std::string& directory,
                                          bool carry_small_tail) {
  return Planner(fs, directory, /*live=*/false).Plan(carry_small_tail);
}

absl::StatusOr<RecoveryPlan> PlanReadOnly(FileSystem* fs, const std::string& directory,
                                          bool carry_small_tail) {
  // A writer that trims, rolls over, closes or opens makes one of our looks stale, but not several
  // with the same result: what is found missing or torn is believed when it stays. The other bound
  // is for a disk that gives other bytes each time.
  constexpr int kSameLooks = 3;
  constexpr int kLooks = 1000;
  std::string finding;
  absl::StatusOr<RecoveryPlan> plan = absl::UnknownError("");
  for (int i = 0, same = 0; i < kLooks && same < kSameLooks; ++i) {
    // As a writer would: what it refuses to open is refused here.
    plan = Planner(fs, directory, /*live=*/true).Plan(carry_small_tail);
    std::string found = DoubtfulFinding(plan);
    if (found.empty()) break;
    same = found == finding ? same + 1 : 1;
    finding = std::move(found);
  }
  if (plan.ok() && !plan->exists) {
    return absl::NotFoundError(absl::StrCat("no log in ", directory));
  }
  return plan;
}

}  // namespace seawall
