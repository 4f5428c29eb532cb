// SPDX-License-Identifier: Apache-2.0
#include "examples/ledger/ledger.h"

#include <array>
#include <cerrno>
#include <limits>
#include <numeric>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "examples/ledger/journal.h"
#include "examples/ledger/snapshot.h"

namespace ledger {
namespace {

using seawall::FileSystem;
using seawall::Lsn;

absl::Status CheckOptions(const LedgerOptions& options) {
  if (options.accounts < 2 || options.opening_balance < 0 ||
      options.opening_balance > std::numeric_limits<int64_t>::max() / options.accounts) {
    return absl::InvalidArgumentError(absl::StrCat("a ledger of ", options.accounts,
                                                   " accounts with ", options.opening_balance,
                                                   " each: expected 2 or more, 0 or more"));
  }
  return absl::OkStatus();
}

absl::Status CheckTransfer(const Transfer& transfer, size_t accounts) {
  if (transfer.amount <= 0 || transfer.from == transfer.to || transfer.request == 0) {
    return absl::InvalidArgumentError(absl::StrCat("request ", transfer.request, ": transfer ",
                                                   transfer.amount, " from account ", transfer.from,
                                                   " to ", transfer.to));
  }
  if (transfer.from >= accounts || transfer.to >= accounts) {
    return absl::OutOfRangeError(absl::StrCat("transfer from account ", transfer.from, " to ",
                                              transfer.to, ": expected 0 to ", accounts - 1));
  }
  return absl::OkStatus();
}

std::string ParentOf(const std::string& directory) {
  const size_t end = directory.find_last_not_of('/');
  if (end == std::string::npos) return "/";
  const size_t slash = directory.rfind('/', end);
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : directory.substr(0, slash);
}

// Makes the directory if need be, and its name durable: also that of one which exists, because a
// process that was killed may have made it and got no further.
absl::Status MakeDirectory(FileSystem* fs, const std::string& directory) {
  int error = fs->MakeDirectory(directory);
  if (error != 0 && error != EEXIST) return IoError(error, "mkdir", directory);
  error = fs->SyncDirectory(ParentOf(directory));
  if (error != 0) return IoError(error, "fsync directory", ParentOf(directory));
  return absl::OkStatus();
}

State NewState(const LedgerOptions& options) {
  State state;
  state.balances.assign(options.accounts, options.opening_balance);
  state.total = options.opening_balance * options.accounts;
  return state;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Ledger>> Ledger::Open(const std::string& directory,
                                                     const LedgerOptions& options) {
  absl::Status status = CheckOptions(options);
  if (!status.ok()) return status;
  FileSystem* fs =
      options.log.file_system == nullptr ? FileSystem::Posix() : options.log.file_system;
  status = MakeDirectory(fs, directory);
  if (!status.ok()) return status;

  // Where there is a snapshot there must be a log: it is not to be replaced by an empty one.
  seawall::FileInfo info;
  const int error = fs->Stat(SnapshotPath(directory), &info);
  if (error != 0 && error != ENOENT) return IoError(error, "stat", SnapshotPath(directory));
  seawall::Options log_options = options.log;
  log_options.create_if_missing = error == ENOENT;

  absl::StatusOr<std::unique_ptr<seawall::Log>> log =
      seawall::Log::Open(directory + "/log", log_options);
  if (!log.ok()) return log.status();
  // From here on we have the log's lock, which guards the snapshot, too.
  auto ledger = std::unique_ptr<Ledger>(new Ledger(fs, directory, std::move(*log)));
  status = ledger->Recover(options);
  if (!status.ok()) return status;
  return ledger;
}

absl::Status Ledger::Recover(const LedgerOptions& options) {
  absl::StatusOr<State> snapshot = ReadSnapshot(fs_, directory_);
  if (absl::IsNotFound(snapshot.status())) {
    // The first snapshot holds the opening balances, and no transfer is journaled before it is
    // durable.
    if (log_->appended_lsn() != 0) {
      return absl::DataLossError(absl::StrCat(SnapshotPath(directory_),
                                              " is missing, and the log has records up to ",
                                              log_->appended_lsn()));
    }
    snapshot = NewState(options);
    absl::Status written = WriteSnapshot(fs_, directory_, *snapshot);
    if (!written.ok()) return written;
  }
  if (!snapshot.ok()) return snapshot.status();
  state_ = *std::move(snapshot);
  snapshot_lsn_ = state_.lsn;
  return Redo();
}

absl::Status Ledger::Redo() {
  if (snapshot_lsn_ + 1 < log_->first_lsn() || snapshot_lsn_ > log_->appended_lsn()) {
    return absl::DataLossError(absl::StrCat(SnapshotPath(directory_), " goes up to record ",
                                            snapshot_lsn_, ", and the log has ", log_->first_lsn(),
                                            " to ", log_->appended_lsn()));
  }
  absl::StatusOr<std::unique_ptr<seawall::Reader>> reader = log_->NewReader(snapshot_lsn_ + 1);
  if (!reader.ok()) return reader.status();
  seawall::Record record;
  while ((*reader)->Next(&record)) {
    absl::StatusOr<JournalRecord> journaled = DecodeRecord(record.payload);
    absl::Status status =
        journaled.ok() ? ApplyRecord(*journaled, record.lsn, &state_) : journaled.status();
    if (!status.ok()) {
      return absl::DataLossError(absl::StrCat("record ", record.lsn, ": ", status.message()));
    }
    ++redone_records_;
  }
  if (!(*reader)->status().ok()) return (*reader)->status();
  const int64_t sum = std::accumulate(state_.balances.begin(), state_.balances.end(), int64_t{0});
  if (sum != state_.total) {
    return absl::DataLossError(absl::StrCat("after redo up to record ", state_.lsn,
                                            " the balances add up to ", sum, ", expected ",
                                            state_.total));
  }
  return absl::OkStatus();
}

absl::StatusOr<Lsn> Ledger::Commit(const Transfer& transfer) {
  absl::StatusOr<Lsn> lsn = AppendAndApply(transfer);
  if (!lsn.ok()) return lsn;
  // Without the mutex, so that others append meanwhile: one sync then commits all of them. They
  // may build on this transfer before it is durable, because their LSNs are higher: no crash keeps
  // them and loses this one ("early lock release", DeWitt et al., SIGMOD 1984).
  absl::Status durable = WaitDurable(*lsn);
  if (!durable.ok()) return durable;
  return lsn;
}

absl::StatusOr<Lsn> Ledger::AppendAndApply(const Transfer& transfer) {
  std::lock_guard<std::mutex> lock(mutex_);
  absl::Status valid = CheckTransfer(transfer, state_.balances.size());
  if (!valid.ok()) return valid;
  // It was committed, or is being committed by another thread: at or before the present LSN.
  const auto last = state_.last_request.find(transfer.client);
  if (last != state_.last_request.end() && transfer.request <= last->second) return state_.lsn;
  if (state_.balances[transfer.from] < transfer.amount) {
    return absl::FailedPreconditionError(absl::StrCat("account ", transfer.from, " has ",
                                                      state_.balances[transfer.from],
                                                      ", expected at least ", transfer.amount));
  }
  const JournalRecord debit = DebitOf(transfer);
  const JournalRecord credit = CreditOf(transfer);
  const std::string debit_bytes = EncodeRecord(debit);
  const std::string credit_bytes = EncodeRecord(credit);
  const std::array<std::string_view, 2> batch = {debit_bytes, credit_bytes};
  absl::StatusOr<seawall::LsnRange> lsns = log_->AppendBatch(batch);
  if (!lsns.ok()) return lsns.status();
  absl::Status applied = ApplyRecord(debit, lsns->first, &state_);
  if (applied.ok()) applied = ApplyRecord(credit, lsns->last, &state_);
  if (!applied.ok()) return applied;
  return lsns->last;
}

absl::StatusOr<State> Ledger::Read() {
  State copy = CopyState();
  absl::Status durable = WaitDurable(copy.lsn);
  if (!durable.ok()) return durable;
  return copy;
}

absl::Status Ledger::Checkpoint() {
  std::lock_guard<std::mutex> one_at_a_time(checkpoint_mutex_);
  const State copy = CopyState();
  // A snapshot must never be ahead of the log: after a crash the log would end before it, and give
  // LSNs that the snapshot includes to other transfers.
  absl::Status status = WaitDurable(copy.lsn);
  if (status.ok()) status = WriteSnapshot(fs_, directory_, copy);
  // And the log is needed until the snapshot is durable.
  if (status.ok()) status = log_->TrimBefore(copy.lsn + 1);
  return status;
}

absl::Status Ledger::Close() { return log_->Close(); }

State Ledger::CopyState() {
  std::lock_guard<std::mutex> lock(mutex_);
  return state_;
}

absl::Status Ledger::WaitDurable(Lsn lsn) {
  return lsn == 0 ? absl::OkStatus() : log_->WaitDurable(lsn);
}

}  // namespace ledger
