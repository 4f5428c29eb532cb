// SPDX-License-Identifier: Apache-2.0
#include "engine/copy/backup.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/copy/log_copy.h"
#include "engine/io/anchored_file_system.h"
#include "engine/recovery/recovery_plan.h"

namespace seawall {
namespace {

absl::Status CheckRange(const RecoveryReport& log, Lsn to_lsn) {
  if (to_lsn + 1 >= log.first_lsn && to_lsn <= log.last_lsn) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat("back up to record ", to_lsn, ": the log holds ",
                                            log.first_lsn, " to ", log.last_lsn));
}

FileSystem* FileSystemOf(const BackupOptions& options) {
  return options.file_system == nullptr ? FileSystem::Posix() : options.file_system;
}

// Reads the log by `from`. Without `to_lsn`: all that can be read.
absl::StatusOr<BackupReport> Backup(FileSystem* from, const std::string& directory,
                                    const std::string& destination, const BackupOptions& options,
                                    std::optional<Lsn> to_lsn) {
  LogCopy copy;
  copy.from = from;
  copy.fs = FileSystemOf(options);
  copy.hard_links = options.hard_links;
  copy.progress = options.progress;
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(from, directory);
  if (options.hard_links) {
    // A name that a segment got after CONTROL had said that it was trimmed may have come too late
    // for RecycleSegment() to see it.
    copy.before_commit = [&] {
      return Overtaken(copy.segments, PlanReadOnly(from, directory))
                 ? absl::DataLossError("a segment was trimmed while it was linked")
                 : absl::OkStatus();
    };
  }
  for (int attempt = 0; attempt < kCopyAttempts; ++attempt) {
    if (!plan.ok()) return plan.status();
    copy.to_lsn = to_lsn.value_or(plan->report.last_lsn);
    absl::Status status = CheckRange(plan->report, copy.to_lsn);
    if (!status.ok()) return status;
    copy.log_id = plan->control.log_id;
    copy.metadata = plan->control.metadata;
    copy.segments = plan->segments.Refs();
    copy.fresh_generation = plan->next_generation;
    if (plan->has_cursors) copy.cursors = plan->cursors;
    absl::StatusOr<BackupReport> report = CopyLog(copy, destination);
    if (!absl::IsNotFound(report.status()) && !absl::IsDataLoss(report.status())) return report;
    absl::StatusOr<RecoveryPlan> now = PlanReadOnly(from, directory);
    if (!Overtaken(copy.segments, now)) return report.status();
    plan = std::move(now);
  }
  return absl::OutOfRangeError(absl::StrCat("back up ", directory, ": overtaken by trims ",
                                            kCopyAttempts, " times; the log begins at record ",
                                            plan.ok() ? plan->report.first_lsn : 0));
}

}  // namespace

absl::StatusOr<BackupReport> BackupDirectory(const std::string& directory,
                                             const std::string& destination,
                                             const BackupOptions& options) {
  AnchoredFileSystem files(FileSystemOf(options), directory);
  return Backup(&files, directory, destination, options,
                options.to_lsn == 0 ? std::nullopt : std::optional<Lsn>(options.to_lsn));
}

absl::StatusOr<BackupReport> BackupUpTo(FileSystem* from, const std::string& directory,
                                        const std::string& destination,
                                        const BackupOptions& options, Lsn to_lsn) {
  return Backup(from, directory, destination, options, to_lsn);
}

}  // namespace seawall
