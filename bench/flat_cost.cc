// SPDX-License-Identifier: Apache-2.0
// Whether a log costs more when it is larger.
//
//   bazel run --config=opt //bench:flat_cost                        up to 2 GB, about ten minutes
//   bazel run --config=opt //bench:flat_cost -- --quick             small ones only
//   ... -- --dir=/mnt/nvme --max_bytes=21474836480 --json=flat.json
//
// Logs of 10 MB, 1 GB, 20 GB in segments of 64 MiB, and logs of 10, 1,000, 100,000 segments of
// 16 KiB, are built once and then measured in turn, several rounds of all of them, so that what the
// machine does meanwhile meets all alike. Each visit is a process of its own, so that its memory is
// that of one log. The table gives medians over the rounds and, for each but the smallest of its
// kind, the ratio to that one. It says what was seen; no figure makes the program fail.
//
//   open          Log::Open of a closed log, page cache warm
//   killed open   after SIGKILL among commits
//   heap, rss     what Open added; what all that is listed here added, buffers included
//   commit        AppendDurable, alone, 128 bytes; the floor is pwrite + fdatasync of the same
//                 bytes over zeros, in turn with it
//   append        Append of bursts that fit one buffer and one segment, synced in between; those
//                 that no rollover met: the upper quartile
//   read          Log::Read of random records, each the second time
//   truncate      TruncateAfter that takes the commits and appends back
//   trim          TrimBefore of a segment or two
//
// 100,000 rollovers are as many syncs of a directory: the logs are built through a file system that
// leaves syncs out, and synced as a whole.
#include <fcntl.h>
#include <malloc.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/flat_cost_table.h"
#include "engine/format/format.h"
#include "seawall/log.h"
#include "tests/support/forwarding_file_system.h"

ABSL_FLAG(std::string, dir, "", "a directory on the disk to be measured; default: the current one");
ABSL_FLAG(uint64_t, max_bytes, uint64_t{2} << 30, "no log is larger than this");
ABSL_FLAG(uint64_t, max_segments, 100000, "nor has more segments");
ABSL_FLAG(int, rounds, 0, "how often each log is measured; default 5, with --quick 3");
ABSL_FLAG(bool, quick, false, "not above 100 MB and 1,000 segments; a minute");
ABSL_FLAG(bool, smoke, false, "only shows that it works, in a second or two");
ABSL_FLAG(std::string, json, "", "write all figures to this file");

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kBuildBytes = 1024;  // of a record of a log that is built
constexpr size_t kCommitBytes = 128;
constexpr uint64_t kBareFileBytes = uint64_t{4} << 20;

struct Plan {
  int rounds = 5;
  int commits = 500;
  int bursts = 30;
  int reads = 30;
};

// All logs are below it, and go with it.
std::string* const directory = new std::string;
const pid_t main_process = getpid();

[[noreturn]] void Leave(int code) {
  std::error_code error;
  if (getpid() == main_process && !directory->empty()) {
    std::filesystem::remove_all(*directory, error);
  }
  std::_Exit(code);
}

[[noreturn]] void Die(std::string_view what) {
  absl::FPrintF(stderr, "flat_cost: %s\n", what);
  Leave(1);
}

void Require(const absl::Status& status, std::string_view what) {
  if (!status.ok()) Die(absl::StrCat(std::string(what), ": ", status.ToString()));
}
void Require(bool good, std::string_view what) {
  if (!good) Die(what);
}

void Progress(std::string_view what) {
  if (isatty(STDERR_FILENO) != 0) absl::FPrintF(stderr, "\r\033[K%s", what);
}

double Seconds(Clock::time_point from) {
  return std::chrono::duration<double>(Clock::now() - from).count();
}

double Percentile(std::vector<double> values, double percent) {
  if (values.empty()) return std::nan("");
  const double at = static_cast<double>(values.size() - 1) * percent / 100;
  auto nth = values.begin() + static_cast<int64_t>(at);
  std::nth_element(values.begin(), nth, values.end());
  return *nth;
}

