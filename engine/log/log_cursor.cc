// SPDX-License-Identifier: Apache-2.0
#include "engine/log/log_cursor.h"

#include <utility>

namespace seawall {
namespace {

class LogCursor : public Cursor {
 public:
  LogCursor(GroupCommit* commit, std::string name) : commit_(commit), name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  Lsn position() const override { return commit_->PositionOf(name_); }
  absl::Status Advance(Lsn lsn, Durability until) override {
    return commit_->AdvanceCursor(name_, lsn, until);
  }

 private:
  GroupCommit* const commit_;
  const std::string name_;
};

}  // namespace

std::unique_ptr<Cursor> NewLogCursor(GroupCommit* commit, std::string name) {
  return std::make_unique<LogCursor>(commit, std::move(name));
}

}  // namespace seawall
