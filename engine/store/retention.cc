// SPDX-License-Identifier: Apache-2.0
// Holds, what is wanted, and the report. The files: trimming.cc.
#include "engine/store/retention.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/store/retain_options.h"

namespace seawall {
namespace {

// Returns how old a segment's records are at most, by the segment after it, `next`: they were all
// written before the first group of that one was sealed. One that was begun when the log was opened
// has no group, or copies of older ones: they do as well. `opened`: when the log was opened.
int64_t NewestBefore(FileSystem* fs, const SegmentRef& next, int64_t opened) {
  std::array<char, kGroupHeaderBytes> bytes;
  GroupHeader header;
  uint64_t checksum;
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, next.path, OpenOptions());
  if (!file.ok()) return opened;
  absl::StatusOr<size_t> got =
      ReadAt(file->get(), next.path, next.groups_begin, bytes.size(), bytes.data());
  if (!got.ok() || *got < bytes.size() ||
      !DecodeGroupHeader(bytes.data(), next.salt, next.groups_begin, &header, &checksum)) {
    return opened;
  }
  // A clock that was ahead then makes nothing younger than the log's opening.
  return std::clamp<int64_t>(header.sealed_unix_micros, 1, opened);
}

SegmentRetention FileOutsideTheLog(uint64_t generation, uint64_t bytes, KeptBecause why) {
  SegmentRetention file;
  file.generation = generation;
  file.bytes = bytes;
  file.why = why;
  file.text = KeptBecauseName(why);
  return file;
}

}  // namespace

// ---- Holds

absl::Status Retention::SetHold(HoldKind kind, const std::string& name, Lsn lsn) {
  MutexLock lock(&state_->mutex);
  SegmentList& segments = state_->segments;
  const Lsn first = segments.empty() ? 0 : segments[state_->trim.under_way].base_lsn;
  if (lsn < first) {
    return absl::OutOfRangeError(absl::StrCat("hold record ", lsn, " for ", HoldKindName(kind),
                                              " \"", name, "\": the log begins at record ", first));
  }
  NoteLetGo(state_->trim.holds.Set(kind, name, lsn));
  return absl::OkStatus();
}

Lsn Retention::HoldFirst(HoldKind kind, const std::string& name) {
  MutexLock lock(&state_->mutex);
  const Lsn first = state_->segments[state_->trim.under_way].base_lsn;
  (void)state_->trim.holds.Set(kind, name, first);
  return first;
}

void Retention::HoldAfter(HoldKind kind, const std::string& name, uint64_t generation) {
  MutexLock lock(&state_->mutex);
  SegmentList& segments = state_->segments;
  const size_t next = std::min(segments.FirstAbove(generation), segments.size() - 1);
  NoteLetGo(state_->trim.holds.Set(kind, name, segments[next].base_lsn));
}

void Retention::ReleaseHold(HoldKind kind, const std::string& name) {
  MutexLock lock(&state_->mutex);
  NoteLetGo(state_->trim.holds.Release(kind, name));
}

std::vector<Hold> Retention::holds() const {
  MutexLock lock(&state_->mutex);
  return state_->trim.holds.All();
}

void Retention::NoteLetGo(Lsn held_from) {
  // Called for each step of each cursor: all but those that leave the first segment end here.
  // The first one is that which stays when what is being trimmed is gone.
  SegmentList& segments = state_->segments;
  TrimState& trim = state_->trim;
  if (segments.size() < trim.under_way + 2) return;
  const Lsn last_lsn = segments[trim.under_way].last_lsn;
  if (held_from > last_lsn) return;
  Clock::time_point due;
  if (last_lsn >= std::min(UnwantedBelow(&due), trim.holds.Lowest())) return;
  trim.due = true;
  state_->work.NotifyOne();
}

// ---- What is wanted

Lsn Retention::UnwantedBelow(Clock::time_point* due) const {
  const Options& options = state_->options;
  SegmentList& segments = state_->segments;
  Lsn below = state_->trim.unwanted_below;
  if (options.retain_bytes == 0 && options.retain_micros == 0) return below;
  uint64_t after = state_->prepared.fill() + segments.end_bytes();
  const int64_t now = state_->clock.Now();
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    const SegmentEntry& segment = segments[i];
    after -= segment.end;
    if (segment.last_lsn < below) continue;
    if (Wanted(options, after, segment.newest_unix_micros, now, nullptr)) {
      if (options.retain_micros > 0 && segment.newest_unix_micros > 0) {
        *due = state_->clock.TimeOf(segment.newest_unix_micros +
                                    static_cast<int64_t>(options.retain_micros));
      }
      break;
    }
    below = segment.last_lsn + 1;
  }
  return below;
}

