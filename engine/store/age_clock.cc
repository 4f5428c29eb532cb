// SPDX-License-Identifier: Apache-2.0
#include "engine/store/age_clock.h"

#include "engine/io/file_io.h"

namespace seawall {

AgeClock::AgeClock() : unix_start_(UnixMicros()), start_(Steady::now()) {}

int64_t AgeClock::Now() const {
  return unix_start_ +
         std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - start_).count();
}

AgeClock::Steady::time_point AgeClock::TimeOf(int64_t unix_micros) const {
  return start_ + std::chrono::microseconds(unix_micros - unix_start_);
}

}  // namespace seawall
