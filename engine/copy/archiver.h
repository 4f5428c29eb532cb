// SPDX-License-Identifier: Apache-2.0
// Hands sealed segments to Options::archive, one after the other, and keeps them until it took
// them.
#ifndef SEAWALL_ENGINE_COPY_ARCHIVER_H_
#define SEAWALL_ENGINE_COPY_ARCHIVER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "engine/format/format.h"
#include "engine/io/anchored_file_system.h"
#include "engine/store/segment_store.h"
#include "seawall/options.h"
#include "seawall/stats.h"

namespace seawall {

// The file in the log's directory that says up to which generation segments are archived: 40 bytes,
// replaced by a rename. Lost or damaged, all that are there are archived again.
inline constexpr char kArchivedName[] = "ARCHIVED";

// Thread-safe. Its thread sleeps in the store until there is a segment to archive.
class Archiver {
 public:
  // `store` outlives this.
  Archiver(AnchoredFileSystem* fs, std::string directory, const Options& options,
           SegmentStore* store);
  ~Archiver() { (void)Stop(); }

  // Before the store starts: holds what is not archived yet. Without Options::archive, this and all
  // else does nothing.
  absl::Status Load(const RecoveredLog& log);
  // Starts the thread; std::system_error if there is none to be had.
  void Start();
  // Archives what the store has sealed, up to the first failure, and ends the thread. After the
  // store's Stop(). DeadlineExceeded, with what was not archived, if Options::archive_close_micros
  // pass first: no call of the hook begins after that, and the thread is left behind in one that
  // has not returned. It touches nothing of the log's when it does.
  absl::Status Stop();
  void AddStats(Stats* stats) const;

 private:
  using Clock = std::chrono::steady_clock;

  // What the thread shares with the archiver. It outlives both, since a hook may not return.
  struct Shared {
    explicit Shared(std::function<absl::Status(const SealedSegment&)> archive)
        : hook(std::move(archive)) {}

    const std::function<absl::Status(const SealedSegment&)> hook;
    Mutex mutex;
    CondVar changed;
    bool stop ABSL_GUARDED_BY(mutex) = false;
    // No call of the hook begins from here on.
    Clock::time_point deadline ABSL_GUARDED_BY(mutex) = Clock::time_point::max();
    bool in_hook ABSL_GUARDED_BY(mutex) = false;
    // The archiver is gone, or will be: only the thread has this struct now.
    bool abandoned ABSL_GUARDED_BY(mutex) = false;
    bool ended ABSL_GUARDED_BY(mutex) = false;
    // The first segment that the deadline kept from being archived.
    std::string late_path ABSL_GUARDED_BY(mutex);
    Lsn late_lsn ABSL_GUARDED_BY(mutex) = 0;
    uint64_t archived_segments ABSL_GUARDED_BY(mutex) = 0;
    uint64_t failures ABSL_GUARDED_BY(mutex) = 0;
  };

  enum class Called { kTaken, kFailed, kTooLate, kAbandoned };

  void Run(Shared* shared);
  // Calls the hook with the segment, which is at `path` now. After kAbandoned, the archiver is not
  // there any more.
  static Called CallHook(const SegmentRef& segment, const std::string& path, Shared* shared);
  absl::Status Remember(uint64_t generation);

  AnchoredFileSystem* const fs_;
  const std::string directory_;
  const Options options_;
  SegmentStore* const store_;
  LogId log_id_ = {};      // set by Load()
  uint64_t archived_ = 0;  // the last generation; set by Load(), then the thread's; grows only
  const std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COPY_ARCHIVER_H_
