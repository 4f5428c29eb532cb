// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/server.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "examples/journal_server/reply.h"

namespace journal_server {
namespace {

// Small pieces: what is fed to the parser is moved once for each KiB that is taken.
constexpr size_t kReadBytes = 16 << 10;
constexpr int kBacklog = 511;
constexpr uint64_t kTickMs = 100;
constexpr uint64_t kTicksPerSecond = 10;
constexpr int kExpiredPerTick = 2000;
// After a snapshot that failed, before the next is tried.
constexpr uint64_t kSnapshotPauseMs = 10000;
// Files that are not clients: log, snapshot, loop, standard streams.
constexpr uint32_t kOtherFiles = 64;

int64_t WallClockMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

absl::Status UvError(int error, const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", uv_strerror(error)));
}

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("mkdir ", path, ": ", std::generic_category().message(errno)));
}

// As many files as the system lets this process open, and so at most so many clients.
uint32_t RaiseFileLimit(uint32_t clients) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return clients;
  const rlim_t wanted = rlim_t{clients} + kOtherFiles;
  if (limit.rlim_cur < wanted) {
    limit.rlim_cur = std::min(wanted, limit.rlim_max);
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= wanted) return clients;
  return limit.rlim_cur > kOtherFiles ? static_cast<uint32_t>(limit.rlim_cur) - kOtherFiles : 1;
}

template <typename Handle>
Server* ServerOf(Handle* handle) {
  return static_cast<Server*>(handle->data);
}

template <typename Handle>
uv_stream_t* AsStream(Handle* handle) {
  return reinterpret_cast<uv_stream_t*>(handle);
}

}  // namespace

Server::Server(const ServerOptions& options) : options_(options), read_buffer_(kReadBytes) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Create(const ServerOptions& options) {
  std::unique_ptr<Server> server(new Server(options));
  absl::Status status = server->Start();
  if (!status.ok()) return status;
  return server;
}

Server::~Server() { (void)CloseAll(); }

absl::Status Server::Start() {
  absl::Status status = MakeDirectory(options_.directory);
  if (status.ok()) status = StartLoop();
  if (!status.ok()) return status;
  JournalOptions options;
  options.acknowledge = options_.acknowledge;
  options.segment_bytes = options_.segment_bytes;
  absl::StatusOr<std::unique_ptr<Journal>> journal =
      Journal::Open(options_.directory, options, &store_, [this] { (void)uv_async_send(&wake_); });
  if (!journal.ok()) return journal.status();
  journal_ = *std::move(journal);
  reached_lsn_ = journal_->Reached();
  executor_ = std::make_unique<Executor>(&store_, journal_.get(), this, WallClockMs);
  checkpoint_ =
      std::make_unique<Checkpoint>(&loop_, journal_.get(), &store_, nullptr, options_.directory);
  max_clients_ = RaiseFileLimit(options_.max_clients);
  if (options_.port >= 0) status = ListenTcp();
  if (status.ok() && !options_.unix_socket.empty()) status = ListenUnix();
  return status;
}

absl::Status Server::StartLoop() {
  int error = uv_loop_init(&loop_);
  if (error != 0) return UvError(error, "uv_loop_init");
  loop_open_ = true;
  wake_.data = turn_.data = tick_.data = tcp_.data = pipe_.data = sync_.data = this;
  // A wake-up has nothing to do but to begin a turn.
  error = uv_async_init(&loop_, &wake_, [](uv_async_t*) {});
  if (error != 0) return UvError(error, "uv_async_init");
  uv_prepare_init(&loop_, &turn_);
  uv_prepare_start(&turn_, [](uv_prepare_t* handle) { ServerOf(handle)->Turn(); });
  uv_timer_init(&loop_, &tick_);
  uv_timer_start(
      &tick_, [](uv_timer_t* handle) { ServerOf(handle)->Tick(); }, kTickMs, kTickMs);
  const int numbers[] = {SIGTERM, SIGINT};
  for (int i = 0; i < 2; ++i) {
    uv_signal_init(&loop_, &signals_[i]);
    signals_[i].data = this;
    uv_signal_start(
        &signals_[i], [](uv_signal_t* handle, int) { ServerOf(handle)->Shutdown(); }, numbers[i]);
  }
  return absl::OkStatus();
}

