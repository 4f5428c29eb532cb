// SPDX-License-Identifier: Apache-2.0
// The one seam between Seawall and the kernel.
//
// Each verb is one system call and reports what that call reported: an errno value, and for reads
// and writes the number of bytes, which may be short. Retrying EINTR, going on after a short
// count, and turning an errno into an absl::Status is done once, above this seam, so that a test
// that plays the kernel (a full disk, a failing sync, a crash) meets the code that runs in
// production. Implement it to simulate faults, or to put something between log and disk.
#ifndef SEAWALL_FILE_SYSTEM_H_
#define SEAWALL_FILE_SYSTEM_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace seawall {

// The result of a read or a write. error is an errno value, 0 for success; bytes counts only then.
struct IoResult {
  int error = 0;
  size_t bytes = 0;
};

// An open file. Thread-safe: PRead, PWrite, Allocate, Sync and Size may be called at once by any
// threads. The destructor closes the file.
class File {
 public:
  enum class SyncKind {
    kData,  // fdatasync(2): data, and the metadata needed to read it back (the size)
    kFull,  // fsync(2): data and all metadata
  };

  virtual ~File() = default;

  // pread(2). Zero bytes with no error is the end of the file.
  virtual IoResult PRead(void* to, size_t bytes, uint64_t offset) = 0;
  // pwrite(2). Extends the file where it writes beyond its end.
  virtual IoResult PWrite(const void* from, size_t bytes, uint64_t offset) = 0;
  // fallocate(2), mode 0: gives [offset, offset + bytes) a place on the disk and makes the file
  // that long; what was not written there reads as zeros. Durable with the next sync. EOPNOTSUPP
  // where there is no such call: zeros are written then.
  virtual int Allocate(uint64_t /*offset*/, uint64_t /*bytes*/) { return EOPNOTSUPP; }
  // posix_fadvise(2), POSIX_FADV_SEQUENTIAL, of the whole file: it is being read from front to
  // back, so that the system reads ahead. A hint: nothing depends on it, and an error is none.
  virtual void AdviseSequential() {}
  // fdatasync(2) or fsync(2). After a failure the state of what was not yet synced is unknown.
  virtual int Sync(SyncKind kind) = 0;
  // fstat(2): the file's length.
  virtual int Size(uint64_t* bytes) = 0;
  // flock(2) with LOCK_EX | LOCK_NB: EWOULDBLOCK when another open file holds it. The lock goes
  // with the file; but a child process, forked meanwhile, has the same open file and keeps it.
  virtual int TryLock() = 0;
  // flock(2) with LOCK_SH | LOCK_NB: EWOULDBLOCK while another open file holds TryLock()'s. A file
  // that is open for reading only will do. EOPNOTSUPP where there is no such call.
  virtual int TryLockShared() { return EOPNOTSUPP; }
  // flock(2) with LOCK_UN: for all processes that have this open file. OK without a lock.
  virtual int Unlock() = 0;
  // Who holds a lock on the file, for a message: "process 12". "" where that is not known.
  virtual std::string LockHolder() { return ""; }
  // ftruncate(2). Used on the LOCK file only; a segment is never shortened.
  virtual int Truncate(uint64_t bytes) = 0;
};

struct OpenOptions {
  bool write = false;      // O_RDWR, else O_RDONLY
  bool create = false;     // O_CREAT
  bool exclusive = false;  // O_EXCL
  bool direct = false;     // O_DIRECT: offsets, sizes and memory are multiples of 4096
  // Each write returns only when it is on stable storage: O_DSYNC, O_SYNC.
  bool data_sync = false;
  bool full_sync = false;
  // The permissions of a file that is created; the process's umask takes some away, as it does
  // everywhere.
  uint32_t mode = 0644;
  // A file that is there already loses the permissions that `mode` does not have.
  bool tighten_mode = false;
  // O_NOFOLLOW: a name that is a symbolic link is refused, with ELOOP.
  bool no_follow = false;
  // A child made by fork(2) closes its copy at once, so that a lock on the file ends with this
  // process even where a child outlives it. (O_CLOEXEC does that for exec only. A child made by a
  // bare clone(2) keeps its copy.)
  bool close_on_fork = false;
};

