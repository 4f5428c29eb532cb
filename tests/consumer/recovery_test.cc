// SPDX-License-Identifier: Apache-2.0
// A stranger's test of its own recovery, on the simulated kernel: what was acknowledged is there
// after a power loss.
#include <iostream>

#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"

int main() {
  seawall::CrashFileSystem disk;
  seawall::Options options;
  options.file_system = &disk;
  auto log = seawall::Log::Open("/log", options);
  if (!log.ok() || !(*log)->AppendDurable("kept").ok() || !(*log)->Append("perhaps").ok()) return 1;
  auto after = disk.Capture().PowerLoss(seawall::CrashChoice());  // all that was not synced is lost
  options.file_system = after.get();
  auto recovered = seawall::Log::Open("/log", options);
  if (!recovered.ok()) std::cerr << recovered.status().ToString() << "\n";
  return recovered.ok() && (*recovered)->durable_lsn() == 1 && *(*recovered)->Read(1) == "kept" ? 0
                                                                                                : 1;
}
