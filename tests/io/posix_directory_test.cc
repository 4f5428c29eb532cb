// SPDX-License-Identifier: Apache-2.0
// A directory by its handle, wherever its name has gone; and descriptors: which numbers they have,
// and what a child has of them.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

OpenOptions ToCreate() {
  OpenOptions options;
  options.write = true;
  options.create = true;
  return options;
}

class PosixDirectoryTest : public ::testing::Test {
 protected:
  PosixDirectoryTest() {
    std::filesystem::create_directory(dir_ / "log");
    EXPECT_EQ(FileSystem::Posix()->OpenDirectory(dir_ / "log", &log_), 0);
  }

  void Write(const std::string& name, const std::string& bytes) {
    std::unique_ptr<File> file;
    ASSERT_EQ(log_->Open(name, ToCreate(), &file), 0);
    ASSERT_EQ(file->PWrite(bytes.data(), bytes.size(), 0).bytes, bytes.size());
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    EXPECT_EQ(log_->List(&names), 0);
    std::sort(names.begin(), names.end());
    return names;
  }

  TempDir dir_;
  std::unique_ptr<Directory> log_;
};

TEST_F(PosixDirectoryTest, FindsItsFilesWhereverItWasMoved) {
  Write("a", "one");
  std::filesystem::rename(dir_ / "log", dir_ / "moved");
  std::filesystem::create_directory(dir_ / "log");
  WriteFile(dir_ / "log/a", "another");

  Write("b", "two");
  EXPECT_EQ(log_->Rename("a", "c"), 0);
  EXPECT_EQ(log_->Sync(), 0);
  EXPECT_EQ(Names(), (std::vector<std::string>{"b", "c"}));
  FileInfo info;
  EXPECT_EQ(log_->Stat("c", &info), 0);
  EXPECT_EQ(info.bytes, 3u);
  EXPECT_EQ(log_->Stat("a", &info), ENOENT);
  EXPECT_EQ(log_->Unlink("b"), 0);
  EXPECT_EQ(Names(), std::vector<std::string>{"c"});
  EXPECT_EQ(ReadFile(dir_ / "moved/c"), "one");
  EXPECT_EQ(ReadFile(dir_ / "log/a"), "another");

  EXPECT_EQ(log_->path(), dir_ / "log");
  EXPECT_EQ(log_->CurrentPath(), std::filesystem::canonical(dir_ / "moved").string());
}

TEST_F(PosixDirectoryTest, HasNoPathWhenItWasRemoved) {
  std::filesystem::remove(dir_ / "log");
  EXPECT_EQ(log_->CurrentPath(), "");
  // Nor when another one came under the name that the kernel shows for it.
  std::filesystem::create_directory(log_->path() + " (deleted)");
  EXPECT_EQ(log_->CurrentPath(), "");
  std::unique_ptr<File> file;
  EXPECT_EQ(log_->Open("a", ToCreate(), &file), ENOENT);
}

TEST_F(PosixDirectoryTest, IsOnlyForDirectories) {
  WriteFile(dir_ / "file", "");
  std::unique_ptr<Directory> directory;
  EXPECT_EQ(FileSystem::Posix()->OpenDirectory(dir_ / "file", &directory), ENOTDIR);
  EXPECT_EQ(FileSystem::Posix()->OpenDirectory(dir_ / "none", &directory), ENOENT);
  EXPECT_EQ(directory, nullptr);
}

TEST_F(PosixDirectoryTest, LinksFromAnotherDirectory) {
  Write("a", "one");
  std::filesystem::create_directory(dir_ / "copy");
  std::unique_ptr<Directory> copy;
  ASSERT_EQ(FileSystem::Posix()->OpenDirectory(dir_ / "copy", &copy), 0);
  std::filesystem::rename(dir_ / "log", dir_ / "moved");
  EXPECT_EQ(copy->LinkFrom(log_.get(), "a", "b"), 0);
  EXPECT_EQ(ReadFile(dir_ / "copy/b"), "one");
  FileInfo a, b;
  EXPECT_EQ(log_->Stat("a", &a), 0);
  EXPECT_EQ(copy->Stat("b", &b), 0);
  EXPECT_EQ(a.inode, b.inode);
  EXPECT_EQ(a.device, b.device);
  EXPECT_EQ(b.links, 2u);
  const int error = copy->CloneFrom(log_.get(), "a", "c");
  if (error == 0) {
    EXPECT_EQ(ReadFile(dir_ / "copy/c"), "one");
  } else {
    EXPECT_EQ(copy->Stat("c", &b), ENOENT);
  }
}

TEST_F(PosixDirectoryTest, ASymbolicLinkIsRefusedWhereThatIsAsked) {
  WriteFile(dir_ / "victim", "precious");
  std::filesystem::create_symlink(dir_ / "victim", dir_ / "log/LOCK");
  OpenOptions options = ToCreate();
  options.no_follow = true;
  std::unique_ptr<File> file;
  EXPECT_EQ(log_->Open("LOCK", options, &file), ELOOP);
}