struct FileInfo {
  bool is_directory = false;
  bool is_regular = false;
  uint64_t bytes = 0;
  uint64_t links = 1;  // names that the file has
  // Together they name the file on this machine; 0 where a file system has no such numbers.
  uint64_t device = 0;
  uint64_t inode = 0;
};

// Tells that a file was written to, or that names in its directory came or went. One thread waits;
// any may call Wake().
class FileWatch {
 public:
  virtual ~FileWatch() = default;

  // Returns after a change since the watch was made or since the last call, or after
  // `timeout_micros`, or Wake(), or for no reason. An errno value; then the caller looks from time
  // to time instead.
  virtual int Wait(uint64_t timeout_micros) = 0;
  // Ends the Wait() under way, or the next one.
  virtual void Wake() = 0;
};

// A directory that was opened once. Names are looked up in that directory, wherever it has been
// moved since and whatever has come to its old place. A name has no '/' in it. All functions return
// an errno value, 0 for success. Thread-safe. The destructor closes the directory.
class Directory {
 public:
  virtual ~Directory() = default;

  // The path by which it was opened: for messages.
  virtual const std::string& path() const = 0;
  // A path that leads to it now, or "" if there is none that can be told (it was removed, or it is
  // outside of this process's root).
  virtual std::string CurrentPath() = 0;

  // As the functions of FileSystem of these names: openat(2), fstatat(2), readdir(3), renameat(2),
  // unlinkat(2), and fsync(2) of the directory. "." is the directory itself.
  virtual int Open(const std::string& name, const OpenOptions& options,
                   std::unique_ptr<File>* file) = 0;
  virtual int Stat(const std::string& name, FileInfo* info) = 0;
  virtual int List(std::vector<std::string>* names) = 0;
  virtual int Rename(const std::string& from, const std::string& to) = 0;
  virtual int Unlink(const std::string& name) = 0;
  virtual int Sync() = 0;
  // syncfs(2): all of the file system that the directory is in, its own name there included.
  virtual int SyncFileSystem() { return EOPNOTSUPP; }

  // flock(2) of the directory itself: a lock that stays where somebody deletes or replaces a lock
  // file in it. It ends when `*lock` is destroyed, and with this process; a forked child does not
  // have it. EWOULDBLOCK while somebody else holds it, and then `*holder` says who, as
  // File::LockHolder(). Whoever may read a directory may lock it: a holder that is known to have no
  // right to write there is passed over, with `*lock` nullptr.
  virtual int TryLock(std::unique_ptr<File>* lock, std::string* holder);

  // linkat(2) and ioctl_ficlone(2): `name` of the directory `from` becomes `to` in this one, as
  // FileSystem::Link and CloneFile. EXDEV where the two are not of one file system.
  virtual int LinkFrom(Directory* /*from*/, const std::string& /*name*/,
                       const std::string& /*to*/) {
    return EOPNOTSUPP;
  }
  virtual int CloneFrom(Directory* /*from*/, const std::string& /*name*/,
                        const std::string& /*to*/) {
    return EOPNOTSUPP;
  }

  // As FileSystem's.
  virtual bool CanBeFollowed() { return false; }
  virtual int Watch(const std::string& /*name*/, std::unique_ptr<FileWatch>* /*watch*/) {
    return EOPNOTSUPP;
  }
};

