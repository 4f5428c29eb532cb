// SPDX-License-Identifier: Apache-2.0
// Failing calls where threads wait: each is told, and no success is taken back. And disks that are
// full: refused before anything is accepted. SEAWALL_CRASH_SEED chooses other power losses.
#include <atomic>
#include <cerrno>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash/crash_model.h"
#include "tests/fault/fault_lab.h"
#include "tests/support/event.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/seed.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

#ifdef SEAWALL_SMOKE
constexpr uint64_t kThinning = 23;
#else
constexpr uint64_t kThinning = 1;
#endif

// ---- Many threads

// Threads that commit, one of them by callbacks, and what they are told.
class Committers {
 public:
  // Returns when all are through.
  void Run(Log* log) {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([this, log, t] {
        for (int i = 0; i < kCommits; ++i) Commit(log, t, i);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  // Once the log is closed.
  void Check(World* world) const {
    EXPECT_EQ(callbacks_run_, callbacks_set_);
    // Dense, whoever appended: what was accepted is one sequence.
    for (const auto& [lsn, payload] : appended_) {
      EXPECT_EQ(lsn, world->records.size() + 1);
      world->records.push_back(payload);
    }
    if (!acknowledged_.empty()) world->acknowledged = *acknowledged_.rbegin();
  }

 private:
  static constexpr int kThreads = 6;
  static constexpr int kCommits = 12;

  void Commit(Log* log, int thread, int number) {
    const std::string payload = absl::StrCat(thread, "-", number, std::string(200, 'x'));
    absl::StatusOr<Lsn> lsn = log->Append(payload);
    if (!lsn.ok()) return;  // never accepted
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      appended_[*lsn] = payload;
    }
    if (thread > 0) {
      Tell(*lsn, log->WaitDurable(*lsn));
      return;
    }
    ++callbacks_set_;
    const absl::Status status =
        log->NotifyDurable(*lsn, [this, lsn = *lsn](const absl::Status& result) {
          Tell(lsn, result);
          ++callbacks_run_;
        });
    EXPECT_TRUE(status.ok()) << status.message();
  }

  void Tell(Lsn lsn, const absl::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (status.ok()) acknowledged_.insert(lsn);
  }

  std::mutex mutex_;  // guards the next two
  std::map<Lsn, std::string> appended_;
  std::set<Lsn> acknowledged_;
  std::atomic<int> callbacks_set_{0}, callbacks_run_{0};
};

// That what a kill and some power losses leave is what `world` was told.
void CheckWhatIsLeft(CrashFileSystem* disk, const World& world, uint64_t seed) {
  const auto check = [&](std::unique_ptr<CrashFileSystem> image) {
    absl::StatusOr<std::unique_ptr<Log>> log =
        Log::Open(kDirectory, ModelledLog::SmallOptions(image.get()));
    ASSERT_TRUE(log.ok()) << log.status().message();
    absl::StatusOr<Contents> contents = ReadAll(log->get());
    ASSERT_TRUE(contents.ok()) << contents.status().message();
    EXPECT_EQ(Violation(world, *contents), "");
  };
  const CrashState state = disk->Capture();
  check(state.Kill());
  state.ForEachImage(4, seed, [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> image) {
    check(std::move(image));
    return !::testing::Test::HasFailure();
  });
}

// The nth such call to a segment fails. Sets *failed if the log did.
void CommitWithFault(CallKind kind, uint64_t nth, bool keeps_cache, bool* failed) {
  CrashOptions crash;
  crash.failed_sync_keeps_cache = keeps_cache;
  CrashFileSystem disk(crash);
  ASSERT_EQ(disk.MakeDirectory("/data"), 0);
  ASSERT_EQ(disk.SyncDirectory("/"), 0);
  Committers committers;
  {
    absl::StatusOr<std::unique_ptr<Log>> log =
        Log::Open(kDirectory, ModelledLog::SmallOptions(&disk));
    ASSERT_TRUE(log.ok()) << log.status().message();
    Fault fault;
    fault.kind = kind;
    fault.path_contains = ".seg";
    fault.nth = nth;
    disk.InjectFault(fault);
    committers.Run(log->get());
    *failed = !(*log)->Close().ok();
  }
  // (What fails while a trimmed segment is made a spare fails nobody.)
  EXPECT_LE(*failed ? 1u : 0u, disk.faults_hit());
  World world;
  committers.Check(&world);
  CheckWhatIsLeft(&disk, world, CrashSeed() + nth);
}

// Threads that commit, and callbacks: each hears of success or failure, and no success is taken
// back.
TEST(FaultWaitersTest, EveryWaiterAndCallbackIsTold) {
  Watchdog watchdog;
  uint64_t runs = 0, failed_runs = 0;
  for (const CallKind kind : {CallKind::kSync, CallKind::kWrite}) {
    for (uint64_t nth = 1; nth <= 24; nth += kThinning > 1 ? 5 : 1) {
      for (const bool keeps_cache : {true, false}) {
        watchdog.Begin(absl::StrCat("threads, ", CallKindName(kind), " number ", nth, " fails"));
        bool failed = false;
        CommitWithFault(kind, nth, keeps_cache, &failed);
        ASSERT_FALSE(HasFailure())
            << CallKindName(kind) << " number " << nth << ", seed " << CrashSeed();
        ++runs;
        failed_runs += failed ? 1 : 0;
      }
    }
  }
  std::cout << "threads: " << runs << " runs, " << failed_runs << " of them failed\n";
}

// An append waits for the zeros ahead of it while the word about them fails to get into CONTROL.
TEST(FaultWaitersTest, AWaiterForSpaceIsToldWhenTheExtensionFails) {
  Watchdog watchdog;
  watchdog.Begin("an append that waits for space");
  CrashFileSystem disk;
  ASSERT_EQ(disk.MakeDirectory("/data"), 0);
  Options options = ModelledLog::SmallOptions(&disk);
  options.segment_bytes = 4 << 20;
  options.buffer_bytes = 1 << 20;
  options.max_record_bytes = 256 << 10;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(kDirectory, options);
  ASSERT_TRUE(log.ok()) << log.status().message();
  Fault fault;
  fault.kind = CallKind::kWrite;
  fault.path_contains = "CONTROL";
  disk.InjectFault(fault);
  // The log's thread is held before that write until the append waits.
  disk.SetCallHook([&](const FileSystemCall& call, CrashPhase, const CaptureFn&) {
    if (call.kind != CallKind::kWrite || !absl::StrContains(call.path, "CONTROL")) return;
    while ((*log)->stats().space_waits == 0) std::this_thread::yield();
  });
  const std::string record(100 << 10, 'x');
  absl::Status status;
  Lsn accepted = 0;
  while (status.ok()) {
    status = (*log)->Append(record).status();
    if (status.ok()) ++accepted;
  }
  EXPECT_TRUE(IsLatch(status)) << status.ToString();
  EXPECT_EQ((*log)->appended_lsn(), accepted);
  EXPECT_EQ((*log)->Append("later").status(), status);
  EXPECT_EQ((*log)->Close(), status);
  disk.SetCallHook(nullptr);
}

// Fails the first sync of CONTROL that a thread of the log makes once armed, and counts what such
// threads change afterwards.
class ControlFailure : public ForwardingFileSystem {
 public:
  explicit ControlFailure(FileSystem* fs) : ForwardingFileSystem(fs) {}

  void Arm() { armed_ = true; }
  void AwaitFailure() { failed_.Wait(); }
  int changes_behind() const { return changes_behind_; }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    if (options.create) Changes();
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<WatchedFile>(std::move(*file), path, this);
    return error;
  }
  int Rename(const std::string& from, const std::string& to) override {
    Changes();
    return ForwardingFileSystem::Rename(from, to);
  }
  int Unlink(const std::string& path) override {
    Changes();
    return ForwardingFileSystem::Unlink(path);
  }

 private:
  class WatchedFile : public ForwardingFile {
   public:
    WatchedFile(std::unique_ptr<File> file, const std::string& path, ControlFailure* watch)
        : ForwardingFile(std::move(file)),
          is_control_(absl::StrContains(path, "CONTROL")),
          watch_(watch) {}

    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      watch_->Changes();
      return ForwardingFile::PWrite(from, bytes, offset);
    }
    int Sync(SyncKind kind) override {
      if (is_control_ && watch_->IsLogThread() && watch_->armed_.exchange(false)) {
        watch_->behind_ = true;
        watch_->failed_.Set();
        return EIO;
      }
      return ForwardingFile::Sync(kind);
    }

   private:
    const bool is_control_;
    ControlFailure* const watch_;
  };

