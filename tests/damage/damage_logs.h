// SPDX-License-Identifier: Apache-2.0
// The logs that the damage test damages.
#ifndef SEAWALL_TESTS_DAMAGE_DAMAGE_LOGS_H_
#define SEAWALL_TESTS_DAMAGE_DAMAGE_LOGS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "engine/format/format.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash/crash_model.h"

namespace seawall {

inline constexpr char kDirectory[] = "/data/log";
inline constexpr char kControlPath[] = "/data/log/CONTROL";
inline constexpr char kLockPath[] = "/data/log/LOCK";
inline constexpr uint64_t kSectorBytes = 512;

// splitmix64: a few bits that look random, for place `x`.
uint64_t Mix(uint64_t x);

// Path to contents.
using Files = std::map<std::string, std::string>;

Files Snapshot(const CrashFileSystem& disk);

inline bool IsSegment(const std::string& path) { return absl::EndsWith(path, ".seg"); }
size_t Segments(const Files& files);

// False, too, of a file that is shorter than a header, as one that is being created is.
bool HeaderOf(const std::string& bytes, SegmentHeader* header);

// A log to be damaged: all of it durable, nobody has it open.
struct Subject {
  std::string name;
  enum Depth {
    kCoarse,    // a big one: of payloads and the like a sample
    kUsual,     // of zeros behind groups a sample
    kThorough,  // a bit of each byte, also of zeros
  };
  Depth depth = kUsual;
  Options options;
  std::optional<CrashState> state;
  Files files;
  World world;
  // What each file held before, oldest first, each once.
  std::map<std::string, std::vector<std::string>> earlier;
  std::set<uint64_t> salts;  // of all its segments and spares
};

Subject Unclosed();
Subject Closed();
Subject UnlistedSpare();
Subject UnclosedDense();
Subject UnclosedUnsynced();
Subject ClosedDense();
Subject JustRolledOver();
Subject Recovered();
Subject RecoveredAndWritten();
Subject ClosedTwice();
Subject TrimmedAndRecycled();
Subject Truncated();
Subject CursorsUnclosed();
Subject CursorsClosed();
Subject BigUnclosed();
Subject BigClosed();
Subject BigRecovered();

}  // namespace seawall

#endif  // SEAWALL_TESTS_DAMAGE_DAMAGE_LOGS_H_
