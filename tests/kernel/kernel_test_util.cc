// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel/kernel_test_util.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace seawall {
namespace {

absl::Status ErrnoError(std::string_view what) {
  return absl::UnavailableError(
      absl::StrCat(std::string(what), ": ", std::generic_category().message(errno)));
}

std::string EnterPrivateMounts() {
  if (geteuid() != 0) return "needs root, to mount file systems";
  if (access("/dev/loop-control", R_OK | W_OK) != 0) return "no loop devices here";
  if (unshare(CLONE_NEWNS) != 0) return std::string(ErrnoError("unshare mounts").message());
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return std::string(ErrnoError("make mounts private").message());
  }
  return "";
}

// A cheap stream of bytes that one value determines (SplitMix64).
class Bytes {
 public:
  explicit Bytes(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

struct RecordHead {
  uint64_t writer;
  uint64_t batch;
  uint32_t index;
  uint32_t count;
  uint64_t bytes;
  uint64_t check;
};
static_assert(sizeof(RecordHead) == kMinNamedRecordBytes);

}  // namespace

std::string WhyNoMounts() {
  static const std::string reason = EnterPrivateMounts();
  return reason;
}

TemporaryDirectory::TemporaryDirectory(const std::string& parent) {
  const char* base = std::getenv("TEST_TMPDIR");
  std::string name = absl::StrCat(
      !parent.empty() ? parent : std::string(base != nullptr ? base : "/tmp"), "/seawall-XXXXXX");
  if (mkdtemp(name.data()) == nullptr) {
    std::perror(name.c_str());
    std::abort();
  }
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) close(fd_);
}

OwnedFd SparseMemoryFile(uint64_t bytes) {
  OwnedFd fd(memfd_create("seawall-test", MFD_CLOEXEC));
  if (fd.get() < 0 || ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    std::perror("memfd");
    std::abort();
  }
  return fd;
}

bool HaveCommand(const std::string& name) {
  for (const char* directory : {"/usr/sbin/", "/sbin/", "/usr/bin/", "/bin/"}) {
    if (access((directory + name).c_str(), X_OK) == 0) return true;
  }
  return false;
}

std::string MkfsCommand(const std::string& type, const std::string& device) {
  const std::string path = "PATH=/usr/sbin:/sbin:/usr/bin:/bin ";
  if (type == "ext4") {
    return path + "mkfs.ext4 -q -F -E lazy_itable_init=0,lazy_journal_init=0 " + device;
  }
  return path + "mkfs." + type + " -q -f " + device;
}

absl::StatusOr<LoopDevice> AttachLoop(int backing, uint32_t block_bytes) {
  OwnedFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (control.get() < 0) return ErrnoError("open /dev/loop-control");
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return ErrnoError("LOOP_CTL_GET_FREE");
    LoopDevice loop;
    loop.path = absl::StrCat("/dev/loop", number);
    loop.fd = OwnedFd(open(loop.path.c_str(), O_RDWR | O_CLOEXEC));
    if (loop.fd.get() < 0) return ErrnoError("open " + loop.path);
    loop_config config = {};
    config.fd = static_cast<uint32_t>(backing);
    config.block_size = block_bytes;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (ioctl(loop.fd.get(), LOOP_CONFIGURE, &config) == 0) return loop;
    if (errno != EBUSY) return ErrnoError("LOOP_CONFIGURE " + loop.path);
    // Another process took this one between our two calls.
  }
  return absl::UnavailableError("no free loop device");
}

