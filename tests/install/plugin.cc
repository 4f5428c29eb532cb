// SPDX-License-Identifier: Apache-2.0
// Somebody's shared library with Seawall in it.
#include "seawall/log.h"

extern "C" int Plugin(const char* directory) {
  auto log = seawall::Log::Open(directory, seawall::Options());
  return log.ok() && (*log)->AppendDurable("from a plugin").ok() && (*log)->Close().ok() ? 0 : 1;
}
