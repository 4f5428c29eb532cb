// SPDX-License-Identifier: Apache-2.0
// Kills processes that commit to a ledger, with SIGKILL at random points, and checks what a new
// process finds there.
#ifndef SEAWALL_EXAMPLES_LEDGER_CRASH_DRILL_H_
#define SEAWALL_EXAMPLES_LEDGER_CRASH_DRILL_H_

#include <cstdint>
#include <map>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/ledger/ledger.h"

namespace ledger {

// What a worker said (worker.h).
struct WorkerWords {
  uint64_t begun = 0;
  uint64_t acknowledged = 0;
  // By client: the highest request.
  std::map<uint32_t, uint64_t> last_begun;
  std::map<uint32_t, uint64_t> last_acknowledged;
  seawall::Lsn last_acknowledged_lsn = 0;

  // InvalidArgument: not a worker's line.
  absl::Status Hear(const std::string& line);
};

// What one round saw. begun == recovered + discarded: transfers of this round.
struct RoundReport {
  int kills = 0;
  uint64_t begun = 0;
  uint64_t acknowledged = 0;
  uint64_t recovered = 0;
  uint64_t discarded = 0;         // begun, never acknowledged, not there afterwards
  uint64_t snapshot_records = 0;  // the snapshot covers so many records of the log
  uint64_t redone_records = 0;
  seawall::RecoveryReport log;
};

class CrashDrill {
 public:
  // `program` is ledger_main. `directory` does not exist yet; its parent does.
  CrashDrill(const std::string& program, const std::string& directory, uint32_t clients,
             uint64_t seed);

  // Lets a worker commit, kills it after a random number of acknowledgements; in every third round
  // kills a second one while it opens what the first one left; opens the ledger and checks that
  //   - every acknowledged transfer is there, and nothing that was not asked for,
  //   - of each client a prefix of its requests is there, each whole and once: every balance is
  //     what these transfers, and no others, lead to,
  //   - the balances add up to what they did at the beginning.
  // An error says what was not so.
  absl::StatusOr<RoundReport> Round();

  // Sum of balances and transfers committed, as of the last check.
  int64_t total() const { return state_.total; }
  uint64_t transfers() const;

 private:
  // Starts a worker, kills it so long after so many acknowledgements.
  absl::Status RunAndKill(uint64_t acknowledgements, int pause_micros, WorkerWords* words) const;
  // Compares what a round left with what the workers said.
  absl::Status Check(const WorkerWords& words, const State& found);

  const std::string program_;
  const std::string directory_;
  const uint32_t clients_;
  std::mt19937_64 random_;
  int rounds_ = 0;
  State state_;  // what the last check found
};

}  // namespace ledger

#endif  // SEAWALL_EXAMPLES_LEDGER_CRASH_DRILL_H_
