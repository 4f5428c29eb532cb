// SPDX-License-Identifier: Apache-2.0
// What a log costs above what the machine itself costs.
//
//   bazel run --config=opt //bench:commit_bench                     all of it, about four minutes
//   bazel run --config=opt //bench:commit_bench -- --benchmark_filter=Durable
//   ... -- --dir=/mnt/nvme                                          on that disk
//   ... -- --smoke                                                  that it works, in a second or
//   two
//
// Each benchmark has a floor: a bare loop that does only what nobody could leave out. Both run in
// one process, in small pieces in random order, so that what the machine does meanwhile meets both
// alike. The table at the end gives medians and the ratio to the floor. And each checks in the end
// that the work was done: records are counted and read back.
//
//   DurableAppend/threads:N   AppendDurable, from N threads
//     BareSync/records:1      pwrite + fdatasync of the bytes of one such record, one thread, over
//                             a file of zeros: what a lone commit cannot beat
//     BareSync/records:N      the same with the bytes of N records: if all threads always shared
//                             one sync
//   AppendToBuffer/B          Append, half a buffer full at a time, synced while the clock stands
//     CopyAndHash/B           memcpy + XXH3
//   AppendSustained/B         Append without an end, from which the log has to be trimmed
//     CopyAndWrite/B          memcpy + XXH3 into a buffer, pwrite when it is full, fdatasync when a
//                             segment is
//   Replay/B                  Reader::OpenReadOnly and Next to the end
//     ReadAndHash/B           pread in pieces of 1 MiB + XXH3 over each record
//
// Replay reads from the page cache. Directories: --dir, else $SEAWALL_BENCH_DIR, else the current
// one (with bazel run: where bazel was called). Not on tmpfs, where a sync costs nothing.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/format/checksum.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "seawall/log.h"
#include "seawall/reader.h"

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kCommitBytes = 128;
constexpr uint64_t kBareFileBytes = uint64_t{64} << 20;
constexpr uint64_t kReplayBytes = uint64_t{128} << 20;

std::string* const directory = new std::string;  // all files are below it
bool smoke = false;

// A benchmark that did not do its work has no result.
void Require(bool good, std::string_view what, const absl::Status& status = absl::OkStatus()) {
  if (good) return;
  absl::FPrintF(stderr, "commit_bench: %s: %s\n", what, status.ToString());
  std::filesystem::remove_all(*directory);
  std::_Exit(1);
}

