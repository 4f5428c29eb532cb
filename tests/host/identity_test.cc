// SPDX-License-Identifier: Apache-2.0
// Which log it is. (FINDINGS T6.)
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/backup.h"
#include "seawall/log.h"
#include "tests/host/host_test_util.h"
#include "tests/support/forwarding_file_system.h"
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

// What is in `directory`, LOCK's contents and times included.
std::string Everything(const std::string& directory) {
  std::string all;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    struct stat info;
    EXPECT_EQ(stat(entry.path().c_str(), &info), 0);
    all += absl::StrCat(entry.path().string(), " ", info.st_ino, " ", info.st_mtim.tv_sec, ".",
                        info.st_mtim.tv_nsec, " ", ReadFile(entry.path()), "\n");
  }
  return all;
}

class ExpectedIdTest : public IdentityTest {
 protected:
  static Options Expecting(const LogId& id) {
    Options options = SmallOptions();
    options.expected_id = id;
    return options;
  }

  // Both ids and the place are in the message.
  template <typename T>
  static ::testing::AssertionResult IsAnother(const T& result, const std::string& directory,
                                              const LogId& expected, const LogId& found) {
    return Fails(
        result, absl::StatusCode::kFailedPrecondition,
        {directory, "expected log id " + LogIdToString(expected), "found " + LogIdToString(found)});
  }
};

TEST_F(ExpectedIdTest, TheLogOfAnotherDatabaseInItsPlaceIsRefused) {
  const LogId a = Make(a_), b = Make(b_);
  std::filesystem::remove_all(a_);
  std::filesystem::rename(b_, a_);
  const std::string before = Everything(a_);
  const auto log = Log::Open(a_, Expecting(a));
  EXPECT_TRUE(IsAnother(log, a_, a, b));
  EXPECT_EQ(ErrorClassOf(log.status()), ErrorClass::kLimit);
  EXPECT_TRUE(IsAnother(Reader::OpenReadOnly(a_, 0, nullptr, a), a_, a, b));
  EXPECT_TRUE(IsAnother(Reader::Follow(a_, 0, nullptr, a), a_, a, b));
  EXPECT_EQ(Everything(a_), before);
  EXPECT_OK(Reader::OpenReadOnly(a_, 0, nullptr, b));
  EXPECT_OK(Reader::Follow(a_, 0, nullptr, b));
  EXPECT_OK(Log::Open(a_, Expecting(b)));
}

TEST_F(ExpectedIdTest, ALostLogIsNotMadeAnew) {
  const LogId a = Make(a_);
  std::filesystem::remove_all(a_);
  EXPECT_TRUE(
      Fails(Log::Open(a_, Expecting(a)), absl::StatusCode::kNotFound, {a_, LogIdToString(a)}));
  EXPECT_TRUE(Fails(Reader::OpenReadOnly(a_, 0, nullptr, a), absl::StatusCode::kNotFound));
  EXPECT_FALSE(std::filesystem::exists(a_));
  // An empty directory is no log, either.
  std::filesystem::create_directory(a_);
  EXPECT_TRUE(Fails(Log::Open(a_, Expecting(a)), absl::StatusCode::kNotFound, {a_}));
  EXPECT_TRUE(std::filesystem::is_empty(a_));
}

TEST_F(ExpectedIdTest, AnotherWritersLogIsRefusedAndGoesOn) {
  const LogId a = Make(a_);
  auto log = MustOpen(b_, SmallOptions());
  EXPECT_TRUE(IsAnother(Log::Open(b_, Expecting(a)), b_, a, log->id()));
  ASSERT_OK(log->AppendDurable("goes on"));
  ASSERT_OK(log->Close());
}

// Puts another log into the place of the one that is being opened, when its id was looked at.
class ExchangingFileSystem : public ForwardingFileSystem {
 public:
  explicit ExchangingFileSystem(std::function<void()> exchange)
      : ForwardingFileSystem(FileSystem::Posix()), exchange_(std::move(exchange)) {}

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    if (absl::EndsWith(path, "/CONTROL") && ++looks_ == 2) exchange_();
    return ForwardingFileSystem::Open(path, options, file);
  }

 private:
  const std::function<void()> exchange_;
  int looks_ = 0;
};

TEST_F(ExpectedIdTest, ALogThatIsExchangedWhileItIsOpenedIsRefused) {
  const LogId a = Make(a_), b = Make(b_);
  ExchangingFileSystem fs([&] {
    std::filesystem::rename(a_, dir_ / "old");
    std::filesystem::rename(b_, a_);
  });
  Options options = Expecting(a);
  options.file_system = &fs;
  const DirectoryImage before(b_);
  EXPECT_TRUE(IsAnother(Log::Open(a_, options), a_, a, b));
  EXPECT_TRUE(before.Equals(DirectoryImage(a_)));
}

}  // namespace
}  // namespace seawall
