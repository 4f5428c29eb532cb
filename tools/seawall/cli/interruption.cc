// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/cli/interruption.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>

namespace seawall {
namespace {

// What a handler can reach. The event wakes poll(): a flag alone could be set just before it.
std::atomic<int> caught{0};
int event_fd = -1;

void Keep(int signal) {
  const int saved_errno = errno;
  int none = 0;
  const uint64_t one = 1;
  if (caught.compare_exchange_strong(none, signal) &&
      write(event_fd, &one, sizeof(one)) != sizeof(one)) {
    std::abort();  // an event of its own has room for the first one
  }
  errno = saved_errno;
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

}  // namespace seawall
