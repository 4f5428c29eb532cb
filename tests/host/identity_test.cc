// SPDX-License-Identifier: Apache-2.0
// Which log it is. (FINDINGS T6.)
#include <sys/stat.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

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

class MetadataTest : public IdentityTest {
 protected:
  static std::string MetadataOf(const std::string& directory) {
    return Reader::OpenReadOnly(directory).value()->metadata();
  }
};

TEST_F(MetadataTest, AreTheUsersBytes) {
  Options options = SmallOptions();
  options.metadata = std::string("schema\0 3", 9);
  {
    auto log = MustOpen(a_, options);
    EXPECT_EQ(log->metadata(), options.metadata);
    auto before = Reader::Follow(a_).value();
    ASSERT_OK(log->SetMetadata("schema 4"));
    EXPECT_EQ(log->metadata(), "schema 4");
    EXPECT_EQ(before->metadata(), options.metadata);
    EXPECT_EQ(Reader::Follow(a_).value()->metadata(), "schema 4");
    EXPECT_EQ(log->NewReader(1).value()->metadata(), "schema 4");
    EXPECT_EQ(MetadataOf(a_), "schema 4");
  }
  // What is there already stays.
  auto log = MustOpen(a_, options);
  EXPECT_EQ(log->metadata(), "schema 4");
  ASSERT_OK(log->SetMetadata(""));
  EXPECT_EQ(log->metadata(), "");
  EXPECT_EQ(MetadataOf(a_), "");
  ASSERT_OK(log->Close());
  EXPECT_TRUE(Fails(log->SetMetadata("late"), absl::StatusCode::kFailedPrecondition, {"closed"}));
}

TEST_F(MetadataTest, AreShownWhenTheyAreDurable) {
  SyncGate gate(FileSystem::Posix(), "CONTROL");
  Options options = SmallOptions(&gate);
  options.metadata = "old";
  auto log = MustOpen(a_, options);
  std::thread setter = gate.RunIntoSync([&] { EXPECT_OK(log->SetMetadata("new")); });
  EXPECT_EQ(log->metadata(), "old");
  EXPECT_OK(log->AppendDurable("does not wait"));
  gate.LetGo();
  setter.join();
  EXPECT_EQ(log->metadata(), "new");
}

TEST_F(MetadataTest, HaveALimit) {
  const std::string most(kMaxMetadataBytes, '\xff'), more = most + "x";
  Options options = SmallOptions();
  options.metadata = more;
  EXPECT_TRUE(Fails(Log::Open(a_, options), absl::StatusCode::kInvalidArgument, {"257", "256"}));
  EXPECT_FALSE(std::filesystem::exists(a_));
  options.metadata = most;
  auto log = MustOpen(a_, options);
  EXPECT_TRUE(Fails(log->SetMetadata(more), absl::StatusCode::kInvalidArgument, {"257", "256"}));
  EXPECT_EQ(log->metadata(), most);
  EXPECT_EQ(MetadataOf(a_), most);
  ASSERT_OK(log->AppendDurable("goes on"));
}

TEST_F(MetadataTest, StayWhateverHappensToTheLog) {
  Options options = SmallOptions();
  options.metadata = "kept";
  {
    auto log = MustOpen(a_, options);
    Append(log.get(), 20, "one");  // over several segments
    ASSERT_OK(log->TrimBefore(8));
    ASSERT_OK(log->TruncateAfter(15));
    ASSERT_OK(log->Reset(100));
    Append(log.get(), 20, "two");
    ASSERT_OK(log->Close());
  }
  for (int life = 0; life < 3; ++life) {
    Child killed([&] {
      auto log = Log::Open(a_, SmallOptions());
      if (!log.ok() || (*log)->metadata() != "kept") return 1;
      if (!(*log)->AppendDurable("x").ok()) return 2;
      kill(getpid(), SIGKILL);
      return 3;
    });
    EXPECT_EQ(killed.Status(), 1000 + SIGKILL);
  }
  EXPECT_EQ(MustOpen(a_, SmallOptions())->metadata(), "kept");
}

