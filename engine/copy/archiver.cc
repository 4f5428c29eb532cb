// SPDX-License-Identifier: Apache-2.0
#include "engine/copy/archiver.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/little_endian.h"
#include "engine/format/checksum.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

constexpr char kHoldName[] = "hook";
constexpr char kTemporaryName[] = "ARCHIVED.new";
constexpr std::chrono::seconds kLongestPause(60);

// Magic, log id, generation, checksum.
constexpr char kMagic[9] = "SEAWALAR";
constexpr size_t kLogIdAt = 8;
constexpr size_t kGenerationAt = 24;
constexpr size_t kChecksumAt = 32;
constexpr size_t kFileBytes = 40;

uint64_t ChecksumOf(const char* bytes) {
  return PositionedChecksum(bytes, kChecksumAt, GetU64(bytes), 0);
}

std::string Encode(const LogId& log_id, uint64_t generation) {
  std::string bytes(kFileBytes, '\0');
  std::memcpy(bytes.data(), kMagic, 8);
  PutU64(bytes.data() + kLogIdAt, log_id[0]);
  PutU64(bytes.data() + kLogIdAt + 8, log_id[1]);
  PutU64(bytes.data() + kGenerationAt, generation);
  PutU64(bytes.data() + kChecksumAt, ChecksumOf(bytes.data()));
  return bytes;
}

// 0 if these are no such bytes, or another log's.
uint64_t Decode(const std::string& bytes, const LogId& log_id) {
  if (bytes.size() != kFileBytes || bytes != Encode(log_id, GetU64(bytes.data() + kGenerationAt))) {
    return 0;
  }
  return GetU64(bytes.data() + kGenerationAt);
}

absl::StatusOr<std::string> ReadSmallFile(FileSystem* fs, const std::string& path) {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, path, OpenOptions());
  if (absl::IsNotFound(file.status())) return std::string();
  if (!file.ok()) return file.status();
  std::string bytes(kFileBytes + 1, '\0');
  absl::StatusOr<size_t> got = ReadAt(file->get(), path, 0, bytes.size(), bytes.data());
  if (!got.ok()) return got.status();
  bytes.resize(*got);
  return bytes;
}

}  // namespace

Archiver::Archiver(AnchoredFileSystem* fs, std::string directory, const Options& options,
                   SegmentStore* store)
    : fs_(fs),
      directory_(std::move(directory)),
      options_(options),
      store_(store),
      shared_(std::make_shared<Shared>(options.archive)) {}

absl::Status Archiver::Load(const RecoveredLog& log) {
  if (!options_.archive) return absl::OkStatus();
  log_id_ = log.control.log_id;
  absl::StatusOr<std::string> bytes = ReadSmallFile(fs_, JoinPath(directory_, kArchivedName));
  if (!bytes.ok()) return bytes.status();
  archived_ = Decode(*bytes, log_id_);
  const size_t next = log.segments.FirstAbove(archived_);
  if (next == log.segments.size()) {
    // The tail was there before its archiving: this word came from a later state of the log than
    // the files did, and proves nothing either.
    archived_ = 0;
    return store_->retention().SetHold(HoldKind::kArchive, kHoldName,
                                       log.segments.front().base_lsn);
  }
  return store_->retention().SetHold(HoldKind::kArchive, kHoldName, log.segments[next].base_lsn);
}

void Archiver::Start() {
  if (!options_.archive) return;
  thread_ = std::thread([this, shared = shared_] { Run(shared.get()); });
}

absl::Status Archiver::Stop() {
  if (!thread_.joinable()) return absl::OkStatus();
  const auto bound = std::chrono::microseconds(options_.archive_close_micros);
  std::string late_path;
  Lsn late_lsn = 0;
  bool abandoned = false;
  {
    MutexLock lock(&shared_->mutex);
    const Clock::time_point deadline = Clock::now() + bound;
    shared_->stop = true;
    shared_->deadline = deadline;
    shared_->changed.NotifyAll();
    while (!shared_->ended) {
      const bool late = Clock::now() >= deadline;
      if (late && shared_->in_hook) {
        shared_->abandoned = abandoned = true;
        break;
      }
      // After the deadline the thread is not in the hook, and only has to note what it took.
      if (late) {
        shared_->changed.Wait(&shared_->mutex);
      } else {
        shared_->changed.WaitUntil(&shared_->mutex, deadline);
      }
    }
    late_path = shared_->late_path;
    late_lsn = shared_->late_lsn;
  }
  if (abandoned) {
    thread_.detach();
  } else {
    thread_.join();
  }
  if (late_lsn == 0) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat(
      late_path, ": expected the archive hook to return within ", bound.count(),
      " microseconds of Close(), found it at work: this segment and those sealed after it, from "
      "record ",
      late_lsn, " on, are not archived; they are when the log is opened again"));
}

