#include "engine/recovery.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/control_file.h"
#include "engine/segment_scanner.h"

namespace seawall {
namespace {

// A tail that ends below this is copied rather than kept as a segment of its own.
constexpr uint64_t kSmallTailBytes = uint64_t{1} << 20;

// What a segment file turned out to be. `header` counts unless kUnreadable.
enum class FileKind {
  kSpare,
  kBegun,
  kMislabelled,  // a valid header of another generation
  kForeign,      // a valid header of another log
  kUnreadable,   // no valid header: zeros, something else, or too short
};

struct SegmentFile {
  std::string path;
  uint64_t generation = 0;
  uint64_t bytes = 0;
  FileKind kind = FileKind::kUnreadable;
  SegmentHeader header;
  std::unique_ptr<File> file;
};

// What a scan of the tail found, up to the first group that is not good.
struct TailScan {
  TailFacts::Stop stop = TailFacts::Stop::kNothing;
  uint64_t end = kSegmentHeaderBytes;
  Lsn last_lsn = 0;
  uint64_t digest = 0;
  uint64_t records = 0;
  // The highest watermark seen in the tail's own groups.
  Lsn durable_lsn = 0;
  // Group boundaries, to find the one behind the last proven record.
  struct Boundary {
    uint64_t offset;
    Lsn first_lsn;
    uint64_t digest;  // of the groups before
  };
  std::vector<Boundary> groups;
  std::string bad;  // what is wrong with the group at `end`
};

class Planner {
 public:
  // `live`: a writer may be at work, and what is read is for reading only.
  Planner(FileSystem* fs, const std::string& directory, bool live)
      : fs_(fs), directory_(directory), live_(live) {}

  absl::StatusOr<RecoveryPlan> Plan(bool carry_small_tail);

 private:
  absl::Status ListFiles();
  absl::StatusOr<SegmentFile> ReadSegment(uint64_t generation);
  absl::Status CheckNothingIsLost();
  absl::Status FindTail();
  absl::Status CheckUnbegun(const SegmentFile& file);
  absl::Status WalkChain();
  absl::Status CheckEntry(const SegmentFile& file) const;
  absl::Status MissingSegment(uint64_t generation, std::string_view why) const;
  absl::Status ForeignSegment(const SegmentFile& file) const;
  absl::Status MislabelledSegment(const SegmentFile& file) const;
  absl::StatusOr<TailScan> ScanTail();
  absl::Status DecideEnd(bool carry_small_tail);
  absl::Status SurveyBehind(const TailScan& scan, TailFacts* facts);
  absl::StatusOr<bool> WrittenSince(const TailScan& scan);
  void ForgetTorn();
  absl::Status CheckLaterFiles(Lsn next_lsn, TailFacts* facts);
  void CollectGarbage();
  const ControlEntry* EntryOf(uint64_t generation) const;

  FileSystem* const fs_;
  const std::string directory_;
  const bool live_;
  RecoveryPlan plan_;
  std::vector<uint64_t> generations_;  // of the files that are there, descending
  SegmentFile tail_;
  // Behind the tail, without a header of their own; they may hold groups if that is damage.
  std::vector<SegmentFile> doubtful_;
  // The control file's own proof, if it speaks of this tail.
  Lsn control_durable_lsn_ = 0;
  std::string proof_;  // what proves that more had been acknowledged
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
      plan_.garbage.push_back(name);
    }
  }
  std::sort(generations_.rbegin(), generations_.rend());
  if (!generations_.empty()) plan_.next_generation = generations_.front() + 1;
  return absl::OkStatus();
}

