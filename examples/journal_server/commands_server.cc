// SPDX-License-Identifier: Apache-2.0
// Commands about the connection and the server.
#include "absl/strings/str_cat.h"
#include "examples/journal_server/command.h"
#include "examples/journal_server/reply.h"

namespace journal_server {
namespace {

void Ping(Context& context) {
  if (context.size() > 2) {
    AddError("ERR wrong number of arguments for 'ping' command", context.reply);
  } else if (context.size() == 2) {
    AddBulk(context[1], context.reply);
  } else {
    AddStatus("PONG", context.reply);
  }
}

void Echo(Context& context) { AddBulk(context[1], context.reply); }

void Select(Context& context) {
  int64_t index = 0;
  if (!ParseInteger(context[1], &index)) {
    AddError(kNotAnInteger, context.reply);
  } else if (index != 0) {
    AddError("ERR DB index is out of range", context.reply);
  } else {
    AddStatus("OK", context.reply);
  }
}

void Info(Context& context) {
  AddBulk(context.host->Info(context.size() > 1 ? std::string_view(context[1]) : ""),
          context.reply);
}

void AddCommand(const Command& command, std::string* reply) {
  AddArray(6, reply);
  AddBulk(command.name, reply);
  AddInteger(command.arity, reply);
  AddArray(1, reply);
  AddStatus(command.writes ? "write" : "readonly", reply);
  AddInteger(command.first_key, reply);
  AddInteger(command.last_key, reply);
  AddInteger(command.key_step, reply);
}

void CommandInfo(Context& context) {
  AddArray(context.size() - 2, context.reply);
  for (size_t i = 2; i < context.size(); ++i) {
    const Command* command = FindCommand(context[i]);
    if (command == nullptr) {
      AddNullArray(context.reply);
    } else {
      AddCommand(*command, context.reply);
    }
  }
}

void DescribeCommands(Context& context) {
  if (context.size() == 1) {
    AddArray(AllCommands().size(), context.reply);
    for (const Command& command : AllCommands()) AddCommand(command, context.reply);
  } else if (EqualsIgnoringCase(context[1], "count")) {
    AddInteger(static_cast<int64_t>(AllCommands().size()), context.reply);
  } else if (EqualsIgnoringCase(context[1], "info")) {
    CommandInfo(context);
  } else if (EqualsIgnoringCase(context[1], "docs")) {
    AddArray(0, context.reply);  // redis-cli asks, and goes on without
  } else {
    AddError(absl::StrCat("ERR unknown subcommand '", context[1], "' of COMMAND"), context.reply);
  }
}

void Config(Context& context) {
  if (EqualsIgnoringCase(context[1], "resetstat")) {
    AddStatus("OK", context.reply);
    return;
  }
  if (!EqualsIgnoringCase(context[1], "get") || context.size() < 3) {
    AddError("ERR only CONFIG GET: parameters are flags of the command line", context.reply);
    return;
  }
  std::vector<std::pair<std::string, std::string>> found;
  for (auto& [name, value] : context.host->Config()) {
    for (size_t i = 2; i < context.size(); ++i) {
      if (!MatchesGlob(context[i], name)) continue;
      found.emplace_back(name, value);
      break;
    }
  }
  AddArray(2 * found.size(), context.reply);
  for (const auto& [name, value] : found) {
    AddBulk(name, context.reply);
    AddBulk(value, context.reply);
  }
}

// Names of clients are taken and forgotten: hiredis-based clients set them.
void Client(Context& context) {
  if (EqualsIgnoringCase(context[1], "setname") || EqualsIgnoringCase(context[1], "setinfo")) {
    AddStatus("OK", context.reply);
  } else if (EqualsIgnoringCase(context[1], "getname")) {
    AddNull(context.reply);
  } else {
    AddError(absl::StrCat("ERR unknown subcommand '", context[1], "' of CLIENT"), context.reply);
  }
}

void BgSave(Context& context) {
  const std::string problem = context.host->StartSnapshot();
  if (problem.empty()) {
    AddStatus("Background saving started", context.reply);
  } else {
    AddError(absl::StrCat("ERR ", problem), context.reply);
  }
}

// No reply: the connection ends when all is on disk.
void Shutdown(Context& context) { context.host->Shutdown(); }

// The executor's.
void Nothing(Context&) {}

constexpr Command kCommands[] = {
    {"ping", -1, false, 0, 0, 0, Ping},
    {"echo", 2, false, 0, 0, 0, Echo},
    {"select", 2, false, 0, 0, 0, Select},
    {"info", -1, false, 0, 0, 0, Info},
    {"command", -1, false, 0, 0, 0, DescribeCommands},
    {"config", -2, false, 0, 0, 0, Config},
    {"client", -2, false, 0, 0, 0, Client},
    {"bgsave", -1, false, 0, 0, 0, BgSave},
    {"shutdown", -1, false, 0, 0, 0, Shutdown},
    {"multi", 1, false, 0, 0, 0, Nothing},
    {"exec", 1, false, 0, 0, 0, Nothing},
    {"discard", 1, false, 0, 0, 0, Nothing},
    {"quit", -1, false, 0, 0, 0, Nothing},
};

}  // namespace

absl::Span<const Command> ServerCommands() { return kCommands; }

}  // namespace journal_server
