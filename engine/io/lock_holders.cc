// SPDX-License-Identifier: Apache-2.0
#include "engine/io/lock_holders.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>

namespace seawall {
namespace {

// Calls `take` with each name in a directory that is a number.
template <typename Take>
void ForEachNumber(const std::string& directory, const Take& take) {
  DIR* const dir = opendir(directory.c_str());
  if (dir == nullptr) return;
  while (const dirent* entry = readdir(dir)) {
    char* end = nullptr;
    const long number = std::strtol(entry->d_name, &end, 10);
    if (end != entry->d_name && *end == '\0') take(number);
  }
  closedir(dir);
}

// Whether a line of fdinfo tells of a flock(2) on this file:
//   lock:\t1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF
bool IsLockOn(const std::string& line, const struct stat& file) {
  unsigned device_major = 0, device_minor = 0;
  uint64_t inode = 0;
  return std::sscanf(line.c_str(), "lock: %*u: FLOCK %*s %*s %*d %x:%x:%" SCNu64, &device_major,
                     &device_minor, &inode) == 3 &&
         inode == file.st_ino && makedev(device_major, device_minor) == file.st_dev;
}

bool HasLockOn(const std::string& process, const struct stat& file) {
  bool has = false;
  ForEachNumber(process + "/fdinfo", [&](long fd) {
    std::ifstream lines(process + "/fdinfo/" + std::to_string(fd));
    for (std::string line; !has && std::getline(lines, line);) has = IsLockOn(line, file);
  });
  return has;
}

}  // namespace

std::vector<LockHolder> FindLockHolders(int fd) {
  std::vector<LockHolder> holders;
  struct stat file;
  if (fstat(fd, &file) < 0) return holders;
  ForEachNumber("/proc", [&](long pid) {
    const std::string process = "/proc/" + std::to_string(pid);
    struct stat owner;
    if (stat(process.c_str(), &owner) == 0 && HasLockOn(process, file)) {
      holders.push_back({static_cast<pid_t>(pid), owner.st_uid});
    }
  });
  return holders;
}

std::string Describe(const std::vector<LockHolder>& holders) {
  if (holders.empty()) return "a process that cannot be seen from here";
  std::string text = holders.size() == 1 ? "process " : "processes ";
  for (size_t i = 0; i < holders.size(); ++i) {
    if (i > 0) text += i + 1 == holders.size() ? " and " : ", ";
    text += std::to_string(holders[i].pid);
  }
  return text;
}

}  // namespace seawall
