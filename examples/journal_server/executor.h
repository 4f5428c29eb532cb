// SPDX-License-Identifier: Apache-2.0
// Runs the requests of clients on the store, and journals what they do.
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_EXECUTOR_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_EXECUTOR_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "examples/journal_server/command.h"
#include "examples/journal_server/store.h"
#include "seawall/types.h"

namespace journal_server {

// Where records go.
class JournalSink {
 public:
  struct Result {
    enum class Code {
      kAppended,
      kBusy,     // the disk is behind: try again when it has caught up
      kRefused,  // no space on disk, or the record is too long: nothing was appended
      kFailed,   // the journal failed for good
    };
    Code code = Code::kAppended;
    std::string message;  // for kRefused the error to reply, for kFailed why
  };

  virtual ~JournalSink() = default;
  // The LSN of the record that Append() takes next, or of the last one plus one.
  virtual seawall::Lsn next_lsn() const = 0;
  virtual Result Append(std::string_view record) = 0;
};

// What a client has begun and not finished.
struct Session {
  bool in_multi = false;
  bool multi_failed = false;  // a command was refused: EXEC will be
  std::vector<Words> queued;
  size_t queued_bytes = 0;
};

// Thread-compatible.
class Executor {
 public:
  enum class Outcome {
    kReplied,
    kBusy,   // nothing happened: run the same request again later
    kClose,  // replied; the client is to go when it has the reply
  };

  // All outlive this. `now_ms` tells milliseconds since 1970.
  Executor(Store* store, JournalSink* journal, Host* host, absl::AnyInvocable<int64_t()> now_ms);

  // `words` is not empty. The reply is appended to `*reply`. It may be sent when all records that
  // the journal then has are on stable storage: not only those that the request made, for a reply
  // tells what it saw of others'. Otherwise a client could see, and act upon, what a power loss
  // takes back.
  Outcome Run(Words& words, Session* session, std::string* reply);

  // Deletes up to `limit` keys that have expired. kBusy as in Run().
  Outcome DeleteExpired(int limit);

  uint64_t commands() const { return commands_; }
  uint64_t expired_keys() const { return expired_keys_; }

 private:
  // One record's worth; 0 `*deleted` if the journal did not take it.
  Outcome DeleteSomeExpired(int64_t now_ms, int limit, int* deleted);
  Outcome RunOne(const Command& command, Words& words, std::string* reply);
  Outcome RunExec(Session* session, std::string* reply);
  // Journals what the transaction did, or takes it back and replies why instead of what was
  // replied behind `reply_begin`.
  Outcome Commit(Transaction* transaction, size_t reply_begin, std::string* reply);
  void Queue(Words& words, Session* session, std::string* reply);

  Store* const store_;
  JournalSink* const journal_;
  Host* const host_;
  absl::AnyInvocable<int64_t()> now_ms_;
  uint64_t commands_ = 0;
  uint64_t expired_keys_ = 0;
};

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_EXECUTOR_H_