  bool IsLogThread() const { return std::this_thread::get_id() != test_; }
  void Changes() {
    if (behind_ && IsLogThread()) ++changes_behind_;
  }

  const std::thread::id test_ = std::this_thread::get_id();
  std::atomic<bool> armed_{false}, behind_{false};
  std::atomic<int> changes_behind_{0};
  Event failed_;
};

// The log's threads, too, change nothing once a sync has failed, though there is more to do.
TEST(FaultWaitersTest, NothingIsBegunBehindAFailure) {
  Watchdog watchdog;
  watchdog.Begin("a failure while trimmed segments are recycled");
  CrashFileSystem disk;
  ASSERT_EQ(disk.MakeDirectory("/data"), 0);
  ControlFailure failure(&disk);
  Options options = ModelledLog::SmallOptions(&failure);
  options.max_recycled_segments = 5;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(kDirectory, options);
  ASSERT_TRUE(log.ok()) << log.status().message();
  for (int i = 0; i < 15; ++i) ASSERT_TRUE((*log)->AppendDurable(std::string(5000, 'x')).ok());
  failure.Arm();
  ASSERT_TRUE((*log)->TrimBefore(13).ok());  // several segments to recycle
  failure.AwaitFailure();
  absl::Status status;
  while (status.ok()) status = (*log)->Append("x").status();  // until the failure has come back
  EXPECT_TRUE(IsLatch(status)) << status.ToString();
  EXPECT_EQ((*log)->Close(), status);
  EXPECT_EQ(failure.changes_behind(), 0);
}

