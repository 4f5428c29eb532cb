// SPDX-License-Identifier: Apache-2.0
// A log on a disk that hangs when a test says so.
#ifndef SEAWALL_TESTS_SUPPORT_STALLING_LOG_H_
#define SEAWALL_TESTS_SUPPORT_STALLING_LOG_H_

#include <memory>
#include <thread>
#include <utility>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/stalling_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {

class StallingLogTest : public ::testing::Test {
 protected:
  using Call = StallingFileSystem::Call;

  explicit StallingLogTest(uint64_t segment_bytes) {
    options_.segment_bytes = segment_bytes;
    options_.buffer_bytes = uint64_t{16} << 10;
    options_.max_record_bytes = 4096;
    options_.file_system = &fs_;
  }

  void Open() {
    auto log = Log::Open(directory_.path(), options_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = std::move(*log);
  }

  // A thread that commits one record and hangs meanwhile, until LetGo().
  std::thread Hang(Call call, int error = 0) {
    std::thread thread([this, call, error] {
      fs_.ArmForThisThread(call, error);
      EXPECT_EQ(log_->AppendDurable("x").ok(), error == 0);
    });
    fs_.AwaitStall();
    return thread;
  }

  TempDir directory_;
  StallingFileSystem fs_{FileSystem::Posix()};
  Options options_;
  std::unique_ptr<Log> log_;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_STALLING_LOG_H_
