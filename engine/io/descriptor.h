// SPDX-License-Identifier: Apache-2.0
// A file descriptor that closes itself.
#ifndef SEAWALL_ENGINE_IO_DESCRIPTOR_H_
#define SEAWALL_ENGINE_IO_DESCRIPTOR_H_

#include <functional>
#include <utility>

namespace seawall {

// The number is never 0, 1 or 2. A host that was started with its standard streams closed would
// otherwise get its log's files there, and whatever it prints would go over acknowledged records.
class Descriptor {
 public:
  Descriptor() = default;
  // Takes over `fd`, or the error that errno holds if `fd` is negative. A low number is exchanged
  // for one above 2.
  explicit Descriptor(int fd);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        error_(std::exchange(other.error_, 0)),
        close_on_fork_(std::exchange(other.close_on_fork_, false)) {}
  Descriptor& operator=(Descriptor&&) = delete;

  int get() const { return fd_; }
  // An errno value: 0 if there is a descriptor.
  int error() const { return error_; }

  // One of which a child made by fork(2) closes its copy before fork() returns there. `open` makes
  // the descriptor, as open(2) does; no fork falls between that and its registration.
  static Descriptor ClosedOnFork(const std::function<int()>& open);

 private:
  int fd_ = -1;
  int error_ = 0;
  bool close_on_fork_ = false;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_IO_DESCRIPTOR_H_
