// SPDX-License-Identifier: Apache-2.0
#include "engine/follow/follow_watch.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

// How often WATERMARK is read without a notification: inotify does not see the changes that other
// machines or file systems in user space make, and the writer may have held the lock just then.
constexpr std::chrono::milliseconds kLookInterval(250);
constexpr std::chrono::milliseconds kLookIntervalWithoutWatch(10);

}  // namespace

FollowWatch::FollowWatch(FileSystem* fs, const std::string& directory)
    : fs_(fs), path_(JoinPath(directory, kWatermarkName)) {
  // Without a watch (no inotify, or no more of it for this user), reading from time to time will
  // do.
  if (fs_->Watch(directory, kWatermarkName, &watch_) != 0) watch_.reset();
}

void FollowWatch::Begin() {
  if (!announced_) Announce();
}

absl::Status FollowWatch::Look() {
  if (cancelled_.load(std::memory_order_acquire)) {
    return absl::CancelledError("wait for a record: cancelled");
  }
  return absl::OkStatus();
}

void FollowWatch::Sleep(Clock::time_point deadline) {
  if (!announced_) Announce();
  const Clock::duration interval =
      watch_ != nullptr ? Clock::duration(kLookInterval) : kLookIntervalWithoutWatch;
  const Clock::duration left = std::min(interval, deadline - Clock::now());
  if (left <= Clock::duration::zero()) return;
  if (watch_ != nullptr) {
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(left).count();
    const Clock::time_point start = Clock::now();
    if (!failed_watch_ && watch_->Wait(static_cast<uint64_t>(micros) + 1) != 0) {
      failed_watch_ = true;  // and not reset: Cancel() may be using it
    }
    // Nothing came for long: perhaps it comes to another file by now.
    if (Clock::now() - start >= kLookInterval) announced_ = false;
    if (!failed_watch_) return;
  }
  std::unique_lock<std::mutex> lock(mutex_);
  cancel_.wait_for(lock, std::min<Clock::duration>(left, kLookIntervalWithoutWatch),
                   [this] { return cancelled_.load(std::memory_order_acquire); });
}

void FollowWatch::Cancel() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    cancelled_.store(true, std::memory_order_release);
    cancel_.notify_all();
  }
  if (watch_ != nullptr) watch_->Wake();
}

void FollowWatch::Announce() {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, path_, OpenOptions());
  if (!file.ok()) return;
  // The writer holds the lock for a moment when it checks for followers.
  announced_ = (*file)->TryLockShared() == 0;
  file_ = std::move(*file);
}

}  // namespace seawall
