// SPDX-License-Identifier: Apache-2.0
#include "engine/recovery/recovery.h"

#include <cassert>
#include <utility>

#include "engine/base/random.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {

namespace {

// Where the fresh segment stands, and what it copies, by a plan for a log that exists.
void Link(const RecoveryPlan& plan, SegmentHeader* header, CopySource* source) {
  const SegmentRef tail = plan.segments.Ref(plan.segments.size() - 1);
  header->log_id = plan.control.log_id;
  header->base_lsn = plan.copy_first_lsn;
  header->durable_lsn = tail.last_lsn;
  if (plan.copy_from == plan.tail_header.groups_begin()) {
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
  if (plan->copy_from == plan->tail_header.groups_begin()) {
    plan->garbage.push_back(SegmentName(plan->segments.back().generation));
    plan->segments.PopBack();
    return;
  }
  plan->segments.EndLast(plan->copy_first_lsn - 1, plan->copy_from, plan->digest_at_copy);
}

// Of a log that was created and never held a record, nobody knows that the name of CONTROL is
// durable: the sync of the directory may have failed, and a second one would tell nothing. So it is
// made anew, as often as that takes.
absl::Status WriteControl(FileSystem* fs, const std::string& directory, const RecoveryPlan& plan,
                          RecoveredLog* log) {
  const bool keep_control =
      plan.exists && (plan.control.sequence > kControlSlots || plan.report.last_lsn > 0);
  absl::StatusOr<std::unique_ptr<ControlFile>> file =
      keep_control ? ControlFile::Open(fs, directory, plan.control)
                   : ControlFile::Create(fs, directory, log->control);
  if (!file.ok()) return file.status();
  log->control_file = *std::move(file);
  if (!keep_control) return absl::OkStatus();
  // A crash may have cut a change of the metadata short: the other slots still have the old ones.
  return log->control.metadata.empty() ? log->control_file->Write(log->control)
                                       : log->control_file->WriteAll(log->control);
}

// The first file of a log, by a name that says that it is being created: what a crash leaves in a
// segment before its first sync is garbage then, whatever it reads as, and without this file it is
// a log whose CONTROL was lost.
absl::Status BeginCreation(FileSystem* fs, const std::string& directory) {
  OpenOptions open;
  open.write = true;
  open.create = true;
  absl::StatusOr<std::unique_ptr<File>> file =
      OpenFile(fs, JoinPath(directory, kControlTemporaryName), open);
  return file.ok() ? SyncDirectory(fs, directory) : file.status();
}

}  // namespace

absl::StatusOr<RecoveredLog> ApplyRecovery(FileSystem* fs, const std::string& directory,
                                           const Options& options, RecoveryPlan* plan) {
  SegmentHeader header;
  CopySource source;
  header.generation = plan->next_generation;
  if (plan->exists) {
    Link(*plan, &header, &source);
  } else {
    header.log_id = plan->report.log_id = {RandomU64(), RandomU64()};
    header.base_lsn = kFirstLsn;
  }
  if (!plan->exists) {
    absl::Status status = BeginCreation(fs, directory);
    if (!status.ok()) return status;
  }
  RecoveredLog log;
  assert(options.cursors || !plan->has_cursors);
  log.cursors = plan->cursors;
  if (options.cursors) ++log.cursors.sequence;
  absl::StatusOr<FreshSegment> fresh =
      PrepareFresh(fs, directory, options, header, source.from < source.to ? &source : nullptr,
                   options.cursors ? &log.cursors : nullptr);
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
  log.control.cursor_sequence = log.cursors.sequence;
  log.control.metadata = plan->exists ? plan->control.metadata : options.metadata;
  log.control.entries = {{header.generation, segment.header.salt, log.fresh.allocated_bytes}};
  status = WriteControl(fs, directory, *plan, &log);
  if (!status.ok()) return status;
  if (plan->exists) SealOrDropTail(plan);
  log.segments = plan->exists ? std::move(plan->segments) : SegmentList(directory);
  log.segments.PushBack(RefOf(segment));
  plan->report.segments = log.segments.size();
  status = RemoveFiles(fs, directory, plan->garbage);
  if (!status.ok()) return status;
  return log;
}

}  // namespace seawall
