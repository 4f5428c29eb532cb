// SPDX-License-Identifier: Apache-2.0
// The ideal group commit: N threads hand in a record each; the last to come writes all of them with
// one pwrite, syncs once, and wakes each of the others once. With one thread that is a bare
// pwrite + fdatasync for each record. The file was written ahead and is written over from its
// beginning when it is full.
#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/peers/floor_file.h"
#include "bench/peers/peer.h"
#include "engine/commit/waiter.h"

namespace seawall::bench {
namespace {

constexpr uint64_t kFileBytes = uint64_t{64} << 20;

class FloorCommit : public Peer {
 public:
  explicit FloorCommit(const RunOptions& run)
      : run_(run),
        file_(run.directory + "/floor"),
        stride_(FloorStride(run.record_bytes)),
        capacity_((run.season ? kFileBytes : kFileBytes / 64) / stride_),
        members_(Outstanding(run)),
        group_(members_ * stride_),
        waiters_(members_),
        arrived_waiters_(members_) {
    state_.store(uint64_t{members_} << 32);
  }

  absl::Status Open() override { return file_.Create(capacity_ * stride_, false); }

  absl::Status Commit(int thread, std::string_view record) override {
    Waiter& self = waiters_[static_cast<size_t>(thread)];
    self.done.store(0, std::memory_order_relaxed);
    const uint32_t slot = arrived_.fetch_add(1, std::memory_order_relaxed);
    arrived_waiters_[slot] = &self;
    EncodeFloorRecord(record, group_.data() + slot * stride_);
    const uint64_t now = state_.fetch_add(1, std::memory_order_acq_rel) + 1;
    if (IsComplete(now)) {
      Lead(&self);
    } else {
      while (self.done.load(std::memory_order_acquire) == 0) FutexWait(&self.done, 0);
    }
    return status_;
  }

  void Leave(int /*thread*/) override {
    const uint64_t now =
        state_.fetch_sub(uint64_t{1} << 32, std::memory_order_acq_rel) - (uint64_t{1} << 32);
    if (IsComplete(now)) Lead(nullptr);
  }

  absl::Status Append(int, std::string_view) override { return absl::UnimplementedError("append"); }

  // One thread: what waits for its callback is written when there are as many as may wait.
  absl::Status CommitAsync(std::string_view record, Completion* completion) override {
    completion_ = completion;
    EncodeFloorRecord(record, group_.data() + arrived_.fetch_add(1) * stride_);
    return arrived_ < kOutstanding ? absl::OkStatus() : Sync();
  }

  absl::Status Sync() override {
    const uint32_t records = arrived_.exchange(0);
    status_ = WriteGroup(records);
    for (uint32_t i = 0; i < records; ++i) completion_->Done(status_);
    return status_;
  }

  absl::Status Close() override { return file_.Close(); }
  absl::Status OpenToRead() override { return file_.OpenToRead(); }

  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    std::string all(file_.bytes(), '\0');
    if (absl::Status status = file_.Read(all.data(), all.size(), 0); !status.ok()) return status;
    const char* const middle = all.data() + written_ % capacity_ * stride_;
    const char* const end = all.data() + all.size();
    if (written_ >= capacity_) {  // the oldest record is the one that would be written over next
      absl::Status status = VisitFloorRecords(middle, end, run_.record_bytes, visit);
      if (!status.ok()) return status;
    }
    return VisitFloorRecords(all.data(), middle, run_.record_bytes, visit);
  }

 private:
  struct alignas(64) Waiter {
    std::atomic<uint32_t> done{0};
  };

  static uint32_t Outstanding(const RunOptions& run) {
    const bool callbacks = run.workload == Workload::kAsync && run.threads == 1;
    return static_cast<uint32_t>(callbacks ? kOutstanding : run.threads);
  }

  // All that take part have handed in a record.
  static bool IsComplete(uint64_t state) {
    const uint32_t handed_in = static_cast<uint32_t>(state);
    return handed_in > 0 && handed_in == state >> 32;
  }

  void Lead(const Waiter* self) {
    const uint32_t records = static_cast<uint32_t>(state_.load(std::memory_order_acquire));
    status_ = WriteGroup(records);
    // A woken thread comes with its next record while others are still being woken.
    woken_.assign(arrived_waiters_.begin(), arrived_waiters_.begin() + records);
    arrived_.store(0, std::memory_order_relaxed);
    state_.fetch_sub(records, std::memory_order_acq_rel);
    // The next leader is the last of these to come back: it needs woken_ no sooner than all of
    // them have been woken.
    for (Waiter* waiter : woken_) {
      if (waiter == self) continue;
      waiter->done.store(1, std::memory_order_release);
      FutexWake(&waiter->done);
    }
  }

  absl::Status WriteGroup(uint64_t records) {
    uint64_t done = 0;
    while (done < records) {
      const uint64_t at = written_ % capacity_;
      const uint64_t piece = std::min(records - done, capacity_ - at);
      absl::Status status =
          file_.Write(group_.data() + done * stride_, piece * stride_, at * stride_);
      if (!status.ok()) return status;
      written_ += piece;
      done += piece;
    }
    return file_.Sync();
  }

  const RunOptions run_;
  FloorFile file_;
  const size_t stride_;
  const uint64_t capacity_;  // records
  const uint32_t members_;   // threads, or records that may be outstanding
  FloorBuffer group_;
  std::vector<Waiter> waiters_;  // by thread
  std::vector<Waiter*> arrived_waiters_;
  std::vector<Waiter*> woken_;
  Completion* completion_ = nullptr;
  uint64_t written_ = 0;  // records
  absl::Status status_;
  std::atomic<uint32_t> arrived_{0};
  std::atomic<uint64_t> state_;  // above: threads that take part; below: records handed in
};

[[maybe_unused]] const bool registered = [] {
  PeerInfo info;
  info.name = "floor";
  info.title = "floor: ideal group commit";
  info.notes =
      "N records, one pwrite, one fdatasync, N - 1 wakes, over a file written ahead; one thread: "
      "pwrite + fdatasync for each record";
  info.floor = true;
  info.append = false;
  info.async = true;
  info.keeps_all = false;
  info.make = MakePeer<FloorCommit>;
  return RegisterPeer(info);
}();

}  // namespace
}  // namespace seawall::bench
