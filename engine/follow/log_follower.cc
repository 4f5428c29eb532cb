// SPDX-License-Identifier: Apache-2.0
// Reader::Follow: reads a log that another process writes, and continues as it grows. What the
// watermarks of that process mean is decided in followed_segments.h; this reads the files.
//
// What may be read is durable for good, whatever becomes of the writer: sealed segments (the header
// of their successor, once begun, says where they end; I2 in DESIGN.md), and of the last one what
// WATERMARK names, or what the log itself proved when it was opened here. A generation is never
// used twice, so a watermark is never mistaken for one about another file.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/follow/follow_watch.h"
#include "engine/follow/followed_segments.h"
#include "engine/follow/watermark_file.h"
#include "engine/format/file_names.h"
#include "engine/io/anchored_file_system.h"
#include "engine/io/file_io.h"
#include "engine/read/log_reader.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/segments/control_file.h"
#include "engine/segments/segment_file.h"

namespace seawall {
namespace {

// A successor that WATERMARK names is there. If it cannot be read, it was removed again, and a
// later watermark from the writer will say so; if none comes, the segment is damaged.
constexpr int kMostLooks = 8;

// Reads the files that FollowedSegments needs to know. Belongs to one reader's thread.
class FollowedLog {
 public:
  FollowedLog(FileSystem* fs, const std::string& directory)
      : files_(fs, directory), directory_(directory), path_(JoinPath(directory, kWatermarkName)) {}

  FileSystem* fs() { return &files_; }

  // Reads the directory once; from then on only what the watermark names.
  absl::Status Open(Lsn* from, const std::optional<LogId>& expected_id);
  // As ReadSource.
  absl::StatusOr<std::optional<ReadRange>> Locate(Lsn lsn);
  // As ReadFailure.
  absl::Status Explain(const SegmentRef& segment, const absl::Status& status);
  // The log that was opened, as it was then.
  ReaderLog log() const { return {log_id_, metadata_}; }

 private:
  // Applies the published watermark, with the segments that it names.
  absl::Status Refresh();
  absl::StatusOr<std::optional<WatermarkBlock>> ReadBlock();
  absl::Status AppendSuccessors(const WatermarkBlock& block);
  absl::StatusOr<std::vector<SegmentFile>> ReadSuccessors(const WatermarkBlock& block);
  // What to make of a successor that could not be read.
  absl::Status ExplainSuccessors(const WatermarkBlock& block, const absl::Status& status);
  // Looks whether the segment of the last served record is still the same file.
  absl::Status ResolveDoubt();
  // The writer is further than its watermark says, and what that names may be gone: a truncation or
  // a recovery took its place. The next watermark, perhaps from the next writer, will say so.
  bool IsStale(const WatermarkBlock& block);
  bool IsTrimmed(uint64_t generation);
  // OutOfRange with the first record, if segments before that of `generation` were trimmed; the
  // error if the log is gone; else OK.
  absl::Status CheckNotTrimmed(uint64_t generation, Lsn lsn);
  absl::Status IsGone() const;

