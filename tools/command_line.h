// The command line, cut into a command, its flags and its other arguments.
#ifndef SEAWALL_TOOLS_COMMAND_LINE_H_
#define SEAWALL_TOOLS_COMMAND_LINE_H_

#include <string>
#include <vector>

#include "tools/command.h"

namespace seawall {

struct CommandLine {
  // What to do instead of running a command.
  enum class Wish { kRun, kHelp, kVersion };

  Wish wish = Wish::kRun;
  const Command* command = nullptr;    // nullptr: none is named (or, with a problem, none is known)
  std::vector<std::string> arguments;  // behind the command's name, flags taken out
  std::string problem;                 // what is wrong with it; empty if nothing is
};

// Sets the flags that `argv` has: --name=value, --name value, --name and --noname of a bool, in any
// place before a "--". A flag that the command does not list is a problem: one that is accepted and
// ignored would be a promise not kept. (Abseil's own parser ends the process with status 1, which
// means damage here.) The result points into `commands`.
CommandLine ParseCommandLine(int argc, char** argv, const std::vector<Command>& commands);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_COMMAND_LINE_H_
