// SPDX-License-Identifier: Apache-2.0
// The operating system's calls, as file_system.h promises them: no retry, no status, an errno.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

class PosixFileSystemTest : public ::testing::Test {
 protected:
  std::unique_ptr<File> Create(const std::string& name) {
    OpenOptions open;
    open.write = true;
    open.create = true;
    std::unique_ptr<File> file;
    EXPECT_EQ(fs_->Open(dir_ / name, open, &file), 0);
    return file;
  }

  // The status flags of the file that was opened last: the lowest free descriptor before.
  static int FlagsOfLastOpened(const OpenOptions& options, const std::string& path) {
    const int next = dup(0);
    close(next);
    std::unique_ptr<File> file;
    EXPECT_EQ(FileSystem::Posix()->Open(path, options, &file), 0);
    return file == nullptr ? -1 : fcntl(next, F_GETFL);
  }

  TempDir dir_;
  FileSystem* const fs_ = FileSystem::Posix();
};

TEST_F(PosixFileSystemTest, WritesAndReadsAtOffsets) {
  std::unique_ptr<File> file = Create("f");
  IoResult written = file->PWrite("abcdef", 6, 4);
  EXPECT_EQ(written.error, 0);
  EXPECT_EQ(written.bytes, 6u);
  EXPECT_EQ(ReadFile(dir_ / "f"), std::string(4, '\0') + "abcdef");
  char to[8] = {};
  IoResult got = file->PRead(to, 3, 6);
  EXPECT_EQ(got.error, 0);
  EXPECT_EQ(got.bytes, 3u);
  EXPECT_STREQ(to, "cde");
  // Short at the end of the file, and zero bytes behind it.
  EXPECT_EQ(file->PRead(to, sizeof(to), 8).bytes, 2u);
  EXPECT_EQ(file->PRead(to, sizeof(to), 10).bytes, 0u);
  EXPECT_EQ(file->PRead(to, sizeof(to), 10).error, 0);
  uint64_t size = 0;
  EXPECT_EQ(file->Size(&size), 0);
  EXPECT_EQ(size, 10u);
  EXPECT_EQ(file->Sync(File::SyncKind::kData), 0);
  EXPECT_EQ(file->Sync(File::SyncKind::kFull), 0);
  EXPECT_EQ(file->Truncate(3), 0);
  EXPECT_EQ(ReadFile(dir_ / "f"), std::string(3, '\0'));
  const int error = file->Allocate(2, 7);
  if (error == EOPNOTSUPP) GTEST_SKIP() << "no fallocate on this file system";
  EXPECT_EQ(error, 0);
  EXPECT_EQ(ReadFile(dir_ / "f"), std::string(9, '\0'));
  EXPECT_EQ(file->Allocate(0, 0), EINVAL);
}

TEST_F(PosixFileSystemTest, ReadOnlyFileCannotBeWritten) {
  Create("f");
  std::unique_ptr<File> file;
  ASSERT_EQ(fs_->Open(dir_ / "f", OpenOptions(), &file), 0);
  EXPECT_EQ(file->PWrite("x", 1, 0).error, EBADF);
}

TEST_F(PosixFileSystemTest, OpenErrors) {
  std::unique_ptr<File> file;
  EXPECT_EQ(fs_->Open(dir_ / "none", OpenOptions(), &file), ENOENT);
  Create("f");
  OpenOptions exclusive;
  exclusive.write = true;
  exclusive.create = true;
  exclusive.exclusive = true;
  EXPECT_EQ(fs_->Open(dir_ / "f", exclusive, &file), EEXIST);
  EXPECT_EQ(fs_->Open(dir_ / "f/g", OpenOptions(), &file), ENOTDIR);
  OpenOptions write;
  write.write = true;
  EXPECT_EQ(fs_->Open(dir_.path(), write, &file), EISDIR);
  EXPECT_EQ(file, nullptr);
}

// Creating opens what is there, and does not empty it.
TEST_F(PosixFileSystemTest, CreateKeepsContents) {
  WriteFile(dir_ / "f", "abc");
  Create("f");
  EXPECT_EQ(ReadFile(dir_ / "f"), "abc");
}

TEST_F(PosixFileSystemTest, EachOptionIsItsFlag) {
  Create("f");
  OpenOptions options;
  EXPECT_EQ(FlagsOfLastOpened(options, dir_ / "f") & O_ACCMODE, O_RDONLY);
  options.write = true;
  EXPECT_EQ(FlagsOfLastOpened(options, dir_ / "f") & (O_ACCMODE | O_SYNC), O_RDWR);
  options.data_sync = true;
  EXPECT_EQ(FlagsOfLastOpened(options, dir_ / "f") & (O_ACCMODE | O_SYNC), O_RDWR | O_DSYNC);
  options.full_sync = true;
  EXPECT_EQ(FlagsOfLastOpened(options, dir_ / "f") & (O_ACCMODE | O_SYNC), O_RDWR | O_SYNC);
}

TEST_F(PosixFileSystemTest, DirectIsItsFlagWhereTheFileSystemHasIt) {
  Create("f");
  OpenOptions options;
  options.direct = true;
  std::unique_ptr<File> file;
  const int error = fs_->Open(dir_ / "f", options, &file);
  if (error == EINVAL) GTEST_SKIP() << "no O_DIRECT in " << dir_.path();
  ASSERT_EQ(error, 0);
  file.reset();
  EXPECT_NE(FlagsOfLastOpened(options, dir_ / "f") & O_DIRECT, 0);
}

