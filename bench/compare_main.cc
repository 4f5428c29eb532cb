// SPDX-License-Identifier: Apache-2.0
// Runs Seawall, bare loops, and other logs on the same workloads: bench/compare --help.
#include <linux/magic.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/usage.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "bench/compare_plan.h"
#include "bench/measure.h"

ABSL_FLAG(std::vector<std::string>, workload, {}, "commit, append, replay, async; default: all");
ABSL_FLAG(std::vector<std::string>, peers, {}, "names, see --list; floors always run");
ABSL_FLAG(std::vector<std::string>, threads, {}, "numbers of threads, of commit and append");
ABSL_FLAG(std::vector<std::string>, sizes, {}, "record sizes: 128,1K,1M");
ABSL_FLAG(int, rounds, 0, "how often each point is measured; default 5, with --quick 3");
ABSL_FLAG(double, seconds, 0, "for each point; default 0.75, with --quick 0.25");
ABSL_FLAG(std::string, dir, "", "a directory on the disk to be measured; default: the current one");
ABSL_FLAG(bool, quick, false, "few points, under three minutes");
ABSL_FLAG(bool, smoke, false, "only shows that it works, in seconds");
ABSL_FLAG(uint64_t, seed, 0, "repeats the order of a run that printed it");
ABSL_FLAG(std::string, json, "seawall-compare.json", "the result file, which bench/report reads");
ABSL_FLAG(bool, list, false, "name the peers that this program was built with");

namespace seawall::bench {
namespace {

using Json = nlohmann::ordered_json;

volatile std::sig_atomic_t interrupted = 0;

// The first Ctrl-C ends it after the run that is going on, the second one at once.
void OnInterrupt(int) { interrupted = 1; }

// bazel run starts the program somewhere else.
std::string WorkingDirectory() {
  for (const char* name : {"BUILD_WORKING_DIRECTORY", "TEST_TMPDIR"}) {
    if (const char* value = std::getenv(name); value != nullptr) return value;
  }
  return std::filesystem::current_path();
}

std::string InWorkingDirectory(const std::string& path) {
  return (std::filesystem::path(WorkingDirectory()) / path).lexically_normal();
}

// A directory for all runs that goes away.
class Scratch {
 public:
  explicit Scratch(const std::string& parent) : path_(parent + "/seawall-compare-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~Scratch() {
    std::error_code error;
    if (!path_.empty()) std::filesystem::remove_all(path_, error);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

bool IsTmpfs(const std::string& path) {
  struct statfs info;
  return statfs(path.c_str(), &info) == 0 && info.f_type == TMPFS_MAGIC;
}

// "vda, ext4": of the mount that holds the path.
std::string MountOf(const std::string& path) {
  std::ifstream mounts("/proc/self/mounts");
  std::string device, point, type, best, found = "?";
  while (mounts >> device >> point >> type) {
    mounts.ignore(4096, '\n');
    const bool inside = point == "/" || path == point || path.rfind(point + "/", 0) == 0;
    if (inside && point.size() >= best.size()) {
      best = point;
      found = absl::StrCat(device, ", ", type);
    }
  }
  return found;
}

std::string CpuModel() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  }
  return "?";
}

Json Describe(const std::string& directory, bool device_counts, uint64_t seed, int rounds,
              double seconds) {
  utsname system;
  uname(&system);
  return {{"date", absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::Now(), absl::UTCTimeZone())},
          {"machine", absl::StrCat(CpuModel(), ", ", sysconf(_SC_NPROCESSORS_ONLN), " cores")},
          {"kernel", absl::StrCat(system.sysname, " ", system.release)},
          {"file system", MountOf(directory)},
          {"runs", absl::StrFormat("%d rounds of %.3g s, seed %u", rounds, seconds, seed)},
          {"checked", device_counts
                          ? "records read back; flushes counted in the process and at the device"
                          : "records read back; flushes counted in the process (the device counts "
                            "none)"}};
}

// Reports each run: on a terminal in one line that changes, except that failures stay.
class Progress {
 public:
  Progress(size_t runs, int rounds) : runs_(runs), rounds_(rounds) {}

  void Begin(const PlannedRun& run) {
    what_ = absl::StrFormat("[%d/%d] round %d/%d  %s  %d B  %d thr.  %s", done_ + 1, runs_,
                            run.round, rounds_, NameOf(run.point.workload), run.point.record_bytes,
                            run.point.threads, run.peer->title);
    if (!terminal_) return;
    const absl::Duration each = (absl::Now() - start_) / std::max(1.0, static_cast<double>(done_));
    const absl::Duration left = each * static_cast<double>(runs_ - done_);
    // Without auto-wrap (?7l): a line that wraps could not be written over.
    absl::FPrintF(stderr, "\r\033[K\033[?7l%s  %d min left\033[?7h", what_,
                  absl::ToInt64Minutes(left) + 1);
  }

  void End(const absl::StatusOr<Metrics>& metrics) {
    ++done_;
    if (!metrics.ok()) {
      absl::FPrintF(stderr, "%s%s  FAILED: %s\n", clear_, what_, metrics.status().message());
    } else if (!terminal_) {
      absl::FPrintF(stderr, "%s  %.0f/s\n", what_, metrics->at(kRecordsPerSecond));
    }
  }

