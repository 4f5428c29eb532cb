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

#include "engine/io/inotify_watch.h"
#include "seawall/file_system.h"

namespace seawall {
namespace {

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
  if (fstatfs(fd, &where) < 0 || where.f_type != BTRFS_SUPER_MAGIC) return;
  if (fstat(fd, &info) < 0 || info.st_size != 0) return;
  int flags = 0;
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0) return;
  flags |= FS_NOCOW_FL;
  (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
}

class PosixFile : public File {
 public:
  explicit PosixFile(int fd) : fd_(fd) {}
  // Nothing depends on what close(2) returns: all that matters has been synced before.
  ~PosixFile() override { close(fd_); }

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
  int Truncate(uint64_t bytes) override {
    return ErrorOf(ftruncate(fd_, static_cast<off_t>(bytes)));
  }

 private:
  const int fd_;
};

class PosixFileSystem : public FileSystem {
 public:
  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    int flags = O_CLOEXEC | (options.write ? O_RDWR : O_RDONLY);
    if (options.create) flags |= O_CREAT;
    if (options.exclusive) flags |= O_EXCL;
    if (options.direct) flags |= O_DIRECT;
    if (options.data_sync) flags |= O_DSYNC;
    if (options.full_sync) flags |= O_SYNC;
    // Who reads does not wait for a writer, if this is a pipe. A file on which others have a lease
    // would be refused then: nothing but a file has one.
    const int patience = options.write ? 0 : O_NONBLOCK;
    int fd = open(path.c_str(), flags | patience, 0644);
    if (fd < 0 && errno == EWOULDBLOCK) fd = open(path.c_str(), flags, 0644);
    if (fd < 0) return errno;
    if (options.create) OverwriteInPlace(fd);
    *file = std::make_unique<PosixFile>(fd);
    return 0;
  }

  int Stat(const std::string& path, FileInfo* info) override {
    struct stat found;
    if (stat(path.c_str(), &found) < 0) return errno;
    info->is_directory = S_ISDIR(found.st_mode);
    info->is_regular = S_ISREG(found.st_mode);
    info->bytes = static_cast<uint64_t>(found.st_size);
    info->links = static_cast<uint64_t>(found.st_nlink);
    return 0;
  }

  int MakeDirectory(const std::string& path) override { return ErrorOf(mkdir(path.c_str(), 0755)); }

  int List(const std::string& directory, std::vector<std::string>* names) override {
    DIR* dir = opendir(directory.c_str());
    if (dir == nullptr) return errno;
    names->clear();
    // readdir tells its end from an error by errno alone.
    errno = 0;
    while (const dirent* entry = readdir(dir)) {
      std::string name = entry->d_name;
      if (name != "." && name != "..") names->push_back(std::move(name));
      errno = 0;
    }
    int error = errno;
    closedir(dir);
    return error;
  }

  int Rename(const std::string& from, const std::string& to) override {
    return ErrorOf(rename(from.c_str(), to.c_str()));
  }

  int Unlink(const std::string& path) override { return ErrorOf(unlink(path.c_str())); }

  int Link(const std::string& from, const std::string& to) override {
    return ErrorOf(link(from.c_str(), to.c_str()));
  }

  int CloneFile(const std::string& from, const std::string& to) override {
    const int source = open(from.c_str(), O_RDONLY | O_CLOEXEC);
    if (source < 0) return errno;
    const int fd = open(to.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0) {
      OverwriteInPlace(fd);  // blocks are shared only between files that are alike in this
      error = ErrorOf(ioctl(fd, FICLONE, source));
      if (error != 0) unlink(to.c_str());
      close(fd);
    }
    close(source);
    return error == ENOTTY ? EOPNOTSUPP : error;
  }

  int RemoveDirectory(const std::string& path) override { return ErrorOf(rmdir(path.c_str())); }

  int SyncDirectory(const std::string& directory) override {
    int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    int error = ErrorOf(fsync(fd));
    close(fd);
    return error;
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
