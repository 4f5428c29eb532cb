// SPDX-License-Identifier: Apache-2.0
// Lets one thread wait until another one has come so far.
#ifndef SEAWALL_TESTS_SUPPORT_EVENT_H_
#define SEAWALL_TESTS_SUPPORT_EVENT_H_

#include <condition_variable>
#include <mutex>

namespace seawall {

class Event {
 public:
  void Set() {
    const std::lock_guard<std::mutex> lock(mutex_);
    set_ = true;
    condition_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    condition_.wait(lock, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool set_ = false;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_EVENT_H_
