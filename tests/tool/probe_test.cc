// SPDX-License-Identifier: Apache-2.0
// `seawall probe`: what it measures on a disk whose costs are known, and what it concludes from
// that. (The command: probe_tool_test.cc.)
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/tool/tool_test_util.h"
#include "tools/seawall/probe/disk_device.h"
#include "tools/seawall/probe/disk_probe.h"
#include "tools/seawall/probe/probe_verdict.h"

namespace seawall {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr int64_t kSecond = 1'000'000'000;
constexpr size_t kBlock = 4096;

// A disk that keeps no data, with a clock that moves only while it works.
class FakeDisk : public FileSystem {
 public:
  // ---- How it behaves: to be set before.

  // Of one durable commit over written blocks.
  std::function<double(SyncMethod, bool direct, size_t bytes)> micros =
      [](SyncMethod, bool, size_t bytes) { return bytes > 2 * kBlock ? 140.0 : 100.0; };
  double growing_factor = 1.5;    // for a commit that makes the file longer
  double unwritten_factor = 2.0;  // for one that is the first to write a block
  double drift_per_second = 0;    // what all costs grow by
  std::function<double()> noise = [] { return 1.0; };
  bool has_direct = true;
  int allocate_error = 0;
  int unlink_error = 0;
  // The call that fails, counted from 1 (unlink aside), and how.
  uint64_t failing_call = 0;
  int failing_error = EIO;
  uint64_t calls = 0;

  int64_t now_nanos = 0;
  uint64_t device_bytes = 0;
  std::map<std::string, uint64_t> sizes;  // of all files

  // ---- The seam

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override;
  int Stat(const std::string&, FileInfo* info) override {
    info->is_directory = true;
    return 0;
  }
  int MakeDirectory(const std::string&) override { return ENOSYS; }
  int List(const std::string&, std::vector<std::string>*) override { return ENOSYS; }
  int Rename(const std::string&, const std::string&) override { return ENOSYS; }
  int Unlink(const std::string& path) override {
    if (unlink_error != 0) return unlink_error;
    unwritten_.erase(path);
    return sizes.erase(path) == 1 ? 0 : ENOENT;
  }
  int RemoveDirectory(const std::string&) override { return ENOSYS; }
  int SyncDirectory(const std::string&) override { return ENOSYS; }

  int Allocate(const std::string& path, uint64_t bytes) {
    if (Fails()) return failing_error;
    if (allocate_error != 0) return allocate_error;
    sizes.at(path) = bytes;
    unwritten_[path] = std::vector<bool>(bytes / kBlock, true);
    return 0;
  }
  bool Fails() { return ++calls == failing_call; }
  // Notes a write; what it makes the next sync cost.
  double Write(const std::string& path, uint64_t offset, size_t bytes);
  void Pay(SyncMethod method, bool direct, size_t bytes, double factor) {
    const double drift = 1 + drift_per_second * static_cast<double>(now_nanos) / 1e9;
    now_nanos +=
        static_cast<int64_t>(1000 * micros(method, direct, bytes) * factor * drift * noise());
    if (factor == growing_factor) device_bytes += kBlock;
  }

 private:
  std::map<std::string, std::vector<bool>> unwritten_;
};

class FakeFile : public File {
 public:
  FakeFile(FakeDisk* disk, std::string path, const OpenOptions& options)
      : disk_(disk), path_(std::move(path)), options_(options) {}

  IoResult PRead(void*, size_t, uint64_t) override { return {ENOSYS, 0}; }
  IoResult PWrite(const void*, size_t bytes, uint64_t offset) override {
    if (disk_->Fails()) return {disk_->failing_error, 0};
    if (options_.direct && (offset % kBlock != 0 || bytes % kBlock != 0)) return {EINVAL, 0};
    const double factor = disk_->Write(path_, offset, bytes);
    dirty_bytes_ += bytes;
    dirty_factor_ = std::max(dirty_factor_, factor);
    if (options_.data_sync) Settle(SyncMethod::kODsync);
    if (options_.full_sync) Settle(SyncMethod::kOSync);
    return {0, bytes};
  }
  int Sync(SyncKind kind) override {
    if (disk_->Fails()) return disk_->failing_error;
    Settle(kind == SyncKind::kData ? SyncMethod::kFdatasync : SyncMethod::kFsync);
    return 0;
  }
  int Size(uint64_t*) override { return ENOSYS; }
  int TryLock() override { return ENOSYS; }
  int Unlock() override { return ENOSYS; }
  int Truncate(uint64_t) override { return ENOSYS; }

