// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/inspect/copy_checker.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/control_file.h"
#include "engine/segments/segment_file.h"
#include "seawall/file_system.h"

namespace seawall {
namespace {

// What a live writer is writing just now is whole at another look.
constexpr int kLooks = 3;

std::string NameOf(DecodeResult result) {
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

bool Sound(const HeaderCopies& copies, bool settled) {
  return copies.valid(0) && copies.valid(1) && (!settled || copies.headers[0] == copies.headers[1]);
}

}  // namespace

CopyChecker::CopyChecker(const LogView& view, std::function<void(const Problem&)> report)
    : view_(view), report_(std::move(report)) {}

absl::Status CopyChecker::CheckControl() const {
  absl::StatusOr<ControlSlots> slots = ReadControlSlots(view_.directory);
  for (size_t i = 0; i < kControlSlots; ++i) {
    for (int looks = 1; slots.ok() && !slots->valid(i) && looks < kLooks; ++looks) {
      slots = ReadControlSlots(view_.directory);
    }
    if (absl::IsNotFound(slots.status())) return absl::OkStatus();  // why it does not open
    if (!slots.ok()) return slots.status();
    if (slots->valid(i)) continue;
    report_(
        {JoinPath(view_.directory, kControlName), i * kControlSlotBytes,
         absl::StrCat("a valid control block in slot ", i + 1, " of ", kControlSlots),
         NameOf(slots->results[i]),
         !slots->any_valid() ? "the log does not open"
         : i == slots->next()
             ? "another slot is valid; this one may have been written after it, and have known more"
             : "a newer slot is valid",
         i * kControlSlotBytes});
  }
  return absl::OkStatus();
}

absl::Status CopyChecker::CheckHeader(const SegmentRef& segment) const {
  // The write of a header that no later sync stands behind may have been torn by a crash.
  const bool tail = segment.generation == view_.segments.back().generation;
  const bool settled = !tail || view_.report.proven_durable_lsn >= segment.base_lsn;
  return CheckCopies(segment, settled, /*spare=*/false);
}

absl::StatusOr<uint64_t> CopyChecker::CheckSpares() const {
  absl::StatusOr<std::vector<uint64_t>> generations =
      ListGenerations(FileSystem::Posix(), view_.directory);
  if (!generations.ok()) return generations.status();
  uint64_t tail = view_.segments.empty() ? 0 : view_.segments.back().generation;
  // A last segment of which nothing is left is in no list, and is no spare either.
  if (view_.control.has_value()) tail = std::max(tail, view_.control->tail_generation);
  uint64_t spares = 0;
  for (uint64_t generation : *generations) {
    if (generation <= tail || !IsPrepared(generation)) continue;
    SegmentRef spare;
    spare.path = JoinPath(view_.directory, SegmentName(generation));
    spare.generation = generation;
    // The write that begins it may have been torn by a crash: two valid copies will do.
    absl::Status status = CheckCopies(spare, /*settled=*/false, /*spare=*/true);
    if (!status.ok()) return status;
    ++spares;
  }
  return spares;
}

absl::Status CopyChecker::CheckCopies(const SegmentRef& segment, bool settled, bool spare) const {
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
    report_({segment.path, 0, "a segment file", "no such file", "it cannot be read", 0});
    return absl::OkStatus();
  }
  for (size_t i = 0; i < copies->results.size(); ++i) {
    if (!copies->valid(i)) ReportCopy(segment, *copies, i, spare);
  }
  if (copies->valid(0) && copies->valid(1)) {
    report_({segment.path, kHeaderCopyOffset, "the same header as at offset 0",
             "another one that is valid", "nothing is lost: the first one is used",
             kHeaderCopyOffset});
  }
  return absl::OkStatus();
}

void CopyChecker::ReportCopy(const SegmentRef& segment, const HeaderCopies& copies, size_t i,
                             bool spare) const {
  const uint64_t offset = i == 0 ? 0 : kHeaderCopyOffset;
  for (const Problem& known : view_.problems) {
    if (known.path == segment.path && known.offset == 0 && i == 0) return;  // said already
  }
  std::string consequence = "nothing is lost: the other copy is valid";
  if (!copies.valid(1 - i)) {
    consequence = spare ? "no record in it was known to be durable" : "the log does not open";
  }
  report_({segment.path, offset, absl::StrCat("a valid segment header, copy ", i + 1, " of 2"),
           NameOf(copies.results[i]), consequence, offset});
}

// As CONTROL has it now.
bool CopyChecker::IsPrepared(uint64_t generation) const {
  absl::StatusOr<ControlBlock> control = ReadControl(FileSystem::Posix(), view_.directory);
  if (!control.ok()) return false;
  return std::any_of(
      control->entries.begin(), control->entries.end(),
      [generation](const ControlEntry& entry) { return entry.generation == generation; });
}

}  // namespace seawall
