// SPDX-License-Identifier: Apache-2.0
#include "bench/flush_counter.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>

namespace {

std::atomic<uint64_t> flushes{0};

// File descriptors that were opened with O_SYNC or O_DSYNC. Higher ones than these are not known.
constexpr int kMostFds = 1 << 16;
std::atomic<bool> is_sync_fd[kMostFds];

// The function that would have been called.
template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

template <typename Result>
Result CountIf(bool flush, Result result) {
  if (flush && result >= 0) flushes.fetch_add(1, std::memory_order_relaxed);
  return result;
}

bool IsSyncFd(int fd) {
  return fd >= 0 && fd < kMostFds && is_sync_fd[fd].load(std::memory_order_relaxed);
}

int NoteOpen(int fd, int flags) {
  if (fd >= 0 && fd < kMostFds) {
    is_sync_fd[fd].store((flags & (O_SYNC | O_DSYNC)) != 0, std::memory_order_relaxed);
  }
  return fd;
}

// The number may come back as something else that is written to: a pipe, an eventfd.
void NoteClose(int fd) { NoteOpen(fd, 0); }

bool IsSyncWrite(const iocb& request) {
  if (request.aio_lio_opcode == IOCB_CMD_FSYNC || request.aio_lio_opcode == IOCB_CMD_FDSYNC) {
    return true;
  }
  if (request.aio_lio_opcode != IOCB_CMD_PWRITE && request.aio_lio_opcode != IOCB_CMD_PWRITEV) {
    return false;
  }
  const auto flags = static_cast<uint32_t>(request.aio_rw_flags);
  return (flags & (RWF_DSYNC | RWF_SYNC)) != 0 || IsSyncFd(static_cast<int>(request.aio_fildes));
}

// What Linux AIO has completed: an attempt that ended with EAGAIN (RWF_NOWAIT) was no flush.
void CountAioEvents(const io_event* events, long count) {
  for (long i = 0; i < count; ++i) {
    const auto* request = reinterpret_cast<const iocb*>(events[i].obj);
    CountIf(request != nullptr && IsSyncWrite(*request), events[i].res);
  }
}

}  // namespace

// The mode is there only with O_CREAT or O_TMPFILE; reading it in any case does no harm, as open(2)
// looks at it only then.
#define SEAWALL_INTERPOSE_OPEN(name)                                   \
  extern "C" int name(const char* path, int flags, ...) {              \
    static auto* const next = Next<int(const char*, int, ...)>(#name); \
    va_list list;                                                      \
    va_start(list, flags);                                             \
    const mode_t mode = va_arg(list, mode_t);                          \
    va_end(list);                                                      \
    return NoteOpen(next(path, flags, mode), flags);                   \
  }
SEAWALL_INTERPOSE_OPEN(open)
SEAWALL_INTERPOSE_OPEN(open64)

#define SEAWALL_INTERPOSE_OPENAT(name)                                      \
  extern "C" int name(int directory, const char* path, int flags, ...) {    \
    static auto* const next = Next<int(int, const char*, int, ...)>(#name); \
    va_list list;                                                           \
    va_start(list, flags);                                                  \
    const mode_t mode = va_arg(list, mode_t);                               \
    va_end(list);                                                           \
    return NoteOpen(next(directory, path, flags, mode), flags);             \
  }
SEAWALL_INTERPOSE_OPENAT(openat)
SEAWALL_INTERPOSE_OPENAT(openat64)

extern "C" int close(int fd) {
  static auto* const next = Next<int(int)>("close");
  NoteClose(fd);
  return next(fd);
}

extern "C" int fsync(int fd) {
  static auto* const next = Next<int(int)>("fsync");
  return CountIf(true, next(fd));
}

extern "C" int fdatasync(int fd) {
  static auto* const next = Next<int(int)>("fdatasync");
  return CountIf(true, next(fd));
}

extern "C" int msync(void* address, size_t bytes, int flags) {
  static auto* const next = Next<int(void*, size_t, int)>("msync");
  return CountIf((flags & MS_SYNC) != 0, next(address, bytes, flags));
}

extern "C" ssize_t write(int fd, const void* from, size_t bytes) {
  static auto* const next = Next<ssize_t(int, const void*, size_t)>("write");
  return CountIf(IsSyncFd(fd), next(fd, from, bytes));
}

extern "C" ssize_t writev(int fd, const iovec* parts, int count) {
  static auto* const next = Next<ssize_t(int, const iovec*, int)>("writev");
  return CountIf(IsSyncFd(fd), next(fd, parts, count));
}

#define SEAWALL_INTERPOSE_PWRITE(name)                                                 \
  extern "C" ssize_t name(int fd, const void* from, size_t bytes, off64_t offset) {    \
    static auto* const next = Next<ssize_t(int, const void*, size_t, off64_t)>(#name); \
    return CountIf(IsSyncFd(fd), next(fd, from, bytes, offset));                       \
  }
SEAWALL_INTERPOSE_PWRITE(pwrite)
SEAWALL_INTERPOSE_PWRITE(pwrite64)

#define SEAWALL_INTERPOSE_PWRITEV(name)                                              \
  extern "C" ssize_t name(int fd, const iovec* parts, int count, off64_t offset) {   \
    static auto* const next = Next<ssize_t(int, const iovec*, int, off64_t)>(#name); \
    return CountIf(IsSyncFd(fd), next(fd, parts, count, offset));                    \
  }
SEAWALL_INTERPOSE_PWRITEV(pwritev)
SEAWALL_INTERPOSE_PWRITEV(pwritev64)

#define SEAWALL_INTERPOSE_PWRITEV2(name)                                                      \
  extern "C" ssize_t name(int fd, const iovec* parts, int count, off64_t offset, int flags) { \
    static auto* const next = Next<ssize_t(int, const iovec*, int, off64_t, int)>(#name);     \
    return CountIf(IsSyncFd(fd) || (flags & (RWF_DSYNC | RWF_SYNC)) != 0,                     \
                   next(fd, parts, count, offset, flags));                                    \
  }
SEAWALL_INTERPOSE_PWRITEV2(pwritev2)
SEAWALL_INTERPOSE_PWRITEV2(pwritev64v2)

// Linux AIO has no functions in the C library, and libuv closes files by number.
extern "C" long syscall(long number, ...) {
  static auto* const next = Next<long(long, ...)>("syscall");
  va_list list;
  va_start(list, number);
  long argument[6];
  for (long& each : argument) each = va_arg(list, long);
  va_end(list);
  if (number == SYS_close) NoteClose(static_cast<int>(argument[0]));
  const long result =
      next(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
  if (number == SYS_io_getevents || number == SYS_io_pgetevents) {
    CountAioEvents(reinterpret_cast<const io_event*>(argument[3]), result);
  }
  return result;
}

namespace seawall::bench {

uint64_t FlushCount() { return flushes.load(std::memory_order_relaxed); }

}  // namespace seawall::bench
