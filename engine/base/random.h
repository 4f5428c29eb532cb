// SPDX-License-Identifier: Apache-2.0
// Random numbers for salts and log ids.
#ifndef SEAWALL_ENGINE_BASE_RANDOM_H_
#define SEAWALL_ENGINE_BASE_RANDOM_H_

#include <cstdint>

namespace seawall {

// From the operating system's random numbers.
uint64_t RandomU64();

}  // namespace seawall

#endif  // SEAWALL_ENGINE_BASE_RANDOM_H_