// Names and directories. All functions return an errno value, 0 for success. Thread-safe.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // open(2), always with O_CLOEXEC. Without `write` it does not wait: a pipe that nobody has open
  // for writing is opened, or refused. The descriptor is never 0, 1 or 2: a process that was
  // started with its standard streams closed would write there what it prints.
  virtual int Open(const std::string& path, const OpenOptions& options,
                   std::unique_ptr<File>* file) = 0;
  // A directory that is there. By default one that goes by path name through this file system,
  // which serves simulations; the operating system's goes by a descriptor.
  virtual int OpenDirectory(const std::string& path, std::unique_ptr<Directory>* directory);
  // stat(2).
  virtual int Stat(const std::string& path, FileInfo* info) = 0;
  // mkdir(2) with mode 0755.
  virtual int MakeDirectory(const std::string& path) = 0;
  // readdir(3) to the end: the names in a directory, without "." and "..", in any order.
  virtual int List(const std::string& directory, std::vector<std::string>* names) = 0;
  // rename(2). The new name may vanish in a power loss until SyncDirectory().
  virtual int Rename(const std::string& from, const std::string& to) = 0;
  // unlink(2). The name may come back in a power loss until SyncDirectory().
  virtual int Unlink(const std::string& path) = 0;
  // rmdir(2): an empty directory. Its name, too, may come back until SyncDirectory() of its parent.
  virtual int RemoveDirectory(const std::string& path) = 0;
  // link(2): a second name for a file. EOPNOTSUPP where there is no such thing.
  virtual int Link(const std::string& /*from*/, const std::string& /*to*/) { return EOPNOTSUPP; }
  // ioctl_ficlone(2): a new file that shares the blocks of another one until either is written.
  // EOPNOTSUPP, EXDEV or EINVAL where that cannot be; then there is no such file.
  virtual int CloneFile(const std::string& /*from*/, const std::string& /*to*/) {
    return EOPNOTSUPP;
  }
  // fsync(2) of the directory itself: makes creations, renames and unlinks in it durable.
  virtual int SyncDirectory(const std::string& directory) = 0;

  // For Reader::Follow(). Whether readers in other processes can be told of what is written here:
  // files have TryLockShared(), and what one process writes another one reads. Only then does a log
  // publish its watermark (a file of that name).
  virtual bool CanBeFollowed() { return false; }
  // inotify(7) on the file, which may not be there yet, and on the directory that it is in.
  // EOPNOTSUPP where there is none: who follows looks from time to time then.
  virtual int Watch(const std::string& /*directory*/, const std::string& /*name*/,
                    std::unique_ptr<FileWatch>* /*watch*/) {
    return EOPNOTSUPP;
  }

  // The operating system's file system. Lives as long as the process.
  static FileSystem* Posix();
};

inline int Directory::TryLock(std::unique_ptr<File>* lock, std::string* holder) {
  OpenOptions options;
  options.close_on_fork = true;
  std::unique_ptr<File> file;
  int error = Open(".", options, &file);
  if (error == 0) error = file->TryLock();
  if (error == 0) {
    *lock = std::move(file);
  } else if (file != nullptr) {
    *holder = file->LockHolder();
  }
  return error;
}

// A Directory of a file system that knows path names only.
class PathDirectory : public Directory {
 public:
  // `fs` outlives this.
  PathDirectory(FileSystem* fs, std::string path) : fs_(fs), path_(std::move(path)) {}

  const std::string& path() const override { return path_; }
  std::string CurrentPath() override { return path_; }
  int Open(const std::string& name, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    return fs_->Open(PathOf(name), options, file);
  }
  int Stat(const std::string& name, FileInfo* info) override {
    return fs_->Stat(PathOf(name), info);
  }
  int List(std::vector<std::string>* names) override { return fs_->List(path_, names); }
  int Rename(const std::string& from, const std::string& to) override {
    return fs_->Rename(PathOf(from), PathOf(to));
  }
  int Unlink(const std::string& name) override { return fs_->Unlink(PathOf(name)); }
  int Sync() override { return fs_->SyncDirectory(path_); }
  int LinkFrom(Directory* from, const std::string& name, const std::string& to) override {
    return fs_->Link(from->path() + "/" + name, PathOf(to));
  }
  int CloneFrom(Directory* from, const std::string& name, const std::string& to) override {
    return fs_->CloneFile(from->path() + "/" + name, PathOf(to));
  }
  bool CanBeFollowed() override { return fs_->CanBeFollowed(); }
  int Watch(const std::string& name, std::unique_ptr<FileWatch>* watch) override {
    return fs_->Watch(path_, name, watch);
  }

 private:
  std::string PathOf(const std::string& name) const {
    return name == "." ? path_ : path_ + "/" + name;
  }

  FileSystem* const fs_;
  const std::string path_;
};

inline int FileSystem::OpenDirectory(const std::string& path,
                                     std::unique_ptr<Directory>* directory) {
  FileInfo info;
  const int error = Stat(path, &info);
  if (error != 0) return error;
  if (!info.is_directory) return ENOTDIR;
  *directory = std::make_unique<PathDirectory>(this, path);
  return 0;
}

}  // namespace seawall

#endif  // SEAWALL_FILE_SYSTEM_H_
