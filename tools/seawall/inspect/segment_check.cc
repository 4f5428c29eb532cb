// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/inspect/segment_check.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "tools/seawall/inspect/copy_checker.h"
#include "tools/seawall/inspect/segment_walk.h"

namespace seawall {
namespace {

class Collector : public SegmentVisitor {
 public:
  Collector(SegmentFindings* findings, CheckProgress* progress)
      : findings_(findings), progress_(progress) {}

  Wish OnGroup(const Group& group) override {
    ++findings_->groups;
    findings_->bytes += group.header.group_bytes;
    progress_->bytes.fetch_add(group.header.group_bytes, std::memory_order_relaxed);
    return Wish::kCheck;
  }
  void OnSoundGroup(const Group& group) override { Count(group.header.record_count); }
  // Of a group with a bad record: those before it.
  bool OnRecord(const Record&, uint64_t) override {
    Count(1);
    return true;
  }
  bool OnProblem(const Problem& problem) override {
    findings_->problems.push_back(problem);
    return true;
  }

 private:
  void Count(uint64_t records) {
    findings_->records += records;
    progress_->records.fetch_add(records, std::memory_order_relaxed);
  }

  SegmentFindings* const findings_;
  CheckProgress* const progress_;
};

// Hands segments to threads and what they found, in order, to the one that asks.
class InOrder {
 public:
  InOrder(const LogView& view, CheckProgress* progress, bool among_others)
      : view_(view), progress_(progress), among_others_(among_others) {}

  // A thread's work.
  void Work() {
    ScanMemory memory;
    memory.may_prefetch = !among_others_;
    for (;;) {
      size_t index;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (stop_ || next_ == view_.segments.size()) return;
        index = next_++;
      }
      SegmentFindings findings = CheckSegment(view_, view_.segments[index], &memory, progress_);
      const std::lock_guard<std::mutex> lock(mutex_);
      found_.emplace(index, std::move(findings));
      changed_.notify_one();
    }
  }

  SegmentFindings Await(size_t index, const std::function<void()>& wait) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (found_.count(index) == 0) {
      if (changed_.wait_for(lock, std::chrono::milliseconds(250)) != std::cv_status::timeout) {
        continue;
      }
      lock.unlock();
      wait();
      lock.lock();
    }
    SegmentFindings findings = std::move(found_.at(index));
    found_.erase(index);
    return findings;
  }

  void Stop() {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }

 private:
  const LogView& view_;
  CheckProgress* const progress_;
  const bool among_others_;  // several threads work
  std::mutex mutex_;         // guards all below
  std::condition_variable changed_;
  std::map<size_t, SegmentFindings> found_;
  size_t next_ = 0;
  bool stop_ = false;
};

}  // namespace

SegmentFindings CheckSegment(const LogView& view, const SegmentRef& segment, ScanMemory* memory,
                             CheckProgress* progress) {
  SegmentFindings findings;
  Collector collector(&findings, progress);
  const CopyChecker copies(view, [&](const Problem& problem) { collector.OnProblem(problem); });
  findings.status = copies.CheckHeader(segment);
  if (!findings.status.ok()) return findings;
  SegmentWalk walk(view.directory, segment, &collector, std::move(*memory));
  const absl::StatusOr<WalkEnd> end = walk.Run();
  *memory = walk.TakeMemory();
  if (absl::IsUnavailable(end.status())) {
    collector.OnProblem({segment.path, 0, "a file that can be read",
                         std::string(end.status().message()),
                         "what is in it from there on was not checked", 0});
  } else if (!end.ok()) {
    findings.status = end.status();
  } else {
    findings.left = *end == WalkEnd::kLeft;
  }
  return findings;
}

void CheckSegments(const LogView& view, size_t jobs, CheckProgress* progress,
                   const std::function<bool(const SegmentRef&, const SegmentFindings&)>& told,
                   const std::function<void()>& wait) {
  InOrder work(view, progress, /*among_others=*/jobs > 1);
  std::vector<std::thread> threads;
  while (threads.size() < std::min(jobs, view.segments.size())) {
    try {
      threads.emplace_back([&work] { work.Work(); });
    } catch (const std::system_error&) {
      break;  // those that there are do it
    }
  }
  if (threads.empty()) work.Work();
  for (size_t i = 0; i < view.segments.size(); ++i) {
    if (told(view.segments[i], work.Await(i, wait))) continue;
    work.Stop();
    break;
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace seawall
