// SPDX-License-Identifier: Apache-2.0
#include "tests/tool/tool_test_util.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace seawall {
namespace {

// Bazel starts tests in the folder that holds their data.
constexpr char kTool[] = "tools/seawall/seawall";

void Redirect(const std::string& path, int flags, int to) {
  const int fd = open(path.c_str(), flags, 0600);
  if (fd < 0 || dup2(fd, to) < 0) _exit(126);
}

// Its end that shows what is written to the other one, which is named `*name`.
int OpenTerminal(std::string* name) {
  const int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  char text[64];
  EXPECT_TRUE(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0 &&
              ptsname_r(fd, text, sizeof(text)) == 0);
  *name = text;
  return fd;
}

// Until nobody has the other end open any more: that is EIO.
std::string ReadTerminal(int fd) {
  std::string shown;
  char some[4096];
  for (ssize_t got; (got = read(fd, some, sizeof(some))) > 0;) {
    shown.append(some, static_cast<size_t>(got));
  }
  close(fd);
  return shown;
}

// Of this process, and what it executes.
bool FailFlock(int error) {
  struct sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_flock, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof(steps) / sizeof(steps[0]), steps};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// In the child: never returns.
[[noreturn]] void Exec(std::vector<std::string> arguments, const ScratchDirectory& scratch,
                       const RunOptions& options, const std::string& terminal) {
  Redirect(scratch.path("in"), O_RDONLY, STDIN_FILENO);
  Redirect(options.output_path.empty() ? scratch.path("out") : options.output_path,
           O_WRONLY | O_CREAT, STDOUT_FILENO);
  Redirect(scratch.path("err"), O_WRONLY | O_CREAT, STDERR_FILENO);
  if (!terminal.empty()) {
    Redirect(terminal, O_RDWR | O_NOCTTY, STDOUT_FILENO);
    Redirect(terminal, O_RDWR | O_NOCTTY, STDERR_FILENO);
  }
  for (const int fd : options.closed) close(fd);
  if (options.obey_modes && geteuid() == 0 &&
      (prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) != 0 ||
       prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH) != 0)) {
    _exit(125);
  }
  if (options.flock_error != 0 && !FailFlock(options.flock_error)) _exit(125);
  std::vector<char*> argv = {const_cast<char*>(kTool)};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  execv(kTool, argv.data());
  _exit(127);
}

}  // namespace

Outcome RunTool(const std::vector<std::string>& arguments, const RunOptions& options) {
  const ScratchDirectory scratch;
  WriteFile(scratch.path("in"), options.input);
  std::string terminal;
  const int terminal_fd = options.terminal ? OpenTerminal(&terminal) : -1;
  const pid_t child = fork();
  if (child == 0) Exec(arguments, scratch, options, terminal);
  Outcome outcome;
  // While it runs: a terminal has room for a few lines.
  if (options.terminal) outcome.out = ReadTerminal(terminal_fd);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status)) outcome.code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  if (options.output_path.empty() && !options.terminal) outcome.out = ReadFile(scratch.path("out"));
  outcome.err = ReadFile(scratch.path("err"));
  return outcome;
}

Outcome RunAppend(const std::string& log, const std::string& input,
                  std::vector<std::string> flags) {
  flags.insert(flags.begin(), "append");
  flags.push_back(log);
  RunOptions options;
  options.input = input;
  return RunTool(flags, options);
}

std::string SegmentFile(int generation) {
  const std::string digits = std::to_string(generation);
  return std::string(16 - digits.size(), '0') + digits + ".seg";
}

ScratchDirectory::ScratchDirectory() {
  const char* base = std::getenv("TEST_TMPDIR");
  path_ = std::string(base == nullptr ? "/tmp" : base) + "/tool.XXXXXX";
  if (mkdtemp(path_.data()) == nullptr) std::abort();
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string NumberedLine(int number) {
  std::string line = std::to_string(number) + " ";
  line.resize(999, '.');
  return line + "\n";
}

std::string NumberedLines(int first, int last) {
  std::string lines;
  for (int number = first; number <= last; ++number) lines += NumberedLine(number);
  return lines;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << content;
  file.close();
  EXPECT_TRUE(file.good()) << path;
}

void FlipByte(const std::string& path, uint64_t offset) {
  std::string content = ReadFile(path);
  ASSERT_LT(offset, content.size());
  content[offset] = static_cast<char>(~content[offset]);
  WriteFile(path, content);
}

std::map<std::string, std::string> ReadFiles(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.is_regular_file()) files[entry.path().filename()] = ReadFile(entry.path());
  }
  return files;
}

}  // namespace seawall
