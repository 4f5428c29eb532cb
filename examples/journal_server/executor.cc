// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/executor.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "examples/journal_server/reply.h"

namespace journal_server {
namespace {

// A transaction waits in memory until EXEC.
constexpr size_t kMaxQueuedBytes = 8 << 20;
// Of keys that expire: so much in one record, if it is more than one.
constexpr size_t kExpiryRecordBytes = 64 << 10;

bool Is(const Command& command, std::string_view name) { return command.name == name; }

std::string UnknownCommand(const std::string& name) {
  return absl::StrCat("ERR unknown command '", name.substr(0, 64), "'");
}

}  // namespace

Executor::Executor(Store* store, JournalSink* journal, Host* host,
                   absl::AnyInvocable<int64_t()> now_ms)
    : store_(store), journal_(journal), host_(host), now_ms_(std::move(now_ms)) {}

Executor::Outcome Executor::Run(Words& words, Session* session, std::string* reply) {
  ++commands_;
  const Command* command = FindCommand(words[0]);
  if (command == nullptr || !ArityFits(*command, words.size())) {
    if (session->in_multi) session->multi_failed = true;
    AddError(command == nullptr ? UnknownCommand(words[0])
                                : absl::StrCat("ERR wrong number of arguments for '",
                                               std::string(command->name), "' command"),
             reply);
    return Outcome::kReplied;
  }
  if (Is(*command, "quit")) {
    AddStatus("OK", reply);
    return Outcome::kClose;
  }
  if (Is(*command, "exec")) return RunExec(session, reply);
  if (Is(*command, "multi")) {
    if (session->in_multi) {
      AddError("ERR MULTI calls can not be nested", reply);
      return Outcome::kReplied;
    }
    session->in_multi = true;
    AddStatus("OK", reply);
    return Outcome::kReplied;
  }
  if (Is(*command, "discard")) {
    if (!session->in_multi) {
      AddError("ERR DISCARD without MULTI", reply);
      return Outcome::kReplied;
    }
    *session = Session();
    AddStatus("OK", reply);
    return Outcome::kReplied;
  }
  if (session->in_multi) {
    Queue(words, session, reply);
    return Outcome::kReplied;
  }
  return RunOne(*command, words, reply);
}

void Executor::Queue(Words& words, Session* session, std::string* reply) {
  for (const std::string& word : words) session->queued_bytes += word.size() + sizeof(word);
  if (session->queued_bytes > kMaxQueuedBytes) {
    session->multi_failed = true;
    session->queued.clear();
    AddError(absl::StrCat("ERR transaction longer than ", kMaxQueuedBytes, " bytes"), reply);
    return;
  }
  session->queued.push_back(words);
  AddStatus("QUEUED", reply);
}

Executor::Outcome Executor::RunOne(const Command& command, Words& words, std::string* reply) {
  const size_t reply_begin = reply->size();
  Transaction transaction(store_, journal_->next_lsn(), now_ms_());
  Context context{words, &transaction, host_, reply};
  command.run(context);
  return Commit(&transaction, reply_begin, reply);
}

Executor::Outcome Executor::RunExec(Session* session, std::string* reply) {
  if (!session->in_multi) {
    AddError("ERR EXEC without MULTI", reply);
    return Outcome::kReplied;
  }
  if (session->multi_failed) {
    *session = Session();
    AddError("EXECABORT Transaction discarded because of previous errors.", reply);
    return Outcome::kReplied;
  }
  const size_t reply_begin = reply->size();
  Transaction transaction(store_, journal_->next_lsn(), now_ms_());
  AddArray(session->queued.size(), reply);
  for (const Words& words : session->queued) {
    Context context{words, &transaction, host_, reply};
    FindCommand(words[0])->run(context);
    if (reply->size() - reply_begin <= kMaxReplyBytes) continue;
    transaction.Rollback();
    reply->resize(reply_begin);
    *session = Session();
    AddError(absl::StrCat("EXECABORT not done: replies longer than ", kMaxReplyBytes, " bytes"),
             reply);
    return Outcome::kReplied;
  }
  const Outcome outcome = Commit(&transaction, reply_begin, reply);
  if (outcome != Outcome::kBusy) *session = Session();
  return outcome;
}

Executor::Outcome Executor::Commit(Transaction* transaction, size_t reply_begin,
                                   std::string* reply) {
  if (transaction->record().empty()) return Outcome::kReplied;
  if (transaction->too_long()) {
    transaction->Rollback();
    reply->resize(reply_begin);
    AddError(absl::StrCat("ERR not done: a record longer than ", kMaxRecordBytes, " bytes"), reply);
    return Outcome::kReplied;
  }
  const JournalSink::Result result = journal_->Append(transaction->record());
  if (result.code == JournalSink::Result::Code::kAppended) return Outcome::kReplied;
  transaction->Rollback();
  reply->resize(reply_begin);
  switch (result.code) {
    case JournalSink::Result::Code::kBusy:
      --commands_;
      return Outcome::kBusy;
    case JournalSink::Result::Code::kRefused:
      AddError(result.message, reply);
      return Outcome::kReplied;
    default:
      AddError(absl::StrCat("IOERR the journal failed: ", result.message), reply);
      return Outcome::kClose;
  }
}

Executor::Outcome Executor::DeleteExpired(int limit) {
  const int64_t now_ms = now_ms_();
  while (limit > 0 && store_->FirstExpired(now_ms) != nullptr) {
    int deleted = 0;
    const Outcome outcome = DeleteSomeExpired(now_ms, limit, &deleted);
    if (deleted == 0) return outcome;
    limit -= deleted;
  }
  return Outcome::kReplied;
}

Executor::Outcome Executor::DeleteSomeExpired(int64_t now_ms, int limit, int* deleted) {
  *deleted = 0;
  Transaction transaction(store_, journal_->next_lsn(), now_ms);
  int applied = 0;
  for (; applied < limit; ++applied) {
    const std::string* expired = store_->FirstExpired(now_ms);
    if (expired == nullptr) break;
    // A record that the journal does not take would be tried again for ever.
    const size_t bytes = transaction.record().size() + expired->size();
    if (applied > 0 && bytes > kExpiryRecordBytes) break;
    // The name goes away with the key.
    const std::string key = *expired;
    transaction.Apply({EffectKind::kDelete, key, {}, 0});
  }
  std::string ignored;
  const Outcome outcome = Commit(&transaction, 0, &ignored);
  if (outcome != Outcome::kReplied || !ignored.empty()) return outcome;
  *deleted = applied;
  expired_keys_ += static_cast<uint64_t>(applied);
  return outcome;
}

}  // namespace journal_server
