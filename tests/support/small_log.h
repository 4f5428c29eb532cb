// SPDX-License-Identifier: Apache-2.0
// Logs whose segments are full after four records.
#ifndef SEAWALL_TESTS_SUPPORT_SMALL_LOG_H_
#define SEAWALL_TESTS_SUPPORT_SMALL_LOG_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/test_util.h"

namespace seawall {

inline constexpr size_t kRecordBytes = 3000;

inline Options SmallOptions(FileSystem* fs = nullptr) {
  Options options;
  options.file_system = fs;
  options.segment_bytes = 16384;
  options.buffer_bytes = 8192;
  options.max_record_bytes = kRecordBytes;
  return options;
}

inline std::unique_ptr<Log> MustOpen(const std::string& directory, const Options& options) {
  auto log = Log::Open(directory, options);
  EXPECT_OK(log);
  return log.ok() ? std::move(*log) : nullptr;
}

// kRecordBytes that say which record it is, and of which history.
inline std::string Payload(const std::string& history, Lsn lsn) {
  std::string payload = absl::StrCat(history, " ", lsn, " ");
  payload.resize(kRecordBytes, '.');
  return payload;
}

// The next `records` records.
inline void Append(Log* log, int records, const std::string& history,
                   Durability until = Durability::kDurable) {
  for (int i = 0; i < records; ++i) {
    ASSERT_OK(log->Append(Payload(history, log->appended_lsn() + 1), until));
  }
}

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_SMALL_LOG_H_