absl::StatusOr<SegmentFile> Planner::ReadSegment(uint64_t generation) {
  SegmentFile found;
  found.generation = generation;
  found.path = JoinPath(directory_, SegmentName(generation));
  FileInfo info;
  int error = fs_->Stat(found.path, &info);
  if (error != 0) return ErrnoStatus(error, "stat", found.path);
  if (!info.is_regular) {
    return absl::FailedPreconditionError(
        absl::StrCat(found.path, ": expected a segment file, found ",
                     info.is_directory ? "a directory" : "something else"));
  }
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, found.path, OpenOptions());
  if (!file.ok()) return file.status();
  found.file = std::move(*file);
  error = found.file->Size(&found.bytes);
  if (error != 0) return ErrnoStatus(error, "fstat", found.path);
  std::string block(kSegmentHeaderBytes, '\0');
  absl::StatusOr<size_t> got = ReadAt(found.file.get(), found.path, 0, block.size(), block.data());
  if (!got.ok()) return got.status();
  uint32_t version = 0;
  switch (DecodeSegmentHeader(block.data(), &found.header, &version)) {
    case DecodeResult::kZero:
    case DecodeResult::kInvalid:
      return found;
    case DecodeResult::kNewer:
      return absl::UnimplementedError(absl::StrCat(
          found.path, ", offset 0: expected format version ", kFormatVersion,
          " without unknown features, found version ", version, ": a newer Seawall wrote it"));
    case DecodeResult::kValid:
      break;
  }
  if (plan_.exists && found.header.log_id != plan_.control.log_id) {
    found.kind = FileKind::kForeign;
    return found;
  }
  if (found.header.generation != generation) {
    found.kind = FileKind::kMislabelled;
  } else {
    found.kind = found.header.state == SegmentState::kBegun ? FileKind::kBegun : FileKind::kSpare;
  }
  return found;
}

const ControlEntry* Planner::EntryOf(uint64_t generation) const {
  for (const ControlEntry& entry : plan_.control.entries) {
    if (entry.generation == generation) return &entry;
  }
  return nullptr;
}

absl::Status Planner::MissingSegment(uint64_t generation, std::string_view why) const {
  return absl::DataLossError(absl::StrCat(JoinPath(directory_, SegmentName(generation)),
                                          ", offset 0: expected segment ", generation, " (",
                                          std::string(why), "), found no such file"));
}

absl::Status Planner::ForeignSegment(const SegmentFile& file) const {
  return absl::DataLossError(
      absl::StrCat(file.path, ", offset 16: expected log id ", LogIdToString(plan_.control.log_id),
                   ", found ", LogIdToString(file.header.log_id), ": a segment of another log"));
}

absl::Status Planner::MislabelledSegment(const SegmentFile& file) const {
  return DamageStatus(file.path, 32,
                      absl::StrCat("expected the header of generation ", file.generation,
                                   ", found that of generation ", file.header.generation));
}

// Without a control file, a log was never ready to be used, unless the file was lost.
absl::Status Planner::CheckNothingIsLost() {
  for (uint64_t generation : generations_) {
    absl::StatusOr<SegmentFile> file = ReadSegment(generation);
    if (!file.ok()) return file.status();
    plan_.garbage.push_back(SegmentName(generation));
    if (file->kind == FileKind::kUnreadable || file->kind == FileKind::kSpare) continue;
    SegmentScanner scanner(file->file.get(), file->path, file->header.salt);
    Group group;
    absl::StatusOr<SegmentScanner::Found> found =
        scanner.ReadGroup(kSegmentHeaderBytes, file->bytes, &group);
    if (!found.ok()) return found.status();
    if (*found != SegmentScanner::Found::kNothing || file->header.predecessor_generation != 0 ||
        file->header.base_lsn != kFirstLsn) {
      return absl::DataLossError(
          absl::StrCat(JoinPath(directory_, kControlName),
                       ", offset 0: expected the control file of the log in ", file->path,
                       ", found no such file"));
    }
  }
  return absl::OkStatus();
}

// A file as long as the control file knows it to be, with the salt it had then.
absl::Status Planner::CheckEntry(const SegmentFile& file) const {
  const ControlEntry* entry = EntryOf(file.generation);
  if (entry == nullptr) return absl::OkStatus();
  if (file.bytes < entry->allocated_bytes) {
    return DamageStatus(file.path, file.bytes,
                        absl::StrCat("expected at least ", entry->allocated_bytes,
                                     " bytes, found the end of the file"));
  }
  if ((file.kind == FileKind::kSpare || file.kind == FileKind::kBegun) &&
      file.header.salt != entry->salt) {
    return DamageStatus(file.path, 40,
                        absl::StrCat("expected salt ", entry->salt, ", found ", file.header.salt,
                                     ": another file stands in this segment's place"));
  }
  return absl::OkStatus();
}

