// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/inspect/log_view.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/segments/control_file.h"
#include "engine/segments/cursor_area.h"
#include "engine/segments/headerless_segment.h"
#include "engine/segments/segment_file.h"
#include "engine/segments/segment_scanner.h"
#include "tools/seawall/inspect/segment_walk.h"

namespace seawall {
namespace {

std::string SegmentPath(const std::string& directory, uint64_t generation) {
  return JoinPath(directory, SegmentName(generation));
}

// Reads nothing but the headers of groups.
class GroupSkipper : public SegmentVisitor {
 public:
  Wish OnGroup(const Group&) override { return Wish::kSkipGroup; }
  bool OnRecord(const Record&, uint64_t) override { return true; }
  bool OnProblem(const Problem&) override { return true; }
};

// Finds the segments of a log that does not open: by the headers that are left, linked by what
// each says of the one before it.
class DamagedChain {
 public:
  // `control_may_be_older`: as ReadControl says.
  DamagedChain(LogView* view, bool control_may_be_older)
      : view_(view), control_may_be_older_(control_may_be_older) {}

  absl::Status Find() {
    absl::StatusOr<std::vector<uint64_t>> generations =
        ListGenerations(FileSystem::Posix(), view_->directory);
    if (!generations.ok()) return generations.status();
    const uint64_t first = view_->control.has_value() ? view_->control->first_generation : 0;
    for (uint64_t generation : *generations) {
      if (generation < first) continue;
      absl::Status status = ReadOne(generation);
      if (!status.ok()) return status;
    }
    if (!begun_.empty()) {
      for (auto at = std::prev(begun_.end());; --at) {
        Link(at->first, at->second, first);
        at = begun_.upper_bound(next_);
        if (at == begun_.begin()) break;
      }
    }
    std::reverse(view_->segments.begin(), view_->segments.end());
    absl::Status status = FindBeginnings();
    if (!status.ok()) return status;
    ReportTail();
    ReportUnproven();
    return absl::OkStatus();
  }

 private:
  // Takes note of a segment's header, if it has one that belongs here.
  absl::Status ReadOne(uint64_t generation) {
    const std::string path = SegmentPath(view_->directory, generation);
    absl::StatusOr<HeaderCopies> copies = ReadHeaderCopies(path);
    if (absl::IsNotFound(copies.status())) return absl::OkStatus();
    if (!copies.ok()) return copies.status();
    const std::optional<SegmentHeader>& header = copies->header;
    if (!header.has_value()) return Reconstruct(generation, path, nullptr);
    if (view_->control.has_value() && header->log_id != view_->control->log_id) {
      wrong_[generation] = absl::StrCat("the header of log id ", LogIdToString(header->log_id));
    } else if (header->generation != generation) {
      wrong_[generation] = absl::StrCat("the header of generation ", header->generation);
    } else if (header->state == SegmentState::kBegun) {
      begun_[generation] = *header;
    } else {
      return Reconstruct(generation, path, &*header);
    }
    return absl::OkStatus();
  }

  const ControlEntry* EntryOf(uint64_t generation) const {
    if (!view_->control.has_value()) return nullptr;
    for (const ControlEntry& entry : view_->control->entries) {
      if (entry.generation == generation) return &entry;
    }
    return nullptr;
  }

  // A file that CONTROL does not know never held a record, if CONTROL is there to say so.
  bool MayHoldRecords(uint64_t generation) const {
    return !view_->control.has_value() || control_may_be_older_ ||
           generation <= view_->control->tail_generation || EntryOf(generation) != nullptr;
  }

  // A segment without a header, by what its groups prove. `spare`: it has the header of one, which
  // holds no group unless the block of its header was lost when it was begun.
  absl::Status Reconstruct(uint64_t generation, const std::string& path,
                           const SegmentHeader* spare) {
    wrong_[generation] = spare == nullptr ? "no valid header" : "the header of a spare";
    if (!MayHoldRecords(generation)) return absl::OkStatus();
    absl::StatusOr<std::unique_ptr<File>> file = OpenFile(FileSystem::Posix(), path, OpenOptions());
    if (!file.ok()) return file.status();
    uint64_t bytes = 0;
    const int error = (*file)->Size(&bytes);
    if (error != 0) return ErrnoStatus(error, "fstat", path);
    std::optional<uint64_t> salt;
    const ControlEntry* const entry = EntryOf(generation);
    if (entry != nullptr) salt = entry->salt;
    if (spare != nullptr) salt = spare->salt;
    absl::StatusOr<std::optional<HeaderlessSegment>> found =
        FindHeaderlessSegment(file->get(), path, bytes, salt);
    if (!found.ok()) return found.status();
    if (found->has_value()) return AddHeaderless(generation, path, file->get(), **found);
    if (spare != nullptr) return absl::OkStatus();
    absl::StatusOr<Remnants> left =
        SegmentScanner(file->get(), path, /*salt=*/0).Survey(kSegmentHeaderBytes, bytes);
    if (!left.ok()) return left.status();
    if (left->nonzero_end > kSegmentHeaderBytes) unproven_.push_back(path);
    return absl::OkStatus();
  }

