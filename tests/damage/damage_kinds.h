// SPDX-License-Identifier: Apache-2.0
// All ways to damage a log.
#ifndef SEAWALL_TESTS_DAMAGE_DAMAGE_KINDS_H_
#define SEAWALL_TESTS_DAMAGE_DAMAGE_KINDS_H_

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "seawall/testing/crash_file_system.h"
#include "tests/damage/damage_logs.h"

namespace seawall {

struct Damage {
  enum Kind { kBit, kSector, kLength, kSwap, kDuplicate, kDelete, kStale, kKinds };
  Kind kind;
  std::string what;
  std::function<int(CrashFileSystem*)> apply;
  bool in_payload_or_zeros = false;
};

inline constexpr std::array<const char*, Damage::kKinds> kKindNames = {
    "bit flipped",         "sector zeroed", "length truncated", "files swapped",
    "copied over another", "file deleted",  "stale file"};

// One in `thinning` of them.
class Damages {
 public:
  Damages(const Subject& subject, uint64_t thinning);

  const std::vector<Damage>& all() const { return all_; }

 private:
  void Add(Damage::Kind kind, std::string what, std::function<int(CrashFileSystem*)> apply,
           bool in_payload_or_zeros = false);
  void AddBits(const std::string& path, const std::string& bytes);
  void AddSectors(const std::string& path, const std::string& bytes);
  void AddLengths(const std::string& path, const std::string& bytes);
  void AddFiles();

  const Subject& subject_;
  const uint64_t thinning_;
  std::vector<Damage> all_;
  uint64_t considered_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_DAMAGE_DAMAGE_KINDS_H_
