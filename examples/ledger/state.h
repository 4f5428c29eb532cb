// SPDX-License-Identifier: Apache-2.0
// What a ledger is about: transfers, and the state that they lead to.
#ifndef SEAWALL_EXAMPLES_LEDGER_STATE_H_
#define SEAWALL_EXAMPLES_LEDGER_STATE_H_

#include <cstdint>
#include <map>
#include <vector>

#include "seawall/types.h"

namespace ledger {

// `amount` from one account to another.
struct Transfer {
  uint32_t from = 0;
  uint32_t to = 0;
  int64_t amount = 0;
  // Who asks, and the number of the request: 1, 2, ... per client, which sends the next one when
  // it has the answer. A client that does not know whether a transfer was committed (the process
  // was killed) asks again with the same number; it is done once.
  uint32_t client = 0;
  uint64_t request = 0;
};

struct State {
  // The effects of all records up to here are in, and of none behind.
  seawall::Lsn lsn = 0;
  std::vector<int64_t> balances;
  // What the balances add up to, from the ledger's creation on: a transfer does not change it.
  int64_t total = 0;
  // By client: the last request that was committed.
  std::map<uint32_t, uint64_t> last_request;
};

}  // namespace ledger

#endif  // SEAWALL_EXAMPLES_LEDGER_STATE_H_
