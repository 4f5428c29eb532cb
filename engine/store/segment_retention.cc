// SPDX-License-Identifier: Apache-2.0
// The part of SegmentStore that knows what keeps segments: holds, what is wanted, and the report.
#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/io/file_io.h"
#include "engine/store/segment_store.h"

namespace seawall {

// ---- Holds

absl::Status SegmentStore::SetHold(HoldKind kind, const std::string& name, Lsn lsn) {
  MutexLock lock(&mutex_);
  const Lsn first = segments_.empty() ? 0 : segments_[giving_up_].base_lsn;
  if (lsn < first) {
    return absl::OutOfRangeError(absl::StrCat("hold record ", lsn, " for ", HoldKindName(kind),
                                              " \"", name, "\": the log begins at record ", first));
  }
  NoteLetGo(holds_.Set(kind, name, lsn));
  return absl::OkStatus();
}

Lsn SegmentStore::HoldFirst(HoldKind kind, const std::string& name) {
  MutexLock lock(&mutex_);
  const Lsn first = segments_[giving_up_].base_lsn;
  (void)holds_.Set(kind, name, first);
  return first;
}

void SegmentStore::HoldBehind(HoldKind kind, const std::string& name, uint64_t generation) {
  MutexLock lock(&mutex_);
  const size_t next = std::min(segments_.FirstAbove(generation), segments_.size() - 1);
  NoteLetGo(holds_.Set(kind, name, segments_[next].base_lsn));
}

void SegmentStore::ReleaseHold(HoldKind kind, const std::string& name) {
  MutexLock lock(&mutex_);
  NoteLetGo(holds_.Release(kind, name));
}

std::vector<Hold> SegmentStore::holds() const {
  MutexLock lock(&mutex_);
  return holds_.All();
}

void SegmentStore::NoteLetGo(Lsn held_from) {
  // Called for each step of each cursor: all but those that leave the first segment end here.
  // The first one is that which stays when what is being given up is gone.
  if (segments_.size() < giving_up_ + 2) return;
  const Lsn last_lsn = segments_[giving_up_].last_lsn;
  if (held_from > last_lsn) return;
  Clock::time_point due;
  if (last_lsn >= std::min(UnwantedBelow(&due), holds_.Lowest())) return;
  trim_due_ = true;
  work_.NotifyOne();
}

// ---- What is wanted

Lsn SegmentStore::UnwantedBelow(Clock::time_point* due) const {
  Lsn below = unwanted_below_;
  if (options_.retain_bytes == 0 && options_.retain_micros == 0) return below;
  uint64_t behind = fill_ + segments_.end_bytes();
  const int64_t now = clock_.Now();
  for (size_t i = 0; i + 1 < segments_.size(); ++i) {
    const SegmentEntry& segment = segments_[i];
    behind -= segment.end;
    if (segment.last_lsn < below) continue;
    if (Wanted(options_, behind, segment.newest_unix_micros, now, nullptr)) {
      if (options_.retain_micros > 0 && segment.newest_unix_micros > 0) {
        *due = clock_.TimeOf(segment.newest_unix_micros +
                             static_cast<int64_t>(options_.retain_micros));
      }
      break;
    }
    below = segment.last_lsn + 1;
  }
  return below;
}

bool SegmentStore::NextOfUnknownAge(uint64_t* generation, SegmentRef* next) {
  MutexLock lock(&mutex_);
  const int64_t now = clock_.Now();
  for (size_t i = 0; i + 1 < segments_.size(); ++i) {
    const int64_t newest = segments_[i].newest_unix_micros;
    if (newest > 0 && Wanted(options_, 0, newest, now, nullptr)) return false;
    if (newest > 0) continue;
    *generation = segments_[i].generation;
    *next = segments_.PinnedRef(i + 1);
    return true;
  }
  return false;
}

// A segment's records were all written before the first group of the one behind it was sealed. One
// that was begun when the log was opened has none, or copies of older ones: they do as well.
int64_t SegmentStore::NewestBefore(const SegmentRef& next) const {
  std::array<char, kGroupHeaderBytes> bytes;
  GroupHeader header;
  uint64_t checksum;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, next.path, OpenOptions());
  if (!file.ok()) return clock_.start();
  absl::StatusOr<size_t> got =
      ReadAt(file->get(), next.path, next.groups_begin, bytes.size(), bytes.data());
  if (!got.ok() || *got < bytes.size() ||
      !DecodeGroupHeader(bytes.data(), next.salt, next.groups_begin, &header, &checksum)) {
    return clock_.start();
  }
  // A clock that was ahead then makes nothing younger than the log's opening.
  return std::clamp<int64_t>(header.sealed_unix_micros, 1, clock_.start());
}

