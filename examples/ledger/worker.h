// SPDX-License-Identifier: Apache-2.0
// A process that commits transfers from several threads until it is killed, and tells its parent
// how far it has come.
#ifndef SEAWALL_EXAMPLES_LEDGER_WORKER_H_
#define SEAWALL_EXAMPLES_LEDGER_WORKER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "examples/ledger/ledger.h"

namespace ledger {

// Small segments, so that a short run sees rollovers and trims.
LedgerOptions DrillOptions();

// What a client asks for with its n-th request: random, and the same every time, so that the
// balances that must be there after a crash can be computed from request numbers alone.
Transfer TransferOf(uint32_t client, uint64_t request);

// Opens the ledger and runs `clients` threads. Each goes on behind the last request that the
// ledger has of it, makes a checkpoint now and then, and writes lines to the file descriptor
// `out`, each with one write(2), so that a kill leaves whole lines:
//
//   begin CLIENT REQUEST      before it commits
//   ack CLIENT REQUEST LSN    after it was told that the transfer is durable
//
// Returns only with an error.
absl::Status RunWorker(const std::string& directory, uint32_t clients, int out);

}  // namespace ledger

#endif  // SEAWALL_EXAMPLES_LEDGER_WORKER_H_
