// SPDX-License-Identifier: Apache-2.0
#include "examples/ledger/journal.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace ledger {
namespace {

// "<name>=<number>"
template <typename Number>
bool ParseField(absl::string_view field, absl::string_view name, Number* number) {
  return absl::ConsumePrefix(&field, name) && absl::ConsumePrefix(&field, "=") &&
         absl::SimpleAtoi(field, number);
}

}  // namespace

JournalRecord DebitOf(const Transfer& transfer) {
  return {JournalRecord::Kind::kDebit, transfer.from, transfer.amount, transfer.client,
          transfer.request};
}

JournalRecord CreditOf(const Transfer& transfer) {
  return {JournalRecord::Kind::kCredit, transfer.to, transfer.amount, transfer.client,
          transfer.request};
}

std::string EncodeRecord(const JournalRecord& record) {
  return absl::StrCat(record.kind == JournalRecord::Kind::kDebit ? "debit" : "credit",
                      " account=", record.account, " amount=", record.amount,
                      " client=", record.client, " request=", record.request);
}

absl::StatusOr<JournalRecord> DecodeRecord(std::string_view payload) {
  // Abseil's string_view is std's, or its own type, as it was built.
  const absl::string_view text(payload.data(), payload.size());
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  JournalRecord record;
  if (words.size() != 5 || (words[0] != "debit" && words[0] != "credit") ||
      !ParseField(words[1], "account", &record.account) ||
      !ParseField(words[2], "amount", &record.amount) ||
      !ParseField(words[3], "client", &record.client) ||
      !ParseField(words[4], "request", &record.request) || record.amount <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("not a record of a ledger: \"", text, "\""));
  }
  record.kind = words[0] == "debit" ? JournalRecord::Kind::kDebit : JournalRecord::Kind::kCredit;
  return record;
}

absl::Status ApplyRecord(const JournalRecord& record, seawall::Lsn lsn, State* state) {
  if (record.account >= state->balances.size()) {
    return absl::OutOfRangeError(
        absl::StrCat("account ", record.account, ": expected 0 to ", state->balances.size() - 1));
  }
  if (record.kind == JournalRecord::Kind::kDebit) {
    state->balances[record.account] -= record.amount;
  } else {
    state->balances[record.account] += record.amount;
    state->last_request[record.client] = record.request;
  }
  state->lsn = lsn;
  return absl::OkStatus();
}

}  // namespace ledger
