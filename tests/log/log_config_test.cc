// SPDX-License-Identifier: Apache-2.0
// What the options and the directory decide together.
#include "engine/log/log_config.h"

#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

class LogConfigTest : public ::testing::Test {
 protected:
  absl::StatusOr<LogConfig> Make() { return MakeLogConfig(&fs_, "/log", options_, plan_); }

  CrashFileSystem fs_;
  Options options_;
  RecoveryPlan plan_;
};

TEST_F(LogConfigTest, NamesTheDirectoryAndTheFileSystem) {
  auto config = Make();
  ASSERT_OK(config);
  EXPECT_EQ(config->directory, "/log");
  EXPECT_EQ(config->fs(), &fs_);
}

TEST_F(LogConfigTest, ALogHasCursorsIfItHadThemOrIsToHaveThem) {
  for (bool given : {false, true}) {
    for (bool planned : {false, true}) {
      options_.cursors = given;
      plan_.has_cursors = planned;
      auto config = Make();
      ASSERT_OK(config);
      EXPECT_EQ(config->options.cursors, given || planned);
    }
  }
}

TEST_F(LogConfigTest, OptionsThatLeaveNoRoomForTheCursorsOfTheLogAreRejected) {
  options_.segment_bytes = options_.buffer_bytes = 16384;
  options_.max_record_bytes = options_.MaxBatchBytes() - 16;
  ASSERT_OK(options_.Validate());
  EXPECT_OK(Make());
  plan_.has_cursors = true;
  EXPECT_TRUE(Fails(Make(), absl::StatusCode::kInvalidArgument, {"max_record_bytes", "cursors"}));
}

TEST_F(LogConfigTest, DirectGroupsOf512BytesGrowToABlock) {
  for (bool direct_io : {false, true}) {
    for (uint32_t bytes : {8, 512, 4096}) {
      options_.direct_io = direct_io;
      options_.group_alignment_bytes = bytes;
      auto config = Make();
      ASSERT_OK(config);
      EXPECT_EQ(config->options.group_alignment_bytes, direct_io && bytes == 512 ? 4096 : bytes)
          << direct_io << " " << bytes;
    }
  }
}

}  // namespace
}  // namespace seawall
