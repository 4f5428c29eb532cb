// SPDX-License-Identifier: Apache-2.0
#include "engine/store/watermarks.h"

#include "absl/strings/str_cat.h"

namespace seawall {

Watermark Watermarks::written() const {
  MutexLock lock(&mutex_);
  return written_;
}

Watermark Watermarks::durable() const {
  MutexLock lock(&mutex_);
  return durable_;
}

Watermarks::Durable Watermarks::durable_state() const {
  MutexLock lock(&mutex_);
  return {durable_, cursor_sequence_};
}

absl::Status Watermarks::failure() const {
  return failed() ? absl::AbortedError(failure_message_) : absl::OkStatus();
}

absl::Status Watermarks::end_status() const {
  MutexLock lock(&mutex_);
  if (failed()) return failure();
  return ended_ ? absl::FailedPreconditionError("the log is closed") : absl::OkStatus();
}

void Watermarks::Restart(const Watermark& at, uint64_t cursor_sequence) {
  MutexLock lock(&mutex_);
  written_ = durable_ = at;
  cursor_sequence_ = cursor_sequence;
  written_lsn_.store(at.lsn, std::memory_order_release);
  durable_lsn_.store(at.lsn, std::memory_order_release);
}

bool Watermarks::Advance(const Watermark& written, bool durable, uint64_t cursor_sequence) {
  MutexLock lock(&mutex_);
  written_ = written;
  written_lsn_.store(written.lsn, std::memory_order_release);
  if (!durable) return false;
  const bool entered = durable_.generation != written.generation;
  durable_ = written;
  cursor_sequence_ = cursor_sequence;
  durable_lsn_.store(written.lsn, std::memory_order_release);
  return entered;
}

absl::Status Watermarks::WithPlace(absl::Status status) const {
  if (status.ok() || !place_) return status;
  return absl::Status(status.code(), absl::StrCat(status.message(), place_()));
}

void Watermarks::Fail(const absl::Status& status) {
  MutexLock lock(&mutex_);
  if (failed()) return;
  failure_message_ = absl::StrCat(status.message(), "; the log takes no more until it is reopened");
  failed_.store(true, std::memory_order_release);
}

void Watermarks::End() {
  MutexLock lock(&mutex_);
  ended_ = true;
}

}  // namespace seawall
