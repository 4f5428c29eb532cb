// SPDX-License-Identifier: Apache-2.0
#include "engine/io/inotify_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <utility>

#include "engine/io/descriptor.h"

namespace seawall {
namespace {

// Names, not writes: each write to a segment would wake all that follow.
constexpr uint32_t kDirectoryEvents = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM |
                                      IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr uint32_t kFileEvents = IN_MODIFY;

class InotifyWatch : public FileWatch {
 public:
  InotifyWatch(Descriptor inotify, Descriptor wake, std::string path)
      : inotify_descriptor_(std::move(inotify)),
        wake_descriptor_(std::move(wake)),
        inotify_(inotify_descriptor_.get()),
        wake_(wake_descriptor_.get()),
        path_(std::move(path)) {}

  int WatchDirectory(const std::string& directory) const {
    return inotify_add_watch(inotify_, directory.c_str(), kDirectoryEvents) < 0 ? errno : 0;
  }

  // The file's, again where it is another one. Without the file, its directory tells that it came.
  int WatchFile() {
    if (inotify_add_watch(inotify_, path_.c_str(), kFileEvents) >= 0) return 0;
    return errno == ENOENT ? 0 : errno;
  }

  int Wait(uint64_t timeout_micros) override {
    struct pollfd fds[2] = {{inotify_, POLLIN, 0}, {wake_, POLLIN, 0}};
    const uint64_t millis = (timeout_micros + 999) / 1000;
    if (poll(fds, 2, static_cast<int>(std::min<uint64_t>(millis, INT_MAX))) < 0) {
      return errno == EINTR ? 0 : errno;
    }
    if (fds[1].revents != 0) {
      uint64_t count;
      if (read(wake_, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR) return errno;
    }
    return fds[0].revents != 0 ? Drain() : 0;
  }

  void Wake() override {
    // It fails only where the counter is at its end: then it is awake already.
    const uint64_t one = 1;
    (void)!write(wake_, &one, sizeof(one));
  }

 private:
  int Drain() {
    alignas(struct inotify_event) char events[4096];
    for (;;) {
      const ssize_t got = read(inotify_, events, sizeof(events));
      if (got < 0) return errno == EAGAIN ? 0 : errno == EINTR ? 0 : errno;
      bool names = false;
      for (ssize_t at = 0; at < got;) {
        struct inotify_event event;
        std::memcpy(&event, events + at, sizeof(event));
        names = names || (event.mask & ~kFileEvents) != 0;
        at += static_cast<ssize_t>(sizeof(event) + event.len);
      }
      if (!names) continue;
      if (const int error = WatchFile(); error != 0) return error;
    }
  }

  const Descriptor inotify_descriptor_;
  const Descriptor wake_descriptor_;
  const int inotify_;
  const int wake_;
  const std::string path_;
};

}  // namespace

int NewInotifyWatch(const std::string& directory, const std::string& name,
                    std::unique_ptr<FileWatch>* watch) {
  Descriptor inotify(inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (inotify.error() != 0) return inotify.error();
  Descriptor wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (wake.error() != 0) return wake.error();
  auto made =
      std::make_unique<InotifyWatch>(std::move(inotify), std::move(wake), directory + "/" + name);
  if (const int error = made->WatchDirectory(directory); error != 0) return error;
  // The directory first: a file that is made in between is noticed.
  if (const int error = made->WatchFile(); error != 0) return error;
  *watch = std::move(made);
  return 0;
}

}  // namespace seawall
