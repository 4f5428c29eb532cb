// SPDX-License-Identifier: Apache-2.0
// SIGKILL under sixteen committing threads, again and again on the same log: what was acknowledged
// is there, what is there is what was appended, and batches are whole.
//
// SEAWALL_TEST_SEED replays the plan of a run; SEAWALL_KILL_ROUNDS changes the number of rounds.
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/kernel/kernel_test_util.h"
#include "tests/support/seed.h"

namespace seawall {
namespace {

constexpr int kThreads = 16;
constexpr Lsn kMaxLsn = 1 << 20;

// What the child tells, in memory that outlives it.
struct Board {
  std::atomic<uint64_t> acknowledged;  // records, in this round
  std::atomic<Lsn> trim_begun;         // highest argument of a TrimBefore that was called
  std::atomic<Lsn> first_after_trim;   // first_lsn() after one that returned
  std::atomic<uint64_t> rollovers;     // of the child that reported last
  std::atomic<uint64_t> recycled;
  std::atomic<bool> failed;  // something that is not the kill went wrong
  char failure[512];
  std::atomic<uint64_t> hash[kMaxLsn];  // by LSN, of what was acknowledged; else 0
};

// Raises `value` to at least `to`.
void Raise(std::atomic<Lsn>* value, Lsn to) {
  Lsn seen = value->load();
  while (seen < to && !value->compare_exchange_weak(seen, to)) {
  }
}

Options KillOptions(uint64_t round) {
  Options options;
  options.segment_bytes = 128 << 10;
  options.buffer_bytes = 32 << 10;
  options.max_record_bytes = 8 << 10;
  options.max_recycled_segments = round % 3;
  const uint32_t alignments[] = {8, 512, 4096};
  options.group_alignment_bytes = alignments[round / 3 % 3];
  const SyncMethod methods[] = {SyncMethod::kFdatasync, SyncMethod::kODsync};
  options.sync_method = methods[round / 9 % 2];
  return options;
}

void ReportFailure(Board* board, const absl::Status& status) {
  if (board->failed.exchange(true)) return;
  status.ToString().copy(board->failure, sizeof(board->failure) - 1);
}

void CommitForever(Board* board, Log* log, uint64_t writer, uint64_t seed) {
  std::mt19937_64 random(seed);
  for (uint64_t batch = 0;; ++batch) {
    const uint32_t count = random() % 4 == 0 ? 2 + random() % 6 : 1;
    std::vector<std::string> records;
    for (uint32_t i = 0; i < count; ++i) {
      const size_t bytes = random() % 16 == 0 ? random() % 8000 : random() % 400;
      records.push_back(MakeRecord({writer, batch, i, count}, bytes));
    }
    std::vector<std::string_view> views(records.begin(), records.end());
    const bool wait = random() % 8 != 0;
    absl::StatusOr<LsnRange> range = log->AppendBatch(views);
    absl::Status status = range.status();
    if (status.ok() && wait) status = log->WaitDurable(range->last);
    if (!status.ok()) return ReportFailure(board, status);
    if (range->last >= kMaxLsn) return;
    if (wait) {
      for (uint32_t i = 0; i < count; ++i) {
        board->hash[range->first + i].store(HashOf(records[i]), std::memory_order_release);
      }
      board->acknowledged += count;
    }
    if (random() % 64 == 0) {
      const Lsn last = log->durable_lsn();
      const Lsn keep = 500 + random() % 500;
      const Lsn lsn = last > keep ? last - keep : 1;
      Raise(&board->trim_begun, lsn);
      status = log->TrimBefore(lsn);
      if (!status.ok()) return ReportFailure(board, status);
      Raise(&board->first_after_trim, log->first_lsn());
      const Stats stats = log->stats();
      board->rollovers = stats.rollovers;
      board->recycled = stats.segments_recycled;
    }
  }
}

[[noreturn]] void RunChild(Board* board, const std::string& directory, uint64_t round,
                           uint64_t seed) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, KillOptions(round));
  if (!log.ok()) {
    ReportFailure(board, log.status());
    _exit(1);
  }
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back(CommitForever, board, log->get(), round * kThreads + t, seed + t);
  }
  for (std::thread& thread : threads) thread.join();
  _exit(1);  // only a failure ends the threads
}

class Killer {
 public:
  Killer() {
    void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    board_ = new (memory) Board;
  }
  ~Killer() { munmap(board_, sizeof(Board)); }

