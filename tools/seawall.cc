// The command line tool: looks into logs, and writes them from a shell.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/format.h"
#include "tools/command.h"
#include "tools/command_line.h"
#include "tools/output.h"

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall: looks into write-ahead logs, and writes them from a shell.

Usage: seawall COMMAND [FLAGS] DIR [...]

%s
`seawall COMMAND --help` (or `seawall help COMMAND`) explains each, with examples. DIR is the
directory of one log.

append writes a log, and probe temporary files of its own. All others only read: they take no lock,
change nothing, and work beside a live writer and on a read-only mount.

Exit status of all commands:
  0  done; the log, as far as it was read, is sound
  1  the log is damaged
  2  it could not be done: wrong usage, no log there, no permission, an I/O error
A signal ends them as it ends other programs (130 for Ctrl-C, 141 for a closed pipe, in a shell).

Try it:
  seq 1000000 | seawall append /tmp/numbers
  seawall stat /tmp/numbers
  seawall dump --from=999998 /tmp/numbers
  seawall verify /tmp/numbers
)";

std::vector<Command> AllCommands() {
  return {DumpCommand(), VerifyCommand(), StatCommand(), AppendCommand(), ProbeCommand()};
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

int Main(int argc, char** argv) {
  HoldStandardStreams();
  // `bazel run` starts us elsewhere; DIR is meant from where the user is.
  if (const char* directory = std::getenv("BUILD_WORKING_DIRECTORY")) {
    if (chdir(directory) != 0) std::perror(directory);
  }
  // Whatever was inherited: a reader that has seen enough (| head) ends us quietly.
  std::signal(SIGPIPE, SIG_DFL);
  const std::vector<Command> commands = AllCommands();
  const CommandLine line = ParseCommandLine(argc, argv, commands);
  if (line.wish == CommandLine::Wish::kVersion) {
    return Print(absl::StrFormat("seawall, format version %u\n", kFormatVersion));
  }
  if (!line.problem.empty() && line.command != nullptr) {
    return FailUsage(line.command->name, line.problem);
  }
  if (!line.problem.empty()) {
    std::fprintf(stderr, "seawall: %s\nSee `seawall --help`.\n", line.problem.c_str());
    return kExitCouldNotRun;
  }
  if (line.wish == CommandLine::Wish::kHelp) {
    return Print(line.command == nullptr ? Help(commands) : line.command->help);
  }
  if (line.command == nullptr) {
    std::fputs(Help(commands).c_str(), stderr);
    return kExitCouldNotRun;
  }
  return line.command->run(line.arguments);
}

}  // namespace
}  // namespace seawall

int main(int argc, char** argv) { return seawall::Main(argc, argv); }
