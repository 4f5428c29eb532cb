// SPDX-License-Identifier: Apache-2.0
// What the subcommands of `seawall` have in common.
#ifndef SEAWALL_TOOLS_SEAWALL_CLI_COMMAND_H_
#define SEAWALL_TOOLS_SEAWALL_CLI_COMMAND_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "seawall/identity.h"
#include "tools/seawall/cli/framing.h"

// Shared by several subcommands; defined in command.cc.
ABSL_DECLARE_FLAG(bool, json);
ABSL_DECLARE_FLAG(std::string, framing);
ABSL_DECLARE_FLAG(std::string, expected_id);
ABSL_DECLARE_FLAG(uint64_t, to);      // ~0: to the end; defined in dump.cc
ABSL_DECLARE_FLAG(std::string, out);  // defined in repair.cc

namespace seawall {

enum ExitCode {
  kExitOk = 0,
  kExitDamaged = 1,      // the log has damage: what was asked for may be incomplete
  kExitCouldNotRun = 2,  // wrong usage, no log there, no permission, an I/O error
};

struct Command {
  std::string name;
  std::string summary;
  std::string help;
  std::vector<std::string> flags;  // those that mean something to it
  // `arguments` are the positional ones behind the subcommand's name.
  ExitCode (*run)(const std::vector<std::string>& arguments);
};

// One file each.
Command DumpCommand();
Command VerifyCommand();
Command StatCommand();
Command AppendCommand();
Command ProbeCommand();
Command RepairCommand();
Command TailCommand();
Command TrimCommand();
Command BackupCommand();
Command RestoreCommand();

// Prints "seawall NAME: <message>" on standard error, and below it what to do next: `next_step`, or
// what its code suggests for a log.
ExitCode Fail(const std::string& command, const absl::Status& status);
ExitCode Fail(const std::string& command, const absl::Status& status, const std::string& next_step);
// Likewise; `command` is empty if none is known.
ExitCode FailUsage(const std::string& command, const std::string& problem);

// Where a directory is to be made: that its parent is there. Else it fails, and says how to make
// it; what else may be wrong shows when it is made.
ExitCode CheckParent(const std::string& command, const std::string& directory);

// From --framing. False if that is neither "lines" nor "length".
bool GetFraming(Framing* framing);

// From --expected_id; empty without it. False if it is no id.
bool GetExpectedId(std::optional<LogId>* id);
inline constexpr char kExpectedIdUsage[] =
    "--expected_id is 32 hexadecimal digits: `seawall stat DIR` shows a log's id";

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_CLI_COMMAND_H_
