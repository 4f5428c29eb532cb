// SPDX-License-Identifier: Apache-2.0
#include "seawall/testing/crash_file_system.h"

#include <algorithm>
#include <cstring>
#include <ostream>
#include <utility>

#include "engine/testing/crash_disk.h"
#include "engine/testing/crash_kernel.h"

namespace seawall {
namespace crash_internal {
namespace {

using Guard = std::lock_guard<std::mutex>;

constexpr uint64_t kMaxFileBytes = uint64_t{1} << 40;

FileSystemCall MakeCall(CallKind kind, const std::string& path) {
  FileSystemCall call;
  call.kind = kind;
  call.path = path;
  return call;
}

class CrashFile final : public File {
 public:
  CrashFile(std::shared_ptr<Kernel> kernel, InodeId inode, const std::string& path,
            const OpenOptions& options)
      : kernel_(std::move(kernel)), inode_(inode), path_(path), options_(options) {}

  ~CrashFile() override {
    const Guard guard(kernel_->mutex);
    DropLock();
    if (--kernel_->open_files[inode_] == 0) kernel_->open_files.erase(inode_);
    kernel_->FreeSpaceIfUnused(inode_);
  }

  IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
    FileSystemCall call = MakeCall(CallKind::kRead, path_);
    call.offset = offset;
    call.bytes = bytes;
    const int error = kernel_->Run(&call, [&](size_t max_bytes) {
      if (kernel_->disk.Get(inode_)->is_directory) return EISDIR;
      if (!Aligned(to, bytes, offset)) return EINVAL;
      call.transferred = kernel_->disk.Read(inode_, to, std::min(bytes, max_bytes), offset);
      return 0;
    });
    return Result(error, call.transferred);
  }

  IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
    const bool to_disk = options_.data_sync || options_.full_sync;
    FileSystemCall call = MakeCall(CallKind::kWrite, path_);
    call.offset = offset;
    call.bytes = bytes;
    call.may_change = true;
    const auto write = [&](size_t max_bytes) {
      if (!options_.write) return EBADF;
      if (!Aligned(from, bytes, offset)) return EINVAL;
      if (offset >= kMaxFileBytes || bytes > kMaxFileBytes - offset) return EFBIG;
      call.transferred = kernel_->disk.Write(inode_, from, std::min(bytes, max_bytes), offset,
                                             kernel_->Now(), kernel_->max_sectors);
      return call.transferred == 0 && bytes > 0 && max_bytes > 0 ? ENOSPC : 0;
    };
    const auto settle = [&] { kernel_->disk.SyncRange(inode_, offset, call.transferred); };
    const auto fail = [&](int fault) {
      // A disk that failed while it was written to: any part may have arrived.
      const bool reaches_disk = to_disk || options_.direct;
      if (fault != EIO || !reaches_disk || write(bytes) != 0) return;
      kernel_->disk.DropRange(inode_, offset, call.transferred,
                              kernel_->options.failed_sync_keeps_cache);
    };
    const int error =
        kernel_->Run(&call, write, to_disk ? std::function<void()>(settle) : nullptr, fail);
    return Result(error, call.transferred);
  }

  // Like a write of zeros behind the end, in the cache only: what a crash may leave of that is more
  // than a kernel's fallocate leaves, never less.
  int Allocate(uint64_t offset, uint64_t bytes) override {
    FileSystemCall call = MakeCall(CallKind::kAllocate, path_);
    call.offset = offset;
    call.bytes = bytes;
    call.may_change = true;
    return kernel_->Run(&call, [&](size_t) {
      if (!options_.write) return EBADF;
      if (bytes == 0) return EINVAL;
      if (offset >= kMaxFileBytes || bytes > kMaxFileBytes - offset) return EFBIG;
      const std::string zeros(64 << 10, '\0');
      const uint64_t end = offset + bytes;
      for (uint64_t at = std::max(offset, kernel_->disk.Get(inode_)->size); at < end;) {
        const size_t chunk = static_cast<size_t>(std::min<uint64_t>(end - at, zeros.size()));
        const size_t written = kernel_->disk.Write(inode_, zeros.data(), chunk, at, kernel_->Now(),
                                                   kernel_->max_sectors);
        if (written < chunk) return ENOSPC;
        at += written;
      }
      return 0;
    });
  }

