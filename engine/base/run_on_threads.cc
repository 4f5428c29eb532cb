// SPDX-License-Identifier: Apache-2.0
#include "engine/base/run_on_threads.h"

#include <exception>
#include <thread>
#include <vector>

#include "engine/base/mutex.h"

namespace seawall {

void RunOnThreads(size_t threads, const std::function<void()>& work) {
  Mutex mutex;
  std::exception_ptr thrown;  // guarded by mutex
  const auto run = [&] {
    try {
      work();
    } catch (...) {
      MutexLock lock(&mutex);
      thrown = std::current_exception();
    }
  };
  std::vector<std::thread> others;
  try {
    while (others.size() + 1 < threads) others.emplace_back(run);
  } catch (const std::exception&) {
    // With those that there are, which have to be joined.
  }
  run();
  for (std::thread& other : others) other.join();
  if (thrown != nullptr) std::rethrow_exception(thrown);
}

}  // namespace seawall
