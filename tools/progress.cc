#include "tools/progress.h"

#include <unistd.h>

#include <cstdio>

#include "tools/output.h"

namespace seawall {

Progress::Progress()
    : terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      next_(start_ + std::chrono::seconds(2)) {}

void Progress::Show(uint64_t records, uint64_t bytes) {
  // The clock is looked at once in a while only.
  if (!terminal_ || ++calls_ % 64 != 0) return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(250);
  const double seconds = std::chrono::duration<double>(now - start_).count();
  std::fprintf(stderr, "\r%s, %s, %s/s \x1b[K", FormatCount(records, "record").c_str(),
               FormatBytes(bytes).c_str(),
               FormatBytes(static_cast<uint64_t>(static_cast<double>(bytes) / seconds)).c_str());
  shown_ = true;
}

void Progress::Clear() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

}  // namespace seawall
