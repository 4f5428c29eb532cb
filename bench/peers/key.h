// SPDX-License-Identifier: Apache-2.0
// Keys for stores that have no log of their own to append to: numbers, in order.
#ifndef SEAWALL_BENCH_PEERS_KEY_H_
#define SEAWALL_BENCH_PEERS_KEY_H_

#include <endian.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace seawall::bench {

// A number whose bytes compare as it does.
class Key {
 public:
  explicit Key(uint64_t number) {
    const uint64_t big_endian = htobe64(number);
    std::memcpy(bytes_.data(), &big_endian, sizeof(big_endian));
  }
  operator std::string_view() const { return {bytes_.data(), bytes_.size()}; }

 private:
  std::array<char, sizeof(uint64_t)> bytes_;
};

// Thread-safe.
class Keys {
 public:
  Key Next() { return Key(next_.fetch_add(1, std::memory_order_relaxed)); }

 private:
  std::atomic<uint64_t> next_{1};
};

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_PEERS_KEY_H_
