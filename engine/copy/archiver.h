// SPDX-License-Identifier: Apache-2.0
// Hands sealed segments to Options::archive, one after the other, and keeps them until it took
// them.
#ifndef SEAWALL_ENGINE_COPY_ARCHIVER_H_
#define SEAWALL_ENGINE_COPY_ARCHIVER_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "engine/format/format.h"
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
  Archiver(FileSystem* fs, std::string directory, const Options& options, SegmentStore* store);
  ~Archiver() { Stop(); }

  // Before the store starts: holds what is not archived yet. Without Options::archive, this and all
  // else does nothing.
  absl::Status Load(const RecoveredLog& log);
  // Starts the thread; std::system_error if there is none to be had.
  void Start();
  // Archives what the store has sealed, up to the first failure, and ends the thread. After the
  // store's Stop().
  void Stop();
  void AddStats(Stats* stats) const;

 private:
  using Clock = std::chrono::steady_clock;

  void Run();
  // Calls the hook, and remembers that it took the segment.
  absl::Status Archive(const SegmentRef& segment);
  absl::Status Remember(uint64_t generation);

  FileSystem* const fs_;
  const std::string directory_;
  const Options options_;
  SegmentStore* const store_;
  LogId log_id_ = {};      // set by Load()
  uint64_t archived_ = 0;  // the last generation; set by Load(), then the thread's; grows only
  std::thread thread_;

  mutable Mutex mutex_;
  CondVar work_;
  uint64_t archived_segments_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t failures_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COPY_ARCHIVER_H_
