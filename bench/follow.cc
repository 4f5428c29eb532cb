// SPDX-License-Identifier: Apache-2.0
// How soon a follower sees a record, from the call of AppendDurable on, and what followers cost the
// writer: with none, one and eight of them, in the process (Log::NewReader) and in processes of
// their own (Reader::Follow).
//
//   bazel run --config=opt //bench:follow -- [--dir=DIR] [--rounds=20]
//
// All take turns in slices of a few hundred commits, so that what the machine does meanwhile meets
// all alike: the ratios are worth more than the times.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "seawall/log.h"

ABSL_FLAG(std::string, dir, "", "a directory on the disk to be measured; the current one if empty");
ABSL_FLAG(int, rounds, 20, "slices of each kind");

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCommits = 200;  // in a slice
constexpr size_t kRecordBytes = 128;
// What a record begins with: the slice that it belongs to, and when it was appended, or one of
// these.
constexpr int64_t kHello = 0;
constexpr int64_t kEnd = -1;
// A writer looks ten times a second whether it is followed from other processes (DESIGN.md).
constexpr std::chrono::milliseconds kLookInterval(100);
// Each is appended when all have told that they saw the one before. The first finds a follower that
// has said so to the writer; the second may be published before the writer looks; the third is
// not: from then on each record is published at once.
constexpr int kHellos = 3;

std::string* const directory = new std::string;

void Require(const absl::Status& status, std::string_view what) {
  if (status.ok()) return;
  absl::FPrintF(stderr, "follow: %s: %s\n", what, status.ToString());
  std::error_code ignored;
  std::filesystem::remove_all(*directory, ignored);
  std::_Exit(2);
}

int64_t Nanos() { return Clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

struct Stamp {
  int64_t slice = 0;
  int64_t nanos = 0;
};

void Append(Log* log, Stamp stamp) {
  std::string record(kRecordBytes, '.');
  std::memcpy(record.data(), &stamp, sizeof(stamp));
  Require(log->AppendDurable(record).status(), "append");
}

double Percentile(std::vector<double>* values, double part) {
  if (values->empty()) return 0;
  const size_t at = static_cast<size_t>(part * static_cast<double>(values->size() - 1));
  std::nth_element(values->begin(), values->begin() + static_cast<std::ptrdiff_t>(at),
                   values->end());
  return (*values)[at];
}

// Up to the record that ends the slice: the micros after which each was seen. A byte goes to `fd`
// for each that says hello.
std::vector<double> SeeAll(Reader* reader, int64_t slice, int fd) {
  std::vector<double> micros;
  Record record;
  for (;;) {
    Require(reader->Wait(), "wait");
    while (reader->Next(&record)) {
      Stamp stamp;
      std::memcpy(&stamp, record.payload.data(), sizeof(stamp));
      if (stamp.slice != slice) continue;
      if (stamp.nanos == kEnd) return micros;
      if (stamp.nanos != kHello) {
        micros.push_back(static_cast<double>(Nanos() - stamp.nanos) / 1000);
      } else if (write(fd, "+", 1) != 1) {
        Require(absl::InternalError("nobody reads"), "hello");
      }
    }
    Require(reader->status(), "read");
  }
}

struct Kind {
  std::string name;
  int threads = 0;
  int processes = 0;
  std::vector<double> commit_micros = {};
  std::vector<double> seen_micros = {};
};

struct Pipe {
  Pipe() {
    int ends[2];
    if (pipe(ends) != 0) Require(absl::InternalError("none to be had"), "pipe");
    from = ends[0];
    to = ends[1];
  }
  int from, to;
};

// A process that follows the log; what it saw comes behind its hellos. It begins where the log
// does: what was published last may be older than this slice.
void StartProcess(int64_t slice, const Pipe& pipe) {
  if (fork() != 0) return;
  absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::Follow(*directory, 0);
  Require(reader.status(), "follow");
  const std::vector<double> micros = SeeAll(reader->get(), slice, pipe.to);
  const size_t bytes = micros.size() * sizeof(double);
  _exit(write(pipe.to, micros.data(), bytes) == static_cast<ssize_t>(bytes) ? 0 : 1);
}

void SayHello(Log* log, int64_t slice, const std::vector<Pipe>& followers) {
  for (int i = 0; i < kHellos; ++i) {
    Append(log, {slice, kHello});
    for (const Pipe& follower : followers) {
      char seen;
      if (read(follower.from, &seen, 1) != 1) Require(absl::InternalError("it died"), "follower");
    }
  }
}

// `quiet_at`: from then on the writer knows that it is not followed from other processes.
void RunSlice(Log* log, int64_t slice, Kind* kind, Clock::time_point* quiet_at) {
  while (kind->processes == 0 && Clock::now() < *quiet_at) Append(log, {slice, kHello});
  const Lsn from = log->durable_lsn() + 1;
  std::vector<Pipe> pipes(static_cast<size_t>(kind->processes + kind->threads));
  std::vector<std::thread> threads;
  std::vector<std::vector<double>> seen(static_cast<size_t>(kind->threads));
  for (size_t i = 0; i < pipes.size(); ++i) {
    if (kind->processes > 0) {
      StartProcess(slice, pipes[i]);
      close(pipes[i].to);
      continue;
    }
    absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(from);
    Require(reader.status(), "reader");
    threads.emplace_back([&micros = seen[i], slice, to = pipes[i].to, own = std::move(*reader)] {
      micros = SeeAll(own.get(), slice, to);
      close(to);
    });
  }
  SayHello(log, slice, pipes);
  for (int i = 0; i < kCommits; ++i) {
    const int64_t start = Nanos();
    Append(log, {slice, start});
    kind->commit_micros.push_back(static_cast<double>(Nanos() - start) / 1000);
  }
  Append(log, {slice, kEnd});
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<double>& micros : seen) {
    kind->seen_micros.insert(kind->seen_micros.end(), micros.begin(), micros.end());
  }
  for (const Pipe& pipe : pipes) {
    for (double micros; read(pipe.from, &micros, sizeof(micros)) == sizeof(micros);) {
      kind->seen_micros.push_back(micros);
    }
    close(pipe.from);
  }
  for (int i = 0; i < kind->processes; ++i) wait(nullptr);
  if (kind->processes > 0) *quiet_at = Clock::now() + 2 * kLookInterval;
}

