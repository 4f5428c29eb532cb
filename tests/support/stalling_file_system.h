// SPDX-License-Identifier: Apache-2.0
// A disk that hangs: one call, once armed, lasts until it is let go.
#ifndef SEAWALL_TESTS_SUPPORT_STALLING_FILE_SYSTEM_H_
#define SEAWALL_TESTS_SUPPORT_STALLING_FILE_SYSTEM_H_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/forwarding_file_system.h"

namespace seawall {

// Thread-safe. One stall at a time; it may be armed again when the one before was let go.
class StallingFileSystem : public ForwardingFileSystem {
 public:
  enum class Call { kNone, kWrite, kSync };

  explicit StallingFileSystem(FileSystem* fs) : ForwardingFileSystem(fs) {}

  // The next such call of this thread to a segment will hang; it fails with `error`, unless that is
  // 0.
  void ArmForThisThread(Call call, int error = 0) {
    const std::lock_guard<std::mutex> lock(mutex_);
    thread_ = std::this_thread::get_id();
    armed_ = call;
    error_ = error;
    stalled_ = go_ = false;
  }
  // The next such call of any thread.
  void Arm(Call call) {
    ArmForThisThread(call);
    const std::lock_guard<std::mutex> lock(mutex_);
    thread_ = std::thread::id();
  }
  // Until it hangs.
  void AwaitStall() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return stalled_; });
  }
  void LetGo() {
    const std::lock_guard<std::mutex> lock(mutex_);
    go_ = true;
    changed_.notify_all();
  }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0 && path.find(".seg") != std::string::npos) {
      *file = std::make_unique<StallingFile>(std::move(*file), this);
    }
    return error;
  }

 private:
  class StallingFile : public ForwardingFile {
   public:
    StallingFile(std::unique_ptr<File> file, StallingFileSystem* fs)
        : ForwardingFile(std::move(file)), fs_(fs) {}

    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      const int error = fs_->Pass(Call::kWrite);
      if (error != 0) return IoResult{error, 0};
      return ForwardingFile::PWrite(from, bytes, offset);
    }
    int Sync(SyncKind kind) override {
      const int error = fs_->Pass(Call::kSync);
      return error != 0 ? error : ForwardingFile::Sync(kind);
    }

   private:
    StallingFileSystem* const fs_;
  };

  int Pass(Call call) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (armed_ != call) return 0;
    if (thread_ != std::thread::id() && thread_ != std::this_thread::get_id()) return 0;
    armed_ = Call::kNone;
    stalled_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return go_; });
    return error_;
  }

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  Call armed_ = Call::kNone;
  std::thread::id thread_;  // none: any
  int error_ = 0;
  bool stalled_ = false;
  bool go_ = false;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_SUPPORT_STALLING_FILE_SYSTEM_H_
