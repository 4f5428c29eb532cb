// SPDX-License-Identifier: Apache-2.0
// A small embedded database of account balances: an example of what a write-ahead log is for.
//
//   auto ledger = ledger::Ledger::Open("/var/lib/bank", ledger::LedgerOptions());
//   ...
//   absl::StatusOr<seawall::Lsn> done = (*ledger)->Commit({from, to, amount, client, request});
//   if (done.ok()) // no crash of process, kernel or power undoes the transfer, nor half of it
//
// Balances live in memory. A transfer is journaled as an atomic batch of two records, a debit and
// a credit, and is acknowledged when they are on stable storage. Opening reads the last snapshot
// and redoes the log behind it; a checkpoint writes a new snapshot and trims the log.
//
// In DIRECTORY: log/ (a Seawall log), snapshot, and for a moment snapshot.new.
#ifndef SEAWALL_EXAMPLES_LEDGER_LEDGER_H_
#define SEAWALL_EXAMPLES_LEDGER_LEDGER_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/ledger/state.h"
#include "seawall/log.h"

namespace ledger {

struct LedgerOptions {
  // For a ledger that is created; an existing one keeps what it has. At least 2 accounts; all
  // balances together must fit 63 bits.
  uint32_t accounts = 100;
  int64_t opening_balance = 1'000'000;
  // The journal. Snapshots, too, go through log.file_system.
  seawall::Options log;
};

// Thread-safe, but for Close() and the destructor, which are the last calls.
//
// After an error of the log, which latches, memory may be ahead of the disk: from then on all
// functions that commit or show balances return that error. Reopen the ledger to go on.
class Ledger {
 public:
  // Opens the ledger in `directory`, whose parent must exist, or creates it. One process at a
  // time: the log's lock sees to that.
  //   DataLoss  snapshot or log is damaged or missing, or they do not fit together
  //   other     as Log::Open
  static absl::StatusOr<std::unique_ptr<Ledger>> Open(const std::string& directory,
                                                      const LedgerOptions& options);

  // Commits a transfer. When it returns OK the transfer is on stable storage; the value is an LSN
  // that covers it. A request that was committed before is not done again: OK. An error leaves
  // open whether it was committed, but for these, with which nothing has happened:
  //   InvalidArgument, OutOfRange   an amount below 1, no such account, from == to, request 0
  //   FailedPrecondition            the account would be overdrawn
  //   ResourceExhausted             no space
  absl::StatusOr<seawall::Lsn> Commit(const Transfer& transfer);

  // A consistent copy of everything, of which no crash can take anything back.
  absl::StatusOr<State> Read();

  // Writes a snapshot and gives up the log that it makes unnecessary. Transfers go on meanwhile.
  // After an error the ledger goes on with its old snapshot, or the new one, and the log it needs.
  absl::Status Checkpoint();

  // Makes everything durable and marks the log as cleanly closed.
  absl::Status Close();

  // How it was opened.
  const seawall::RecoveryReport& recovery_report() const { return log_->recovery_report(); }
  seawall::Lsn snapshot_lsn() const { return snapshot_lsn_; }  // the snapshot it began with
  uint64_t redone_records() const { return redone_records_; }  // and what was redone on top

  seawall::Stats log_stats() const { return log_->stats(); }

 private:
  Ledger(seawall::FileSystem* fs, const std::string& directory, std::unique_ptr<seawall::Log> log)
      : fs_(fs), directory_(directory), log_(std::move(log)) {}

  absl::Status Recover(const LedgerOptions& options);
  absl::Status Redo();
  absl::StatusOr<seawall::Lsn> AppendAndApply(const Transfer& transfer);
  State CopyState();
  absl::Status WaitDurable(seawall::Lsn lsn);

  seawall::FileSystem* const fs_;
  const std::string directory_;
  const std::unique_ptr<seawall::Log> log_;
  seawall::Lsn snapshot_lsn_ = 0;
  uint64_t redone_records_ = 0;

  std::mutex checkpoint_mutex_;  // one checkpoint at a time; taken before mutex_
  // Held while a transfer is decided, appended and applied, never during I/O of a wait. So the
  // order in memory is the order of LSNs, and redo, which goes by LSNs, meets the same balances
  // and leads to the same state.
  std::mutex mutex_;
  State state_;  // guarded by mutex_
};

}  // namespace ledger

#endif  // SEAWALL_EXAMPLES_LEDGER_LEDGER_H_
