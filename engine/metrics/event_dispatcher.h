// SPDX-License-Identifier: Apache-2.0
// Hands events to Options::on_event on a thread of its own, and watches the write or sync in
// flight: the thread that would tell of a stall is not the one that is stalled.
#ifndef SEAWALL_ENGINE_METRICS_EVENT_DISPATCHER_H_
#define SEAWALL_ENGINE_METRICS_EVENT_DISPATCHER_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "seawall/log_event.h"
#include "seawall/options.h"

namespace seawall {

// Thread-safe. Its lock is behind all others of the log, and not held while an event is handed
// over. Without Options::on_event it has no thread and does nothing.
class EventDispatcher {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Io { kWrite, kSync };

  // Events that are waiting to be handed over; those that come on top are lost, and counted.
  static constexpr size_t kMaxPending = 256;

  EventDispatcher(std::string directory, const Options& options);
  ~EventDispatcher();

  // Starts the thread; throws std::system_error if there is none.
  void Start();
  // Returns when all that was posted is handed over. Nothing is handed over afterwards.
  void Stop();

  // `path`: empty for the directory. kFailed is never lost.
  void Post(LogEventKind kind, uint64_t micros, const absl::Status& status,
            const std::string& path = "");

  // One at a time is in flight.
  void IoBegins(Io io, uint64_t generation, Clock::time_point at);
  // True if it was slow.
  bool IoEnds(Clock::time_point at, const absl::Status& status);

  // Events that were lost: there were too many, or on_event threw.
  uint64_t lost() const;

 private:
  // The status by parts: a shared absl::Status is reference-counted inside Abseil, where
  // ThreadSanitizer cannot see it.
  struct Pending {
    LogEventKind kind;
    int64_t unix_micros;
    uint64_t micros;
    std::string path;
    absl::StatusCode code;
    std::string message;
  };

  void Run();
  void Enqueue(Pending pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void HandOver(Pending pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Tells of what is in flight if it is slow by now; else waits until it may be, or for news.
  void Watch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string directory_;
  const std::function<void(const LogEvent&)> on_event_;
  const Clock::duration slow_;  // zero: nothing is
  std::thread thread_;

  mutable Mutex mutex_;
  CondVar work_;
  std::deque<Pending> pending_ ABSL_GUARDED_BY(mutex_);
  uint64_t lost_ ABSL_GUARDED_BY(mutex_) = 0;
  // True while the thread sleeps without a deadline: then the next write or sync wakes it. A busy
  // log so wakes it about once in slow_sync_micros, and an idle one never.
  bool idle_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  // What is in flight; io_told_ if it was told that it is slow.
  bool io_in_flight_ ABSL_GUARDED_BY(mutex_) = false;
  bool io_told_ ABSL_GUARDED_BY(mutex_) = false;
  Io io_ ABSL_GUARDED_BY(mutex_) = Io::kWrite;
  uint64_t io_generation_ ABSL_GUARDED_BY(mutex_) = 0;
  Clock::time_point io_since_ ABSL_GUARDED_BY(mutex_) = {};
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_METRICS_EVENT_DISPATCHER_H_
