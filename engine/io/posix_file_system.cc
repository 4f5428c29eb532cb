// SPDX-License-Identifier: Apache-2.0
// The FileSystem of the operating system: each verb one system call (file_system.h).
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <string>
#include <utility>

#include "engine/io/descriptor.h"
#include "engine/io/inotify_watch.h"
#include "engine/io/lock_holders.h"
#include "seawall/file_system.h"

namespace seawall {
namespace {

static_assert(sizeof(off_t) == 8, "32-bit systems need -D_FILE_OFFSET_BITS=64");

IoResult Transferred(ssize_t count) {
  if (count < 0) return {errno, 0};
  return {0, static_cast<size_t>(count)};
}

int ErrorOf(int result) { return result < 0 ? errno : 0; }

// On btrfs, overwriting takes new space each time, unless the file was marked while it was empty.
// Without the mark, zeros written ahead reserve nothing: a full disk would be met not before a
// record is accepted, but after. Best effort: a log works without, but for that.
void OverwriteInPlace(int fd) {
  struct statfs where;
  struct stat info;
  if (fstatfs(fd, &where) < 0) return;
  // 32-bit ARM's field is an int, and the number has its highest bit set.
  if (static_cast<uint32_t>(where.f_type) != BTRFS_SUPER_MAGIC) return;
  if (fstat(fd, &info) < 0 || info.st_size != 0) return;
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) return;
  flags |= FS_NOCOW_FL;
  (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

class PosixFile : public File {
 public:
  explicit PosixFile(Descriptor fd) : descriptor_(std::move(fd)), fd_(descriptor_.get()) {}

  IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
    return Transferred(pread(fd_, to, bytes, static_cast<off_t>(offset)));
  }
  IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
    return Transferred(pwrite(fd_, from, bytes, static_cast<off_t>(offset)));
  }
  int Allocate(uint64_t offset, uint64_t bytes) override {
    return ErrorOf(fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)));
  }
  void AdviseSequential() override { (void)posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL); }
  int Sync(SyncKind kind) override {
    return ErrorOf(kind == SyncKind::kData ? fdatasync(fd_) : fsync(fd_));
  }
  int Size(uint64_t* bytes) override {
    struct stat info;
    if (fstat(fd_, &info) < 0) return errno;
    *bytes = static_cast<uint64_t>(info.st_size);
    return 0;
  }
  int TryLock() override { return ErrorOf(flock(fd_, LOCK_EX | LOCK_NB)); }
  int TryLockShared() override { return ErrorOf(flock(fd_, LOCK_SH | LOCK_NB)); }
  int Unlock() override { return ErrorOf(flock(fd_, LOCK_UN)); }
  std::string LockHolder() override { return Describe(FindLockHolders(fd_)); }
  int Truncate(uint64_t bytes) override {
    return ErrorOf(ftruncate(fd_, static_cast<off_t>(bytes)));
  }

 private:
  const Descriptor descriptor_;
  const int fd_;
};

// Best effort: a file of another owner keeps its mode.
void TightenMode(int fd, mode_t mode) {
  struct stat info;
  if (fstat(fd, &info) == 0 && (info.st_mode & 0777 & ~mode) != 0) {
    (void)fchmod(fd, info.st_mode & mode);
  }
}

// Whether a process of this user may be the writer of a log in a directory: groups and capabilities
// are not looked at, so a doubt is a yes.
bool MayWriteTo(const struct stat& directory, uid_t uid) {
  return uid == 0 || uid == directory.st_uid || (directory.st_mode & (S_IWGRP | S_IWOTH)) != 0;
}

