// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/probe/probe_verdict.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace seawall {
namespace {

constexpr size_t kDefault = 0;
constexpr ProbeSize kSizes[] = {ProbeSize::kRecord, ProbeSize::kGroup};

std::string NameOf(ProbeSize size) {
  return size == ProbeSize::kRecord ? "a record of 128 bytes" : "a group of 16 KiB";
}

// A median, and where it may lie.
struct Time {
  double micros = 0;
  double low = 0;
  double high = 0;
};

// The geometric mean, on the safe side in its bounds.
Time MeanOf(const Time& a, const Time& b) {
  return {std::sqrt(a.micros * b.micros), std::sqrt(a.low * b.low), std::sqrt(a.high * b.high)};
}

Time TimeOf(const CommitCost& cost) {
  return {cost.p50_micros, cost.p50_low_micros, cost.p50_high_micros};
}

double Ratio(const Time& a, const Time& b) { return a.micros / b.micros; }

// As sure as that: `a` costs no more than `b`.
bool Matches(const Time& a, const Time& b) {
  return Ratio(a, b) < kTieRatio && a.high / b.low < kTieRatio * kTieRatio;
}

bool Beats(const Time& a, const Time& b) { return Ratio(b, a) >= kTieRatio && a.high < b.low; }

class Chooser {
 public:
  Chooser(const ProbeResult& result, const std::string& file_system)
      : result_(result), file_system_(file_system) {}

  ProbeVerdict Run() {
    if (!TooFastForADisk(kDefault)) verdict_.method = Choose();
    WarnOfSpeed();
    WarnOfChance();
    ExplainMethod();
    if (TooFastForADisk(kDefault)) return std::move(verdict_);
    ExplainLosers();
    ExplainRecycling();
    ExplainPreparation(
        Preparation::kGrowing, "A growing file",
        "each commit also stores the file's new length, and where its new blocks are");
    ExplainPreparation(Preparation::kAllocated, "A file allocated without writing",
                       "the first write to a block also stores that it is written");
    ExplainDeviceBytes();
    return std::move(verdict_);
  }

 private:
  // Where the log writes: over zeros, and over old records.
  Time LogTime(size_t method, ProbeSize size) const {
    return MeanOf(TimeOf(result_.At(method, Preparation::kZeros, size)),
                  TimeOf(result_.At(method, Preparation::kRecycled, size)));
  }
  // Over both sizes.
  Time Mean(size_t method) const {
    return MeanOf(LogTime(method, ProbeSize::kRecord), LogTime(method, ProbeSize::kGroup));
  }
  double RatioToDefault(size_t method, ProbeSize size) const {
    return Ratio(LogTime(method, size), LogTime(kDefault, size));
  }
  bool Available(size_t method) const {
    return result_.At(method, Preparation::kZeros, ProbeSize::kRecord).unavailable.empty() &&
           result_.At(method, Preparation::kRecycled, ProbeSize::kRecord).unavailable.empty();
  }
  bool TooFastForADisk(size_t method) const {
    return Available(method) && LogTime(method, ProbeSize::kRecord).micros < kFastestDiskMicros;
  }
  bool MayWin(size_t method) const {
    return Available(method) && !TooFastForADisk(method) &&
           RatioToDefault(method, ProbeSize::kRecord) < kTieRatio &&
           RatioToDefault(method, ProbeSize::kGroup) < kTieRatio;
  }

  size_t Choose() {
    for (size_t method = 0; method < kProbeMethodCount; ++method) {
      if (MayWin(method) && Ratio(Mean(method), Mean(fastest_)) < 1) fastest_ = method;
    }
    for (size_t method = 0; method < kProbeMethodCount; ++method) {
      if (MayWin(method) && !Beats(Mean(fastest_), Mean(method))) return method;
    }
    return kDefault;
  }

