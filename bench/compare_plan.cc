// SPDX-License-Identifier: Apache-2.0
#include "bench/compare_plan.h"

#include <algorithm>
#include <iterator>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace seawall::bench {
namespace {

constexpr int kRounds = 5;
constexpr int kQuickRounds = 3;
constexpr int kMostThreads = 4096;
constexpr size_t kMostRecordBytes = size_t{1} << 20;
constexpr size_t kLeastRecordBytes = 16;

absl::StatusOr<std::vector<int>> Numbers(const std::vector<std::string>& words) {
  std::vector<int> numbers;
  for (const std::string& word : words) {
    int number = 0;
    if (!absl::SimpleAtoi(word, &number) || number < 1 || number > kMostThreads) {
      return absl::InvalidArgumentError(
          absl::StrCat("--threads: from 1 to ", kMostThreads, ", not \"", word, "\""));
    }
    numbers.push_back(number);
  }
  return numbers;
}

absl::StatusOr<std::vector<size_t>> Sizes(const std::vector<std::string>& words) {
  std::vector<size_t> sizes;
  for (const std::string& word : words) {
    absl::string_view digits = word;
    const int shift = absl::ConsumeSuffix(&digits, "M")   ? 20
                      : absl::ConsumeSuffix(&digits, "K") ? 10
                                                          : 0;
    uint64_t size = 0;
    if (!absl::SimpleAtoi(digits, &size) || size > kMostRecordBytes >> shift ||
        size << shift < kLeastRecordBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("--sizes: from ", kLeastRecordBytes, " to 1M, not \"", word, "\""));
    }
    sizes.push_back(size << shift);
  }
  return sizes;
}

// The axes of a workload where no flag says otherwise.
struct Axes {
  std::vector<int> threads;
  std::vector<size_t> sizes;
};

Axes DefaultAxes(Workload workload, const PlanOptions& options) {
  const bool small = options.quick || options.smoke;
  switch (workload) {
    case Workload::kCommit:
      if (options.smoke) return {{1, 4}, {128}};
      if (small) return {{1, 8, 128}, {128}};
      return {{1, 2, 8, 32, 128, 512}, {128, 1024}};
    case Workload::kAppend:
      if (small) return {{1}, {128, 16384}};
      return {{1, 2}, {64, 128, 1024, 16384, size_t{1} << 20}};
    case Workload::kReplay:
      if (small) return {{1}, {128}};
      return {{1}, {128, 1024}};
    case Workload::kAsync:
      return {{1, options.smoke ? 16 : kOutstanding}, {128}};
  }
  return {};
}

bool TakesPart(const PeerInfo& info, Workload workload) {
  switch (workload) {
    case Workload::kCommit:
      return info.commit;
    case Workload::kAppend:
      return info.append;
    case Workload::kReplay:
      return info.replay;
    case Workload::kAsync:
      return info.async;
  }
  return false;
}

absl::StatusOr<std::vector<Point>> MakePoints(const PlanOptions& options) {
  auto threads = Numbers(options.threads);
  if (!threads.ok()) return threads.status();
  auto sizes = Sizes(options.sizes);
  if (!sizes.ok()) return sizes.status();
  std::vector<Workload> workloads;
  for (const std::string& word : options.workloads) {
    const auto* name = std::find(std::begin(kWorkloadNames), std::end(kWorkloadNames), word);
    if (name == std::end(kWorkloadNames)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--workload: ", absl::StrJoin(kWorkloadNames, ", "), ", not \"", word, "\""));
    }
    workloads.push_back(static_cast<Workload>(name - std::begin(kWorkloadNames)));
  }
  if (workloads.empty()) {
    workloads = {Workload::kCommit, Workload::kAppend, Workload::kReplay, Workload::kAsync};
  }
  std::vector<Point> points;
  for (Workload workload : workloads) {
    Axes axes = DefaultAxes(workload, options);
    // Replay has one thread; asynchronous durability compares one with as many as are outstanding.
    const bool by_threads = workload == Workload::kCommit || workload == Workload::kAppend;
    if (by_threads && !threads->empty()) axes.threads = *threads;
    if (!sizes->empty()) axes.sizes = *sizes;
    for (size_t size : axes.sizes) {
      for (int each : axes.threads) points.push_back({workload, each, size});
    }
  }
  return points;
}

}  // namespace

absl::StatusOr<std::vector<PeerInfo>> ChoosePeers(const std::vector<PeerInfo>& all,
                                                  const std::vector<std::string>& names) {
  std::vector<std::string> known;
  for (const PeerInfo& info : all) known.push_back(info.name);
  for (const std::string& name : names) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--peers: \"", name, "\" is not one of ", absl::StrJoin(known, ", ")));
    }
  }
  std::vector<PeerInfo> chosen;
  for (const PeerInfo& info : all) {
    if (names.empty() || info.floor ||
        std::find(names.begin(), names.end(), info.name) != names.end()) {
      chosen.push_back(info);
    }
  }
  return chosen;
}

absl::StatusOr<std::vector<PlannedRun>> MakePlan(const PlanOptions& options,
                                                 const std::vector<PeerInfo>& peers) {
  auto points = MakePoints(options);
  if (!points.ok()) return points.status();
  const int rounds = options.rounds > 0 ? options.rounds
                     : options.smoke    ? 1
                     : options.quick    ? kQuickRounds
                                        : kRounds;
  std::mt19937_64 random(options.seed);
  std::vector<PlannedRun> plan;
  for (int round = 1; round <= rounds; ++round) {
    std::shuffle(points->begin(), points->end(), random);
    for (const Point& point : *points) {
      std::vector<PlannedRun> runs;
      for (const PeerInfo& info : peers) {
        if (TakesPart(info, point.workload)) runs.push_back({&info, point, round});
      }
      std::shuffle(runs.begin(), runs.end(), random);
      plan.insert(plan.end(), runs.begin(), runs.end());
    }
  }
  return plan;
}

}  // namespace seawall::bench
