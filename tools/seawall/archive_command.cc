// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/archive_command.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/io/file_io.h"

extern char** environ;

namespace seawall {
namespace {

// For a word of the shell, whatever is in it.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

// Nothing if there is a % that means nothing.
std::optional<std::string> Substitute(const std::string& command, const SealedSegment& segment) {
  std::string result;
  for (size_t i = 0; i < command.size(); ++i) {
    if (command[i] != '%') {
      result += command[i];
      continue;
    }
    switch (++i < command.size() ? command[i] : '\0') {
      case 'p':
        result += Quoted(segment.path);
        break;
      case 'f':
        result += segment.path.substr(segment.path.rfind('/') + 1);
        break;
      case 'a':
        absl::StrAppend(&result, segment.first_lsn);
        break;
      case 'b':
        absl::StrAppend(&result, segment.last_lsn);
        break;
      case '%':
        result += '%';
        break;
      default:
        return std::nullopt;
    }
  }
  return result;
}

// 0 and errno if it cannot be had.
pid_t Spawn(const std::string& command) {
  std::string shell = "/bin/sh", dash_c = "-c", text = command;
  char* const arguments[] = {shell.data(), dash_c.data(), text.data(), nullptr};
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // A Ctrl-C is for us: we end in order, and a copy that is nearly made is made.
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  // Our input is records, and must not be read by anybody else (as ssh does); our output is ours.
  posix_spawn_file_actions_t streams;
  posix_spawn_file_actions_init(&streams);
  posix_spawn_file_actions_addopen(&streams, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&streams, STDERR_FILENO, STDOUT_FILENO);
  pid_t child = 0;
  const int error = posix_spawn(&child, shell.c_str(), &streams, &attributes, arguments, environ);
  posix_spawn_file_actions_destroy(&streams);
  posix_spawnattr_destroy(&attributes);
  errno = error;
  return error == 0 ? child : 0;
}

// The exit status, as a shell has it; or that it could not be run.
absl::StatusOr<int> RunShell(const std::string& command, Interruption* interruption) {
  int error = 0;
  const bool may_start = interruption->StartGroup([&] {
    const pid_t child = Spawn(command);
    if (child == 0) error = errno;
    return child;
  });
  if (!may_start) return absl::CancelledError("interrupted");
  if (error != 0) return ErrnoStatus(error, "run", "/bin/sh");
  const int status = interruption->AwaitGroup();
  if (status < 0) return ErrnoStatus(errno, "wait for", "/bin/sh");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::string ArchiveCommandProblem(const std::string& command) {
  if (!Substitute(command, SealedSegment()).has_value()) {
    return "expected %p, %f, %a, %b or %% behind each %";
  }
  return "";
}

ArchiveCommand::ArchiveCommand(std::string command, Interruption* interruption)
    : command_(std::move(command)), interruption_(interruption) {}

absl::Status ArchiveCommand::operator()(const SealedSegment& segment) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    untaken_ = segment;
  }
  const std::string line = Substitute(command_, segment).value_or("false");
  const absl::StatusOr<int> exit = RunShell(line, interruption_);
  if (exit.ok() && *exit == 0) {
    failing_ = false;
    const std::lock_guard<std::mutex> lock(mutex_);
    untaken_ = SealedSegment();
    return absl::OkStatus();
  }
  absl::Status status =
      exit.ok()
          ? absl::UnavailableError(absl::StrCat("archive ", segment.path, ": exit status ", *exit))
          : exit.status();
  // That a signal ended it is reported with all else that the signal ended.
  if (!failing_ && interruption_->signal() == 0) {
    std::fprintf(stderr, "seawall append: %s; the log keeps it until that works\n",
                 std::string(status.message()).c_str());
    failing_ = true;
  }
  return status;
}

std::string ArchiveCommand::Unarchived() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (untaken_.path.empty()) return "";
  return absl::StrCat("not archived: ", untaken_.path, " and what comes after it, from LSN ",
                      untaken_.first_lsn,
                      " on; the log keeps it, and the next append with --archive_command runs the "
                      "command for it");
}

}  // namespace seawall
