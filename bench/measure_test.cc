// SPDX-License-Identifier: Apache-2.0
// That a log which loses records, or does not flush, gets no figure; and the plan of a comparison.
#include "bench/measure.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bench/compare_plan.h"
#include "bench/flush_counter.h"
#include "bench/record.h"

namespace seawall::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// What a log in memory does wrong.
enum class Fault { kNone, kNoFlush, kLoses, kSwaps, kChanges, kInvents };
Fault fault = Fault::kNone;

// Keeps records in memory, and flushes a file of its own, in memory too, for each commit.
class MemoryLog : public Peer {
 public:
  explicit MemoryLog(const RunOptions&) : fd_(memfd_create("log", MFD_CLOEXEC)) {}
  ~MemoryLog() override { close(fd_); }

  absl::Status Open() override { return absl::OkStatus(); }
  absl::Status Commit(int thread, std::string_view record) override {
    absl::Status status = Append(thread, record);
    return status.ok() ? Sync() : status;
  }
  absl::Status Append(int, std::string_view record) override {
    std::lock_guard<std::mutex> lock(mutex_);
    records_.emplace_back(record);
    return absl::OkStatus();
  }
  absl::Status Sync() override {
    if (fault != Fault::kNoFlush) fdatasync(fd_);
    return absl::OkStatus();
  }
  absl::Status CommitAsync(std::string_view record, Completion* completion) override {
    completion->Done(Commit(0, record));
    return absl::OkStatus();
  }
  absl::Status Close() override { return absl::OkStatus(); }
  absl::Status OpenToRead() override {
    if (fault == Fault::kLoses) records_.resize(records_.size() - 2);
    if (fault == Fault::kSwaps) std::swap(records_[0], records_[1]);
    if (fault == Fault::kChanges) records_[0].back() ^= 1;
    if (fault == Fault::kInvents) records_.insert(records_.end(), 2, records_.back());
    return absl::OkStatus();
  }
  absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) override {
    for (const std::string& record : records_) visit(record);
    return absl::OkStatus();
  }

 private:
  const int fd_;
  std::mutex mutex_;
  std::vector<std::string> records_;
};

absl::StatusOr<Metrics> MeasureMemoryLog(Workload workload, int threads, Fault wrong) {
  fault = wrong;
  PeerInfo info;
  info.name = info.title = "memory";
  info.replay = info.async = true;
  info.make = MakePeer<MemoryLog>;
  MeasureOptions options;
  options.directory = ::testing::TempDir();
  const BlockDevice none("/nonexistent");
  options.device = &none;
  options.seconds = 0.1;
  options.append_bytes = options.replay_bytes = 64 << 10;
  return Measure(info, {workload, threads, 128}, options);
}

TEST(MeasureTest, AllWorkloadsOfALogThatKeepsItsWord) {
  for (const auto& [workload, threads] : std::multimap<Workload, int>{{Workload::kCommit, 1},
                                                                      {Workload::kCommit, 4},
                                                                      {Workload::kAppend, 2},
                                                                      {Workload::kReplay, 1},
                                                                      {Workload::kAsync, 1}}) {
    auto metrics = MeasureMemoryLog(workload, threads, Fault::kNone);
    ASSERT_TRUE(metrics.ok()) << NameOf(workload) << ": " << metrics.status();
    EXPECT_GT((*metrics)[kRecordsPerSecond], 0) << NameOf(workload);
  }
}

TEST(MeasureTest, CommitsHaveLatenciesAndShares) {
  auto metrics = MeasureMemoryLog(Workload::kCommit, 2, Fault::kNone);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_GT(metrics->at(kP50Micros), 0);
  EXPECT_GE(metrics->at(kP99Micros), metrics->at(kP50Micros));
  EXPECT_GE(metrics->at(kMostMicros), metrics->at(kP999Micros));
  EXPECT_LE(metrics->at(kLeastShare), 1);
  EXPECT_GE(metrics->at(kMostShare), 1);
  EXPECT_GT(metrics->at(kFlushes), 0);
}

TEST(MeasureTest, ALogThatDoesNotFlushIsAnError) {
  for (Workload workload : {Workload::kCommit, Workload::kAppend, Workload::kAsync}) {
    auto metrics = MeasureMemoryLog(workload, 1, Fault::kNoFlush);
    ASSERT_FALSE(metrics.ok()) << NameOf(workload);
    EXPECT_THAT(std::string(metrics.status().message()), HasSubstr("with 0 flushes"));
  }
}

