// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "bench/meter.h"
#include "bench/record.h"
#include "bench/workload.h"

namespace seawall::bench {
namespace {

// The records under way from one thread, kOutstanding at most.
class Outstanding : public Completion {
 public:
  explicit Outstanding(const Window& window) : window_(window) {}

  // Returns when one more may be handed in.
  void WaitForRoom() {
    // Once it is full, half of it at once: one wake for many records.
    if (begun_ - completed() >= kOutstanding) WaitUntil(begun_ - kOutstanding / 2);
  }
  void Begin(Clock::time_point now) { started_[begun_++ % kOutstanding] = now; }
  void WaitForAll() { WaitUntil(begun_); }

  void Done(const absl::Status& status) override {
    if (status_.ok()) status_ = status;
    const uint64_t number = completed_.load(std::memory_order_relaxed);
    const Clock::time_point now = Clock::now();
    if (window_.Holds(now)) nanos_.push_back(Nanos(now - started_[number % kOutstanding]));
    completed_.store(number + 1);
    if (number + 1 < wanted_.load()) return;
    std::lock_guard<std::mutex> lock(mutex_);
    changed_.notify_all();
  }

  uint64_t completed() const { return completed_.load(); }
  // After WaitForAll().
  absl::Status status() const { return status_; }
  Latencies TakeLatencies() { return std::move(nanos_); }

 private:
  void WaitUntil(uint64_t number) {
    std::unique_lock<std::mutex> lock(mutex_);
    wanted_.store(number);  // before it looks: Done() looks after it has counted
    changed_.wait(lock, [&] { return completed() >= number; });
    wanted_.store(UINT64_MAX);
  }

  const Window window_;
  uint64_t begun_ = 0;
  std::array<Clock::time_point, kOutstanding> started_;
  std::atomic<uint64_t> completed_{0};
  std::atomic<uint64_t> wanted_{UINT64_MAX};  // what completed_ is waited to reach
  absl::Status status_;
  Latencies nanos_;
  std::mutex mutex_;
  std::condition_variable changed_;
};

}  // namespace

absl::StatusOr<Outcome> RunAsync(Peer* peer, const WorkloadOptions& options) {
  RecordMaker records(options.run, 0, options.point.record_bytes);
  const Window window = Window::FromNow(options.seconds);
  Outstanding outstanding(window);
  Usage from;
  bool warm = false;
  while (true) {
    outstanding.WaitForRoom();
    const Clock::time_point now = Clock::now();
    if (!warm && now >= window.start) {
      warm = true;
      from = Usage::Now(*options.device);
    }
    if (now >= window.end) break;
    outstanding.Begin(now);
    absl::Status status = peer->CommitAsync(records.Next(), &outstanding);
    if (!status.ok()) {
      (void)peer->Close();
      return status;
    }
  }
  const Usage to = Usage::Now(*options.device);
  absl::Status status = peer->Sync();
  if (!status.ok()) {
    (void)peer->Close();
    return status;
  }
  outstanding.WaitForAll();
  // After it nobody calls `outstanding`.
  if (status = peer->Close(); status.ok()) status = outstanding.status();
  if (!status.ok()) return status;

  Outcome outcome;
  outcome.acknowledged = {outstanding.completed()};
  outcome.most_outstanding = kOutstanding;
  Latencies nanos = outstanding.TakeLatencies();
  const double counted = static_cast<double>(nanos.size());
  outcome.metrics[kRecordsPerSecond] = counted / Seconds(window.end - window.start);
  SetLatencies(std::move(nanos), &outcome.metrics);
  SetUsage(from, to, counted, &outcome.metrics);
  return outcome;
}

}  // namespace seawall::bench
