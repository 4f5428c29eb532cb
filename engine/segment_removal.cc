// The half of SegmentStore that gives records up: trimming at the front, truncating at the back.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/segment_scanner.h"
#include "engine/segment_store.h"

namespace seawall {

// ---- The front

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
  if (segments_.size() < 2 || held_from > segments_.front().last_lsn) return;
  if (segments_.front().last_lsn >= std::min(unwanted_below_, holds_.Lowest())) return;
  trim_due_ = true;
  work_.NotifyOne();
}

absl::Status SegmentStore::TrimBefore(Lsn lsn) {
  {
    MutexLock lock(&mutex_);
    unwanted_below_ = std::max(unwanted_below_, lsn);
  }
  return GiveUp();
}

absl::Status SegmentStore::GiveUp() {
  MutexLock control_lock(&control_mutex_);
  // Not beyond the segment of the last sync: a later one was begun, but its header is not known to
  // be durable, and without it the log would have no segment at all.
  const uint64_t durable_generation = callbacks_.durable_point().generation;
  {
    MutexLock lock(&mutex_);
    const Lsn limit = std::min(unwanted_below_, holds_.Lowest());
    size_t count = 0;
    trim_awaits_sync_ = false;
    while (count + 1 < segments_.size() && segments_[count].last_lsn < limit) {
      trim_awaits_sync_ = segments_[count + 1].generation > durable_generation;
      if (trim_awaits_sync_) break;
      ++count;
    }
    if (count == 0) return absl::OkStatus();
    giving_up_ = count;
    first_generation_ = segments_[count].generation;
  }
  // Before any file goes: a crash must find either the file or the word that it was trimmed. Into
  // two slots, so that damage to one of them leaves the word.
  for (int slot = 0; slot < 2; ++slot) {
    absl::Status status = WriteControl();
    if (!status.ok()) return status;
  }
  MutexLock lock(&mutex_);
  for (; giving_up_ > 0; --giving_up_) {
    trimmed_.push_back(std::move(segments_.front()));
    segments_.pop_front();
  }
  work_.NotifyOne();
  return absl::OkStatus();
}

// Recycles or unlinks what was trimmed. CONTROL says already that it is not part of the log.
absl::Status SegmentStore::RemoveTrimmed() {
  std::vector<std::string> unlink;
  std::string recycle;
  uint64_t recycled = 0;
  uint64_t generation = 0;
  LogId log_id;
  {
    MutexLock lock(&mutex_);
    log_id = log_id_;
    while (!trimmed_.empty()) {
      const SegmentRef& segment = trimmed_.front();
      const bool free = segment.pin.use_count() == 1;  // nobody can get another pin
      if (free && recycle.empty() && MayPrepare() && Spares() < options_.max_recycled_segments) {
        recycle = segment.path;
        recycled = segment.generation;
        generation = next_generation_++;
        ++stats_.segments_recycled;
      } else if (free && MayPrepare() && Spares() + 1 < options_.max_recycled_segments) {
        break;  // in the next job
      } else {
        unlink.push_back(SegmentName(segment.generation));
        ++stats_.segments_unlinked;
      }
      trimmed_.pop_front();
    }
  }
  if (!recycle.empty()) {
    uint64_t allocated_bytes = 0;
    auto file =
        RecycleSegment(fs_, directory_, options_, log_id, recycle, generation, &allocated_bytes);
    if (file.ok()) {
      absl::Status status = AddSpare(std::move(*file), allocated_bytes);
      if (!status.ok()) return status;
    } else {
      // A rename may take space; an unlink gives some.
      unlink.push_back(SegmentName(recycled));
      unlink.push_back(SegmentName(generation));
    }
  }
  return RemoveFiles(fs_, directory_, unlink);
}

// ---- The back

absl::Status SegmentStore::FindCut(const SegmentRef& segment, Lsn lsn, CopySource* source,
                                   SegmentHeader* header) const {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, segment.path, OpenOptions());
  if (!file.ok()) return file.status();
  SegmentScanner scanner(file->get(), segment.path, segment.salt);
  uint64_t at = kSegmentHeaderBytes;
  uint64_t digest = 0;
  Group group;
  for (Lsn next = segment.base_lsn; next <= lsn; next = group.header.last_lsn() + 1) {
    absl::StatusOr<SegmentScanner::Found> found = scanner.ReadGroup(at, ~uint64_t{0}, &group);
    if (!found.ok()) return found.status();
    if (*found != SegmentScanner::Found::kGroup || group.header.first_lsn != next) {
      return DamageStatus(segment.path, at,
                          absl::StrCat("expected record ", next, ", found no valid group"));
    }
    if (group.header.last_lsn() > lsn) {
      *source = {segment.path, segment.salt, at, group.end(), lsn};
      header->base_lsn = next;
      break;
    }
    digest = ExtendDigest(digest, group.checksum);
    at = group.end();
  }
  header->predecessor_generation = segment.generation;
  header->predecessor_end = at;
  header->predecessor_digest = digest;
  return absl::OkStatus();
}

