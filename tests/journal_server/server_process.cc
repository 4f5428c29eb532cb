// SPDX-License-Identifier: Apache-2.0
#include "tests/journal_server/server_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "gtest/gtest.h"

namespace journal_server {
namespace {

constexpr char kServer[] = "examples/journal_server/journal_server";
constexpr char kListening[] = "listening on 127.0.0.1:";
constexpr int kStartSeconds = 30;

std::string ReadAll(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

[[noreturn]] void Exec(const std::string& output, const std::vector<std::string>& arguments) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  std::signal(SIGPIPE, SIG_DFL);  // the server is to see to it itself
  const int fd = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) _exit(126);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

// A socket's path has at most 107 bytes; Bazel's directories for tests are longer.
std::string ShortDirectory() {
  std::string path = "/tmp/seawall_XXXXXX";
  if (mkdtemp(path.data()) == nullptr) std::abort();
  return path;
}

int StatusOf(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

}  // namespace

Output RunShell(const std::string& command) {
  Output output;
  FILE* pipe = popen(("{ " + command + "; } 2>&1").c_str(), "r");
  if (pipe == nullptr) return output;
  char some[4096];
  for (size_t got; (got = fread(some, 1, sizeof(some), pipe)) > 0;) output.text.append(some, got);
  output.status = StatusOf(pclose(pipe));
  return output;
}

ServerProcess::ServerProcess(const std::string& directory, std::vector<std::string> flags)
    : directory_(directory),
      socket_directory_(ShortDirectory()),
      socket_(socket_directory_ + "/socket") {
  std::vector<std::string> arguments = {kServer, "--dir=" + directory + "/data", "--port=0",
                                        "--unixsocket=" + socket_};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  unlink((directory_ + "/output").c_str());
  // Before the process begins to write: a change that is missed would be waited for.
  const int watch = inotify_init1(IN_CLOEXEC);
  inotify_add_watch(watch, directory_.c_str(), IN_MODIFY | IN_CREATE);
  pid_ = fork();
  if (pid_ == 0) Exec(directory_ + "/output", arguments);
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(kStartSeconds);
  while (pid_ > 0 && !AwaitListening() && std::chrono::steady_clock::now() < until) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      break;
    }
    // An end without a word is no change of a file: look now and then.
    pollfd poll_fd = {watch, POLLIN, 0};
    char events[4096];
    if (poll(&poll_fd, 1, 100) > 0 && read(watch, events, sizeof(events)) < 0) break;
  }
  close(watch);
}

bool ServerProcess::AwaitListening() {
  const std::string text = output();
  const size_t at = text.find(kListening);
  if (at == std::string::npos || text.find('\n', at) == std::string::npos) return false;
  port_ = std::atoi(text.c_str() + at + sizeof(kListening) - 1);
  listening_ = true;
  return true;
}

ServerProcess::~ServerProcess() {
  Kill();
  unlink(socket_.c_str());
  rmdir(socket_directory_.c_str());
}

void ServerProcess::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  Wait();
}

int ServerProcess::Terminate() {
  kill(pid_, SIGTERM);
  return Wait();
}

int ServerProcess::Wait() {
  int status = 0;
  EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
  pid_ = -1;
  return StatusOf(status);
}

std::string ServerProcess::output() const { return ReadAll(directory_ + "/output"); }

Client::Client(const std::string& socket) : context_(redisConnectUnix(socket.c_str())) {
  EXPECT_TRUE(context_ != nullptr && context_->err == 0);
  // hiredis asks for the signal when it sends to a server that was killed.
  std::signal(SIGPIPE, SIG_IGN);
  // A test that waits in vain fails, and says where.
  redisSetTimeout(context_.get(), {30, 0});
}

void Client::Send(const std::vector<std::string>& words) {
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    texts.push_back(word.data());
    sizes.push_back(word.size());
  }
  redisAppendCommandArgv(context_.get(), static_cast<int>(words.size()), texts.data(),
                         sizes.data());
}

Reply Client::Receive() {
  void* reply = nullptr;
  if (redisGetReply(context_.get(), &reply) != REDIS_OK) return nullptr;
  return Reply(static_cast<redisReply*>(reply));
}

std::string Client::operator()(const std::vector<std::string>& words) {
  Send(words);
  return Text(Receive().get());
}

std::string Text(const redisReply* reply) {
  if (reply == nullptr) return "(gone)";
  switch (reply->type) {
    case REDIS_REPLY_INTEGER:
      return std::to_string(reply->integer);
    case REDIS_REPLY_NIL:
      return "(nil)";
    case REDIS_REPLY_ARRAY: {
      std::string text = "[";
      for (size_t i = 0; i < reply->elements; ++i) {
        text += (i > 0 ? " " : "") + Text(reply->element[i]);
      }
      return text + "]";
    }
    default:
      return std::string(reply->str, static_cast<size_t>(reply->len));
  }
}

std::string InfoField(Client* client, const std::string& field) {
  const std::string info = "\n" + (*client)({"INFO"});
  const size_t at = info.find("\n" + field + ":");
  if (at == std::string::npos) return "";
  const size_t begin = at + field.size() + 2;
  return info.substr(begin, info.find("\r\n", begin) - begin);
}

}  // namespace journal_server
