// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/probe/disk_probe.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <limits>
#include <memory>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/writable_segment.h"

namespace seawall {
namespace {

constexpr size_t kRecordBytes = 128;
constexpr size_t kGroupBytes = size_t{16} << 10;

// A slice ends with whichever comes first.
constexpr int64_t kSliceNanos = 2'000'000;
constexpr uint64_t kSliceCommits = 32;
// What a slice may write: one commit more, that is not counted.
constexpr uint64_t kSliceBytes = (kSliceCommits + 1) * (kGroupBytes + kBlockBytes);
static_assert(kSliceBytes <= kProbeFileBytes, "a slice goes into one file");
// What is written comes from a buffer of this size.
constexpr uint64_t kDataBytes = uint64_t{512} << 10;
static_assert(kProbeFileBytes % kDataBytes == 0, "whole buffers fill a file");
static_assert(kGroupBytes + kBlockBytes <= kDataBytes, "a group with the blocks it touches");
// That many tell enough, and bound the memory.
constexpr size_t kMaxCommits = size_t{1} << 16;

Options OptionsOf(const ProbeMethod& method) {
  Options options;
  options.sync_method = method.sync_method;
  options.direct_io = method.direct_io;
  return options;
}

// Bytes that no device compresses or knows already.
void FillRandom(uint64_t seed, AlignedBuffer* buffer) {
  std::mt19937_64 random(seed);
  for (size_t i = 0; i + 8 <= buffer->size(); i += 8) {
    const uint64_t value = random();
    std::copy_n(reinterpret_cast<const char*>(&value), 8, buffer->data() + i);
  }
}

// One file, prepared in one way, that is committed to by one method.
class ProbeFile {
 public:
  ProbeFile(FileSystem* fs, std::string path, const ProbeMethod& method, Preparation preparation)
      : fs_(fs), path_(std::move(path)), options_(OptionsOf(method)), preparation_(preparation) {}

  // Makes sure that there is room for a slice: with a new file, if need be.
  absl::Status PrepareSlice(const ProbeEnvironment& environment, const AlignedBuffer& data) {
    at_ = AlignUp(at_, kBlockBytes);
    if (file_ != nullptr && at_ + kSliceBytes <= kProbeFileBytes) return absl::OkStatus();
    at_ = 0;
    // What was written once is there to be written again.
    if (file_ != nullptr && preparation_ == Preparation::kRecycled) return absl::OkStatus();
    absl::Status status = Remove();
    if (status.ok()) status = Create();
    if (status.ok()) status = Fill(environment, data);
    if (status.ok()) status = SyncFile(file_.get(), path_, File::SyncKind::kFull);
    return status;
  }

  // One durable write of `bytes`, as the log does it: all blocks that the group touches.
  absl::Status Commit(size_t bytes, const AlignedBuffer& data) {
    uint64_t from = AlignDown(at_, kBlockBytes);
    uint64_t to = AlignUp(at_ + bytes, kBlockBytes);
    if (preparation_ == Preparation::kGrowing) {
      // Each commit makes it longer: by its bytes, or by what O_DIRECT can write.
      from = options_.direct_io ? AlignUp(at_, kBlockBytes) : at_;
      to = options_.direct_io ? AlignUp(from + bytes, kBlockBytes) : at_ + bytes;
    }
    absl::Status status =
        WriteAt(file_.get(), path_, from, std::string_view(data.data(), to - from));
    if (!status.ok()) return status;
    at_ = preparation_ == Preparation::kGrowing ? to : at_ + bytes;
    if (WritesAreDurable(options_)) return absl::OkStatus();
    return SyncFile(file_.get(), path_, SyncKindOf(options_));
  }

  absl::Status Remove() {
    file_.reset();
    if (!ours_) return absl::OkStatus();
    const int error = fs_->Unlink(path_);
    if (error != 0 && error != ENOENT) return ErrnoStatus(error, "remove", path_);
    ours_ = false;
    return absl::OkStatus();
  }

  const std::string& path() const { return path_; }
  bool direct_io() const { return options_.direct_io; }
  Preparation preparation() const { return preparation_; }

 private:
  absl::Status Create() {
    OpenOptions open = WriteOpenOptions(options_);
    open.create = true;
    open.exclusive = true;
    absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, path_, open);
    // Refusing O_DIRECT, some kernels have made the file by then.
    ours_ = file.ok() || absl::IsInvalidArgument(file.status());
    if (file.ok()) file_ = std::move(*file);
    return file.status();
  }