// Opens `name` in the directory `at` (AT_FDCWD: by path).
int OpenAt(int at, const std::string& name, const OpenOptions& options,
           std::unique_ptr<File>* file) {
  int flags = O_CLOEXEC | (options.write ? O_RDWR : O_RDONLY);
  if (options.create) flags |= O_CREAT;
  if (options.exclusive) flags |= O_EXCL;
  if (options.direct) flags |= O_DIRECT;
  if (options.data_sync) flags |= O_DSYNC;
  if (options.full_sync) flags |= O_SYNC;
  if (options.no_follow) flags |= O_NOFOLLOW;
  // Who reads does not wait for a writer, if this is a pipe. A file on which others have a lease
  // would be refused then: nothing but a file has one.
  const int patience = options.write ? 0 : O_NONBLOCK;
  const mode_t mode = static_cast<mode_t>(options.mode);
  const auto open = [&] {
    const int fd = openat(at, name.c_str(), flags | patience, mode);
    return fd < 0 && errno == EWOULDBLOCK ? openat(at, name.c_str(), flags, mode) : fd;
  };
  Descriptor descriptor =
      options.close_on_fork ? Descriptor::ClosedOnFork(open) : Descriptor(open());
  if (descriptor.error() != 0) return descriptor.error();
  if (options.create) OverwriteInPlace(descriptor.get());
  if (options.tighten_mode) TightenMode(descriptor.get(), mode);
  *file = std::make_unique<PosixFile>(std::move(descriptor));
  return 0;
}

int StatAt(int at, const std::string& name, FileInfo* info) {
  struct stat found;
  if (fstatat(at, name.c_str(), &found, 0) < 0) return errno;
  info->is_directory = S_ISDIR(found.st_mode);
  info->is_regular = S_ISREG(found.st_mode);
  info->bytes = static_cast<uint64_t>(found.st_size);
  info->links = static_cast<uint64_t>(found.st_nlink);
  info->device = static_cast<uint64_t>(found.st_dev);
  info->inode = static_cast<uint64_t>(found.st_ino);
  return 0;
}

// Takes over `fd`, which is open for reading the directory.
int ListNames(int fd, std::vector<std::string>* names) {
  if (fd < 0) return errno;
  DIR* dir = fdopendir(fd);
  if (dir == nullptr) {
    const int error = errno;
    close(fd);
    return error;
  }
  names->clear();
  // readdir tells its end from an error by errno alone.
  errno = 0;
  while (const dirent* entry = readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names->push_back(std::move(name));
    errno = 0;
  }
  const int error = errno;
  closedir(dir);
  return error;
}

