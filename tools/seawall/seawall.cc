// SPDX-License-Identifier: Apache-2.0
// The command line tool: looks into logs, and writes them from a shell.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/flags/commandlineflag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/format/format.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/output.h"

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall: looks into write-ahead logs, and writes them from a shell.

Usage: seawall COMMAND [FLAGS] DIR [...]

%s
`seawall COMMAND --help` (or `seawall help COMMAND`) explains each, with examples. DIR is the
directory of one log.

append writes a log, trim takes records from one; repair, backup and restore write a new one; probe
writes temporary files of its own. All others only read: they take no lock that a writer waits for,
change nothing, and work beside a live writer and on a read-only mount.

Exit status of all commands:
  0  done; the log, as far as it was read, is sound
  1  the log is damaged
  2  it could not be done: wrong usage, no log there, no permission, an I/O error
A signal ends them as it ends other programs (130 for Ctrl-C, 141 for a closed pipe, in a shell):
within two seconds, after what writes has said how far it came; a second one ends them at once.

Try it:
  seq 1000000 | seawall append /tmp/numbers
  seawall stat /tmp/numbers
  seawall dump --from=999998 /tmp/numbers
  seawall verify /tmp/numbers
)";

std::vector<Command> AllCommands() {
  return {AppendCommand(), DumpCommand(),   TailCommand(),   StatCommand(),    VerifyCommand(),
          TrimCommand(),   RepairCommand(), BackupCommand(), RestoreCommand(), ProbeCommand()};
}

std::string Help(const std::vector<Command>& commands) {
  std::string list;
  for (const Command& command : commands) {
    absl::StrAppendFormat(&list, "  %-8s %s\n", command.name, command.summary);
  }
  return absl::StrFormat(kHelp, list);
}

// A standard stream that was closed (`<&-`): its number would go to the next file that is opened,
// and a segment would be read as the input, or a message written into it. What stands in fails.
void HoldStandardStreams() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) != -1 || errno != EBADF) continue;
    // open() takes the lowest free number, this one.
    (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

ExitCode Print(const std::string& text) {
  Output output;
  output.Write(text);
  const absl::Status status = output.Finish();
  if (status.ok()) return kExitOk;
  std::fprintf(stderr, "seawall: %s\n", std::string(status.message()).c_str());
  return kExitCouldNotRun;
}

const Command* FindCommand(const std::vector<Command>& commands, const std::string& name) {
  auto found = absl::c_find_if(commands, [&](const Command& c) { return c.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

ExitCode FailUnknown(const std::string& name) {
  return FailUsage("", absl::StrCat("no command named \"", name, "\""));
}

// What has to be known before Abseil parses: it would answer --help with a list of all flags.
struct Preview {
  bool help = false;
  bool version = false;
  std::string command;  // the first word; empty if there is none
};

Preview LookAhead(int argc, char** argv) {
  const auto is_end = [](const char* argument) { return std::strcmp(argument, "--") == 0; };
  std::vector<std::string> words(argv + 1, std::find_if(argv + 1, argv + argc, is_end));
  const auto has = [&words](std::initializer_list<const char*> forms) {
    return absl::c_find_first_of(words, forms) != words.end();
  };
  Preview preview;
  preview.help = has({"--help", "-help", "-h"});
  preview.version = has({"--version", "-version", "-V"});
  words.erase(std::remove_if(words.begin(), words.end(),
                             [](const std::string& word) { return word[0] == '-'; }),
              words.end());
  if (!words.empty() && words.front() == "help") {
    preview.help = true;
    words.erase(words.begin());
  }
  if (!words.empty()) preview.command = words.front();
  return preview;
}

// "-n5", as tail(1) has it, as Abseil has it: "-n=5".
std::vector<std::string> WithEqualsSign(int argc, char** argv) {
  std::vector<std::string> words(argv, argv + argc);
  const auto end = std::find(words.begin(), words.end(), "--");
  for (auto word = words.begin(); word != end; ++word) {
    const bool is_count = word->size() > 2 && word->compare(0, 2, "-n") == 0 &&
                          word->find_first_not_of("0123456789", 2) == std::string::npos;
    if (is_count) word->insert(2, "=");
  }
  return words;
}

// The name of the command whose flags Abseil parses; nullptr if it does not.
const std::string* parsing = nullptr;

// Abseil ends the process with status 1 if a flag is wrong, which means damage here, and with 0 for
// flags of its own (--only_check_args), which means a sound log.
std::vector<std::string> ParseFlags(int argc, char** argv, const std::string& command) {
  std::atexit([] {
    if (parsing == nullptr) return;
    FailUsage(*parsing, "its flags were not accepted");
    std::fflush(nullptr);
    std::_Exit(kExitCouldNotRun);
  });
  parsing = &command;
  std::vector<std::string> words = WithEqualsSign(argc, argv);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const std::vector<char*> rest =
      absl::ParseCommandLine(static_cast<int>(words.size()), pointers.data());
  parsing = nullptr;
  return std::vector<std::string>(rest.begin() + 1, rest.end());
}

// A flag that is set and that the command does not have: Abseil's are global, and one that is
// accepted and ignored would be a promise not kept.
std::string ForeignFlag(const Command& command) {
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (absl::c_linear_search(command.flags, name)) continue;
    if (flag->CurrentValue() != flag->DefaultValue()) return std::string(name);
  }
  return "";
}

ExitCode RunCommand(const std::vector<Command>& commands, std::vector<std::string> arguments) {
  const std::string name = arguments.front();
  const Command* command = FindCommand(commands, name);
  if (command == nullptr) return FailUnknown(name);
  const std::string foreign = ForeignFlag(*command);
  if (!foreign.empty()) {
    return FailUsage(name, absl::StrCat("it has no flag --", foreign, "; it has --",
                                        absl::StrJoin(command->flags, ", --")));
  }
  arguments.erase(arguments.begin());
  return command->run(arguments);
}

int Main(int argc, char** argv) {
  HoldStandardStreams();
  // `bazel run` starts us elsewhere; DIR is meant from where the user is.
  if (const char* directory = std::getenv("BUILD_WORKING_DIRECTORY")) {
    if (chdir(directory) != 0) std::perror(directory);
  }
  // Whatever was inherited: a reader that has seen enough (| head) ends us quietly.
  std::signal(SIGPIPE, SIG_DFL);
  const std::vector<Command> commands = AllCommands();
  const Preview preview = LookAhead(argc, argv);
  const Command* command = FindCommand(commands, preview.command);
  if (preview.help && command != nullptr) return Print(command->help);
  if (preview.help) {
    return preview.command.empty() ? Print(Help(commands)) : FailUnknown(preview.command);
  }
  if (preview.version) {
    return Print(absl::StrFormat("seawall, format version %u\n", kFormatVersion));
  }
  const std::vector<std::string> arguments =
      ParseFlags(argc, argv, command == nullptr ? "" : command->name);
  if (!arguments.empty()) return RunCommand(commands, arguments);
  std::fputs(Help(commands).c_str(), stderr);
  return kExitCouldNotRun;
}

}  // namespace
}  // namespace seawall

int main(int argc, char** argv) { return seawall::Main(argc, argv); }
