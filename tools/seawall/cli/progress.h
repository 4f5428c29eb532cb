// SPDX-License-Identifier: Apache-2.0
// A line on a terminal that says how far a long command is.
#ifndef SEAWALL_TOOLS_SEAWALL_CLI_PROGRESS_H_
#define SEAWALL_TOOLS_SEAWALL_CLI_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <string>

namespace seawall {

// On standard error, if that is a terminal, and from the third second on.
class Progress {
 public:
  Progress();
  // Cheap: to be called for each record.
  void Show(uint64_t records, uint64_t bytes);
  // The same for who calls a few times a second.
  void ShowNow(uint64_t records, uint64_t bytes);
  // Cheap, where bytes are all there is to count; of 64 KiB and more a call.
  void ShowBytes(uint64_t bytes);
  void Clear();

 private:
  bool IsDue();
  void Print(const std::string& what, uint64_t bytes);

  const bool terminal_;
  const std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point next_;
  uint64_t calls_ = 0;
  bool shown_ = false;
};

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_CLI_PROGRESS_H_
