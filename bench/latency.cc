// SPDX-License-Identifier: Apache-2.0
// How long a lone commit takes, beside a bare pwrite + fdatasync over a file of zeros, and whether
// rollovers or large records among small ones show.
//
//   bazel run --config=opt //bench:latency -- [--dir=DIR] [--seconds=20]
//
// What is compared takes turns in slices of a few hundred commits, in random order, so that what
// the machine does meanwhile meets all alike.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/format/format.h"
#include "seawall/log.h"

ABSL_FLAG(std::string, dir, "", "a directory on the disk to be measured; the current one if empty");
ABSL_FLAG(double, seconds, 20, "for each table");
ABSL_FLAG(uint64_t, seed, 1, "of the order");

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

std::string* const directory = new std::string;

void Require(bool good, std::string_view what, const absl::Status& status = absl::OkStatus()) {
  if (good) return;
  absl::FPrintF(stderr, "latency: %s: %s\n", what, status.ToString());
  std::filesystem::remove_all(*directory);
  std::_Exit(2);
}

double MicrosSince(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

// Something that commits, and how long it took.
struct Contestant {
  std::string name;
  std::function<void()> commit;
  std::vector<double> micros = {};

  double Percentile(double percent) {
    const size_t nth = static_cast<size_t>(static_cast<double>(micros.size() - 1) * percent / 100);
    std::nth_element(micros.begin(), micros.begin() + static_cast<int64_t>(nth), micros.end());
    return micros[nth];
  }
};

// All take turns until the time is up.
void Race(std::vector<Contestant>* all, double seconds, std::mt19937_64* random) {
  constexpr int kSlice = 200;
  const Clock::time_point start = Clock::now();
  while (MicrosSince(start) < seconds * 1e6) {
    std::shuffle(all->begin(), all->end(), *random);
    for (Contestant& one : *all) {
      for (int i = 0; i < kSlice; ++i) {
        const Clock::time_point begin = Clock::now();
        one.commit();
        one.micros.push_back(MicrosSince(begin));
      }
    }
  }
  std::sort(all->begin(), all->end(),
            [](const Contestant& a, const Contestant& b) { return a.name < b.name; });
}

// The floor: the bytes of a group of one record, one after the other, over zeros on disk.
class BareFile {
 public:
  explicit BareFile(size_t record_bytes)
      : bytes_(kGroupHeaderBytes + EncodedRecordBytes(record_bytes), 'b') {
    const std::string path = absl::StrCat(*directory, "/bare", record_bytes);
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const std::string zeros(uint64_t{1} << 20, '\0');
    for (uint64_t at = 0; at < kFileBytes; at += zeros.size()) Write(zeros, at);
    Require(fsync(fd_) == 0, "fsync of the zeros");
  }
  ~BareFile() { close(fd_); }
  BareFile(const BareFile&) = delete;
  BareFile& operator=(const BareFile&) = delete;

  void Commit() {
    Write(bytes_, at_);
    Require(fdatasync(fd_) == 0, "fdatasync");
    at_ += bytes_.size();
    if (at_ + bytes_.size() > kFileBytes) at_ = 0;
  }

 private:
  static constexpr uint64_t kFileBytes = uint64_t{64} << 20;

  void Write(const std::string& bytes, uint64_t at) {
    const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at));
    Require(written == static_cast<ssize_t>(bytes.size()), "pwrite");
  }

  const std::string bytes_;
  int fd_;
  uint64_t at_ = 0;
};

std::unique_ptr<Log> OpenLog(const std::string& name, uint64_t segment_bytes) {
  Options options;
  options.segment_bytes = segment_bytes;
  auto log = Log::Open(absl::StrCat(*directory, "/", name), options);
  Require(log.ok(), "open", log.status());
  return std::move(*log);
}

void Commit(Log* log, const std::string& record) {
  auto lsn = log->AppendDurable(record);
  if (!lsn.ok()) Require(false, "append", lsn.status());
}

// Commits, and gives up what is older than two segments: the files are used again, as in a log that
// runs for long.
void CommitAndTrim(Log* log, const std::string& record) {
  Commit(log, record);
  const Lsn last = log->durable_lsn();
  const Lsn keep = (uint64_t{128} << 20) / EncodedRecordBytes(record.size());
  if (last % 1000 == 0 && last > keep) {
    absl::Status status = log->TrimBefore(last - keep);
    Require(status.ok(), "trim", status);
  }
}

