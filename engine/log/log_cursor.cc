// SPDX-License-Identifier: Apache-2.0
#include "engine/log/log_cursor.h"

#include <utility>

namespace seawall {
namespace {

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

}  // namespace

std::unique_ptr<Cursor> NewLogCursor(CommitCursors* cursors, std::string name) {
  return std::make_unique<LogCursor>(cursors, std::move(name));
}

}  // namespace seawall
