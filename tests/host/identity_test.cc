// SPDX-License-Identifier: Apache-2.0
// Which log it is. (FINDINGS T6.)
#include <filesystem>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "seawall/backup.h"
#include "seawall/log.h"
#include "tests/host/host_test_util.h"
#include "tests/support/small_log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

class IdentityTest : public ::testing::Test {
 protected:
  // Makes a log of ten records.
  LogId Make(const std::string& directory) {
    auto log = MustOpen(directory, SmallOptions());
    Append(log.get(), 10, directory);
    EXPECT_OK(log->Close());
    return log->id();
  }

  TempDir dir_;
  const std::string a_ = dir_ / "a";
  const std::string b_ = dir_ / "b";
};

TEST_F(IdentityTest, EachLogHasOneOfItsOwn) {
  EXPECT_NE(Make(a_), Make(b_));
  EXPECT_NE(MustOpen(a_, SmallOptions())->id(), LogId());
}

TEST_F(IdentityTest, StaysTheSameWhateverHappensToTheLog) {
  const LogId id = Make(a_);
  {
    auto log = MustOpen(a_, SmallOptions());
    EXPECT_EQ(log->id(), id);
    EXPECT_EQ(log->recovery_report().log_id, id);
    ASSERT_OK(log->TrimBefore(8));
    ASSERT_OK(log->TruncateAfter(9));
    ASSERT_OK(log->Reset(100));
    EXPECT_EQ(log->id(), id);
  }
  Child killed([&] {
    auto log = Log::Open(a_, SmallOptions());
    if (!log.ok() || !(*log)->AppendDurable("x").ok()) return 1;
    kill(getpid(), SIGKILL);
    return 2;
  });
  EXPECT_EQ(killed.Status(), 1000 + SIGKILL);
  auto log = MustOpen(a_, SmallOptions());
  EXPECT_EQ(log->recovery_report().verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(log->id(), id);
}

TEST_F(IdentityTest, CopiesKeepIt) {
  const LogId id = Make(a_);
  ASSERT_OK(BackupDirectory(a_, dir_ / "backup"));
  EXPECT_EQ(MustOpen(dir_ / "backup", SmallOptions())->id(), id);
  std::filesystem::create_directory(dir_ / "archive");
  ASSERT_OK(RestoreLog(dir_ / "archive", a_, dir_ / "restored"));
  EXPECT_EQ(MustOpen(dir_ / "restored", SmallOptions())->id(), id);
}

TEST_F(IdentityTest, ReadersTellIt) {
  const LogId id = Make(a_);
  EXPECT_EQ(Reader::OpenReadOnly(a_).value()->log_id(), id);
  EXPECT_EQ(Reader::Follow(a_).value()->log_id(), id);
  auto log = MustOpen(a_, SmallOptions());
  EXPECT_EQ(log->NewReader(1).value()->log_id(), id);
}

}  // namespace
}  // namespace seawall
