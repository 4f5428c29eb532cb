// SPDX-License-Identifier: Apache-2.0
// A file system on top of another one, for tests that look at some calls, hold them or fail them:
// override those.
#ifndef SEAWALL_TESTS_SUPPORT_FORWARDING_FILE_SYSTEM_H_
#define SEAWALL_TESTS_SUPPORT_FORWARDING_FILE_SYSTEM_H_

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "seawall/file_system.h"
#include "tests/support/event.h"

namespace seawall {

class ForwardingFile : public File {
 public:
  explicit ForwardingFile(std::unique_ptr<File> file) : file_(std::move(file)) {}

  IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
    return file_->PRead(to, bytes, offset);
  }
  IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
    return file_->PWrite(from, bytes, offset);
  }
  int Allocate(uint64_t offset, uint64_t bytes) override { return file_->Allocate(offset, bytes); }
  void AdviseSequential() override { file_->AdviseSequential(); }
  int Sync(SyncKind kind) override { return file_->Sync(kind); }
  int Size(uint64_t* bytes) override { return file_->Size(bytes); }
  int TryLock() override { return file_->TryLock(); }
  int Unlock() override { return file_->Unlock(); }
  int Truncate(uint64_t bytes) override { return file_->Truncate(bytes); }

 private:
  const std::unique_ptr<File> file_;
};

class ForwardingFileSystem : public FileSystem {
 public:
  explicit ForwardingFileSystem(FileSystem* fs) : fs_(fs) {}

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    return fs_->Open(path, options, file);
  }
  int Stat(const std::string& path, FileInfo* info) override { return fs_->Stat(path, info); }
  int MakeDirectory(const std::string& path) override { return fs_->MakeDirectory(path); }
  int List(const std::string& directory, std::vector<std::string>* names) override {
    return fs_->List(directory, names);
  }
  int Rename(const std::string& from, const std::string& to) override {
    return fs_->Rename(from, to);
  }
  int Unlink(const std::string& path) override { return fs_->Unlink(path); }
  int Link(const std::string& from, const std::string& to) override { return fs_->Link(from, to); }
  int CloneFile(const std::string& from, const std::string& to) override {
    return fs_->CloneFile(from, to);
  }
  int RemoveDirectory(const std::string& path) override { return fs_->RemoveDirectory(path); }
  int SyncDirectory(const std::string& directory) override { return fs_->SyncDirectory(directory); }

 private:
  FileSystem* const fs_;
};

// One sync of a file whose path has `part` in it, once armed, lasts until it is let go.
class SyncGate : public ForwardingFileSystem {
 public:
  SyncGate(FileSystem* fs, std::string part) : ForwardingFileSystem(fs), part_(std::move(part)) {}

  // The next one that this thread makes.
  void ArmForThisThread() { thread_ = std::this_thread::get_id(); }
  void AwaitSync() { begun_.Wait(); }
  void LetGo() { go_.Set(); }
  // Does `work` on a thread of its own, and returns when that is in a sync.
  std::thread RunIntoSync(std::function<void()> work) {
    std::thread thread([this, work = std::move(work)] {
      ArmForThisThread();
      work();
    });
    AwaitSync();
    return thread;
  }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0 && path.find(part_) != std::string::npos) {
      *file = std::make_unique<GatedFile>(std::move(*file), this);
    }
    return error;
  }

 private:
  class GatedFile : public ForwardingFile {
   public:
    GatedFile(std::unique_ptr<File> file, SyncGate* gate)
        : ForwardingFile(std::move(file)), gate_(gate) {}

    int Sync(SyncKind kind) override {
      std::thread::id self = std::this_thread::get_id();
      if (gate_->thread_.compare_exchange_strong(self, std::thread::id())) {
        gate_->begun_.Set();
        gate_->go_.Wait();
      }
      return ForwardingFile::Sync(kind);
    }

   private:
    SyncGate* const gate_;
  };

  const std::string part_;
  std::atomic<std::thread::id> thread_{std::thread::id()};
  Event begun_, go_;
};

// Knows which names are gone, by a rename or an unlink.
class NameWatch : public ForwardingFileSystem {
 public:
  explicit NameWatch(FileSystem* fs) : ForwardingFileSystem(fs) {}

  void AwaitGone(const std::string& path) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return gone_.count(path) > 0; });
  }

  int Rename(const std::string& from, const std::string& to) override {
    return Note(ForwardingFileSystem::Rename(from, to), from);
  }
  int Unlink(const std::string& path) override {
    return Note(ForwardingFileSystem::Unlink(path), path);
  }

 private:
  int Note(int error, const std::string& path) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (error == 0) gone_.insert(path);
    changed_.notify_all();
    return error;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> gone_;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_FORWARDING_FILE_SYSTEM_H_