// A file behind the tail: a spare, a preparation that was not finished, or damage. Without an entry
// in the control file it never held a record, and may hold any bytes: after a power loss, sectors
// that were never synced may show what some other file had there, an old header even.
absl::Status Planner::CheckUnbegun(const SegmentFile& file) { return CheckEntry(file); }

// The tail is the last segment that was begun.
absl::Status Planner::FindTail() {
  for (uint64_t generation : generations_) {
    if (generation < plan_.control.first_generation) break;
    absl::StatusOr<SegmentFile> file = ReadSegment(generation);
    if (!file.ok()) return file.status();
    if (file->kind == FileKind::kBegun) {
      tail_ = std::move(*file);
      break;
    }
    absl::Status status = CheckUnbegun(*file);
    if (!status.ok()) return status;
    if (file->kind != FileKind::kSpare) doubtful_.push_back(std::move(*file));
  }
  const uint64_t known = plan_.control.tail_generation;
  if (tail_.file == nullptr || tail_.generation < known) {
    if (!std::binary_search(generations_.rbegin(), generations_.rend(), known)) {
      return MissingSegment(known, "it holds acknowledged records");
    }
    for (const SegmentFile& file : doubtful_) {
      if (file.generation != known) continue;
      if (file.kind == FileKind::kForeign) return ForeignSegment(file);
      if (file.kind == FileKind::kMislabelled) return MislabelledSegment(file);
    }
    return DamageStatus(
        JoinPath(directory_, SegmentName(known)), 0,
        "expected the header of a segment that was begun, found none that is valid");
  }
  for (const ControlEntry& entry : plan_.control.entries) {
    if (entry.generation > tail_.generation &&
        !std::binary_search(generations_.rbegin(), generations_.rend(), entry.generation)) {
      return MissingSegment(entry.generation, "it was prepared and may hold records");
    }
  }
  if (tail_.generation == known) control_durable_lsn_ = plan_.control.durable_lsn;
  return CheckEntry(tail_);
}

// From the tail back to the first retained segment, by what each header says of the one before.
absl::Status Planner::WalkChain() {
  plan_.tail_header = tail_.header;
  SegmentHeader next = tail_.header;
  std::vector<SegmentRef> newest_first;
  while (next.predecessor_generation != 0 &&
         next.predecessor_generation >= plan_.control.first_generation) {
    const uint64_t generation = next.predecessor_generation;
    if (!std::binary_search(generations_.rbegin(), generations_.rend(), generation)) {
      return MissingSegment(generation, absl::StrCat("it ends with record ", next.base_lsn - 1));
    }
    absl::StatusOr<SegmentFile> file = ReadSegment(generation);
    if (!file.ok()) return file.status();
    if (file->kind == FileKind::kForeign) return ForeignSegment(*file);
    if (file->kind == FileKind::kMislabelled) return MislabelledSegment(*file);
    if (file->kind != FileKind::kBegun) {
      return DamageStatus(file->path, 0,
                          "expected the header of a sealed segment, found none that is valid");
    }
    if (file->bytes < next.predecessor_end) {
      return DamageStatus(file->path, file->bytes,
                          absl::StrCat("expected ", next.predecessor_end,
                                       " bytes of groups, found the end of the file"));
    }
    if (file->header.base_lsn >= next.base_lsn || generation >= next.generation) {
      return DamageStatus(file->path, 56,
                          absl::StrCat("expected a first record below ", next.base_lsn, ", found ",
                                       file->header.base_lsn));
    }
    newest_first.push_back({file->path, generation, file->header.salt, file->header.base_lsn,
                            next.base_lsn - 1, next.predecessor_end, next.predecessor_digest,
                            nullptr});
    next = file->header;
  }
  plan_.segments.assign(newest_first.rbegin(), newest_first.rend());
  return absl::OkStatus();
}

