// SPDX-License-Identifier: Apache-2.0
#include "bench/measure.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/flush_counter.h"
#include "bench/record.h"
#include "bench/workload.h"

namespace seawall::bench {
namespace {

namespace fs = std::filesystem;

// A directory for one run. What is left of a run is on disk when the next one begins.
class RunDirectory {
 public:
  explicit RunDirectory(const std::string& parent) : parent_(parent), path_(parent + "/run") {
    std::error_code error;  // the peer will say what it could not open
    fs::remove_all(path_, error);
    fs::create_directory(path_, error);
  }
  ~RunDirectory() {
    std::error_code error;
    fs::remove_all(path_, error);
    const int fd = open(parent_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
      syncfs(fd);
      close(fd);
    }
  }
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  const std::string parent_;
  const std::string path_;
};

// A flush acknowledges, for each thread, at most what that thread has outstanding.
absl::Status CheckFlushes(uint64_t records, uint64_t outstanding, uint64_t flushes,
                          std::string_view whose) {
  const uint64_t least = (records + outstanding - 1) / outstanding;
  if (flushes >= least) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(records, " records were acknowledged, at most ",
                                          outstanding, " at a time, with ", flushes, " flushes by ",
                                          absl::string_view(whose.data(), whose.size()),
                                          "; expected ", least, " or more"));
}

absl::Status CheckRecords(const PeerInfo& info, Peer* peer, const Outcome& outcome, uint64_t run,
                          const Point& point) {
  if (info.memory_only) return absl::OkStatus();
  RecordCheck check(run, point.threads, point.record_bytes, info.keeps_all);
  absl::Status status = peer->OpenToRead();
  if (status.ok()) {
    status = peer->Read([&check](std::string_view record) { check.Visit(record); });
  }
  if (status.ok()) status = check.Finish(outcome.acknowledged);
  if (status.ok()) status = peer->Close();
  return status;
}

absl::StatusOr<Metrics> MeasureWriting(const PeerInfo& info, const Point& point,
                                       const RunOptions& run, const MeasureOptions& options) {
  static uint64_t run_number = static_cast<uint64_t>(getpid()) << 32;
  WorkloadOptions work;
  work.run = ++run_number;
  work.point = point;
  work.seconds = options.seconds;
  work.device = options.device;
  work.most_bytes = run.most_append_bytes;

  std::unique_ptr<Peer> peer = info.make(run);
  if (absl::Status status = peer->Open(); !status.ok()) return status;
  const uint64_t flushes_before = FlushCount();
  const uint64_t device_before = options.device->Now().flushes;
  absl::StatusOr<Outcome> outcome = RunWorkload(peer.get(), work);
  const uint64_t flushes = FlushCount() - flushes_before;
  const uint64_t device_after = options.device->Now().flushes;
  absl::Status status = outcome.status();
  if (absl::Status closed = peer->Close(); status.ok()) status = closed;
  if (!status.ok()) return status;

  const uint64_t records =
      std::accumulate(outcome->acknowledged.begin(), outcome->acknowledged.end(), uint64_t{0});
  if (!info.memory_only) {
    status = CheckFlushes(records, outcome->most_outstanding, flushes, "this process");
    if (status.ok() && options.device->counts_flushes()) {
      status = CheckFlushes(records, outcome->most_outstanding, device_after - device_before,
                            "the device");
    }
  }
  if (status.ok()) status = CheckRecords(info, peer.get(), *outcome, work.run, point);
  if (!status.ok()) return status;
  return outcome->metrics;
}

absl::StatusOr<Metrics> MeasureReplay(const PeerInfo& info, const Point& point,
                                      const RunOptions& run, const MeasureOptions& options) {
  const uint64_t records = run.most_append_bytes / point.record_bytes;
  std::unique_ptr<Peer> peer = info.make(run);
  absl::Status status = peer->Open();
  RecordMaker maker(1, 0, point.record_bytes);
  for (uint64_t i = 0; i < records && status.ok(); ++i) status = peer->Append(0, maker.Next());
  if (status.ok()) status = peer->Sync();
  if (status.ok()) status = peer->Close();
  Outcome written;
  written.acknowledged = {records};
  if (status.ok()) status = CheckRecords(info, peer.get(), written, 1, point);
  if (status.ok()) status = peer->OpenToRead();
  if (!status.ok()) return status;
  auto metrics = RunReplay(peer.get(), records, options.seconds, *options.device);
  status = peer->Close();
  if (!status.ok()) return status;
  return metrics;
}

}  // namespace

absl::StatusOr<Metrics> Measure(const PeerInfo& info, const Point& point,
                                const MeasureOptions& options) {
  RunDirectory directory(options.directory);
  RunOptions run;
  run.directory = directory.path();
  run.workload = point.workload;
  run.threads = point.threads;
  run.record_bytes = point.record_bytes;
  run.season = options.season;
  if (point.workload == Workload::kReplay) {
    run.most_append_bytes = std::min(options.replay_bytes, info.most_replay_bytes);
    return MeasureReplay(info, point, run, options);
  }
  run.most_append_bytes = options.append_bytes;
  return MeasureWriting(info, point, run, options);
}

}  // namespace seawall::bench
