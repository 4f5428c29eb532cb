// SPDX-License-Identifier: Apache-2.0
// Reader::Follow: reads a log that another process writes, and goes on as that goes on.
//
// What may be read is durable for good, whatever becomes of the writer: sealed segments (their
// successor's header, begun, says where they end; I2 in DESIGN.md), and of the last one what
// WATERMARK names, or what the log itself proved when it was opened here. A generation is never
// used twice, so that word is never mistaken for one on another file.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/follow/watermark_file.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/read/log_reader.h"
#include "engine/recovery/recovery_plan.h"
#include "engine/segments/control_file.h"
#include "engine/segments/segment_file.h"

namespace seawall {
namespace {

// How often is looked without being told: changes that inotify does not see (file systems of other
// machines or in user space), and a lock that the writer held just then.
constexpr std::chrono::milliseconds kLookInterval(250);
constexpr std::chrono::milliseconds kLookIntervalWithoutWatch(10);
// A successor that WATERMARK speaks of is there. If it cannot be read, something removed it again,
// and the next word of the writer tells; or it is damaged, and there is none.
constexpr int kMostLooks = 8;

// Belongs to one reader's thread.
class FollowedLog {
 public:
  FollowedLog(FileSystem* fs, const std::string& directory)
      : fs_(fs), directory_(directory), path_(JoinPath(directory, kWatermarkName)) {}

  // Reads the directory once; from then on only what the watermark names.
  absl::Status Open(Lsn* from);
  // As ReadSource.
  absl::StatusOr<std::optional<ReadRange>> Locate(Lsn lsn);
  // As ReadFailure.
  absl::Status Explain(const SegmentRef& segment, const absl::Status& status);

 private:
  // Looks at the watermark, and for the segments that it names.
  absl::Status Refresh();
  absl::StatusOr<std::optional<WatermarkBlock>> ReadBlock();
  absl::Status NoteCuts(const WatermarkBlock& block);
  // That no truncation took back what was served, however many there were: OutOfRange if the
  // segments do not show it.
  absl::Status CheckServed() const;
  std::deque<SegmentRef>::const_iterator Behind(Lsn lsn) const;
  absl::Status GoOnTo(const WatermarkBlock& block);
  absl::Status Append(const SegmentFile& successor);
  // The writer is further than its word says, and what that names may be gone: a truncation or a
  // recovery took its place. The next word tells, were it that of the next writer.
  bool IsStale(const WatermarkBlock& block) const;
  bool IsTrimmed(uint64_t generation) const;
  // OutOfRange with the first record, if segments before that of `generation` were trimmed; the
  // error if the log is gone; else OK.
  absl::Status CheckNotTrimmed(uint64_t generation, Lsn lsn);
  absl::Status IsGone() const;