absl::StatusOr<TailScan> Planner::ScanTail() {
  SegmentScanner scanner(tail_.file.get(), tail_.path, tail_.header.salt);
  TailScan scan;
  scan.last_lsn = tail_.header.base_lsn - 1;
  for (;;) {
    Group group;
    absl::StatusOr<SegmentScanner::Found> found = scanner.ReadGroup(scan.end, tail_.bytes, &group);
    if (!found.ok()) return found.status();
    if (*found == SegmentScanner::Found::kNothing) break;
    if (*found == SegmentScanner::Found::kCutShort) {
      scan.stop = TailFacts::Stop::kBadRecords;
      scan.bad = absl::StrCat("expected a group of ", group.header.group_bytes,
                              " bytes, found the end of the file");
      break;
    }
    absl::Status records = scanner.CheckRecords(group);
    if (!records.ok()) {
      scan.stop = TailFacts::Stop::kBadRecords;
      scan.bad = std::string(records.message());
      break;
    }
    if (group.header.first_lsn != scan.last_lsn + 1) {
      scan.stop = TailFacts::Stop::kWrongLsn;
      scan.bad =
          absl::StrCat("expected record ", scan.last_lsn + 1, ", found ", group.header.first_lsn);
      break;
    }
    scan.groups.push_back({group.offset, group.header.first_lsn, scan.digest});
    scan.digest = ExtendDigest(scan.digest, group.checksum);
    scan.durable_lsn = std::max(scan.durable_lsn, group.header.durable_lsn);
    scan.records += group.header.record_count;
    scan.last_lsn = group.header.last_lsn();
    scan.end = group.end();
  }
  plan_.report.scanned_bytes = scan.end;
  plan_.report.scanned_records = scan.records;
  return scan;
}

absl::Status Planner::SurveyBehind(const TailScan& scan, TailFacts* facts) {
  SegmentScanner scanner(tail_.file.get(), tail_.path, tail_.header.salt);
  absl::StatusOr<Remnants> remnants = scanner.Survey(scan.end, tail_.bytes);
  if (!remnants.ok()) return remnants.status();
  plan_.report.scanned_bytes += tail_.bytes - std::min(tail_.bytes, scan.end);
  // A recycled file holds old bytes there, which tell nothing.
  uint64_t remnants_end = tail_.header.recycled
                              ? remnants->groups_end
                              : std::max(remnants->groups_end, remnants->nonzero_end);
  if (remnants_end > scan.end) {
    facts->remnants = true;
    plan_.report.discarded_bytes = remnants_end - scan.end;
    plan_.report.torn_path = tail_.path;
    plan_.report.torn_offset = scan.end;
  }
  if (remnants->durable_lsn > scan.last_lsn) {
    facts->acknowledged_beyond = true;
    proof_ = absl::StrCat("a later group knew record ", remnants->durable_lsn, " to be durable");
  }
  return CheckLaterFiles(scan.last_lsn + 1, facts);
}

// A prepared segment without its header was being begun when the power failed; or its header is
// damaged, or it stands in another file's place, which need not be one that CONTROL lists. Then
// groups in it may prove that.
absl::Status Planner::CheckLaterFiles(Lsn next_lsn, TailFacts* facts) {
  for (const SegmentFile& file : doubtful_) {
    for (const ControlEntry& entry : plan_.control.entries) {
      SegmentScanner scanner(file.file.get(), file.path, entry.salt);
      absl::StatusOr<Remnants> remnants = scanner.Survey(kSegmentHeaderBytes, file.bytes);
      if (!remnants.ok()) return remnants.status();
      if (remnants->groups_end == kSegmentHeaderBytes || remnants->durable_lsn < next_lsn) {
        continue;
      }
      facts->acknowledged_beyond = true;
      proof_ = absl::StrCat("a group of generation ", entry.generation, " in ", file.path,
                            ", which has not the header of a segment that was begun, knew record ",
                            remnants->durable_lsn, " to be durable");
    }
  }
  return absl::OkStatus();
}

