// SPDX-License-Identifier: Apache-2.0
// Power cuts on real file systems: a log lives on ext4 and on XFS over a disk that records what it
// is told; then the disk is put together as it may be after a power cut, at any moment, mounted,
// recovered by kernel and log, and held against what had been acknowledged by then.
//
// SEAWALL_TEST_SEED replays the cuts of a run; SEAWALL_POWER_CUTS changes their number.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/kernel/kernel_test_util.h"
#include "tests/kernel/recording_disk.h"
#include "tests/support/seed.h"

namespace seawall {
namespace {

constexpr int kLives = 4;
constexpr uint64_t kThreads = 4;
constexpr uint64_t kBatches = 60;  // of each thread in each life

Options CutOptions(int life) {
  Options options;
  options.segment_bytes = 128 << 10;
  options.buffer_bytes = 32 << 10;
  options.max_record_bytes = 8 << 10;
  // The last life's alignment leaves a group of its own in each block.
  const uint32_t alignments[] = {8, 512, 8, 4096};
  options.group_alignment_bytes = alignments[life % 4];
  const SyncMethod methods[] = {SyncMethod::kFdatasync, SyncMethod::kODsync, SyncMethod::kFsync,
                                SyncMethod::kFdatasync};
  options.sync_method = methods[life % 4];
  options.direct_io = life % 4 == 3;
  return options;
}

// What was promised, and at which event of the disk at the latest.
class Promises {
 public:
  explicit Promises(const RecordingDisk* disk) : disk_(disk) {}

  void Appended(Lsn lsn, const std::string& record) {
    std::lock_guard<std::mutex> lock(mutex_);
    hashes_[lsn] = HashOf(record);
  }
  // After WaitDurable returned.
  void Acknowledged(Lsn lsn) { Note(&acknowledged_, lsn); }
  // Before TrimBefore is called, and with the first record after it returned.
  void MayTrim(Lsn lsn) { Note(&may_trim_, lsn); }
  void Trimmed(Lsn first) { Note(&trimmed_, first); }

  // Empty if `found` may be what is left of a power cut before `event`.
  std::string Violation(uint64_t event, const LogContents& found) const {
    const Lsn acknowledged = HighestAt(acknowledged_, event);
    if (found.last_lsn() < acknowledged) {
      return absl::StrCat("acknowledged up to ", acknowledged, ", found up to ", found.last_lsn());
    }
    const Lsn may_trim = std::max<Lsn>(1, HighestAt(may_trim_, event));
    const Lsn trimmed = std::max<Lsn>(1, HighestAt(trimmed_, event));
    if (found.first_lsn < trimmed || found.first_lsn > may_trim) {
      return absl::StrCat("begins with ", found.first_lsn, ", expected ", trimmed, " to ",
                          may_trim);
    }
    for (Lsn lsn = found.first_lsn; lsn <= found.last_lsn(); ++lsn) {
      auto appended = hashes_.find(lsn);
      if (appended == hashes_.end() || appended->second != found.hashes[lsn - found.first_lsn]) {
        return absl::StrCat("record ", lsn, " is not the one that was appended");
      }
    }
    return "";
  }
  Lsn AcknowledgedAt(uint64_t event) const { return HighestAt(acknowledged_, event); }
  size_t records() const { return hashes_.size(); }

 private:
  using Timeline = std::vector<std::pair<uint64_t, Lsn>>;  // event, LSN

