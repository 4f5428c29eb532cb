// SPDX-License-Identifier: Apache-2.0
#include "engine/store/retention.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"

namespace seawall {

const char* HoldKindName(HoldKind kind) {
  switch (kind) {
    case HoldKind::kCursor:
      return "cursor";
    case HoldKind::kArchive:
      return "archive";
    case HoldKind::kBackup:
      return "backup";
    case HoldKind::kOther:
      break;
  }
  return "other";
}

const char* KeptBecauseName(KeptBecause why) {
  switch (why) {
    case KeptBecause::kTail:
      return "tail";
    case KeptBecause::kWithinBytes:
      return "within retain_bytes";
    case KeptBecause::kYoung:
      return "younger than retain_micros";
    case KeptBecause::kNotTrimmed:
      return "not trimmed";
    case KeptBecause::kHeld:
      return "held";
    case KeptBecause::kGivenUpNext:
      return "given up next";
    case KeptBecause::kReader:
      return "trimmed, open in a reader";
    case KeptBecause::kRemovedNext:
      return "trimmed, removed next";
    case KeptBecause::kSpare:
      break;
  }
  return "spare";
}

std::string RetentionReport::ToString() const {
  std::string text;
  for (const SegmentRetention& segment : segments) {
    absl::StrAppend(&text, "segment ", segment.generation, ": ");
    if (segment.first_lsn > 0) {
      absl::StrAppend(&text, "records ", segment.first_lsn, "..", segment.last_lsn, ", ");
    }
    absl::StrAppend(&text, segment.bytes, " bytes, ");
    if (segment.age_micros >= 0) absl::StrAppend(&text, segment.age_micros / 1000000, " s old, ");
    absl::StrAppend(&text, segment.text, "\n");
  }
  absl::StrAppend(&text, "on disk ", disk_bytes, " bytes");
  if (max_log_bytes > 0) {
    absl::StrAppend(&text, " of ", max_log_bytes, ", ", reserved_bytes,
                    " of them kept for the next opening");
  }
  return text + "\n";
}

AgeClock::AgeClock() : unix_start_(UnixMicros()), start_(Steady::now()) {}

int64_t AgeClock::Now() const {
  return unix_start_ +
         std::chrono::duration_cast<std::chrono::microseconds>(Steady::now() - start_).count();
}

AgeClock::Steady::time_point AgeClock::TimeOf(int64_t unix_micros) const {
  return start_ + std::chrono::microseconds(unix_micros - unix_start_);
}

bool Wanted(const Options& options, uint64_t bytes_behind, int64_t newest, int64_t now,
            KeptBecause* why) {
  const bool by_bytes = options.retain_bytes > 0;
  const bool by_age = options.retain_micros > 0;
  if (by_bytes && bytes_behind >= options.retain_bytes) return false;
  if (by_age && newest > 0 && now - newest >= static_cast<int64_t>(options.retain_micros)) {
    return false;
  }
  if (why != nullptr) {
    *why = by_bytes ? KeptBecause::kWithinBytes
           : by_age ? KeptBecause::kYoung
                    : KeptBecause::kNotTrimmed;
  }
  return true;
}

DiskBudget::DiskBudget(const Options& options)
    : cap_(options.max_log_bytes),
      reserve_(options.max_log_bytes > 0 ? options.segment_bytes + kCopySlackBytes : 0) {}

bool DiskBudget::TryTakeReserved(uint64_t bytes) {
  if (cap_ > 0 && (used_ > cap_ || bytes > cap_ - used_)) return false;
  Take(bytes);
  return true;
}

uint64_t DiskBudget::Room() const {
  if (cap_ == 0) return ~uint64_t{0};
  return Over() ? 0 : cap_ - reserve_ - used_;
}

absl::Status DiskBudget::Refusal(const std::string& directory, uint64_t bytes) const {
  return absl::ResourceExhaustedError(absl::StrCat(
      directory, ": the log takes ", used_, " bytes on disk and needs ", bytes,
      " more, expected at most ", cap_, " (max_log_bytes) with ", reserve_,
      " kept free for the next opening; retention_report() tells what keeps the segments"));
}

Lsn Holds::Set(HoldKind kind, const std::string& name, Lsn lsn) {
  auto [hold, made] = holds_.try_emplace({kind, name}, lsn);
  return made ? kNone : std::exchange(hold->second, lsn);
}

Lsn Holds::Release(HoldKind kind, const std::string& name) {
  auto hold = holds_.find({kind, name});
  if (hold == holds_.end()) return kNone;
  const Lsn lsn = hold->second;
  holds_.erase(hold);
  return lsn;
}

void Holds::Cut(Lsn next, Lsn base) {
  for (auto& [key, lsn] : holds_) {
    lsn = std::min(lsn, key.first == HoldKind::kArchive ? base : next);
  }
}

Lsn Holds::Lowest() const {
  Lsn lowest = kNone;
  for (const auto& [key, lsn] : holds_) lowest = std::min(lowest, lsn);
  return lowest;
}

std::vector<Hold> Holds::All() const {
  std::vector<Hold> all;
  all.reserve(holds_.size());
  for (const auto& [key, lsn] : holds_) all.push_back({key.first, key.second, lsn});
  return all;
}

}  // namespace seawall
