// SPDX-License-Identifier: Apache-2.0
// How a reader of an open log waits at its end.
#ifndef SEAWALL_ENGINE_FOLLOW_COMMIT_WATCH_H_
#define SEAWALL_ENGINE_FOLLOW_COMMIT_WATCH_H_

#include <atomic>
#include <cstdint>

#include "absl/status/status.h"
#include "engine/read/log_reader.h"
#include "engine/store/watermarks.h"
#include "seawall/types.h"

namespace seawall {

class CommitWatch : public ReadWatch {
 public:
  // `marks` outlives this.
  CommitWatch(Watermarks* marks, Durability level) : marks_(marks), level_(level) {}

  void Begin() override { marks_->watch().Begin(level_); }
  void End() override { marks_->watch().End(level_); }
  absl::Status Look() override {
    seen_ = marks_->watch().Seen(level_);
    // Loaded behind the word: a Cancel() that is not seen here changes the word later.
    if (cancelled_.load(std::memory_order_relaxed)) {
      return absl::CancelledError("wait for a record: cancelled");
    }
    return marks_->end_status();
  }
  void Sleep(Clock::time_point deadline) override {
    marks_->watch().Sleep(level_, seen_, deadline);
  }
  void Cancel() override {
    cancelled_.store(true, std::memory_order_relaxed);
    marks_->watch().Wake(level_);
  }

 private:
  Watermarks* const marks_;
  const Durability level_;
  uint32_t seen_ = 0;
  std::atomic<bool> cancelled_{false};  // once; published by the word
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FOLLOW_COMMIT_WATCH_H_