absl::StatusOr<SegmentStore::Truncated> SegmentStore::TruncateAfter(Lsn lsn) {
  Pause();
  absl::StatusOr<Truncated> result = CutAfter(lsn);
  Resume();
  return result;
}

absl::StatusOr<SegmentStore::Truncated> SegmentStore::CutAfter(Lsn lsn) {
  MutexLock control_lock(&control_mutex_);
  SegmentHeader header;
  header.base_lsn = lsn + 1;
  header.durable_lsn = lsn;
  CopySource source;
  std::vector<SegmentRef> kept;
  {
    MutexLock lock(&mutex_);
    header.log_id = log_id_;
    header.generation = next_generation_++;
    auto cut = std::upper_bound(segments_.begin(), segments_.end(), lsn,
                                [](Lsn l, const SegmentRef& s) { return l < s.base_lsn; });
    // The one that is cut, and the one that stands behind if nothing of it is left.
    kept.assign(cut - std::min<std::ptrdiff_t>(cut - segments_.begin(), 2), cut);
  }
  if (!kept.empty()) {
    absl::Status status = FindCut(kept.back(), lsn, &source, &header);
    if (!status.ok()) return status;
    if (header.predecessor_end == kSegmentHeaderBytes) {
      // Nothing of this segment is left but what is copied: take its place.
      kept.pop_back();
      header.predecessor_generation = kept.empty() ? 0 : kept.back().generation;
      header.predecessor_end = kept.empty() ? 0 : kept.back().end;
      header.predecessor_digest = kept.empty() ? 0 : kept.back().digest;
    } else {
      kept.back().last_lsn = header.base_lsn - 1;
      kept.back().end = header.predecessor_end;
      kept.back().digest = header.predecessor_digest;
    }
  }
  absl::StatusOr<FreshSegment> fresh =
      PrepareFresh(fs_, directory_, options_, header, source.from < source.to ? &source : nullptr);
  if (!fresh.ok()) return RefuseOrFail(fresh.status());
  absl::Status status = CommitFresh(options_, *fresh);
  if (!status.ok()) return Fail(status);
  std::vector<std::string> unlink = Replace(std::move(kept), lsn, *fresh);
  ControlBlock block;
  {
    MutexLock lock(&mutex_);
    block = Control({header.generation, lsn});
  }
  status = control_file_->Write(block);
  if (!status.ok()) {
    // It has happened all the same, and the writer must know it: who asks is told by the latch.
    (void)Fail(status);
    return Truncated{std::move(fresh->segment), fresh->end, fresh->digest};
  }
  // What could not be removed is not part of the log, and goes at the next open.
  (void)RemoveFiles(fs_, directory_, unlink);
  return Truncated{std::move(fresh->segment), fresh->end, fresh->digest};
}

std::vector<std::string> SegmentStore::Replace(std::vector<SegmentRef> kept, Lsn cut,
                                               FreshSegment& fresh) {
  std::vector<std::string> unlink;
  MutexLock lock(&mutex_);
  while (!segments_.empty() &&
         (kept.empty() || segments_.back().generation > kept.back().generation)) {
    unlink.push_back(SegmentName(segments_.back().generation));
    segments_.pop_back();
  }
  for (size_t i = 1; i < prepared_.size(); ++i) {
    unlink.push_back(SegmentName(prepared_[i].generation));
  }
  if (!kept.empty()) segments_.back() = std::move(kept.back());
  segments_.push_back(RefOf(*fresh.segment));
  segments_.back().pin = std::make_shared<int>(0);
  if (kept.empty()) first_generation_ = fresh.segment->header.generation;
  prepared_.clear();
  current_ = 0;
  prepared_.push_back({fresh.segment->header.generation, fresh.segment->header.salt,
                       fresh.allocated_bytes, fresh.segment});
  allocated_ = fresh.allocated_bytes;
  fill_ = wanted_ = 0;
  note_from_ = 0;
  cuts_.push_back(cut);
  // What comes in the place of what was cut is held, and nobody has said that it is not wanted.
  holds_.Cut(cut + 1);
  unwanted_below_ = std::min(unwanted_below_, cut + 1);
  progress_.NotifyAll();
  return unlink;
}

}  // namespace seawall
