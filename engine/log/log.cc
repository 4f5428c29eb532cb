// SPDX-License-Identifier: Apache-2.0
#include "seawall/log.h"

#include <atomic>
#include <chrono>
#include <new>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/base/attributes.h"
#include "absl/strings/str_cat.h"
#include "engine/commit/commit_cursors.h"
#include "engine/commit/group_buffer.h"
#include "engine/commit/group_commit.h"
#include "engine/copy/archiver.h"
#include "engine/copy/backup.h"
#include "engine/follow/watermark_publisher.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/anchored_file_system.h"
#include "engine/io/file_io.h"
#include "engine/io/log_place.h"
#include "engine/log/log_config.h"
#include "engine/log/log_directory.h"
#include "engine/log/log_reads.h"
#include "engine/log/owned_log.h"
#include "engine/metrics/event_dispatcher.h"
#include "engine/recovery/recovery.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/store/segment_store.h"
#include "engine/store/watermarks.h"
#include "seawall/cursor.h"

namespace seawall {
namespace {

// A name, and the cursors of the log that has it.
class LogCursor : public Cursor {
 public:
  LogCursor(CommitCursors* cursors, std::string name) : cursors_(cursors), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  Lsn position() const override { return cursors_->PositionOf(name_); }
  absl::Status Advance(Lsn lsn, Durability until) override {
    return cursors_->Advance(name_, lsn, until);
  }

 private:
  CommitCursors* const cursors_;
  const std::string name_;
};

// A backup's hold, released also when a function of the caller's throws.
class BackupHold {
 public:
  BackupHold(SegmentStore* store, std::string name) : store_(store), name_(std::move(name)) {
    (void)store_->retention().HoldFirst(HoldKind::kBackup, name_);
  }
  ~BackupHold() { store_->retention().ReleaseHold(HoldKind::kBackup, name_); }
  BackupHold(const BackupHold&) = delete;
  BackupHold& operator=(const BackupHold&) = delete;

 private:
  SegmentStore* const store_;
  const std::string name_;
};

// Ties the parts of an open log together. What they share is guarded by them: each says in its
// header by which lock. This class itself changes only in Start() and in Close(), beside which no
// other call runs, so it has no lock. Its members are built from config_, and each may use those
// that are declared before it.
class LogImpl final : public Log {
 public:
  // `buffers` are those of AllocateBuffers(). Touches no file before Start().
  LogImpl(std::unique_ptr<AnchoredFileSystem> files, LogConfig config,
          std::vector<GroupBuffer> buffers)
      : files_(std::move(files)),
        config_(std::move(config)),
        events_(config_.directory, config_.options),
        marks_([files = files_.get()] { return files->PlaceNote(); }),
        store_(config_.fs(), config_.directory, config_.options, &marks_, &events_),
        archiver_(files_.get(), config_.directory, config_.options, &store_),
        commit_(config_.options, std::move(buffers), &store_, &marks_, &events_),
        cursors_(&commit_, &marks_),
        reads_(config_.fs(), &marks_, &store_),
        watermark_(config_.fs(), config_.directory, &marks_) {}

  ~LogImpl() override { (void)Close(); }

  // ResourceExhausted if the kernel gives no thread. Recovery has been carried out then, and the
  // log is as if its process had been killed.
  absl::Status Start(std::unique_ptr<DirectoryLock> lock, RecoveredLog recovered,
                     const RecoveryReport& report) {
    lock_ = std::move(lock);
    report_ = report;
    const uint64_t end = recovered.fresh.end;
    const uint64_t digest = recovered.fresh.digest;
    SegmentStoreCallbacks callbacks;
    callbacks.before_cut = [this](Lsn first_cut) { watermark_.AnnounceCut(first_cut); };
    const LogId log_id = recovered.control.log_id;
    callbacks.on_failure = [this](const absl::Status& status) {
      commit_.Latch(marks_.WithPlace(status));
    };
    absl::Status status = archiver_.Load(recovered);
    if (!status.ok()) {
      lock_.reset();
      return status;
    }
    try {
      if (config_.options.cursors) commit_.StartCursors(recovered.cursors);
      events_.Start();
      commit_.Start(recovered.fresh.segment, end, digest, report.last_lsn);
      store_.Start(std::move(recovered), std::move(callbacks));
      watermark_.Start(log_id);
      archiver_.Start();
    } catch (const std::system_error& error) {
      (void)commit_.Close();
      watermark_.Stop();  // it writes, so it stops before the lock is released
      store_.Stop();
      lock_.reset();
      return absl::ResourceExhaustedError(absl::StrCat(
          "start the threads of the log: expected 3, one more for on_event and for archive, found ",
          error.what()));
    }
    closed_ = false;
    return absl::OkStatus();
  }

