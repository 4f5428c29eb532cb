// SPDX-License-Identifier: Apache-2.0
// What the opaque types of seawall/c.h are.
#ifndef SEAWALL_ENGINE_C_C_HANDLES_H_
#define SEAWALL_ENGINE_C_C_HANDLES_H_

#include <memory>
#include <string>

#include "seawall/c.h"
#include "seawall/log.h"

struct seawall_log {
  // Readers hold it, too: a program in a language with a garbage collector frees in any order.
  std::shared_ptr<seawall::Log> log;
  std::string recovery_text;
  std::string id;
};

#endif  // SEAWALL_ENGINE_C_C_HANDLES_H_