// What `work` returns in a process of its own; `killed`: that kills itself, and returns nothing.
Figures InChild(const std::function<Figures()>& work, bool killed = false) {
  std::array<int, 2> ends;
  Require(pipe(ends.data()) == 0, "pipe");
  const pid_t child = fork();
  Require(child >= 0, "fork");
  if (child == 0) {
    std::signal(SIGINT, SIG_DFL);
    const Figures figures = work();
    const bool told = write(ends[1], figures.data(), sizeof(figures)) == sizeof(figures);
    std::_Exit(told ? 0 : 1);
  }
  close(ends[1]);
  Figures figures = None();
  const bool told = read(ends[0], figures.data(), sizeof(figures)) == sizeof(figures);
  close(ends[0]);
  int status = 0;
  Require(waitpid(child, &status, 0) == child, "waitpid");
  if (killed) {
    Require(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "the process was not killed");
  } else if (!told || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    Leave(1);  // it has said why, or was interrupted
  }
  return figures;
}

// ---- Building

class NoSyncFile : public ForwardingFile {
 public:
  using ForwardingFile::ForwardingFile;
  int Sync(SyncKind) override { return 0; }
};

class NoSyncFileSystem : public ForwardingFileSystem {
 public:
  using ForwardingFileSystem::ForwardingFileSystem;
  int Open(const std::string& path, const OpenOptions& wanted,
           std::unique_ptr<File>* file) override {
    OpenOptions options = wanted;
    options.data_sync = options.full_sync = false;
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<NoSyncFile>(std::move(*file));
    return error;
  }
  int SyncDirectory(const std::string&) override { return 0; }
};

// The records can be told from each other.
std::string RecordOf(size_t bytes, Lsn lsn) {
  std::string record(bytes, 'r');
  std::memcpy(record.data(), &lsn, sizeof(lsn));
  return record;
}

std::unique_ptr<Log> OpenLog(const Case& c, const Options& options) {
  auto log = Log::Open(c.path, options);
  Require(log.status(), "open");
  return std::move(*log);
}

Figures Build(const Case& c) {
  NoSyncFileSystem fs(FileSystem::Posix());
  Options options = c.options();
  options.file_system = &fs;
  std::unique_ptr<Log> log = OpenLog(c, options);
  Lsn last = 0;
  uint64_t bytes = 0;
  for (uint64_t segments = 0; bytes < c.bytes || segments < c.segments;) {
    auto lsn = log->Append(RecordOf(kBuildBytes, last + 1));
    Require(lsn.status(), "append");
    last = *lsn;
    bytes += EncodedRecordBytes(kBuildBytes);
    if (last % 1000 == 0 || c.segments < 1000) segments = log->stats().segments;
    if (last % 10000 == 0) {
      Progress(c.tiny() ? absl::StrFormat("building %s: %d segments", c.name, segments)
                        : absl::StrFormat("building %s: %d MB", c.name, bytes / 1000000));
    }
  }
  Require(log->Close(), "close");
  const int fd = open(c.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  Require(fd >= 0 && syncfs(fd) == 0, "syncfs");
  close(fd);
  Figures figures = None();
  figures[kLastLsn] = static_cast<double>(last);
  return figures;
}

// ---- Measuring

double HeapKib() { return static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd) / 1024; }

double RssKib() {
  std::ifstream statm("/proc/self/statm");
  uint64_t all = 0;
  uint64_t resident = 0;
  statm >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024;
}

std::string BarePath(const Case& c) {
  return (std::filesystem::path(c.path).parent_path() / "bare").string();
}

void MakeBareFile(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  const std::string zeros(kBareFileBytes, '\0');
  Require(fd >= 0 && write(fd, zeros.data(), zeros.size()) == static_cast<ssize_t>(zeros.size()) &&
              fsync(fd) == 0,
          "write the file of the floor");
  close(fd);
}

