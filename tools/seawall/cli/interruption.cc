// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/cli/interruption.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

// After the signal: the command's group is asked to end, is made to end, and the process ends. All
// of it is within two seconds, with some time to be scheduled.
constexpr std::chrono::milliseconds kAskAfter(800);
constexpr std::chrono::milliseconds kKillAfter(1200);
constexpr std::chrono::milliseconds kEndAfter(1600);
// A signal that comes sooner after the first one is part of it.
constexpr int64_t kSameSignalNanos = 200'000'000;

// What a handler can reach. The event wakes poll(): a flag alone could be set just before it.
std::atomic<int> caught{0};
std::atomic<int64_t> caught_at{0};
std::atomic<pid_t> group{0};
int event_fd = -1;

int64_t NowNanos() {
  timespec now = {};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

void Keep(int signal) {
  const int saved_errno = errno;
  int none = 0;
  const uint64_t one = 1;
  if (caught == 0) caught_at = NowNanos();
  if (caught.compare_exchange_strong(none, signal)) {
    // An event of its own has room for the first one.
    if (write(event_fd, &one, sizeof(one)) != sizeof(one)) std::abort();
  } else if (NowNanos() - caught_at > kSameSignalNanos) {
    const pid_t running = group;
    if (running != 0) (void)kill(-running, SIGKILL);
    (void)std::signal(signal, SIG_DFL);
    (void)raise(signal);  // delivered when this handler returns
  }
  errno = saved_errno;
}

// Guards that a group is started, ended and forgotten one after the other: once its leader is
// reaped, the number may be another process's.
std::mutex group_mutex;
bool groups_may_start = true;  // guarded by group_mutex

void SignalGroup(int signal) {
  const std::lock_guard<std::mutex> lock(group_mutex);
  groups_may_start = false;
  const pid_t running = group;
  if (running != 0) (void)kill(-running, signal);
}

}  // namespace

Interruption::Interruption() {
  event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  // No descriptor left: signals end the process as they always did.
  if (event_fd < 0) return;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now = {};
    if (sigaction(signal, nullptr, &now) != 0 || now.sa_handler == SIG_IGN) continue;
    struct sigaction keep = {};
    keep.sa_handler = Keep;
    keep.sa_flags = SA_RESTART;
    (void)sigaction(signal, &keep, nullptr);
  }
}

int Interruption::signal() const { return caught; }

std::string Interruption::name() const { return strsignal(caught); }

bool Interruption::WaitForInput(int fd) const {
  pollfd polled[] = {{event_fd, POLLIN, 0}, {fd, POLLIN, 0}};
  while (poll(polled, 2, -1) < 0 && errno == EINTR && caught == 0) {
  }
  return caught == 0;
}

void Interruption::Die() const {
  const int signal = caught;
  std::signal(signal, SIG_DFL);
  std::raise(signal);
  std::_Exit(128 + signal);  // it was blocked
}

bool Interruption::StartGroup(const std::function<pid_t()>& start) {
  const std::lock_guard<std::mutex> lock(group_mutex);
  if (!groups_may_start) return false;
  group = start();
  return true;
}

int Interruption::AwaitGroup() {
  siginfo_t info;
  // It stays a zombie, and its number its own, until nobody can signal it any more.
  while (waitid(P_PID, static_cast<id_t>(group), &info, WEXITED | WNOWAIT) < 0) {
    if (errno != EINTR) return -1;
  }
  const std::lock_guard<std::mutex> lock(group_mutex);
  const pid_t leader = group.exchange(0);
  // What the leader has left behind goes with it, if it was to end.
  if (!groups_may_start) (void)kill(-leader, SIGKILL);
  int status = 0;
  while (waitpid(leader, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return status;
}

struct EndInTime::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;  // what was to end has ended
};

EndInTime::EndInTime(const Interruption& interruption, std::function<void()> last_words)
    : state_(std::make_shared<State>()) {
  if (event_fd < 0) return;
  const auto wait = [&interruption, state = state_, last_words = std::move(last_words)] {
    pollfd polled = {event_fd, POLLIN, 0};
    while (poll(&polled, 1, -1) < 0 && errno == EINTR) {
    }
    const Clock::time_point signalled = Clock::now();
    std::unique_lock<std::mutex> lock(state->mutex);
    const auto over = [&state] { return state->over; };
    if (state->changed.wait_until(lock, signalled + kAskAfter, over)) return;
    SignalGroup(SIGTERM);
    if (state->changed.wait_until(lock, signalled + kKillAfter, over)) return;
    SignalGroup(SIGKILL);
    if (state->changed.wait_until(lock, signalled + kEndAfter, over)) return;
    last_words();
    interruption.Die();
  };
  try {
    std::thread(wait).detach();
  } catch (const std::system_error&) {
    // With no thread to be had, it ends as soon as what it waits for lets it.
  }
}

EndInTime::~EndInTime() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->over = true;
  state_->changed.notify_all();
}

}  // namespace seawall
