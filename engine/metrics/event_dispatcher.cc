// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics/event_dispatcher.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

uint64_t MicrosBetween(EventDispatcher::Clock::time_point from,
                       EventDispatcher::Clock::time_point to) {
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(to - from).count();
  return micros > 0 ? static_cast<uint64_t>(micros) : 0;
}

}  // namespace

std::string_view LogEventKindName(LogEventKind kind) {
  switch (kind) {
    case LogEventKind::kSlowWrite:
      return "slow write";
    case LogEventKind::kSlowSync:
      return "slow sync";
    case LogEventKind::kSlowWriteEnded:
      return "slow write ended";
    case LogEventKind::kSlowSyncEnded:
      return "slow sync ended";
    case LogEventKind::kRolloverWait:
      return "rollover wait";
    case LogEventKind::kRetentionStall:
      return "retention stall";
    case LogEventKind::kFailed:
      return "failed";
  }
  return "unknown";
}

std::string LogEvent::ToString() const {
  const std::string_view name = LogEventKindName(kind);
  std::string text = absl::StrCat(absl::string_view(name.data(), name.size()), ", ", path);
  const bool lasts = kind != LogEventKind::kFailed && kind != LogEventKind::kRetentionStall;
  if (lasts) absl::StrAppend(&text, ", ", micros, " us");
  if (!status.ok()) absl::StrAppend(&text, ": ", status.ToString());
  return text;
}

EventDispatcher::EventDispatcher(std::string directory, const Options& options)
    : directory_(std::move(directory)),
      on_event_(options.on_event),
      slow_(std::chrono::microseconds(options.slow_sync_micros)) {}

EventDispatcher::~EventDispatcher() { Stop(); }

void EventDispatcher::Start() {
  if (on_event_ != nullptr) thread_ = std::thread([this] { Run(); });
}

void EventDispatcher::Stop() {
  {
    MutexLock lock(&mutex_);
    stop_ = true;
    work_.NotifyOne();
  }
  if (thread_.joinable()) thread_.join();
}

void EventDispatcher::Post(LogEventKind kind, uint64_t micros, const absl::Status& status,
                           const std::string& path) {
  if (on_event_ == nullptr) return;
  Pending pending{kind,          UnixMicros(),
                  micros,        path.empty() ? directory_ : path,
                  status.code(), std::string(status.message())};
  MutexLock lock(&mutex_);
  Enqueue(std::move(pending));
}

void EventDispatcher::Enqueue(Pending pending) {
  if (stop_ || (pending_.size() >= kMaxPending && pending.kind != LogEventKind::kFailed)) {
    ++lost_;
    return;
  }
  pending_.push_back(std::move(pending));
  work_.NotifyOne();
}

void EventDispatcher::IoBegins(Io io, uint64_t generation, Clock::time_point at) {
  if (on_event_ == nullptr || slow_ == Clock::duration::zero()) return;
  MutexLock lock(&mutex_);
  io_in_flight_ = true;
  io_told_ = false;
  io_ = io;
  io_generation_ = generation;
  io_since_ = at;
  if (idle_) work_.NotifyOne();
}

bool EventDispatcher::IoEnds(Clock::time_point at, const absl::Status& status) {
  if (on_event_ == nullptr || slow_ == Clock::duration::zero()) return false;
  MutexLock lock(&mutex_);
  io_in_flight_ = false;
  if (!io_told_ && at - io_since_ < slow_) return false;
  Enqueue({io_ == Io::kWrite ? LogEventKind::kSlowWriteEnded : LogEventKind::kSlowSyncEnded,
           UnixMicros(), MicrosBetween(io_since_, at),
           JoinPath(directory_, SegmentName(io_generation_)), status.code(),
           std::string(status.message())});
  return true;
}

uint64_t EventDispatcher::lost() const {
  MutexLock lock(&mutex_);
  return lost_;
}

void EventDispatcher::HandOver(Pending pending) {
  mutex_.Unlock();
  bool thrown = false;
  {
    LogEvent event{pending.kind, pending.unix_micros, pending.micros, std::move(pending.path),
                   absl::Status(pending.code, pending.message)};
    // The caller's code: what it throws must not end the process from a thread of the log's.
    try {
      on_event_(event);
    } catch (...) {
      thrown = true;
    }
  }
  mutex_.Lock();
  if (thrown) ++lost_;
}

void EventDispatcher::Watch() {
  if (!io_in_flight_ || io_told_) {
    idle_ = true;
    work_.Wait(&mutex_);
    idle_ = false;
    return;
  }
  const Clock::time_point now = Clock::now();
  if (now < io_since_ + slow_) {
    work_.WaitUntil(&mutex_, io_since_ + slow_);
    return;
  }
  io_told_ = true;
  HandOver({io_ == Io::kWrite ? LogEventKind::kSlowWrite : LogEventKind::kSlowSync, UnixMicros(),
            MicrosBetween(io_since_, now), JoinPath(directory_, SegmentName(io_generation_)),
            absl::StatusCode::kOk, std::string()});
}

void EventDispatcher::Run() {
  mutex_.Lock();
  for (;;) {
    if (!pending_.empty()) {
      Pending next = std::move(pending_.front());
      pending_.pop_front();
      HandOver(std::move(next));
    } else if (stop_) {
      break;
    } else {
      Watch();
    }
  }
  mutex_.Unlock();
}

}  // namespace seawall
