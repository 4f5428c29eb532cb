// SPDX-License-Identifier: Apache-2.0
// A log's directory as one string, which is what libFuzzer mutates; and mutations that know what is
// in it.
#ifndef SEAWALL_TESTS_FUZZ_IMAGE_H_
#define SEAWALL_TESTS_FUZZ_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "seawall/testing/crash_file_system.h"

namespace seawall {

// Limits of an image: it is small, so that many are tried.
inline constexpr size_t kMaxImageFiles = 12;
inline constexpr size_t kMaxImageFileBytes = size_t{96} << 10;

struct ImageFile {
  enum Kind : uint8_t { kSegment, kControl, kControlTemporary, kLock, kOther, kDirectory, kKinds };

  Kind kind = kSegment;
  uint16_t generation = 0;  // kSegment, kDirectory
  std::string bytes;

  std::string Name() const;
};

struct Image {
  std::vector<ImageFile> files;

  // Any string is an image; what does not fit the limits is cut off.
  static Image Parse(const uint8_t* data, size_t size);
  // Without long runs of zeros, which segments are full of.
  std::string Serialize() const;

  // The files below `directory` of a disk; the files on a disk. Of two with one name the last
  // counts.
  static Image Of(const CrashFileSystem& disk, const std::string& directory);
  void PutOn(CrashFileSystem* disk, const std::string& directory) const;
};

// One to a few changes: files swapped, copied, cut; fields of headers, groups, records and of
// CONTROL set; bytes overwritten by `mutate_bytes` (LLVMFuzzerMutate).
using MutateBytes = size_t (*)(uint8_t* data, size_t size, size_t max_size);
void MutateImage(Image* image, std::mt19937* random, MutateBytes mutate_bytes);

// Makes the checksums right again, or most of them, and, at random, the digests, ends and salts by
// which segments and CONTROL refer to each other: what is left wrong is what a checksum cannot
// tell.
void RepairImage(Image* image, std::mt19937* random);

}  // namespace seawall

#endif  // SEAWALL_TESTS_FUZZ_IMAGE_H_
