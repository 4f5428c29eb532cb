// SPDX-License-Identifier: Apache-2.0
// seawall probe: what a durable commit costs on a disk, and which Options suit it.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/interruption.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/probe/disk_device.h"
#include "tools/seawall/probe/disk_probe.h"
#include "tools/seawall/probe/probe_verdict.h"

ABSL_FLAG(double, seconds, 10, "probe: how long to measure");

namespace seawall {
namespace {

constexpr double kMaxSeconds = 3600;

constexpr char kHelp[] =
    R"(seawall probe: measures what a durable commit costs on a disk, and says which Options suit it.

Usage: seawall probe [--seconds=N] [--json] DIR

  --seconds=N   measure so long (default 10, at most 3600); the slower the disk, the longer it takes
                to tell. At least one commit of everything is measured.
  --json        one JSON object, in one line. The median is between p50_low_us and p50_high_us with
                95% probability: 0 and null if there are too few commits to tell

DIR is any directory on the disk that the log will be on; its log, if it has one, is not touched.
Temporary files (64 MiB, seawall-probe.*) are made there and removed in the end, also after an error
or Ctrl-C; only kill -9 or a power loss leaves them behind. Measure with the load that the disk will
have: what else writes to it counts in all figures alike.

How to read the table: rows are what Options::sync_method and Options::direct_io select, columns
what the file is like where a commit is written:

  zeros      zeros were written ahead of it, and synced: a fresh segment of a log
  recycled   older records are there: a recycled segment of a log
  allocated  fallocate(2) reserved the blocks, but nothing was written to them
  growing    it is the end of the file, and each commit makes that longer: plain appending

The log writes to the first two only; the others show what its preparation saves. With the default,
and where there is O_DIRECT, it writes what is synced at once as with direct_io, unless somebody
reads the end of the log; with direct_io it does so always. Each cell is the median time of one
durable commit in microseconds and, in parentheses, the 99th percentile: one commit in a hundred
takes longer. Methods are compared by the geometric mean of the first two columns. Differences under
15%, or that chance may explain, are ties, and the default wins a tie. The method that wins is marked
with *.

Two sizes: a group with one record of 128 bytes is what a lone thread commits, and shows what write
and flush cost; 16 KiB is what a hundred threads commit together, and shows what the bytes cost. A
method has to be no slower than the default for both.

Bytes to the device, if the kernel counts them, show what a commit of 128 bytes really writes:
4096 is one block; more than that is the file system's journal.

A commit in under 10 us is no disk: memory (tmpfs), or a cache that loses its contents with the power.

Exit status: 0 measured, 2 could not be done.

Examples:
  seawall probe /var/lib/app
  seawall probe --seconds=60 /mnt/disk
  seawall probe --json . | jq .options
)";

// On standard error, if that is a terminal.
class Progress {
 public:
  explicit Progress(double seconds) : seconds_(seconds) {}