  absl::Status AddHeaderless(uint64_t generation, const std::string& path, File* file,
                             const HeaderlessSegment& found) {
    SegmentHeader header;
    header.generation = generation;
    header.salt = found.salt;
    header.base_lsn = found.first_lsn;
    // What came before it is not known: take the newest that is there.
    auto before = begun_.lower_bound(generation);
    if (before != begun_.begin()) header.predecessor_generation = std::prev(before)->first;
    absl::StatusOr<std::optional<CursorTable>> cursors = ReadCursorArea(file, path, found.salt);
    if (!cursors.ok()) return cursors.status();
    header.cursors = cursors->has_value();
    begun_[generation] = header;
    headerless_.insert(generation);
    view_->problems.push_back({path, 0, "the header of a segment that was begun",
                               "no valid copy of it",
                               absl::StrCat("the log does not open; the records in it from ",
                                            found.first_lsn, " on can be read"),
                               0});
    return absl::OkStatus();
  }

  // Where the records of a segment without a header began: after those of the segment before it, or
  // with the first of all. If that is not known, with those that are left.
  absl::Status FindBeginnings() {
    for (size_t i = 0; i < view_->segments.size(); ++i) {
      SegmentRef& segment = view_->segments[i];
      if (headerless_.count(segment.generation) == 0) continue;
      Lsn first = segment.generation == 1 ? kFirstLsn : segment.base_lsn;
      if (i > 0) {
        absl::StatusOr<Lsn> next = NextOf(view_->segments[i - 1]);
        if (!next.ok()) return next.status();
        first = *next;
      }
      segment.base_lsn = std::min(first, segment.base_lsn);
    }
    return absl::OkStatus();
  }

  // The record that comes after those of a segment, as far as they can be read.
  absl::StatusOr<Lsn> NextOf(const SegmentRef& segment) const {
    if (segment.sealed()) return segment.last_lsn + 1;
    GroupSkipper skipper;
    SegmentWalk walk(view_->directory, segment, &skipper);
    absl::StatusOr<WalkEnd> end = walk.Run();
    if (!end.ok()) return end.status();
    return walk.next_lsn();
  }

  // The last segment that CONTROL knows, if nothing is left of it.
  void ReportTail() {
    if (!view_->control.has_value()) return;
    const uint64_t tail = view_->control->tail_generation;
    if (!view_->segments.empty() && view_->segments.back().generation >= tail) return;
    const auto wrong = wrong_.find(tail);
    view_->problems.push_back(
        {SegmentPath(view_->directory, tail), 0,
         absl::StrCat("the last segment, of a log whose record ", view_->control->durable_lsn,
                      " was durable"),
         wrong == wrong_.end() ? std::string("no such segment") : wrong->second,
         "the records of this segment cannot be read", 0});
  }

  // Files that held something, and nobody can say what.
  void ReportUnproven() {
    for (const std::string& path : unproven_) {
      const bool known = std::any_of(view_->problems.begin(), view_->problems.end(),
                                     [&path](const Problem& p) { return p.path == path; });
      if (known) continue;
      view_->problems.push_back({path, 0, "the header of a segment, or zeros",
                                 "bytes of which neither a header nor a group verifies",
                                 "what is in this file cannot be read", 0});
    }
  }

  // Adds one segment, and sets next_ to the highest generation that can be the one before it.
  void Link(uint64_t generation, const SegmentHeader& header, uint64_t first) {
    SegmentRef segment;
    segment.path = SegmentPath(view_->directory, generation);
    segment.generation = generation;
    segment.salt = header.salt;
    segment.base_lsn = header.base_lsn;
    segment.groups_begin = header.groups_begin();
    const bool sealed = successor_.predecessor_generation == generation &&
                        successor_.predecessor_end > header.groups_begin();
    if (sealed) {
      segment.last_lsn = successor_.base_lsn - 1;
      segment.end = successor_.predecessor_end;
      segment.digest = successor_.predecessor_digest;
    }
    view_->segments.push_back(segment);
    successor_ = header;
    next_ = header.predecessor_generation;
    if (next_ == 0 || next_ < first) {
      next_ = 0;
    } else if (begun_.count(next_) == 0) {
      auto wrong = wrong_.find(next_);
      view_->problems.push_back(
          {SegmentPath(view_->directory, next_), 0,
           absl::StrCat("the header of the segment that ends with record ", header.base_lsn - 1),
           wrong == wrong_.end() ? std::string("no such segment") : wrong->second,
           absl::StrCat("the records of this segment, up to ", header.base_lsn - 1,
                        ", cannot be read"),
           0});
    }
  }

