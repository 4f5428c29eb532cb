// SPDX-License-Identifier: Apache-2.0
#include "bench/workload.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <numeric>
#include <thread>

#include "absl/strings/str_cat.h"
#include "bench/meter.h"
#include "bench/record.h"

namespace seawall::bench {
namespace {

// Threads that are all there before the first one begins.
class Team {
 public:
  Team(int threads, std::function<void(int)> work) : work_(std::move(work)) {
    for (int thread = 0; thread < threads; ++thread) {
      threads_.emplace_back([this, thread] {
        Arrive();
        work_(thread);
      });
    }
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return arrived_ == threads; });
  }
  void Start() {
    std::lock_guard<std::mutex> lock(mutex_);
    started_ = true;
    changed_.notify_all();
  }
  void Join() {
    for (std::thread& thread : threads_) thread.join();
  }

 private:
  void Arrive() {
    std::unique_lock<std::mutex> lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return started_; });
  }

  const std::function<void(int)> work_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  bool started_ = false;
};

// One thread of a team.
struct alignas(64) Worker {
  Worker(uint64_t run, int thread, size_t bytes) : records(run, thread, bytes) {}

  RecordMaker records;
  uint64_t acknowledged = 0;
  uint64_t counted = 0;  // of these, in the window
  Latencies nanos;       // of these
  absl::Status status;
};

std::vector<Worker> MakeWorkers(const WorkloadOptions& options) {
  std::vector<Worker> workers;
  workers.reserve(static_cast<size_t>(options.point.threads));
  for (int thread = 0; thread < options.point.threads; ++thread) {
    workers.emplace_back(options.run, thread, options.point.record_bytes);
  }
  return workers;
}

absl::Status FirstError(const std::vector<Worker>& workers) {
  for (const Worker& worker : workers) {
    if (!worker.status.ok()) return worker.status;
  }
  return absl::OkStatus();
}

std::vector<uint64_t> Acknowledged(const std::vector<Worker>& workers) {
  std::vector<uint64_t> acknowledged;
  for (const Worker& worker : workers) acknowledged.push_back(worker.acknowledged);
  return acknowledged;
}

void CommitUntilEnd(Peer* peer, int thread, const Window& window, std::atomic<bool>* failed,
                    Worker* worker) {
  Clock::time_point before = Clock::now();
  while (before < window.end && !failed->load(std::memory_order_relaxed)) {
    worker->status = peer->Commit(thread, worker->records.Next());
    if (!worker->status.ok()) {
      *failed = true;
      break;
    }
    ++worker->acknowledged;
    const Clock::time_point after = Clock::now();
    if (window.Holds(after)) {
      ++worker->counted;
      worker->nanos.push_back(Nanos(after - before));
    }
    before = after;
  }
  peer->Leave(thread);
}

absl::StatusOr<Outcome> RunCommit(Peer* peer, const WorkloadOptions& options) {
  std::vector<Worker> workers = MakeWorkers(options);
  std::atomic<bool> failed{false};
  Window window;
  Team team(options.point.threads, [&](int thread) {
    CommitUntilEnd(peer, thread, window, &failed, &workers[static_cast<size_t>(thread)]);
  });
  window = Window::FromNow(options.seconds);
  team.Start();
  std::this_thread::sleep_until(window.start);
  const Usage from = Usage::Now(*options.device);
  std::this_thread::sleep_until(window.end);
  const Usage to = Usage::Now(*options.device);
  team.Join();
  if (absl::Status status = FirstError(workers); !status.ok()) return status;

  Latencies nanos;
  uint64_t total = 0, least = UINT64_MAX, most = 0;
  for (const Worker& worker : workers) {
    nanos.insert(nanos.end(), worker.nanos.begin(), worker.nanos.end());
    total += worker.counted;
    least = std::min(least, worker.counted);
    most = std::max(most, worker.counted);
  }
  Outcome outcome;
  outcome.acknowledged = Acknowledged(workers);
  outcome.most_outstanding = workers.size();
  const double records = static_cast<double>(total);
  Metrics& metrics = outcome.metrics;
  metrics[kRecordsPerSecond] = records / Seconds(window.end - window.start);
  if (total > 0) {
    const double mean = records / static_cast<double>(workers.size());
    metrics[kLeastShare] = static_cast<double>(least) / mean;
    metrics[kMostShare] = static_cast<double>(most) / mean;
  }
  SetLatencies(std::move(nanos), &metrics);
  SetUsage(from, to, records, &metrics);
  return outcome;
}

void AppendUntilEnd(Peer* peer, int thread, uint64_t most, Clock::time_point end, Worker* worker) {
  constexpr uint64_t kLookAtClockEvery = 64;
  const uint64_t every = worker->records.bytes() > 4096 ? 1 : kLookAtClockEvery;
  while (worker->acknowledged < most) {
    worker->status = peer->Append(thread, worker->records.Next());
    if (!worker->status.ok()) return;
    ++worker->acknowledged;
    if (worker->acknowledged % every == 0 && Clock::now() >= end) return;
  }
}

absl::StatusOr<Outcome> RunAppend(Peer* peer, const WorkloadOptions& options) {
  std::vector<Worker> workers = MakeWorkers(options);
  const uint64_t most =
      options.most_bytes / options.point.record_bytes / static_cast<uint64_t>(workers.size());
  Clock::time_point end;
  Team team(options.point.threads, [&](int thread) {
    AppendUntilEnd(peer, thread, most, end, &workers[static_cast<size_t>(thread)]);
  });
  const Usage from = Usage::Now(*options.device);
  const Clock::time_point start = Clock::now();
  end = start + Duration(options.seconds);
  team.Start();
  team.Join();
  absl::Status status = FirstError(workers);
  if (status.ok()) status = peer->Sync();
  if (!status.ok()) return status;
  const double seconds = Seconds(Clock::now() - start);
  Outcome outcome;
  outcome.acknowledged = Acknowledged(workers);
  const uint64_t records =
      std::accumulate(outcome.acknowledged.begin(), outcome.acknowledged.end(), uint64_t{0});
  outcome.most_outstanding = std::max<uint64_t>(records, 1);
  outcome.metrics[kRecordsPerSecond] = static_cast<double>(records) / seconds;
  SetUsage(from, Usage::Now(*options.device), static_cast<double>(records), &outcome.metrics);
  return outcome;
}

}  // namespace

absl::StatusOr<Outcome> RunWorkload(Peer* peer, const WorkloadOptions& options) {
  switch (options.point.workload) {
    case Workload::kAppend:
      return RunAppend(peer, options);
    case Workload::kAsync:
      return options.point.threads == 1 ? RunAsync(peer, options) : RunCommit(peer, options);
    default:
      return RunCommit(peer, options);
  }
}

absl::StatusOr<Metrics> RunReplay(Peer* peer, uint64_t records, double seconds,
                                  const BlockDevice& device) {
  const Usage from = Usage::Now(device);
  const Clock::time_point start = Clock::now();
  const Clock::time_point end = start + Duration(seconds);
  uint64_t total = 0;
  do {
    auto read = peer->Scan();
    if (!read.ok()) return read.status();
    if (*read != records) {
      return absl::DataLossError(
          absl::StrCat("replay: expected ", records, " records, read ", *read));
    }
    total += *read;
  } while (Clock::now() < end);
  Metrics metrics;
  metrics[kRecordsPerSecond] = static_cast<double>(total) / Seconds(Clock::now() - start);
  SetUsage(from, Usage::Now(device), static_cast<double>(total), &metrics);
  return metrics;
}

}  // namespace seawall::bench
