// SPDX-License-Identifier: Apache-2.0
// Open and random read against the size of the log.
//
//   bazel run --config=opt //bench:random_read                                1 GiB, under a minute
//   ... -- --dir=/mnt/nvme --bytes=10737418240                                10 GiB
//
// One log grows in steps of ten, up to --bytes. At each step, on a closed log: the time of
// Log::Open with the page cache dropped (that takes root; else it says "not dropped") and again
// warm; after SIGKILL among appends, the same; Log::Read of random records of the whole log with
// nothing cached, of the whole log with its pages cached (an open and two preads for each: there
// are more segments than the log keeps open), of one segment (one pread); a replay of all by a
// Reader. --keep and --open measure nothing but Log::Open, of one log. It says what was seen; no
// figure makes the program fail. The log is removed at the end.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "seawall/log.h"
#include "seawall/reader.h"

ABSL_FLAG(std::string, dir, "", "a directory on the disk to be measured; default: the current one");
ABSL_FLAG(uint64_t, bytes, uint64_t{1} << 30, "the size of the largest log");
ABSL_FLAG(uint64_t, record_bytes, 1024, "the size of a record");
ABSL_FLAG(std::string, open, "",
          "the directory of a log of random_read (--keep): only the times of Log::Open, ten times");
ABSL_FLAG(bool, keep, false, "the log of --bytes is only written, not measured, and not removed");
ABSL_FLAG(int, reads, 2000, "random reads for each figure");

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

std::string* const directory = new std::string;

[[noreturn]] void Leave(int code) {
  std::error_code error;
  if (!directory->empty()) std::filesystem::remove_all(*directory, error);
  std::_Exit(code);
}

void Require(const absl::Status& status, const std::string& what) {
  if (status.ok()) return;
  absl::FPrintF(stderr, "random_read: %s: %s\n", what, status.ToString());
  Leave(1);
}