absl::Status Server::ListenTcp() {
  sockaddr_in address;
  int error = uv_ip4_addr(options_.bind.c_str(), options_.port, &address);
  if (error != 0) return UvError(error, absl::StrCat("address ", options_.bind));
  error = uv_tcp_init(&loop_, &tcp_);
  if (error == 0) error = uv_tcp_bind(&tcp_, reinterpret_cast<const sockaddr*>(&address), 0);
  if (error == 0) error = uv_listen(AsStream(&tcp_), kBacklog, OnClient);
  if (error != 0) {
    return UvError(error, absl::StrCat("listen at ", options_.bind, ":", options_.port));
  }
  int bytes = sizeof(address);
  error = uv_tcp_getsockname(&tcp_, reinterpret_cast<sockaddr*>(&address), &bytes);
  if (error != 0) return UvError(error, "getsockname");
  address_ = absl::StrCat(options_.bind, ":", ntohs(address.sin_port));
  return absl::OkStatus();
}

absl::Status Server::ListenUnix() {
  const std::string& path = options_.unix_socket;
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("socket ", path, ": longer than ",
                                                   sizeof(sockaddr_un::sun_path) - 1, " bytes"));
  }
  // A killed server leaves its socket behind. That there is no other server is known from the log,
  // which is locked.
  struct stat info;
  if (stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) unlink(path.c_str());
  int error = uv_pipe_init(&loop_, &pipe_, 0);
  if (error == 0) error = uv_pipe_bind(&pipe_, path.c_str());
  if (error == 0) error = uv_listen(AsStream(&pipe_), kBacklog, OnClient);
  if (error != 0) return UvError(error, absl::StrCat("listen at ", path));
  absl::StrAppend(&address_, address_.empty() ? "" : " and ", path);
  return absl::OkStatus();
}

void Server::OnClient(uv_stream_t* listener, int status) {
  Server* self = ServerOf(listener);
  // libuv says so when the process has no more files: there will be other callbacks.
  if (status != 0) {
    ++self->refused_;
    return;
  }
  const uint64_t id = self->next_id_++;
  auto connection = std::make_shared<Connection>(self, id);
  if (!connection->Accept(&self->loop_, listener)) return;
  self->connections_[id] = connection.get();
  ++self->accepted_;
  if (self->connections_.size() > self->max_clients_) {
    ++self->refused_;
    connection->Refuse("ERR max number of clients reached");
  }
}

void Server::List(Connection* connection) {
  if (connection->listed()) return;
  connection->set_listed(true);
  listed_.push_back(connection->shared_from_this());
}

void Server::ResumeLater(std::shared_ptr<Connection> connection) {
  stalled_.push_back(std::move(connection));
}

void Server::Turn() {
  if (stopped_) return;
  journal_->Push();
  if (!journal_->failure().ok()) return Stop();
  const seawall::Lsn reached = journal_->Reached();
  if (reached != reached_lsn_) {
    reached_lsn_ = reached;
    listed_.insert(listed_.end(), waiting_.begin(), waiting_.end());
    waiting_.clear();
  }
  // Going on with a client may put it, or none other, on the lists again.
  std::vector<std::shared_ptr<Connection>> stalled;
  stalled.swap(stalled_);
  for (const auto& connection : stalled) connection->Resume();
  turning_.swap(listed_);
  for (std::shared_ptr<Connection>& connection : turning_) {
    connection->set_listed(false);
    if (!connection->Turn(reached_lsn_) || connection->listed()) continue;
    connection->set_listed(true);
    waiting_.push_back(std::move(connection));
  }
  turning_.clear();
  // What ran just now was appended behind the Push() above.
  journal_->Push();
  if (stopping_) Stop();
}

