// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/cursor_holds.h"

#include <string>
#include <utility>

namespace seawall {

Lsn CursorHolds::HoldAll(std::string_view name) {
  return retention_->HoldFirst(HoldKind::kCursor, std::string(name));
}

void CursorHolds::Update(const CursorSet& cursors) {
  std::vector<CursorPosition> holds = cursors.holds();
  // Both are in the order of names.
  auto before = held_.begin();
  for (const CursorPosition& hold : holds) {
    for (; before != held_.end() && before->name < hold.name; ++before) {
      retention_->ReleaseHold(HoldKind::kCursor, before->name);
    }
    const bool known = before != held_.end() && before->name == hold.name;
    // Never below what is kept: it was held there until now, or a truncation ends there.
    if (!known || before->lsn != hold.lsn) {
      (void)retention_->SetHold(HoldKind::kCursor, hold.name, hold.lsn);
    }
    if (known) ++before;
  }
  for (; before != held_.end(); ++before) retention_->ReleaseHold(HoldKind::kCursor, before->name);
  held_ = std::move(holds);
}

}  // namespace seawall