// A commit and a bare write in turn.
void MeasureCommits(const Case& c, const Plan& plan, Log* log, Figures* figures) {
  const std::string bare(kGroupHeaderBytes + EncodedRecordBytes(kCommitBytes), 'b');
  const std::string record = RecordOf(kCommitBytes, 0);
  const int fd = open(BarePath(c).c_str(), O_WRONLY | O_CLOEXEC);
  Require(fd >= 0, "open the file of the floor");
  std::vector<double> commits;
  std::vector<double> floors;
  off_t at = 0;
  for (int i = 0; i < plan.commits; ++i) {
    Clock::time_point start = Clock::now();
    const bool wrote =
        pwrite(fd, bare.data(), bare.size(), at) == static_cast<ssize_t>(bare.size()) &&
        fdatasync(fd) == 0;
    floors.push_back(Seconds(start) * 1e6);
    Require(wrote, "the floor's pwrite and fdatasync");
    at += static_cast<off_t>(bare.size());
    if (at + bare.size() > kBareFileBytes) at = 0;
    start = Clock::now();
    auto lsn = log->AppendDurable(record);
    commits.push_back(Seconds(start) * 1e6);
    Require(lsn.status(), "append");
  }
  close(fd);
  (*figures)[kCommitP50] = Percentile(commits, 50);
  (*figures)[kCommitP99] = Percentile(commits, 99);
  (*figures)[kFloorP50] = Percentile(floors, 50);
  (*figures)[kFloorP99] = Percentile(floors, 99);
}

double AppendsPerSecond(const Case& c, const Plan& plan, Log* log) {
  const Options options = c.options();
  const uint64_t burst = std::min({options.buffer_bytes / 8, options.segment_bytes / 4}) /
                         EncodedRecordBytes(kCommitBytes);
  const std::string record = RecordOf(kCommitBytes, 0);
  std::vector<double> rates;
  for (int i = 0; i < plan.bursts; ++i) {
    const Clock::time_point start = Clock::now();
    for (uint64_t j = 0; j < burst; ++j) Require(log->Append(record).status(), "append");
    rates.push_back(static_cast<double>(burst) / Seconds(start));
    Require(log->WaitDurable(log->appended_lsn()), "wait");
  }
  // In tiny segments every third burst meets a rollover, and the one behind it what that left.
  return Percentile(rates, 75);
}

double ReadMicros(const Case& c, const Plan& plan, Log* log) {
  std::mt19937_64 random(c.last_lsn);
  std::uniform_int_distribution<Lsn> any(log->first_lsn(), c.last_lsn);
  std::vector<double> micros;
  for (int i = 0; i < plan.reads; ++i) {
    const Lsn lsn = any(random);
    for (bool second : {false, true}) {
      const Clock::time_point start = Clock::now();
      auto record = log->Read(lsn);
      if (second) micros.push_back(Seconds(start) * 1e6);
      Require(record.status(), "read");
      Require(*record == RecordOf(kBuildBytes, lsn), "read: another record");
    }
  }
  return Percentile(micros, 50);
}

double TrimMillis(Log* log, Lsn last) {
  const uint64_t segments = log->stats().segments;
  if (segments < 8) return std::nan("");
  std::vector<double> millis;
  for (int i = 0; i < 3; ++i) {
    const Lsn first = log->first_lsn();
    const Lsn to = first + (last - first) / segments * 3 / 2;
    const Clock::time_point start = Clock::now();
    Require(log->TrimBefore(to), "trim");
    millis.push_back(Seconds(start) * 1e3);
  }
  return Percentile(millis, 50);
}

Figures Measure(const Case& c, const Plan& plan, bool trim) {
  Figures figures = None();
  const double heap = HeapKib();
  const double rss = RssKib();
  Clock::time_point start = Clock::now();
  std::unique_ptr<Log> log = OpenLog(c, c.options());
  figures[kOpenMillis] = Seconds(start) * 1e3;
  figures[kHeapKib] = HeapKib() - heap;
  Require(log->appended_lsn() == c.last_lsn, "open: the log does not end where it should");
  figures[kSegments] = static_cast<double>(log->stats().segments);
  MeasureCommits(c, plan, log.get(), &figures);
  figures[kAppendPerSecond] = AppendsPerSecond(c, plan, log.get());
  figures[kReadMicros] = ReadMicros(c, plan, log.get());
  figures[kRssKib] = RssKib() - rss;
  start = Clock::now();
  Require(log->TruncateAfter(c.last_lsn), "truncate");
  figures[kTruncateMillis] = Seconds(start) * 1e3;
  if (trim) figures[kTrimMillis] = TrimMillis(log.get(), c.last_lsn);
  start = Clock::now();
  Require(log->Close(), "close");
  figures[kCloseMillis] = Seconds(start) * 1e3;
  return figures;
}

