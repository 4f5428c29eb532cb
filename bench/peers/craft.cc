// SPDX-License-Identifier: Apache-2.0
// Canonical's C-Raft: its log by itself, the libuv implementation of raft_io. It belongs to one
// thread, which runs the event loop; what threads hand in meanwhile goes to it in one append().
#include <uv.h>

// Its headers do not say that they are C.
extern "C" {
#include <raft.h>
#include <raft/uv.h>
}

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/peers/peer.h"
#include "engine/commit/waiter.h"

namespace seawall::bench {
namespace {

constexpr size_t kMostBatchBytes = size_t{1} << 20;  // must fit a segment of 8 MiB
constexpr size_t kMostOutstandingBytes = size_t{64} << 20;

absl::Status ToStatus(int code) {
  return code == 0 ? absl::OkStatus() : absl::InternalError(raft_strerror(code));
}

// The log needs none, but wants to start one.
raft_uv_transport NoTransport() {
  raft_uv_transport transport;
  std::memset(&transport, 0, sizeof(transport));
  transport.init = [](raft_uv_transport*, raft_id, const char*) { return 0; };
  transport.listen = [](raft_uv_transport*, raft_uv_accept_cb) { return 0; };
  transport.connect = [](raft_uv_transport*, raft_uv_connect*, raft_id, const char*,
                         raft_uv_connect_cb) { return RAFT_NOCONNECTION; };
  transport.close = [](raft_uv_transport* self, raft_uv_transport_close_cb done) { done(self); };
  return transport;
}

// The log and its event loop, all on one thread.
class RaftLog {
 public:
  // Opens the log and reads what is in it.
  absl::Status Open(const std::string& directory,
                    absl::FunctionRef<void(const raft_entry&)> visit) {
    uv_loop_init(&loop_);
    int code = raft_uv_init(&io_, &loop_, directory.c_str(), &transport_);
    if (code == 0) code = io_.init(&io_, 1, "1");
    raft_term term;
    raft_id voted_for;
    raft_snapshot* snapshot = nullptr;
    raft_index first = 0;
    raft_entry* entries = nullptr;
    size_t count = 0;
    if (code == 0) {
      code = io_.load(&io_, &term, &voted_for, &snapshot, &first, &entries, &count);
    }
    if (code != 0) return absl::InternalError(absl::StrCat(raft_strerror(code), ": ", io_.errmsg));
    for (size_t i = 0; i < count; ++i) {
      visit(entries[i]);
      // Many entries lie in one piece of memory.
      if (i + 1 == count || entries[i + 1].batch != entries[i].batch) raft_free(entries[i].batch);
    }
    raft_free(entries);
    // It wants to be called back now and then.
    constexpr unsigned kTickMillis = 1000 * 1000;
    return ToStatus(io_.start(
        &io_, kTickMillis, [](raft_io*) {}, [](raft_io*, raft_message*) {}));
  }

  // Runs the loop until all is closed.
  void Close() {
    io_.close(&io_, [](raft_io*) {});
    uv_run(&loop_, UV_RUN_DEFAULT);
    raft_uv_close(&io_);
    uv_loop_close(&loop_);
  }

  uv_loop_t* loop() { return &loop_; }
  raft_io* io() { return &io_; }

 private:
  uv_loop_t loop_;
  raft_uv_transport transport_ = NoTransport();
  raft_io io_ = {};
};

class CRaft : public Peer {
 public:
  explicit CRaft(const RunOptions& run) : run_(run) {}
  ~CRaft() override { (void)Close(); }

  absl::Status Open() override {
    std::promise<absl::Status> opened;
    thread_ = std::thread([this, &opened] { RunLoop(&opened); });
    absl::Status status = opened.get_future().get();
    if (!status.ok()) thread_.join();
    return status;
  }

  absl::Status Commit(int /*thread*/, std::string_view record) override {
    Waiter waiter;
    Submit(record, {&waiter, nullptr});
    while (waiter.done.load(std::memory_order_acquire) == 0) FutexWait(&waiter.done, 0);
    return ToStatus(waiter.code);
  }

  absl::Status Append(int /*thread*/, std::string_view record) override {
    Submit(record, {nullptr, nullptr});
    return absl::OkStatus();
  }

  absl::Status CommitAsync(std::string_view record, Completion* completion) override {
    Submit(record, {nullptr, completion});
    return absl::OkStatus();
  }

  absl::Status Sync() override {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return outstanding_bytes_ == 0; });
    return ToStatus(first_error_);
  }

  absl::Status Close() override {
    if (!thread_.joinable()) return absl::OkStatus();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    uv_async_send(&wake_);
    thread_.join();
    return absl::OkStatus();
  }

