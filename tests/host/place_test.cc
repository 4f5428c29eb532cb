// SPDX-License-Identifier: Apache-2.0
// Directories that somebody has prepared for a log: in a parent that its owner may not read or that
// cannot be synced, and with what mkfs leaves in them. (FINDINGS H8.)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/io/log_place.h"
#include "gtest/gtest.h"
#include "seawall/backup.h"
#include "seawall/log.h"
#include "tests/host/host_test_util.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/small_log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// Syncing the directory `parent` fails. Notes each directory whose file system is synced.
class UnsyncableParent : public ForwardingFileSystem {
 public:
  UnsyncableParent(std::string parent, int error)
      : ForwardingFileSystem(FileSystem::Posix()), parent_(std::move(parent)), error_(error) {}

  int SyncDirectory(const std::string& directory) override {
    return directory == parent_ ? error_ : ForwardingFileSystem::SyncDirectory(directory);
  }
  int OpenDirectory(const std::string& path, std::unique_ptr<Directory>* directory) override {
    *directory = std::make_unique<NotedDirectory>(this, path);
    return 0;
  }

  int sync_error = 0;
  std::vector<std::string> synced;

 private:
  class NotedDirectory : public PathDirectory {
   public:
    NotedDirectory(UnsyncableParent* fs, const std::string& path)
        : PathDirectory(fs, path), fs_(fs) {}
    int SyncFileSystem() override {
      fs_->synced.push_back(path());
      return fs_->sync_error;
    }

   private:
    UnsyncableParent* const fs_;
  };

  const std::string parent_;
  const int error_;
};

class PlaceTest : public ::testing::Test {
 protected:
  TempDir dir_;
  const std::string path_ = dir_ / "log";
};

TEST_F(PlaceTest, InAParentThatItsOwnerMayNotRead) {
  const PublicDir parent(0711);
  const std::string path = parent / "log";
  ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
  Child service([&] {
    if (chown(path.c_str(), kNobody, kNobody) != 0 || setuid(kNobody) != 0) return 1;
    if (open(parent.path().c_str(), O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES) return 3;
    for (int life = 0; life < 2; ++life) {
      auto log = Log::Open(path, SmallOptions());
      if (!log.ok() || !(*log)->AppendDurable("record").ok() || !(*log)->Close().ok()) return 2;
    }
    return 0;
  });
  const int result = service.Status();
  if (result == 1) GTEST_SKIP() << "takes root, to be somebody else";
  EXPECT_EQ(result, 0);
  EXPECT_EQ(RecordsOf(path), (std::vector<std::string>{"record", "record"}));
}

TEST_F(PlaceTest, InAParentThatCannotBeSynced) {
  for (const int error : {EACCES, EPERM, EINVAL, EOPNOTSUPP}) {
    SCOPED_TRACE(error);
    for (const bool prepared : {false, true}) {
      UnsyncableParent fs(dir_.path(), error);
      std::filesystem::remove_all(path_);
      if (prepared) std::filesystem::create_directory(path_);
      auto log = MustOpen(path_, SmallOptions(&fs));
      EXPECT_EQ(fs.synced, std::vector<std::string>{path_});
      EXPECT_OK(log->AppendDurable("record"));
    }
  }
}

TEST_F(PlaceTest, ANameThatMayBeLostIsAnError) {
  for (const bool prepared : {false, true}) {
    std::filesystem::remove_all(path_);
    if (prepared) std::filesystem::create_directory(path_);
    UnsyncableParent fs(dir_.path(), EIO);
    EXPECT_TRUE(Fails(Log::Open(path_, SmallOptions(&fs)), absl::StatusCode::kUnavailable,
                      {dir_.path(), "fsync directory"}));
    EXPECT_TRUE(fs.synced.empty());
    EXPECT_EQ(std::filesystem::exists(path_), prepared);
    UnsyncableParent full(dir_.path(), EINVAL);
    full.sync_error = EIO;
    EXPECT_TRUE(Fails(Log::Open(path_, SmallOptions(&full)), absl::StatusCode::kUnavailable,
                      {path_, "syncfs"}));
    EXPECT_EQ(std::filesystem::exists(path_), prepared);
  }
}

TEST_F(PlaceTest, LostAndFoundIsInNobodysWay) {
  const auto prepare = [](const std::string& path) {
    std::filesystem::create_directories(path + "/lost+found");
  };
  prepare(path_);
  auto log = MustOpen(path_, SmallOptions());
  Append(log.get(), 9, "a");
  prepare(dir_ / "copy");
  ASSERT_OK(log->Backup(dir_ / "copy"));
  ASSERT_OK(log->Close());
  prepare(dir_ / "restored");
  ASSERT_OK(RestoreLog(dir_ / "copy", "", dir_ / "restored"));
  for (const char* place : {"copy", "restored"}) {
    EXPECT_EQ(RecordsOf(dir_ / place).size(), 9u) << place;
    EXPECT_TRUE(std::filesystem::exists(dir_ / place + "/lost+found"));
  }
  WriteFile(dir_ / "restored/another", "");
  EXPECT_TRUE(Fails(CheckPlaceIsEmpty(FileSystem::Posix(), dir_ / "restored"),
                    absl::StatusCode::kFailedPrecondition, {"expected", "empty"}));
}

}  // namespace
}  // namespace seawall
