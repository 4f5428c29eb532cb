// SPDX-License-Identifier: Apache-2.0
#include "engine/base/random.h"

#include <random>

namespace seawall {

uint64_t RandomU64() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

}  // namespace seawall
