// SPDX-License-Identifier: Apache-2.0
// Writes the file WATERMARK (watermark_file.h) for an open log.
#ifndef SEAWALL_ENGINE_FOLLOW_WATERMARK_PUBLISHER_H_
#define SEAWALL_ENGINE_FOLLOW_WATERMARK_PUBLISHER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "engine/base/mutex.h"
#include "engine/format/format.h"
#include "engine/store/watermarks.h"
#include "seawall/file_system.h"
#include "seawall/types.h"

namespace seawall {

// Publishes the durable watermark of an open log, so that other processes can follow it.
//
// Its thread follows the log as any reader does (watermark_watch.h): committing threads never touch
// the file, so a disk that stalls or fails there harms nobody but the followers. Followers hold a
// shared lock on the file. While there is none, the thread wakes up and publishes at most ten times
// a second, and only when there is news.
//
// A failure to write is counted, and tried again ten times a second: no record depends on it.
//
// Thread-safe. mutex_ guards the file and orders publications, so that none is older than the one
// before it. It is held while the file is written; committing threads never take it.
class WatermarkPublisher {
 public:
  // `marks` outlives this.
  WatermarkPublisher(FileSystem* fs, const std::string& directory, Watermarks* marks);
  ~WatermarkPublisher() { Stop(); }

  // Publishes for the first time, and starts the thread. Does nothing on a file system that cannot
  // be followed. Throws std::system_error if the kernel gives no thread.
  void Start(const LogId& log_id);
  // A truncation that discards `first_cut` and all records after it (0: all records) is about to be
  // made durable. If this cannot be published, the file is removed, and made again with the next
  // watermark.
  void AnnounceCut(Lsn first_cut);
  // Publishes for the last time.
  void Stop();

  // How many watermarks could not be written.
  uint64_t failures() const { return failures_.load(std::memory_order_relaxed); }

 private:
  void Run();
  // Waits until there is something else to publish; false when it is time to stop.
  bool AwaitNews();
  // Sleeps until the time is over, or it is time to stop.
  void Pause(std::chrono::milliseconds time);
  bool IsFollowed() ABSL_LOCKS_EXCLUDED(mutex_);
  // False if it could not be written.
  bool Publish(bool announce_cut, Lsn first_cut) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Write() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status WriteOnce() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  FileSystem* const fs_;
  const std::string path_;
  Watermarks* const marks_;
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::atomic<uint32_t> stopped_{0};  // what Pause() sleeps on
  std::atomic<uint64_t> failures_{0};

  Mutex mutex_;
  bool active_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<File> file_ ABSL_GUARDED_BY(mutex_);
  WatermarkBlock block_ ABSL_GUARDED_BY(mutex_);
  bool published_ ABSL_GUARDED_BY(mutex_) = true;  // block_ is what the file says
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FOLLOW_WATERMARK_PUBLISHER_H_
