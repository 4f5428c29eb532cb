// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/cli/progress.h"

#include <unistd.h>

#include <cstdio>

#include "tools/seawall/cli/output.h"

namespace seawall {

Progress::Progress()
    : terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      next_(start_ + std::chrono::seconds(2)) {}

void Progress::Show(uint64_t records, uint64_t bytes) {
  // The clock is looked at once in a while only.
  if (++calls_ % 64 == 0) ShowNow(records, bytes);
}

void Progress::ShowNow(uint64_t records, uint64_t bytes) {
  if (IsDue()) Print(FormatCount(records, "record") + ", ", bytes);
}

void Progress::ShowBytes(uint64_t bytes) {
  if (IsDue()) Print("", bytes);
}

bool Progress::IsDue() {
  if (!terminal_) return false;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_) return false;
  next_ = now + std::chrono::milliseconds(250);
  return true;
}

void Progress::Print(const std::string& what, uint64_t bytes) {
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  std::fprintf(stderr, "\r%s%s, %s/s \x1b[K", what.c_str(), FormatBytes(bytes).c_str(),
               FormatBytes(static_cast<uint64_t>(static_cast<double>(bytes) / seconds)).c_str());
  shown_ = true;
}

void Progress::Clear() {
  if (shown_) std::fputs("\r\x1b[K", stderr);
}

}  // namespace seawall