TEST_F(PosixFileSystemTest, LockExcludesAnotherOpenFileAndGoesWithItsOwn) {
  std::unique_ptr<File> first = Create("f");
  std::unique_ptr<File> second = Create("f");
  EXPECT_EQ(first->TryLock(), 0);
  EXPECT_EQ(second->TryLock(), EWOULDBLOCK);
  EXPECT_EQ(first->TryLock(), 0) << "its own lock is no obstacle";
  first.reset();
  EXPECT_EQ(second->TryLock(), 0);
  EXPECT_EQ(second->Unlock(), 0);
  EXPECT_EQ(second->Unlock(), 0) << "none to give up";
  first = Create("f");
  EXPECT_EQ(first->TryLock(), 0);
}

TEST_F(PosixFileSystemTest, Stat) {
  WriteFile(dir_ / "f", "abc");
  FileInfo info;
  ASSERT_EQ(fs_->Stat(dir_ / "f", &info), 0);
  EXPECT_TRUE(info.is_regular);
  EXPECT_FALSE(info.is_directory);
  EXPECT_EQ(info.bytes, 3u);
  ASSERT_EQ(fs_->Stat(dir_.path(), &info), 0);
  EXPECT_FALSE(info.is_regular);
  EXPECT_TRUE(info.is_directory);
  ASSERT_EQ(mkfifo((dir_ / "pipe").c_str(), 0600), 0);
  ASSERT_EQ(fs_->Stat(dir_ / "pipe", &info), 0);
  EXPECT_FALSE(info.is_regular);
  EXPECT_FALSE(info.is_directory);
  EXPECT_EQ(fs_->Stat(dir_ / "none", &info), ENOENT);
}

TEST_F(PosixFileSystemTest, MakeDirectory) {
  EXPECT_EQ(fs_->MakeDirectory(dir_ / "d"), 0);
  EXPECT_EQ(fs_->MakeDirectory(dir_ / "d"), EEXIST);
  EXPECT_EQ(fs_->MakeDirectory(dir_ / "none/d"), ENOENT);
}

TEST_F(PosixFileSystemTest, ListReplacesTheNamesAndLeavesTheDotsOut) {
  WriteFile(dir_ / "a", "");
  WriteFile(dir_ / ".b", "");
  ASSERT_EQ(fs_->MakeDirectory(dir_ / "c"), 0);
  std::vector<std::string> names = {"stale"};
  ASSERT_EQ(fs_->List(dir_.path(), &names), 0);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{".b", "a", "c"}));
  EXPECT_EQ(fs_->List(dir_ / "none", &names), ENOENT);
  EXPECT_EQ(fs_->List(dir_ / "a", &names), ENOTDIR);
}

TEST_F(PosixFileSystemTest, RenameReplaces) {
  WriteFile(dir_ / "a", "new");
  WriteFile(dir_ / "b", "old");
  EXPECT_EQ(fs_->Rename(dir_ / "a", dir_ / "b"), 0);
  EXPECT_EQ(ReadFile(dir_ / "b"), "new");
  EXPECT_EQ(fs_->Rename(dir_ / "a", dir_ / "b"), ENOENT);
}

// What a reader that is inside a trimmed segment lives on.
TEST_F(PosixFileSystemTest, UnlinkedFileStaysReadableWhileItIsOpen) {
  std::unique_ptr<File> file = Create("f");
  ASSERT_EQ(file->PWrite("abc", 3, 0).error, 0);
  EXPECT_EQ(fs_->Unlink(dir_ / "f"), 0);
  EXPECT_EQ(fs_->Unlink(dir_ / "f"), ENOENT);
  char to[4] = {};
  EXPECT_EQ(file->PRead(to, 3, 0).bytes, 3u);
  EXPECT_STREQ(to, "abc");
}

TEST_F(PosixFileSystemTest, RemoveDirectory) {
  ASSERT_EQ(fs_->MakeDirectory(dir_ / "d"), 0);
  WriteFile(dir_ / "d/f", "");
  EXPECT_EQ(fs_->RemoveDirectory(dir_ / "d"), ENOTEMPTY);
  EXPECT_EQ(fs_->RemoveDirectory(dir_ / "d/f"), ENOTDIR);
  ASSERT_EQ(fs_->Unlink(dir_ / "d/f"), 0);
  EXPECT_EQ(fs_->RemoveDirectory(dir_ / "d"), 0);
  EXPECT_EQ(fs_->RemoveDirectory(dir_ / "d"), ENOENT);
}

TEST_F(PosixFileSystemTest, SyncDirectory) {
  EXPECT_EQ(fs_->SyncDirectory(dir_.path()), 0);
  EXPECT_EQ(fs_->SyncDirectory(dir_ / "none"), ENOENT);
  WriteFile(dir_ / "f", "");
  EXPECT_EQ(fs_->SyncDirectory(dir_ / "f"), ENOTDIR);
}

// No descriptor is left behind by any call.
TEST_F(PosixFileSystemTest, DescriptorsAreClosed) {
  auto open_descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  const auto before = open_descriptors();
  Create("f");
  std::vector<std::string> names;
  fs_->List(dir_.path(), &names);
  fs_->SyncDirectory(dir_.path());
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace seawall