void Server::Tick() {
  if (stopped_) return;
  (void)executor_->DeleteExpired(kExpiredPerTick);
  if (++ticks_ % kTicksPerSecond == 0) {
    CheckTimeouts();
    if (options_.acknowledge == Acknowledge::kEverySecond) SyncEverySecond();
  }
  const bool due = options_.checkpoint_bytes != 0 &&
                   journal_->bytes_since_snapshot() >= options_.checkpoint_bytes;
  const bool pause =
      !checkpoint_->status().ok() && uv_now(&loop_) - checkpoint_->ended_at_ms() < kSnapshotPauseMs;
  if (due && !pause && !checkpoint_->running()) checkpoint_->Start();
}

void Server::CheckTimeouts() {
  std::vector<Connection*> all;
  for (const auto& [id, connection] : connections_) all.push_back(connection);
  for (Connection* connection : all) {
    connection->CheckTimeouts(uv_now(&loop_), options_.idle_seconds * 1000,
                              options_.stall_seconds * 1000);
  }
}

void Server::SyncEverySecond() {
  if (sync_queued_ || journal_->log()->durable_lsn() >= journal_->appended_lsn()) return;
  sync_queued_ = true;
  journal_->BeginSync();
  const int error = uv_queue_work(
      &loop_, &sync_,
      [](uv_work_t* work) {
        // A failure is latched: the next Push() meets it.
        Journal* journal = ServerOf(work)->journal_.get();
        (void)journal->Sync(journal->log()->appended_lsn());
      },
      [](uv_work_t* work, int) {
        ServerOf(work)->journal_->EndSync();
        ServerOf(work)->sync_queued_ = false;
      });
  if (error == 0) return;
  journal_->EndSync();
  sync_queued_ = false;
}

std::string Server::StartSnapshot() {
  if (checkpoint_->running()) return "Background save already in progress";
  checkpoint_->Start();
  return "";
}

// In good order, or as the journal failed: answers those who wait.
void Server::Stop() {
  stopped_ = true;
  absl::Status status = journal_->failure();
  if (status.ok()) status = journal_->Sync(journal_->appended_lsn());
  for (const auto& [id, connection] : connections_) {
    if (status.ok()) {
      (void)connection->Turn(journal_->appended_lsn());
    } else {
      connection->Abort(
          absl::StrCat("IOERR the journal failed, this may be lost: ", status.ToString()));
    }
  }
  uv_stop(&loop_);
}

absl::Status Server::Run() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  return CloseAll();
}

absl::Status Server::CloseAll() {
  if (!loop_open_) return absl::OkStatus();
  loop_open_ = false;
  stopped_ = true;
  absl::Status status = journal_ == nullptr ? absl::OkStatus() : journal_->failure();
  if (checkpoint_ != nullptr) checkpoint_->Abandon();
  // Worker threads are done, and callbacks of the log have run, before what they use goes away.
  while (checkpoint_ != nullptr && (checkpoint_->running() || sync_queued_)) {
    uv_run(&loop_, UV_RUN_ONCE);
  }
  if (journal_ != nullptr) {
    absl::Status closed = journal_->log()->Close();
    if (status.ok()) status = closed;
  }
  std::vector<Connection*> all;
  for (const auto& [id, connection] : connections_) all.push_back(connection);
  for (Connection* connection : all) connection->Close();
  uv_walk(
      &loop_,
      [](uv_handle_t* handle, void*) {
        if (!uv_is_closing(handle)) uv_close(handle, nullptr);
      },
      nullptr);
  uv_run(&loop_, UV_RUN_DEFAULT);
  listed_.clear();
  waiting_.clear();
  stalled_.clear();
  if (uv_loop_close(&loop_) != 0 && status.ok()) {
    status = absl::InternalError("the event loop has something left to do");
  }
  return status;
}

}  // namespace journal_server
