// The checksums of the format, all XXH3 (https://xxhash.com) at 64 bits.
#ifndef SEAWALL_ENGINE_CHECKSUM_H_
#define SEAWALL_ENGINE_CHECKSUM_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include "xxhash.h"

namespace seawall {

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

// Hashes `bytes` and binds the result to where they belong. The seed enters behind the hash and
// not as XXH3's own seed: from 241 bytes up XXH3 derives a 192-byte secret from a seed on every
// call. Nothing is lost: for fixed (seed, position) this is a bijection of the plain hash, and
// equal bytes at another position, or under another seed, get an unrelated checksum.
inline uint64_t PositionedChecksum(const char* bytes, size_t size, uint64_t seed,
                                   uint64_t position) {
  return Avalanche(XXH3_64bits(bytes, size) ^ Avalanche(seed + position));
}

}  // namespace seawall

#endif  // SEAWALL_ENGINE_CHECKSUM_H_
