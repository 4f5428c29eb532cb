// SPDX-License-Identifier: Apache-2.0
// How old records are, whatever becomes of the wall clock.
#ifndef SEAWALL_ENGINE_STORE_AGE_CLOCK_H_
#define SEAWALL_ENGINE_STORE_AGE_CLOCK_H_

#include <chrono>
#include <cstdint>

namespace seawall {

// Unix time in microseconds, for ages: the wall clock when this was made, and from then on as far
// as the monotonic clock went. Thread-safe.
class AgeClock {
 public:
  using Steady = std::chrono::steady_clock;

  AgeClock();
  int64_t start() const { return unix_start_; }
  int64_t Now() const;
  Steady::time_point TimeOf(int64_t unix_micros) const;

 private:
  const int64_t unix_start_;
  const Steady::time_point start_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_AGE_CLOCK_H_