  absl::Status OpenToRead() override { return absl::OkStatus(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    RaftLog log;
    absl::Status status = log.Open(run_.directory, [&](const raft_entry& entry) {
      visit({static_cast<const char*>(entry.buf.base), run_.record_bytes});
    });
    if (status.ok()) log.Close();
    return status;
  }

 private:
  struct Waiter {
    std::atomic<uint32_t> done{0};
    int code = 0;
  };

  // Who hears of a record: one of them, or nobody.
  struct Listener {
    Waiter* waiter;
    Completion* completion;
  };

  // What one append() takes. The library wants entries of whole words.
  struct Batch {
    raft_io_append request;
    CRaft* owner;
    std::vector<char> bytes;
    std::vector<raft_entry> entries;
    std::vector<Listener> listeners;
  };

  void Submit(std::string_view record, Listener listener) {
    const size_t bytes = (record.size() + 7) / 8 * 8;
    bool wake = false;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return outstanding_bytes_ < kMostOutstandingBytes; });
      outstanding_bytes_ += bytes;
      if (batches_.empty() || batches_.back()->bytes.size() + bytes > kMostBatchBytes) {
        wake = true;
        batches_.push_back(TakeBatch());
      }
      Batch* const batch = batches_.back().get();
      const size_t at = batch->bytes.size();
      batch->bytes.resize(at + bytes);
      std::memcpy(batch->bytes.data() + at, record.data(), record.size());
      batch->listeners.push_back(listener);
    }
    if (wake) uv_async_send(&wake_);
  }

  // A used one has its memory already.
  std::unique_ptr<Batch> TakeBatch() {
    if (unused_.empty()) return std::make_unique<Batch>();
    auto batch = std::move(unused_.back());
    unused_.pop_back();
    return batch;
  }

  void RunLoop(std::promise<absl::Status>* opened) {
    absl::Status status = log_.Open(run_.directory, [](const raft_entry&) {});
    if (status.ok()) {
      uv_async_init(log_.loop(), &wake_,
                    [](uv_async_t* wake) { static_cast<CRaft*>(wake->data)->OnWake(); });
      wake_.data = this;
    }
    const bool ok = status.ok();
    opened->set_value(std::move(status));
    if (!ok) return;
    uv_run(log_.loop(), UV_RUN_DEFAULT);  // until OnWake() stops it
    uv_close(reinterpret_cast<uv_handle_t*>(&wake_), nullptr);
    log_.Close();
  }

  // On the loop's thread.
  void OnWake() {
    std::deque<std::unique_ptr<Batch>> batches;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      batches.swap(batches_);
      if (stop_) uv_stop(log_.loop());
    }
    for (auto& batch : batches) Append(std::move(batch));
  }

  void Append(std::unique_ptr<Batch> batch) {
    const size_t each = batch->bytes.size() / batch->listeners.size();
    for (size_t at = 0; at < batch->bytes.size(); at += each) {
      raft_entry entry = {};
      entry.term = 1;
      entry.type = RAFT_COMMAND;
      entry.buf = {batch->bytes.data() + at, each};
      batch->entries.push_back(entry);
    }
    batch->owner = this;
    Batch* const given = batch.release();  // comes back in the callback
    given->request.data = given;
    const int code = log_.io()->append(
        log_.io(), &given->request, given->entries.data(),
        static_cast<unsigned>(given->entries.size()), [](raft_io_append* request, int result) {
          Batch* const done = static_cast<Batch*>(request->data);
          done->owner->OnAppended(std::unique_ptr<Batch>(done), result);
        });
    if (code != 0) OnAppended(std::unique_ptr<Batch>(given), code);
  }

  void OnAppended(std::unique_ptr<Batch> batch, int code) {
    for (const Listener& listener : batch->listeners) {
      if (listener.completion != nullptr) listener.completion->Done(ToStatus(code));
      if (listener.waiter == nullptr) continue;
      listener.waiter->code = code;
      std::atomic<uint32_t>* const word = &listener.waiter->done;
      word->store(1, std::memory_order_release);
      FutexWake(word);
    }
    std::lock_guard<std::mutex> lock(mutex_);
    if (first_error_ == 0) first_error_ = code;
    outstanding_bytes_ -= batch->bytes.size();
    batch->bytes.clear();
    batch->entries.clear();
    batch->listeners.clear();
    unused_.push_back(std::move(batch));
    changed_.notify_all();
  }

  const RunOptions run_;
  std::thread thread_;
  RaftLog log_;  // the thread's
  uv_async_t wake_ = {};
  std::mutex mutex_;
  std::condition_variable changed_;             // outstanding_bytes_
  std::deque<std::unique_ptr<Batch>> batches_;  // handed in; the last one is being filled
  std::vector<std::unique_ptr<Batch>> unused_;
  size_t outstanding_bytes_ = 0;
  int first_error_ = 0;
  bool stop_ = false;
};

[[maybe_unused]] const bool registered = [] {
  PeerInfo info;
  info.name = "craft";
  info.title = "C-Raft";
  info.notes =
      "raft_uv: threads hand their records to the loop's thread, which appends all at once";
  info.replay = true;
  info.async = true;
  info.order = 17;
  info.make = MakePeer<CRaft>;
  return RegisterPeer(info);
}();

}  // namespace
}  // namespace seawall::bench