 private:
  void Settle(SyncMethod method) {
    if (dirty_bytes_ == 0) return;
    disk_->Pay(method, options_.direct, dirty_bytes_, dirty_factor_);
    dirty_bytes_ = 0;
    dirty_factor_ = 1;
  }

  FakeDisk* const disk_;
  const std::string path_;
  const OpenOptions options_;
  size_t dirty_bytes_ = 0;
  double dirty_factor_ = 1;
};

int FakeDisk::Open(const std::string& path, const OpenOptions& options,
                   std::unique_ptr<File>* file) {
  if (Fails()) return failing_error;
  if (options.exclusive && sizes.count(path) != 0) return EEXIST;
  if (options.create) sizes[path] = 0;
  // As Linux did for long: the file is made, and then not opened.
  if (options.direct && !has_direct) return EINVAL;
  *file = std::make_unique<FakeFile>(this, path, options);
  return 0;
}

double FakeDisk::Write(const std::string& path, uint64_t offset, size_t bytes) {
  const uint64_t end = offset + bytes;
  device_bytes += (end + kBlock - 1) / kBlock * kBlock - offset / kBlock * kBlock;
  double factor = 1;
  if (end > sizes.at(path)) {
    sizes.at(path) = end;
    factor = growing_factor;
  }
  auto found = unwritten_.find(path);
  if (found == unwritten_.end()) return factor;
  for (uint64_t block = offset / kBlock; block * kBlock < end; ++block) {
    if (block >= found->second.size() || !found->second[block]) continue;
    found->second[block] = false;
    factor = unwritten_factor;
  }
  return factor;
}

class DiskProbeTest : public ::testing::Test {
 protected:
  ProbeEnvironment Environment() {
    ProbeEnvironment environment;
    environment.file_system = &disk_;
    environment.now_nanos = [this] { return disk_.now_nanos; };
    environment.allocate = [this](const std::string& path, uint64_t bytes) {
      return disk_.Allocate(path, bytes);
    };
    environment.device_bytes = [this] { return disk_.device_bytes; };
    environment.cancelled = [] { return false; };
    environment.progress = [](int64_t) {};
    environment.seed = 1;
    return environment;
  }

  ProbeResult Measure(int64_t nanos = 10 * kSecond) {
    absl::StatusOr<ProbeResult> result = ProbeDisk("/disk", nanos, Environment());
    EXPECT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(disk_.sizes, IsEmpty()) << "temporary files are left";
    return result.ok() ? *result : ProbeResult();
  }

  ProbeVerdict Choose(int64_t nanos = 10 * kSecond) {
    return ChooseOptions(Measure(nanos), "fakefs");
  }

  // One method has costs of its own.
  void SetFactor(SyncMethod method, bool direct, double factor) {
    auto before = disk_.micros;
    disk_.micros = [=](SyncMethod m, bool d, size_t bytes) {
      return before(m, d, bytes) * (m == method && d == direct ? factor : 1);
    };
  }

  static std::string Name(const ProbeVerdict& verdict) {
    return MethodName(kProbeMethods[verdict.method]);
  }

