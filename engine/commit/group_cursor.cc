// SPDX-License-Identifier: Apache-2.0
// The part of GroupCommit that keeps cursors: their table is written before a sync that a round
// makes, and who waits for it waits in the queue of those that wait for records.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/commit/group_commit.h"

namespace seawall {

void GroupCommit::StartCursors(CursorTable table) {
  MutexLock lock(&mutex_);
  cursors_.Start(std::move(table));
  HoldForCursors();
}

absl::Status GroupCommit::CursorStatus() const {
  absl::Status status = StatusLocked();
  if (!status.ok() || cursors_.enabled()) return status;
  return absl::FailedPreconditionError(
      "the log has no cursors: open it with Options::cursors to give it some");
}

absl::Status GroupCommit::OpenCursor(std::string_view name) {
  mutex_.Lock();
  absl::Status status = CursorStatus();
  if (status.ok()) status = CheckCursorName(name);
  const auto begin = [this, name] {
    return store_->HoldFirst(HoldKind::kCursor, std::string(name)) - 1;
  };
  absl::StatusOr<uint64_t> change = status.ok() ? cursors_.Open(name, begin) : status;
  if (change.ok()) {
    HoldForCursors();
    return WaitForCursors(*change);
  }
  mutex_.Unlock();
  return change.status();
}

void GroupCommit::HoldForCursors() {
  std::vector<CursorPosition> holds = cursors_.holds();
  // Both are in the order of names.
  auto before = cursor_holds_.begin();
  for (const CursorPosition& hold : holds) {
    for (; before != cursor_holds_.end() && before->name < hold.name; ++before) {
      store_->ReleaseHold(HoldKind::kCursor, before->name);
    }
    const bool known = before != cursor_holds_.end() && before->name == hold.name;
    // Never below what is kept: it was held there until now, or a truncation ends there.
    if (!known || before->lsn != hold.lsn) {
      (void)store_->SetHold(HoldKind::kCursor, hold.name, hold.lsn);
    }
    if (known) ++before;
  }
  for (; before != cursor_holds_.end(); ++before) {
    store_->ReleaseHold(HoldKind::kCursor, before->name);
  }
  cursor_holds_ = std::move(holds);
}

absl::Status GroupCommit::AdvanceCursor(std::string_view name, Lsn lsn, Durability until) {
  mutex_.Lock();
  absl::Status status = CursorStatus();
  const Lsn durable = durable_lsn();
  if (status.ok() && lsn > durable) {
    status = absl::OutOfRangeError(absl::StrCat("advance cursor \"", std::string(name),
                                                "\" to record ", lsn, ": expected at most ",
                                                durable, ", the last durable one"));
  }
  absl::StatusOr<uint64_t> change = status.ok() ? cursors_.Advance(name, lsn) : status;
  if (change.ok() && until != Durability::kAppended) return WaitForCursors(*change);
  mutex_.Unlock();
  return change.status();
}

absl::Status GroupCommit::DropCursor(std::string_view name) {
  mutex_.Lock();
  absl::Status status = CursorStatus();
  absl::StatusOr<uint64_t> change = status.ok() ? cursors_.Drop(name) : status;
  if (change.ok()) return WaitForCursors(*change);
  mutex_.Unlock();
  return change.status();
}

absl::Status GroupCommit::WaitForCursors(uint64_t change) {
  for (;;) {
    absl::Status status;
    if (cursors_.durable_changes() < change) status = StatusLocked();
    if (cursors_.durable_changes() >= change || !status.ok()) {
      mutex_.Unlock();
      return status;
    }
    Waiter waiter;
    waiter.lsn = Waiter::kNever;
    waiter.cursor_change = change;
    const Waiter::State state = AwaitTurn(&waiter);
    if (state == Waiter::kReached || (state == Waiter::kLead && LeadFor(waiter))) {
      return absl::OkStatus();
    }
    mutex_.Lock();
  }
}

bool GroupCommit::WriteCursors() {
  const CursorTable table = cursors_.Take(1);
  mutex_.Unlock();
  absl::Status status = writer_.WriteCursors(table);
  mutex_.Lock();
  stats_.bytes_written = writer_.bytes_written();
  if (!status.ok()) Fail(status);
  return !marks_->failed();
}

Lsn GroupCommit::PositionOf(std::string_view cursor) const {
  MutexLock lock(&mutex_);
  return cursors_.position(cursor);
}

std::vector<CursorInfo> GroupCommit::Cursors() const {
  MutexLock lock(&mutex_);
  return cursors_.list();
}

}  // namespace seawall
