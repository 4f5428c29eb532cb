// SPDX-License-Identifier: Apache-2.0
// A durable queue with any number of named consumers, each of which gets every message. It is three
// things that the log does: append, read from a cursor, advance the cursor.
//
// At least once: what was taken and not yet done when the process ends is given out again.
#ifndef SEAWALL_EXAMPLES_QUEUE_QUEUE_H_
#define SEAWALL_EXAMPLES_QUEUE_QUEUE_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/log.h"

namespace queue {

// One consumer of a queue, which must outlive it. One thread at a time.
class Consumer {
 public:
  Consumer(seawall::Log* log, std::unique_ptr<seawall::Cursor> cursor)
      : log_(log), cursor_(std::move(cursor)), taken_(cursor_->position()) {}

  // The next message; none if all were taken.
  absl::StatusOr<std::optional<std::string>> Take();

  // All that was taken is done with: durable when this returns. What nobody wants any more is given
  // back to the disk.
  absl::Status Done();

 private:
  seawall::Log* const log_;
  const std::unique_ptr<seawall::Cursor> cursor_;
  std::unique_ptr<seawall::Reader> reader_;
  seawall::Lsn taken_;
};

// Thread-safe.
class Queue {
 public:
  // As seawall::Log::Open.
  static absl::StatusOr<std::unique_ptr<Queue>> Open(const std::string& directory,
                                                     seawall::Options options = {});

  // Durable when it returns.
  absl::Status Push(std::string_view message) { return log_->AppendDurable(message).status(); }

  // A new name gets all that is kept: from the first message that a consumer before it has not
  // done.
  absl::StatusOr<std::unique_ptr<Consumer>> Subscribe(std::string_view name);
  // Nothing is kept for it any more.
  absl::Status Unsubscribe(std::string_view name) { return log_->DropCursor(name); }

  seawall::Log* log() { return log_.get(); }

 private:
  explicit Queue(std::unique_ptr<seawall::Log> log) : log_(std::move(log)) {}

  const std::unique_ptr<seawall::Log> log_;
};

}  // namespace queue

#endif  // SEAWALL_EXAMPLES_QUEUE_QUEUE_H_
