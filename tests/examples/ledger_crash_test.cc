// SPDX-License-Identifier: Apache-2.0
// Kills real processes that commit to a ledger (SIGKILL, at random points, checkpoints running),
// reopens it, and compares with what they acknowledged. See examples/ledger/crash_drill.h.
//
// SEAWALL_TEST_SEED=N repeats the kill plan of a run that printed N; how the threads of the killed
// process interleave is the machine's choice. SEAWALL_LEDGER_ROUNDS=N makes more rounds.
#include <unistd.h>

#include <iostream>
#include <string>

#include "absl/status/statusor.h"
#include "examples/ledger/crash_drill.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"

namespace ledger {
namespace {

// Built along with the test; tests run where the paths of the source tree hold.
constexpr char kProgram[] = "examples/ledger/ledger_main";

TEST(LedgerCrashTest, AcknowledgedTransfersSurviveKills) {
  const uint64_t seed = seawall::TestSeed();
  const uint64_t rounds = seawall::EnvironmentOr("SEAWALL_LEDGER_ROUNDS", 12);
  const std::string directory =
      ::testing::TempDir() + "/crash" + std::to_string(getpid()) + "_" + std::to_string(seed);
  CrashDrill drill(kProgram, directory, /*clients=*/6, seed);
  uint64_t acknowledged = 0, kills = 0;
  for (uint64_t round = 1; round <= rounds; ++round) {
    absl::StatusOr<RoundReport> report = drill.Round();
    ASSERT_TRUE(report.ok()) << "SEAWALL_TEST_SEED=" << seed << ", round " << round << ", "
                             << directory << ": " << report.status();
    EXPECT_GE(report->recovered, report->acknowledged);
    EXPECT_EQ(report->begun, report->recovered + report->discarded);
    // Killed: it cannot have been closed.
    EXPECT_NE(report->log.verdict, seawall::RecoveryVerdict::kClean);
    acknowledged += report->acknowledged;
    kills += static_cast<uint64_t>(report->kills);
  }
  std::cout << rounds << " rounds, " << kills << " kills, " << acknowledged
            << " transfers acknowledged\n";
  EXPECT_GE(acknowledged, rounds);
  EXPECT_GE(drill.transfers(), acknowledged);
}

TEST(LedgerCrashTest, AWorkerThatDiesByItselfIsNotTakenForKilled) {
  CrashDrill drill(kProgram, "/no/such/directory/at/all", /*clients=*/2, /*seed=*/1);
  absl::StatusOr<RoundReport> report = drill.Round();
  ASSERT_FALSE(report.ok());
  EXPECT_NE(report.status().message().find("exited with 1"), std::string::npos) << report.status();
}

// The check itself must be able to fail.
TEST(LedgerCrashTest, ALostTransferIsNoticed) {
  const std::string directory = ::testing::TempDir() + "/noticed" + std::to_string(getpid());
  CrashDrill drill(kProgram, directory, /*clients=*/2, /*seed=*/7);
  ASSERT_TRUE(drill.Round().ok());
  absl::StatusOr<std::unique_ptr<Ledger>> ledger = Ledger::Open(directory, LedgerOptions());
  ASSERT_TRUE(ledger.ok()) << ledger.status();
  // A transfer that no worker asked for.
  ASSERT_TRUE((*ledger)->Commit({1, 2, 1, /*client=*/0, /*request=*/1'000'000}).ok());
  ASSERT_TRUE((*ledger)->Close().ok());
  ledger->reset();
  EXPECT_TRUE(absl::IsDataLoss(drill.Round().status()));
}

}  // namespace
}  // namespace ledger