  absl::Status Fill(const ProbeEnvironment& environment, const AlignedBuffer& data) {
    switch (preparation_) {
      case Preparation::kZeros:
        return WriteZeros(file_.get(), path_, 0, kProbeFileBytes);
      case Preparation::kRecycled:
        for (uint64_t at = 0; at < kProbeFileBytes; at += data.size()) {
          absl::Status status =
              WriteAt(file_.get(), path_, at, std::string_view(data.data(), data.size()));
          if (!status.ok()) return status;
        }
        return absl::OkStatus();
      case Preparation::kAllocated: {
        const int error = environment.allocate(path_, kProbeFileBytes);
        if (error == 0) return absl::OkStatus();
        absl::Status status = ErrnoStatus(error, "fallocate", path_);
        if (error != EOPNOTSUPP && error != ENOSYS && error != EINVAL) return status;
        return absl::UnimplementedError(status.message());
      }
      case Preparation::kGrowing:
        return absl::OkStatus();
    }
    return absl::OkStatus();
  }

  FileSystem* const fs_;
  const std::string path_;
  const Options options_;
  const Preparation preparation_;
  std::unique_ptr<File> file_;
  bool ours_ = false;  // something of ours may have this name
  uint64_t at_ = 0;    // where the next group begins
};

// Nearest rank.
float Percentile(std::vector<float>* values, size_t percent) {
  if (values->empty()) return 0;
  auto nth = values->begin() + static_cast<int64_t>((values->size() - 1) * percent / 100);
  std::nth_element(values->begin(), nth, values->end());
  return *nth;
}

// Of fewer, no two have the median between them with 95% probability: it is outside of all six with
// 2 / 2^6.
constexpr size_t kLeastSlices = 6;

// The ranks that have the median between them with 95% probability (binomial, as a normal).
void SetConfidence(std::vector<float>* slice_medians, CommitCost* cost) {
  if (slice_medians->size() < kLeastSlices) {
    cost->p50_low_micros = 0;
    cost->p50_high_micros = std::numeric_limits<double>::infinity();
    return;
  }
  std::sort(slice_medians->begin(), slice_medians->end());
  const double last = static_cast<double>(slice_medians->size() - 1);
  const double half = 0.98 * std::sqrt(static_cast<double>(slice_medians->size()));
  const auto at = [&](double rank) {
    return (*slice_medians)[static_cast<size_t>(std::clamp(rank, 0.0, last))];
  };
  cost->p50_low_micros = std::min<double>(at(std::floor(last / 2 - half)), cost->p50_micros);
  cost->p50_high_micros = std::max<double>(at(std::ceil(last / 2 + half)), cost->p50_micros);
}

class Probe {
 public:
  Probe(const std::string& directory, int64_t nanos, const ProbeEnvironment& environment)
      : directory_(directory),
        nanos_(nanos),
        environment_(environment),
        random_(environment.seed),
        data_(kDataBytes) {
    files_.reserve(kProbeMethodCount * kPreparationCount);
    FillRandom(environment.seed, &data_);
    for (size_t method = 0; method < kProbeMethodCount; ++method) {
      for (size_t preparation = 0; preparation < kPreparationCount; ++preparation) {
        const std::string path =
            JoinPath(directory, absl::StrCat(kProbeFilePrefix, getpid(), ".", files_.size()));
        files_.emplace_back(environment.file_system, path, kProbeMethods[method],
                            static_cast<Preparation>(preparation));
      }
    }
    static_assert(CostIndex(0, Preparation::kRecycled, ProbeSize::kRecord) == kProbeSizeCount,
                  "the costs of a file are together, in the order of the files");
  }

  absl::StatusOr<ProbeResult> Run() {
    const int64_t start = environment_.now_nanos();
    absl::Status status = CheckDirectory();
    if (!status.ok()) return status;
    status = TakeTurns(start);
    const absl::Status removed = RemoveFiles();
    if (!status.ok()) {
      if (removed.ok()) return status;
      return absl::Status(status.code(), absl::StrCat(std::string(status.message()), "; and ",
                                                      std::string(removed.message())));
    }
    if (!removed.ok()) return removed;
    result_.nanos = environment_.now_nanos() - start;
    Summarize();
    return std::move(result_);
  }

 private:
  struct Samples {
    std::vector<float> micros;
    // One for each slice.
    std::vector<float> slice_medians;
    std::vector<float> device_bytes;
  };

  absl::Status CheckDirectory() {
    FileInfo info;
    const int error = environment_.file_system->Stat(directory_, &info);
    if (error != 0) return ErrnoStatus(error, "stat", directory_);
    if (!info.is_directory) return ErrnoStatus(ENOTDIR, "stat", directory_);
    return absl::OkStatus();
  }