  FileSystem* const fs_;
  const std::string directory_;
  const std::string path_;  // of WATERMARK
  LogId log_id_ = {};
  WatermarkBlock seen_;
  int looks_ = 0;  // in vain, at the same word
  // Oldest first. The last one is the tail, which may be read up to tail_lsn_, that is tail_end_.
  std::deque<SegmentRef> segments_;
  Lsn tail_lsn_ = 0;
  uint64_t tail_end_ = 0;
  bool cut_under_way_ = false;  // nothing is served meanwhile
  bool in_doubt_ = false;       // WATERMARK is another file, and how far it counted is not known
  Lsn served_ = 0;              // the last record of the ranges that were given out
  uint64_t served_generation_ = 0;  // where that is; 0: nowhere
  // The range that was given out last: who asks again for its record did not find the file.
  Lsn asked_ = 0;
  uint64_t asked_generation_ = 0;
};

absl::Status FollowedLog::Open(Lsn* from) {
  // Before the directory: a truncation between the two looks is noticed then.
  absl::StatusOr<std::optional<WatermarkBlock>> block = ReadBlock();
  if (!block.ok()) return block.status();
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(fs_, directory_, /*carry_small_tail=*/false);
  if (!plan.ok()) return plan.status();
  log_id_ = plan->control.log_id;
  if (block->has_value() && (*block)->log_id == log_id_) seen_.cuts = (*block)->cuts;
  const std::vector<SegmentRef> segments = plan->segments.Refs();
  segments_.assign(segments.begin(), segments.end());
  SegmentRef& tail = segments_.back();
  tail.last_lsn = ~Lsn{0};
  tail.end = tail.digest = 0;
  tail_lsn_ = plan->copy_first_lsn - 1;
  tail_end_ = plan->copy_from;
  served_ = 0;
  absl::Status status = Refresh();
  if (!status.ok()) return status;
  const Lsn first = segments_.front().base_lsn;
  if (*from == 0) *from = first;
  if (*from < first) {
    return absl::NotFoundError(absl::StrCat("follow from record ", *from, ": the log holds ", first,
                                            " to ", tail_lsn_, ", what is below was trimmed"));
  }
  if (*from > tail_lsn_ + 1) {
    return absl::OutOfRangeError(
        absl::StrCat("follow from record ", *from, ": expected ", first, " to ", tail_lsn_ + 1));
  }
  served_ = *from - 1;
  const auto behind = Behind(served_);
  if (behind != segments_.begin()) served_generation_ = std::prev(behind)->generation;
  return absl::OkStatus();
}

// The first segment that begins behind it.
std::deque<SegmentRef>::const_iterator FollowedLog::Behind(Lsn lsn) const {
  return std::upper_bound(segments_.begin(), segments_.end(), lsn,
                          [](Lsn l, const SegmentRef& s) { return l < s.base_lsn; });
}

absl::Status FollowedLog::IsGone() const {
  return absl::NotFoundError(absl::StrCat("the log in ", directory_, " is gone"));
}

absl::StatusOr<std::optional<WatermarkBlock>> FollowedLog::ReadBlock() {
  // By its name each time: it may be another file now.
  absl::StatusOr<std::unique_ptr<File>> opened = OpenFile(fs_, path_, OpenOptions());
  if (absl::IsNotFound(opened.status())) {
    FileInfo info;
    const int error = fs_->Stat(JoinPath(directory_, kControlName), &info);
    if (error == ENOENT || error == ENOTDIR) return IsGone();
    return std::nullopt;  // no writer was here that makes one
  }
  if (!opened.ok()) return opened.status();
  return ReadWatermark(opened->get(), path_);
}

absl::Status FollowedLog::Refresh() {
  absl::StatusOr<std::optional<WatermarkBlock>> read = ReadBlock();
  if (!read.ok()) return read.status();
  if (!read->has_value()) return absl::OkStatus();
  const WatermarkBlock& block = **read;
  if (block.log_id != log_id_) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, ", offset ", kLogIdOffset, ": expected log id ", LogIdToString(log_id_),
                     ", found ", LogIdToString(block.log_id), ": another log stands in its place"));
  }
  absl::Status status = NoteCuts(block);
  if (!status.ok()) return status;
  if (block.generation > segments_.back().generation) {
    status = GoOnTo(block);
    if (!status.ok()) {
      const bool fleeting = absl::IsNotFound(status) || absl::IsDataLoss(status);
      if (fleeting && IsStale(block)) return absl::OkStatus();
      looks_ = block.sequence == seen_.sequence ? looks_ + 1 : 1;
      seen_.sequence = block.sequence;
      return fleeting && looks_ < kMostLooks ? absl::OkStatus() : status;
    }
  }
  if (in_doubt_) {
    status = CheckServed();
    if (!status.ok()) return status;
    in_doubt_ = false;
  }
  seen_ = block;
  // A segment behind that of the word was begun by the truncation, of which the writer, killed just
  // then, told no more.
  cut_under_way_ = block.cut_under_way() && segments_.back().generation <= block.cut_generation;
  if (block.generation == segments_.back().generation && block.durable_lsn > tail_lsn_) {
    tail_lsn_ = block.durable_lsn;
    tail_end_ = block.end;
  }
  return absl::OkStatus();
}

// Of several truncations at once, only the last one is known; then all that was served is in doubt.
absl::Status FollowedLog::NoteCuts(const WatermarkBlock& block) {
  // Without a word when it was opened, all that this file has counted may have come since.
  if (seen_.cuts == 0) seen_.cuts = block.cuts - block.cuts % kCutCountStep;
  if (block.cuts == seen_.cuts) return absl::OkStatus();
  if (block.cuts / kCutCountStep != seen_.cuts / kCutCountStep) {
    in_doubt_ = true;
    return absl::OkStatus();
  }
  const Lsn first_cut = block.cuts == seen_.cuts + 1 ? block.first_cut : 0;
  seen_.cuts = block.cuts;
  if (served_ < first_cut) return absl::OkStatus();
  return absl::OutOfRangeError(
      first_cut == 0 ? absl::StrCat("follow the log in ", directory_,
                                    ": it was reset, or truncated more than once")
                     : absl::StrCat("follow the log in ", directory_,
                                    ": it was truncated after record ", first_cut - 1));
}