  FakeDisk disk_;
};

// ---- What is measured

TEST_F(DiskProbeTest, MeasuresEachCombination) {
  const ProbeResult result = Measure();
  for (size_t method = 0; method < kProbeMethodCount; ++method) {
    SCOPED_TRACE(MethodName(kProbeMethods[method]));
    const auto p50 = [&](Preparation preparation, ProbeSize size) {
      const CommitCost& cost = result.At(method, preparation, size);
      EXPECT_THAT(cost.unavailable, IsEmpty());
      EXPECT_GE(cost.commits, 300u);
      EXPECT_LE(cost.p50_low_micros, cost.p50_micros);
      EXPECT_GE(cost.p50_high_micros, cost.p50_micros);
      return cost.p50_micros;
    };
    EXPECT_NEAR(p50(Preparation::kZeros, ProbeSize::kRecord), 100, 1);
    EXPECT_NEAR(p50(Preparation::kZeros, ProbeSize::kGroup), 140, 1);
    EXPECT_NEAR(p50(Preparation::kRecycled, ProbeSize::kRecord), 100, 1);
    EXPECT_NEAR(p50(Preparation::kRecycled, ProbeSize::kGroup), 140, 1);
    // Of twenty records in a block, one is the first.
    EXPECT_NEAR(p50(Preparation::kAllocated, ProbeSize::kRecord), 100, 1);
    EXPECT_NEAR(p50(Preparation::kAllocated, ProbeSize::kGroup), 280, 1);
    EXPECT_NEAR(p50(Preparation::kGrowing, ProbeSize::kRecord), 150, 1);
    EXPECT_NEAR(p50(Preparation::kGrowing, ProbeSize::kGroup), 210, 1);
  }
}

TEST_F(DiskProbeTest, TellsTheSlowestOfAHundred) {
  uint64_t commits = 0;
  disk_.noise = [&commits] { return ++commits % 40 == 0 ? 9.0 : 1.0; };
  const CommitCost cost = Measure(60 * kSecond).At(0, Preparation::kZeros, ProbeSize::kRecord);
  EXPECT_NEAR(cost.p50_micros, 100, 1);
  EXPECT_NEAR(cost.p99_micros, 900, 9);
}

TEST_F(DiskProbeTest, CountsTheBytesThatReachTheDevice) {
  const ProbeResult result = Measure();
  EXPECT_THAT(result.device_bytes_absent, IsEmpty());
  EXPECT_EQ(result.At(0, Preparation::kZeros, ProbeSize::kRecord).device_bytes, kBlock);
  EXPECT_EQ(result.At(0, Preparation::kGrowing, ProbeSize::kRecord).device_bytes, 2 * kBlock);
  EXPECT_EQ(result.At(0, Preparation::kZeros, ProbeSize::kGroup).device_bytes, 4 * kBlock);
  EXPECT_THAT(ChooseOptions(result, "fakefs").reasons,
              Contains(HasSubstr("4096 bytes reach the device; in a growing file 8192")));
}

TEST_F(DiskProbeTest, SaysWhyThereAreNoBytesThatReachTheDevice) {
  ProbeEnvironment environment = Environment();
  environment.device_bytes = [] { return absl::NotFoundError("there is no stat"); };
  absl::StatusOr<ProbeResult> result = ProbeDisk("/disk", kSecond, environment);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->device_bytes_absent, "there is no stat");
  EXPECT_FALSE(result->At(0, Preparation::kZeros, ProbeSize::kRecord).device_bytes.has_value());
  EXPECT_THAT(ChooseOptions(*result, "fakefs").reasons, Each(Not(HasSubstr("reach the device"))));
}

TEST_F(DiskProbeTest, TakesTheTimeThatItWasGiven) {
  const ProbeResult result = Measure(3 * kSecond);
  EXPECT_GE(result.nanos, 3 * kSecond);
  EXPECT_LE(result.nanos, 3 * kSecond + kSecond / 10);
}