Figures CommitAndDie(const Case& c) {
  std::unique_ptr<Log> log = OpenLog(c, c.options());
  for (int i = 0; i < 20; ++i) {
    Require(log->AppendDurable(RecordOf(kCommitBytes, 0)).status(), "append");
  }
  for (int i = 0; i < 20; ++i) {
    Require(log->Append(RecordOf(kCommitBytes, 0), Durability::kWritten).status(), "append");
  }
  kill(getpid(), SIGKILL);
  return None();
}

Figures OpenKilled(const Case& c) {
  Figures figures = None();
  const Clock::time_point start = Clock::now();
  std::unique_ptr<Log> log = OpenLog(c, c.options());
  figures[kKilledOpenMillis] = Seconds(start) * 1e3;
  Require(log->appended_lsn() == c.last_lsn + 40, "open: what was written is not all there");
  Require(log->TruncateAfter(c.last_lsn), "truncate");
  Require(log->Close(), "close");
  return figures;
}

Figures Visit(const Case& c, const Plan& plan, bool last) {
  Figures figures = InChild([&] { return Measure(c, plan, last); });
  InChild([&] { return CommitAndDie(c); }, /*killed=*/true);
  figures[kKilledOpenMillis] = InChild([&] { return OpenKilled(c); })[kKilledOpenMillis];
  return figures;
}

// ---- All of it

// bazel run starts the program somewhere else, and tests have a place of their own.
std::string InWorkingDirectory(const std::string& path) {
  std::string base = std::filesystem::current_path();
  for (const char* name : {"BUILD_WORKING_DIRECTORY", "TEST_TMPDIR"}) {
    if (const char* value = std::getenv(name); value != nullptr) base = value;
  }
  return (std::filesystem::path(base) / path).lexically_normal();
}

std::vector<Case> Wanted() {
  if (absl::GetFlag(FLAGS_smoke)) {
    return {{"100 KB", 100000, 0, "", 0},
            {"2 MB", 2000000, 0, "", 0},
            {"3 segments", 0, 3, "", 0},
            {"20 segments", 0, 20, "", 0}};
  }
  std::vector<Case> cases = {
      {"10 MB", 10000000, 0, "", 0},      {"1 GB", 1000000000, 0, "", 0},
      {"20 GB", 20000000000, 0, "", 0},   {"10 segments", 0, 10, "", 0},
      {"1,000 segments", 0, 1000, "", 0}, {"100,000 segments", 0, 100000, "", 0}};
  if (absl::GetFlag(FLAGS_quick)) {
    cases[1] = {"100 MB", 100000000, 0, "", 0};
    cases.erase(cases.begin() + 5);
    cases.erase(cases.begin() + 2);
  }
  return cases;
}

// Why a log is not to be built; empty if it is.
std::string ReasonToSkip(const Case& c) {
  // Names and inodes of 100,000 files take room, too.
  const uint64_t bytes =
      c.tiny() ? c.segments * (kTinySegmentBytes + 1024) : c.bytes + (uint64_t{256} << 20);
  if (c.bytes > absl::GetFlag(FLAGS_max_bytes)) {
    return absl::StrCat("--max_bytes is ", absl::GetFlag(FLAGS_max_bytes));
  }
  if (c.segments > absl::GetFlag(FLAGS_max_segments)) {
    return absl::StrCat("--max_segments is ", absl::GetFlag(FLAGS_max_segments));
  }
  struct statvfs info;
  Require(statvfs(directory->c_str(), &info) == 0, "statvfs");
  // Some is left to others.
  const uint64_t free = info.f_bavail * info.f_frsize;
  if (bytes + bytes / 10 > free) {
    return absl::StrCat("it takes ", bytes >> 20, " MiB, and ", free >> 20, " are free");
  }
  if (info.f_files > 0 && c.segments + 100 > info.f_favail) {
    return absl::StrCat("it takes ", c.segments, " inodes, and ", info.f_favail, " are free");
  }
  return "";
}

