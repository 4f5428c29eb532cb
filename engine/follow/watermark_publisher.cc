// SPDX-License-Identifier: Apache-2.0
#include "engine/follow/watermark_publisher.h"

#include <cerrno>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/futex.h"
#include "engine/base/random.h"
#include "engine/follow/watermark_file.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

constexpr std::chrono::milliseconds kUnfollowedInterval(100);

// Whether to continue the counts of the last writer, which followers have seen: if its watermark is
// of this log, and leaves room to count.
bool IsToBeGoneOnWith(const std::optional<WatermarkBlock>& word, const LogId& log_id) {
  return word.has_value() && word->log_id == log_id && word->sequence < kMaxNumber / 2 &&
         word->cuts < kMaxNumber / 2;
}

}  // namespace

WatermarkPublisher::WatermarkPublisher(FileSystem* fs, const std::string& directory,
                                       Watermarks* marks)
    : fs_(fs), path_(JoinPath(directory, kWatermarkName)), marks_(marks) {}

void WatermarkPublisher::Start(const LogId& log_id) {
  if (!fs_->CanBeFollowed()) return;
  {
    MutexLock lock(&mutex_);
    active_ = true;
    absl::StatusOr<std::unique_ptr<File>> old = OpenFile(fs_, path_, OpenOptions());
    absl::StatusOr<std::optional<WatermarkBlock>> said =
        old.ok() ? ReadWatermark(old->get(), path_) : old.status();
    if (said.ok() && IsToBeGoneOnWith(*said, log_id)) {
      block_ = **said;
    } else {
      // How many truncations there were is not known, and followers must not take one count for the
      // other.
      block_.cuts = (1 + RandomU64() % (kMaxNumber / 2 / kCutCountStep - 1)) * kCutCountStep;
    }
    block_.log_id = log_id;
  }
  Publish(/*announce_cut=*/false, 0);
  thread_ = std::thread([this] { Run(); });
}

void WatermarkPublisher::Stop() {
  if (!thread_.joinable()) return;
  stop_.store(true, std::memory_order_relaxed);
  stopped_.store(1, std::memory_order_release);
  FutexWake(&stopped_);
  marks_->watch().Wake(Durability::kDurable);
  thread_.join();
  Publish(/*announce_cut=*/false, 0);
}

void WatermarkPublisher::AnnounceCut(Lsn first_cut) { Publish(/*announce_cut=*/true, first_cut); }

void WatermarkPublisher::Run() {
  using Clock = std::chrono::steady_clock;
  bool followed = false;
  Clock::time_point looked;
  while (AwaitNews()) {
    if (const Clock::time_point now = Clock::now(); now - looked >= kUnfollowedInterval) {
      followed = IsFollowed();
      looked = now;
    }
    if (followed) marks_->NoteTailRead();
    const bool published = Publish(/*announce_cut=*/false, 0);
    if (!followed || !published) Pause(kUnfollowedInterval);
  }
}

bool WatermarkPublisher::AwaitNews() {
  WatermarkWatch& watch = marks_->watch();
  uint64_t generation, end;
  {
    MutexLock lock(&mutex_);
    // What could not be published is still news.
    generation = published_ ? block_.generation : 0;
    end = block_.end;
  }
  watch.Begin(Durability::kDurable);
  bool stop;
  for (;;) {
    const uint32_t seen = watch.Seen(Durability::kDurable);
    stop = stop_.load(std::memory_order_relaxed);
    const Watermark durable = marks_->durable();
    if (stop || durable.generation != generation || durable.end != end) break;
    watch.Sleep(Durability::kDurable, seen, WatermarkWatch::Clock::time_point::max());
  }
  watch.End(Durability::kDurable);
  return !stop;
}

void WatermarkPublisher::Pause(std::chrono::milliseconds time) {
  if (!stop_.load(std::memory_order_relaxed)) FutexWaitFor(&stopped_, 0, time);
}

bool WatermarkPublisher::IsFollowed() {
  MutexLock lock(&mutex_);
  if (file_ == nullptr) return false;
  const int error = file_->TryLock();
  // The lock itself is of no use. A follower that finds it taken tries again.
  if (error == 0) (void)file_->Unlock();
  return error == EWOULDBLOCK;
}

bool WatermarkPublisher::Publish(bool announce_cut, Lsn first_cut) {
  MutexLock lock(&mutex_);
  if (!active_) return true;
  const Watermark durable = marks_->durable();
  block_.generation = durable.generation;
  block_.end = durable.end;
  block_.durable_lsn = durable.lsn;
  if (announce_cut) {
    ++block_.cuts;
    block_.first_cut = first_cut;
    block_.cut_generation = durable.generation;
  }
  ++block_.sequence;
  published_ = Write().ok();
  if (published_) return true;
  failures_.fetch_add(1, std::memory_order_relaxed);
  // The next watermark may be another writer's, which would not mention the truncation. Without the
  // file, that writer begins a count of its own, and followers notice.
  if (announce_cut) {
    file_.reset();
    (void)fs_->Unlink(path_);
  }
  return false;
}

absl::Status WatermarkPublisher::Write() {
  absl::Status status = WriteOnce();
  FileInfo info;
  if (!status.ok() || fs_->Stat(path_, &info) != ENOENT) return status;
  // If the log itself was removed, the file is not made again.
  if (fs_->Stat(JoinPath(ParentDirectory(path_), kControlName), &info) != 0) return status;
  // Somebody deleted it. Followers open it by name, so it is made again.
  file_.reset();
  return WriteOnce();
}

absl::Status WatermarkPublisher::WriteOnce() {
  if (file_ == nullptr) {
    OpenOptions options;
    options.write = true;
    options.create = true;
    absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, path_, options);
    if (!file.ok()) return file.status();
    file_ = std::move(*file);
  }
  char bytes[kWatermarkBytes];
  EncodeWatermark(block_, bytes);
  return WriteAt(file_.get(), path_, 0, std::string_view(bytes, sizeof(bytes)));
}

}  // namespace seawall
