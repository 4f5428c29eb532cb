// SPDX-License-Identifier: Apache-2.0
// A log that only the process that opened it can use.
#ifndef SEAWALL_ENGINE_LOG_OWNED_LOG_H_
#define SEAWALL_ENGINE_LOG_OWNED_LOG_H_

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/process_owner.h"
#include "seawall/log.h"

namespace seawall {

// A cursor of such a log. `owner` is the log's, which outlives it.
class OwnedCursor : public Cursor {
 public:
  OwnedCursor(std::unique_ptr<Cursor> cursor, const ProcessOwner* owner)
      : cursor_(std::move(cursor)), owner_(owner) {}

  const std::string& name() const override { return cursor_->name(); }
  Lsn position() const override { return owner_->IsMine() ? cursor_->position() : 0; }
  absl::Status Advance(Lsn lsn, Durability until) override {
    return owner_->IsMine() ? cursor_->Advance(lsn, until) : owner_->Refusal();
  }

 private:
  const std::unique_ptr<Cursor> cursor_;
  const ProcessOwner* const owner_;
};

// Stands before `Impl`, a Log, and lets calls pass in the process that made it. In any other one,
// which has a copy of its memory, what can fail is refused before it touches anything, what cannot
// returns 0 or nothing, and the destructor leaves all as it is: the threads that it would join are
// not there, the locks may be held for ever by one of them, and the files are the owner's. What is
// left so is memory of a process that does not use it, and descriptors, which close with it.
//
// `Impl` is named so that the calls are direct ones: the check costs an append one relaxed load.
template <typename Impl>
class OwnedLog final : public Log {
 public:
  explicit OwnedLog(std::unique_ptr<Impl> log) : log_(std::move(log)) {}
  ~OwnedLog() override {
    if (!owner_.IsMine()) (void)log_.release();
  }

  const RecoveryReport& recovery_report() const override { return log_->Impl::recovery_report(); }

  std::string metadata() const override {
    return owner_.IsMine() ? log_->Impl::metadata() : std::string();
  }
  absl::Status SetMetadata(std::string_view metadata) override {
    return owner_.IsMine() ? log_->Impl::SetMetadata(metadata) : owner_.Refusal();
  }

  absl::StatusOr<Lsn> Append(std::string_view record, Durability until) override {
    if (!owner_.IsMine()) return owner_.Refusal();
    return log_->Impl::Append(record, until);
  }
  absl::StatusOr<LsnRange> AppendBatch(absl::Span<const std::string_view> records,
                                       Durability until) override {
    if (!owner_.IsMine()) return owner_.Refusal();
    return log_->Impl::AppendBatch(records, until);
  }
  absl::Status Wait(Lsn lsn, Durability level) override {
    return owner_.IsMine() ? log_->Impl::Wait(lsn, level) : owner_.Refusal();
  }
  absl::Status NotifyDurable(Lsn lsn,
                             absl::AnyInvocable<void(const absl::Status&)> callback) override {
    if (!owner_.IsMine()) return owner_.Refusal();
    return log_->Impl::NotifyDurable(lsn, std::move(callback));
  }

  Lsn first_lsn() const override { return owner_.IsMine() ? log_->Impl::first_lsn() : 0; }
  Lsn appended_lsn() const override { return owner_.IsMine() ? log_->Impl::appended_lsn() : 0; }
  Lsn written_lsn() const override { return owner_.IsMine() ? log_->Impl::written_lsn() : 0; }
  Lsn durable_lsn() const override { return owner_.IsMine() ? log_->Impl::durable_lsn() : 0; }

  absl::StatusOr<std::string> Read(Lsn lsn) override {
    if (!owner_.IsMine()) return owner_.Refusal();
    return log_->Impl::Read(lsn);
  }
  absl::StatusOr<std::unique_ptr<Reader>> NewReader(Lsn from, ReadLimit limit) override {
    if (!owner_.IsMine()) return owner_.Refusal();
    return log_->Impl::NewReader(from, limit);
  }

  absl::Status TrimBefore(Lsn lsn) override {
    return owner_.IsMine() ? log_->Impl::TrimBefore(lsn) : owner_.Refusal();
  }
  absl::StatusOr<std::unique_ptr<Cursor>> OpenCursor(std::string_view name) override {
    if (!owner_.IsMine()) return owner_.Refusal();
    absl::StatusOr<std::unique_ptr<Cursor>> cursor = log_->Impl::OpenCursor(name);
    if (!cursor.ok()) return cursor;
    return std::make_unique<OwnedCursor>(*std::move(cursor), &owner_);
  }
  absl::Status DropCursor(std::string_view name) override {
    return owner_.IsMine() ? log_->Impl::DropCursor(name) : owner_.Refusal();
  }
  std::vector<CursorInfo> cursors() const override {
    return owner_.IsMine() ? log_->Impl::cursors() : std::vector<CursorInfo>();
  }
  absl::Status TruncateAfter(Lsn lsn) override {
    return owner_.IsMine() ? log_->Impl::TruncateAfter(lsn) : owner_.Refusal();
  }
  absl::Status Reset(Lsn first_lsn) override {
    return owner_.IsMine() ? log_->Impl::Reset(first_lsn) : owner_.Refusal();
  }
  absl::StatusOr<BackupReport> Backup(const std::string& destination,
                                      const BackupOptions& options) override {
    if (!owner_.IsMine()) return owner_.Refusal();
    return log_->Impl::Backup(destination, options);
  }
  absl::Status Close() override { return owner_.IsMine() ? log_->Impl::Close() : owner_.Refusal(); }

  Stats stats() const override { return owner_.IsMine() ? log_->Impl::stats() : Stats(); }
  RetentionReport retention_report() override {
    return owner_.IsMine() ? log_->Impl::retention_report() : RetentionReport();
  }

 private:
  const ProcessOwner owner_{"the log"};
  std::unique_ptr<Impl> log_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_LOG_OWNED_LOG_H_