  void Show(int64_t nanos) {
    if (!terminal_ || nanos < next_nanos_) return;
    next_nanos_ = nanos + 250'000'000;
    const double passed = static_cast<double>(nanos) / 1e9;
    std::fprintf(stderr, "\rmeasuring: %.0f of %.0f s%s \x1b[K", passed, seconds_,
                 passed > seconds_ ? " (a slow disk: everything once)" : "");
  }
  void Clear() {
    if (next_nanos_ > 0) std::fputs("\r\x1b[K", stderr);
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  const double seconds_;
  int64_t next_nanos_ = 0;
};

int Allocate(const Interruption& interruption, const std::string& path, uint64_t bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  int error;
  do {
    error = fallocate(fd, 0, 0, static_cast<off_t>(bytes)) < 0 ? errno : 0;
  } while (error == EINTR && interruption.signal() == 0);
  close(fd);
  return error;
}

absl::StatusOr<ProbeResult> Measure(const std::string& directory, double seconds,
                                    const DiskDevice& device, const Interruption& interruption) {
  // A file that outgrows its limit is an error like a full disk, not the end of the process.
  std::signal(SIGXFSZ, SIG_IGN);
  Progress progress(seconds);
  ProbeEnvironment environment;
  environment.file_system = FileSystem::Posix();
  environment.now_nanos = [] {
    return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
  };
  environment.allocate = [&interruption](const std::string& path, uint64_t bytes) {
    return Allocate(interruption, path, bytes);
  };
  environment.device_bytes = [&device] { return DeviceBytesWritten(device); };
  environment.cancelled = [&interruption] { return interruption.signal() != 0; };
  environment.progress = [&progress](int64_t nanos) { progress.Show(nanos); };
  environment.seed = std::random_device()();
  absl::StatusOr<ProbeResult> result =
      ProbeDisk(directory, static_cast<int64_t>(seconds * 1e9), environment);
  progress.Clear();
  return result;
}

// Empty if the processors have time.
std::string WarnOfLoad() {
  double load = 0;
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  if (getloadavg(&load, 1) != 1 || cores < 1 || load <= static_cast<double>(cores)) return "";
  return absl::StrFormat(
      "The machine is busy (load %.1f, processors %d): the times include waiting for a processor.",
      load, cores);
}

constexpr Preparation kPreparations[] = {Preparation::kZeros, Preparation::kRecycled,
                                         Preparation::kAllocated, Preparation::kGrowing};

const char* NameOf(Preparation preparation) {
  switch (preparation) {
    case Preparation::kZeros:
      return "zeros";
    case Preparation::kRecycled:
      return "recycled";
    case Preparation::kAllocated:
      return "allocated";
    case Preparation::kGrowing:
      return "growing";
  }
  return "?";
}

// ---- As text

// Fewer digits where they mean nothing.
std::string FormatTime(double micros) {
  return absl::StrFormat("%.*f", micros < 10 ? 1 : 0, micros);
}

// One table: a row for each method, a column for each preparation.
template <typename Cell>
void PrintTable(const std::string& title, const ProbeResult& result, size_t winner, ProbeSize size,
                const Cell& cell, Output* output) {
  output->WriteLine("");
  output->WriteLine(title);
  std::string head = absl::StrFormat("  %-26s", "");
  for (Preparation preparation : kPreparations) {
    absl::StrAppendFormat(&head, " %14s", NameOf(preparation));
  }
  output->WriteLine(head);
  for (size_t method = 0; method < kProbeMethodCount; ++method) {
    std::string row = absl::StrFormat("%c %-26s", method == winner ? '*' : ' ',
                                      MethodName(kProbeMethods[method]));
    const std::string& why = result.At(method, Preparation::kZeros, size).unavailable;
    if (!why.empty()) absl::StrAppend(&row, "  ", why);
    for (Preparation preparation : kPreparations) {
      if (!why.empty()) break;
      const CommitCost& cost = result.At(method, preparation, size);
      absl::StrAppendFormat(&row, " %14s", cost.unavailable.empty() ? cell(cost) : "-");
    }
    output->WriteLine(row);
  }
}

void PrintTables(const ProbeResult& result, size_t winner, Output* output) {
  const auto times = [](const CommitCost& cost) {
    return absl::StrCat(FormatTime(cost.p50_micros), " (", FormatTime(cost.p99_micros), ")");
  };
  PrintTable("A record of 128 bytes, made durable: us, median (99th percentile)", result, winner,
             ProbeSize::kRecord, times, output);
  PrintTable("A group of 16 KiB, made durable: us, median (99th percentile)", result, winner,
             ProbeSize::kGroup, times, output);
  if (result.device_bytes_absent.empty()) {
    PrintTable(
        "Bytes that reach the device for a record of 128 bytes", result, winner, ProbeSize::kRecord,
        [](const CommitCost& cost) { return absl::StrFormat("%.0f", *cost.device_bytes); }, output);
  }
  const std::string& allocated =
      result.At(0, Preparation::kAllocated, ProbeSize::kRecord).unavailable;
  if (!allocated.empty()) output->WriteLine(absl::StrCat("\n-: ", allocated));
  if (!result.device_bytes_absent.empty()) {
    output->WriteLine(
        absl::StrCat("\nNo bytes that reach the device: ", result.device_bytes_absent, "."));
  }
}

std::string Snippet(const ProbeMethod& method) {
  return absl::StrCat(
      "  options.sync_method = seawall::SyncMethod::", SyncMethodName(method.sync_method),
      ";\n  options.direct_io = ", method.direct_io ? "true" : "false", ";");
}

void PrintText(const std::string& directory, const DiskDevice& device, const ProbeResult& result,
               const ProbeVerdict& verdict, Output* output) {
  std::string disk = absl::StrCat(directory, ": ", device.file_system);
  if (!device.name.empty()) absl::StrAppend(&disk, " on ", device.name);
  absl::StrAppend(&disk, " (", device.numbers, ")");
  if (!device.write_cache.empty()) absl::StrAppend(&disk, ", cache: ", device.write_cache);
  uint64_t commits = 0;
  for (const CommitCost& cost : result.costs) commits += cost.commits;
  output->WriteLine(disk);
  output->WriteLine(absl::StrFormat("%d commits in %.1f s, in turns", commits,
                                    static_cast<double>(result.nanos) / 1e9));
  PrintTables(result, verdict.method, output);
  output->WriteLine("");
  for (const std::string& warning : verdict.warnings) output->WriteLine("Warning: " + warning);
  if (!verdict.warnings.empty()) output->WriteLine("");
  output->WriteLine(
      "Best here:\n\n" + Snippet(kProbeMethods[verdict.method]) +
      "\n\nWhy (times are geometric means of zeros and recycled, which the log writes to):");
  for (const std::string& reason : verdict.reasons) output->WriteLine("  - " + reason);
}

// ---- As JSON

Json OptionsJson(const ProbeMethod& method) {
  return {{"sync_method", SyncMethodName(method.sync_method)}, {"direct_io", method.direct_io}};
}

Json CostJson(size_t method, Preparation preparation, ProbeSize size, const CommitCost& cost) {
  Json json = OptionsJson(kProbeMethods[method]);
  json["preparation"] = NameOf(preparation);
  json["group_bytes"] = GroupBytesOf(size);
  if (!cost.unavailable.empty()) {
    json["unavailable"] = cost.unavailable;
    return json;
  }
  json["commits"] = cost.commits;
  json["p50_us"] = cost.p50_micros;
  json["p50_low_us"] = cost.p50_low_micros;
  json["p50_high_us"] = cost.p50_high_micros;
  json["p99_us"] = cost.p99_micros;
  if (cost.device_bytes.has_value()) json["device_bytes"] = *cost.device_bytes;
  return json;
}

void PrintJson(const std::string& directory, const DiskDevice& device, const ProbeResult& result,
               const ProbeVerdict& verdict, Output* output) {
  Json json = {{"type", "probe"},
               {"directory", directory},
               {"file_system", device.file_system},
               {"device_number", device.numbers}};
  if (!device.name.empty()) json["device"] = device.name;
  if (!device.write_cache.empty()) json["write_cache"] = device.write_cache;
  json["seconds"] = static_cast<double>(result.nanos) / 1e9;
  json["options"] = OptionsJson(kProbeMethods[verdict.method]);
  json["reasons"] = verdict.reasons;
  json["warnings"] = verdict.warnings;
  if (!result.device_bytes_absent.empty()) {
    json["device_bytes_absent"] = result.device_bytes_absent;
  }
  json["costs"] = Json::array();
  for (ProbeSize size : {ProbeSize::kRecord, ProbeSize::kGroup}) {
    for (size_t method = 0; method < kProbeMethodCount; ++method) {
      for (Preparation preparation : kPreparations) {
        json["costs"].push_back(
            CostJson(method, preparation, size, result.At(method, preparation, size)));
      }
    }
  }
  output->WriteLine(ToLine(json));
}

// ---- The command

std::string NextStep(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
      return "Name a directory that exists, on the disk that the log will be on.";
    case absl::StatusCode::kPermissionDenied:
      return "Run it as a user who may create files there, or name another directory on the same "
             "disk.";
    case absl::StatusCode::kResourceExhausted:
      return absl::StrCat("It needs ", FormatBytes(kProbeDiskBytes),
                          " for temporary files: make room (disk space, quota, ulimit -f), or name "
                          "another directory on the same disk.");
    case absl::StatusCode::kAlreadyExists:
      return "A probe that was killed left it behind: remove it and run this again.";
    case absl::StatusCode::kUnavailable:
      return "The disk or its file system fails (see dmesg): this is no place for a log.";
    default:
      return "";
  }
}

ExitCode FailProbe(const absl::Status& status) {
  return Fail("probe", status, NextStep(status.code()));
}

ExitCode RunProbe(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return FailUsage("probe", "expected one DIR");
  const double seconds = absl::GetFlag(FLAGS_seconds);
  if (!(seconds > 0 && seconds <= kMaxSeconds)) {
    return FailUsage("probe", "--seconds is above 0 and at most 3600");
  }
  const std::string& directory = arguments[0];
  absl::StatusOr<DiskDevice> device = FindDiskDevice(directory);
  if (!device.ok()) return FailProbe(device.status());
  const std::string load = WarnOfLoad();
  // The temporary files are removed first.
  const Interruption interruption;
  const EndInTime end_in_time(interruption, [&] {
    std::fprintf(stderr,
                 "seawall probe: %s: the disk does not answer; temporary files may be left in %s\n",
                 interruption.name().c_str(), directory.c_str());
  });
  absl::StatusOr<ProbeResult> result = Measure(directory, seconds, *device, interruption);
  if (interruption.signal() != 0) {
    if (!result.ok() && !absl::IsCancelled(result.status())) FailProbe(result.status());
    interruption.Die();
  }
  if (!result.ok()) return FailProbe(result.status());
  ProbeVerdict verdict = ChooseOptions(*result, device->file_system);
  if (!load.empty()) verdict.warnings.push_back(load);
  Output output;
  if (absl::GetFlag(FLAGS_json)) {
    PrintJson(directory, *device, *result, verdict, &output);
  } else {
    PrintText(directory, *device, *result, verdict, &output);
  }
  const absl::Status written = output.Finish();
  return written.ok() ? kExitOk : Fail("probe", written);
}

}  // namespace

Command ProbeCommand() {
  return {"probe",
          "measures a disk, and says which Options suit it",
          kHelp,
          {"json", "seconds"},
          RunProbe};
}

}  // namespace seawall