  const RecoveryReport& recovery_report() const override { return report_; }

  // Inlined into OwnedLog's Append(): as a call of its own it costs an append of 128 bytes 6% more
  // instructions (callgrind).
  ABSL_ATTRIBUTE_ALWAYS_INLINE absl::StatusOr<Lsn> Append(std::string_view record,
                                                          Durability until) override {
    if (record.size() > config_.options.max_record_bytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("append a record of ", record.size(), " bytes: expected at most ",
                       config_.options.max_record_bytes, " (max_record_bytes)"));
    }
    const Lsn lsn = commit_.TryAppend(record);
    if (lsn != 0) return Reached(lsn, until);
    absl::StatusOr<LsnRange> range = commit_.Append({&record, 1}, /*tried=*/true);
    if (!range.ok()) return range.status();
    return Reached(range->last, until);
  }

  absl::StatusOr<LsnRange> AppendBatch(absl::Span<const std::string_view> records,
                                       Durability until) override {
    if (records.empty()) {
      return absl::InvalidArgumentError("append a batch of 0 records: expected at least 1");
    }
    if (records.size() > kMaxBatchRecords) {
      return absl::InvalidArgumentError(absl::StrCat("append a batch of ", records.size(),
                                                     " records: expected at most ",
                                                     kMaxBatchRecords, " (kMaxBatchRecords)"));
    }
    uint64_t bytes = 0;
    for (std::string_view record : records) {
      if (record.size() > config_.options.max_record_bytes) {
        return absl::InvalidArgumentError(absl::StrCat(
            "append a batch with a record of ", record.size(), " bytes: expected at most ",
            config_.options.max_record_bytes, " (max_record_bytes)"));
      }
      bytes += EncodedRecordBytes(record.size());
    }
    if (bytes > config_.options.MaxBatchBytes()) {
      return absl::InvalidArgumentError(
          absl::StrCat("append a batch of ", bytes, " bytes, counting ", kRecordHeaderBytes,
                       " for each record: expected at most ", config_.options.MaxBatchBytes(),
                       " (MaxBatchBytes)"));
    }
    absl::StatusOr<LsnRange> range = commit_.Append(records, /*tried=*/false);
    if (!range.ok()) return range;
    absl::StatusOr<Lsn> reached = Reached(range->last, until);
    if (!reached.ok()) return reached.status();
    return range;
  }

  absl::Status Wait(Lsn lsn, Durability level) override { return commit_.Wait(lsn, level); }

  absl::Status NotifyDurable(Lsn lsn,
                             absl::AnyInvocable<void(const absl::Status&)> callback) override {
    return commit_.Notify(lsn, std::move(callback));
  }

  Lsn first_lsn() const override { return store_.first_lsn(); }
  Lsn appended_lsn() const override { return commit_.appended_lsn(); }
  Lsn written_lsn() const override { return marks_.written_lsn(); }
  Lsn durable_lsn() const override { return marks_.durable_lsn(); }

  absl::StatusOr<std::string> Read(Lsn lsn) override {
    if (closed_) return absl::FailedPreconditionError("the log is closed");
    return reads_.Read(lsn);
  }

  absl::StatusOr<std::unique_ptr<Reader>> NewReader(Lsn from, ReadLimit limit) override {
    if (closed_) return absl::FailedPreconditionError("the log is closed");
    return reads_.NewReader(from, limit);
  }