  // One life of the writer, ended after a random number of acknowledgements, or of microseconds
  // (then perhaps while it recovers).
  void Live(const std::string& directory, uint64_t round) {
    board_->acknowledged = 0;
    const uint64_t seed = random_();
    const bool young = random_() % 5 == 0;
    const uint64_t until = young ? 0 : 1 + random_() % 1000;
    const auto micros = std::chrono::microseconds(random_() % (young ? 30000 : 2000));
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) RunChild(board_, directory, round, seed);
    while (board_->acknowledged < until && !board_->failed) {
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    // The moment of death is the point of this test, not something waited for.
    std::this_thread::sleep_for(micros);
    kill(child, SIGKILL);
    int how = 0;
    ASSERT_EQ(waitpid(child, &how, 0), child);
    ASSERT_FALSE(board_->failed) << board_->failure;
    ASSERT_TRUE(WIFSIGNALED(how));
    acknowledged_ += board_->acknowledged;
    rollovers_ += board_->rollovers.exchange(0);
    recycled_ += board_->recycled.exchange(0);
  }

  void Check(const std::string& directory, uint64_t round) {
    absl::StatusOr<LogContents> found = ReadContents(directory);
    if (absl::IsNotFound(found.status()) && known_.empty() && LastAcknowledged() == 0) return;
    ASSERT_TRUE(found.ok()) << found.status();
    Compare(*found);
    if (testing::Test::HasFatalFailure()) return;
    // Every other time the next child has to recover what this one left.
    if (random_() % 2 == 0) return;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, KillOptions(round));
    ASSERT_TRUE(log.ok()) << log.status();
    ++verdicts_[(*log)->recovery_report().verdict];
    EXPECT_EQ((*log)->recovery_report().last_lsn, found->last_lsn());
    absl::StatusOr<LogContents> recovered = ReadContents(log->get());
    ASSERT_TRUE(recovered.ok()) << recovered.status();
    EXPECT_EQ(recovered->first_lsn, found->first_lsn);
    EXPECT_EQ(recovered->hashes, found->hashes);
    if (random_() % 2 == 0) {
      EXPECT_TRUE((*log)->Close().ok());
    }
  }

  void Print(int rounds) const {
    std::printf(
        "%d rounds, %llu records acknowledged, last LSN %llu, %llu rollovers, %llu recycled",
        rounds, Count(acknowledged_), Count(last_lsn_), Count(rollovers_), Count(recycled_));
    for (auto [verdict, count] : verdicts_) {
      std::printf(", %s %d", std::string(RecoveryVerdictName(verdict)).c_str(), count);
    }
    std::printf("\n");
  }
  uint64_t rollovers() const { return rollovers_; }
  uint64_t recycled() const { return recycled_; }

 private:
  static unsigned long long Count(uint64_t n) { return n; }

  Lsn LastAcknowledged() const {
    Lsn last = last_lsn_ + 1;
    // Acknowledged means: and all before. So gaps below the highest are those that did not wait.
    Lsn found = 0;
    for (Lsn lsn = 1; lsn < std::min<Lsn>(kMaxLsn, last + 100000); ++lsn) {
      if (board_->hash[lsn].load(std::memory_order_acquire) != 0) found = lsn;
    }
    return found;
  }

  void Compare(const LogContents& found) {
    ASSERT_LE(found.first_lsn, std::max<Lsn>(1, board_->trim_begun.load()));
    ASSERT_GE(found.first_lsn, board_->first_after_trim.load());
    ASSERT_GE(found.last_lsn(), LastAcknowledged());
    // What was read after an earlier kill was in the file: no later kill can take it back.
    ASSERT_GE(found.last_lsn(), last_lsn_);
    for (Lsn lsn = found.first_lsn; lsn <= found.last_lsn(); ++lsn) {
      const uint64_t hash = found.hashes[lsn - found.first_lsn];
      const uint64_t acknowledged = board_->hash[lsn].load(std::memory_order_acquire);
      if (acknowledged != 0) {
        ASSERT_EQ(hash, acknowledged) << "record " << lsn;
      }
      auto [known, is_new] = known_.try_emplace(lsn, hash);
      if (!is_new) {
        ASSERT_EQ(hash, known->second) << "record " << lsn;
      }
    }
    last_lsn_ = found.last_lsn();
  }

  std::mt19937_64 random_{TestSeed()};
  Board* board_;
  std::map<Lsn, uint64_t> known_;  // hashes of all records ever read
  Lsn last_lsn_ = 0;
  uint64_t acknowledged_ = 0;
  uint64_t rollovers_ = 0;
  uint64_t recycled_ = 0;
  std::map<RecoveryVerdict, int> verdicts_;
};

TEST(KillTest, SixteenThreadsKilledAgainAndAgain) {
  const int rounds = static_cast<int>(EnvironmentOr("SEAWALL_KILL_ROUNDS", 200));
  TemporaryDirectory temporary;
  const std::string directory = temporary.path() + "/log";
  Killer killer;
  for (int round = 0; round < rounds; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round << " of seed " << TestSeed());
    killer.Live(directory, static_cast<uint64_t>(round));
    if (HasFatalFailure()) return;
    killer.Check(directory, static_cast<uint64_t>(round));
    if (HasFatalFailure()) return;
  }
  killer.Print(rounds);
  EXPECT_GT(killer.rollovers(), 0u);
  EXPECT_GT(killer.recycled(), 0u);
}

}  // namespace
}  // namespace seawall
