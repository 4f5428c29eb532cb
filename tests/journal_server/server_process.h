// SPDX-License-Identifier: Apache-2.0
// Starts journal_server as a process of its own, and talks to it with hiredis.
#ifndef SEAWALL_TESTS_JOURNAL_SERVER_SERVER_PROCESS_H_
#define SEAWALL_TESTS_JOURNAL_SERVER_SERVER_PROCESS_H_

#include <hiredis/hiredis.h>
#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

namespace journal_server {

// What a program printed and how it ended.
struct Output {
  int status = -1;  // exit status; -signal
  std::string text;
};

// Runs a shell command; both of its outputs.
Output RunShell(const std::string& command);

// With its data and its output in a directory of the caller's, which outlives it.
class ServerProcess {
 public:
  // Starts it on `directory`/data, waits until it listens. Fails the test if it does not.
  explicit ServerProcess(const std::string& directory, std::vector<std::string> flags = {});
  // Kills it, if it still runs.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // That it could be started; otherwise output() says why not.
  bool listening() const { return listening_; }
  pid_t pid() const { return pid_; }
  const std::string& socket() const { return socket_; }
  int port() const { return port_; }

  // SIGKILL.
  void Kill();
  // SIGTERM; the exit status.
  int Terminate();
  // Waits until it ends by itself.
  int Wait();
  // All that it printed.
  std::string output() const;

 private:
  bool AwaitListening();

  const std::string directory_;
  const std::string socket_directory_;
  const std::string socket_;
  pid_t pid_ = -1;
  int port_ = 0;
  bool listening_ = false;
};

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

// One connection by hiredis.
class Client {
 public:
  explicit Client(const std::string& socket);

  // The reply as text: "OK", "5", "(nil)", "ERR ...", "[a b]". "(gone)" without a connection.
  std::string operator()(const std::vector<std::string>& words);
  void Send(const std::vector<std::string>& words);  // flushed with the next Receive()
  Reply Receive();                                   // null: the connection is gone
  redisContext* context() { return context_.get(); }

 private:
  std::unique_ptr<redisContext, FreeContext> context_;
};

std::string Text(const redisReply* reply);
// Of INFO.
std::string InfoField(Client* client, const std::string& field);

}  // namespace journal_server

#endif  // SEAWALL_TESTS_JOURNAL_SERVER_SERVER_PROCESS_H_