  void Note(Timeline* line, Lsn lsn) {
    std::lock_guard<std::mutex> lock(mutex_);
    line->emplace_back(disk_->events(), lsn);
  }
  // What was noted when the disk had seen no more than the events below `event`.
  static Lsn HighestAt(const Timeline& line, uint64_t event) {
    Lsn highest = 0;
    for (auto [at, lsn] : line) {
      if (at <= event) highest = std::max(highest, lsn);
    }
    return highest;
  }
  const RecordingDisk* const disk_;
  mutable std::mutex mutex_;
  std::map<Lsn, uint64_t> hashes_;
  Timeline acknowledged_;
  Timeline may_trim_;
  Timeline trimmed_;
};

void Commit(Log* log, Promises* promises, uint64_t writer, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (uint64_t batch = 0; batch < kBatches; ++batch) {
    const uint32_t count = random() % 4 == 0 ? 2 + random() % 4 : 1;
    std::vector<std::string> records;
    for (uint32_t i = 0; i < count; ++i) {
      records.push_back(MakeRecord({writer, batch, i, count},
                                   random() % 8 == 0 ? random() % 8000 : random() % 1500));
    }
    std::vector<std::string_view> views(records.begin(), records.end());
    absl::StatusOr<LsnRange> range = log->AppendBatch(views);
    ASSERT_TRUE(range.ok()) << range.status();
    for (uint32_t i = 0; i < count; ++i) promises->Appended(range->first + i, records[i]);
    const uint64_t wait = random() % 4;
    if (wait == 1) {
      absl::Status status = log->WaitWritten(range->last);
      ASSERT_TRUE(status.ok()) << status;
    } else if (wait > 1) {
      absl::Status status = log->WaitDurable(range->last);
      ASSERT_TRUE(status.ok()) << status;
      promises->Acknowledged(range->last);
    }
    if (random() % 40 == 0) {
      const Lsn last = log->durable_lsn();
      if (last < 150) continue;
      promises->MayTrim(last - 100);
      absl::Status status = log->TrimBefore(last - 100);
      ASSERT_TRUE(status.ok()) << status;
      promises->Trimmed(log->first_lsn());
    }
  }
}

// What the kernel does when memory is short: sends dirty pages to the disk, without a flush.
void WriteBack(const std::string& directory, const std::atomic<bool>* stop) {
  while (!*stop) {
    std::error_code gone;  // files come and go
    for (const auto& entry : std::filesystem::directory_iterator(directory, gone)) {
      OwnedFd fd(open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
      if (fd.get() >= 0) (void)sync_file_range(fd.get(), 0, 0, SYNC_FILE_RANGE_WRITE);
    }
    std::this_thread::yield();
  }
}

void Live(const std::string& directory, Promises* promises, uint64_t seed) {
  uint64_t recycled = 0;
  for (int life = 0; life < kLives; ++life) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, CutOptions(life));
    ASSERT_TRUE(log.ok()) << log.status();
    std::atomic<bool> stop{false};
    std::thread write_back(WriteBack, directory, &stop);
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < kThreads; ++t) {
      const uint64_t writer = static_cast<uint64_t>(life) * kThreads + t;
      threads.emplace_back(Commit, log->get(), promises, writer, seed + writer);
    }
    for (std::thread& thread : threads) thread.join();
    stop = true;
    write_back.join();
    recycled += (*log)->stats().segments_recycled;
    absl::Status status = (*log)->Close();
    ASSERT_TRUE(status.ok()) << status;
    promises->Acknowledged((*log)->durable_lsn());
  }
  EXPECT_GT(recycled, 0u);
}

class PowerCutTest : public testing::TestWithParam<std::string> {
 protected:
  // The log on the mounted `image` is what `promises` allow, goes on, and is the same when it is
  // opened again.
  void Recover(OwnedFd image, const Promises& promises, uint64_t event) {
    absl::StatusOr<std::unique_ptr<Mount>> mount = Mount::Over(image.get(), GetParam());
    ASSERT_TRUE(mount.ok()) << mount.status();
    const std::string directory = (*mount)->path() + "/log";
    Options options = CutOptions(static_cast<int>(event % 4));
    LogContents found;
    for (uint64_t life = 0; life < 2; ++life) {
      absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, options);
      ASSERT_TRUE(log.ok()) << log.status();
      if (life == 0) ++verdicts_[(*log)->recovery_report().verdict];
      absl::StatusOr<LogContents> contents = ReadContents(log->get());
      ASSERT_TRUE(contents.ok()) << contents.status();
      if (life == 0) {
        ASSERT_EQ(promises.Violation(event, *contents), "");
        found = *contents;
      } else {
        ASSERT_EQ(contents->first_lsn, found.first_lsn);
        ASSERT_EQ(contents->hashes, found.hashes);
      }
      const std::string record = MakeRecord({1000 + life, 0, 0, 1}, 500);
      absl::StatusOr<Lsn> lsn = (*log)->AppendDurable(record);
      ASSERT_TRUE(lsn.ok()) << lsn.status();
      ASSERT_EQ(*lsn, found.last_lsn() + 1);
      found.hashes.push_back(HashOf(record));
    }
  }

  std::map<RecoveryVerdict, int> verdicts_;
};

