// The command line tool: looks into logs, and writes them from a shell.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/flags/commandlineflag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/format.h"
#include "tools/command.h"

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall: looks into write-ahead logs, and writes them from a shell.

Usage: seawall COMMAND [FLAGS] DIR [...]

%s
`seawall COMMAND --help` (or `seawall help COMMAND`) explains each, with examples. DIR is the
directory of one log.

All but append only read: they take no lock, change nothing, and work beside a live writer and on a
read-only mount.

Exit status of all commands:
  0  done; the log, as far as it was read, is sound
  1  the log is damaged
  2  it could not be done: wrong usage, no log there, no permission, an I/O error

Try it:
  seq 1000000 | seawall append /tmp/numbers
  seawall stat /tmp/numbers
  seawall dump --from=999998 /tmp/numbers
  seawall verify /tmp/numbers
)";

std::vector<Command> AllCommands() {
  return {DumpCommand(), VerifyCommand(), StatCommand(), AppendCommand()};
}

const Command* FindCommand(const std::vector<Command>& commands, const std::string& name) {
  auto found = absl::c_find_if(commands, [&](const Command& c) { return c.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

std::string Help(const std::vector<Command>& commands) {
  std::string list;
  for (const Command& command : commands) {
    absl::StrAppendFormat(&list, "  %-8s %s\n", command.name, command.summary);
  }
  return absl::StrFormat(kHelp, list);
}

// Flags are global to Abseil; one that a command ignores would be a promise not kept.
std::string ForeignFlag(const Command& command, const std::vector<Command>& commands) {
  for (const Command& other : commands) {
    for (const std::string& name : other.flags) {
      if (absl::c_linear_search(command.flags, name)) continue;
      const absl::CommandLineFlag* flag = absl::FindCommandLineFlag(name);
      if (flag != nullptr && flag->CurrentValue() != flag->DefaultValue()) return name;
    }
  }
  return "";
}

// What Abseil would do with these before it came back, it does in its own way.
bool AskedFor(int argc, char** argv, const char* word, const char* letter) {
  for (int i = 1; i < argc && std::strcmp(argv[i], "--") != 0; ++i) {
    const std::string argument = argv[i];
    if (argument == letter || argument == absl::StrCat("--", word) ||
        argument == absl::StrCat("-", word)) {
      return true;
    }
  }
  return false;
}

// The first argument that names a command, flags aside.
const Command* NamedCommand(int argc, char** argv, const std::vector<Command>& commands) {
  for (int i = 1; i < argc; ++i) {
    if (const Command* command = FindCommand(commands, argv[i])) return command;
  }
  return nullptr;
}

bool parsing = false;

// Abseil ends the process with status 1 when flags are wrong, and 1 means damage here.
std::vector<std::string> ParseFlags(int argc, char** argv) {
  std::atexit([] {
    if (!parsing) return;
    std::fflush(nullptr);
    std::_Exit(kExitCouldNotRun);
  });
  parsing = true;
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  parsing = false;
  return std::vector<std::string>(rest.begin() + 1, rest.end());
}

int Main(int argc, char** argv) {
  // `bazel run` starts us elsewhere; DIR is meant from where the user is.
  if (const char* directory = std::getenv("BUILD_WORKING_DIRECTORY")) {
    if (chdir(directory) != 0) std::perror(directory);
  }
  // Whatever was inherited: a reader that has seen enough (| head) ends us quietly.
  std::signal(SIGPIPE, SIG_DFL);
  const std::vector<Command> commands = AllCommands();
  absl::SetProgramUsageMessage(Help(commands));
  const bool help_word = argc > 1 && std::strcmp(argv[1], "help") == 0;
  if (help_word || AskedFor(argc, argv, "help", "-h")) {
    const Command* command = NamedCommand(argc, argv, commands);
    std::fputs((command == nullptr ? Help(commands) : command->help).c_str(), stdout);
    return kExitOk;
  }
  if (AskedFor(argc, argv, "version", "-V")) {
    std::printf("seawall, format version %u\n", kFormatVersion);
    return kExitOk;
  }
  std::vector<std::string> arguments = ParseFlags(argc, argv);
  if (arguments.empty()) {
    std::fputs(Help(commands).c_str(), stderr);
    return kExitCouldNotRun;
  }
  const Command* command = FindCommand(commands, arguments.front());
  if (command == nullptr) {
    std::fprintf(stderr, "seawall: no command named \"%s\"\nSee `seawall --help`.\n",
                 arguments.front().c_str());
    return kExitCouldNotRun;
  }
  const std::string foreign = ForeignFlag(*command, commands);
  if (!foreign.empty()) {
    return FailUsage(command->name, absl::StrCat("--", foreign, " means nothing to it"));
  }
  arguments.erase(arguments.begin());
  return command->run(arguments);
}

}  // namespace
}  // namespace seawall

int main(int argc, char** argv) { return seawall::Main(argc, argv); }