// ---- No space

// For each size of disk: refused before anything is accepted, and on it goes when there is space.
TEST(FaultSpaceTest, RefusedBeforeAcceptanceAndGoesOn) {
  Watchdog watchdog;
  uint64_t refused = 0, opened = 0;
  for (uint64_t limit = 4096; limit <= 160 << 10; limit += kThinning > 1 ? 40 << 10 : 3584) {
    for (const size_t bytes : {size_t{100}, size_t{5000}}) {
      watchdog.Begin(absl::StrCat("space for ", limit, " bytes, records of ", bytes));
      SCOPED_TRACE(absl::StrCat("limit ", limit, ", records of ", bytes));
      CrashFileSystem disk;
      ASSERT_EQ(disk.MakeDirectory("/data"), 0);
      ASSERT_EQ(disk.SyncDirectory("/"), 0);
      disk.SetSpaceLimit(limit);
      ModelledLog model(kDirectory, ModelledLog::SmallOptions(&disk));
      absl::Status status = model.Open();
      if (!status.ok()) {
        ASSERT_TRUE(absl::IsResourceExhausted(status)) << status.message();
        model.Drop();
        disk.SetSpaceLimit(UINT64_MAX);
        ASSERT_TRUE(model.Open().ok());
        disk.SetSpaceLimit(limit);
        ++opened;
      }
      int rounds = 0;
      for (int i = 0; i < 300 && rounds < 3; ++i) {
        const Lsn before = model.log()->appended_lsn();
        status = i % 3 == 2 ? model.AppendBatch(2, bytes / 2, Durability::kDurable)
                            : model.Append(bytes, Durability::kDurable);
        if (status.ok()) continue;
        ++refused;
        ASSERT_TRUE(absl::IsResourceExhausted(status)) << status.message();
        ASSERT_FALSE(IsLatch(status)) << status.message();
        ASSERT_EQ(model.log()->appended_lsn(), before);
        // Still full: refused again, nothing is half-accepted, all of it is readable.
        ASSERT_TRUE(absl::IsResourceExhausted(model.Append(bytes)));
        ASSERT_EQ(model.log()->appended_lsn(), before);
        absl::StatusOr<Contents> contents = ReadAll(model.log());
        ASSERT_TRUE(contents.ok()) << contents.status().message();
        ASSERT_EQ(Violation(model.worlds(), *contents), "");
        disk.SetSpaceLimit(UINT64_MAX);
        ASSERT_TRUE(model.Append(bytes, Durability::kDurable).ok());
        ASSERT_EQ(model.log()->appended_lsn(), before + 1);
        disk.SetSpaceLimit(disk.space_used() + limit / 4);
        ++rounds;
      }
      // A disk that is full stays a disk that can be recovered, when there is space.
      disk.SetSpaceLimit(UINT64_MAX);
      const std::vector<World> worlds = model.worlds();
      disk.Capture().ForEachImage(
          3, CrashSeed(), [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> image) {
            absl::StatusOr<std::unique_ptr<Log>> log =
                Log::Open(kDirectory, ModelledLog::SmallOptions(image.get()));
            EXPECT_TRUE(log.ok()) << log.status().message();
            if (!log.ok()) return false;
            absl::StatusOr<Contents> contents = ReadAll(log->get());
            EXPECT_TRUE(contents.ok()) << contents.status().message();
            if (!contents.ok()) return false;
            EXPECT_EQ(Violation(worlds, *contents), "");
            return !HasFailure();
          });
      ASSERT_TRUE(model.Close().ok());
      model.Drop();
      ASSERT_TRUE(model.Open().ok());
    }
  }
  std::cout << "no space: " << opened << " opens and " << refused << " appends refused\n";
}

}  // namespace
}  // namespace seawall
