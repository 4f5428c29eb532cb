// SPDX-License-Identifier: Apache-2.0
// What libFuzzer calls instead of mutating bytes blindly.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>

#include "tests/fuzz/image.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  std::mt19937 random(seed);
  // The serialized form itself, now and then: nothing is out of reach.
  if (random() % 20 == 0) size = LLVMFuzzerMutate(data, size, max_size);
  seawall::Image image = seawall::Image::Parse(data, size);
  seawall::MutateImage(&image, &random, LLVMFuzzerMutate);
  if (random() % 10 != 0) seawall::RepairImage(&image, &random);
  const std::string bytes = image.Serialize();
  if (bytes.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, bytes.data(), bytes.size());
  return bytes.size();
}
