// SPDX-License-Identifier: Apache-2.0
#include "engine/copy/log_copy.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/io/log_place.h"
#include "engine/read/log_reader.h"
#include "engine/recovery/recovery.h"
#include "engine/recovery/segment_chain.h"
#include "engine/segments/control_file.h"
#include "engine/segments/fresh_segment.h"

namespace seawall {
namespace {

constexpr uint64_t kChunkBytes = uint64_t{1} << 20;

class Copier {
 public:
  Copier(const LogCopy& copy, const std::string& destination)
      : copy_(copy), fs_(copy.fs), destination_(destination) {}

  // Also when copy_.progress throws, nothing is left.
  ~Copier() {
    if (begun_) Undo();
  }

  absl::StatusOr<BackupReport> Run() {
    absl::Status status = MakeDestination();
    if (!status.ok()) return status;
    begun_ = true;
    status = Fill();
    if (status.ok()) status = WithSource(Verify());
    if (status.ok() && copy_.before_commit) status = copy_.before_commit();
    if (status.ok()) status = ControlFile::Create(fs_, destination_, control_).status();
    if (!status.ok()) return status;
    begun_ = false;
    return report_;
  }

 private:
  absl::Status MakeDestination();
  absl::Status Fill();
  absl::Status AddSealed(const SegmentRef& segment);
  absl::StatusOr<bool> Share(const SegmentRef& segment, const std::string& to);
  absl::Status CopyBytes(const SegmentRef& segment, const std::string& to);
  absl::Status AddTail(const SegmentRef& segment);
  absl::Status Verify();
  absl::Status WithSource(const absl::Status& status) const;
  void Undo();
  absl::Status Note(uint64_t bytes) {
    done_bytes_ += bytes;
    return copy_.progress ? copy_.progress(done_bytes_) : absl::OkStatus();
  }

  const LogCopy& copy_;
  FileSystem* const fs_;
  const std::string& destination_;
  bool made_directory_ = false;
  bool begun_ = false;               // and not committed: what is in the destination is ours
  std::vector<std::string> made_;    // names, for Undo()
  std::vector<SegmentRef> written_;  // of the copy
  ControlBlock control_;
  BackupReport report_;
  uint64_t done_bytes_ = 0;
};

absl::Status Copier::MakeDestination() {
  absl::StatusOr<bool> made = MakePlace(fs_, destination_);
  if (!made.ok()) return made.status();
  made_directory_ = *made;
  absl::Status status = CheckPlaceIsEmpty(fs_, destination_);
  if (!status.ok() && made_directory_) Undo();
  return status;
}

absl::Status Copier::Fill() {
  size_t next = 0;
  for (; next + 1 < copy_.segments.size() && copy_.segments[next].last_lsn <= copy_.to_lsn;
       ++next) {
    absl::Status status = AddSealed(copy_.segments[next]);
    if (!status.ok()) return status;
  }
  return AddTail(copy_.segments[next]);
}

// True if `to` is the same file now, or has the same blocks.
absl::StatusOr<bool> Copier::Share(const SegmentRef& segment, const std::string& to) {
  if (copy_.hard_links) {
    const int error = copy_.from->Link(segment.path, to);
    if (error == 0) return true;
    if (error == ENOENT || error == EEXIST) return ErrnoStatus(error, "link", segment.path);
  }
  const int error = copy_.from->CloneFile(segment.path, to);
  if (error == ENOENT || error == EEXIST) return ErrnoStatus(error, "clone", segment.path);
  return error == 0;  // else it is copied, and that tells what is wrong
}

absl::Status Copier::AddSealed(const SegmentRef& segment) {
  SegmentRef written = segment;
  written.path = JoinPath(destination_, SegmentName(segment.generation));
  written.pin = nullptr;
  made_.push_back(SegmentName(segment.generation));
  absl::StatusOr<bool> shared = Share(segment, written.path);
  if (!shared.ok()) return shared.status();
  absl::Status status;
  if (*shared) {
    report_.shared_bytes += segment.end;
    status = Note(segment.end);
  } else {
    status = CopyBytes(segment, written.path);
  }
  if (!status.ok()) return status;
  written_.push_back(std::move(written));
  // Also of a file that is shared: its blocks are the copy's, its length need not be durable yet.
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, written_.back().path, OpenOptions());
  if (!file.ok()) return file.status();
  return SyncFile(file->get(), written_.back().path, File::SyncKind::kFull);
}

absl::Status Copier::CopyBytes(const SegmentRef& segment, const std::string& to) {
  absl::StatusOr<std::unique_ptr<File>> source = OpenFile(copy_.from, segment.path, OpenOptions());
  if (!source.ok()) return source.status();
  OpenOptions open;
  open.write = open.create = open.exclusive = true;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, to, open);
  if (!file.ok()) return file.status();
  AlignedBuffer buffer(kChunkBytes);
  for (uint64_t at = 0; at < segment.end;) {
    const uint64_t wanted = std::min(kChunkBytes, segment.end - at);
    absl::StatusOr<size_t> got = ReadAt(source->get(), segment.path, at, wanted, buffer.data());
    if (!got.ok()) return got.status();
    if (*got < wanted) {
      return DamageStatus(
          segment.path, at + *got,
          absl::StrCat("expected ", segment.end, " bytes of groups, found the end of the file"));
    }
    absl::Status status = WriteAt(file->get(), to, at, std::string_view(buffer.data(), wanted));
    if (status.ok()) status = Note(wanted);
    if (!status.ok()) return status;
    at += wanted;
  }
  report_.copied_bytes += segment.end;
  return absl::OkStatus();
}