  AnchoredFileSystem files_;
  const std::string directory_;
  const std::string path_;  // of WATERMARK
  LogId log_id_ = {};
  std::string metadata_;
  std::optional<FollowedSegments> segments_;  // set by Open()
  // How often in a row the watermark with this sequence named a successor that could not be read.
  int looks_ = 0;
  uint64_t looked_sequence_ = 0;
  // The range that was given out last: a reader that asks again for its record did not find the
  // file.
  Lsn asked_ = 0;
  uint64_t asked_generation_ = 0;
};

absl::Status FollowedLog::Open(Lsn* from, const std::optional<LogId>& expected_id) {
  // Before the directory: a truncation between the two is noticed then.
  absl::StatusOr<std::optional<WatermarkBlock>> block = ReadBlock();
  if (!block.ok()) return block.status();
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(&files_, directory_, /*carry_small_tail=*/false);
  if (!plan.ok()) return plan.status();
  log_id_ = plan->control.log_id;
  metadata_ = plan->control.metadata;
  absl::Status status = CheckLogId(directory_, expected_id, log_id_);
  if (!status.ok()) return status;
  const bool counted = block->has_value() && (*block)->log_id == log_id_;
  segments_.emplace(directory_, plan->segments.Refs(), plan->copy_first_lsn - 1, plan->copy_from,
                    counted ? (*block)->cuts : 0);
  status = Refresh();
  if (!status.ok()) return status;
  return segments_->BeginAt(from);
}

absl::Status FollowedLog::IsGone() const {
  return absl::NotFoundError(absl::StrCat("the log in ", directory_, " is gone"));
}

absl::StatusOr<std::optional<WatermarkBlock>> FollowedLog::ReadBlock() {
  // Whoever names this path means the log that is there: a restored one, perhaps.
  if (files_.IsReplaced()) {
    return absl::FailedPreconditionError(
        absl::StrCat(directory_, ": another log has taken the place of the one that is followed",
                     files_.PlaceNote(), "; open the reader again"));
  }
  // By its name each time: it may be another file now.
  absl::StatusOr<std::unique_ptr<File>> opened = OpenFile(&files_, path_, OpenOptions());
  if (absl::IsNotFound(opened.status())) {
    FileInfo info;
    const int error = files_.Stat(JoinPath(directory_, kControlName), &info);
    if (error == ENOENT || error == ENOTDIR) return IsGone();
    return std::nullopt;  // no writer was here that makes one
  }
  if (!opened.ok()) return opened.status();
  return ReadWatermark(opened->get(), path_);
}

absl::Status FollowedLog::Refresh() {
  absl::StatusOr<std::optional<WatermarkBlock>> read = ReadBlock();
  if (!read.ok()) return read.status();
  if (!read->has_value()) return absl::OkStatus();
  const WatermarkBlock& block = **read;
  if (block.log_id != log_id_) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ", offset ", kLogIdOffset, ": expected log id ", LogIdToString(log_id_),
                     ", found ", LogIdToString(block.log_id), ": another log stands in its place"));
  }
  absl::Status status = segments_->NoteTruncations(block);
  if (!status.ok()) return status;
  if (block.generation > segments_->tail_generation()) {
    status = AppendSuccessors(block);
    if (!status.ok()) return ExplainSuccessors(block, status);
  }
  if (segments_->in_doubt()) {
    status = ResolveDoubt();
    if (!status.ok()) return status;
  }
  segments_->NoteDurable(block);
  return absl::OkStatus();
}

absl::Status FollowedLog::ExplainSuccessors(const WatermarkBlock& block,
                                            const absl::Status& status) {
  const bool fleeting = absl::IsNotFound(status) || absl::IsDataLoss(status);
  if (fleeting && IsStale(block)) return absl::OkStatus();
  looks_ = block.sequence == looked_sequence_ ? looks_ + 1 : 1;
  looked_sequence_ = block.sequence;
  return fleeting && looks_ < kMostLooks ? absl::OkStatus() : status;
}

absl::Status FollowedLog::ResolveDoubt() {
  const SegmentRef* doubted = segments_->Doubted();
  if (doubted == nullptr) return segments_->ResolveDoubt(std::nullopt);
  absl::StatusOr<SegmentFile> file =
      ReadSegmentFile(&files_, directory_, doubted->generation, &log_id_);
  if (absl::IsResourceExhausted(file.status())) return file.status();
  const bool begun = file.ok() && file->kind == FileKind::kBegun;
  return segments_->ResolveDoubt(begun ? std::optional<uint64_t>(file->header.salt) : std::nullopt);
}

// From the segment that is written now back to one that is known: newest first.
absl::StatusOr<std::vector<SegmentFile>> FollowedLog::ReadSuccessors(const WatermarkBlock& block) {
  std::vector<SegmentFile> successors;
  uint64_t generation = block.generation;
  while (generation > segments_->tail_generation()) {
    absl::StatusOr<SegmentFile> file = ReadSegmentFile(&files_, directory_, generation, &log_id_);
    if (!file.ok() || file->kind != FileKind::kBegun) {
      if (!successors.empty() && IsTrimmed(generation)) break;
      if (!file.ok()) return file.status();
      return DamageStatus(
          file->path, 0,
          absl::StrCat("expected the header of segment ", generation, ", begun, found none"));
    }
    if (file->header.predecessor_generation >= generation) {
      return DamageStatus(file->path, kPredecessorGenerationOffset,
                          absl::StrCat("expected a predecessor below ", generation, ", found ",
                                       file->header.predecessor_generation));
    }
    generation = file->header.predecessor_generation;
    successors.push_back(std::move(*file));
  }
  return successors;
}

