// SPDX-License-Identifier: Apache-2.0
// The records of the log. A transfer is an atomic batch of two of them, text for people who dump:
//
//   debit account=17 amount=250 client=3 request=41
//   credit account=42 amount=250 client=3 request=41
#ifndef SEAWALL_EXAMPLES_LEDGER_JOURNAL_H_
#define SEAWALL_EXAMPLES_LEDGER_JOURNAL_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/ledger/state.h"

namespace ledger {

struct JournalRecord {
  enum class Kind { kDebit, kCredit };

  Kind kind = Kind::kDebit;
  uint32_t account = 0;
  int64_t amount = 0;
  uint32_t client = 0;
  uint64_t request = 0;
};

JournalRecord DebitOf(const Transfer& transfer);
JournalRecord CreditOf(const Transfer& transfer);

std::string EncodeRecord(const JournalRecord& record);

// InvalidArgument if this is no record that EncodeRecord() makes.
absl::StatusOr<JournalRecord> DecodeRecord(std::string_view payload);

// Does what the record says; `state` is then at `lsn`. The one way in which balances change, for
// commits and for redo, so that both lead to the same state. OutOfRange: no such account.
absl::Status ApplyRecord(const JournalRecord& record, seawall::Lsn lsn, State* state);

}  // namespace ledger

#endif  // SEAWALL_EXAMPLES_LEDGER_JOURNAL_H_
