// SPDX-License-Identifier: Apache-2.0
// Whether zeros can be written as fast as the writer fills them.
#ifndef SEAWALL_ENGINE_STORE_ZERO_RATE_H_
#define SEAWALL_ENGINE_STORE_ZERO_RATE_H_

#include <chrono>
#include <cstdint>
#include <utility>

namespace seawall {

// Compares two speeds: how fast the writer has filled segments since the last question, and how
// fast the last zeros were written. Not thread-safe: the store's mutex guards it.
class ZeroRate {
 public:
  using Clock = std::chrono::steady_clock;

  // Whether the writer, which has filled `filled` bytes since the log was opened, will have filled
  // the `left` bytes that it may still fill before `zeros` more are written. False as long as no
  // zeros were timed.
  bool WriterIsFaster(Clock::time_point now, uint64_t filled, uint64_t left, uint64_t zeros) {
    const double seconds = std::chrono::duration<double>(now - asked_at_).count();
    const double bytes = static_cast<double>(filled - std::exchange(filled_then_, filled));
    asked_at_ = now;
    // left / (bytes / seconds) < zeros * seconds_per_byte_
    return static_cast<double>(left) * seconds <
           static_cast<double>(zeros) * seconds_per_byte_ * bytes;
  }
  void NoteZeros(uint64_t bytes, Clock::duration took) {
    seconds_per_byte_ = std::chrono::duration<double>(took).count() / static_cast<double>(bytes);
  }

 private:
  uint64_t filled_then_ = 0;  // when it was asked last
  Clock::time_point asked_at_ = Clock::now();
  double seconds_per_byte_ = 0;  // of zeros; 0 if that is not known yet
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_ZERO_RATE_H_
