// SPDX-License-Identifier: Apache-2.0
#include "engine/copy/archiver.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

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

Archiver::Archiver(FileSystem* fs, std::string directory, const Options& options,
                   SegmentStore* store)
    : fs_(fs), directory_(std::move(directory)), options_(options), store_(store) {}

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
  if (options_.archive) thread_ = std::thread([this] { Run(); });
}

void Archiver::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    work_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void Archiver::AddStats(Stats* stats) const {
  MutexLock lock(&mutex_);
  stats->segments_archived = archived_segments_;
  stats->archive_failures = failures_;
}

void Archiver::Run() {
  const auto first_pause = std::chrono::microseconds(options_.archive_retry_micros);
  Clock::duration pause = first_pause;
  // Found anew after each failure: a truncation may have cut the segment off.
  while (std::optional<SegmentRef> segment = store_->AwaitSealed(archived_)) {
    const absl::Status status = Archive(*segment);
    if (status.ok()) {
      archived_ = segment->generation;
      pause = first_pause;
      // By the generation: a truncation or Reset may have given its last LSN to another segment.
      store_->retention().HoldAfter(HoldKind::kArchive, kHoldName, archived_);
      MutexLock lock(&mutex_);
      ++archived_segments_;
      continue;
    }
    MutexLock lock(&mutex_);
    ++failures_;
    const Clock::time_point until = Clock::now() + pause;
    while (!stop_ && Clock::now() < until) work_.WaitUntil(&mutex_, until);
    if (stop_) return;
    pause = std::min<Clock::duration>(2 * pause, kLongestPause);
  }
}

absl::Status Archiver::Archive(const SegmentRef& segment) {
  SealedSegment sealed;
  sealed.path = segment.path;
  sealed.generation = segment.generation;
  sealed.first_lsn = segment.base_lsn;
  sealed.last_lsn = segment.last_lsn;
  sealed.bytes = segment.end;
  absl::Status status;
  try {
    status = options_.archive(sealed);
  } catch (...) {
    // The caller's code: what it throws must not end the process from a thread of the log's.
    status = absl::UnknownError("the archive hook threw an exception");
  }
  return status.ok() ? Remember(segment.generation) : status;
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
