// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/recording_disk.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace seawall {
namespace {

constexpr uint64_t kMaxEvents = uint64_t{1} << 20;
constexpr uint64_t kMaxBytes = uint64_t{2} << 30;
constexpr size_t kMaxWrite = size_t{1} << 20;

absl::Status ErrnoError(const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::generic_category().message(errno)));
}

}  // namespace

struct RecordingDisk::Event {
  bool is_flush = false;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  uint64_t data = 0;  // offset in Tape::data
};

// Memory that both processes see. Pages that are not touched cost nothing.
struct RecordingDisk::Tape {
  std::atomic<uint64_t> events{0};
  std::atomic<uint64_t> used{0};
  Event event[kMaxEvents];
  char data[kMaxBytes];

  bool Add(bool is_flush, uint64_t offset, const char* from, uint64_t bytes) {
    const uint64_t number = events.load();
    const uint64_t at = used.load();
    if (number == kMaxEvents || bytes > kMaxBytes - at) return false;
    if (bytes > 0) std::memcpy(data + at, from, bytes);
    event[number] = {is_flush, offset, bytes, at};
    used = at + bytes;
    events = number + 1;
    return true;
  }
};

namespace {

template <typename T>
T As(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

// Answers one request after the other: so the order of the tape is the order of the disk.
template <typename Tape>
class Server {
 public:
  Server(int fuse, int image, uint64_t bytes, Tape* tape)
      : fuse_(fuse), image_(image), bytes_(bytes), tape_(tape) {}

  // Until the file is unmounted.
  void Run() {
    std::vector<char> request(kMaxWrite + (size_t{64} << 10));
    for (;;) {
      const ssize_t got = read(fuse_, request.data(), request.size());
      if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT)) continue;
      if (got < static_cast<ssize_t>(sizeof(fuse_in_header))) return;
      Answer(As<fuse_in_header>(request.data()), request.data() + sizeof(fuse_in_header));
    }
  }

 private:
  void Answer(const fuse_in_header& in, const char* body) {
    switch (in.opcode) {
      case FUSE_INIT: {
        const auto init = As<fuse_init_in>(body);
        fuse_init_out out = {};
        out.major = FUSE_KERNEL_VERSION;
        out.minor = std::min<uint32_t>(init.minor, 31);
        out.max_readahead = init.max_readahead;
        out.flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES;
        out.max_write = kMaxWrite;
        out.max_pages = kMaxWrite / 4096;
        out.max_background = 16;
        out.congestion_threshold = 12;
        out.time_gran = 1;
        return Reply(in, 0, &out, sizeof(out));
      }
      case FUSE_GETATTR: {
        fuse_attr_out out = {};
        out.attr_valid = 3600;
        out.attr.ino = FUSE_ROOT_ID;
        out.attr.size = bytes_;
        out.attr.blocks = bytes_ / 512;
        out.attr.mode = S_IFREG | 0600;
        out.attr.nlink = 1;
        out.attr.blksize = 4096;
        return Reply(in, 0, &out, sizeof(out));
      }
      case FUSE_OPEN: {
        fuse_open_out out = {};
        out.open_flags = FOPEN_DIRECT_IO;  // no cache between the loop device and this
        return Reply(in, 0, &out, sizeof(out));
      }
      case FUSE_READ: {
        const auto what = As<fuse_read_in>(body);
        std::vector<char> data(what.size);
        const ssize_t got =
            pread(image_, data.data(), data.size(), static_cast<off_t>(what.offset));
        if (got < 0) return Reply(in, -errno, nullptr, 0);
        return Reply(in, 0, data.data(), static_cast<size_t>(got));
      }
      case FUSE_WRITE: {
        const auto what = As<fuse_write_in>(body);
        const char* data = body + sizeof(fuse_write_in);
        if (what.offset + what.size > bytes_ ||
            pwrite(image_, data, what.size, static_cast<off_t>(what.offset)) !=
                static_cast<ssize_t>(what.size) ||
            !tape_->Add(false, what.offset, data, what.size)) {
          return Reply(in, -ENOSPC, nullptr, 0);
        }
        fuse_write_out out = {};
        out.size = what.size;
        return Reply(in, 0, &out, sizeof(out));
      }
      case FUSE_FSYNC:
        return Reply(in, tape_->Add(true, 0, nullptr, 0) ? 0 : -ENOSPC, nullptr, 0);
      case FUSE_FLUSH:
      case FUSE_RELEASE:
      case FUSE_DESTROY:
        return Reply(in, 0, nullptr, 0);
      case FUSE_FORGET:
      case FUSE_BATCH_FORGET:
      case FUSE_INTERRUPT:
        return;  // these want no answer
      default:
        return Reply(in, -ENOSYS, nullptr, 0);
    }
  }