  ~Progress() { absl::FPrintF(stderr, "%s", clear_); }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) != 0;
  const char* const clear_ = terminal_ ? "\r\033[K" : "";
  const size_t runs_;
  const int rounds_;
  const absl::Time start_ = absl::Now();
  size_t done_ = 0;
  std::string what_;
};

int Fail(std::string_view message) {
  absl::FPrintF(stderr, "compare: %s\n", absl::string_view(message.data(), message.size()));
  return 2;
}

// Runs the plan, or as much of it as there is time for: the runs of the result file.
Json RunPlan(const std::vector<PlannedRun>& plan, const MeasureOptions& options) {
  Json runs = Json::array();
  Progress progress(plan.size(), plan.back().round);
  for (const auto& [peer, point, round] : plan) {
    if (interrupted) break;
    progress.Begin({peer, point, round});
    const absl::StatusOr<Metrics> metrics = Measure(*peer, point, options);
    progress.End(metrics);
    Json run = {{"workload", NameOf(point.workload)},
                {"record_bytes", point.record_bytes},
                {"threads", point.threads},
                {"peer", peer->name},
                {"round", round}};
    if (metrics.ok()) {
      run.update(Json(*metrics));
    } else {
      run["error"] = std::string(metrics.status().message());
    }
    runs.push_back(std::move(run));
  }
  return runs;
}

Json ToJson(const std::vector<PeerInfo>& peers) {
  Json all = Json::array();
  for (const PeerInfo& info : peers) {
    all.push_back({{"name", info.name},
                   {"title", info.title},
                   {"version", info.version},
                   {"notes", info.notes},
                   {"floor", info.floor}});
  }
  return all;
}

int Main() {
  const std::vector<PeerInfo> all = AllPeers();
  if (absl::GetFlag(FLAGS_list)) {
    for (const PeerInfo& info : all) absl::PrintF("%-18s %s\n", info.name, info.title);
    return 0;
  }
  auto peers = ChoosePeers(all, absl::GetFlag(FLAGS_peers));
  if (!peers.ok()) return Fail(std::string(peers.status().message()));
  PlanOptions wanted;
  wanted.workloads = absl::GetFlag(FLAGS_workload);
  wanted.threads = absl::GetFlag(FLAGS_threads);
  wanted.sizes = absl::GetFlag(FLAGS_sizes);
  wanted.rounds = absl::GetFlag(FLAGS_rounds);
  wanted.quick = absl::GetFlag(FLAGS_quick);
  wanted.smoke = absl::GetFlag(FLAGS_smoke);
  wanted.seed = absl::GetFlag(FLAGS_seed);
  if (wanted.seed == 0) wanted.seed = std::random_device()();
  auto plan = MakePlan(wanted, *peers);
  if (!plan.ok()) return Fail(std::string(plan.status().message()));
  if (plan->empty()) return Fail("no peer that was chosen takes part in these workloads");

  const std::string parent = InWorkingDirectory(absl::GetFlag(FLAGS_dir));
  const Scratch scratch(parent);
  if (scratch.path().empty()) return Fail("cannot make a directory in " + parent);
  if (IsTmpfs(scratch.path()) && !wanted.smoke) {
    return Fail(parent + " is tmpfs, where a sync costs nothing: name a directory with --dir");
  }
  const BlockDevice device(scratch.path());
  MeasureOptions options;
  options.directory = scratch.path();
  options.device = &device;
  options.seconds = absl::GetFlag(FLAGS_seconds);
  options.season = !wanted.smoke;
  if (wanted.quick || wanted.smoke) options.append_bytes /= wanted.smoke ? 64 : 4;
  if (wanted.quick || wanted.smoke) options.replay_bytes /= wanted.smoke ? 64 : 4;
  if (options.seconds <= 0) options.seconds = wanted.smoke ? 0.02 : wanted.quick ? 0.25 : 0.75;

  struct sigaction action = {};
  action.sa_handler = OnInterrupt;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
  absl::FPrintF(stderr, "%d runs, seed %u, in %s\n", plan->size(), wanted.seed, parent);
  Json result;
  result["environment"] = Describe(scratch.path(), device.counts_flushes(), wanted.seed,
                                   plan->back().round, options.seconds);
  result["peers"] = ToJson(*peers);
  result["runs"] = RunPlan(*plan, options);
  if (interrupted) result["environment"]["interrupted"] = "these are the runs so far";

  const std::string path = InWorkingDirectory(absl::GetFlag(FLAGS_json));
  std::ofstream file(path);
  // A peer's error message may not be UTF-8.
  file << result.dump(1, ' ', false, Json::error_handler_t::replace) << "\n";
  file.close();
  if (!file.good()) return Fail("cannot write " + path);
  absl::PrintF("%s\n", path);
  const Json& runs = result["runs"];
  const bool failed =
      std::any_of(runs.begin(), runs.end(), [](const Json& run) { return run.contains("error"); });
  return failed ? 1 : 0;
}

}  // namespace
}  // namespace seawall::bench

int main(int argc, char** argv) {
  absl::SetProgramUsageMessage("compares logs: see bench/compare --help");
  absl::ParseCommandLine(argc, argv);
  return seawall::bench::Main();
}
