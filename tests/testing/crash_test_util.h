// SPDX-License-Identifier: Apache-2.0
// What the tests of the simulated file system share.
#ifndef SEAWALL_TESTS_TESTING_CRASH_TEST_UTIL_H_
#define SEAWALL_TESTS_TESTING_CRASH_TEST_UTIL_H_

#include <cerrno>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"

namespace seawall {

inline constexpr size_t kSector = 512;

inline OpenOptions ReadWrite() {
  OpenOptions options;
  options.write = true;
  return options;
}

inline OpenOptions CreateFile() {
  OpenOptions options = ReadWrite();
  options.create = true;
  return options;
}

inline std::unique_ptr<File> MustOpen(CrashFileSystem* fs, const std::string& path,
                                      const OpenOptions& options = CreateFile()) {
  std::unique_ptr<File> file;
  EXPECT_EQ(fs->Open(path, options, &file), 0) << path;
  return file;
}

inline void MustWrite(File* file, const std::string& bytes, uint64_t offset) {
  const IoResult result = file->PWrite(bytes.data(), bytes.size(), offset);
  ASSERT_EQ(result.error, 0);
  ASSERT_EQ(result.bytes, bytes.size());
}

inline std::string Sectors(const std::string& letters) {
  std::string bytes;
  for (char c : letters) bytes += std::string(kSector, c == '0' ? '\0' : c);
  return bytes;
}

// A letter for each sector of the file, '0' for zeros, '?' for anything else; "-" for no file.
inline std::string Letters(const CrashFileSystem& fs, const std::string& path) {
  std::string bytes;
  if (fs.GetFile(path, &bytes) != 0) return "-";
  std::string letters;
  for (size_t i = 0; i < bytes.size(); i += kSector) {
    const std::string sector = bytes.substr(i, kSector);
    const bool uniform = sector.find_first_not_of(sector[0]) == std::string::npos;
    letters += !uniform ? '?' : sector[0] == '\0' ? '0' : sector[0];
  }
  return letters;
}

using Images = std::set<std::string>;

// What `look` sees in all disks that a power loss can leave.
template <typename Look>
inline Images AllImages(const CrashState& state, const Look& look) {
  Images images;
  EXPECT_LE(state.combinations(), 100000u);
  state.ForEachImage(100000, 1, [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> disk) {
    EXPECT_EQ(disk->Capture().pending_units(), 0u);
    images.insert(look(*disk));
    return true;
  });
  return images;
}

inline Images FileImages(const CrashFileSystem& fs, const std::string& path) {
  return AllImages(fs.Capture(), [&](const CrashFileSystem& disk) { return Letters(disk, path); });
}

inline Images TreeImages(const CrashFileSystem& fs) {
  return AllImages(fs.Capture(), [&](const CrashFileSystem& disk) {
    std::string all;
    for (const std::string& path : disk.AllFiles()) {
      all += (all.empty() ? "" : " ") + path;
      if (path.back() != '/' && Letters(disk, path) != "") all += "=" + Letters(disk, path);
    }
    return all;
  });
}

inline CrashOptions NoGarbage() {
  CrashOptions options;
  options.garbage = false;
  return options;
}

inline Fault FailOnce(CallKind kind, int error = EIO) {
  Fault fault;
  fault.kind = kind;
  fault.error = error;
  return fault;
}

}  // namespace seawall

#endif  // SEAWALL_TESTS_TESTING_CRASH_TEST_UTIL_H_
