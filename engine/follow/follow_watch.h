// SPDX-License-Identifier: Apache-2.0
// How a follower waits for the next published watermark.
#ifndef SEAWALL_ENGINE_FOLLOW_FOLLOW_WATCH_H_
#define SEAWALL_ENGINE_FOLLOW_FOLLOW_WATCH_H_

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "engine/read/log_reader.h"
#include "seawall/file_system.h"

namespace seawall {

// Sleeps until WATERMARK was written. It holds a shared lock on that file, by which the writer sees
// that somebody follows, for as long as it lives.
class FollowWatch : public ReadWatch {
 public:
  FollowWatch(FileSystem* fs, const std::string& directory);

  void Begin() override;
  void End() override {}
  absl::Status Look() override;
  void Sleep(Clock::time_point deadline) override;
  void Cancel() override;

 private:
  void Announce();

  FileSystem* const fs_;
  const std::string path_;
  std::unique_ptr<FileWatch> watch_;
  bool failed_watch_ = false;
  std::unique_ptr<File> file_;  // WATERMARK, with the lock
  bool announced_ = false;
  std::mutex mutex_;
  std::condition_variable cancel_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FOLLOW_FOLLOW_WATCH_H_
