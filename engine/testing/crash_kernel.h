// SPDX-License-Identifier: Apache-2.0
// What CrashFileSystem, its open files and its images share.
#ifndef SEAWALL_ENGINE_TESTING_CRASH_KERNEL_H_
#define SEAWALL_ENGINE_TESTING_CRASH_KERNEL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/testing/crash_disk.h"
#include "seawall/testing/crash_file_system.h"

namespace seawall::crash_internal {

// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the same numbers on every platform and compiler,
// which the distributions of <random> do not promise.
inline uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

class Random {
 public:
  explicit Random(uint64_t seed) : state_(Mix(seed)) {}
  uint64_t Next() { return Mix(state_++); }
  // 0 <= result < bound.
  uint64_t Below(uint64_t bound) { return Next() % bound; }

 private:
  uint64_t state_;
};

// One outcome of a unit. Which fields count depends on the unit's kind.
struct Outcome {
  uint64_t call = 0;  // that made it; 0: it is the durable state
  uint64_t size = 0;
  Sector sector;
  bool garbage = false;
};

// Something in doubt. outcomes[0] is "lost"; the others in order of time, garbage last.
struct Unit {
  enum class Kind { kEntry, kSize, kSector };
  Kind kind = Kind::kEntry;
  InodeId inode = 0;   // kSize, kSector
  uint64_t index = 0;  // kSector: the sector; kEntry: into Disk::ops()
  std::vector<Outcome> outcomes;
  size_t survivor = 0;  // the newest outcome that is not garbage
};

// What a CrashState holds.
struct Frozen {
  Frozen(const Disk& d, const CrashOptions& o, uint64_t max_sectors_in, uint64_t now_in)
      : disk(d), options(o), max_sectors(max_sectors_in), now(now_in) {}

  const std::vector<Unit>& Units() const;

  const Disk disk;
  const CrashOptions options;
  const uint64_t max_sectors;
  const uint64_t now;

 private:
  // Made when first asked for: a capture that is only counted or killed needs none.
  mutable std::once_flag once_;
  mutable std::vector<Unit> units_;
};

// A path, resolved. `inode` is 0 where there is nothing of this name yet; `directory` is 0 for
// the root, which has no name.
struct Place {
  InodeId directory = 0;
  std::string name;
  InodeId inode = 0;
  bool must_be_directory = false;  // it ended in '/'
};

class Kernel : public std::enable_shared_from_this<Kernel> {
 public:
  Kernel(const CrashOptions& options_in, Disk disk_in, uint64_t max_sectors_in,
         uint64_t time_base_in)
      : options(options_in),
        disk(std::move(disk_in)),
        max_sectors(max_sectors_in),
        time_base(time_base_in) {
    disk.BeginEpoch();
  }

  // One system call: counts it, and lets the crash point, the hook and the faults have their say.
  //   effect(max_bytes)  checks the arguments and changes the cache; returns an errno value
  //   settle()           makes durable what the call promises; runs after a successful effect
  //   fail(error)        what a failing disk does, before `error` is returned for a fault
  int Run(FileSystemCall* call, const std::function<int(size_t max_bytes)>& effect,
          const std::function<void()>& settle = nullptr,
          const std::function<void(int error)>& fail = nullptr);

  // All of these, and all data below, need `mutex`.
  CrashState Capture();
  int Resolve(const std::string& path, Place* place) const;
  // An existing regular file.
  int ResolveFile(const std::string& path, Place* place) const;
  std::set<InodeId> OpenInodes() const;
  void FreeSpaceIfUnused(InodeId id);
  // The order in time of what happens to the disk; goes on over kills.
  uint64_t Now() const { return time_base + calls; }

  const CrashOptions options;

  std::mutex mutex;
  Disk disk;
  uint64_t max_sectors;
  bool frozen = false;
  CrashPoint crash_point;
  CallHook hook;
  uint64_t calls = 0;
  const uint64_t time_base;
  std::vector<FileSystemCall> trace;

  struct ActiveFault {
    Fault fault;
    uint64_t matched = 0;
  };
  std::vector<ActiveFault> faults;
  uint64_t faults_hit = 0;

  std::map<InodeId, int> open_files;     // how many
  std::map<InodeId, const void*> locks;  // by which open file

 private:
  const Fault* DueFault(const FileSystemCall& call);
};

}  // namespace seawall::crash_internal

#endif  // SEAWALL_ENGINE_TESTING_CRASH_KERNEL_H_