std::vector<Result> BuildAll() {
  std::vector<Result> results;
  for (Case& c : Wanted()) {
    const std::string reason = ReasonToSkip(c);
    if (!reason.empty()) {
      absl::FPrintF(stderr, "%s: left out: %s\n", c.name, reason);
      continue;
    }
    c.path = absl::StrCat(*directory, "/", c.tiny() ? "segments-" : "bytes-", c.segments + c.bytes);
    Progress(absl::StrCat("building ", c.name));
    c.last_lsn = static_cast<Lsn>(InChild([&] { return Build(c); })[kLastLsn]);
    results.push_back({c, None(), nullptr});
  }
  return results;
}

void MeasureAll(const Plan& plan, std::vector<Result>* results) {
  std::vector<std::vector<Figures>> seen(results->size());
  for (int round = 0; round < plan.rounds; ++round) {
    for (size_t i = 0; i < results->size(); ++i) {
      const Case& c = (*results)[i].what;
      Progress(absl::StrFormat("round %d of %d: %s", round + 1, plan.rounds, c.name));
      seen[i].push_back(Visit(c, plan, round + 1 == plan.rounds));
    }
  }
  Progress("");
  for (size_t i = 0; i < results->size(); ++i) {
    Result& result = (*results)[i];
    for (size_t figure = 0; figure < kFigures; ++figure) {
      std::vector<double> values;
      for (const Figures& figures : seen[i]) {
        if (!std::isnan(figures[figure])) values.push_back(figures[figure]);
      }
      result.medians[figure] = Percentile(values, 50);
    }
    result.medians[kLastLsn] = static_cast<double>(result.what.last_lsn);
    if (i > 0 && (*results)[i - 1].what.tiny() == result.what.tiny()) {
      const Result& before = (*results)[i - 1];
      result.smallest = before.smallest == nullptr ? &before.medians : before.smallest;
    }
  }
}

int Main(int argc, char** argv) {
  absl::SetProgramUsageMessage(
      "Measures whether a log costs more when it is larger: bench/flat_cost.cc says what.\n"
      "Build it with --config=opt.");
  absl::ParseCommandLine(argc, argv);
  Plan plan;
  if (absl::GetFlag(FLAGS_quick)) plan.rounds = 3;
  if (absl::GetFlag(FLAGS_smoke)) plan = {1, 20, 2, 3};
  if (absl::GetFlag(FLAGS_rounds) > 0) plan.rounds = absl::GetFlag(FLAGS_rounds);
  std::string path =
      absl::StrCat(InWorkingDirectory(absl::GetFlag(FLAGS_dir)), "/seawall-flat-XXXXXX");
  if (mkdtemp(path.data()) == nullptr) {
    Die(absl::StrCat("cannot make ", path, ": ", std::strerror(errno)));
  }
  *directory = path;
  // Ctrl-C ends the process that is at work on a log; this one cleans up then.
  std::signal(SIGINT, [](int) {});
#ifndef NDEBUG
  if (!absl::GetFlag(FLAGS_smoke)) {
    absl::FPrintF(stderr, "flat_cost: built without --config=opt: the figures mean little\n");
  }
#endif
  MakeBareFile(*directory + "/bare");
  std::vector<Result> results = BuildAll();
  MeasureAll(plan, &results);
  PrintTable(results);
  const std::string json = absl::GetFlag(FLAGS_json);
  if (!json.empty()) {
    const std::string file = InWorkingDirectory(json);
    Require(WriteJson(file, results), absl::StrCat("cannot write ", file));
  }
  Progress("removing the logs");
  std::error_code error;
  std::filesystem::remove_all(*directory, error);
  Progress("");
  Require(!error, absl::StrCat("cannot remove ", *directory, ": ", error.message()));
  return 0;
}

}  // namespace
}  // namespace seawall

int main(int argc, char** argv) { return seawall::Main(argc, argv); }
