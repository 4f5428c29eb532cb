// SPDX-License-Identifier: Apache-2.0
// Puts a log together again from its archived segments and what is left of it.
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/copy/log_copy.h"
#include "engine/format/cursor_table.h"
#include "engine/io/file_io.h"
#include "engine/read/log_reader.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/recovery/segment_chain.h"
#include "engine/recovery/tail_scan.h"
#include "engine/segments/cursor_area.h"
#include "engine/segments/segment_file.h"
#include "engine/segments/segment_list.h"
#include "seawall/backup.h"

namespace seawall {
namespace {

class Restorer {
 public:
  Restorer(const std::string& archive, const std::string& live, const RestoreOptions& options)
      : fs_(options.file_system == nullptr ? FileSystem::Posix() : options.file_system),
        archive_(archive),
        live_(live),
        options_(options),
        archived_(archive) {}

  absl::StatusOr<BackupReport> Run(const std::string& destination);
  // True if the live log has given up meanwhile what Run() wanted of it: the archive has that now.
  bool IsOvertaken() const {
    return !live_segments_.empty() && Overtaken(live_segments_, PlanReadOnly(fs_, live_));
  }

 private:
  absl::Status ListArchive();
  absl::Status TakeLive();
  absl::Status TakeNewestArchived();
  absl::Status WalkBack();
  absl::Status TakeArchivedCursors();
  absl::StatusOr<Lsn> FindEnd();
  bool Archived(uint64_t generation) const {
    return std::binary_search(generations_.begin(), generations_.end(), generation);
  }

