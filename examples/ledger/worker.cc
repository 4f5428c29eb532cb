// SPDX-License-Identifier: Apache-2.0
#include "examples/ledger/worker.h"

#include <unistd.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace ledger {
namespace {

constexpr uint64_t kRequestsPerCheckpoint = 50;
constexpr int64_t kMaxAmount = 100;

// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

absl::Status Say(int out, const std::string& line) {
  // Up to PIPE_BUF bytes a write to a pipe is atomic: a line is whole, and does not mix with those
  // of other threads.
  ssize_t written;
  do {
    written = write(out, line.data(), line.size());
  } while (written < 0 && errno == EINTR);
  if (written != static_cast<ssize_t>(line.size())) {
    return absl::UnavailableError("nobody listens to the worker");
  }
  return absl::OkStatus();
}

absl::Status RunClient(Ledger* ledger, uint32_t client, uint64_t request, int out) {
  while (true) {
    absl::Status said = Say(out, absl::StrCat("begin ", client, " ", request, "\n"));
    if (!said.ok()) return said;
    absl::StatusOr<seawall::Lsn> lsn = ledger->Commit(TransferOf(client, request));
    if (!lsn.ok()) return lsn.status();
    said = Say(out, absl::StrCat("ack ", client, " ", request, " ", *lsn, "\n"));
    if (!said.ok()) return said;
    if (request % kRequestsPerCheckpoint == 0) {
      absl::Status checkpointed = ledger->Checkpoint();
      if (!checkpointed.ok()) return checkpointed;
    }
    ++request;
  }
}

}  // namespace

LedgerOptions DrillOptions() {
  LedgerOptions options;
  options.log.segment_bytes = uint64_t{64} << 10;
  options.log.buffer_bytes = uint64_t{32} << 10;
  options.log.max_record_bytes = 1024;
  return options;
}

Transfer TransferOf(uint32_t client, uint64_t request) {
  const uint64_t random = Mix(Mix(client) + request);
  const uint32_t accounts = DrillOptions().accounts;
  Transfer transfer;
  transfer.from = static_cast<uint32_t>(random % accounts);
  transfer.to =
      (transfer.from + 1 + static_cast<uint32_t>((random >> 20) % (accounts - 1))) % accounts;
  transfer.amount = 1 + static_cast<int64_t>((random >> 40) % kMaxAmount);
  transfer.client = client;
  transfer.request = request;
  return transfer;
}

absl::Status RunWorker(const std::string& directory, uint32_t clients, int out) {
  absl::StatusOr<std::unique_ptr<Ledger>> ledger = Ledger::Open(directory, DrillOptions());
  if (!ledger.ok()) return ledger.status();
  absl::StatusOr<State> state = (*ledger)->Read();
  if (!state.ok()) return state.status();

  std::mutex mutex;
  std::string first_error;  // guarded by mutex
  std::vector<std::thread> threads;
  for (uint32_t client = 0; client < clients; ++client) {
    const uint64_t next_request = state->last_request[client] + 1;
    threads.emplace_back([&, client, next_request] {
      absl::Status status = RunClient(ledger->get(), client, next_request, out);
      std::lock_guard<std::mutex> lock(mutex);
      if (first_error.empty()) first_error = status.ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return absl::InternalError(first_error);
}

}  // namespace ledger