  void WarnOfSpeed() {
    std::vector<std::string> names;
    double least = kFastestDiskMicros;
    for (size_t method = 0; method < kProbeMethodCount; ++method) {
      if (!TooFastForADisk(method)) continue;
      names.push_back(MethodName(kProbeMethods[method]));
      least = std::min(least, LogTime(method, ProbeSize::kRecord).micros);
    }
    if (names.empty()) return;
    const std::string who = names.size() == 1
                                ? names[0]
                                : absl::StrCat(names.size(), " methods, ", names[0], " among them");
    verdict_.warnings.push_back(absl::StrFormat(
        "A durable commit took %.1f us (%s). No disk is that fast: nothing reached stable storage, "
        "unless this is persistent memory. The file system is %s; on tmpfs nothing is ever "
        "durable, "
        "and a volatile cache or a virtual machine may ignore flushes. %s",
        least, who, file_system_,
        TooFastForADisk(kDefault) ? "These figures say nothing about a disk."
                                  : "What was that fast is not chosen."));
  }

  void WarnOfChance() {
    uint64_t least = ~uint64_t{0};
    for (const CommitCost& cost : result_.costs) {
      if (cost.unavailable.empty()) least = std::min(least, cost.commits);
    }
    few_ = least < kFewCommits;
    if (!few_) return;
    verdict_.warnings.push_back(
        absl::StrFormat("Only %d commit%s of one kind could be measured in %.1f s: a larger "
                        "--seconds finds smaller "
                        "differences.",
                        least, least == 1 ? "" : "s", static_cast<double>(result_.nanos) / 1e9));
  }

  std::string Times(size_t method) const {
    return absl::StrFormat("%.0f us for %s, %.0f us for %s",
                           LogTime(method, ProbeSize::kRecord).micros, NameOf(ProbeSize::kRecord),
                           LogTime(method, ProbeSize::kGroup).micros, NameOf(ProbeSize::kGroup));
  }

  void ExplainMethod() {
    const std::string name = MethodName(kProbeMethods[verdict_.method]);
    if (TooFastForADisk(kDefault)) {
      Because(absl::StrCat(name, " is the default; there is no disk here to choose another for."));
    } else if (verdict_.method != kDefault) {
      Because(absl::StrFormat("%s is %.1fx as fast as the default: %s; the default takes %s.", name,
                              Ratio(Mean(kDefault), Mean(verdict_.method)), Times(verdict_.method),
                              Times(kDefault)));
    } else if (fastest_ == kDefault) {
      Because(absl::StrCat(name, " is the default, and nothing is faster: ", Times(kDefault), "."));
    } else {
      const std::string tie = Ratio(Mean(kDefault), Mean(fastest_)) < kTieRatio
                                  ? "less than 15% apart"
                                  : "no more apart than chance may explain";
      Because(absl::StrCat(name, " is the default, and wins a tie (", tie, "): ", Times(kDefault),
                           "; the fastest over both, ", MethodName(kProbeMethods[fastest_]),
                           ", takes ", Times(fastest_), "."));
    }
  }

  // What is better in one respect, and yet not chosen.
  void ExplainLosers() {
    for (size_t method = 0; method < kProbeMethodCount; ++method) {
      if (!Available(method) || TooFastForADisk(method)) continue;
      for (ProbeSize size : kSizes) {
        const ProbeSize other = size == ProbeSize::kRecord ? ProbeSize::kGroup : ProbeSize::kRecord;
        if (!Beats(LogTime(method, size), LogTime(kDefault, size)) ||
            !Beats(LogTime(kDefault, other), LogTime(method, other))) {
          continue;
        }
        Because(absl::StrFormat(
            "%s is %.1fx as fast as the default for %s, but takes %.1fx as long for %s: it is for "
            "you if you commit nothing but the former.",
            MethodName(kProbeMethods[method]), 1 / RatioToDefault(method, size), NameOf(size),
            RatioToDefault(method, other), NameOf(other)));
      }
    }
  }

