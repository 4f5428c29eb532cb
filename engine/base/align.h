// SPDX-License-Identifier: Apache-2.0
// Arithmetic on file offsets: the block, and rounding to multiples of it.
#ifndef SEAWALL_ENGINE_BASE_ALIGN_H_
#define SEAWALL_ENGINE_BASE_ALIGN_H_

#include <cstdint>

namespace seawall {

// The unit of every write and of every header: what O_DIRECT asks for, and a page.
inline constexpr uint64_t kBlockBytes = 4096;

constexpr uint64_t AlignDown(uint64_t value, uint64_t unit) { return value / unit * unit; }
constexpr uint64_t AlignUp(uint64_t value, uint64_t unit) {
  return (value + unit - 1) / unit * unit;
}

}  // namespace seawall

#endif  // SEAWALL_ENGINE_BASE_ALIGN_H_
