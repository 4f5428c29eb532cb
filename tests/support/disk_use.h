// SPDX-License-Identifier: Apache-2.0
// A file system that knows what its files take, those that are unlinked and still open included.
#ifndef SEAWALL_TESTS_SUPPORT_DISK_USE_H_
#define SEAWALL_TESTS_SUPPORT_DISK_USE_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "tests/support/forwarding_file_system.h"

namespace seawall {

// Counts lengths of files that were made through it. Looks after each call.
class DiskUse : public ForwardingFileSystem {
 public:
  explicit DiskUse(FileSystem* fs) : ForwardingFileSystem(fs) {}

  uint64_t now() const {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    return state_->now;
  }
  // The most there ever was.
  uint64_t peak() const {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    return state_->peak;
  }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error != 0) return error;
    std::shared_ptr<Inode>& inode = inodes(path);
    if (inode == nullptr) inode = std::make_shared<Inode>(state_);
    *file = std::make_unique<CountedFile>(std::move(*file), inode);
    return 0;
  }
  int Rename(const std::string& from, const std::string& to) override {
    const int error = ForwardingFileSystem::Rename(from, to);
    if (error == 0) inodes(to) = std::exchange(inodes(from), nullptr);
    return error;
  }
  int Unlink(const std::string& path) override {
    const int error = ForwardingFileSystem::Unlink(path);
    if (error == 0) inodes(path) = nullptr;
    return error;
  }

 private:
  struct State {
    mutable std::mutex mutex;
    uint64_t now = 0;
    uint64_t peak = 0;
  };
  // Lives as long as a name or an open file has it.
  struct Inode {
    explicit Inode(std::shared_ptr<State> of) : state(std::move(of)) {}
    ~Inode() {
      const std::lock_guard<std::mutex> lock(state->mutex);
      state->now -= bytes;
    }
    void Reaches(uint64_t end) {
      const std::lock_guard<std::mutex> lock(state->mutex);
      if (end <= bytes) return;
      state->now += end - bytes;
      bytes = end;
      state->peak = std::max(state->peak, state->now);
    }
    void Cut(uint64_t end) {
      const std::lock_guard<std::mutex> lock(state->mutex);
      state->now = state->now - bytes + end;
      bytes = end;
    }
    const std::shared_ptr<State> state;
    uint64_t bytes = 0;
  };
  class CountedFile : public ForwardingFile {
   public:
    CountedFile(std::unique_ptr<File> file, std::shared_ptr<Inode> inode)
        : ForwardingFile(std::move(file)), inode_(std::move(inode)) {}
    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      const IoResult result = ForwardingFile::PWrite(from, bytes, offset);
      if (result.error == 0) inode_->Reaches(offset + result.bytes);
      return result;
    }
    int Allocate(uint64_t offset, uint64_t bytes) override {
      const int error = ForwardingFile::Allocate(offset, bytes);
      if (error == 0) inode_->Reaches(offset + bytes);
      return error;
    }
    int Truncate(uint64_t bytes) override {
      const int error = ForwardingFile::Truncate(bytes);
      if (error == 0) inode_->Cut(bytes);
      return error;
    }

   private:
    const std::shared_ptr<Inode> inode_;
  };

  std::shared_ptr<Inode>& inodes(const std::string& path) {
    const std::lock_guard<std::mutex> lock(names_mutex_);
    return inodes_[path];
  }

  const std::shared_ptr<State> state_ = std::make_shared<State>();
  std::mutex names_mutex_;
  std::map<std::string, std::shared_ptr<Inode>> inodes_;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_DISK_USE_H_
