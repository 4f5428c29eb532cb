// Callbacks where they meet what else goes on: full buffers, a truncation. Each hung once.
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/watchdog.h"

namespace seawall {
namespace {

class Event {
 public:
  void Set() {
    const std::lock_guard<std::mutex> lock(mutex_);
    set_ = true;
    condition_.notify_all();
  }
  void Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    condition_.wait(lock, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  bool set_ = false;
};

// One sync of a segment, once armed, lasts until it is let go.
class SlowSyncs : public FileSystem {
 public:
  explicit SlowSyncs(FileSystem* fs) : fs_(fs) {}

  void Arm() { armed_ = true; }
  void AwaitSync() { begun_.Wait(); }
  void LetGo() { go_.Set(); }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    std::unique_ptr<File> inner;
    const int error = fs_->Open(path, options, &inner);
    const bool segment = absl::EndsWith(path, ".seg");
    if (error == 0) *file = std::make_unique<SlowFile>(std::move(inner), segment ? this : nullptr);
    return error;
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
  int SyncDirectory(const std::string& path) override { return fs_->SyncDirectory(path); }

 private:
  class SlowFile : public File {
   public:
    SlowFile(std::unique_ptr<File> file, SlowSyncs* gate) : file_(std::move(file)), gate_(gate) {}

    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      return file_->PRead(to, bytes, offset);
    }
    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      return file_->PWrite(from, bytes, offset);
    }
    int Sync(SyncKind kind) override {
      if (gate_ != nullptr && gate_->armed_.exchange(false)) {
        gate_->begun_.Set();
        gate_->go_.Wait();
      }
      return file_->Sync(kind);
    }
    int Size(uint64_t* bytes) override { return file_->Size(bytes); }
    int TryLock() override { return file_->TryLock(); }
    int Unlock() override { return file_->Unlock(); }
    int Truncate(uint64_t bytes) override { return file_->Truncate(bytes); }

   private:
    const std::unique_ptr<File> file_;
    SlowSyncs* const gate_;
  };

  FileSystem* const fs_;
  std::atomic<bool> armed_{false};
  Event begun_, go_;
};

class CallbackTest : public ::testing::Test {
 protected:
  CallbackTest() : fs_(&disk_) {
    Options options;
    options.file_system = &fs_;
    options.buffer_bytes = 8192;
    options.max_record_bytes = kRecordBytes;
    auto log = Log::Open("/log", options);
    EXPECT_TRUE(log.ok()) << log.status();
    log_ = std::move(*log);
    watchdog_.Begin("a callback");
  }

  Lsn MustAppend(Durability until = Durability::kAppended) {
    auto lsn = log_->Append(std::string(kRecordBytes, 'r'), until);
    EXPECT_TRUE(lsn.ok()) << lsn.status();
    return lsn.ok() ? *lsn : 0;
  }

  static constexpr size_t kRecordBytes = 4000;  // two to a buffer
  Watchdog watchdog_;
  CrashFileSystem disk_;
  SlowSyncs fs_;
  std::unique_ptr<Log> log_;
};

// The leader is in its sync, both buffers are full, and the thread that would write them is the
// one that waits for room. Found by engine/commit_protocol.pml.
TEST_F(CallbackTest, ACallbackMayAppendWhileAllBuffersAreFull) {
  Event in_callback, buffers_full, done;
  MustAppend(Durability::kDurable);
  ASSERT_TRUE(log_->NotifyDurable(1,
                                  [&](const absl::Status& status) {
                                    EXPECT_TRUE(status.ok()) << status;
                                    in_callback.Set();
                                    buffers_full.Wait();
                                    EXPECT_EQ(MustAppend(), 7u);
                                    done.Set();
                                  })
                  .ok());
  in_callback.Wait();
  fs_.Arm();
  std::thread leader([&] { MustAppend(Durability::kDurable); });
  fs_.AwaitSync();
  for (int i = 0; i < 4; ++i) MustAppend();
  buffers_full.Set();
  while (log_->stats().buffer_full_waits == 0) std::this_thread::yield();
  fs_.LetGo();
  done.Wait();
  leader.join();
  EXPECT_TRUE(log_->Close().ok());
}

// A truncation is as good as a failure to one who waits for a record that it cuts off; and a later
// record with the same LSN is not the one that was meant.
TEST_F(CallbackTest, ATruncationEndsTheWaitForWhatItCuts) {
  std::mutex mutex;
  std::vector<std::pair<Lsn, absl::StatusCode>> called;
  Event in_callback, go, all;
  for (int i = 0; i < 4; ++i) MustAppend(Durability::kDurable);
  for (Lsn lsn = 1; lsn <= 4; ++lsn) {
    ASSERT_TRUE(log_->NotifyDurable(lsn,
                                    [&, lsn](const absl::Status& status) {
                                      if (lsn == 1) {
                                        in_callback.Set();
                                        go.Wait();
                                      }
                                      const std::lock_guard<std::mutex> lock(mutex);
                                      called.emplace_back(lsn, status.code());
                                      if (called.size() == 5) all.Set();
                                    })
                    .ok());
    if (lsn == 1) in_callback.Wait();  // the others come while the first one is being called
  }
  ASSERT_TRUE(log_->TruncateAfter(2).ok());
  ASSERT_EQ(MustAppend(), 3u);
  ASSERT_TRUE(log_->NotifyDurable(3,
                                  [&](const absl::Status& status) {
                                    const std::lock_guard<std::mutex> lock(mutex);
                                    called.emplace_back(30, status.code());
                                    if (called.size() == 5) all.Set();
                                  })
                  .ok());
  go.Set();
  all.Wait();
  EXPECT_TRUE(log_->Close().ok());
  using Call = std::pair<Lsn, absl::StatusCode>;
  EXPECT_EQ(called, (std::vector<Call>{{1, absl::StatusCode::kOk},
                                       {2, absl::StatusCode::kOk},
                                       {3, absl::StatusCode::kOutOfRange},
                                       {4, absl::StatusCode::kOutOfRange},
                                       {30, absl::StatusCode::kOk}}));
}

}  // namespace
}  // namespace seawall
