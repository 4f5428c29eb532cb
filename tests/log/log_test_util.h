// SPDX-License-Identifier: Apache-2.0
// A log with small segments on the simulated file system.
#ifndef SEAWALL_TESTS_LOG_LOG_TEST_UTIL_H_
#define SEAWALL_TESTS_LOG_LOG_TEST_UTIL_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash/crash_model.h"

namespace seawall {

#define ASSERT_STATUS_OK(expression)                          \
  do {                                                        \
    absl::Status status_of_it = (expression);                 \
    ASSERT_TRUE(status_of_it.ok()) << status_of_it.message(); \
  } while (false)

inline bool Contains(const absl::Status& status, const std::string& text) {
  return absl::StrContains(std::string(status.message()), text);
}

class LogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(fs_.MakeDirectory("/data"), 0);
    ASSERT_EQ(fs_.SyncDirectory("/"), 0);
    options_ = ModelledLog::SmallOptions(&fs_);
  }

  std::unique_ptr<Log> MustOpen() {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open("/data/log", options_);
    EXPECT_TRUE(log.ok()) << log.status().message();
    return log.ok() ? std::move(*log) : nullptr;
  }

  CrashFileSystem fs_;
  Options options_;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_LOG_LOG_TEST_UTIL_H_
