// SPDX-License-Identifier: Apache-2.0
// What the unit tests share: a directory that goes away, its contents as a value, damage, and
// assertions on absl::Status.
#ifndef SEAWALL_TESTS_SUPPORT_TEST_UTIL_H_
#define SEAWALL_TESTS_SUPPORT_TEST_UTIL_H_

#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gtest/gtest.h"

namespace seawall {

// An empty directory, removed with all that is in it.
class TempDir {
 public:
  explicit TempDir(const std::string& parent = ::testing::TempDir()) {
    path_ = parent + "/seawall_XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// ---- Files as values, and damage to them.

inline std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

inline void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << bytes;
  out.flush();
  EXPECT_TRUE(out.good()) << path;
}

// Name, kind, length and bytes of everything in a directory, LOCK's contents excepted: two equal
// values mean that nothing changed. Held as text and not as a hash, so that a failure can say what.
class DirectoryImage {
 public:
  explicit DirectoryImage(const std::string& directory) {
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      const std::string name = entry.path().filename();
      if (name == "LOCK") continue;
      entries_[name] = entry.is_directory() ? "(a directory)" : ReadFile(entry.path());
    }
  }

  // OK, or which names differ.
  ::testing::AssertionResult Equals(const DirectoryImage& other) const {
    std::string different;
    for (const auto& [name, bytes] : entries_) {
      auto found = other.entries_.find(name);
      if (found == other.entries_.end()) {
        different += " -" + name;
      } else if (found->second != bytes) {
        different += " !" + name;
      }
    }
    for (const auto& [name, bytes] : other.entries_) {
      if (entries_.count(name) == 0) different += " +" + name;
    }
    if (different.empty()) return ::testing::AssertionSuccess();
    return ::testing::AssertionFailure() << "the directory changed:" << different;
  }

  std::string Names() const {
    std::string names;
    for (const auto& [name, bytes] : entries_) names += (names.empty() ? "" : " ") + name;
    return names;
  }

 private:
  std::map<std::string, std::string> entries_;
};

inline void FlipBit(std::string* bytes, uint64_t bit) {
  (*bytes)[bit / 8] = static_cast<char>((*bytes)[bit / 8] ^ (1 << (bit % 8)));
}

inline void FlipBitInFile(const std::string& path, uint64_t bit) {
  std::string bytes = ReadFile(path);
  ASSERT_LT(bit / 8, bytes.size()) << path;
  FlipBit(&bytes, bit);
  WriteFile(path, bytes);
}

inline void Overwrite(const std::string& path, uint64_t offset, const std::string& with) {
  std::string bytes = ReadFile(path);
  ASSERT_LE(offset + with.size(), bytes.size()) << path;
  bytes.replace(offset, with.size(), with);
  WriteFile(path, bytes);
}

inline std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (char c : bytes) {
    hex += kDigits[static_cast<unsigned char>(c) >> 4];
    hex += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return hex;
}

// ---- Statuses

inline absl::Status ToStatus(const absl::Status& status) { return status; }
template <typename T>
absl::Status ToStatus(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

template <typename T>
::testing::AssertionResult IsOk(const T& result) {
  absl::Status status = ToStatus(result);
  if (status.ok()) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << status.ToString();
}

#define EXPECT_OK(expression) EXPECT_TRUE(::seawall::IsOk(expression))
#define ASSERT_OK(expression) ASSERT_TRUE(::seawall::IsOk(expression))

// That `result` failed with `code`, and that its message has all of `parts` in it.
template <typename T>
::testing::AssertionResult Fails(const T& result, absl::StatusCode code,
                                 std::initializer_list<std::string> parts = {}) {
  absl::Status status = ToStatus(result);
  ::testing::AssertionResult failure = ::testing::AssertionFailure();
  failure << "found " << status.ToString() << ", expected " << absl::StatusCodeToString(code);
  if (status.code() != code) return failure;
  for (const std::string& part : parts) {
    if (std::string(status.message()).find(part) == std::string::npos) {
      return failure << " with \"" << part << "\"";
    }
  }
  return ::testing::AssertionSuccess();
}

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_TEST_UTIL_H_
