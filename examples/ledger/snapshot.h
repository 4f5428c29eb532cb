// SPDX-License-Identifier: Apache-2.0
// The snapshot: a ledger's state as of one LSN, in a file that is replaced as a whole.
//
// DIRECTORY/snapshot is 8-byte little-endian numbers:
//
//   magic, version, lsn, total, number of accounts, number of clients,
//   a balance per account, client and last request per client, CRC-32C of all before
#ifndef SEAWALL_EXAMPLES_LEDGER_SNAPSHOT_H_
#define SEAWALL_EXAMPLES_LEDGER_SNAPSHOT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/ledger/state.h"
#include "seawall/file_system.h"

namespace ledger {

std::string SnapshotPath(const std::string& directory);

// Replaces the snapshot. Durable when it returns OK; after a failure or a crash, the snapshot is
// the old or the new one.
absl::Status WriteSnapshot(seawall::FileSystem* fs, const std::string& directory,
                           const State& state);

// NotFound: there is none. DataLoss: it is damaged.
absl::StatusOr<State> ReadSnapshot(seawall::FileSystem* fs, const std::string& directory);

// "<what> <path>: <strerror>"
absl::Status IoError(int error, const std::string& what, const std::string& path);

}  // namespace ledger

#endif  // SEAWALL_EXAMPLES_LEDGER_SNAPSHOT_H_