// When SetMetadata() has returned, no block of CONTROL has older ones.
TEST_F(MetadataTest, DamageToOneBlockOrTwoBringsNoOlderOnesBack) {
  Options options = SmallOptions();
  options.metadata = "older";
  auto log = MustOpen(a_, options);
  ASSERT_OK(log->AppendDurable("one"));
  for (const std::string newer : {"newer", "", "newest"}) {
    ASSERT_OK(log->SetMetadata(newer));
    const std::string control = ReadFile(a_ + "/CONTROL");
    for (int damaged = 0; damaged < 7; ++damaged) {  // of three blocks, all but all
      std::string bytes = control;
      for (int block = 0; block < 3; ++block) {
        if ((damaged & 1 << block) != 0) bytes.replace(block * 4096, 4096, 4096, '\0');
      }
      std::filesystem::remove_all(b_);
      std::filesystem::copy(a_, b_);
      WriteFile(b_ + "/CONTROL", bytes);
      EXPECT_EQ(MetadataOf(b_), newer) << damaged;
      EXPECT_EQ(MustOpen(b_, SmallOptions())->metadata(), newer) << damaged;
    }
  }
}

// A crash in the midst of a change leaves older ones in other blocks; the next opening settles it.
TEST_F(MetadataTest, AnOpeningFinishesAChangeThatWasCutShort) {
  Options options = SmallOptions();
  options.metadata = "older";
  {
    auto log = MustOpen(b_, options);
    ASSERT_OK(log->AppendDurable("one"));
    const std::string before = ReadFile(b_ + "/CONTROL");
    ASSERT_OK(log->SetMetadata("newer"));
    std::filesystem::copy(b_, dir_ / "cut");
    // As if the first of its three writes alone had come to the disk.
    std::string after = ReadFile(b_ + "/CONTROL");
    const auto sequence = [](const std::string& bytes, size_t block) {
      return static_cast<unsigned char>(bytes[block * 4096 + 32]);
    };
    size_t first = 0;
    for (size_t block = 1; block < 3; ++block) {
      if (sequence(after, block) < sequence(after, first)) first = block;
    }
    for (size_t block = 0; block < 3; ++block) {
      if (block != first) after.replace(block * 4096, 4096, before, block * 4096, 4096);
    }
    WriteFile(dir_ / "cut/CONTROL", after);
  }
  const auto log = MustOpen(dir_ / "cut", SmallOptions());
  EXPECT_EQ(log->metadata(), "newer");
  // Before it is closed, which writes two blocks, too.
  EXPECT_EQ(ReadFile(dir_ / "cut/CONTROL").find("older"), std::string::npos);
}

TEST_F(MetadataTest, GoAlongIntoCopies) {
  Options options = SmallOptions();
  options.metadata = "original";
  const std::string archive = dir_ / "archive";
  std::filesystem::create_directory(archive);
  options.archive = [&](const SealedSegment& segment) {
    const std::string name = std::filesystem::path(segment.path).filename();
    std::filesystem::copy(segment.path, archive + "/" + name,
                          std::filesystem::copy_options::overwrite_existing);
    return absl::OkStatus();
  };
  auto log = MustOpen(a_, options);
  Append(log.get(), 20, "one");
  ASSERT_OK(log->SetMetadata("changed"));
  ASSERT_OK(log->Backup(dir_ / "live"));
  ASSERT_OK(log->Close());
  ASSERT_OK(BackupDirectory(a_, dir_ / "closed"));
  ASSERT_OK(RestoreLog(archive, a_, dir_ / "restored"));
  for (const char* copy : {"live", "closed", "restored"}) {
    EXPECT_EQ(MetadataOf(dir_ / copy), "changed") << copy;
    EXPECT_EQ(MustOpen(dir_ / copy, SmallOptions())->metadata(), "changed") << copy;
  }
  // Archived segments have none: who restores them alone says what they were.
  ASSERT_OK(RestoreLog(archive, "", dir_ / "without"));
  EXPECT_EQ(MetadataOf(dir_ / "without"), "");
  RestoreOptions restore;
  restore.metadata = "given";
  ASSERT_OK(RestoreLog(archive, "", dir_ / "given", restore));
  EXPECT_EQ(MetadataOf(dir_ / "given"), "given");
  restore.metadata = std::string(kMaxMetadataBytes + 1, 'x');
  EXPECT_TRUE(Fails(RestoreLog(archive, "", dir_ / "long", restore),
                    absl::StatusCode::kInvalidArgument, {"257"}));
}

}  // namespace
}  // namespace seawall