// True if the next group is where the scan found none, or not all of one: a live writer went on
// between two looks, and what was found behind the end is no sign of damage.
absl::StatusOr<bool> Planner::WrittenSince(const TailScan& scan) {
  SegmentScanner scanner(tail_.file.get(), tail_.path, tail_.header.salt);
  Group group;
  absl::StatusOr<SegmentScanner::Found> found = scanner.ReadGroup(scan.end, ~uint64_t{0}, &group);
  if (!found.ok()) return found.status();
  return *found == SegmentScanner::Found::kGroup && group.header.first_lsn == scan.last_lsn + 1 &&
         scanner.CheckRecords(group).ok();
}

void Planner::ForgetTorn() {
  plan_.report.discarded_bytes = 0;
  plan_.report.torn_path.clear();
  plan_.report.torn_offset = 0;
}

absl::Status Planner::DecideEnd(bool carry_small_tail) {
  const ControlBlock& control = plan_.control;
  const bool closed = control.closed && control.tail_generation == tail_.generation;
  TailFacts facts;
  TailScan scan;
  if (closed && (control.closed_end > kSmallTailBytes || !carry_small_tail)) {
    // Sealed by the control file: O(1), as for every sealed segment.
    scan.end = control.closed_end;
    scan.last_lsn = control.durable_lsn;
    scan.digest = control.closed_digest;
    facts.closed_here = true;
    if (tail_.bytes < scan.end) {
      return DamageStatus(
          tail_.path, tail_.bytes,
          absl::StrCat("expected ", scan.end, " bytes of groups, found the end of the file"));
    }
  } else {
    absl::StatusOr<TailScan> scanned = ScanTail();
    if (!scanned.ok()) return scanned.status();
    scan = std::move(*scanned);
    facts.stop = scan.stop;
    facts.closed_here =
        closed && scan.end == control.closed_end && scan.last_lsn == control.durable_lsn;
    absl::Status status = SurveyBehind(scan, &facts);
    if (!status.ok()) return status;
    if (tail_.header.durable_lsn > scan.last_lsn || control_durable_lsn_ > scan.last_lsn) {
      facts.acknowledged_beyond = true;
      proof_ = absl::StrCat(
          tail_.header.durable_lsn > scan.last_lsn ? "the segment's header" : "the control file",
          " knew record ", std::max(tail_.header.durable_lsn, control_durable_lsn_),
          " to be durable");
    }
    if (live_ &&
        (facts.acknowledged_beyond || facts.remnants || facts.stop != TailFacts::Stop::kNothing)) {
      absl::StatusOr<bool> written = WrittenSince(scan);
      if (!written.ok()) return written.status();
      // The log ended here when it was looked at.
      if (*written) {
        facts = TailFacts();
        ForgetTorn();
      }
    }
  }
  RecoveryReport& report = plan_.report;
  switch (DecideTail(facts)) {
    case TailVerdict::kDamaged:
      return DamageStatus(
          tail_.path, scan.end,
          absl::StrCat("expected record ", scan.last_lsn + 1,
                       proof_.empty() ? std::string() : absl::StrCat(" (", proof_, ")"), ", found ",
                       scan.bad.empty() ? "no valid group" : scan.bad));
    case TailVerdict::kClean:
      report.verdict = RecoveryVerdict::kClean;
      ForgetTorn();
      break;
    case TailVerdict::kUnclosed:
      report.verdict = RecoveryVerdict::kUnclosed;
      break;
    case TailVerdict::kTorn:
      report.verdict = RecoveryVerdict::kTornTail;
      break;
  }
  report.proven_durable_lsn =
      std::max(tail_.header.base_lsn - 1, std::max(scan.durable_lsn, control_durable_lsn_));

  // Records are durable where they are up to the last watermark that a sync of this very file
  // stands behind; the watermark in its header speaks of other files.
  Lsn proven = std::max(scan.durable_lsn, control_durable_lsn_);
  const bool small = scan.end <= std::min<uint64_t>(kSmallTailBytes, tail_.bytes);
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
  plan_.segments.push_back({tail_.path, tail_.generation, tail_.header.salt, tail_.header.base_lsn,
                            scan.last_lsn, scan.end, scan.digest, nullptr});
  report.first_lsn = plan_.segments.front().base_lsn;
  report.last_lsn = scan.last_lsn;
  report.segments = plan_.segments.size();
  return absl::OkStatus();
}

