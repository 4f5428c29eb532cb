// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/commit_cursors.h"

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace seawall {

absl::Status CommitCursors::Open(std::string_view name) {
  const auto open = [&](CursorSet* cursors, CursorHolds* holds) -> absl::StatusOr<uint64_t> {
    absl::Status status = CheckCursorName(name);
    if (!status.ok()) return status;
    absl::StatusOr<uint64_t> change = cursors->Open(name, [&] { return holds->HoldAll(name) - 1; });
    if (change.ok()) holds->Update(*cursors);
    return change;
  };
  return commit_->ChangeCursors(Durability::kDurable, open);
}

absl::Status CommitCursors::Advance(std::string_view name, Lsn lsn, Durability until) {
  const auto advance = [&](CursorSet* cursors, CursorHolds*) -> absl::StatusOr<uint64_t> {
    const Lsn durable = marks_->durable_lsn();
    if (lsn <= durable) return cursors->Advance(name, lsn);
    return absl::OutOfRangeError(absl::StrCat("advance cursor \"", std::string(name),
                                              "\" to record ", lsn, ": expected at most ", durable,
                                              ", the last durable one"));
  };
  return commit_->ChangeCursors(until, advance);
}

absl::Status CommitCursors::Drop(std::string_view name) {
  return commit_->ChangeCursors(
      Durability::kDurable, [&](CursorSet* cursors, CursorHolds*) { return cursors->Drop(name); });
}

Lsn CommitCursors::PositionOf(std::string_view name) const {
  Lsn position = 0;
  commit_->ReadCursors([&](const CursorSet& cursors) { position = cursors.position(name); });
  return position;
}

std::vector<CursorInfo> CommitCursors::List() const {
  std::vector<CursorInfo> list;
  commit_->ReadCursors([&](const CursorSet& cursors) { list = cursors.list(); });
  return list;
}

}  // namespace seawall
