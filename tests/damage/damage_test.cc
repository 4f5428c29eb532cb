// SPDX-License-Identifier: Apache-2.0
// Damage, told apart from crashes: every bit of small logs flipped, every sector zeroed, every
// length truncated, files swapped, duplicated, deleted and replaced by earlier versions of
// themselves. Each damaged log is opened and read as a whole, and is then one of:
//
//   detected      opening or reading it is an error that names file, offset, expected and found;
//                 an Open that fails has changed nothing on disk
//   harmless      everything that was acknowledged is there, byte-identical
//   undetectable  acknowledged records at the end are gone, and nothing that is left on the disk
//                 (a watermark in any group, header or control slot) covers even one of them: such
//                 a disk is the same as one that a crash left behind before they were synced
//
// Anything else is a failure: a wrong record, a loss that something on the disk could have told, a
// crash, a hang, memory without bound.
//
// Each bit of every header, control block, group header, record header and the first 64 bytes of
// each payload is flipped; one bit of each other byte, but for a sample of zeros only in most logs.
// SEAWALL_CRASH_SEED chooses other samples; SEAWALL_DAMAGE_EVERY_BIT=1 flips each bit of each byte.
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/damage/damage_judge.h"
#include "tests/damage/damage_kinds.h"
#include "tests/damage/damage_logs.h"
#include "tests/support/seed.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

#ifdef SEAWALL_SMOKE
constexpr uint64_t kThinning = 211;
#else
constexpr uint64_t kThinning = 1;
#endif

using Table = std::map<int, std::array<uint64_t, kOutcomes>>;

void Print(const std::string& title, const Table& table) {
  std::cout << title << "\n"
            << std::left << std::setw(22) << "" << std::right << std::setw(9) << "damages"
            << std::setw(10) << "at open" << std::setw(10) << "at read" << std::setw(10)
            << "harmless" << std::setw(14) << "undetectable"
            << "\n";
  std::array<uint64_t, kOutcomes> sums = {};
  const auto row = [](const std::string& name, const std::array<uint64_t, kOutcomes>& counts) {
    std::cout << std::left << std::setw(22) << name << std::right << std::setw(9)
              << counts[0] + counts[1] + counts[2] + counts[3] << std::setw(10) << counts[0]
              << std::setw(10) << counts[1] << std::setw(10) << counts[2] << std::setw(14)
              << counts[3] << "\n";
  };
  for (const auto& [kind, counts] : table) {
    row(kKindNames[static_cast<size_t>(kind)], counts);
    for (size_t i = 0; i < kOutcomes; ++i) sums[i] += counts[i];
  }
  row("all", sums);
}

struct Case {
  const char* name;
  Subject (*make)();
  bool undetectable_allowed;
  Subject::Depth depth;
};

class DamageTest : public ::testing::TestWithParam<Case> {
 protected:
  static void TearDownTestSuite() { Print("All logs", total_); }

  static Table total_;
};

Table DamageTest::total_;

// Memory without bound ends the test. (The sanitizers' runtimes reserve terabytes themselves.)
void BoundMemory() {
#if !defined(SEAWALL_SMOKE)
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const uint64_t limit = pages * 4096 + (uint64_t{3} << 30);
  const rlimit bound = {limit, RLIM_INFINITY};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &bound), 0);
#endif
}

TEST_P(DamageTest, IsReportedOrDoesNoHarm) {
  BoundMemory();
  Subject subject = GetParam().make();
  subject.depth = GetParam().depth;
  ASSERT_FALSE(HasFailure());
  const Damages damages(subject, kThinning);
  Table table;
  std::mutex mutex;
  std::vector<std::string> wrongs;
  std::atomic<size_t> next{0};
  const auto work = [&] {
    Watchdog watchdog;
    Judge judge(subject);
    Table mine;
    for (size_t i; (i = next++) < damages.all().size();) {
      const Damage& damage = damages.all()[i];
      watchdog.Begin(absl::StrCat(subject.name, ", ", damage.what));
      std::string wrong;
      const Outcome outcome = judge(damage, i, &wrong);
      if (outcome == kOutcomes) {
        const std::lock_guard<std::mutex> lock(mutex);
        wrongs.push_back(absl::StrCat(damage.what, ": ", wrong));
        if (wrongs.size() >= 20) return;
      } else {
        ++mine[damage.kind][outcome];
      }
    }
    const std::lock_guard<std::mutex> lock(mutex);
    for (const auto& [kind, counts] : mine) {
      for (size_t i = 0; i < kOutcomes; ++i) table[kind][i] += counts[i];
    }
  };
  std::thread second(work);
  work();
  second.join();
  for (const std::string& wrong : wrongs) {
    ADD_FAILURE() << subject.name << ", seed " << CrashSeed() << ": " << wrong;
  }
  Print(absl::StrCat(subject.name, ", ", Segments(subject.files), " segment files, records ",
                     subject.world.records.size(), ", acknowledged ", subject.world.acknowledged),
        table);
  for (const auto& [kind, counts] : table) {
    for (size_t i = 0; i < kOutcomes; ++i) total_[kind][i] += counts[i];
    // A file that is missing, too short, or in another's place is always noticed.
    if (kind == Damage::kDelete || kind == Damage::kLength || kind == Damage::kSwap) {
      EXPECT_EQ(counts[kUndetectable], 0u)
          << subject.name << ", " << kKindNames[static_cast<size_t>(kind)];
    }
    // A log that was closed, or recovered and not written to, has no group without a watermark.
    if (!GetParam().undetectable_allowed) {
      EXPECT_EQ(counts[kUndetectable], 0u)
          << subject.name << ", " << kKindNames[static_cast<size_t>(kind)];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, DamageTest,
    ::testing::Values(Case{"Unclosed", Unclosed, true, Subject::kUsual},
                      Case{"Closed", Closed, false, Subject::kUsual},
                      Case{"UnclosedDense", UnclosedDense, true, Subject::kThorough},
                      Case{"UnclosedUnsynced", UnclosedUnsynced, true, Subject::kUsual},
                      Case{"UnlistedSpare", UnlistedSpare, true, Subject::kUsual},
                      Case{"ClosedDense", ClosedDense, false, Subject::kThorough},
                      Case{"JustRolledOver", JustRolledOver, true, Subject::kUsual},
                      Case{"Recovered", Recovered, false, Subject::kUsual},
                      Case{"RecoveredAndWritten", RecoveredAndWritten, true, Subject::kUsual},
                      Case{"ClosedTwice", ClosedTwice, false, Subject::kUsual},
                      Case{"TrimmedAndRecycled", TrimmedAndRecycled, true, Subject::kUsual},
                      Case{"Truncated", Truncated, true, Subject::kUsual},
                      Case{"CursorsUnclosed", CursorsUnclosed, true, Subject::kUsual},
                      Case{"CursorsClosed", CursorsClosed, false, Subject::kUsual},
                      Case{"BigUnclosed", BigUnclosed, true, Subject::kCoarse},
                      Case{"BigClosed", BigClosed, false, Subject::kCoarse},
                      Case{"BigRecovered", BigRecovered, true, Subject::kCoarse}),
    [](const ::testing::TestParamInfo<Case>& param) { return std::string(param.param.name); });

}  // namespace
}  // namespace seawall