// A truncation, and whatever comes behind it, leaves the segment that it cuts with an end before
// the cut, or not at all. A copy of the log that has taken its place has the same id, and uses the
// generations behind it again, with other salts.
absl::Status FollowedLog::CheckServed() const {
  const auto behind = Behind(served_);
  if (behind != segments_.begin() && std::prev(behind)->generation == served_generation_ &&
      served_ <= std::prev(behind)->last_lsn) {
    absl::StatusOr<SegmentFile> file =
        ReadSegmentFile(fs_, directory_, served_generation_, &log_id_);
    if (absl::IsResourceExhausted(file.status())) return file.status();
    if (file.ok() && file->kind == FileKind::kBegun &&
        file->header.salt == std::prev(behind)->salt) {
      return absl::OkStatus();
    }
  }
  return absl::OutOfRangeError(absl::StrCat(
      "follow the log in ", directory_, ": ", path_, " was made anew, and whether the log was ",
      "truncated before record ", served_ + 1, " meanwhile is not known"));
}

// From the segment that is written now back to one that is known.
absl::Status FollowedLog::GoOnTo(const WatermarkBlock& block) {
  std::vector<SegmentFile> behind;
  uint64_t generation = block.generation;
  while (generation > segments_.back().generation) {
    absl::StatusOr<SegmentFile> file = ReadSegmentFile(fs_, directory_, generation, &log_id_);
    if (!file.ok() || file->kind != FileKind::kBegun) {
      if (!behind.empty() && IsTrimmed(generation)) break;
      if (!file.ok()) return file.status();
      return DamageStatus(
          file->path, 0,
          absl::StrCat("expected the header of segment ", generation, ", begun, found none"));
    }
    if (file->header.predecessor_generation >= generation) {
      return DamageStatus(file->path, kPredecessorGenerationOffset,
                          absl::StrCat("expected a predecessor below ", generation, ", found ",
                                       file->header.predecessor_generation));
    }
    generation = file->header.predecessor_generation;
    behind.push_back(std::move(*file));
  }
  for (; !behind.empty(); behind.pop_back()) {
    absl::Status status = Append(behind.back());
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status FollowedLog::Append(const SegmentFile& successor) {
  const SegmentHeader& header = successor.header;
  // All that was durable before is in it or before it, unless it began with a truncation. Its
  // writer may not have been able to tell of that.
  if (served_ > header.durable_lsn) {
    return absl::OutOfRangeError(absl::StrCat(
        "follow the log in ", directory_, ": it was truncated after record ", header.durable_lsn));
  }
  while (!segments_.empty() && segments_.back().generation > header.predecessor_generation) {
    segments_.pop_back();  // it took their place
  }
  if (!segments_.empty() && segments_.back().generation == header.predecessor_generation) {
    SegmentRef& sealed = segments_.back();
    sealed.last_lsn = header.base_lsn - 1;
    sealed.end = header.predecessor_end;
    sealed.digest = header.predecessor_digest;
  } else {
    segments_.clear();  // what was between was trimmed
  }
  SegmentRef tail;
  tail.path = successor.path;
  tail.generation = header.generation;
  tail.salt = header.salt;
  tail.base_lsn = header.base_lsn;
  tail.groups_begin = header.groups_begin();
  segments_.push_back(std::move(tail));
  tail_lsn_ = header.base_lsn - 1;
  tail_end_ = header.groups_begin();
  return absl::OkStatus();
}

absl::StatusOr<std::optional<ReadRange>> FollowedLog::Locate(Lsn lsn) {
  const bool again = lsn == asked_;
  if (lsn > tail_lsn_ || cut_under_way_ || again) {
    absl::Status status = Refresh();
    if (!status.ok()) return status;
  }
  if (lsn > tail_lsn_ || cut_under_way_) return std::nullopt;
  const auto above = Behind(lsn);
  if (above == segments_.begin()) {
    absl::Status status = CheckNotTrimmed(segments_.front().generation, lsn);
    if (!status.ok()) return status;
    return absl::OutOfRangeError(absl::StrCat(
        "follow from record ", lsn, ": the log begins at record ", segments_.front().base_lsn));
  }
  const SegmentRef& segment = *std::prev(above);
  if (again && segment.generation == asked_generation_) {
    // Its file is gone, or the reader asked twice for nothing.
    FileInfo info;
    if (fs_->Stat(segment.path, &info) == ENOENT) {
      absl::Status status = CheckNotTrimmed(segment.generation, lsn);
      if (!status.ok()) return status;
      return std::nullopt;  // a new writer, or a truncation, took its place; it will tell
    }
  }
  asked_ = lsn;
  asked_generation_ = segment.generation;
  ReadRange range{segment, segment.sealed() ? segment.last_lsn : tail_lsn_,
                  segment.sealed() ? segment.end : tail_end_};
  if (range.last_lsn > served_) {
    served_ = range.last_lsn;
    served_generation_ = segment.generation;
  }
  return range;
}

bool FollowedLog::IsStale(const WatermarkBlock& block) const {
  absl::StatusOr<ControlBlock> control = ReadControl(fs_, directory_);
  return control.ok() && block.generation < control->tail_generation;
}

bool FollowedLog::IsTrimmed(uint64_t generation) const {
  absl::StatusOr<ControlBlock> control = ReadControl(fs_, directory_);
  return control.ok() && generation < control->first_generation;
}

absl::Status FollowedLog::CheckNotTrimmed(uint64_t generation, Lsn lsn) {
  absl::StatusOr<ControlBlock> control = ReadControl(fs_, directory_);
  if (absl::IsNotFound(control.status())) return IsGone();
  if (!control.ok()) return control.status();
  if (generation >= control->first_generation) return absl::OkStatus();
  absl::StatusOr<SegmentFile> first =
      ReadSegmentFile(fs_, directory_, control->first_generation, &log_id_);
  return absl::OutOfRangeError(absl::StrCat(
      "follow from record ", lsn, ": it was trimmed, the log begins at record ",
      first.ok() && first->kind == FileKind::kBegun ? absl::StrCat(first->header.base_lsn)
                                                    : std::string("(trimmed again meanwhile)")));
}

absl::Status FollowedLog::Explain(const SegmentRef& segment, const absl::Status& status) {
  absl::Status trimmed = CheckNotTrimmed(segment.generation, std::max(asked_, segment.base_lsn));
  return trimmed.ok() ? status : trimmed;
}

// Sleeps until WATERMARK was written. Holds the shared lock that tells the writer that somebody
// follows, for as long as the reader lives.
class FollowWatch : public ReadWatch {
 public:
  FollowWatch(FileSystem* fs, const std::string& directory)
      : fs_(fs), path_(JoinPath(directory, kWatermarkName)) {
    // Without it (no inotify, or no more of it for this user), looking from time to time will do.
    if (fs_->Watch(directory, kWatermarkName, &watch_) != 0) watch_.reset();
  }

  void Begin() override {
    if (!announced_) Announce();
  }
  void End() override {}
  absl::Status Look() override {
    if (cancelled_.load(std::memory_order_acquire)) {
      return absl::CancelledError("wait for a record: cancelled");
    }
    return absl::OkStatus();
  }
  void Sleep(Clock::time_point deadline) override {
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
  void Cancel() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      cancelled_.store(true, std::memory_order_release);
      cancel_.notify_all();
    }
    if (watch_ != nullptr) watch_->Wake();
  }

 private:
  void Announce() {
    absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, path_, OpenOptions());
    if (!file.ok()) return;
    // The writer, when it looks for us, has the lock for a moment.
    announced_ = (*file)->TryLockShared() == 0;
    file_ = std::move(*file);
  }

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

}  // namespace

absl::StatusOr<std::unique_ptr<Reader>> Reader::Follow(const std::string& directory, Lsn from,
                                                       FileSystem* file_system) {
  FileSystem* fs = file_system == nullptr ? FileSystem::Posix() : file_system;
  // Before the first look: what comes behind it is told.
  auto watch = std::make_unique<FollowWatch>(fs, directory);
  auto log = std::make_shared<FollowedLog>(fs, directory);
  absl::Status status = log->Open(&from);
  if (!status.ok()) return status;
  return NewSourceReader(
      fs, [log](Lsn lsn) { return log->Locate(lsn); }, from,
      [log](const SegmentRef& segment, const absl::Status& failure) {
        return log->Explain(segment, failure);
      },
      std::move(watch));
}

}  // namespace seawall
