// SPDX-License-Identifier: Apache-2.0
// How a reader of an open log waits at its end.
#ifndef SEAWALL_ENGINE_FOLLOW_COMMIT_WATCH_H_
#define SEAWALL_ENGINE_FOLLOW_COMMIT_WATCH_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "engine/commit/group_commit.h"
#include "engine/commit/watermark_watch.h"
#include "engine/read/log_reader.h"
#include "seawall/types.h"

namespace seawall {

class CommitWatch : public ReadWatch {
 public:
  // `commit` outlives this.
  CommitWatch(GroupCommit* commit, Durability level) : commit_(commit), level_(level) {}

  void Begin() override { commit_->watch().Begin(level_); }
  void End() override { commit_->watch().End(level_); }
  absl::Status Look() override {
    seen_ = commit_->watch().Seen(level_);
    // Loaded behind the word: a Cancel() that is not seen here changes the word later.
    if (cancelled_.load(std::memory_order_relaxed)) {
      return absl::CancelledError("wait for a record: cancelled");
    }
    return commit_->end_status();
  }
  void Sleep(Clock::time_point deadline) override {
    commit_->watch().Sleep(level_, seen_, deadline);
  }
  void Cancel() override {
    cancelled_.store(true, std::memory_order_relaxed);
    commit_->watch().Wake(level_);
  }

 private:
  GroupCommit* const commit_;
  const Durability level_;
  uint32_t seen_ = 0;
  std::atomic<bool> cancelled_{false};  // once; published by the word
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FOLLOW_COMMIT_WATCH_H_