double Seconds(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

std::string RecordOf(size_t bytes, uint64_t number) {
  std::string record(bytes, 'r');
  std::memcpy(record.data(), &number, sizeof(number));
  return record;
}

std::string LogPath() { return absl::StrCat(*directory, "/log"); }

std::unique_ptr<Log> OpenLog() {
  auto log = Log::Open(LogPath(), Options());
  Require(log.ok(), "open", log.status());
  return std::move(*log);
}

// Reads the log back: it holds the records up to `last`, each of `bytes`.
void RequireRecords(Lsn last, size_t bytes) {
  auto reader = Reader::OpenReadOnly(LogPath());
  Require(reader.ok(), "read back", reader.status());
  Record record;
  Lsn read = (*reader)->next_lsn() - 1;
  while ((*reader)->Next(&record)) {
    Require(record.lsn == ++read && record.payload.size() == bytes, "a record read back");
  }
  Require((*reader)->status().ok(), "read back", (*reader)->status());
  Require(read == last, absl::StrCat("expected ", last, " records, found ", read));
}

// The bytes that a group of so many records of kCommitBytes takes.
size_t GroupBytes(int64_t records) {
  return kGroupHeaderBytes + static_cast<size_t>(records) * EncodedRecordBytes(kCommitBytes);
}

// A file of zeros that are on disk.
class BareFile {
 public:
  explicit BareFile(uint64_t bytes) : path_(absl::StrCat(*directory, "/bare")) {
    fd_ = open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const std::string zeros(uint64_t{1} << 20, '\0');
    for (uint64_t at = 0; at < bytes; at += zeros.size()) Write(zeros.data(), zeros.size(), at);
    Require(fsync(fd_) == 0, "fsync of the zeros");
  }
  ~BareFile() {
    close(fd_);
    unlink(path_.c_str());
  }
  BareFile(const BareFile&) = delete;
  BareFile& operator=(const BareFile&) = delete;

  void Write(const char* from, size_t bytes, uint64_t at) {
    Require(pwrite(fd_, from, bytes, static_cast<off_t>(at)) == static_cast<ssize_t>(bytes),
            "pwrite");
  }
  void Sync() { Require(fdatasync(fd_) == 0, "fdatasync"); }

 private:
  const std::string path_;
  int fd_;
};

// ---- Durable

void BareSync(benchmark::State& state) {
  const std::string bytes(GroupBytes(state.range(0)), 'b');
  BareFile file(kBareFileBytes);
  uint64_t at = 0;
  for (auto _ : state) {
    file.Write(bytes.data(), bytes.size(), at);
    file.Sync();
    at += bytes.size();
    if (at + bytes.size() > kBareFileBytes) at = 0;
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

// Shared by the threads of one run.
std::unique_ptr<Log> shared_log;
std::atomic<uint64_t> shared_appended;

void OpenShared(const benchmark::State&) {
  shared_log = OpenLog();
  shared_appended = 0;
}

void CloseShared(const benchmark::State&) {
  const Lsn last = shared_appended;
  Require(shared_log->durable_lsn() == last, "durable_lsn() is not the number of commits");
  absl::Status status = shared_log->Close();
  Require(status.ok(), "close", status);
  shared_log.reset();
  RequireRecords(last, kCommitBytes);
  std::filesystem::remove_all(LogPath());
}

void DurableAppend(benchmark::State& state) {
  const std::string record = RecordOf(kCommitBytes, static_cast<uint64_t>(state.thread_index()));
  std::vector<double> micros;
  micros.reserve(1 << 16);
  for (auto _ : state) {
    const Clock::time_point start = Clock::now();
    auto lsn = shared_log->AppendDurable(record);
    if (!lsn.ok()) Require(false, "append", lsn.status());
    micros.push_back(Seconds(start) * 1e6);
  }
  shared_appended += static_cast<uint64_t>(state.iterations());
  state.SetItemsProcessed(state.iterations());
  auto percentile = [&micros](size_t percent) {
    auto nth = micros.begin() + static_cast<int64_t>((micros.size() - 1) * percent / 100);
    std::nth_element(micros.begin(), nth, micros.end());
    return *nth;
  };
  using Counter = benchmark::Counter;
  state.counters["p50_us"] = Counter(percentile(50), Counter::kAvgThreads);
  state.counters["p99_us"] = Counter(percentile(99), Counter::kAvgThreads);
  // Other threads may be at their last commit still: near enough.
  const Stats stats = shared_log->stats();
  state.counters["per_sync"] =
      Counter(static_cast<double>(stats.durable_lsn) / static_cast<double>(stats.syncs),
              Counter::kAvgThreads);
}

// ---- Buffered

// An iteration is a burst that fits one buffer, so that nothing waits for the disk.
int64_t BurstRecords(size_t bytes) {
  return static_cast<int64_t>(Options().buffer_bytes / 2 / EncodedRecordBytes(bytes));
}

// Brings a log to where it has segments to recycle: what is measured then is not its first steps,
// with zeros to be written before each record.
Lsn WarmUp(Log* log, const std::string& record) {
  const int64_t burst = BurstRecords(record.size());
  Lsn last = 0;
  while (!smoke && log->stats().segments_recycled < 2) {
    for (int64_t i = 0; i < burst; ++i) {
      auto lsn = log->Append(record);
      if (!lsn.ok()) Require(false, "append", lsn.status());
      last = *lsn;
    }
    absl::Status status = log->WaitDurable(last);
    Require(status.ok(), "wait", status);
    status = log->TrimBefore(last);
    Require(status.ok(), "trim", status);
  }
  return last;
}

void AppendToBuffer(benchmark::State& state) {
  const size_t bytes = static_cast<size_t>(state.range(0));
  const std::string record = RecordOf(bytes, 0);
  const int64_t burst = BurstRecords(bytes);
  std::unique_ptr<Log> log = OpenLog();
  const Lsn warm = WarmUp(log.get(), record);
  Lsn last = warm;
  for (auto _ : state) {
    const Clock::time_point start = Clock::now();
    for (int64_t i = 0; i < burst; ++i) {
      auto lsn = log->Append(record);
      if (!lsn.ok()) Require(false, "append", lsn.status());
      last = *lsn;
    }
    state.SetIterationTime(Seconds(start));
    absl::Status status = log->WaitDurable(last);
    Require(status.ok(), "wait", status);
    status = log->TrimBefore(last);
    Require(status.ok(), "trim", status);
  }
  Require(last - warm == static_cast<Lsn>(state.iterations() * burst), "the last LSN");
  absl::Status status = log->Close();
  Require(status.ok(), "close", status);
  log.reset();
  RequireRecords(last, bytes);
  std::filesystem::remove_all(LogPath());
  state.SetItemsProcessed(state.iterations() * burst);
}

// Where the floor of AppendToBuffer puts its records: as large as a buffer of the log.
char* CopyAndHashBurst(AlignedBuffer* buffer, const std::string& record, int64_t burst) {
  char* to = buffer->data();
  for (int64_t i = 0; i < burst; ++i) {
    std::memcpy(to + kRecordHeaderBytes, record.data(), record.size());
    const uint64_t hash = Xxh3(to + kRecordHeaderBytes, record.size());
    std::memcpy(to, &hash, sizeof(hash));
    to += EncodedRecordBytes(record.size());
  }
  return to;
}

void CopyAndHash(benchmark::State& state) {
  const std::string record = RecordOf(static_cast<size_t>(state.range(0)), 0);
  const int64_t burst = BurstRecords(record.size());
  AlignedBuffer buffer(Options().buffer_bytes);
  for (auto _ : state) {
    const Clock::time_point start = Clock::now();
    benchmark::DoNotOptimize(CopyAndHashBurst(&buffer, record, burst));
    benchmark::ClobberMemory();
    state.SetIterationTime(Seconds(start));
  }
  state.SetItemsProcessed(state.iterations() * burst);
}

// Iterations are of this many bytes with what surrounds them: a segment full.
int64_t SegmentRecords(size_t bytes) {
  return static_cast<int64_t>(Options().segment_bytes / EncodedRecordBytes(bytes));
}

void AppendSustained(benchmark::State& state) {
  const size_t bytes = static_cast<size_t>(state.range(0));
  const std::string record = RecordOf(bytes, 0);
  const int64_t records = SegmentRecords(bytes);
  std::unique_ptr<Log> log = OpenLog();
  const Lsn warm = WarmUp(log.get(), record);
  Lsn last = warm;
  for (auto _ : state) {
    for (int64_t i = 0; i < records; ++i) {
      auto lsn = log->Append(record);
      if (!lsn.ok()) Require(false, "append", lsn.status());
      last = *lsn;
    }
    absl::Status status = log->TrimBefore(log->durable_lsn());
    Require(status.ok(), "trim", status);
  }
  Require(last - warm == static_cast<Lsn>(state.iterations() * records), "the last LSN");
  absl::Status status = log->Close();
  Require(status.ok(), "close", status);
  log.reset();
  RequireRecords(last, bytes);
  std::filesystem::remove_all(LogPath());
  state.SetItemsProcessed(state.iterations() * records);
}

void CopyAndWrite(benchmark::State& state) {
  const std::string record = RecordOf(static_cast<size_t>(state.range(0)), 0);
  const int64_t records = SegmentRecords(record.size());
  const int64_t burst = 2 * BurstRecords(record.size());
  AlignedBuffer buffer(Options().buffer_bytes);
  BareFile file(Options().segment_bytes);
  for (auto _ : state) {
    uint64_t at = 0;
    for (int64_t done = 0; done < records; done += burst) {
      char* end = CopyAndHashBurst(&buffer, record, std::min(burst, records - done));
      const size_t used = static_cast<size_t>(end - buffer.data());
      file.Write(buffer.data(), used, at);
      at += used;
    }
    file.Sync();
  }
  state.SetItemsProcessed(state.iterations() * records);
}

// ---- Reading

int64_t ReplayRecords(size_t bytes) {
  return static_cast<int64_t>((smoke ? kReplayBytes / 64 : kReplayBytes) /
                              EncodedRecordBytes(bytes));
}

int64_t CountRecords() {
  auto reader = Reader::OpenReadOnly(LogPath());
  Require(reader.ok(), "open for reading", reader.status());
  Record record;
  int64_t read = 0;
  while ((*reader)->Next(&record)) {
    benchmark::DoNotOptimize(record.payload.data());
    ++read;
  }
  Require((*reader)->status().ok(), "read", (*reader)->status());
  return read;
}

void Replay(benchmark::State& state) {
  const size_t bytes = static_cast<size_t>(state.range(0));
  const int64_t records = ReplayRecords(bytes);
  const std::string payload = RecordOf(bytes, 0);
  std::unique_ptr<Log> log = OpenLog();
  for (int64_t i = 0; i < records; ++i) {
    auto lsn = log->Append(payload);
    if (!lsn.ok()) Require(false, "append", lsn.status());
  }
  absl::Status status = log->Close();
  Require(status.ok(), "close", status);
  log.reset();
  // Large groups are written past the page cache: brings them into it.
  Require(CountRecords() == records, "the number of records read");
  for (auto _ : state) Require(CountRecords() == records, "the number of records read");
  std::filesystem::remove_all(LogPath());
  state.SetItemsProcessed(state.iterations() * records);
}

void ReadAndHash(benchmark::State& state) {
  const size_t bytes = static_cast<size_t>(state.range(0));
  const int64_t records = ReplayRecords(bytes);
  const std::string path = absl::StrCat(*directory, "/bare");
  const size_t each = EncodedRecordBytes(bytes);
  const size_t piece = (size_t{1} << 20) / each * each;
  BareFile zeros((static_cast<uint64_t>(records) * each));
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  AlignedBuffer buffer(size_t{1} << 20);
  for (auto _ : state) {
    int64_t left = records;
    uint64_t hash = 0;
    for (off_t at = 0; left > 0; at += static_cast<off_t>(piece)) {
      Require(pread(fd, buffer.data(), piece, at) >= static_cast<ssize_t>(each), "pread");
      for (size_t i = 0; i + each <= piece && left > 0; i += each, --left) {
        hash ^= Xxh3(buffer.data() + i + kRecordHeaderBytes, bytes);
      }
    }
    benchmark::DoNotOptimize(hash);
  }
  close(fd);
  state.SetItemsProcessed(state.iterations() * records);
}

// ---- The table

struct Pair {
  std::string name;
  std::string floor;
};

// Prints what Google Benchmark prints, and keeps the medians.
class PairReporter : public benchmark::ConsoleReporter {
 public:
  PairReporter() : ConsoleReporter(OO_None) {}

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.run_type == Run::RT_Aggregate && run.aggregate_name != "median") continue;
      auto items = run.counters.find("items_per_second");
      if (items == run.counters.end()) continue;
      std::string name = run.run_name.function_name;
      if (!run.run_name.args.empty()) absl::StrAppend(&name, "/", run.run_name.args);
      if (!run.run_name.threads.empty()) absl::StrAppend(&name, "/", run.run_name.threads);
      per_second_[name] = items->second;  // of a single run, or at last the median
    }
    ConsoleReporter::ReportRuns(runs);
  }

  void PrintPairs(const std::vector<Pair>& pairs) const {
    absl::PrintF("\n%-26s %12s   %-24s %12s %9s\n", "median", "records/s", "floor", "records/s",
                 "ratio");
    for (const Pair& pair : pairs) {
      auto name = per_second_.find(pair.name);
      auto floor = per_second_.find(pair.floor);
      if (name == per_second_.end() || floor == per_second_.end()) continue;
      absl::PrintF("%-26s %12.0f   %-24s %12.0f %9.3f\n", pair.name, name->second, pair.floor,
                   floor->second, name->second / floor->second);
    }
  }

 private:
  std::map<std::string, double> per_second_;
};