bool Retention::NextOfUnknownAge(uint64_t* generation, SegmentRef* next) {
  MutexLock lock(&state_->mutex);
  SegmentList& segments = state_->segments;
  const int64_t now = state_->clock.Now();
  for (size_t i = 0; i + 1 < segments.size(); ++i) {
    const int64_t newest = segments[i].newest_unix_micros;
    if (newest > 0 && Wanted(state_->options, 0, newest, now, nullptr)) return false;
    if (newest > 0) continue;
    *generation = segments[i].generation;
    *next = segments.PinnedRef(i + 1);
    return true;
  }
  return false;
}

void Retention::LearnAges() {
  if (state_->options.retain_micros == 0) return;
  uint64_t generation = 0;
  SegmentRef next;
  while (NextOfUnknownAge(&generation, &next)) {
    const int64_t newest = NewestBefore(state_->fs, next, state_->clock.start());
    MutexLock lock(&state_->mutex);
    SegmentList& segments = state_->segments;
    if (state_->IsCurrent(generation)) segments.SetNewest(segments.Find(generation), newest);
  }
}

// ---- The report

SegmentRetention Retention::Explain(size_t i, uint64_t bytes_after, Lsn unwanted_below) const {
  const SegmentEntry& segment = state_->segments[i];
  TrimState& trim = state_->trim;
  SegmentRetention kept;
  kept.generation = segment.generation;
  kept.first_lsn = segment.base_lsn;
  kept.last_lsn = segment.last_lsn;
  kept.bytes = segment.file_bytes;
  const int64_t now = state_->clock.Now();
  if (segment.newest_unix_micros > 0) {
    kept.age_micros = std::max<int64_t>(0, now - segment.newest_unix_micros);
  }
  if (i + 1 == state_->segments.size()) {
    kept.bytes = state_->prepared.front().file_bytes;
    kept.why = KeptBecause::kTail;
  } else if (segment.last_lsn >= unwanted_below) {
    (void)Wanted(state_->options, bytes_after, segment.newest_unix_micros, now, &kept.why);
  } else if (i >= trim.under_way && segment.last_lsn >= trim.holds.Lowest()) {
    kept.why = KeptBecause::kHeld;
  } else {
    kept.why = KeptBecause::kGivenUpNext;
  }
  kept.text = KeptBecauseName(kept.why);
  if (kept.why == KeptBecause::kHeld) {
    for (const Hold& hold : trim.holds.All()) {
      if (hold.lsn > segment.last_lsn) continue;
      absl::StrAppend(&kept.text, kept.text == "held" ? " by " : ", ", HoldKindName(hold.kind));
      if (!hold.name.empty()) absl::StrAppend(&kept.text, " \"", hold.name, "\"");
      absl::StrAppend(&kept.text, " from record ", hold.lsn);
    }
  }
  return kept;
}

RetentionReport Retention::retention_report() {
  LearnAges();
  RetentionReport report;
  std::vector<SegmentRetention>& files = report.segments;
  MutexLock lock(&state_->mutex);
  SegmentList& segments = state_->segments;
  state_->trash.ForgetClosed(&state_->budget);
  Clock::time_point due;
  const Lsn below = UnwantedBelow(&due);
  uint64_t after = state_->prepared.fill() + segments.end_bytes();
  for (size_t i = 0; i < segments.size(); ++i) {
    after -= segments[i].end;
    files.push_back(Explain(i, after, below));
  }
  SegmentRetention& tail = files.back();
  tail.last_lsn = std::max(state_->marks->durable_lsn(), tail.first_lsn - 1);
  for (size_t i = 1; i < state_->prepared.size(); ++i) {
    const Prepared& spare = state_->prepared[i];
    files.push_back(FileOutsideTheLog(spare.generation(), spare.file_bytes, KeptBecause::kSpare));
  }
  Trash& trash = state_->trash;
  for (const Trash::File& file : trash.trimmed()) {
    const bool open = !file.pins.expired();
    files.push_back(FileOutsideTheLog(file.generation, file.file_bytes,
                                      open ? KeptBecause::kReader : KeptBecause::kRemovedNext));
  }
  for (const Trash::File& file : trash.cut()) {
    files.push_back(FileOutsideTheLog(file.generation, file.file_bytes, KeptBecause::kRemovedNext));
  }
  for (const Trash::File& file : trash.pinned()) {
    files.push_back(FileOutsideTheLog(file.generation, file.file_bytes, KeptBecause::kReader));
  }
  report.first_lsn = segments.front().base_lsn;
  report.holds = state_->trim.holds.All();
  report.disk_bytes = state_->budget.used();
  report.max_log_bytes = state_->budget.cap();
  report.reserved_bytes = state_->budget.reserve();
  return report;
}

}  // namespace seawall