  void Reply(const fuse_in_header& in, int error, const void* body, size_t bytes) {
    fuse_out_header out = {static_cast<uint32_t>(sizeof(out) + bytes), error, in.unique};
    iovec parts[2] = {{&out, sizeof(out)}, {const_cast<void*>(body), bytes}};
    if (writev(fuse_, parts, bytes > 0 ? 2 : 1) < 0 && errno != ENOENT) std::perror("fuse reply");
  }

  const int fuse_;
  const int image_;
  const uint64_t bytes_;
  Tape* const tape_;
};

void CopySparse(int from, int to, uint64_t bytes) {
  std::vector<char> data(size_t{1} << 20);
  off_t at = 0;
  for (;;) {
    at = lseek(from, at, SEEK_DATA);
    if (at < 0 || static_cast<uint64_t>(at) >= bytes) return;
    off_t end = lseek(from, at, SEEK_HOLE);
    while (at < end) {
      const size_t step = std::min(data.size(), static_cast<size_t>(end - at));
      if (pread(from, data.data(), step, at) != static_cast<ssize_t>(step) ||
          pwrite(to, data.data(), step, at) != static_cast<ssize_t>(step)) {
        std::perror("copy an image");
        std::abort();
      }
      at += static_cast<off_t>(step);
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<RecordingDisk>> RecordingDisk::New(OwnedFd image, uint64_t bytes) {
  const std::string reason = WhyNoMounts();
  if (!reason.empty()) return absl::UnimplementedError(reason);
  OwnedFd fuse(open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (fuse.get() < 0) return absl::UnimplementedError("no FUSE here: /dev/fuse does not open");
  std::unique_ptr<RecordingDisk> disk(new RecordingDisk);
  disk->image_ = std::move(image);
  disk->bytes_ = bytes;
  disk->path_ = disk->directory_.path() + "/disk";
  void* memory = mmap(nullptr, sizeof(Tape), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return ErrnoError("map the tape");
  disk->tape_ = new (memory) Tape;
  OwnedFd live = SparseMemoryFile(bytes);
  CopySparse(disk->image_.get(), live.get(), bytes);

  // The root of this file system is a regular file, so it is mounted on one.
  OwnedFd point(open(disk->path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const std::string data = absl::StrCat("fd=", fuse.get(), ",rootmode=100000,user_id=0,group_id=0");
  if (mount("seawall", disk->path_.c_str(), "fuse", MS_NOSUID | MS_NODEV, data.c_str()) != 0) {
    return ErrnoError("mount fuse");
  }
  disk->mounted_ = true;
  disk->server_ = fork();
  if (disk->server_ < 0) return ErrnoError("fork");
  if (disk->server_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Server<Tape>(fuse.get(), live.get(), bytes, disk->tape_).Run();
    _exit(0);
  }
  return disk;
}

RecordingDisk::~RecordingDisk() {
  if (mounted_ && umount2(path_.c_str(), 0) != 0) {
    std::perror("unmount the recording disk");
    (void)umount2(path_.c_str(), MNT_DETACH);
    if (server_ > 0) kill(server_, SIGKILL);
  }
  if (server_ > 0) waitpid(server_, nullptr, 0);
  if (tape_ != nullptr) munmap(tape_, sizeof(Tape));
}

absl::StatusOr<OwnedFd> RecordingDisk::Open() const {
  OwnedFd fd(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoError("open " + path_);
  return fd;
}

uint64_t RecordingDisk::events() const { return tape_->events.load(); }
uint64_t RecordingDisk::written_bytes() const { return tape_->used.load(); }

std::vector<uint64_t> RecordingDisk::flushes() const {
  std::vector<uint64_t> found;
  for (uint64_t i = 0; i < events(); ++i) {
    if (tape_->event[i].is_flush) found.push_back(i);
  }
  return found;
}

PowerCuts::PowerCuts(const RecordingDisk& disk) : disk_(disk) {
  const int image = disk.image_.get();
  off_t at = 0;
  while ((at = lseek(image, at, SEEK_DATA)) >= 0) {
    const off_t end = lseek(image, at, SEEK_HOLE);
    for (at -= at % static_cast<off_t>(kBlock); at < end; at += static_cast<off_t>(kBlock)) {
      std::string block(kBlock, '\0');
      (void)!pread(image, block.data(), kBlock, at);
      if (block.find_first_not_of('\0') != std::string::npos) {
        blocks_[static_cast<uint64_t>(at) / kBlock] = std::move(block);
      }
    }
  }
}

const char* PowerCuts::Data(uint64_t event) const {
  return disk_.tape_->data + disk_.tape_->event[event].data;
}

void PowerCuts::Apply(uint64_t number) {
  const RecordingDisk::Event& event = disk_.tape_->event[number];
  for (uint64_t done = 0; done < event.bytes;) {
    const uint64_t at = event.offset + done;
    const uint64_t in_block = at % kBlock;
    const uint64_t step = std::min(kBlock - in_block, event.bytes - done);
    std::string& block = blocks_[at / kBlock];
    block.resize(kBlock);
    block.replace(in_block, step, Data(number) + done, step);
    done += step;
  }
}

OwnedFd PowerCuts::ImageAt(uint64_t cut, std::mt19937_64* random) {
  uint64_t flushed = durable_;
  for (uint64_t i = durable_; i < cut; ++i) {
    if (disk_.tape_->event[i].is_flush) flushed = i + 1;
  }
  for (; durable_ < flushed; ++durable_) Apply(durable_);

  OwnedFd image = SparseMemoryFile(disk_.bytes());
  auto write = [&image](const char* from, uint64_t bytes, uint64_t offset) {
    if (pwrite(image.get(), from, bytes, static_cast<off_t>(offset)) !=
        static_cast<ssize_t>(bytes)) {
      std::perror("write an image");
      std::abort();
    }
  };
  for (const auto& [number, block] : blocks_) write(block.data(), kBlock, number * kBlock);

  // Of each write: nothing, everything, or any sectors. A disk's cache has no order.
  pending_ = survived_ = 0;
  const uint64_t likely = (*random)() % 5;  // how likely a write survives differs from cut to cut
  for (uint64_t i = durable_; i < cut; ++i) {
    const RecordingDisk::Event& event = disk_.tape_->event[i];
    ++pending_;
    if ((*random)() % 4 >= likely) continue;
    ++survived_;
    // The first block holds the superblock. ext4 writes it in place and does not mount when half of
    // it is old: it takes it that a disk writes it as a whole.
    const bool torn = (*random)() % 3 == 0 && event.offset >= kBlock;
    if (!torn) {
      write(Data(i), event.bytes, event.offset);
      continue;
    }
    for (uint64_t at = 0; at < event.bytes; at += kSector) {
      if ((*random)() % 2 == 0) {
        write(Data(i) + at, std::min(kSector, event.bytes - at), event.offset + at);
      }
    }
  }
  return image;
}

}  // namespace seawall