  FileSystem* const fs_;
  const std::string& archive_;
  const std::string& live_;
  const RestoreOptions& options_;
  std::vector<uint64_t> generations_;  // in the archive, ascending
  std::vector<SegmentRef> live_segments_;
  SegmentList archived_;  // those of the archive that are needed
  SegmentHeader oldest_;  // of all that are needed
  LogCopy copy_;
};

absl::Status Restorer::ListArchive() {
  absl::StatusOr<std::vector<uint64_t>> generations = ListGenerations(fs_, archive_);
  if (!generations.ok()) return generations.status();
  generations_ = *std::move(generations);
  if (!generations_.empty()) {
    copy_.fresh_generation = std::max(copy_.fresh_generation, generations_.back() + 1);
  }
  return absl::OkStatus();
}

absl::Status Restorer::TakeLive() {
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(fs_, live_);
  if (!plan.ok()) return plan.status();
  copy_.log_id = plan->control.log_id;
  copy_.metadata = plan->control.metadata;
  copy_.fresh_generation = plan->next_generation;
  if (plan->has_cursors) copy_.cursors = std::move(plan->cursors);
  live_segments_ = copy_.segments = plan->segments.Refs();
  absl::StatusOr<SegmentFile> oldest =
      ReadSegmentFile(fs_, live_, copy_.segments.front().generation, &copy_.log_id);
  if (!oldest.ok()) return oldest.status();
  oldest_ = oldest->header;
  return absl::OkStatus();
}

// No later segment says where it ends: as the tail of a log does, with what is behind its groups
// as a witness.
absl::Status Restorer::TakeNewestArchived() {
  if (generations_.empty()) {
    return absl::NotFoundError(absl::StrCat("no archived segments in ", archive_));
  }
  absl::StatusOr<SegmentFile> file =
      ReadSegmentFile(fs_, archive_, generations_.back(), /*log_id=*/nullptr);
  if (!file.ok()) return file.status();
  copy_.log_id = file->header.log_id;
  absl::Status status = CheckSealed(*file, copy_.log_id);
  if (!status.ok()) return status;
  absl::StatusOr<TailScan> scan = ScanTail(*file);
  if (!scan.ok()) return scan.status();
  status = SurveyBehind(*file, &*scan);
  if (!status.ok()) return status;
  if (scan->facts.acknowledged_beyond || scan->facts.stop != TailFacts::Stop::kNothing) {
    return DamageStatus(file->path, scan->end,
                        absl::StrCat("expected record ", scan->last_lsn + 1, ", found ",
                                     scan->bad.empty() ? "no valid group" : scan->bad));
  }
  oldest_ = file->header;
  archived_.PushFront(EntryOf(*file, scan->last_lsn, scan->end, scan->digest));
  return absl::OkStatus();
}

// Through the archive, by what each header says of the segment before.
absl::Status Restorer::WalkBack() {
  while (oldest_.predecessor_generation != 0) {
    const uint64_t generation = oldest_.predecessor_generation;
    if (!Archived(generation)) {
      // The archive may begin here: older ones were removed from it, none is left.
      if (generations_.empty() || generations_.front() > generation) break;
      return MissingSegment(archive_, generation,
                            absl::StrCat("it ends with record ", oldest_.base_lsn - 1));
    }
    absl::StatusOr<SegmentFile> file = ReadSegmentFile(fs_, archive_, generation, &copy_.log_id);
    if (!file.ok()) return file.status();
    absl::StatusOr<SegmentEntry> entry = PredecessorOf(oldest_, *file, copy_.log_id);
    if (!entry.ok()) return entry.status();
    archived_.PushFront(*entry);
    oldest_ = file->header;
  }
  const std::vector<SegmentRef> archived = archived_.Refs();
  copy_.segments.insert(copy_.segments.begin(), archived.begin(), archived.end());
  return absl::OkStatus();
}

// As the newest archived segment has them: where they stood while it was written. A crash may have
// torn the write that began it; then the one before has them.
absl::Status Restorer::TakeArchivedCursors() {
  const SegmentRef& newest = copy_.segments.back();
  if (newest.groups_begin == kSegmentHeaderBytes) return absl::OkStatus();
  const size_t looked_at = std::min<size_t>(2, copy_.segments.size());
  for (size_t i = 0; i < looked_at && !copy_.cursors.has_value(); ++i) {
    const SegmentRef& segment = copy_.segments[copy_.segments.size() - 1 - i];
    if (segment.groups_begin == kSegmentHeaderBytes) break;
    absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, segment.path, OpenOptions());
    if (!file.ok()) return file.status();
    absl::StatusOr<std::optional<CursorTable>> table =
        ReadCursorArea(file->get(), segment.path, segment.salt);
    if (!table.ok()) return table.status();
    copy_.cursors = *std::move(table);
  }
  if (copy_.cursors.has_value()) return absl::OkStatus();
  return DamageStatus(newest.path, kSegmentHeaderBytes,
                      "expected the table of cursors, here or in the segment before, found none "
                      "that is valid");
}

// The last record to restore.
absl::StatusOr<Lsn> Restorer::FindEnd() {
  const Lsn first = copy_.segments.front().base_lsn;
  Lsn last = copy_.segments.back().last_lsn;
  if (options_.to_lsn != 0) {
    if (options_.to_lsn + 1 < first || options_.to_lsn > last) {
      return absl::OutOfRangeError(absl::StrCat("restore up to record ", options_.to_lsn,
                                                ": there are records ", first, " to ", last));
    }
    last = options_.to_lsn;
  }
  if (!options_.to_unix_micros.has_value()) return last;
  std::unique_ptr<Reader> reader = NewSourceReader(fs_, FixedSource(copy_.segments), first);
  Record record;
  while (reader->Next(&record)) {
    if (record.lsn > last) return last;
    if (record.sealed_unix_micros > *options_.to_unix_micros) return record.lsn - 1;
  }
  if (!reader->status().ok()) return reader->status();
  return last;
}

absl::StatusOr<BackupReport> Restorer::Run(const std::string& destination) {
  // The live log first: what it gives up from then on is in the archive already.
  absl::Status status = live_.empty() ? absl::OkStatus() : TakeLive();
  if (status.ok()) status = ListArchive();
  if (status.ok() && live_.empty()) status = TakeNewestArchived();
  if (status.ok()) status = WalkBack();
  if (status.ok() && live_.empty()) status = TakeArchivedCursors();
  if (!status.ok()) return status;
  absl::StatusOr<Lsn> end = FindEnd();
  if (!end.ok()) return end.status();
  copy_.from = copy_.fs = fs_;
  copy_.to_lsn = *end;
  copy_.progress = options_.progress;
  if (!options_.metadata.empty()) copy_.metadata = options_.metadata;
  return CopyLog(copy_, destination);
}

}  // namespace

absl::StatusOr<BackupReport> RestoreLog(const std::string& archive, const std::string& live,
                                        const std::string& destination,
                                        const RestoreOptions& options) {
  if (options.metadata.size() > kMaxMetadataBytes) {
    return absl::InvalidArgumentError(absl::StrCat("restore with metadata of ",
                                                   options.metadata.size(),
                                                   " bytes: expected at most ", kMaxMetadataBytes));
  }
  for (int attempt = 1;; ++attempt) {
    Restorer restorer(archive, live, options);
    absl::StatusOr<BackupReport> report = restorer.Run(destination);
    const bool doubtful = absl::IsNotFound(report.status()) || absl::IsDataLoss(report.status());
    if (!doubtful || attempt == kCopyAttempts || !restorer.IsOvertaken()) return report;
  }
}

}  // namespace seawall
