// SPDX-License-Identifier: Apache-2.0
// The server: one event loop (libuv) that accepts clients, runs their requests and sends replies.
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_SERVER_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_SERVER_H_

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/journal_server/checkpoint.h"
#include "examples/journal_server/connection.h"
#include "examples/journal_server/executor.h"
#include "examples/journal_server/journal.h"
#include "examples/journal_server/store.h"

namespace journal_server {

struct ServerOptions {
  std::string directory;  // its parent must exist
  std::string bind = "127.0.0.1";
  int port = 6380;          // 0: any; -1: none
  std::string unix_socket;  // path; empty: none
  Acknowledge acknowledge = Acknowledge::kAlways;
  uint32_t max_clients = 10000;
  // A snapshot is written when the journal has grown so much. With what is appended while it is
  // being written, it bounds the time of a restart. 0: on BGSAVE only.
  uint64_t checkpoint_bytes = uint64_t{256} << 20;
  uint64_t segment_bytes = uint64_t{64} << 20;
  uint64_t idle_seconds = 0;  // disconnects clients that ask for nothing; 0: never
  uint64_t stall_seconds = 60;
};

// The loop never waits for a sync. What it appends in one turn, from all clients, it asks the log
// once to make durable; meanwhile it goes on with other requests.
class Server : public Host {
 public:
  // Recovers the store and listens.
  static absl::StatusOr<std::unique_ptr<Server>> Create(const ServerOptions& options);
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Until SHUTDOWN, SIGTERM or SIGINT: then all is durable and the log closed. An error: the
  // journal failed. The server stops then, as its memory holds what may not be on disk; with a
  // restart it is what was acknowledged, and perhaps more.
  absl::Status Run();

  // Where it listens: "127.0.0.1:6380 and /tmp/socket".
  const std::string& address() const { return address_; }
  const Recovery& recovery() const { return journal_->recovery(); }

  // ---- Host
  std::string Info(std::string_view section) override;
  std::vector<std::pair<std::string, std::string>> Config() override;
  std::string StartSnapshot() override;
  void Shutdown() override { stopping_ = true; }

  // ---- For connections
  Executor* executor() { return executor_.get(); }
  seawall::Lsn appended_lsn() const { return journal_->appended_lsn(); }
  seawall::Lsn reached_lsn() const { return reached_lsn_; }
  uv_buf_t read_buffer() {
    return uv_buf_init(read_buffer_.data(), static_cast<unsigned>(read_buffer_.size()));
  }
  std::string* scratch() { return &scratch_; }
  uint64_t now_ms() const { return uv_now(&loop_); }
  // It has something to send.
  void List(Connection* connection);
  void ResumeLater(std::shared_ptr<Connection> connection);
  void Forget(uint64_t id) { connections_.erase(id); }
  void CountProtocolError() { ++protocol_errors_; }
  void CountSlowReader() { ++slow_readers_; }

 private:
  explicit Server(const ServerOptions& options);

  absl::Status Start();
  absl::Status StartLoop();
  absl::Status ListenTcp();
  absl::Status ListenUnix();
  static void OnClient(uv_stream_t* listener, int status);

  // Before the loop waits for events.
  void Turn();
  void Tick();
  void SyncEverySecond();
  void Stop();
  absl::Status CloseAll();
  void CheckTimeouts();

  const ServerOptions options_;
  std::string address_;
  Store store_;
  // Closed before the log is, which wakes the loop.
  uv_loop_t loop_;
  bool loop_open_ = false;
  uv_async_t wake_;
  uv_prepare_t turn_;
  uv_timer_t tick_;
  uv_signal_t signals_[2];
  uv_tcp_t tcp_;
  uv_pipe_t pipe_;
  uv_work_t sync_;
  bool sync_queued_ = false;

  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Checkpoint> checkpoint_;

  std::unordered_map<uint64_t, Connection*> connections_;
  // With output: what is new, and what waits for the journal, which is looked at again when that
  // has come further. A connection is in one of them at most, and says so (listed()).
  std::vector<std::shared_ptr<Connection>> listed_;
  std::vector<std::shared_ptr<Connection>> waiting_;
  std::vector<std::shared_ptr<Connection>> turning_;  // Turn()'s, kept for its memory
  std::vector<std::shared_ptr<Connection>> stalled_;
  std::vector<char> read_buffer_;
  std::string scratch_;
  seawall::Lsn reached_lsn_ = 0;
  uint32_t max_clients_ = 0;
  uint64_t next_id_ = 1;
  bool stopping_ = false;
  bool stopped_ = false;
  uint64_t ticks_ = 0;

  uint64_t accepted_ = 0;
  uint64_t refused_ = 0;
  uint64_t protocol_errors_ = 0;
  uint64_t slow_readers_ = 0;
};

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_SERVER_H_
