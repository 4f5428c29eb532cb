// SPDX-License-Identifier: Apache-2.0
#include "engine/io/descriptor.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <new>
#include <vector>

namespace seawall {
namespace {

constexpr int kFirstAllowed = 3;

// The descriptors that a forked child closes. fork() copies only the calling thread, so the
// handlers hold the mutex across it: the child then finds the list whole, and the mutex its own.
struct ForkList {
  std::mutex mutex;
  std::vector<int> fds;  // guarded by `mutex`
};

ForkList& Forks() {
  static ForkList* const list = new ForkList;  // never destroyed: no order of exit
  return *list;
}

void BeforeFork() { Forks().mutex.lock(); }
void InParent() { Forks().mutex.unlock(); }
void InChild() {
  for (int fd : Forks().fds) close(fd);
  Forks().fds.clear();
  Forks().mutex.unlock();
}

// Registers the handlers, once in the life of the process and of the children that inherit them.
int RegisterHandlers() {
  static const int error = pthread_atfork(BeforeFork, InParent, InChild);
  return error;
}

}  // namespace

Descriptor::Descriptor(int fd) : fd_(fd), error_(fd < 0 ? errno : 0) {
  if (fd < 0 || fd >= kFirstAllowed) return;
  fd_ = fcntl(fd, F_DUPFD_CLOEXEC, kFirstAllowed);
  if (fd_ < 0) error_ = errno;
  close(fd);
}

Descriptor Descriptor::ClosedOnFork(const std::function<int()>& open) {
  Descriptor descriptor;
  descriptor.error_ = RegisterHandlers();
  if (descriptor.error_ != 0) return descriptor;
  const std::lock_guard<std::mutex> lock(Forks().mutex);
  try {
    Forks().fds.reserve(Forks().fds.size() + 1);
  } catch (const std::bad_alloc&) {
    descriptor.error_ = ENOMEM;
    return descriptor;
  }
  Descriptor opened(open());
  if (opened.error() == 0) {
    Forks().fds.push_back(opened.get());
    opened.close_on_fork_ = true;
  }
  return opened;
}

// What close(2) returns tells nothing that matters: what has to be on disk was synced before.
Descriptor::~Descriptor() {
  if (fd_ < 0) return;
  if (close_on_fork_) {
    const std::lock_guard<std::mutex> lock(Forks().mutex);
    std::vector<int>& fds = Forks().fds;
    const auto found = std::find(fds.begin(), fds.end(), fd_);
    // In a child it is closed already, and the number may be another file's.
    if (found == fds.end()) return;
    fds.erase(found);
    close(fd_);
    return;
  }
  close(fd_);
}

}  // namespace seawall
