// SPDX-License-Identifier: Apache-2.0
#include "engine/read/read_only.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/io/anchored_file_system.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/segments/control_file.h"
#include "engine/segments/index_file.h"
#include "seawall/reader.h"

namespace seawall {
namespace {

std::optional<IndexEntry> EntryInFile(const SegmentRef& segment, File* file, Lsn lsn) {
  absl::StatusOr<std::unique_ptr<SegmentIndex>> index = ReadSegmentIndex(file, segment);
  if (!index.ok()) return std::nullopt;
  return (*index)->FindGroup(lsn);
}

}  // namespace

// No pin holds a writer in another process: it may trim, and write the file again, under us.
ReadFailure GivenUpSince(FileSystem* fs, const std::string& directory) {
  return [fs, directory](const SegmentRef& segment, const absl::Status& status) {
    absl::StatusOr<ControlBlock> control = ReadControl(fs, directory);
    const bool trimmed = control.ok() && segment.generation < control->first_generation;
    if (!trimmed && !absl::IsNotFound(status)) return status;
    return absl::OutOfRangeError(absl::StrCat(
        segment.path, ": the log's writer has given this segment up since; open the reader again"));
  };
}

absl::StatusOr<std::unique_ptr<Reader>> Reader::OpenReadOnly(
    const std::string& directory, Lsn from, FileSystem* file_system,
    const std::optional<LogId>& expected_id) {
  auto files = std::make_shared<AnchoredFileSystem>(
      file_system == nullptr ? FileSystem::Posix() : file_system, directory);
  FileSystem* const fs = files.get();
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(fs, directory);
  if (!plan.ok()) return plan.status();
  const RecoveryReport& report = plan->report;
  absl::Status status = CheckLogId(directory, expected_id, report.log_id);
  if (!status.ok()) return status;
  if (from == 0) from = report.first_lsn;
  if (from < report.first_lsn) {
    return absl::NotFoundError(absl::StrCat("read from record ", from, ": the log holds ",
                                            report.first_lsn, " to ", report.last_lsn,
                                            ", what is below was trimmed"));
  }
  if (from > report.last_lsn + 1) {
    return absl::OutOfRangeError(absl::StrCat("read from record ", from, ": expected ",
                                              report.first_lsn, " to ", report.last_lsn + 1));
  }
  // The source owns what the reader reads by.
  ReadSource source = [files = std::move(files), segments = FixedSource(plan->segments.Refs())](
                          Lsn lsn) { return segments(lsn); };
  return NewSourceReader(fs, std::move(source), from, GivenUpSince(fs, directory),
                         /*watch=*/nullptr, EntryInFile, /*memory=*/nullptr,
                         {report.log_id, plan->control.metadata});
}

}  // namespace seawall
