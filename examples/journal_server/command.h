// SPDX-License-Identifier: Apache-2.0
// The commands: what they are called, what they take, and the functions that do them.
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_COMMAND_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_COMMAND_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "examples/journal_server/request_parser.h"
#include "examples/journal_server/transaction.h"

namespace journal_server {

// The most bytes of a string value: APPEND makes longer ones than a request can carry.
inline constexpr size_t kMaxStringBytes = size_t{16} << 20;
inline constexpr size_t kMaxRequestBytes = size_t{4} << 20;
// Of what may name a key more than once, MGET and EXEC.
inline constexpr size_t kMaxReplyBytes = size_t{64} << 20;

// What commands ask of the server that runs them.
class Host {
 public:
  virtual ~Host() = default;
  virtual std::string Info(std::string_view section) = 0;
  // Names and values of the parameters.
  virtual std::vector<std::pair<std::string, std::string>> Config() = 0;
  // Empty, or why not.
  virtual std::string StartSnapshot() = 0;
  virtual void Shutdown() = 0;
};

struct Context {
  const Words& words;  // the command's name and its arguments
  Transaction* transaction;
  Host* host;
  std::string* reply;

  size_t size() const { return words.size(); }
  const std::string& operator[](size_t i) const { return words[i]; }
};

struct Command {
  std::string_view name;  // lower case
  // How many words it takes, itself included; -N: N or more.
  int arity;
  bool writes;
  // Where keys are among the words: first, last (-1: to the end), step; all 0: none.
  int first_key;
  int last_key;
  int key_step;
  void (*run)(Context& context);
};

// By its name in any case; null if there is none. MULTI, EXEC, DISCARD and QUIT are here for
// COMMAND to list; the executor does them.
const Command* FindCommand(std::string_view name);
absl::Span<const Command> AllCommands();
bool ArityFits(const Command& command, size_t words);

// The tables of the files commands_*.cc.
absl::Span<const Command> StringCommands();
absl::Span<const Command> KeyCommands();
absl::Span<const Command> ListCommands();
absl::Span<const Command> ServerCommands();

// ---- What commands share.
inline constexpr std::string_view kWrongType =
    "WRONGTYPE Operation against a key holding the wrong kind of value";
inline constexpr std::string_view kNotAnInteger = "ERR value is not an integer or out of range";
inline constexpr std::string_view kSyntax = "ERR syntax error";

// As Redis reads integers: no blanks, no plus, no leading zeros.
bool ParseInteger(std::string_view text, int64_t* number);
bool EqualsIgnoringCase(std::string_view a, std::string_view b);
// Glob: * ? [a-z] [^a-z] and a backslash before what is meant literally.
bool MatchesGlob(std::string_view pattern, std::string_view text);

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_COMMAND_H_