void SegmentStore::LearnAges() {
  if (options_.retain_micros == 0) return;
  uint64_t generation = 0;
  SegmentRef next;
  while (NextOfUnknownAge(&generation, &next)) {
    const int64_t newest = NewestBefore(next);
    MutexLock lock(&mutex_);
    if (IsCurrent(generation)) segments_.SetNewest(segments_.Find(generation), newest);
  }
}

// ---- The report

SegmentRetention SegmentStore::Explain(size_t i, uint64_t bytes_behind, Lsn unwanted_below) const {
  const SegmentEntry& segment = segments_[i];
  SegmentRetention kept;
  kept.generation = segment.generation;
  kept.first_lsn = segment.base_lsn;
  kept.last_lsn = segment.last_lsn;
  kept.bytes = segment.file_bytes;
  const int64_t now = clock_.Now();
  if (segment.newest_unix_micros > 0) {
    kept.age_micros = std::max<int64_t>(0, now - segment.newest_unix_micros);
  }
  if (i + 1 == segments_.size()) {
    kept.bytes = prepared_.front().file_bytes;
    kept.why = KeptBecause::kTail;
  } else if (segment.last_lsn >= unwanted_below) {
    (void)Wanted(options_, bytes_behind, segment.newest_unix_micros, now, &kept.why);
  } else if (i >= giving_up_ && segment.last_lsn >= holds_.Lowest()) {
    kept.why = KeptBecause::kHeld;
  } else {
    kept.why = KeptBecause::kGivenUpNext;
  }
  kept.text = KeptBecauseName(kept.why);
  if (kept.why == KeptBecause::kHeld) {
    for (const Hold& hold : holds_.All()) {
      if (hold.lsn > segment.last_lsn) continue;
      absl::StrAppend(&kept.text, kept.text == "held" ? " by " : ", ", HoldKindName(hold.kind));
      if (!hold.name.empty()) absl::StrAppend(&kept.text, " \"", hold.name, "\"");
      absl::StrAppend(&kept.text, " from record ", hold.lsn);
    }
  }
  return kept;
}

RetentionReport SegmentStore::retention_report() {
  LearnAges();
  const Lsn durable = marks_->durable_lsn();
  RetentionReport report;
  auto add_file = [&report](uint64_t generation, uint64_t bytes, KeptBecause why) {
    SegmentRetention file;
    file.generation = generation;
    file.bytes = bytes;
    file.why = why;
    file.text = KeptBecauseName(why);
    report.segments.push_back(std::move(file));
  };
  MutexLock lock(&mutex_);
  ForgetClosedPins();
  Clock::time_point due;
  const Lsn below = UnwantedBelow(&due);
  uint64_t behind = fill_ + segments_.end_bytes();
  for (size_t i = 0; i < segments_.size(); ++i) {
    behind -= segments_[i].end;
    report.segments.push_back(Explain(i, behind, below));
  }
  SegmentRetention& tail = report.segments.back();
  tail.last_lsn = std::max(durable, tail.first_lsn - 1);
  for (size_t i = 1; i < prepared_.size(); ++i) {
    add_file(prepared_[i].generation, prepared_[i].file_bytes, KeptBecause::kSpare);
  }
  for (const Left& file : trimmed_) {
    add_file(file.generation, file.file_bytes,
             file.pins.expired() ? KeptBecause::kRemovedNext : KeptBecause::kReader);
  }
  for (const Gone& file : cut_files_) {
    add_file(file.generation, file.file_bytes, KeptBecause::kRemovedNext);
  }
  for (const Left& file : pinned_) {
    add_file(file.generation, file.file_bytes, KeptBecause::kReader);
  }
  report.first_lsn = segments_.front().base_lsn;
  report.holds = holds_.All();
  report.disk_bytes = budget_.used();
  report.max_log_bytes = budget_.cap();
  report.reserved_bytes = budget_.reserve();
  return report;
}

}  // namespace seawall
