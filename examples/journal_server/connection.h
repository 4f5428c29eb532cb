// SPDX-License-Identifier: Apache-2.0
// One client: its input, parsed and run in order, and its replies, sent in order.
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_CONNECTION_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_CONNECTION_H_

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "examples/journal_server/executor.h"
#include "examples/journal_server/request_parser.h"
#include "seawall/types.h"

namespace journal_server {

class Server;

// A reply is held until the journal has reached the last record that was there when the request
// ran; those behind it wait, too. So replies come in order, and never before what they tell is
// safe.
//
// Bounds: of input, the longest request and one read; of output, kSoftOutputBytes and one reply.
// Above that the client's further requests wait, in its socket in the end, until it has read; a
// client with one reply above kHardOutputBytes, or that reads nothing for
// ServerOptions::stall_seconds, is disconnected.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  static constexpr size_t kSoftOutputBytes = size_t{1} << 20;
  static constexpr size_t kHardOutputBytes = size_t{64} << 20;

  Connection(Server* server, uint64_t id);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Takes the client that waits at `listener`. Keeps itself alive from then until it is closed.
  // False: it is gone already.
  bool Accept(uv_loop_t* loop, uv_stream_t* listener);
  // Replies `error` and closes.
  void Refuse(std::string_view error);

  // Sends the replies that wait for nothing beyond record `reached`, and goes on with requests that
  // waited for that. False: nothing is left to send.
  bool Turn(seawall::Lsn reached);
  // Goes on after Executor::Outcome::kBusy.
  void Resume();
  // The journal failed: whether what the held replies tell is safe will not be known before the
  // next start. They give way to an error.
  void Abort(std::string_view error);
  void Close();

  // Disconnects a client that is idle or does not read; 0: never.
  void CheckTimeouts(uint64_t now_ms, uint64_t idle_ms, uint64_t stall_ms);

  bool closed() const { return closed_; }
  bool listed() const { return listed_; }
  void set_listed(bool listed) { listed_ = listed; }

 private:
  struct Held {
    seawall::Lsn lsn;
    size_t bytes;
  };

  static void Allocate(uv_handle_t* handle, size_t suggested, uv_buf_t* buffer);
  static void OnRead(uv_stream_t* stream, ssize_t bytes, const uv_buf_t* buffer);
  static void OnWritten(uv_write_t* request, int status);

  void Process();
  void RunRequest();  // in words_
  void Deliver(const std::string& reply);
  void Release(seawall::Lsn reached);
  void Flush();
  void UpdateReading();
  void CloseIfDone();
  size_t output_bytes() const { return held_.size() + ready_.size() + in_flight_.size(); }
  uv_stream_t* stream() { return &handle_.stream; }

  Server* const server_;
  const uint64_t id_;
  union {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } handle_;
  std::shared_ptr<Connection> self_;

  RequestParser parser_;
  Session session_;
  Words words_;
  bool has_request_ = false;  // in words_, not yet run

  // What goes out, in this order: in_flight_, ready_, held_.
  std::string in_flight_;
  std::string ready_;
  std::string held_;
  std::deque<Held> held_marks_;  // their bytes are those of held_; LSNs grow
  uv_write_t write_;

  bool reading_ = false;
  bool writing_ = false;
  bool throttled_ = false;  // until output is below its bound
  bool stalled_ = false;    // until the journal has room
  bool at_end_ = false;     // the client sends no more
  bool closing_ = false;    // no more requests are run; when all is sent, it is closed
  bool closed_ = false;
  bool listed_ = false;  // by the server, as one with output
  uint64_t heard_at_ms_ = 0;
  uint64_t sent_at_ms_ = 0;  // or had nothing to send
  size_t queued_bytes_ = 0;  // by libuv, when CheckTimeouts() looked
};

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_CONNECTION_H_