  absl::Status TakeTurns(int64_t start) {
    std::vector<size_t> order(kCostCount);
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    for (bool first_round = true;; first_round = false) {
      std::shuffle(order.begin(), order.end(), random_);
      bool more = false;
      for (size_t cost : order) {
        if (environment_.cancelled()) return absl::CancelledError("interrupted");
        const int64_t passed = environment_.now_nanos() - start;
        if (!first_round && passed >= nanos_) return absl::OkStatus();
        environment_.progress(passed);
        if (!result_.costs[cost].unavailable.empty()) continue;
        if (samples_[cost].micros.size() >= kMaxCommits) continue;
        more = true;
        absl::Status status = MeasureSlice(cost);
        if (!status.ok()) status = MarkUnavailable(cost, status);
        if (!status.ok()) return status;
      }
      if (!more) return absl::OkStatus();
    }
  }

  absl::Status MeasureSlice(size_t cost) {
    ProbeFile& file = files_[cost / kProbeSizeCount];
    const size_t bytes = GroupBytesOf(static_cast<ProbeSize>(cost % kProbeSizeCount));
    absl::Status status = file.PrepareSlice(environment_, data_);
    if (!status.ok()) return status;
    // Not counted: it also pays for what the slice before left to do.
    status = file.Commit(bytes, data_);
    const absl::StatusOr<uint64_t> before = environment_.device_bytes();
    std::vector<float> micros;
    const int64_t slice = environment_.now_nanos();
    int64_t now = slice;
    while (status.ok() && micros.size() < kSliceCommits && now - slice < kSliceNanos &&
           !environment_.cancelled()) {
      const int64_t at = now;
      status = file.Commit(bytes, data_);
      now = environment_.now_nanos();
      micros.push_back(static_cast<float>(now - at) / 1000);
    }
    if (!status.ok() || micros.empty()) return status;
    Samples* samples = &samples_[cost];
    CountDeviceBytes(before, micros.size(), samples);
    samples->micros.insert(samples->micros.end(), micros.begin(), micros.end());
    samples->slice_medians.push_back(Percentile(&micros, 50));
    return absl::OkStatus();
  }

  void CountDeviceBytes(const absl::StatusOr<uint64_t>& before, uint64_t commits,
                        Samples* samples) {
    const absl::StatusOr<uint64_t> after = environment_.device_bytes();
    if (!before.ok() || !after.ok()) {
      const absl::Status& status = before.ok() ? after.status() : before.status();
      result_.device_bytes_absent = std::string(status.message());
      return;
    }
    samples->device_bytes.push_back(static_cast<float>(*after - *before) /
                                    static_cast<float>(commits));
  }

  // OK if `status` says that there is no such method or preparation here.
  absl::Status MarkUnavailable(size_t cost, const absl::Status& status) {
    const ProbeFile& file = files_[cost / kProbeSizeCount];
    std::string what;
    if (file.direct_io() && absl::IsInvalidArgument(status)) {
      what = "no O_DIRECT on this file system";
    } else if (file.preparation() == Preparation::kAllocated && absl::IsUnimplemented(status)) {
      what = "no fallocate on this file system";
    } else {
      return status;
    }
    const size_t first = cost / kProbeSizeCount * kProbeSizeCount;
    for (size_t i = first; i < first + kProbeSizeCount; ++i) result_.costs[i].unavailable = what;
    return absl::OkStatus();
  }

  absl::Status RemoveFiles() {
    absl::Status result;
    for (ProbeFile& file : files_) {
      absl::Status status = file.Remove();
      if (result.ok()) result = status;
    }
    return result;
  }

  void Summarize() {
    for (size_t i = 0; i < kCostCount; ++i) {
      CommitCost& cost = result_.costs[i];
      if (!cost.unavailable.empty()) continue;
      Samples& samples = samples_[i];
      cost.commits = samples.micros.size();
      cost.p50_micros = Percentile(&samples.micros, 50);
      cost.p99_micros = Percentile(&samples.micros, 99);
      SetConfidence(&samples.slice_medians, &cost);
      if (result_.device_bytes_absent.empty()) {
        cost.device_bytes = Percentile(&samples.device_bytes, 25);
      }
    }
  }

  const std::string directory_;
  const int64_t nanos_;
  const ProbeEnvironment& environment_;
  std::mt19937_64 random_;
  AlignedBuffer data_;
  std::vector<ProbeFile> files_;
  std::vector<Samples> samples_ = std::vector<Samples>(kCostCount);
  ProbeResult result_;
};

}  // namespace

size_t GroupBytesOf(ProbeSize size) {
  if (size == ProbeSize::kGroup) return kGroupBytes;
  return AlignUp(kGroupHeaderBytes + EncodedRecordBytes(kRecordBytes), kGroupUnitBytes);
}

absl::StatusOr<ProbeResult> ProbeDisk(const std::string& directory, int64_t nanos,
                                      const ProbeEnvironment& environment) {
  return Probe(directory, nanos, environment).Run();
}

}  // namespace seawall