TEST_P(PowerCutTest, WhatWasAcknowledgedIsThere) {
  using Clock = std::chrono::steady_clock;
  const uint64_t bytes = (GetParam() == "xfs" ? uint64_t{320} : uint64_t{64}) << 20;
  const std::string reason = WhyNoMounts();
  if (!reason.empty()) GTEST_SKIP() << reason;
  if (!HaveCommand("mkfs." + GetParam())) GTEST_SKIP() << "no mkfs." << GetParam() << " here";
  OwnedFd image = SparseMemoryFile(bytes);
  {
    absl::StatusOr<LoopDevice> loop = AttachLoop(image.get());
    ASSERT_TRUE(loop.ok()) << loop.status();
    ASSERT_EQ(std::system((MkfsCommand(GetParam(), loop->path) + " >/dev/null").c_str()), 0);
  }
  absl::StatusOr<std::unique_ptr<RecordingDisk>> made = RecordingDisk::New(std::move(image), bytes);
  if (absl::IsUnimplemented(made.status())) GTEST_SKIP() << made.status();
  ASSERT_TRUE(made.ok()) << made.status();
  const RecordingDisk& disk = **made;

  Promises promises(&disk);
  const auto start = Clock::now();
  {
    absl::StatusOr<OwnedFd> backing = disk.Open();
    ASSERT_TRUE(backing.ok()) << backing.status();
    absl::StatusOr<std::unique_ptr<Mount>> mount = Mount::Over(backing->get(), GetParam());
    ASSERT_TRUE(mount.ok()) << mount.status();
    Live((*mount)->path() + "/log", &promises, TestSeed());
    if (HasFatalFailure()) return;
  }
  const auto lived = Clock::now();
  const std::vector<uint64_t> flushes = disk.flushes();
  ASSERT_FALSE(flushes.empty());

  // A third of the cuts just before or behind a flush, a third where much was not flushed, the
  // others anywhere.
  std::vector<uint64_t> late = flushes;
  std::sort(late.begin(), late.end(), [&flushes](uint64_t a, uint64_t b) {
    auto waited = [&flushes](uint64_t flush) {
      auto at = std::lower_bound(flushes.begin(), flushes.end(), flush);
      return at == flushes.begin() ? flush : flush - *std::prev(at);
    };
    return waited(a) > waited(b);
  });
  late.resize(late.size() / 8 + 1);
  const int wanted = static_cast<int>(EnvironmentOr("SEAWALL_POWER_CUTS", 120));
  std::mt19937_64 random(TestSeed());
  std::vector<uint64_t> cuts;
  for (int i = 0; i < wanted; ++i) {
    const uint64_t choices[] = {flushes[random() % flushes.size()] + random() % 2,
                                late[random() % late.size()], random() % (disk.events() + 1)};
    cuts.push_back(choices[i % 3]);
  }
  std::sort(cuts.begin(), cuts.end());
  PowerCuts power(disk);
  uint64_t pending = 0, survived = 0;
  for (uint64_t cut : cuts) {
    SCOPED_TRACE(absl::StrCat("cut before event ", cut, " of ", disk.events(), ", seed ",
                              TestSeed(), ", acknowledged ", promises.AcknowledgedAt(cut)));
    Recover(power.ImageAt(cut, &random), promises, cut);
    if (HasFatalFailure()) return;
    pending += power.pending();
    survived += power.survived();
  }
  auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  std::printf("%s: %zu records; %llu writes and flushes (%zu flushes), %llu KiB, in %.1f s\n",
              GetParam().c_str(), promises.records(),
              static_cast<unsigned long long>(disk.events()), flushes.size(),
              static_cast<unsigned long long>(disk.written_bytes() >> 10), seconds(lived - start));
  std::printf("%s: %zu cuts in %.1f s, %llu of %llu unflushed writes survived", GetParam().c_str(),
              cuts.size(), seconds(Clock::now() - lived), static_cast<unsigned long long>(survived),
              static_cast<unsigned long long>(pending));
  for (auto [verdict, count] : verdicts_) {
    std::printf(", %s %d", std::string(RecoveryVerdictName(verdict)).c_str(), count);
  }
  std::printf("\n");
}

INSTANTIATE_TEST_SUITE_P(FileSystems, PowerCutTest, testing::Values("ext4", "xfs"),
                         [](const auto& type) { return type.param; });

}  // namespace
}  // namespace seawall
