// SPDX-License-Identifier: Apache-2.0
// The part of SegmentStore that gives up the back of a log, or all of it: it begins a fresh segment
// whose header, written last, says what stands before it.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/segments/fresh_segment.h"
#include "engine/segments/segment_scanner.h"
#include "engine/store/segment_store.h"

namespace seawall {
namespace {

// No fresh segment that copies `source`, one group or none, is longer.
uint64_t LargestFresh(const CopySource& source, const Options& options) {
  const uint64_t end = AlignUp(source.to - source.from, kBlockBytes) + kCopySlackBytes;
  return std::max(end, NextAllocation(end, options));
}

// Where to begin looking for the end of record `lsn`. By an index in memory only: the digest that
// comes of it will be stated by a header, and nobody could tell that one from a file is wrong.
IndexEntry EntryFor(const SegmentRef& segment, Lsn lsn) {
  const std::optional<IndexEntry> group =
      segment.index == nullptr ? std::nullopt : segment.index->FindGroup(lsn);
  return group.value_or(IndexEntry{segment.base_lsn, segment.groups_begin, 0});
}

}  // namespace

absl::Status SegmentStore::FindCut(const SegmentRef& segment, Lsn lsn, CopySource* source,
                                   SegmentHeader* header) const {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, segment.path, OpenOptions());
  if (!file.ok()) return file.status();
  SegmentScanner scanner(file->get(), segment.path, segment.salt);
  const IndexEntry entry = EntryFor(segment, lsn);
  uint64_t at = entry.offset;
  uint64_t digest = entry.digest;
  Group group;
  for (Lsn next = entry.first_lsn; next <= lsn; next = group.header.last_lsn() + 1) {
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

absl::StatusOr<SegmentStore::Truncated> SegmentStore::TruncateAfter(Lsn lsn,
                                                                    const CursorTable* cursors) {
  Pause();
  absl::StatusOr<Truncated> result = CutAfter(lsn, cursors);
  Resume();
  return result;
}

absl::StatusOr<SegmentStore::Truncated> SegmentStore::Reset(Lsn first_lsn,
                                                            const CursorTable* cursors) {
  SegmentHeader header;
  header.base_lsn = first_lsn;
  header.durable_lsn = first_lsn - 1;
  Pause();
  absl::StatusOr<Truncated> result = [&] {
    MutexLock control_lock(&control_mutex_);
    return BeginAnew({}, header, CopySource(), cursors, /*first_cut=*/0);
  }();
  Resume();
  return result;
}

absl::StatusOr<SegmentStore::Truncated> SegmentStore::CutAfter(Lsn lsn,
                                                               const CursorTable* cursors) {
  MutexLock control_lock(&control_mutex_);
  SegmentHeader header;
  header.base_lsn = lsn + 1;
  header.durable_lsn = lsn;
  CopySource source;
  std::vector<SegmentRef> kept;
  {
    MutexLock lock(&mutex_);
    const size_t cut = segments_.CountUpTo(lsn);
    // The one that is cut, and the one that stands behind if nothing of it is left.
    for (size_t i = cut - std::min<size_t>(cut, 2); i < cut; ++i) kept.push_back(segments_.Ref(i));
  }
  if (!kept.empty()) {
    absl::Status status = FindCut(kept.back(), lsn, &source, &header);
    if (!status.ok()) return status;
    if (header.predecessor_end == kept.back().groups_begin) {
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
  return BeginAnew(std::move(kept), header, source, cursors, lsn + 1);
}

absl::StatusOr<SegmentStore::Truncated> SegmentStore::BeginAnew(std::vector<SegmentRef> kept,
                                                                SegmentHeader header,
                                                                const CopySource& source,
                                                                const CursorTable* cursors,
                                                                Lsn first_cut) {
  const uint64_t taken = LargestFresh(source, options_);
  absl::Status status = TakeForFresh(taken);
  if (!status.ok()) return status;
  {
    MutexLock lock(&mutex_);
    header.log_id = log_id_;
    header.generation = next_generation_++;
  }
  absl::StatusOr<FreshSegment> fresh = PrepareFresh(
      fs_, directory_, options_, header, source.from < source.to ? &source : nullptr, cursors);
  if (!fresh.ok()) {
    GiveBack(JoinPath(directory_, SegmentName(header.generation)), taken);
    return RefuseOrFail(fresh.status());
  }
  if (callbacks_.before_cut) callbacks_.before_cut(first_cut);
  status = CommitFresh(options_, *fresh);
  if (!status.ok()) return Fail(status);
  Replace(std::move(kept), first_cut, *fresh, cursors == nullptr ? 0 : cursors->sequence);
  ControlBlock block;
  {
    MutexLock lock(&mutex_);
    budget_.Give(taken - fresh->allocated_bytes);
    block = Control();
  }
  status = control_file_->Write(block);
  // It has happened all the same, and the writer must know it: who asks is told by the latch. And
  // no file goes before CONTROL speaks of the new tail: with a failure latched, none does.
  if (!status.ok()) (void)Fail(status);
  return Truncated{std::move(fresh->segment), fresh->end, fresh->digest};
}

absl::Status SegmentStore::TakeForFresh(uint64_t bytes) {
  std::vector<Gone> gone;
  {
    MutexLock lock(&mutex_);
    ForgetClosedPins();
    if (budget_.TryTakeReserved(bytes)) return absl::OkStatus();
    // The thread pauses; what the last cut left is not to be in the way of this one.
    gone = std::exchange(cut_files_, {});
  }
  absl::Status status = Remove(std::move(gone));
  if (!status.ok()) return status;
  MutexLock lock(&mutex_);
  return budget_.TryTakeReserved(bytes) ? absl::OkStatus() : budget_.Refusal(directory_, bytes);
}

void SegmentStore::Replace(std::vector<SegmentRef> kept, Lsn first_cut, const FreshSegment& fresh,
                           uint64_t cursor_sequence) {
  std::deque<Sealed> closed;  // without the lock
  MutexLock lock(&mutex_);
  // No index is written over what a reader may still be in, behind the cut.
  closed.swap(sealed_);
  segments_.SetFileBytes(segments_.size() - 1, prepared_.front().file_bytes);
  segments_.SetNewest(segments_.size() - 1, clock_.Now());
  while (!segments_.empty() &&
         (kept.empty() || segments_.back().generation > kept.back().generation)) {
    const SegmentEntry& last = segments_.back();
    cut_files_.push_back({{SegmentName(last.generation)},
                          last.generation,
                          last.file_bytes,
                          segments_.Pins(segments_.size() - 1)});
    segments_.PopBack();
  }
  for (size_t i = 1; i < prepared_.size(); ++i) {
    const Prepared& spare = prepared_[i];
    cut_files_.push_back({{SegmentName(spare.generation)}, spare.generation, spare.file_bytes, {}});
  }
  if (!kept.empty()) {
    const SegmentRef& last = kept.back();
    last_sealed_ = std::max(last_sealed_, last.generation);
    segments_.EndLast(last.last_lsn, last.end, last.digest);
    segments_.DropIndex(last.generation);
  }
  segments_.PushBack(RefOf(*fresh.segment));
  // Together with the list: whoever writes CONTROL next must not say of the old end that it is
  // durable, and a reader must not apply the old end to the new segment.
  marks_->Restart({fresh.segment->header.durable_lsn, fresh.segment->header.generation, fresh.end},
                  cursor_sequence);
  if (std::exchange(trim_awaits_sync_, false)) trim_due_ = true;
  if (kept.empty()) first_generation_ = fresh.segment->header.generation;
  prepared_.clear();
  current_ = 0;
  prepared_.push_back({fresh.segment->header.generation, fresh.segment->header.salt,
                       fresh.allocated_bytes, fresh.segment, fresh.allocated_bytes});
  allocated_ = fresh.allocated_bytes;
  fill_ = wanted_ = 0;
  note_from_ = 0;
  cuts_.push_back(first_cut);
  // What comes in the place of what was cut is held, and nobody has said that it is not wanted.
  const Lsn next = fresh.segment->header.durable_lsn + 1;
  holds_.Cut(next, fresh.segment->header.base_lsn);
  unwanted_below_ = std::min(unwanted_below_, next);
  progress_.NotifyAll();
  sealed_news_.NotifyAll();
}

}  // namespace seawall