// What is another log's, or cannot be looked at, is not ours to remove.
void Planner::CollectGarbage() {
  for (uint64_t generation : generations_) {
    auto retained = [generation](const SegmentRef& s) { return s.generation == generation; };
    if (std::any_of(plan_.segments.begin(), plan_.segments.end(), retained)) continue;
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
  absl::StatusOr<ControlBlock> control = ReadControl(fs_, directory_);
  if (absl::IsNotFound(control.status())) {
    status = CheckNothingIsLost();
    if (!status.ok()) return status;
    return std::move(plan_);
  }
  if (!control.ok()) return control.status();
  plan_.control = *control;
  plan_.exists = true;
  plan_.next_generation = std::max(plan_.next_generation, control->tail_generation + 1);
  for (const ControlEntry& entry : control->entries) {
    plan_.next_generation = std::max(plan_.next_generation, entry.generation + 1);
  }
  for (auto step : {&Planner::FindTail, &Planner::WalkChain}) {
    status = (this->*step)();
    if (!status.ok()) return status;
  }
  status = DecideEnd(carry_small_tail);
  if (!status.ok()) return status;
  // A log goes on counting from here; none comes half as far.
  const uint64_t highest =
      std::max({plan_.report.last_lsn, plan_.next_generation, control->sequence});
  if (highest >= kMaxNumber / 2) {
    return DamageStatus(JoinPath(directory_, kControlName), 0,
                        absl::StrCat("expected record, generation and sequence below ",
                                     kMaxNumber / 2, ", found ", highest));
  }
  CollectGarbage();
  return std::move(plan_);
}

}  // namespace

// One row per verdict; the first that fits decides.
TailVerdict DecideTail(const TailFacts& facts) {
  // Acknowledged records are gone, or a group verifies that this log did not write here.
  if (facts.acknowledged_beyond || facts.stop == TailFacts::Stop::kWrongLsn) {
    return TailVerdict::kDamaged;
  }
  // A closed log ends where it was closed; nothing is written behind that end.
  if (facts.closed_here) return TailVerdict::kClean;
  if (facts.remnants || facts.stop == TailFacts::Stop::kBadRecords) return TailVerdict::kTorn;
  return TailVerdict::kUnclosed;
}

absl::StatusOr<RecoveryPlan> PlanRecovery(FileSystem* fs, const std::string& directory,
                                          bool carry_small_tail) {
  return Planner(fs, directory, /*live=*/false).Plan(carry_small_tail);
}

