// SPDX-License-Identifier: Apache-2.0
// The ledger as a program: commits until it is killed, or kills and checks. See Usage().

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "examples/ledger/crash_drill.h"
#include "examples/ledger/worker.h"

ABSL_FLAG(uint32_t, clients, 8, "threads that commit at once");
ABSL_FLAG(int, rounds, 10, "crash: how many");
ABSL_FLAG(uint64_t, seed, 0, "crash: when to kill; 0 chooses one and prints it");

namespace ledger {
namespace {

constexpr char kUsage[] =
    "A small database of account balances on top of a write-ahead log.\n\n"
    "  ledger_main crash DIR [--rounds=10] [--clients=8] [--seed=N]\n"
    "      Runs `work` in a process of its own, kills it (SIGKILL) at a random point, opens the\n"
    "      ledger again and checks it; so many times. DIR must not exist. Exit status: 0 when\n"
    "      every round was as promised.\n"
    "  ledger_main work DIR [--clients=8]\n"
    "      Commits transfers until it is killed; says on stdout what it begins and what is "
    "durable.\n"
    "  ledger_main show DIR\n"
    "      Opens the ledger, recovers it if need be, and prints a summary.";

// The same for one or many: "kills" is 1 in most rounds.
void PrintRound(int round, const RoundReport& report) {
  std::string log = std::string(seawall::RecoveryVerdictName(report.log.verdict));
  if (report.log.discarded_bytes > 0) absl::StrAppend(&log, ", ", report.log.discarded_bytes, " B");
  std::cout << absl::StrFormat("%5d  %5d  %7d  %12d  %9d  %9d  %10d  %-18s  OK\n", round,
                               report.kills, report.begun, report.acknowledged, report.recovered,
                               report.discarded, report.redone_records, log)
            << std::flush;
}

absl::Status Crash(const std::string& directory) {
  if (access(directory.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(absl::StrCat(directory, " exists"));
  }
  uint64_t seed = absl::GetFlag(FLAGS_seed);
  while (seed == 0) seed = std::random_device()();
  const int rounds = absl::GetFlag(FLAGS_rounds);
  std::cout << "seed " << seed << "\n"
            << "round  kills    begun  acknowledged  recovered  discarded      redone  "
               "log found           verdict\n";
  CrashDrill drill("/proc/self/exe", directory, absl::GetFlag(FLAGS_clients), seed);
  for (int round = 1; round <= rounds; ++round) {
    absl::StatusOr<RoundReport> report = drill.Round();
    if (!report.ok()) {
      std::cout << absl::StrFormat("%5d  ", round) << "FAILED\n" << std::flush;
      return report.status();
    }
    PrintRound(round, *report);
  }
  std::cout << drill.transfers() << " transfers committed; the balances add up to " << drill.total()
            << ", as at the beginning\n";
  return absl::OkStatus();
}

absl::Status Show(const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Ledger>> ledger = Ledger::Open(directory, DrillOptions());
  if (!ledger.ok()) return ledger.status();
  absl::StatusOr<State> state = (*ledger)->Read();
  if (!state.ok()) return state.status();
  std::cout << "snapshot: up to record " << (*ledger)->snapshot_lsn() << "\n"
            << "redone on top: " << (*ledger)->redone_records() << " records\n"
            << "log: " << (*ledger)->recovery_report().ToString() << "\n"
            << state->balances.size() << " accounts, together " << state->total << "\n";
  for (const auto& [client, request] : state->last_request) {
    std::cout << "client " << client << ": " << request << " transfers\n";
  }
  return (*ledger)->Close();
}

int Main(int argc, char** argv) {
  absl::SetProgramUsageMessage(kUsage);
  const std::vector<char*> words = absl::ParseCommandLine(argc, argv);
  // `bazel run` starts us elsewhere; DIR is meant from where the user is.
  if (const char* directory = std::getenv("BUILD_WORKING_DIRECTORY")) {
    if (chdir(directory) != 0) std::perror(directory);
  }
  const std::string verb = words.size() == 3 ? words[1] : "";
  absl::Status status;
  if (verb == "work") {
    status = RunWorker(words[2], absl::GetFlag(FLAGS_clients), STDOUT_FILENO);
  } else if (verb == "crash") {
    status = Crash(words[2]);
  } else if (verb == "show") {
    status = Show(words[2]);
  } else {
    std::cerr << kUsage << "\n";
    return 2;
  }
  if (!status.ok()) std::cerr << "ledger_main: " << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}

}  // namespace
}  // namespace ledger

int main(int argc, char** argv) { return ledger::Main(argc, argv); }