void LoneCommits(size_t record_bytes, double seconds, std::mt19937_64* random) {
  const std::string record(record_bytes, 'r');
  BareFile bare(record_bytes);
  auto rolling = OpenLog(absl::StrCat("rolling", record_bytes), uint64_t{64} << 20);
  auto still = OpenLog(absl::StrCat("still", record_bytes), uint64_t{1} << 30);
  std::vector<Contestant> all = {
      {"1 bare pwrite + fdatasync", [&] { bare.Commit(); }},
      {"2 Seawall, segments of 64 MiB", [&] { CommitAndTrim(rolling.get(), record); }},
      {"3 Seawall, segments of 1 GiB", [&] { CommitAndTrim(still.get(), record); }}};
  Race(&all, seconds, random);
  absl::PrintF("\nlone commits of %d bytes (%d rollovers)\n", record_bytes,
               rolling->stats().rollovers);
  absl::PrintF("  %-32s %9s %9s %9s %9s %9s\n", "", "commits", "p50 us", "p99 us", "p99.9 us",
               "p50/bare");
  const double floor = all[0].Percentile(50);
  for (Contestant& one : all) {
    absl::PrintF("  %-32s %9d %9.1f %9.1f %9.1f %9.3f\n", one.name.substr(2), one.micros.size(),
                 one.Percentile(50), one.Percentile(99), one.Percentile(99.9),
                 one.Percentile(50) / floor);
  }
  for (Log* log : {rolling.get(), still.get()}) {
    absl::Status status = log->Close();
    Require(status.ok(), "close", status);
  }
}

// Commits of 128 bytes from eight threads, for so long, with or without a thread that commits 1
// MiB.
Contestant SmallOnes(bool beside_large, double seconds, uint64_t* large_ones) {
  constexpr int kThreads = 8;
  auto log = OpenLog(beside_large ? "mixed" : "small", Options().segment_bytes);
  std::atomic<bool> stop{false};
  std::vector<std::vector<double>> micros(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string record(128, 's');
      while (!stop) {
        const Clock::time_point begin = Clock::now();
        Commit(log.get(), record);
        micros[static_cast<size_t>(t)].push_back(MicrosSince(begin));
      }
    });
  }
  if (beside_large) {
    threads.emplace_back([&] {
      const std::string record(uint64_t{1} << 20, 'l');
      for (; !stop; ++*large_ones) {
        Commit(log.get(), record);
        absl::Status status = log->TrimBefore(log->durable_lsn());
        Require(status.ok(), "trim", status);
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  Contestant all{beside_large ? "beside a thread with 1 MiB" : "alone", nullptr};
  for (const auto& each : micros) all.micros.insert(all.micros.end(), each.begin(), each.end());
  absl::Status status = log->Close();
  Require(status.ok(), "close", status);
  std::filesystem::remove_all(absl::StrCat(*directory, beside_large ? "/mixed" : "/small"));
  return all;
}

void Mixed(double seconds) {
  constexpr int kTurns = 5;
  uint64_t large_ones = 0;
  std::vector<Contestant> all = {{"alone", nullptr}, {"beside a thread with 1 MiB", nullptr}};
  for (int turn = 0; turn < kTurns; ++turn) {
    for (size_t i : {0, 1}) {
      Contestant one = SmallOnes(i == 1, seconds / kTurns / 2, &large_ones);
      all[i].micros.insert(all[i].micros.end(), one.micros.begin(), one.micros.end());
    }
  }
  absl::PrintF("\ncommits of 128 bytes from 8 threads (%d commits of 1 MiB beside)\n", large_ones);
  absl::PrintF("  %-32s %9s %9s %9s %9s\n", "", "commits", "p50 us", "p99 us", "p99.9 us");
  for (Contestant& one : all) {
    absl::PrintF("  %-32s %9d %9.1f %9.1f %9.1f\n", one.name, one.micros.size(), one.Percentile(50),
                 one.Percentile(99), one.Percentile(99.9));
  }
}

int Main(int argc, char** argv) {
  absl::SetProgramUsageMessage("latency [--dir=DIR] [--seconds=S] [--seed=N]");
  absl::ParseCommandLine(argc, argv);
  std::string parent = absl::GetFlag(FLAGS_dir);
  for (const char* name : {"TEST_TMPDIR", "BUILD_WORKING_DIRECTORY"}) {
    const char* value = std::getenv(name);
    if (parent.empty() && value != nullptr) parent = value;
  }
  *directory = absl::StrCat(parent.empty() ? "." : parent, "/seawall-latency-XXXXXX");
  if (mkdtemp(directory->data()) == nullptr) {
    std::perror(directory->c_str());
    return 2;
  }
  std::mt19937_64 random(absl::GetFlag(FLAGS_seed));
  const double seconds = absl::GetFlag(FLAGS_seconds);
  for (size_t bytes : {size_t{128}, size_t{1} << 10, size_t{16} << 10}) {
    LoneCommits(bytes, seconds, &random);
  }
  Mixed(seconds);
  std::filesystem::remove_all(*directory);
  return 0;
}

}  // namespace
}  // namespace seawall

int main(int argc, char** argv) { return seawall::Main(argc, argv); }