namespace {

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

absl::StatusOr<RecoveryPlan> PlanReadOnly(FileSystem* fs, const std::string& directory) {
  // A writer that trims, rolls over, closes or opens makes one of our looks stale, but not several
  // with the same result: what is found missing or torn is believed when it stays. The other bound
  // is for a disk that gives other bytes each time.
  constexpr int kSameLooks = 3;
  constexpr int kLooks = 1000;
  std::string finding;
  absl::StatusOr<RecoveryPlan> plan = absl::UnknownError("");
  for (int i = 0, same = 0; i < kLooks && same < kSameLooks; ++i) {
    // As a writer would: what it refuses to open is refused here.
    plan = Planner(fs, directory, /*live=*/true).Plan(/*carry_small_tail=*/true);
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

absl::Status RemoveFiles(FileSystem* fs, const std::string& directory,
                         const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::string path = JoinPath(directory, name);
    int error = fs->Unlink(path);
    if (error != 0 && error != ENOENT) return ErrnoStatus(error, "unlink", path);
  }
  return names.empty() ? absl::OkStatus() : SyncDirectory(fs, directory);
}

namespace {

// Where the fresh segment stands, and what it copies, by a plan for a log that exists.
void Link(const RecoveryPlan& plan, SegmentHeader* header, CopySource* source) {
  const SegmentRef& tail = plan.segments.back();
  header->log_id = plan.control.log_id;
  header->base_lsn = plan.copy_first_lsn;
  header->durable_lsn = tail.last_lsn;
  if (plan.copy_from == kSegmentHeaderBytes) {
    // Nothing of the tail is known to be durable, its header neither: take its place.
    header->predecessor_generation = plan.tail_header.predecessor_generation;
    header->predecessor_end = plan.tail_header.predecessor_end;
    header->predecessor_digest = plan.tail_header.predecessor_digest;
  } else {
    header->predecessor_generation = tail.generation;
    header->predecessor_end = plan.copy_from;
    header->predecessor_digest = plan.digest_at_copy;
  }
  *source = {tail.path, tail.salt, plan.copy_from, tail.end, tail.last_lsn};
}

// The tail, as the segment before the fresh one; or not at all.
void SealOrDropTail(RecoveryPlan* plan) {
  SegmentRef& tail = plan->segments.back();
  if (plan->copy_from == kSegmentHeaderBytes) {
    plan->garbage.push_back(SegmentName(tail.generation));
    plan->segments.pop_back();
    return;
  }
  tail.last_lsn = plan->copy_first_lsn - 1;
  tail.end = plan->copy_from;
  tail.digest = plan->digest_at_copy;
}

}  // namespace

SegmentRef RefOf(const WritableSegment& segment) {
  SegmentRef ref;
  ref.path = segment.path;
  ref.generation = segment.header.generation;
  ref.salt = segment.header.salt;
  ref.base_lsn = segment.header.base_lsn;
  return ref;
}

absl::StatusOr<RecoveredLog> ApplyRecovery(FileSystem* fs, const std::string& directory,
                                           const Options& options, RecoveryPlan* plan) {
  SegmentHeader header;
  CopySource source;
  header.generation = plan->next_generation;
  if (plan->exists) {
    Link(*plan, &header, &source);
  } else {
    header.log_id = {RandomU64(), RandomU64()};
    header.base_lsn = kFirstLsn;
  }
  RecoveredLog log;
  absl::StatusOr<FreshSegment> fresh =
      PrepareFresh(fs, directory, options, header, source.from < source.to ? &source : nullptr);
  if (!fresh.ok()) return fresh.status();
  log.fresh = std::move(*fresh);
  absl::Status status = CommitFresh(options, log.fresh);
  if (!status.ok()) return status;
  const WritableSegment& segment = *log.fresh.segment;
  plan->report.copied_records = log.fresh.copied_records;

  log.control.log_id = header.log_id;
  log.control.first_generation = plan->exists ? plan->control.first_generation : header.generation;
  log.control.tail_generation = header.generation;
  log.control.durable_lsn = plan->exists ? plan->report.last_lsn : 0;
  log.control.entries = {{header.generation, segment.header.salt, log.fresh.allocated_bytes}};
  // Of a log that was created and never held a record, nobody knows that the name of CONTROL is
  // durable: the sync of the directory may have failed, and a second one would tell nothing. So it
  // is made anew, as often as that takes.
  const bool keep_control =
      plan->exists && (plan->control.sequence > kControlSlots || plan->report.last_lsn > 0);
  absl::StatusOr<std::unique_ptr<ControlFile>> control_file =
      keep_control ? ControlFile::Open(fs, directory, plan->control)
                   : ControlFile::Create(fs, directory, log.control);
  if (!control_file.ok()) return control_file.status();
  log.control_file = std::move(*control_file);
  if (keep_control) {
    status = log.control_file->Write(log.control);
    if (!status.ok()) return status;
  }
  if (plan->exists) SealOrDropTail(plan);
  log.segments = plan->segments;
  log.segments.push_back(RefOf(segment));
  plan->report.segments = log.segments.size();
  status = RemoveFiles(fs, directory, plan->garbage);
  if (!status.ok()) return status;
  return log;
}

}  // namespace seawall
