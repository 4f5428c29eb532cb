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
// What a record begins with: when it was appended, or one of these.
constexpr int64_t kUnmeasured = 0;
constexpr int64_t kEnd = -1;

std::string* const directory = new std::string;

void Require(const absl::Status& status, std::string_view what) {
  if (status.ok()) return;
  absl::FPrintF(stderr, "follow: %s: %s\n", what, status.ToString());
  std::error_code ignored;
  std::filesystem::remove_all(*directory, ignored);
  std::_Exit(2);
}

int64_t Nanos() { return Clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

std::string RecordOf(int64_t stamp) {
  std::string record(kRecordBytes, '.');
  std::memcpy(record.data(), &stamp, sizeof(stamp));
  return record;
}

double Percentile(std::vector<double>* values, double part) {
  if (values->empty()) return 0;
  const size_t at = static_cast<size_t>(part * static_cast<double>(values->size() - 1));
  std::nth_element(values->begin(), values->begin() + static_cast<std::ptrdiff_t>(at),
                   values->end());
  return (*values)[at];
}

// Up to the record that ends the slice: the micros after which each was seen.
std::vector<double> SeeAll(Reader* reader) {
  std::vector<double> micros;
  Record record;
  for (;;) {
    Require(reader->Wait(), "wait");
    while (reader->Next(&record)) {
      int64_t stamp;
      std::memcpy(&stamp, record.payload.data(), sizeof(stamp));
      if (stamp == kEnd) return micros;
      if (stamp != kUnmeasured) micros.push_back(static_cast<double>(Nanos() - stamp) / 1000);
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

// A process that follows from `from`; what it saw comes through *fd.
pid_t StartProcess(Lsn from, int* fd) {
  int ends[2];
  if (pipe(ends) != 0) Require(absl::InternalError("no pipe"), "pipe");
  const pid_t child = fork();
  if (child == 0) {
    absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::Follow(*directory, from);
    Require(reader.status(), "follow");
    const std::vector<double> micros = SeeAll(reader->get());
    const size_t bytes = micros.size() * sizeof(double);
    _exit(write(ends[1], micros.data(), bytes) == static_cast<ssize_t>(bytes) ? 0 : 1);
  }
  close(ends[1]);
  *fd = ends[0];
  return child;
}

void RunSlice(Log* log, Kind* kind) {
  // Published, so that the processes may begin there.
  std::this_thread::sleep_for(std::chrono::milliseconds(120));
  const Lsn from = log->durable_lsn() + 1;
  std::vector<int> fds(static_cast<size_t>(kind->processes));
  for (int& fd : fds) (void)StartProcess(from, &fd);
  std::vector<std::thread> threads;
  std::vector<std::vector<double>> seen(static_cast<size_t>(kind->threads));
  for (std::vector<double>& micros : seen) {
    absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(from);
    Require(reader.status(), "reader");
    threads.emplace_back([&micros, own = std::move(*reader)] { micros = SeeAll(own.get()); });
  }
  // Until the writer knows that it is followed.
  for (int i = 0; i < 15; ++i) {
    Require(log->AppendDurable(RecordOf(kUnmeasured)).status(), "append");
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  for (int i = 0; i < kCommits; ++i) {
    const int64_t start = Nanos();
    Require(log->AppendDurable(RecordOf(start)).status(), "append");
    kind->commit_micros.push_back(static_cast<double>(Nanos() - start) / 1000);
  }
  Require(log->AppendDurable(RecordOf(kEnd)).status(), "append");
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<double>& micros : seen) {
    kind->seen_micros.insert(kind->seen_micros.end(), micros.begin(), micros.end());
  }
  for (const int fd : fds) {
    for (double micros; read(fd, &micros, sizeof(micros)) == sizeof(micros);) {
      kind->seen_micros.push_back(micros);
    }
    close(fd);
    wait(nullptr);
  }
}

int Main() {
  *directory = absl::StrCat(absl::GetFlag(FLAGS_dir).empty() ? "." : absl::GetFlag(FLAGS_dir),
                            "/seawall_follow_bench.", getpid());
  std::vector<Kind> kinds = {
      {"nobody"}, {"1 thread", 1}, {"8 threads", 8}, {"1 process", 0, 1}, {"8 processes", 0, 8}};
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(*directory, Options());
    Require(log.status(), "open");
    for (int round = 0; round < absl::GetFlag(FLAGS_rounds); ++round) {
      for (Kind& kind : kinds) RunSlice(log->get(), &kind);
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