  int Sync(SyncKind) override {
    FileSystemCall call = MakeCall(CallKind::kSync, path_);
    call.may_change = true;
    return kernel_->Run(
        &call, [](size_t) { return 0; },
        [&] {
          if (kernel_->disk.Get(inode_)->is_directory) {
            kernel_->disk.SyncDirectory(inode_);
          } else {
            kernel_->disk.SyncFile(inode_);
          }
        },
        [&](int fault) {
          if (fault == EINTR || fault == EBADF || fault == EINVAL) return;
          if (kernel_->disk.Get(inode_)->is_directory) {
            kernel_->disk.DropDirectory(inode_);
          } else {
            kernel_->disk.DropFile(inode_, kernel_->options.failed_sync_keeps_cache);
          }
        });
  }

  int Size(uint64_t* bytes) override {
    FileSystemCall call = MakeCall(CallKind::kSize, path_);
    return kernel_->Run(&call, [&](size_t) {
      *bytes = kernel_->disk.Get(inode_)->size;
      return 0;
    });
  }

  int TryLock() override {
    FileSystemCall call = MakeCall(CallKind::kLock, path_);
    return kernel_->Run(&call, [&](size_t) {
      const void*& holder = kernel_->locks[inode_];
      if (holder != nullptr && holder != this) return EWOULDBLOCK;
      holder = this;
      return 0;
    });
  }

  int Unlock() override {
    FileSystemCall call = MakeCall(CallKind::kUnlock, path_);
    return kernel_->Run(&call, [&](size_t) {
      DropLock();
      return 0;
    });
  }

  int Truncate(uint64_t bytes) override {
    FileSystemCall call = MakeCall(CallKind::kTruncate, path_);
    call.offset = bytes;
    call.may_change = true;
    return kernel_->Run(&call, [&](size_t) {
      if (!options_.write) return EINVAL;
      if (bytes > kMaxFileBytes) return EFBIG;
      kernel_->disk.Resize(inode_, bytes, kernel_->Now());
      return 0;
    });
  }

 private:
  void DropLock() {
    const auto lock = kernel_->locks.find(inode_);
    if (lock != kernel_->locks.end() && lock->second == this) kernel_->locks.erase(lock);
  }

  bool Aligned(const void* memory, size_t bytes, uint64_t offset) const {
    if (!options_.direct) return true;
    const size_t unit = kernel_->options.direct_alignment_bytes;
    return reinterpret_cast<uintptr_t>(memory) % unit == 0 && bytes % unit == 0 &&
           offset % unit == 0;
  }

  static IoResult Result(int error, size_t bytes) {
    IoResult result;
    result.error = error;
    result.bytes = error == 0 ? bytes : 0;
    return result;
  }

  const std::shared_ptr<Kernel> kernel_;
  const InodeId inode_;
  const std::string path_;
  const OpenOptions options_;
};

}  // namespace

}  // namespace crash_internal

using crash_internal::CrashFile;
using crash_internal::Disk;
using crash_internal::Guard;
using crash_internal::Inode;
using crash_internal::InodeId;
using crash_internal::Kernel;
using crash_internal::MakeCall;
using crash_internal::Place;

const char* CallKindName(CallKind kind) {
  switch (kind) {
    case CallKind::kAny:
      return "any";
    case CallKind::kOpen:
      return "open";
    case CallKind::kRead:
      return "read";
    case CallKind::kWrite:
      return "write";
    case CallKind::kAllocate:
      return "allocate";
    case CallKind::kSync:
      return "sync";
    case CallKind::kSize:
      return "size";
    case CallKind::kLock:
      return "lock";
    case CallKind::kUnlock:
      return "unlock";
    case CallKind::kTruncate:
      return "truncate";
    case CallKind::kStat:
      return "stat";
    case CallKind::kMakeDirectory:
      return "mkdir";
    case CallKind::kList:
      return "list";
    case CallKind::kRename:
      return "rename";
    case CallKind::kUnlink:
      return "unlink";
    case CallKind::kRemoveDirectory:
      return "rmdir";
    case CallKind::kSyncDirectory:
      return "sync_directory";
  }
  return "?";
}

std::ostream& operator<<(std::ostream& out, const FileSystemCall& call) {
  out << "#" << call.ordinal << " " << CallKindName(call.kind) << " " << call.path;
  if (!call.to.empty()) out << " to " << call.to;
  if (call.kind == CallKind::kAllocate) out << " [" << call.offset << ", +" << call.bytes << ")";
  if (call.kind == CallKind::kRead || call.kind == CallKind::kWrite) {
    out << " [" << call.offset << ", +" << call.bytes << ")";
    if (call.error == 0 && call.transferred != call.bytes) out << " = " << call.transferred;
  }
  if (call.kind == CallKind::kTruncate) out << " " << call.offset;
  if (call.error != 0) out << ": " << std::strerror(call.error);
  return out;
}