TEST_F(DiskProbeTest, ASlowDiskIsMeasuredOnceThroughout) {
  disk_.micros = [](SyncMethod, bool, size_t) { return 100'000.0; };
  const ProbeResult result = Measure(kSecond);
  for (const CommitCost& cost : result.costs) {
    EXPECT_GE(cost.commits, 1u);
    EXPECT_GE(cost.p50_micros, 100'000);
  }
  EXPECT_THAT(ChooseOptions(result, "fakefs").warnings, Contains(HasSubstr("larger --seconds")));
}

TEST_F(DiskProbeTest, AFastDiskEndsEarlyInBoundedMemory) {
  disk_.micros = [](SyncMethod, bool, size_t) { return 0.5; };
  const ProbeResult result = Measure(3600 * kSecond);
  EXPECT_LT(result.nanos, 60 * kSecond);
  for (const CommitCost& cost : result.costs) EXPECT_LT(cost.commits, 100'000u);
}

TEST_F(DiskProbeTest, ShowsProgress) {
  ProbeEnvironment environment = Environment();
  std::vector<int64_t> shown;
  environment.progress = [&shown](int64_t nanos) { shown.push_back(nanos); };
  ASSERT_TRUE(ProbeDisk("/disk", kSecond, environment).ok());
  ASSERT_GT(shown.size(), 64u);
  EXPECT_TRUE(std::is_sorted(shown.begin(), shown.end()));
}

// ---- What is not to be had

TEST_F(DiskProbeTest, WithoutDirectIoItsRowsSayWhy) {
  disk_.has_direct = false;
  const ProbeResult result = Measure();
  for (size_t method = 0; method < kProbeMethodCount; ++method) {
    for (Preparation preparation : {Preparation::kZeros, Preparation::kGrowing}) {
      const CommitCost& cost = result.At(method, preparation, ProbeSize::kRecord);
      if (kProbeMethods[method].direct_io) {
        EXPECT_THAT(cost.unavailable, HasSubstr("no O_DIRECT"));
        EXPECT_EQ(cost.commits, 0u);
      } else {
        EXPECT_THAT(cost.unavailable, IsEmpty());
        EXPECT_GT(cost.commits, 100u);
      }
    }
  }
  EXPECT_EQ(Name(ChooseOptions(result, "fakefs")), "kFdatasync");
}

TEST_F(DiskProbeTest, WithoutFallocateItsColumnSaysWhy) {
  disk_.allocate_error = EOPNOTSUPP;
  const ProbeResult result = Measure();
  EXPECT_THAT(result.At(0, Preparation::kAllocated, ProbeSize::kGroup).unavailable,
              HasSubstr("no fallocate"));
  EXPECT_THAT(result.At(0, Preparation::kZeros, ProbeSize::kGroup).unavailable, IsEmpty());
  EXPECT_THAT(ChooseOptions(result, "fakefs").reasons, Each(Not(HasSubstr("allocated without"))));
}

TEST_F(DiskProbeTest, EachFailingCallIsAnErrorAndLeavesNoFile) {
  // Enough for all files to have been made.
  Measure(1);
  const uint64_t calls = disk_.calls;
  ASSERT_GT(calls, 300u);
  for (uint64_t call = 1; call <= calls; ++call) {
    SCOPED_TRACE(call);
    disk_ = FakeDisk();
    disk_.failing_call = call;
    disk_.failing_error = call % 2 == 0 ? EIO : ENOSPC;
    absl::StatusOr<ProbeResult> result = ProbeDisk("/disk", 1, Environment());
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.status().code(), call % 2 == 0 ? absl::StatusCode::kUnavailable
                                                    : absl::StatusCode::kResourceExhausted);
    EXPECT_THAT(std::string(result.status().message()), HasSubstr("/disk/seawall-probe."));
    ASSERT_THAT(disk_.sizes, IsEmpty());
  }
}

TEST_F(DiskProbeTest, AFileThatCannotBeRemovedIsNamed) {
  disk_.unlink_error = EROFS;
  absl::StatusOr<ProbeResult> result = ProbeDisk("/disk", 1, Environment());
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("remove /disk/seawall-probe."));
}

TEST_F(DiskProbeTest, AFileThatWasNotMadeIsNotMissed) {
  disk_.failing_call = 1;
  disk_.failing_error = EROFS;
  disk_.unlink_error = EROFS;
  absl::StatusOr<ProbeResult> result = ProbeDisk("/disk", 1, Environment());
  EXPECT_TRUE(absl::IsPermissionDenied(result.status())) << result.status();
  EXPECT_THAT(std::string(result.status().message()), Not(HasSubstr("remove")));
}

TEST_F(DiskProbeTest, AForeignFileIsLeftAlone) {
  const std::string name = "/disk/seawall-probe." + std::to_string(getpid()) + ".7";
  disk_.sizes[name] = 5;
  absl::StatusOr<ProbeResult> result = ProbeDisk("/disk", kSecond, Environment());
  EXPECT_TRUE(absl::IsAlreadyExists(result.status())) << result.status();
  EXPECT_EQ(disk_.sizes, (std::map<std::string, uint64_t>{{name, 5}}));
}

TEST_F(DiskProbeTest, CanBeCancelledAtAnyMoment) {
  for (int after = 0; after < 400; after += 7) {
    disk_ = FakeDisk();
    ProbeEnvironment environment = Environment();
    int asked = 0;
    environment.cancelled = [&] { return asked++ >= after; };
    absl::StatusOr<ProbeResult> result = ProbeDisk("/disk", 10 * kSecond, environment);
    EXPECT_TRUE(absl::IsCancelled(result.status())) << result.status();
    EXPECT_THAT(disk_.sizes, IsEmpty());
    EXPECT_LE(asked, after + 3);
  }
}

// ---- What is chosen

TEST_F(DiskProbeTest, TheDefaultWinsATie) {
  const ProbeVerdict verdict = Choose();
  EXPECT_EQ(Name(verdict), "kFdatasync");
  EXPECT_THAT(verdict.warnings, IsEmpty());
}

TEST_F(DiskProbeTest, TheDefaultWinsOverWhatIsALittleFaster) {
  SetFactor(SyncMethod::kODsync, true, 0.89);
  const ProbeVerdict verdict = Choose();
  EXPECT_EQ(Name(verdict), "kFdatasync");
  EXPECT_THAT(verdict.reasons[0],
              AllOf(HasSubstr("wins a tie (less than 15% apart)"),
                    HasSubstr("the fastest over both, kODsync with direct_io, takes 89 us")));
}

TEST_F(DiskProbeTest, WhicheverIsFastestWins) {
  for (const ProbeMethod& method : kProbeMethods) {
    disk_ = FakeDisk();
    SetFactor(method.sync_method, method.direct_io, 0.8);
    const ProbeVerdict verdict = Choose();
    EXPECT_EQ(Name(verdict), MethodName(method));
    if (verdict.method != 0) {
      EXPECT_THAT(verdict.reasons[0], HasSubstr("1.2x as fast as the default: 80 us for a record"));
    }
  }
}

TEST_F(DiskProbeTest, AmongEqualsTheSimplestWins) {
  SetFactor(SyncMethod::kFdatasync, false, 3);
  EXPECT_EQ(Name(Choose()), "kODsync");
}

TEST_F(DiskProbeTest, WhatLosesAtOneSizeDoesNotWin) {
  disk_.micros = [](SyncMethod method, bool direct, size_t bytes) {
    const bool small = bytes <= 2 * kBlock;
    if (method == SyncMethod::kODsync && direct) return small ? 40.0 : 200.0;
    return small ? 100.0 : 140.0;
  };
  const ProbeVerdict verdict = Choose();
  EXPECT_EQ(Name(verdict), "kFdatasync");
  EXPECT_THAT(verdict.reasons,
              Contains(AllOf(HasSubstr("kODsync with direct_io is 2.5x as fast"),
                             HasSubstr("takes 1.4x as long for a group of 16 KiB"))));
}

// Measured one after the other, the last one would seem the slowest.
TEST_F(DiskProbeTest, WhatTheMachineDoesMeanwhileMeetsAllAlike) {
  disk_.drift_per_second = 0.5;
  const ProbeResult result = Measure();
  const double first = result.At(0, Preparation::kZeros, ProbeSize::kRecord).p50_micros;
  EXPECT_GT(first, 150);
  for (size_t method = 0; method < kProbeMethodCount; ++method) {
    EXPECT_NEAR(result.At(method, Preparation::kZeros, ProbeSize::kRecord).p50_micros / first, 1,
                0.1);
  }
  EXPECT_EQ(Name(ChooseOptions(result, "fakefs")), "kFdatasync");
}

// A few commits that take anything from half to four times the usual are no reason to choose.
TEST_F(DiskProbeTest, ChanceDoesNotWin) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    disk_ = FakeDisk();
    disk_.micros = [](SyncMethod, bool, size_t) { return 4000.0; };
    std::mt19937_64 random(seed);
    disk_.noise = [&random] { return std::exp2(std::uniform_real_distribution<>(-1, 2)(random)); };
    EXPECT_EQ(Name(Choose()), "kFdatasync") << "seed " << seed;
  }
}