  // The size at which `preparation` is slowest against zeros written ahead, with the chosen method.
  ProbeSize WorstSize(Preparation preparation) const {
    const auto ratio = [&](ProbeSize size) {
      return Ratio(Of(preparation, size), Of(Preparation::kZeros, size));
    };
    return ratio(ProbeSize::kGroup) > ratio(ProbeSize::kRecord) ? ProbeSize::kGroup
                                                                : ProbeSize::kRecord;
  }
  Time Of(Preparation preparation, ProbeSize size) const {
    return TimeOf(result_.At(verdict_.method, preparation, size));
  }
  // Nothing if it could not be measured, or chance may explain it.
  struct Comparison {
    ProbeSize size;
    double ratio;
    bool slower;
  };
  std::optional<Comparison> CompareToZeros(Preparation preparation) const {
    const CommitCost& cost = result_.At(verdict_.method, preparation, ProbeSize::kRecord);
    if (!cost.unavailable.empty()) return std::nullopt;
    const ProbeSize size = WorstSize(preparation);
    const Time zeros = Of(Preparation::kZeros, size);
    const Time time = Of(preparation, size);
    const Comparison found = {size, Ratio(time, zeros), Beats(zeros, time)};
    if (!found.slower && (few_ || !Matches(time, zeros))) return std::nullopt;
    return found;
  }

  void ExplainPreparation(Preparation preparation, const std::string& name,
                          const std::string& because) {
    const std::optional<Comparison> found = CompareToZeros(preparation);
    if (!found.has_value()) return;
    if (!found->slower) {
      Because(absl::StrCat(name, " would cost no more than zeros written ahead, on this disk."));
      return;
    }
    const auto ratio = [&](ProbeSize size) {
      return absl::StrFormat("%.1fx for %s",
                             Ratio(Of(preparation, size), Of(Preparation::kZeros, size)),
                             NameOf(size));
    };
    Because(absl::StrCat(name, " costs ", ratio(ProbeSize::kRecord), " and ",
                         ratio(ProbeSize::kGroup), ": ", because,
                         ". Seawall writes zeros ahead, so you do not pay that."));
  }

  void ExplainRecycling() {
    const std::optional<Comparison> found = CompareToZeros(Preparation::kRecycled);
    if (!found.has_value()) return;
    if (found->slower) {
      Because(
          absl::StrFormat("A recycled segment costs %.1fx as much as one of fresh zeros for %s: "
                          "try options.max_recycled_segments = 0.",
                          found->ratio, NameOf(found->size)));
    } else {
      Because("A recycled segment is as fast as one of fresh zeros, and saves writing the zeros.");
    }
  }

  void ExplainDeviceBytes() {
    const CommitCost& zeros = result_.At(verdict_.method, Preparation::kZeros, ProbeSize::kRecord);
    const CommitCost& growing =
        result_.At(verdict_.method, Preparation::kGrowing, ProbeSize::kRecord);
    if (!zeros.device_bytes.has_value() || !growing.device_bytes.has_value()) return;
    Because(absl::StrFormat("For %s, %.0f bytes reach the device; in a growing file %.0f.",
                            NameOf(ProbeSize::kRecord), *zeros.device_bytes,
                            *growing.device_bytes));
  }

  void Because(const std::string& reason) { verdict_.reasons.push_back(reason); }

  const ProbeResult& result_;
  const std::string file_system_;
  ProbeVerdict verdict_;
  size_t fastest_ = kDefault;
  bool few_ = false;
};

}  // namespace

ProbeVerdict ChooseOptions(const ProbeResult& result, const std::string& file_system) {
  return Chooser(result, file_system).Run();
}

std::string SyncMethodName(SyncMethod method) {
  switch (method) {
    case SyncMethod::kFdatasync:
      return "kFdatasync";
    case SyncMethod::kFsync:
      return "kFsync";
    case SyncMethod::kODsync:
      return "kODsync";
    case SyncMethod::kOSync:
      return "kOSync";
  }
  return "?";
}

std::string MethodName(const ProbeMethod& method) {
  return SyncMethodName(method.sync_method) + (method.direct_io ? " with direct_io" : "");
}

}  // namespace seawall