absl::Status Copier::AddTail(const SegmentRef& segment) {
  SegmentHeader header;
  header.log_id = copy_.log_id;
  header.generation = copy_.fresh_generation;
  header.base_lsn = segment.base_lsn;
  header.durable_lsn = copy_.to_lsn;
  if (!written_.empty()) {
    header.predecessor_generation = written_.back().generation;
    header.predecessor_end = written_.back().end;
    header.predecessor_digest = written_.back().digest;
  }
  CopySource source = {segment.path, segment.salt, segment.groups_begin,
                       segment.end,  copy_.to_lsn, copy_.from};
  const bool empty = segment.base_lsn > copy_.to_lsn;
  std::optional<CursorTable> cursors = copy_.cursors;
  if (cursors.has_value()) {
    ++cursors->sequence;
    const Lsn before_first = copy_.segments.front().base_lsn - 1;
    for (CursorPosition& cursor : cursors->cursors) {
      cursor.lsn = std::clamp(cursor.lsn, before_first, copy_.to_lsn);
    }
    control_.cursor_sequence = cursors->sequence;
  }
  made_.push_back(SegmentName(header.generation));
  const Options options;
  absl::StatusOr<FreshSegment> fresh =
      PrepareFresh(fs_, destination_, options, header, empty ? nullptr : &source,
                   cursors.has_value() ? &*cursors : nullptr);
  if (!fresh.ok()) return fresh.status();
  absl::Status status = CommitFresh(options, *fresh);
  if (status.ok()) status = SyncDirectory(fs_, destination_);
  if (!status.ok()) return status;
  SegmentRef tail = RefOf(*fresh->segment);
  tail.last_lsn = copy_.to_lsn;
  tail.end = fresh->end;
  tail.digest = fresh->digest;
  report_.copied_bytes += fresh->end;
  control_.log_id = copy_.log_id;
  control_.metadata = copy_.metadata;
  control_.first_generation = written_.empty() ? tail.generation : written_.front().generation;
  control_.tail_generation = tail.generation;
  control_.durable_lsn = copy_.to_lsn;
  control_.entries = {{tail.generation, tail.salt, fresh->allocated_bytes}};
  control_.closed = true;
  control_.closed_end = tail.end;
  control_.closed_digest = tail.digest;
  written_.push_back(std::move(tail));
  return Note(fresh->end);
}

// Reads the copy as a log is read, headers and all: what is wrong with it is found now.
absl::Status Copier::Verify() {
  std::vector<uint64_t> generations;
  for (auto segment = written_.rbegin(); segment != written_.rend(); ++segment) {
    generations.push_back(segment->generation);
  }
  absl::Status chain = ReadChain(fs_, destination_, generations, control_).status();
  if (!chain.ok()) return chain;
  report_.first_lsn = written_.front().base_lsn;
  report_.last_lsn = copy_.to_lsn;
  report_.segments = written_.size();
  std::unique_ptr<Reader> reader = NewSourceReader(fs_, FixedSource(written_), report_.first_lsn);
  Record record;
  uint64_t bytes = 0;
  while (reader->Next(&record)) {
    bytes += EncodedRecordBytes(record.payload.size());
    if (bytes < kChunkBytes) continue;
    absl::Status status = Note(std::exchange(bytes, 0));
    if (!status.ok()) return status;
  }
  if (!reader->status().ok()) return reader->status();
  if (reader->next_lsn() == copy_.to_lsn + 1) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(destination_, ": expected records up to ", copy_.to_lsn,
                                          ", found them up to ", reader->next_lsn() - 1));
}

// What damage names is a file of the copy, which nobody finds any more: Undo() takes it away.
absl::Status Copier::WithSource(const absl::Status& status) const {
  for (size_t i = 0; absl::IsDataLoss(status) && i < written_.size(); ++i) {
    if (!absl::StartsWith(status.message(), written_[i].path)) continue;
    return absl::DataLossError(absl::StrCat(status.message(), " (in the copy of ",
                                            copy_.segments[i].path, ", removed since)"));
  }
  return status;
}

void Copier::Undo() {
  // CONTROL first: without it nothing here is a log. Best effort: the failure itself is reported.
  fs_->Unlink(JoinPath(destination_, kControlName));
  fs_->Unlink(JoinPath(destination_, kControlTemporaryName));
  for (const std::string& name : made_) fs_->Unlink(JoinPath(destination_, name));
  if (made_directory_) fs_->RemoveDirectory(destination_);
}

}  // namespace

bool Overtaken(const std::vector<SegmentRef>& segments, const absl::StatusOr<RecoveryPlan>& now) {
  if (!now.ok()) return false;
  return std::any_of(segments.begin(), segments.end(), [&](const SegmentRef& segment) {
    const size_t other = now->segments.Find(segment.generation);
    return other == now->segments.size() || now->segments[other].salt != segment.salt;
  });
}

absl::StatusOr<BackupReport> CopyLog(const LogCopy& copy, const std::string& destination) {
  return Copier(copy, destination).Run();
}

}  // namespace seawall
