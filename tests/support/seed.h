// SPDX-License-Identifier: Apache-2.0
// The seeds of random tests. Each comes from an environment variable, or is printed, or both: what
// is printed replays a failure (as far as the scheduler replays: the plan is the seed's, how
// threads interleave is the machine's choice).
//
//   bazel test //tests/kernel:kill_test --test_env=SEAWALL_TEST_SEED=4711
#ifndef SEAWALL_TESTS_SUPPORT_SEED_H_
#define SEAWALL_TESTS_SUPPORT_SEED_H_

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>

namespace seawall {

inline uint64_t EnvironmentOr(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Prints before the test begins, which may end the process.
inline uint64_t PrintedSeed(const char* name, uint64_t otherwise) {
  const uint64_t seed = EnvironmentOr(name, otherwise);
  std::cout << name << "=" << seed << std::endl;
  return seed;
}

// Of tests that sample what a simulated disk may hold: the same each time unless SEAWALL_CRASH_SEED
// says otherwise.
inline uint64_t CrashSeed() {
  static const uint64_t seed = PrintedSeed("SEAWALL_CRASH_SEED", 20261121);
  return seed;
}

// Of all others: another one each time unless SEAWALL_TEST_SEED says otherwise.
inline uint64_t TestSeed() {
  static const uint64_t seed = PrintedSeed("SEAWALL_TEST_SEED", std::random_device()());
  return seed;
}

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_SEED_H_
