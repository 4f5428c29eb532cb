// SPDX-License-Identifier: Apache-2.0
// Ends a test that hangs, and says where: a hang is a finding, and the test's time limit would tell
// only that there was one.
#ifndef SEAWALL_TESTS_SUPPORT_WATCHDOG_H_
#define SEAWALL_TESTS_SUPPORT_WATCHDOG_H_

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace seawall {

class Watchdog {
 public:
  explicit Watchdog(std::chrono::seconds limit = std::chrono::seconds(60))
      : limit_(limit), thread_([this] { Run(); }) {}

  ~Watchdog() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
      changed_.notify_one();
    }
    thread_.join();
  }

  // `what` begins now; what began before has ended.
  void Begin(std::string what) {
    const std::lock_guard<std::mutex> lock(mutex_);
    what_ = std::move(what);
    ++begun_;
  }

 private:
  void Run() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!stop_) {
      const unsigned long begun = begun_;
      changed_.wait_for(lock, limit_, [this] { return stop_; });
      if (!stop_ && begun == begun_ && begun != 0) {
        std::fprintf(stderr, "Hangs: %s\n", what_.c_str());
        std::abort();
      }
    }
  }

  const std::chrono::seconds limit_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;
  unsigned long begun_ = 0;
  bool stop_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_WATCHDOG_H_
