// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/inspect/segment_walk.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/seawall/cli/output.h"

namespace seawall {

SegmentWalk::SegmentWalk(std::string directory, SegmentRef segment, SegmentVisitor* visitor,
                         ScanMemory memory)
    : directory_(std::move(directory)),
      segment_(std::move(segment)),
      visitor_(visitor),
      memory_(std::move(memory)),
      at_(segment_.groups_begin),
      next_lsn_(segment_.base_lsn) {}

absl::Status SegmentWalk::Open() {
  absl::StatusOr<std::unique_ptr<File>> file =
      OpenFile(FileSystem::Posix(), segment_.path, OpenOptions());
  if (!file.ok()) return file.status();
  file_ = std::move(*file);
  ReadAgain();
  limit_ = segment_.end;
  if (segment_.sealed()) return absl::OkStatus();
  const int error = file_->Size(&limit_);
  return error == 0 ? absl::OkStatus() : ErrnoStatus(error, "fstat", segment_.path);
}

// Nothing that was read before is used.
void SegmentWalk::ReadAgain() {
  scanner_ =
      std::make_unique<SegmentScanner>(file_.get(), segment_.path, segment_.salt, TakeMemory());
}

ScanMemory SegmentWalk::TakeMemory() {
  return scanner_ == nullptr ? std::move(memory_) : scanner_->TakeMemory();
}

absl::StatusOr<WalkEnd> SegmentWalk::Run() {
  absl::Status opened = Open();
  if (absl::IsNotFound(opened) && LeftTheLog(directory_, segment_)) return WalkEnd::kLeft;
  if (!opened.ok()) return opened;
  Step step = Step::kNext;
  while (step == Step::kNext && at_ < limit_) {
    absl::StatusOr<SegmentScanner::Found> found = scanner_->ReadGroup(at_, limit_, &group_);
    if (!found.ok()) return found.status();
    const bool good =
        *found == SegmentScanner::Found::kGroup && group_.header.first_lsn == next_lsn_;
    absl::StatusOr<Step> next = good ? VisitGroup() : PassDamage(*found);
    if (!next.ok()) return next.status();
    step = *next;
  }
  if (step == Step::kNext && segment_.sealed() && intact_) step = CheckEnd();
  if (step == Step::kLeft) return WalkEnd::kLeft;
  return step == Step::kStopped ? WalkEnd::kStopped : WalkEnd::kEnd;
}

absl::StatusOr<SegmentWalk::Step> SegmentWalk::VisitGroup() {
  switch (visitor_->OnGroup(group_)) {
    case SegmentVisitor::Wish::kStop:
      return Step::kStopped;
    case SegmentVisitor::Wish::kSkipGroup:
      break;
    case SegmentVisitor::Wish::kCheck:
      if (!scanner_->CheckRecords(group_).ok()) return PassBadGroup();
      visitor_->OnSoundGroup(group_);
      break;
    case SegmentVisitor::Wish::kRecords: {
      // Checked as a whole before any is handed out: none is handed out twice.
      if (!scanner_->CheckRecords(group_).ok()) return PassBadGroup();
      Problem none;
      bool bad = false;
      if (!VisitRecords(&bad, &none)) return Step::kStopped;
    }
  }
  digest_ = ExtendDigest(digest_, group_.checksum);
  at_ = group_.end();
  next_lsn_ = group_.header.last_lsn() + 1;
  return Step::kNext;
}

// Hands out the records up to the first bad one. False if the visitor stops.
bool SegmentWalk::VisitRecords(bool* bad, Problem* problem) {
  RecordCursor cursor(group_.bytes, group_.header, segment_.salt);
  Record record;
  RecordCursor::Result result;
  while ((result = cursor.Next(&record)) == RecordCursor::Result::kRecord) {
    next_lsn_ = record.lsn + 1;
    if (!visitor_->OnRecord(record, group_.offset + cursor.record_offset())) return false;
  }
  *bad = result == RecordCursor::Result::kBad;
  if (*bad) {
    *problem = ProblemOf(
        DamageStatus(segment_.path, group_.offset + cursor.record_offset(), cursor.error()));
  }
  return true;
}

// A group whose header is good and one of whose records is not.
absl::StatusOr<SegmentWalk::Step> SegmentWalk::PassBadGroup() {
  ReadAgain();
  absl::StatusOr<SegmentScanner::Found> found = scanner_->ReadGroup(at_, limit_, &group_);
  if (!found.ok()) return found.status();
  if (LeftTheLog(directory_, segment_)) return Step::kLeft;
  if (*found != SegmentScanner::Found::kGroup || group_.header.first_lsn != next_lsn_) {
    return PassDamage(*found);
  }
  bool bad = false;
  Problem problem;
  if (!VisitRecords(&bad, &problem)) return Step::kStopped;
  if (bad) {
    intact_ = false;
    problem.group_offset = group_.offset;
    problem.consequence = Lost(next_lsn_, group_.header.last_lsn());
    if (!visitor_->OnProblem(problem)) return Step::kStopped;
  }
  digest_ = ExtendDigest(digest_, group_.checksum);
  at_ = group_.end();
  next_lsn_ = group_.header.last_lsn() + 1;
  return Step::kNext;
}

// Something else than the next group is at at_: goes on with the next good group behind it.
absl::StatusOr<SegmentWalk::Step> SegmentWalk::PassDamage(SegmentScanner::Found found) {
  if (read_again_at_ != at_) {
    read_again_at_ = at_;
    ReadAgain();
    return Step::kNext;
  }
  Problem problem;
  problem.path = segment_.path;
  problem.offset = problem.group_offset = at_;
  problem.expected = absl::StrCat("the group of record ", next_lsn_);
  problem.found =
      found == SegmentScanner::Found::kNothing ? std::string("no valid group header")
      : found == SegmentScanner::Found::kGroup
          ? absl::StrCat("that of record ", group_.header.first_lsn)
          : absl::StrCat("one of ", group_.header.group_bytes, " bytes that does not end here");
  // A good group of later records is where to go on; one of earlier records is stale.
  const bool later = found == SegmentScanner::Found::kGroup && group_.header.first_lsn > next_lsn_;
  absl::StatusOr<bool> more = FindGroup(later ? at_ : at_ + kGroupUnitBytes);
  if (!more.ok()) return more.status();
  if (LeftTheLog(directory_, segment_)) return Step::kLeft;
  if (!*more && !segment_.sealed()) return Step::kEnd;
  intact_ = false;
  const Lsn lost_to = *more ? group_.header.first_lsn - 1 : segment_.last_lsn;
  problem.consequence = Lost(next_lsn_, lost_to);
  if (!visitor_->OnProblem(problem)) return Step::kStopped;
  at_ = *more ? group_.offset : limit_;
  next_lsn_ = lost_to + 1;
  return Step::kNext;
}

// A whole group with a record that may come next, at or behind `from`.
absl::StatusOr<bool> SegmentWalk::FindGroup(uint64_t from) {
  for (uint64_t at = from; at < limit_; at += kGroupUnitBytes) {
    absl::StatusOr<SegmentScanner::Found> found = scanner_->ReadGroup(at, limit_, &group_);
    if (!found.ok()) return found.status();
    if (*found == SegmentScanner::Found::kGroup && group_.header.first_lsn >= next_lsn_) {
      return true;
    }
  }
  return false;
}

// What the successor's header, or the control file, says of this segment's end.
SegmentWalk::Step SegmentWalk::CheckEnd() {
  if (segment_.EndsAt(next_lsn_, at_, digest_)) return Step::kEnd;
  if (LeftTheLog(directory_, segment_)) return Step::kLeft;
  Problem problem;
  problem.path = segment_.path;
  problem.offset = problem.group_offset = at_;
  problem.expected =
      absl::StrCat("the end at offset ", segment_.end, ", behind record ", segment_.last_lsn,
                   absl::StrFormat(", with digest %016x", segment_.digest));
  problem.found = absl::StrCat("it at offset ", at_, ", behind record ", next_lsn_ - 1,
                               absl::StrFormat(", with digest %016x", digest_));
  problem.consequence =
      "the groups are whole, but they are not those that the log was continued behind";
  return visitor_->OnProblem(problem) ? Step::kEnd : Step::kStopped;
}

std::string SegmentWalk::Lost(Lsn first, Lsn last) const {
  // Only at the beginning of a segment whose header is lost.
  if (last < first) {
    return absl::StrCat("records before ", first, " cannot be read here, if there were any");
  }
  return absl::StrCat(FormatRecords(first, last), " cannot be read");
}

}  // namespace seawall