  absl::Status TrimBefore(Lsn lsn) override {
    absl::Status status = commit_.status();
    if (!status.ok()) return status;
    if (lsn > durable_lsn() + 1) {
      return absl::OutOfRangeError(absl::StrCat("trim before record ", lsn, ": expected at most ",
                                                durable_lsn() + 1,
                                                ", one above the last durable one"));
    }
    return Latched(store_.retention().TrimBefore(lsn));
  }

  std::string metadata() const override { return store_.metadata(); }

  absl::Status SetMetadata(std::string_view metadata) override {
    if (metadata.size() > kMaxMetadataBytes) {
      return absl::InvalidArgumentError(absl::StrCat("set metadata of ", metadata.size(),
                                                     " bytes: expected at most ", kMaxMetadataBytes,
                                                     " (kMaxMetadataBytes)"));
    }
    absl::Status status = commit_.status();
    return status.ok() ? Latched(store_.SetMetadata(metadata)) : status;
  }

  absl::StatusOr<std::unique_ptr<Cursor>> OpenCursor(std::string_view name) override {
    absl::Status status = cursors_.Open(name);
    if (!status.ok()) return status;
    return std::make_unique<LogCursor>(&cursors_, std::string(name));
  }

  absl::Status DropCursor(std::string_view name) override { return cursors_.Drop(name); }

  std::vector<CursorInfo> cursors() const override { return cursors_.List(); }

  absl::Status TruncateAfter(Lsn lsn) override {
    return Latched(commit_.Truncate(lsn, /*reset=*/false));
  }

  absl::Status Reset(Lsn first_lsn) override {
    if (first_lsn < kFirstLsn || first_lsn > kMaxFirstLsn) {
      return absl::InvalidArgumentError(absl::StrCat(
          "reset to begin at record ", first_lsn, ": expected ", kFirstLsn, " to ", kMaxFirstLsn));
    }
    return Latched(commit_.Truncate(first_lsn - 1, /*reset=*/true));
  }

  absl::StatusOr<BackupReport> Backup(const std::string& destination,
                                      const BackupOptions& wanted) override {
    if (closed_) return absl::FailedPreconditionError("the log is closed");
    BackupOptions options = wanted;
    options.file_system = files_->base();
    const Lsn durable = durable_lsn();
    // This is 0 for a log without a durable record, even if others append meanwhile.
    const Lsn to_lsn = wanted.to_lsn == 0 ? durable : wanted.to_lsn;
    if (to_lsn > durable) {
      return absl::OutOfRangeError(absl::StrCat("back up to record ", to_lsn, ": expected at most ",
                                                durable, ", the last durable one"));
    }
    const BackupHold hold(&store_, absl::StrCat(destination, " ", ++backups_));
    // The backup may share blocks with its segments (reflinks). Writing such a file again needs new
    // blocks, for which there may be no space.
    store_.retention().StopRecycling();
    return BackupUpTo(config_.fs(), config_.directory, destination, options, to_lsn);
  }

  absl::Status Close() override {
    if (closed_) return close_status_;
    closed_ = true;
    close_status_ = commit_.Close();
    watermark_.Stop();
    store_.Stop();
    if (close_status_.ok()) {
      const absl::Status marked = store_.MarkClosed(commit_.digest());
      if (!marked.ok()) {
        marks_.Fail(marks_.WithPlace(marked));
        close_status_ = marks_.failure();
      }
    }
    // The log is closed before the caller's code is waited for.
    const absl::Status archived = archiver_.Stop();
    if (close_status_.ok()) close_status_ = archived;
    lock_.reset();
    events_.Stop();
    return close_status_;
  }

  RetentionReport retention_report() override { return store_.retention().retention_report(); }

  Stats stats() const override {
    Stats stats = commit_.stats();
    stats.watermark_failures = watermark_.failures();
    archiver_.AddStats(&stats);
    return stats;
  }

 private:
  // Returns the sticky error instead of `status`, if there is one: so do all later calls.
  absl::Status Latched(absl::Status status) const {
    if (status.ok()) return status;
    absl::Status latched = commit_.status();
    return latched.ok() ? status : latched;
  }

