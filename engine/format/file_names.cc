// SPDX-License-Identifier: Apache-2.0
#include "engine/format/file_names.h"

#include "absl/strings/str_cat.h"
#include "engine/format/format.h"

namespace seawall {
namespace {

constexpr char kSuffix[] = ".seg";
constexpr size_t kDigits = 16;

}  // namespace

std::string SegmentName(uint64_t generation) {
  return absl::StrCat(absl::Dec(generation, absl::kZeroPad16), kSuffix);
}

std::optional<uint64_t> ParseSegmentName(const std::string& name) {
  if (name.size() != kDigits + sizeof(kSuffix) - 1 ||
      name.compare(kDigits, std::string::npos, kSuffix) != 0) {
    return std::nullopt;
  }
  uint64_t generation = 0;  // of 16 digits: it fits
  for (size_t i = 0; i < kDigits; ++i) {
    if (name[i] < '0' || name[i] > '9') return std::nullopt;
    generation = 10 * generation + static_cast<uint64_t>(name[i] - '0');
  }
  return generation < kMaxNumber ? std::optional<uint64_t>(generation) : std::nullopt;
}

}  // namespace seawall