absl::Status FollowedLog::AppendSuccessors(const WatermarkBlock& block) {
  absl::StatusOr<std::vector<SegmentFile>> successors = ReadSuccessors(block);
  if (!successors.ok()) return successors.status();
  for (; !successors->empty(); successors->pop_back()) {
    SegmentFile& oldest = successors->back();
    absl::Status status = segments_->Append(oldest.header, std::move(oldest.path));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<ReadRange>> FollowedLog::Locate(Lsn lsn) {
  const bool again = lsn == asked_;
  if (!segments_->MayRead(lsn) || again) {
    absl::Status status = Refresh();
    if (!status.ok()) return status;
  }
  if (!segments_->MayRead(lsn)) return std::nullopt;
  const SegmentRef* segment = segments_->Find(lsn);
  if (segment == nullptr) {
    absl::Status status = CheckNotTrimmed(segments_->first_generation(), lsn);
    if (!status.ok()) return status;
    return absl::OutOfRangeError(absl::StrCat(
        "follow from record ", lsn, ": the log begins at record ", segments_->first_lsn()));
  }
  if (again && segment->generation == asked_generation_) {
    // Its file is gone, or the reader asked twice for nothing.
    FileInfo info;
    if (files_.Stat(segment->path, &info) == ENOENT) {
      absl::Status status = CheckNotTrimmed(segment->generation, lsn);
      if (!status.ok()) return status;
      return std::nullopt;  // a new writer, or a truncation, took its place, and will publish that
    }
  }
  asked_ = lsn;
  asked_generation_ = segment->generation;
  return segments_->Serve(*segment);
}

bool FollowedLog::IsStale(const WatermarkBlock& block) {
  absl::StatusOr<ControlBlock> control = ReadControl(&files_, directory_);
  return control.ok() && block.generation < control->tail_generation;
}

bool FollowedLog::IsTrimmed(uint64_t generation) {
  absl::StatusOr<ControlBlock> control = ReadControl(&files_, directory_);
  return control.ok() && generation < control->first_generation;
}

absl::Status FollowedLog::CheckNotTrimmed(uint64_t generation, Lsn lsn) {
  absl::StatusOr<ControlBlock> control = ReadControl(&files_, directory_);
  if (absl::IsNotFound(control.status())) return IsGone();
  if (!control.ok()) return control.status();
  if (generation >= control->first_generation) return absl::OkStatus();
  absl::StatusOr<SegmentFile> first =
      ReadSegmentFile(&files_, directory_, control->first_generation, &log_id_);
  return absl::OutOfRangeError(absl::StrCat(
      "follow from record ", lsn, ": it was trimmed, the log begins at record ",
      first.ok() && first->kind == FileKind::kBegun ? absl::StrCat(first->header.base_lsn)
                                                    : std::string("(trimmed again meanwhile)")));
}

absl::Status FollowedLog::Explain(const SegmentRef& segment, const absl::Status& status) {
  absl::Status trimmed = CheckNotTrimmed(segment.generation, std::max(asked_, segment.base_lsn));
  return trimmed.ok() ? status : trimmed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Reader>> Reader::Follow(const std::string& directory, Lsn from,
                                                       FileSystem* file_system,
                                                       const std::optional<LogId>& expected_id) {
  auto log = std::make_shared<FollowedLog>(
      file_system == nullptr ? FileSystem::Posix() : file_system, directory);
  // Before WATERMARK is read: a change after that wakes the watch.
  auto watch = std::make_unique<FollowWatch>(log->fs(), directory);
  absl::Status status = log->Open(&from, expected_id);
  if (!status.ok()) return status;
  return NewSourceReader(
      log->fs(), [log](Lsn lsn) { return log->Locate(lsn); }, from,
      [log](const SegmentRef& segment, const absl::Status& failure) {
        return log->Explain(segment, failure);
      },
      std::move(watch), /*lookup=*/nullptr, /*memory=*/nullptr, log->log());
}

}  // namespace seawall
