// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/inspect/log_view.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/segments/control_file.h"
#include "engine/segments/segment_file.h"
#include "engine/segments/segment_scanner.h"

namespace seawall {
namespace {

std::string SegmentPath(const std::string& directory, uint64_t generation) {
  return JoinPath(directory, SegmentName(generation));
}

// Finds the segments of a log that does not open: by the headers that are left, linked by what
// each says of the one before it.
class DamagedChain {
 public:
  explicit DamagedChain(LogView* view) : view_(view) {}

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
    if (begun_.empty()) return absl::OkStatus();
    for (auto at = std::prev(begun_.end());; --at) {
      Link(at->first, at->second, first);
      at = begun_.upper_bound(next_);
      if (at == begun_.begin()) break;
    }
    std::reverse(view_->segments.begin(), view_->segments.end());
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
    if (!header.has_value()) return Reconstruct(generation, path, copies->file_bytes);
    if (view_->control.has_value() && header->log_id != view_->control->log_id) {
      wrong_[generation] = absl::StrCat("the header of log id ", LogIdToString(header->log_id));
    } else if (header->generation != generation) {
      wrong_[generation] = absl::StrCat("the header of generation ", header->generation);
    } else if (header->state == SegmentState::kBegun) {
      begun_[generation] = *header;
    }
    return absl::OkStatus();
  }

  // Without a header: CONTROL may know the salt, the first group the first record.
  absl::Status Reconstruct(uint64_t generation, const std::string& path, uint64_t file_bytes) {
    wrong_[generation] = "no valid header";
    if (!view_->control.has_value()) return absl::OkStatus();
    for (const ControlEntry& entry : view_->control->entries) {
      if (entry.generation != generation) continue;
      absl::StatusOr<std::unique_ptr<File>> file =
          OpenFile(FileSystem::Posix(), path, OpenOptions());
      if (!file.ok()) return file.status();
      SegmentScanner scanner(file->get(), path, entry.salt);
      SegmentHeader header;
      Group group;
      absl::StatusOr<SegmentScanner::Found> found = SegmentScanner::Found::kNothing;
      for (bool cursors : {false, true}) {  // only the header knew
        header.cursors = cursors;
        found = scanner.ReadGroup(header.groups_begin(), file_bytes, &group);
        if (!found.ok()) return found.status();
        if (*found == SegmentScanner::Found::kGroup) break;
      }
      if (*found != SegmentScanner::Found::kGroup) continue;
      header.generation = generation;
      header.salt = entry.salt;
      header.base_lsn = group.header.first_lsn;
      // What came before it is not known: take the newest that is there.
      auto before = begun_.lower_bound(generation);
      if (before != begun_.begin()) header.predecessor_generation = std::prev(before)->first;
      begun_[generation] = header;
      view_->problems.push_back({path, 0, "the header of a segment that was begun",
                                 "no valid copy of it",
                                 "the log does not open; the records in it can be read", 0});
    }
    return absl::OkStatus();
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
  std::map<uint64_t, SegmentHeader> begun_;
  std::map<uint64_t, std::string> wrong_;  // why a file is not in begun_
  SegmentHeader successor_;                // of the segment to be linked next; zeros if none
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
  absl::StatusOr<ControlBlock> control = ReadControl(FileSystem::Posix(), directory);
  if (control.ok()) view.control = *control;
  absl::Status status = DamagedChain(&view).Find();
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