  // Returns `lsn` when it has come as far as `until`.
  absl::StatusOr<Lsn> Reached(Lsn lsn, Durability until) {
    if (until == Durability::kAppended) return lsn;
    absl::Status status = commit_.Wait(lsn, until);
    if (!status.ok()) return status;
    return lsn;
  }

  const std::unique_ptr<AnchoredFileSystem> files_;
  const LogConfig config_;  // its file system is files_
  std::unique_ptr<DirectoryLock> lock_;
  RecoveryReport report_;
  EventDispatcher events_;
  Watermarks marks_;
  SegmentStore store_;
  Archiver archiver_;
  GroupCommit commit_;
  CommitCursors cursors_;
  LogReads reads_;
  WatermarkPublisher watermark_;
  std::atomic<uint64_t> backups_{0};  // gives each one's hold a name of its own
  bool closed_ = true;  // before Start(), too; Close() is not called beside other calls
  absl::Status close_status_;
};

// The one place where too little memory is an error and no exception.
absl::StatusOr<std::vector<GroupBuffer>> TakeBuffers(const std::string& directory,
                                                     const Options& options) {
  try {
    return AllocateBuffers(options);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "open the log in ", directory, ": no memory for ", options.buffer_count, " buffers of ",
        options.buffer_bytes, " bytes, together ", options.buffer_count * options.buffer_bytes,
        " bytes (buffer_count, buffer_bytes)"));
  }
}

absl::StatusOr<RecoveredLog> Recover(const LogConfig& config, RecoveryPlan* plan) {
  absl::StatusOr<RecoveredLog> log =
      ApplyRecovery(config.fs(), config.directory, config.options, plan);
  if (config.options.direct_io && absl::IsInvalidArgument(log.status())) {
    return absl::UnimplementedError(
        absl::StrCat(log.status().message(), ": the file system of ", config.directory,
                     " has no O_DIRECT; open the log without direct_io"));
  }
  return log;
}

uint64_t MicrosSince(std::chrono::steady_clock::time_point start) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::steady_clock::now() - start)
                                   .count());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Log>> Log::Open(const std::string& directory,
                                               const Options& options) {
  const auto start = std::chrono::steady_clock::now();
  absl::Status status = options.Validate();
  if (!status.ok()) return status;
  if (directory.empty()) return absl::InvalidArgumentError("the log's directory has no name");
  FileSystem* fs = options.file_system == nullptr ? FileSystem::Posix() : options.file_system;
  absl::StatusOr<bool> exists = CheckDirectory(fs, directory, options);
  if (!exists.ok()) return exists.status();
  // Without the memory, nothing on disk has changed.
  absl::StatusOr<std::vector<GroupBuffer>> buffers = TakeBuffers(directory, options);
  if (!buffers.ok()) return buffers.status();

  if (!*exists) status = MakePlace(fs, directory).status();
  if (!status.ok()) return status;
  auto files = std::make_unique<AnchoredFileSystem>(fs, directory);
  if (files->error() != 0) {
    return ErrnoStatus(files->error(), "open the directory", directory);
  }
  absl::StatusOr<std::unique_ptr<DirectoryLock>> lock = TakeLock(files->directory());
  if (!lock.ok()) return lock.status();
  absl::StatusOr<RecoveryPlan> plan =
      PlanRecovery(files.get(), directory, /*carry_small_tail=*/true);
  if (!plan.ok()) return plan.status();
  absl::StatusOr<LogConfig> config = MakeLogConfig(files.get(), directory, options, *plan);
  if (!config.ok()) return config.status();

  auto log = std::make_unique<LogImpl>(std::move(files), *config, *std::move(buffers));
  absl::StatusOr<RecoveredLog> recovered = Recover(*config, &*plan);
  if (!recovered.ok()) return recovered.status();
  plan->report.elapsed_micros = MicrosSince(start);
  status = log->Start(*std::move(lock), *std::move(recovered), plan->report);
  if (!status.ok()) return status;
  return std::make_unique<OwnedLog<LogImpl>>(std::move(log));
}

}  // namespace seawall