void Archiver::AddStats(Stats* stats) const {
  MutexLock lock(&shared_->mutex);
  stats->segments_archived = shared_->archived_segments;
  stats->archive_failures = shared_->failures;
}

void Archiver::Run(Shared* shared) {
  const auto first_pause = std::chrono::microseconds(options_.archive_retry_micros);
  Clock::duration pause = first_pause;
  // Found anew after each failure: a truncation may have cut the segment off.
  while (std::optional<SegmentRef> segment = store_->AwaitSealed(archived_)) {
    // The hook goes by path. One that leads to another log would put that log into the archive.
    absl::StatusOr<std::string> path = fs_->CurrentPathOf(segment->path);
    Called called = path.ok() ? CallHook(*segment, *path, shared) : Called::kFailed;
    if (called == Called::kAbandoned) return;  // not this->anything from here on
    if (called == Called::kTooLate) break;
    if (called == Called::kTaken && Remember(segment->generation).ok()) {
      archived_ = segment->generation;
      pause = first_pause;
      // By the generation: a truncation or Reset may have given its last LSN to another segment.
      store_->retention().HoldAfter(HoldKind::kArchive, kHoldName, archived_);
      MutexLock lock(&shared->mutex);
      ++shared->archived_segments;
      continue;
    }
    MutexLock lock(&shared->mutex);
    ++shared->failures;
    const Clock::time_point until = Clock::now() + pause;
    while (!shared->stop && Clock::now() < until) shared->changed.WaitUntil(&shared->mutex, until);
    if (shared->stop) break;
    pause = std::min<Clock::duration>(2 * pause, kLongestPause);
  }
  MutexLock lock(&shared->mutex);
  shared->ended = true;
  shared->changed.NotifyAll();
}

Archiver::Called Archiver::CallHook(const SegmentRef& segment, const std::string& path,
                                    Shared* shared) {
  SealedSegment sealed;
  sealed.path = path;
  sealed.generation = segment.generation;
  sealed.first_lsn = segment.base_lsn;
  sealed.last_lsn = segment.last_lsn;
  sealed.bytes = segment.end;
  {
    MutexLock lock(&shared->mutex);
    shared->late_path = sealed.path;
    shared->late_lsn = sealed.first_lsn;
    if (Clock::now() >= shared->deadline) return Called::kTooLate;
    shared->in_hook = true;
  }
  absl::Status status;
  try {
    status = shared->hook(sealed);
  } catch (...) {
    // The caller's code: what it throws must not end the process from a thread of the log's.
    status = absl::UnknownError("the archive hook threw an exception");
  }
  MutexLock lock(&shared->mutex);
  shared->in_hook = false;
  if (shared->abandoned) return Called::kAbandoned;
  shared->late_lsn = 0;
  return status.ok() ? Called::kTaken : Called::kFailed;
}

// A new file each time: nothing of a write or sync that failed is relied upon.
absl::Status Archiver::Remember(uint64_t generation) {
  const std::string path = JoinPath(directory_, kTemporaryName);
  int error = fs_->Unlink(path);
  if (error != 0 && error != ENOENT) return ErrnoStatus(error, "unlink", path);
  OpenOptions open;
  open.write = open.create = open.exclusive = true;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, path, open);
  if (!file.ok()) return file.status();
  absl::Status status = WriteAt(file->get(), path, 0, Encode(log_id_, generation));
  if (status.ok()) status = SyncFile(file->get(), path, File::SyncKind::kData);
  if (!status.ok()) return status;
  error = fs_->Rename(path, JoinPath(directory_, kArchivedName));
  if (error != 0) return ErrnoStatus(error, "rename", path);
  return SyncDirectory(fs_, directory_);
}

}  // namespace seawall