CrashFileSystem::CrashFileSystem(const CrashOptions& options)
    : kernel_(std::make_shared<Kernel>(options, Disk(options.sector_bytes), UINT64_MAX, 0)) {}

CrashFileSystem::CrashFileSystem(std::shared_ptr<Kernel> kernel) : kernel_(std::move(kernel)) {}

CrashFileSystem::~CrashFileSystem() = default;

int CrashFileSystem::Open(const std::string& path, const OpenOptions& options,
                          std::unique_ptr<File>* file) {
  FileSystemCall call = MakeCall(CallKind::kOpen, path);
  call.may_change = options.create;
  Kernel* const k = kernel_.get();
  InodeId opened = 0;
  const int error = k->Run(&call, [&](size_t) {
    Place place;
    if (const int e = k->Resolve(path, &place); e != 0) return e;
    if (place.inode != 0) {
      if (options.create && options.exclusive) return EEXIST;
      if (k->disk.Get(place.inode)->is_directory && (options.write || options.create)) {
        return EISDIR;
      }
    } else {
      if (!options.create) return ENOENT;
      if (place.must_be_directory) return EISDIR;
      place.inode = k->disk.Create(place.directory, place.name, false, k->Now());
    }
    opened = place.inode;
    ++k->open_files[opened];
    return 0;
  });
  // A crash inside the call makes the file, but nobody holds it.
  if (error == 0) *file = std::make_unique<CrashFile>(kernel_, opened, path, options);
  return error;
}

int CrashFileSystem::Stat(const std::string& path, FileInfo* info) {
  FileSystemCall call = MakeCall(CallKind::kStat, path);
  return kernel_->Run(&call, [&](size_t) {
    Place place;
    if (const int e = kernel_->Resolve(path, &place); e != 0) return e;
    if (place.inode == 0) return ENOENT;
    const Inode* inode = kernel_->disk.Get(place.inode);
    info->is_directory = inode->is_directory;
    info->is_regular = !inode->is_directory;
    info->bytes = inode->size;
    return 0;
  });
}

int CrashFileSystem::MakeDirectory(const std::string& path) {
  FileSystemCall call = MakeCall(CallKind::kMakeDirectory, path);
  call.may_change = true;
  return kernel_->Run(&call, [&](size_t) {
    Place place;
    if (const int e = kernel_->Resolve(path, &place); e != 0) return e == ENOTDIR ? EEXIST : e;
    if (place.inode != 0) return EEXIST;
    kernel_->disk.Create(place.directory, place.name, true, kernel_->Now());
    return 0;
  });
}

int CrashFileSystem::List(const std::string& directory, std::vector<std::string>* names) {
  FileSystemCall call = MakeCall(CallKind::kList, directory);
  return kernel_->Run(&call, [&](size_t) {
    Place place;
    if (const int e = kernel_->Resolve(directory, &place); e != 0) return e;
    if (place.inode == 0) return ENOENT;
    const Inode* inode = kernel_->disk.Get(place.inode);
    if (!inode->is_directory) return ENOTDIR;
    names->clear();
    for (const auto& [name, id] : inode->entries) names->push_back(name);
    // readdir promises no order, so nobody may come to rely on one.
    crash_internal::Random random(kernel_->options.seed);
    for (size_t i = names->size(); i > 1; --i) {
      std::swap((*names)[i - 1], (*names)[random.Below(i)]);
    }
    return 0;
  });
}

int CrashFileSystem::Rename(const std::string& from, const std::string& to) {
  FileSystemCall call = MakeCall(CallKind::kRename, from);
  call.to = to;
  call.may_change = true;
  Kernel* const k = kernel_.get();
  return k->Run(&call, [&](size_t) {
    Place source;
    Place target;
    if (const int e = k->Resolve(from, &source); e != 0) return e;
    if (const int e = k->Resolve(to, &target); e != 0) return e;
    if (source.inode == 0) return ENOENT;
    if (source.directory == 0 || target.directory == 0) return EBUSY;
    if (source.inode == target.inode) return 0;
    const Inode* moved = k->disk.Get(source.inode);
    if (moved->is_directory) {
      // A directory cannot come to lie in itself.
      std::vector<InodeId> todo = {source.inode};
      while (!todo.empty()) {
        if (todo.back() == target.directory) return EINVAL;
        const Inode* inode = k->disk.Get(todo.back());
        todo.pop_back();
        for (const auto& [name, id] : inode->entries) todo.push_back(id);
      }
    } else if (target.must_be_directory) {
      return ENOTDIR;
    }
    if (target.inode != 0) {
      const Inode* replaced = k->disk.Get(target.inode);
      if (moved->is_directory && !replaced->is_directory) return ENOTDIR;
      if (!moved->is_directory && replaced->is_directory) return EISDIR;
      if (!replaced->entries.empty()) return ENOTEMPTY;
    }
    k->disk.Rename(source.directory, source.name, target.directory, target.name, k->Now());
    if (target.inode != 0) k->FreeSpaceIfUnused(target.inode);
    return 0;
  });
}