// Nor to say that anything is faster or slower, however far apart the few are.
TEST_F(DiskProbeTest, AHandfulOfCommitsIsNotCompared) {
  disk_.micros = [](SyncMethod, bool, size_t) { return 40000.0; };
  disk_.growing_factor = 3;
  SetFactor(SyncMethod::kODsync, false, 0.3);
  const ProbeVerdict verdict = Choose(kSecond);
  EXPECT_THAT(verdict.warnings, Contains(HasSubstr("could be measured")));
  EXPECT_EQ(Name(verdict), "kFdatasync");
  EXPECT_THAT(verdict.reasons, Each(Not(AnyOf(HasSubstr("x as fast"), HasSubstr(" costs ")))));
}

// Nor are many that scatter so widely a reason to say that there is no difference.
TEST_F(DiskProbeTest, WhatChanceMayHideIsNotSaidToBeEqual) {
  std::mt19937_64 random(1);
  disk_.noise = [&random] { return std::exp2(std::uniform_real_distribution<>(-1, 2)(random)); };
  disk_.micros = [](SyncMethod, bool, size_t) { return 4000.0; };
  disk_.growing_factor = 1.01;
  disk_.unwritten_factor = 1;
  const ProbeVerdict verdict = Choose(60 * kSecond);
  EXPECT_THAT(verdict.warnings, IsEmpty());
  EXPECT_THAT(verdict.reasons, Each(Not(HasSubstr("cost no more"))));
  EXPECT_THAT(verdict.reasons, Each(Not(HasSubstr("is as fast as one of fresh"))));
}