TEST(MeasureTest, ALogThatLosesOrChangesARecordIsAnError) {
  for (Fault wrong : {Fault::kLoses, Fault::kSwaps, Fault::kChanges, Fault::kInvents}) {
    for (Workload workload : {Workload::kCommit, Workload::kAppend, Workload::kReplay}) {
      auto metrics = MeasureMemoryLog(workload, 1, wrong);
      ASSERT_FALSE(metrics.ok()) << NameOf(workload) << ", fault " << static_cast<int>(wrong);
      EXPECT_THAT(std::string(metrics.status().message()), HasSubstr("read back"));
    }
  }
}

TEST(FlushCounterTest, CountsSyncsAndSynchronousWrites) {
  const std::string path = ::testing::TempDir() + "/flushes";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  ASSERT_GE(fd, 0);
  uint64_t before = FlushCount();
  ASSERT_EQ(pwrite(fd, "x", 1, 0), 1);
  EXPECT_EQ(FlushCount() - before, 0u);
  EXPECT_EQ(fdatasync(fd), 0);
  EXPECT_EQ(fsync(fd), 0);
  EXPECT_EQ(FlushCount() - before, 2u);
  close(fd);
  EXPECT_NE(fsync(-1), 0);
  EXPECT_EQ(FlushCount() - before, 2u);

  before = FlushCount();
  const int synced = open(path.c_str(), O_WRONLY | O_DSYNC | O_CLOEXEC);
  ASSERT_GE(synced, 0);
  ASSERT_EQ(pwrite(synced, "x", 1, 0), 1);
  ASSERT_EQ(write(synced, "x", 1), 1);
  EXPECT_EQ(FlushCount() - before, 2u);
  close(synced);

  const int event = eventfd(0, EFD_CLOEXEC);
  ASSERT_EQ(event, synced);  // the number that was closed
  const uint64_t one = 1;
  ASSERT_EQ(write(event, &one, sizeof(one)), static_cast<ssize_t>(sizeof(one)));
  EXPECT_EQ(FlushCount() - before, 2u);
  close(event);
}

std::vector<PeerInfo> TwoPeers() {
  std::vector<PeerInfo> peers(2);
  peers[0].name = "seawall";
  peers[0].replay = true;
  peers[1].name = "floor";
  peers[1].floor = true;
  return peers;
}

TEST(PlanTest, EachRoundHasEachPeerAtEachPointOnce) {
  const std::vector<PeerInfo> peers = TwoPeers();
  PlanOptions options;
  options.workloads = {"commit", "replay"};
  options.threads = {"1", "8"};
  options.sizes = {"128", "1K"};
  options.rounds = 2;
  auto plan = MakePlan(options, peers);
  ASSERT_TRUE(plan.ok());
  std::map<std::pair<std::string, Point>, int> counts;
  for (const PlannedRun& run : *plan) ++counts[{run.peer->name, run.point}];
  EXPECT_THAT(counts, SizeIs(4 + 2 + 4));  // two sizes, replay by one thread and one peer
  for (const auto& [run, count] : counts) EXPECT_EQ(count, 2);
  EXPECT_EQ(plan->back().round, 2);
}

TEST(PlanTest, TheSeedRepeatsTheOrder) {
  const std::vector<PeerInfo> peers = TwoPeers();
  PlanOptions options;
  options.seed = 7;
  auto names = [&] {
    std::string all;
    auto plan = MakePlan(options, peers);
    for (const PlannedRun& run : *plan) {
      all += run.peer->name + std::to_string(run.point.threads);
    }
    return all;
  };
  const std::string first = names();
  EXPECT_EQ(names(), first);
  options.seed = 8;
  EXPECT_NE(names(), first);
}

TEST(PlanTest, WhatIsUnknownIsNamed) {
  const std::vector<PeerInfo> peers = TwoPeers();
  PlanOptions options;
  options.threads = {"0"};
  EXPECT_THAT(std::string(MakePlan(options, peers).status().message()), HasSubstr("\"0\""));
  options = PlanOptions();
  options.sizes = {"2M"};
  EXPECT_THAT(std::string(MakePlan(options, peers).status().message()), HasSubstr("\"2M\""));
  options = PlanOptions();
  options.workloads = {"mine"};
  EXPECT_THAT(std::string(MakePlan(options, peers).status().message()), HasSubstr("\"mine\""));
  EXPECT_THAT(std::string(ChoosePeers(peers, {"oracle"}).status().message()),
              HasSubstr("\"oracle\" is not one of seawall, floor"));
  EXPECT_THAT(*ChoosePeers(peers, {"seawall"}), SizeIs(2));  // floors always run
}

}  // namespace
}  // namespace seawall::bench