std::vector<Pair> RegisterAll() {
  std::vector<Pair> pairs;
  auto* bare =
      benchmark::RegisterBenchmark("BareSync", BareSync)->ArgName("records")->UseRealTime();
  auto* durable = benchmark::RegisterBenchmark("DurableAppend", DurableAppend)
                      ->Setup(OpenShared)
                      ->Teardown(CloseShared)
                      ->UseRealTime();
  for (int threads : {1, 8, 64}) {
    bare->Arg(threads);
    durable->Threads(threads);
    const std::string name = absl::StrCat("DurableAppend/threads:", threads);
    pairs.push_back({name, "BareSync/records:1"});
    if (threads > 1) pairs.push_back({name, absl::StrCat("BareSync/records:", threads)});
  }
  struct Sized {
    const char* name;
    void (*run)(benchmark::State&);
    const char* floor_name;
    void (*floor)(benchmark::State&);
    bool manual_time;
  };
  for (const Sized& sized :
       {Sized{"AppendToBuffer", AppendToBuffer, "CopyAndHash", CopyAndHash, true},
        Sized{"AppendSustained", AppendSustained, "CopyAndWrite", CopyAndWrite, false},
        Sized{"Replay", Replay, "ReadAndHash", ReadAndHash, false}}) {
    auto* each = benchmark::RegisterBenchmark(sized.name, sized.run);
    auto* floor = benchmark::RegisterBenchmark(sized.floor_name, sized.floor);
    for (auto* one : {each, floor}) {
      one->Unit(benchmark::kMillisecond);
      if (sized.manual_time) {
        one->UseManualTime();
      } else {
        one->UseRealTime();
      }
    }
    for (int bytes : {64, 128, 1024}) {
      each->Arg(bytes);
      floor->Arg(bytes);
      pairs.push_back(
          {absl::StrCat(sized.name, "/", bytes), absl::StrCat(sized.floor_name, "/", bytes)});
    }
  }
  return pairs;
}