  LogView* const view_;
  const bool control_may_be_older_;
  std::map<uint64_t, SegmentHeader> begun_;
  std::map<uint64_t, std::string> wrong_;  // why a file is not in begun_
  std::set<uint64_t> headerless_;          // of those in begun_
  std::vector<std::string> unproven_;
  SegmentHeader successor_;  // of the segment to be linked next; zeros if none
  uint64_t next_ = 0;
};

}  // namespace

std::string Problem::ToString() const {
  return absl::StrCat(path, ", offset ", offset, ": expected ", expected, ", found ", found);
}

Problem ProblemOf(const absl::Status& damage) {
  const std::string text(damage.message());
  Problem problem;
  const size_t offset = text.find(", offset ");
  const size_t expected = text.find(": expected ", offset == std::string::npos ? 0 : offset);
  const size_t found = text.rfind(", found ");
  if (offset == std::string::npos || expected == std::string::npos || found == std::string::npos ||
      found < expected) {
    problem.found = text;
    return problem;
  }
  const size_t digits = offset + std::strlen(", offset ");
  problem.path = text.substr(0, offset);
  (void)absl::SimpleAtoi(text.substr(digits, expected - digits), &problem.offset);
  const size_t what = expected + std::strlen(": expected ");
  problem.expected = text.substr(what, found - what);
  problem.found = text.substr(found + std::strlen(", found "));
  problem.group_offset = problem.offset;
  return problem;
}

absl::StatusOr<HeaderCopies> ReadHeaderCopies(const std::string& path) {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(FileSystem::Posix(), path, OpenOptions());
  if (!file.ok()) return file.status();
  HeaderCopies copies;
  const int error = (*file)->Size(&copies.file_bytes);
  if (error != 0) return ErrnoStatus(error, "fstat", path);
  std::string block(kSegmentHeaderBytes, '\0');
  absl::StatusOr<size_t> got = ReadAt(file->get(), path, 0, block.size(), block.data());
  if (!got.ok()) return got.status();
  uint32_t version = 0;
  SegmentHeader header;
  if (DecodeSegmentHeader(block.data(), &header, &version) == DecodeResult::kValid) {
    copies.header = header;
  }
  constexpr uint64_t kCopyBytes = kSegmentHeaderBytes - kHeaderCopyOffset;
  for (size_t i = 0; i < copies.results.size(); ++i) {
    // The decoder judges a pair: one copy alone is a pair of equals.
    std::string pair(kSegmentHeaderBytes, '\0');
    const std::string copy = block.substr(i == 0 ? 0 : kHeaderCopyOffset, kCopyBytes);
    pair.replace(0, kCopyBytes, copy);
    pair.replace(kHeaderCopyOffset, kCopyBytes, copy);
    copies.results[i] = DecodeSegmentHeader(pair.data(), &copies.headers[i], &version);
  }
  return copies;
}

bool ControlSlots::any_valid() const {
  return std::count(results.begin(), results.end(), DecodeResult::kValid) > 0;
}

size_t ControlSlots::next() const {
  uint64_t newest = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    if (valid(i)) newest = std::max(newest, blocks[i].sequence);
  }
  return (newest + 1) % kControlSlots;
}

absl::StatusOr<ControlSlots> ReadControlSlots(const std::string& directory) {
  const std::string path = JoinPath(directory, kControlName);
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(FileSystem::Posix(), path, OpenOptions());
  if (!file.ok()) return file.status();
  ControlSlots slots;
  std::string bytes(slots.results.size() * kControlSlotBytes, '\0');
  absl::StatusOr<size_t> got = ReadAt(file->get(), path, 0, bytes.size(), bytes.data());
  if (!got.ok()) return got.status();
  for (size_t i = 0; i < slots.results.size(); ++i) {
    uint32_t version = 0;
    slots.results[i] =
        DecodeControlBlock(bytes.data() + i * kControlSlotBytes, &slots.blocks[i], &version);
  }
  return slots;
}

absl::StatusOr<LogView> LoadLogView(const std::string& directory) {
  LogView view;
  view.directory = directory;
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(FileSystem::Posix(), directory);
  view.opens = plan.status();
  if (plan.ok()) {
    view.report = plan->report;
    view.control = plan->control;
    view.segments = plan->segments.Refs();
    view.cursors = std::move(plan->cursors.cursors);
    return view;
  }
  if (!absl::IsDataLoss(plan.status())) return plan.status();
  bool control_may_be_older = false;
  absl::StatusOr<ControlBlock> control =
      ReadControl(FileSystem::Posix(), directory, &control_may_be_older);
  if (control.ok()) view.control = *control;
  absl::Status status = DamagedChain(&view, control_may_be_older).Find();
  if (!status.ok()) return status;
  return view;
}

bool LeftTheLog(const std::string& directory, const SegmentRef& segment) {
  // The writer says in CONTROL that a segment was trimmed before it touches the file.
  absl::StatusOr<ControlBlock> control = ReadControl(FileSystem::Posix(), directory);
  if (!control.ok()) return false;
  if (control->first_generation > segment.generation) return true;
  absl::StatusOr<HeaderCopies> copies = ReadHeaderCopies(segment.path);
  if (!absl::IsNotFound(copies.status())) return false;
  // Cut off, or carried over into a fresh segment when the log was opened.
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(FileSystem::Posix(), directory);
  if (!plan.ok()) return false;
  return plan->segments.Find(segment.generation) == plan->segments.size();
}

}  // namespace seawall