int CrashFileSystem::Unlink(const std::string& path) {
  FileSystemCall call = MakeCall(CallKind::kUnlink, path);
  call.may_change = true;
  return kernel_->Run(&call, [&](size_t) {
    Place place;
    if (const int e = kernel_->ResolveFile(path, &place); e != 0) return e;
    kernel_->disk.Remove(place.directory, place.name, kernel_->Now());
    kernel_->FreeSpaceIfUnused(place.inode);
    return 0;
  });
}

int CrashFileSystem::RemoveDirectory(const std::string& path) {
  FileSystemCall call = MakeCall(CallKind::kRemoveDirectory, path);
  call.may_change = true;
  return kernel_->Run(&call, [&](size_t) {
    Place place;
    if (const int e = kernel_->Resolve(path, &place); e != 0) return e;
    if (place.inode == 0) return ENOENT;
    if (place.directory == 0) return EBUSY;
    const Inode* inode = kernel_->disk.Get(place.inode);
    if (!inode->is_directory) return ENOTDIR;
    if (!inode->entries.empty()) return ENOTEMPTY;
    kernel_->disk.Remove(place.directory, place.name, kernel_->Now());
    kernel_->FreeSpaceIfUnused(place.inode);
    return 0;
  });
}

int CrashFileSystem::SyncDirectory(const std::string& directory) {
  FileSystemCall call = MakeCall(CallKind::kSyncDirectory, directory);
  call.may_change = true;
  Place place;
  const auto resolve = [&] {
    if (const int e = kernel_->Resolve(directory, &place); e != 0) return e;
    if (place.inode == 0) return ENOENT;
    return kernel_->disk.Get(place.inode)->is_directory ? 0 : ENOTDIR;
  };
  return kernel_->Run(
      &call, [&](size_t) { return resolve(); },
      [&] {
        kernel_->disk.SyncDirectory(place.inode);
        kernel_->disk.CollectGarbage(kernel_->OpenInodes());
      },
      [&](int fault) {
        if (fault == EINTR || fault == EBADF || fault == EINVAL) return;
        if (resolve() == 0) kernel_->disk.DropDirectory(place.inode);
      });
}

void CrashFileSystem::SetCrashPoint(const CrashPoint& point) {
  const Guard guard(kernel_->mutex);
  kernel_->crash_point = point;
}

void CrashFileSystem::Freeze() {
  const Guard guard(kernel_->mutex);
  kernel_->frozen = true;
}

bool CrashFileSystem::frozen() const {
  const Guard guard(kernel_->mutex);
  return kernel_->frozen;
}

CrashState CrashFileSystem::Capture() const {
  const Guard guard(kernel_->mutex);
  return kernel_->Capture();
}

std::unique_ptr<CrashFileSystem> CrashFileSystem::Clone() const { return Capture().Kill(); }

void CrashFileSystem::SetCallHook(CallHook hook) {
  const Guard guard(kernel_->mutex);
  kernel_->hook = std::move(hook);
}

uint64_t CrashFileSystem::calls() const {
  const Guard guard(kernel_->mutex);
  return kernel_->calls;
}

std::vector<FileSystemCall> CrashFileSystem::Trace() const {
  const Guard guard(kernel_->mutex);
  return kernel_->trace;
}

void CrashFileSystem::InjectFault(const Fault& fault) {
  const Guard guard(kernel_->mutex);
  kernel_->faults.push_back({fault});
}

void CrashFileSystem::ClearFaults() {
  const Guard guard(kernel_->mutex);
  kernel_->faults.clear();
}

uint64_t CrashFileSystem::faults_hit() const {
  const Guard guard(kernel_->mutex);
  return kernel_->faults_hit;
}

void CrashFileSystem::SetSpaceLimit(uint64_t bytes) {
  const Guard guard(kernel_->mutex);
  kernel_->max_sectors = bytes / kernel_->options.sector_bytes;
}

uint64_t CrashFileSystem::space_used() const {
  const Guard guard(kernel_->mutex);
  return kernel_->disk.used_sectors() * kernel_->options.sector_bytes;
}

}  // namespace seawall
