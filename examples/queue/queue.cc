// SPDX-License-Identifier: Apache-2.0
#include "examples/queue/queue.h"

#include <utility>

namespace queue {

absl::StatusOr<std::optional<std::string>> Consumer::Take() {
  if (reader_ == nullptr) {
    absl::StatusOr<std::unique_ptr<seawall::Reader>> reader = log_->NewReader(taken_ + 1);
    if (!reader.ok()) return reader.status();
    reader_ = std::move(*reader);
  }
  seawall::Record record;
  if (reader_->Next(&record)) {
    taken_ = record.lsn;
    return std::string(record.payload);
  }
  if (!reader_->status().ok()) return reader_->status();
  return std::nullopt;
}

absl::Status Consumer::Done() {
  absl::Status status = cursor_->Advance(taken_);
  // The cursors of the others hold back what they have not done.
  return status.ok() ? log_->TrimBefore(taken_ + 1) : status;
}

absl::StatusOr<std::unique_ptr<Queue>> Queue::Open(const std::string& directory,
                                                   seawall::Options options) {
  options.cursors = true;
  absl::StatusOr<std::unique_ptr<seawall::Log>> log = seawall::Log::Open(directory, options);
  if (!log.ok()) return log.status();
  return std::unique_ptr<Queue>(new Queue(std::move(*log)));
}

absl::StatusOr<std::unique_ptr<Consumer>> Queue::Subscribe(std::string_view name) {
  absl::StatusOr<std::unique_ptr<seawall::Cursor>> cursor = log_->OpenCursor(name);
  if (!cursor.ok()) return cursor.status();
  return std::make_unique<Consumer>(log_.get(), std::move(*cursor));
}

}  // namespace queue