// Makes a directory of our own in `parent`.
void MakeDirectory(const std::string& parent) {
  std::string path = absl::StrCat(parent, "/seawall-bench-XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    absl::FPrintF(stderr, "commit_bench: cannot make a directory in %s: %s\n", parent,
                  std::strerror(errno));
    std::exit(2);
  }
  *directory = path;
  struct statfs fs;
  if (statfs(path.c_str(), &fs) == 0 && fs.f_type == TMPFS_MAGIC && !smoke) {
    absl::FPrintF(stderr,
                  "commit_bench: %s is tmpfs, where a sync costs nothing: name a directory on a "
                  "disk with --dir\n",
                  parent);
    rmdir(path.c_str());
    std::exit(2);
  }
}

int Main(int argc, char** argv) {
  // bazel run starts the program somewhere else, and tests have a place of their own.
  std::string parent = ".";
  for (const char* name : {"BUILD_WORKING_DIRECTORY", "TEST_TMPDIR", "SEAWALL_BENCH_DIR"}) {
    if (const char* value = std::getenv(name); value != nullptr) parent = value;
  }
  std::vector<std::string> arguments = {argv[0], "--benchmark_enable_random_interleaving=true",
                                        "--benchmark_report_aggregates_only=true"};
  std::vector<std::string> given;
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument == "--smoke") {
      smoke = true;
    } else if (argument.substr(0, 6) == "--dir=") {
      parent = argument.substr(6);
    } else if (argument == "--help") {
      absl::PrintF(
          "commit_bench [--dir=DIR] [--smoke] [--benchmark_...]\n\n"
          "Measures the log beside bare loops that do only what nobody could leave out.\n"
          "  --dir=DIR  a directory on the disk to be measured; or SEAWALL_BENCH_DIR; else the\n"
          "             current one. All files are removed in the end.\n"
          "  --smoke    only shows that everything works\n"
          "Build it with --config=opt. bench/commit_bench.cc says what is measured.\n\n");
      given.emplace_back(argument);
    } else {
      given.emplace_back(argument);
    }
  }
  arguments.push_back(smoke ? "--benchmark_repetitions=1" : "--benchmark_repetitions=9");
  arguments.push_back(smoke ? "--benchmark_min_time=0.0001" : "--benchmark_min_time=0.3");
  arguments.insert(arguments.end(), given.begin(), given.end());  // the last of a kind counts
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 2;
#ifndef NDEBUG
  if (!smoke) {
    absl::FPrintF(stderr, "commit_bench: built without --config=opt: the figures mean nothing\n");
  }
#endif
  MakeDirectory(parent);
  const std::vector<Pair> pairs = RegisterAll();
  PairReporter reporter;
  const size_t ran = benchmark::RunSpecifiedBenchmarks(&reporter);
  reporter.PrintPairs(pairs);
  std::filesystem::remove_all(*directory);
  benchmark::Shutdown();
  return ran > 0 ? 0 : 1;
}

}  // namespace
}  // namespace seawall

int main(int argc, char** argv) { return seawall::Main(argc, argv); }