double Seconds(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

// False if it may not.
bool DropCaches() {
  sync();
  const int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
  const bool dropped = fd >= 0 && write(fd, "3", 1) == 1;
  if (fd >= 0) close(fd);
  return dropped;
}

std::string RecordOf(Lsn lsn) {
  std::string record(absl::GetFlag(FLAGS_record_bytes), 'r');
  std::memcpy(record.data(), &lsn, std::min(sizeof(lsn), record.size()));
  return record;
}

std::unique_ptr<Log> MustOpen() {
  auto log = Log::Open(*directory, Options());
  Require(log.status(), "open");
  return std::move(*log);
}

void GrowTo(uint64_t bytes) {
  std::unique_ptr<Log> log = MustOpen();
  const Lsn last = bytes / (absl::GetFlag(FLAGS_record_bytes) + 16);
  for (Lsn lsn = log->appended_lsn() + 1; lsn <= last; ++lsn) {
    Require(log->Append(RecordOf(lsn)).status(), "append");
  }
  Require(log->Close(), "close");
}

double OpenMillis() {
  const Clock::time_point start = Clock::now();
  std::unique_ptr<Log> log = MustOpen();
  const double millis = Seconds(start) * 1e3;
  Require(log->Close(), "close");
  return millis;
}

// A process that appends and is killed, with half a segment behind its last open.
void AppendAndKill() {
  const pid_t child = fork();
  if (child == 0) {
    std::unique_ptr<Log> log = MustOpen();
    for (uint64_t bytes = 0; bytes < (uint64_t{32} << 20); bytes += 1024) {
      (void)log->Append(std::string(1024 - 16, 'k'));
    }
    (void)log->WaitDurable(log->appended_lsn());
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(child, &status, 0);
}

double MicrosPerRead(Log* log, Lsn first, Lsn last) {
  std::mt19937_64 random(first);
  const int reads = absl::GetFlag(FLAGS_reads);
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < reads; ++i) {
    const Lsn lsn = first + random() % (last - first + 1);
    auto record = log->Read(lsn);
    Require(record.status(), "read");
    if (*record != RecordOf(lsn)) Require(absl::InternalError("another record"), "read");
  }
  return Seconds(start) * 1e6 / reads;
}

double ReplayMibPerSecond() {
  auto reader = Reader::OpenReadOnly(*directory);
  Require(reader.status(), "open for reading");
  const Clock::time_point start = Clock::now();
  Record record;
  uint64_t bytes = 0;
  while ((*reader)->Next(&record)) bytes += record.payload.size();
  Require((*reader)->status(), "replay");
  return static_cast<double>(bytes) / Seconds(start) / (1 << 20);
}

void Measure(uint64_t bytes) {
  GrowTo(bytes);
  const bool dropped = DropCaches();
  const double open_cold = OpenMillis();
  const double open_warm = OpenMillis();
  DropCaches();
  double read_cold, read_warm, read_one;
  Stats stats;
  {
    std::unique_ptr<Log> log = MustOpen();
    const Lsn last = bytes / (absl::GetFlag(FLAGS_record_bytes) + 16);
    read_cold = MicrosPerRead(log.get(), 1, last);
    read_warm = MicrosPerRead(log.get(), 1, last);
    read_one = MicrosPerRead(log.get(), last / 2, last / 2 + 1000);
    stats = log->stats();
    Require(log->Close(), "close");
  }
  DropCaches();
  const double replay_cold = ReplayMibPerSecond();
  const double replay_warm = ReplayMibPerSecond();
  AppendAndKill();
  DropCaches();
  const double killed = OpenMillis();
  // What the killed process appended goes.
  {
    std::unique_ptr<Log> log = MustOpen();
    const Lsn last = bytes / (absl::GetFlag(FLAGS_record_bytes) + 16);
    Require(log->TruncateAfter(last), "truncate");
    Require(log->Close(), "close");
  }
  absl::PrintF(
      "%6d MiB %4d segments, %s: open %.1f ms cold, %.1f warm, %.1f cold after SIGKILL; read "
      "%.1f us cold, %.1f with pages cached, %.1f in one segment (%d indexes scanned); replay %.0f "
      "MiB/s cold, %.0f cached\n",
      bytes >> 20, stats.segments, dropped ? "caches dropped" : "NOT dropped", open_cold, open_warm,
      killed, read_cold, read_warm, read_one, stats.index_scans, replay_cold, replay_warm);
  std::fflush(stdout);
}

[[noreturn]] void MeasureOpen(const std::string& existing) {
  *directory = existing;
  for (int i = 0; i < 10; ++i) {
    const bool dropped = DropCaches();
    const double cold = OpenMillis();
    absl::PrintF("open %.1f ms %s, %.1f warm\n", cold, dropped ? "cold" : "(caches NOT dropped)",
                 OpenMillis());
  }
  std::fflush(stdout);
  std::_Exit(0);
}

}  // namespace

int Main(int argc, char** argv) {
  absl::SetProgramUsageMessage("open and random read against the size of a log");
  absl::ParseCommandLine(argc, argv);
  if (!absl::GetFlag(FLAGS_open).empty()) MeasureOpen(absl::GetFlag(FLAGS_open));
  const std::string base = absl::GetFlag(FLAGS_dir).empty() ? "." : absl::GetFlag(FLAGS_dir);
  *directory = base + "/seawall_random_read_XXXXXX";
  if (mkdtemp(directory->data()) == nullptr) {
    directory->clear();
    Require(absl::InternalError("mkdtemp"), base);
  }
  if (absl::GetFlag(FLAGS_keep)) {
    GrowTo(absl::GetFlag(FLAGS_bytes));
    absl::PrintF("%s\n", *directory);
    std::_Exit(0);
  }
  std::vector<uint64_t> sizes;
  for (uint64_t bytes = absl::GetFlag(FLAGS_bytes); bytes >= uint64_t{64} << 20; bytes /= 10) {
    sizes.insert(sizes.begin(), bytes);
  }
  for (uint64_t bytes : sizes) Measure(bytes);
  Leave(0);
}

}  // namespace seawall

int main(int argc, char** argv) { return seawall::Main(argc, argv); }
