// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/connection.h"

#include "absl/strings/str_cat.h"
#include "examples/journal_server/reply.h"
#include "examples/journal_server/server.h"

namespace journal_server {
namespace {

// Of a buffer that was large once.
constexpr size_t kKeptBytes = 64 << 10;
constexpr unsigned kKeepAliveSeconds = 300;

void Clear(std::string* buffer) {
  if (buffer->capacity() > kKeptBytes) {
    *buffer = std::string();
  } else {
    buffer->clear();
  }
}

Connection* Of(void* data) { return static_cast<Connection*>(data); }

}  // namespace

Connection::Connection(Server* server, uint64_t id)
    : server_(server), id_(id), parser_(kMaxRequestBytes) {
  write_.data = this;
}

bool Connection::Accept(uv_loop_t* loop, uv_stream_t* listener) {
  const bool tcp = listener->type == UV_TCP;
  const int error = tcp ? uv_tcp_init(loop, &handle_.tcp) : uv_pipe_init(loop, &handle_.pipe, 0);
  if (error != 0) return false;
  handle_.any.data = this;
  self_ = shared_from_this();
  heard_at_ms_ = sent_at_ms_ = uv_now(loop);
  if (uv_accept(listener, stream()) != 0) {
    Close();
    return false;
  }
  if (tcp) {
    // Neither failing changes what is promised. The second is for clients that vanished.
    (void)uv_tcp_nodelay(&handle_.tcp, 1);
    (void)uv_tcp_keepalive(&handle_.tcp, 1, kKeepAliveSeconds);
  }
  UpdateReading();
  return !closed_;
}

void Connection::Refuse(std::string_view error) {
  closing_ = true;
  AddError(error, &ready_);
  server_->List(this);
  UpdateReading();
}

void Connection::Allocate(uv_handle_t* handle, size_t, uv_buf_t* buffer) {
  *buffer = Of(handle->data)->server_->read_buffer();
}

void Connection::OnRead(uv_stream_t* stream, ssize_t bytes, const uv_buf_t* buffer) {
  Connection* self = Of(stream->data);
  if (bytes == 0) return;
  if (bytes == UV_EOF) {
    // What was asked before is answered.
    self->at_end_ = true;
    self->UpdateReading();
    self->CloseIfDone();
    return;
  }
  if (bytes < 0) {
    self->Close();
    return;
  }
  self->heard_at_ms_ = uv_now(stream->loop);
  self->parser_.Feed(std::string_view(buffer->base, static_cast<size_t>(bytes)));
  self->Process();
}

void Connection::Process() {
  while (!closed_ && !closing_ && !stalled_) {
    throttled_ = output_bytes() >= kSoftOutputBytes;
    if (throttled_) break;
    if (!has_request_) {
      const RequestParser::Result result = parser_.Next(&words_);
      if (result == RequestParser::Result::kIncomplete) break;
      if (result == RequestParser::Result::kError) {
        server_->CountProtocolError();
        std::string reply;
        AddError(absl::StrCat("ERR Protocol error: ", parser_.error()), &reply);
        closing_ = true;
        Deliver(reply);
        break;
      }
      if (words_.empty()) continue;
      has_request_ = true;
    }
    RunRequest();
  }
  UpdateReading();
  CloseIfDone();
}

void Connection::RunRequest() {
  std::string* reply = server_->scratch();
  Clear(reply);
  const Executor::Outcome outcome = server_->executor()->Run(words_, &session_, reply);
  if (outcome == Executor::Outcome::kBusy) {
    stalled_ = true;
    server_->ResumeLater(shared_from_this());
    return;
  }
  has_request_ = false;
  if (outcome == Executor::Outcome::kClose) closing_ = true;
  Deliver(*reply);
}

void Connection::Deliver(const std::string& reply) {
  if (reply.empty()) return;
  if (output_bytes() == 0) sent_at_ms_ = server_->now_ms();
  const seawall::Lsn lsn = server_->appended_lsn();
  if (held_.empty() && lsn <= server_->reached_lsn()) {
    ready_ += reply;
  } else {
    held_ += reply;
    if (held_marks_.empty() || held_marks_.back().lsn < lsn) held_marks_.push_back({lsn, 0});
    held_marks_.back().bytes += reply.size();
  }
  if (output_bytes() > kHardOutputBytes) {
    server_->CountSlowReader();
    Close();
    return;
  }
  server_->List(this);
}

void Connection::Release(seawall::Lsn reached) {
  size_t bytes = 0;
  while (!held_marks_.empty() && held_marks_.front().lsn <= reached) {
    bytes += held_marks_.front().bytes;
    held_marks_.pop_front();
  }
  if (bytes == 0) return;
  if (bytes == held_.size() && ready_.empty()) {
    ready_.swap(held_);
  } else {
    ready_.append(held_, 0, bytes);
    held_.erase(0, bytes);
  }
}

bool Connection::Turn(seawall::Lsn reached) {
  if (closed_) return false;
  Release(reached);
  Flush();
  if (throttled_ && output_bytes() < kSoftOutputBytes) Process();
  CloseIfDone();
  return !closed_ && !held_.empty();
}

void Connection::Flush() {
  if (closed_ || writing_ || ready_.empty()) return;
  uv_buf_t buffer = uv_buf_init(ready_.data(), static_cast<unsigned>(ready_.size()));
  const int sent = uv_try_write(stream(), &buffer, 1);
  if (sent < 0 && sent != UV_EAGAIN) {
    Close();
    return;
  }
  if (sent > 0) sent_at_ms_ = server_->now_ms();
  if (sent == static_cast<int>(ready_.size())) {
    Clear(&ready_);
    return;
  }
  if (sent > 0) ready_.erase(0, static_cast<size_t>(sent));
  in_flight_.swap(ready_);
  buffer = uv_buf_init(in_flight_.data(), static_cast<unsigned>(in_flight_.size()));
  if (uv_write(&write_, stream(), &buffer, 1, OnWritten) != 0) {
    Close();
    return;
  }
  writing_ = true;
}

void Connection::OnWritten(uv_write_t* request, int status) {
  Connection* self = Of(request->data);
  self->writing_ = false;
  if (self->closed_) return;
  if (status != 0) {
    self->Close();
    return;
  }
  self->sent_at_ms_ = self->server_->now_ms();
  Clear(&self->in_flight_);
  self->Flush();
  if (self->throttled_) self->Process();
  self->CloseIfDone();
}

void Connection::Resume() {
  stalled_ = false;
  Process();
}

void Connection::Abort(std::string_view error) {
  if (closed_) return;
  if (!held_.empty()) AddError(error, &ready_);
  held_.clear();
  held_marks_.clear();
  closing_ = true;
  Flush();
}

void Connection::UpdateReading() {
  const bool wanted = !closed_ && !closing_ && !at_end_ && !throttled_ && !stalled_;
  if (closed_ || wanted == reading_) return;
  reading_ = wanted;
  if (!wanted) {
    uv_read_stop(stream());
  } else if (uv_read_start(stream(), Allocate, OnRead) != 0) {
    Close();
  }
}

void Connection::CloseIfDone() {
  if (closed_ || output_bytes() != 0) return;
  if (closing_ || (at_end_ && !throttled_ && !stalled_)) Close();
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  held_marks_.clear();
  uv_close(&handle_.any, [](uv_handle_t* handle) {
    Connection* self = Of(handle->data);
    self->server_->Forget(self->id_);
    // The last reference, unless the server's list has one until its next turn.
    self->self_.reset();
  });
}

void Connection::CheckTimeouts(uint64_t now_ms, uint64_t idle_ms, uint64_t stall_ms) {
  if (closed_) return;
  const size_t queued = uv_stream_get_write_queue_size(stream());
  if (queued != queued_bytes_) sent_at_ms_ = now_ms;
  queued_bytes_ = queued;
  if (writing_ && stall_ms != 0 && now_ms - sent_at_ms_ > stall_ms) {
    server_->CountSlowReader();
    Close();
  } else if (output_bytes() == 0 && idle_ms != 0 && now_ms - heard_at_ms_ > idle_ms) {
    Close();
  }
}

}  // namespace journal_server