TEST_F(PosixDirectoryTest, AFileIsMadeWithItsModeLessTheUmask) {
  const mode_t old = umask(027);
  OpenOptions options = ToCreate();
  options.mode = 0666;
  std::unique_ptr<File> file;
  EXPECT_EQ(log_->Open("a", options, &file), 0);
  umask(old);
  struct stat info;
  ASSERT_EQ(stat((dir_ / "log/a").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
}

// In a child, so that this process keeps its standard streams.
TEST_F(PosixDirectoryTest, NoDescriptorIsAStandardStream) {
  const pid_t child = fork();
  if (child == 0) {
    for (int fd : {0, 1, 2}) close(fd);
    std::unique_ptr<Directory> directory;
    std::unique_ptr<File> file, read, dir_file;
    std::unique_ptr<FileWatch> watch;
    FileSystem* const fs = FileSystem::Posix();
    OpenOptions owned = ToCreate();
    owned.close_on_fork = true;
    std::vector<std::string> names;
    bool good = fs->OpenDirectory(log_->path(), &directory) == 0 &&
                directory->Open("a", ToCreate(), &file) == 0 &&
                directory->Open("LOCK", owned, &read) == 0 &&
                fs->Open(log_->path() + "/a", OpenOptions(), &dir_file) == 0 &&
                directory->List(&names) == 0 && directory->Watch("a", &watch) == 0;
    for (int fd : {0, 1, 2}) good = good && fcntl(fd, F_GETFD) < 0;
    _exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(PosixDirectoryTest, EveryDescriptorIsClosedOnExec) {
  std::unique_ptr<Directory> directory;
  std::unique_ptr<FileWatch> watch;
  std::unique_ptr<File> file;
  const int first = dup(0);
  close(first);
  ASSERT_EQ(FileSystem::Posix()->OpenDirectory(log_->path(), &directory), 0);
  ASSERT_EQ(directory->Open("a", ToCreate(), &file), 0);
  ASSERT_EQ(directory->Watch("a", &watch), 0);
  for (int fd = first; fd < first + 4; ++fd) {
    EXPECT_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC) << fd;
  }
}

// Whether a child that lives on keeps a lock that this process took and gave up by closing.
bool LockOutlivesItsOwner(Directory* directory, const OpenOptions& options) {
  std::unique_ptr<File> lock;
  EXPECT_EQ(directory->Open("LOCK", options, &lock), 0);
  EXPECT_EQ(lock->TryLock(), 0);
  int begun[2], done[2];
  EXPECT_EQ(pipe(begun), 0);
  EXPECT_EQ(pipe(done), 0);
  char byte = 0;
  const pid_t child = fork();
  if (child == 0) {
    close(done[1]);
    (void)!write(begun[1], &byte, 1);
    (void)!read(done[0], &byte, 1);  // until the parent has looked
    lock.reset();
    _exit(0);
  }
  close(done[0]);
  EXPECT_EQ(read(begun[0], &byte, 1), 1);
  lock.reset();
  std::unique_ptr<File> other;
  EXPECT_EQ(directory->Open("LOCK", options, &other), 0);
  const int error = other->TryLock();
  close(done[1]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  close(begun[0]);
  close(begun[1]);
  return error == EWOULDBLOCK;
}

TEST_F(PosixDirectoryTest, AChildDoesNotKeepALockThatIsItsParentsOnly) {
  OpenOptions options = ToCreate();
  EXPECT_TRUE(LockOutlivesItsOwner(log_.get(), options)) << "then close_on_fork is not needed";
  options.close_on_fork = true;
  EXPECT_FALSE(LockOutlivesItsOwner(log_.get(), options));
}

// A descriptor that the child has closed may be another file's there.
TEST_F(PosixDirectoryTest, AChildClosesNobodyElsesDescriptor) {
  OpenOptions options = ToCreate();
  options.close_on_fork = true;
  std::unique_ptr<File> lock;
  ASSERT_EQ(log_->Open("LOCK", options, &lock), 0);
  const pid_t child = fork();
  if (child == 0) {
    std::unique_ptr<File> file;  // takes the number that is free
    if (log_->Open("a", ToCreate(), &file) != 0) _exit(1);
    lock.reset();
    _exit(file->PWrite("x", 1, 0).error == 0 ? 0 : 2);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// The default serves file systems that know paths only.
TEST_F(PosixDirectoryTest, ADirectoryByPathDoesTheSame) {
  PathDirectory directory(FileSystem::Posix(), dir_ / "log");
  std::unique_ptr<File> file;
  ASSERT_EQ(directory.Open("a", ToCreate(), &file), 0);
  ASSERT_EQ(file->PWrite("one", 3, 0).error, 0);
  EXPECT_EQ(directory.Rename("a", "b"), 0);
  EXPECT_EQ(directory.Sync(), 0);
  EXPECT_EQ(directory.LinkFrom(&directory, "b", "c"), 0);
  EXPECT_EQ(Names(), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(directory.Unlink("c"), 0);
  FileInfo info;
  EXPECT_EQ(directory.Stat(".", &info), 0);
  EXPECT_TRUE(info.is_directory);
  EXPECT_EQ(directory.CurrentPath(), dir_ / "log");
}

}  // namespace
}  // namespace seawall