TEST_F(DiskProbeTest, SaysWhatPreparationSaves) {
  const ProbeVerdict verdict = Choose();
  EXPECT_THAT(
      verdict.reasons,
      Contains(AllOf(
          HasSubstr("A growing file costs 1.5x for a record of 128 bytes and 1.5x for a group"),
          HasSubstr("Seawall writes zeros ahead, so you do not pay that"))));
  EXPECT_THAT(verdict.reasons,
              Contains(HasSubstr(
                  "allocated without writing costs 1.0x for a record of 128 bytes and 2.0x for")));
  EXPECT_THAT(verdict.reasons, Contains(HasSubstr("A recycled segment is as fast")));
}

TEST_F(DiskProbeTest, SaysThatPreparationSavesNothing) {
  disk_.growing_factor = 1.05;
  disk_.unwritten_factor = 0.98;
  const ProbeVerdict verdict = Choose();
  EXPECT_THAT(verdict.reasons, Contains(HasSubstr("A growing file would cost no more")));
  EXPECT_THAT(verdict.reasons,
              Contains(HasSubstr("A file allocated without writing would cost no more")));
}

TEST_F(DiskProbeTest, WarnsOfADiskThatIsNone) {
  disk_.micros = [](SyncMethod method, bool, size_t) {
    return method == SyncMethod::kOSync ? 1.0 : 3.0;
  };
  const ProbeVerdict verdict = Choose();
  EXPECT_EQ(Name(verdict), "kFdatasync");
  EXPECT_THAT(verdict.warnings, Contains(AllOf(HasSubstr("took 1.0 us (8 methods"),
                                               HasSubstr("The file system is fakefs"),
                                               HasSubstr("say nothing about a disk"))));
}

TEST_F(DiskProbeTest, WhatIsFasterThanADiskIsNotChosen) {
  SetFactor(SyncMethod::kODsync, true, 0.05);
  const ProbeVerdict verdict = Choose();
  EXPECT_EQ(Name(verdict), "kFdatasync");
  EXPECT_THAT(verdict.warnings, Contains(AllOf(HasSubstr("5.0 us (kODsync with direct_io)"),
                                               HasSubstr("is not chosen"))));
}

}  // namespace
}  // namespace seawall
