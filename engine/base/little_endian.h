// SPDX-License-Identifier: Apache-2.0
// Integers in files: little-endian, at any address.
#ifndef SEAWALL_ENGINE_BASE_LITTLE_ENDIAN_H_
#define SEAWALL_ENGINE_BASE_LITTLE_ENDIAN_H_

#include <cstdint>
#include <cstring>

namespace seawall {

// (Loops over bytes are not always seen through by GCC, and a record's header is written and read
// for every record.)
template <typename T>
T SwapOnBigEndian(T value) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
  return __builtin_bswap64(value);
#else
  return value;
#endif
}

template <typename T>
void PutLittleEndian(char* to, T value) {
  value = SwapOnBigEndian(value);
  std::memcpy(to, &value, sizeof(value));
}

template <typename T>
T GetLittleEndian(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return SwapOnBigEndian(value);
}

inline void PutU32(char* to, uint32_t value) { PutLittleEndian(to, value); }
inline void PutU64(char* to, uint64_t value) { PutLittleEndian(to, value); }
inline uint32_t GetU32(const char* from) { return GetLittleEndian<uint32_t>(from); }
inline uint64_t GetU64(const char* from) { return GetLittleEndian<uint64_t>(from); }

}  // namespace seawall

#endif  // SEAWALL_ENGINE_BASE_LITTLE_ENDIAN_H_