int CloneAt(int from_at, const std::string& from, int to_at, const std::string& to) {
  const Descriptor source(openat(from_at, from.c_str(), O_RDONLY | O_CLOEXEC));
  if (source.error() != 0) return source.error();
  const Descriptor copy(openat(to_at, to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (copy.error() != 0) return copy.error();
  OverwriteInPlace(copy.get());  // blocks are shared only between files that are alike in this
  const int error = ErrorOf(ioctl(copy.get(), FICLONE, source.get()));
  if (error != 0) unlinkat(to_at, to.c_str(), 0);
  return error == ENOTTY ? EOPNOTSUPP : error;
}

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

class PosixDirectory : public Directory {
 public:
  PosixDirectory(Descriptor fd, std::string path)
      : descriptor_(std::move(fd)), fd_(descriptor_.get()), path_(std::move(path)) {}

  const std::string& path() const override { return path_; }

  std::string CurrentPath() override {
    std::string found(PATH_MAX, '\0');
    const ssize_t bytes = readlink(ProcPath().c_str(), found.data(), found.size());
    if (bytes <= 0) return "";
    found.resize(static_cast<size_t>(bytes));
    // What the kernel shows of a directory that was removed, or that is out of reach, leads nowhere
    // or elsewhere.
    FileInfo there, here;
    const bool same = StatAt(AT_FDCWD, found, &there) == 0 && StatAt(fd_, ".", &here) == 0 &&
                      there.device == here.device && there.inode == here.inode;
    return same ? found : "";
  }

  int Open(const std::string& name, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    return OpenAt(fd_, name, options, file);
  }
  int Stat(const std::string& name, FileInfo* info) override { return StatAt(fd_, name, info); }
  int List(std::vector<std::string>* names) override {
    // A handle of its own: the place where readdir(3) is belongs to the open file.
    return ListNames(openat(fd_, ".", kDirectoryFlags), names);
  }
  int Rename(const std::string& from, const std::string& to) override {
    return ErrorOf(renameat(fd_, from.c_str(), fd_, to.c_str()));
  }
  int Unlink(const std::string& name) override { return ErrorOf(unlinkat(fd_, name.c_str(), 0)); }
  int Sync() override { return ErrorOf(fsync(fd_)); }
  int SyncFileSystem() override { return ErrorOf(syncfs(fd_)); }
  int TryLock(std::unique_ptr<File>* lock, std::string* holder) override {
    OpenOptions options;
    options.close_on_fork = true;
    std::unique_ptr<File> file;
    int error = OpenAt(fd_, ".", options, &file);
    if (error == 0) error = file->TryLock();
    if (error == 0) *lock = std::move(file);
    if (error != EWOULDBLOCK) return error;
    const std::vector<seawall::LockHolder> holders = FindLockHolders(fd_);
    *holder = Describe(holders);
    struct stat info;
    if (holders.empty() || fstat(fd_, &info) < 0) return error;
    for (const seawall::LockHolder& other : holders) {
      if (MayWriteTo(info, other.uid)) return error;
    }
    return 0;
  }
  int LinkFrom(Directory* from, const std::string& name, const std::string& to) override {
    const auto* other = dynamic_cast<const PosixDirectory*>(from);
    if (other == nullptr) return EXDEV;
    return ErrorOf(linkat(other->fd_, name.c_str(), fd_, to.c_str(), 0));
  }
  int CloneFrom(Directory* from, const std::string& name, const std::string& to) override {
    const auto* other = dynamic_cast<const PosixDirectory*>(from);
    return other == nullptr ? EXDEV : CloneAt(other->fd_, name, fd_, to);
  }
  bool CanBeFollowed() override { return true; }
  int Watch(const std::string& name, std::unique_ptr<FileWatch>* watch) override {
    return NewInotifyWatch(ProcPath(), name, watch);
  }

 private:
  // inotify(7) has no call that takes a directory's descriptor.
  std::string ProcPath() const { return "/proc/self/fd/" + std::to_string(fd_); }

  const Descriptor descriptor_;
  const int fd_;
  const std::string path_;
};

class PosixFileSystem : public FileSystem {
 public:
  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    return OpenAt(AT_FDCWD, path, options, file);
  }

  int OpenDirectory(const std::string& path, std::unique_ptr<Directory>* directory) override {
    Descriptor descriptor(open(path.c_str(), kDirectoryFlags));
    if (descriptor.error() != 0) return descriptor.error();
    *directory = std::make_unique<PosixDirectory>(std::move(descriptor), path);
    return 0;
  }

  int Stat(const std::string& path, FileInfo* info) override {
    return StatAt(AT_FDCWD, path, info);
  }

  int MakeDirectory(const std::string& path) override { return ErrorOf(mkdir(path.c_str(), 0755)); }

  int List(const std::string& directory, std::vector<std::string>* names) override {
    return ListNames(open(directory.c_str(), kDirectoryFlags), names);
  }

  int Rename(const std::string& from, const std::string& to) override {
    return ErrorOf(rename(from.c_str(), to.c_str()));
  }

  int Unlink(const std::string& path) override { return ErrorOf(unlink(path.c_str())); }

  int Link(const std::string& from, const std::string& to) override {
    return ErrorOf(link(from.c_str(), to.c_str()));
  }

  int CloneFile(const std::string& from, const std::string& to) override {
    return CloneAt(AT_FDCWD, from, AT_FDCWD, to);
  }

  int RemoveDirectory(const std::string& path) override { return ErrorOf(rmdir(path.c_str())); }

  int SyncDirectory(const std::string& directory) override {
    const Descriptor fd(open(directory.c_str(), kDirectoryFlags));
    return fd.error() != 0 ? fd.error() : ErrorOf(fsync(fd.get()));
  }

  bool CanBeFollowed() override { return true; }
  int Watch(const std::string& directory, const std::string& name,
            std::unique_ptr<FileWatch>* watch) override {
    return NewInotifyWatch(directory, name, watch);
  }
};

}  // namespace

FileSystem* FileSystem::Posix() {
  static FileSystem* const posix = new PosixFileSystem;  // never destroyed: no order of exit
  return posix;
}

}  // namespace seawall
