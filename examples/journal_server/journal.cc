// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/journal.h"

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "examples/journal_server/snapshot.h"

namespace journal_server {

using seawall::Lsn;

namespace {

// A record holds what one request did, or one transaction.
static_assert(kMaxRecordBytes >= 2 * kMaxRequestBytes);
constexpr uint64_t kBufferBytes = 2 * kMaxRecordBytes;
constexpr uint64_t kRecordOverheadBytes = 16;

seawall::Options LogOptions(const JournalOptions& options) {
  seawall::Options log;
  log.segment_bytes = options.segment_bytes;
  log.buffer_bytes = std::min(kBufferBytes, options.segment_bytes / 2);
  log.buffer_count = 4;
  log.max_record_bytes = std::min<uint64_t>(kMaxRecordBytes, log.buffer_bytes / 2);
  log.when_full = seawall::WhenFull::kFail;
  log.file_system = options.file_system;
  return log;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Journal>> Journal::Open(const std::string& directory,
                                                       const JournalOptions& options, Store* store,
                                                       std::function<void()> wake) {
  std::unique_ptr<Journal> journal(new Journal(options, std::move(wake)));
  absl::Status status = journal->Recover(directory, store);
  if (!status.ok()) return status;
  return journal;
}

absl::Status Journal::Recover(const std::string& directory, Store* store) {
  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<std::unique_ptr<seawall::Log>> log =
      seawall::Log::Open(directory + "/log", LogOptions(options_));
  if (!log.ok()) return log.status();
  log_ = *std::move(log);
  recovery_.log_report = log_->recovery_report().ToString();
  appended_lsn_ = log_->appended_lsn();
  notified_lsn_ = appended_lsn_;

  absl::StatusOr<SnapshotInfo> snapshot =
      LoadSnapshot(options_.file_system, SnapshotPath(directory), store);
  if (!snapshot.ok()) return snapshot.status();
  recovery_.snapshot_lsn = snapshot->begin_lsn;
  recovery_.snapshot_keys = snapshot->keys;
  if (snapshot->end_lsn > appended_lsn_ || snapshot->begin_lsn + 1 < log_->first_lsn()) {
    return absl::DataLossError(absl::StrCat(SnapshotPath(directory), ": it needs records ",
                                            snapshot->begin_lsn + 1, " to ", snapshot->end_lsn,
                                            " at least; ", directory, "/log has ",
                                            log_->first_lsn(), " to ", appended_lsn_));
  }

  absl::StatusOr<std::unique_ptr<seawall::Reader>> reader =
      log_->NewReader(snapshot->begin_lsn + 1);
  if (!reader.ok()) return reader.status();
  seawall::Record record;
  while ((*reader)->Next(&record)) {
    absl::StatusOr<std::vector<Effect>> effects = DecodeRecord(record.payload);
    if (!effects.ok()) {
      return absl::DataLossError(
          absl::StrCat(directory, "/log, record ", record.lsn, ": ", effects.status().message()));
    }
    store->RedoRecord(*effects, record.lsn);
    ++recovery_.redone_records;
    recovery_.redone_bytes += record.payload.size() + kRecordOverheadBytes;
  }
  bytes_since_snapshot_ = recovery_.redone_bytes;
  recovery_.elapsed_micros =
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                std::chrono::steady_clock::now() - start)
                                .count());
  return (*reader)->status();
}

JournalSink::Result Journal::Append(std::string_view record) {
  absl::StatusOr<Lsn> lsn = log_->Append(record);
  if (lsn.ok()) {
    appended_lsn_ = *lsn;
    bytes_since_snapshot_ += record.size() + kRecordOverheadBytes;
    return {};
  }
  const std::string message(lsn.status().message());
  if (absl::IsInvalidArgument(lsn.status())) {
    return {Result::Code::kRefused, absl::StrCat("ERR not done: ", message)};
  }
  if (absl::IsResourceExhausted(lsn.status())) {
    // Full buffers have the same code as a full disk. But they are drained in time, and with
    // nothing left in them it is the disk.
    const bool drained = log_->written_lsn() >= appended_lsn_;
    return {drained ? Result::Code::kRefused : Result::Code::kBusy,
            absl::StrCat("MISCONF not journaled, and so not done: ", message)};
  }
  Fail(lsn.status());
  return {Result::Code::kFailed, message};
}

void Journal::Push() {
  if (options_.acknowledge == Acknowledge::kAlways) {
    PushDurable();
  } else if (!syncing() && log_->written_lsn() < appended_lsn_) {
    absl::Status status = log_->WaitWritten(appended_lsn_);
    if (!status.ok()) Fail(status);
  }
}

void Journal::PushDurable() {
  if (notified_lsn_ == appended_lsn_) return;
  notified_lsn_ = appended_lsn_;
  absl::Status status = log_->NotifyDurable(appended_lsn_, [this](const absl::Status& result) {
    if (!result.ok()) Fail(result);
    wake_();
  });
  if (!status.ok()) Fail(status);
}

Lsn Journal::Reached() const {
  return options_.acknowledge == Acknowledge::kAlways ? log_->durable_lsn() : log_->written_lsn();
}

absl::Status Journal::failure() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return failed_ ? absl::UnavailableError(failure_) : absl::OkStatus();
}

void Journal::Fail(const absl::Status& status) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (failed_) return;
    failed_ = true;
    failure_ = status.ToString();
  }
  wake_();
}

}  // namespace journal_server