int Main() {
  *directory = absl::StrCat(absl::GetFlag(FLAGS_dir).empty() ? "." : absl::GetFlag(FLAGS_dir),
                            "/seawall_follow_bench.", getpid());
  std::vector<Kind> kinds = {
      {"nobody"}, {"1 thread", 1}, {"8 threads", 8}, {"1 process", 0, 1}, {"8 processes", 0, 8}};
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(*directory, Options());
    Require(log.status(), "open");
    int64_t slice = 0;
    Clock::time_point quiet_at = Clock::now();
    for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
      for (Kind& kind : kinds) RunSlice(log->get(), ++slice, &kind, &quiet_at);
    }
    Require((*log)->Close(), "close");
  }
  std::filesystem::remove_all(*directory);
  absl::PrintF("%-12s %12s %8s %12s %8s %12s %12s %12s\n", "followers", "commit p10", "ratio",
               "p50", "ratio", "seen p10", "p50", "p99");
  const double quiet = Percentile(&kinds[0].commit_micros, 0.1);
  const double usual = Percentile(&kinds[0].commit_micros, 0.5);
  for (Kind& kind : kinds) {
    const double p10 = Percentile(&kind.commit_micros, 0.1);
    const double p50 = Percentile(&kind.commit_micros, 0.5);
    absl::PrintF("%-12s %12.1f %8.3f %12.1f %8.3f %12.1f %12.1f %12.1f\n", kind.name, p10,
                 p10 / quiet, p50, p50 / usual, Percentile(&kind.seen_micros, 0.1),
                 Percentile(&kind.seen_micros, 0.5), Percentile(&kind.seen_micros, 0.99));
  }
  absl::PrintF(
      "Microseconds; ratios to those without followers. seen: from the call of AppendDurable "
      "to Next(). On a busy machine only p10 says something.\n");
  return 0;
}

}  // namespace
}  // namespace seawall

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Follow latency, and what followers cost the writer: bazel run --config=opt //bench:follow "
      "-- "
      "[--dir=DIR] [--rounds=20]");
  absl::ParseCommandLine(argc, argv);
  return seawall::Main();
}
