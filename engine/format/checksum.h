// SPDX-License-Identifier: Apache-2.0
// The checksums of the format, all XXH3 (https://xxhash.com) at 64 bits.
#ifndef SEAWALL_ENGINE_FORMAT_CHECKSUM_H_
#define SEAWALL_ENGINE_FORMAT_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include "xxhash.h"

namespace seawall {

// Up to here XXH3 has no use for wide vectors.
inline constexpr size_t kXxh3MidsizeBytes = 240;

#if defined(__x86_64__)
// XXH3_64bits compiled for AVX2, whatever the compiler's flags. (checksum_avx2.cc)
uint64_t Xxh3Avx2(const char* bytes, size_t size);
#endif

// XXH3_64bits: short input inline; long input with AVX2 where the processor has it, which is four
// to eight times as fast as the SSE2 that x86-64 promises.
inline uint64_t Xxh3(const char* bytes, size_t size) {
#if defined(__x86_64__)
  if (size > kXxh3MidsizeBytes && __builtin_cpu_supports("avx2")) return Xxh3Avx2(bytes, size);
#endif
  return XXH3_64bits(bytes, size);
}

// A bijection that spreads every input bit over all output bits (MurmurHash3's finalizer, Austin
// Appleby, public domain).
inline uint64_t Avalanche(uint64_t x) {
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdULL;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53ULL;
  x ^= x >> 33;
  return x;
}

// What Avalanche() made `x` of.
inline uint64_t InverseAvalanche(uint64_t x) {
  x ^= x >> 33;
  x *= 0x9cb4b2f8129337dbULL;
  x ^= x >> 33;
  x *= 0x4f74430c22a54005ULL;
  x ^= x >> 33;
  return x;
}

// Hashes `bytes` and binds the result to where they belong. The seed enters behind the hash and
// not as XXH3's own seed: from 241 bytes up XXH3 derives a 192-byte secret from a seed on every
// call. Nothing is lost: for fixed (seed, position) this is a bijection of the plain hash, and
// equal bytes at another position, or under another seed, get an unrelated checksum.
inline uint64_t PositionedChecksum(const char* bytes, size_t size, uint64_t seed,
                                   uint64_t position) {
  return Avalanche(Xxh3(bytes, size) ^ Avalanche(seed + position));
}

// The sum of seed and position for which PositionedChecksum() of `bytes` is `checksum`.
inline uint64_t PlaceOf(const char* bytes, size_t size, uint64_t checksum) {
  return InverseAvalanche(InverseAvalanche(checksum) ^ Xxh3(bytes, size));
}

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FORMAT_CHECKSUM_H_