absl::Status Mount::DoMount(const std::string& device, const std::string& type, const char* data) {
  if (mount(device.c_str(), path().c_str(), type.c_str(), 0, data) != 0) {
    return ErrnoError(absl::StrCat("mount ", type, " from ", device));
  }
  mounted_ = true;
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Mount>> Mount::New(const std::string& type, uint64_t bytes,
                                                  uint32_t block_bytes) {
  std::string reason = WhyNoMounts();
  if (!reason.empty()) return absl::UnimplementedError(reason);
  std::unique_ptr<Mount> made(new Mount);
  if (type == "tmpfs") {
    absl::Status status = made->DoMount("none", type, absl::StrCat("size=", bytes).c_str());
    if (!status.ok()) return status;
    return made;
  }
  if (!HaveCommand("mkfs." + type)) return absl::UnimplementedError("no mkfs." + type + " here");
  OwnedFd image = SparseMemoryFile(bytes);
  absl::StatusOr<LoopDevice> loop = AttachLoop(image.get(), block_bytes);
  if (!loop.ok()) return loop.status();
  if (std::system((MkfsCommand(type, loop->path) + " >/dev/null").c_str()) != 0) {
    return absl::InternalError("mkfs." + type + " failed");
  }
  absl::Status status = made->DoMount(loop->path, type, nullptr);
  if (!status.ok()) return status;
  return made;
}

absl::StatusOr<std::unique_ptr<Mount>> Mount::Over(int backing, const std::string& type) {
  absl::StatusOr<LoopDevice> loop = AttachLoop(backing);
  if (!loop.ok()) return loop.status();
  std::unique_ptr<Mount> made(new Mount);
  absl::Status status = made->DoMount(loop->path, type, nullptr);
  if (!status.ok()) return status;
  return made;
}

absl::Status Mount::Remount(bool read_only) {
  unsigned long flags = MS_REMOUNT;
  if (read_only) flags |= MS_RDONLY;
  if (mount("none", path().c_str(), nullptr, flags, nullptr) != 0) return ErrnoError("remount");
  return absl::OkStatus();
}

absl::Status Mount::Unmount() {
  if (!mounted_) return absl::OkStatus();
  if (umount2(path().c_str(), 0) != 0) return ErrnoError("unmount " + path());
  mounted_ = false;
  return absl::OkStatus();
}

Mount::~Mount() {
  if (mounted_ && !Unmount().ok()) (void)umount2(path().c_str(), MNT_DETACH);
}

// ---- Records

uint64_t HashOf(std::string_view record) {
  uint64_t hash = 1469598103934665603;
  for (char c : record) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211;
  return hash | 1;
}

std::string MakeRecord(const RecordName& name, size_t bytes) {
  bytes = std::max(bytes, sizeof(RecordHead));
  RecordHead head = {name.writer, name.batch, name.index, name.count, bytes, 0};
  Bytes stream(name.writer * 1000003 + name.batch * 101 + name.index);
  head.check = stream.Next() ^ bytes ^ name.count;
  std::string record(bytes, '\0');
  std::memcpy(record.data(), &head, sizeof(head));
  for (size_t at = sizeof(head); at < bytes; at += sizeof(uint64_t)) {
    const uint64_t word = stream.Next();
    std::memcpy(record.data() + at, &word, std::min(sizeof(word), bytes - at));
  }
  return record;
}

bool ParseRecord(std::string_view record, RecordName* name) {
  RecordHead head;
  if (record.size() < sizeof(head)) return false;
  std::memcpy(&head, record.data(), sizeof(head));
  *name = {head.writer, head.batch, head.index, head.count};
  return head.bytes == record.size() && record == MakeRecord(*name, record.size());
}

absl::StatusOr<LogContents> ReadContents(Reader* reader) {
  LogContents contents;
  contents.first_lsn = reader->next_lsn();
  std::map<uint64_t, uint64_t> last_batch;  // by writer
  RecordName before;
  Record record;
  auto wrong = [&record](std::string_view what) {
    return absl::InternalError(absl::StrCat("record ", record.lsn, ": ", std::string(what)));
  };
  while (reader->Next(&record)) {
    if (record.lsn != contents.first_lsn + contents.hashes.size()) return wrong("LSN not dense");
    RecordName name;
    if (!ParseRecord(record.payload, &name)) return wrong("not a record that was appended");
    auto [last, first_time] = last_batch.try_emplace(name.writer, name.batch);
    if (name.index > 0) {
      if (before.writer != name.writer || before.batch != name.batch ||
          before.index + 1 != name.index) {
        return wrong("a batch is not whole");
      }
    } else if (before.index + 1 != before.count) {
      return wrong("the batch before is not whole");
    } else if (first_time ? contents.first_lsn == 1 && name.batch != 0
                          : last->second + 1 != name.batch) {
      return wrong(absl::StrCat("writer ", name.writer, " has a gap before batch ", name.batch));
    }
    if (record.batch_continues != (name.index + 1 < name.count)) return wrong("batch_continues");
    last->second = name.batch;
    before = name;
    contents.hashes.push_back(HashOf(record.payload));
  }
  if (!reader->status().ok()) return reader->status();
  if (before.index + 1 != before.count) return wrong("the last batch is not whole");
  return contents;
}

absl::StatusOr<LogContents> ReadContents(Log* log) {
  absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(log->first_lsn());
  if (!reader.ok()) return reader.status();
  return ReadContents(reader->get());
}

absl::StatusOr<LogContents> ReadContents(const std::string& directory) {
  absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::OpenReadOnly(directory);
  if (!reader.ok()) return reader.status();
  return ReadContents(reader->get());
}

}  // namespace seawall
