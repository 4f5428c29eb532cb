// SPDX-License-Identifier: Apache-2.0
// What belongs to the process that made it, and says so to any other.
#ifndef SEAWALL_ENGINE_IO_PROCESS_OWNER_H_
#define SEAWALL_ENGINE_IO_PROCESS_OWNER_H_

#include "absl/status/status.h"
#include "engine/base/process_mark.h"

namespace seawall {

// Thread-safe.
class ProcessOwner {
 public:
  // `what` it is that belongs to this process: a literal, as "the log".
  explicit ProcessOwner(const char* what) : what_(what) {}

  bool IsMine() const { return mark_.IsMine(); }
  // FailedPrecondition that names both processes. For one in which IsMine() is false.
  absl::Status Refusal() const;

 private:
  const char* const what_;
  const ProcessMark mark_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_IO_PROCESS_OWNER_H_
