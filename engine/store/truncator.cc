// SPDX-License-Identifier: Apache-2.0
#include "engine/store/truncator.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "engine/segments/segment_scanner.h"

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

// Finds the end of record `lsn` in `segment`, and what of its group is to be copied.
absl::Status FindCut(FileSystem* fs, const SegmentRef& segment, Lsn lsn, CopySource* source,
                     SegmentHeader* header) {
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs, segment.path, OpenOptions());
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

}  // namespace

void Truncator::Pause() {
  MutexLock lock(&state_->mutex);
  state_->thread.paused = true;
  while (state_->thread.busy) state_->progress.Wait(&state_->mutex);
}

void Truncator::Resume() {
  MutexLock lock(&state_->mutex);
  state_->thread.paused = false;
  state_->work.NotifyAll();
}

absl::StatusOr<FreshSegment> Truncator::TruncateAfter(Lsn lsn, const CursorTable* cursors) {
  Pause();
  absl::StatusOr<FreshSegment> result = CutAfter(lsn, cursors);
  Resume();
  return result;
}

absl::StatusOr<FreshSegment> Truncator::Reset(Lsn first_lsn, const CursorTable* cursors) {
  SegmentHeader header;
  header.base_lsn = first_lsn;
  header.durable_lsn = first_lsn - 1;
  Pause();
  absl::StatusOr<FreshSegment> result = [&] {
    MutexLock control_lock(&state_->control_mutex);
    return BeginAnew({}, header, CopySource(), cursors, /*first_cut=*/0);
  }();
  Resume();
  return result;
}

absl::StatusOr<FreshSegment> Truncator::CutAfter(Lsn lsn, const CursorTable* cursors) {
  MutexLock control_lock(&state_->control_mutex);
  SegmentHeader header;
  header.base_lsn = lsn + 1;
  header.durable_lsn = lsn;
  CopySource source;
  std::vector<SegmentRef> kept;
  {
    MutexLock lock(&state_->mutex);
    SegmentList& segments = state_->segments;
    const size_t cut = segments.CountUpTo(lsn);
    // The one that is cut, and the one that stands before it if nothing of it is left.
    for (size_t i = cut - std::min<size_t>(cut, 2); i < cut; ++i) kept.push_back(segments.Ref(i));
  }
  if (!kept.empty()) {
    absl::Status status = FindCut(state_->fs, kept.back(), lsn, &source, &header);
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

absl::StatusOr<FreshSegment> Truncator::BeginAnew(std::vector<SegmentRef> kept,
                                                  SegmentHeader header, const CopySource& source,
                                                  const CursorTable* cursors, Lsn first_cut) {
  const uint64_t taken = LargestFresh(source, state_->options);
  absl::Status status = TakeForFresh(taken);
  if (!status.ok()) return status;
  header.log_id = state_->log_id;
  {
    MutexLock lock(&state_->mutex);
    header.generation = state_->next_generation++;
  }
  absl::StatusOr<FreshSegment> fresh =
      PrepareFresh(state_->fs, state_->directory, state_->options, header,
                   source.from < source.to ? &source : nullptr, cursors);
  if (!fresh.ok()) {
    state_->GiveBack(JoinPath(state_->directory, SegmentName(header.generation)), taken);
    return state_->RefuseOrFail(fresh.status());
  }
  if (state_->callbacks.before_cut) state_->callbacks.before_cut(first_cut);
  status = CommitFresh(state_->options, *fresh);
  if (!status.ok()) return state_->Fail(status);
  Replace(std::move(kept), first_cut, *fresh, cursors == nullptr ? 0 : cursors->sequence);
  {
    MutexLock lock(&state_->mutex);
    state_->budget.Give(taken - fresh->allocated_bytes);
  }
  // If this fails, the truncation has happened all the same, and the writer must know it: whoever
  // asks gets the sticky error. And no file goes before CONTROL speaks of the new tail: with a
  // failure, none does.
  (void)state_->WriteControl();
  return fresh;
}

absl::Status Truncator::TakeForFresh(uint64_t bytes) {
  std::vector<Trash::File> cut;
  {
    MutexLock lock(&state_->mutex);
    state_->trash.ForgetClosed(&state_->budget);
    if (state_->budget.TryTakeReserved(bytes)) return absl::OkStatus();
    // The thread pauses; what the last cut left is not to be in the way of this one.
    cut = state_->trash.TakeCut();
  }
  absl::Status status = state_->Unlink(std::move(cut));
  if (!status.ok()) return status;
  MutexLock lock(&state_->mutex);
  return state_->budget.TryTakeReserved(bytes) ? absl::OkStatus()
                                               : state_->budget.Refusal(state_->directory, bytes);
}

void Truncator::Replace(std::vector<SegmentRef> kept, Lsn first_cut, const FreshSegment& fresh,
                        uint64_t cursor_sequence) {
  std::deque<SealedState::Unindexed> closed;  // without the lock
  MutexLock lock(&state_->mutex);
  SegmentList& segments = state_->segments;
  PreparedSegments& prepared = state_->prepared;
  Trash& trash = state_->trash;
  TrimState& trim = state_->trim;
  const SegmentHeader& header = fresh.segment->header;
  // No index is written over what a reader may still be in, after the cut.
  closed.swap(state_->sealed.unindexed);
  segments.SetFileBytes(segments.size() - 1, prepared.front().file_bytes);
  segments.SetNewest(segments.size() - 1, state_->clock.Now());
  while (!segments.empty() &&
         (kept.empty() || segments.back().generation > kept.back().generation)) {
    const SegmentEntry& last = segments.back();
    trash.AddCut(
        Trash::FileOf(last.generation, last.file_bytes, segments.Pins(segments.size() - 1)));
    segments.PopBack();
  }
  for (size_t i = 1; i < prepared.size(); ++i) {
    trash.AddCut(Trash::FileOf(prepared[i].generation(), prepared[i].file_bytes, {}));
  }
  if (!kept.empty()) {
    const SegmentRef& last = kept.back();
    state_->sealed.last = std::max(state_->sealed.last, last.generation);
    segments.EndLast(last.last_lsn, last.end, last.digest);
    segments.DropIndex(last.generation);
  }
  segments.PushBack(RefOf(*fresh.segment));
  // Together with the list: whoever writes CONTROL next must not say of the old end that it is
  // durable, and a reader must not apply the old end to the new segment.
  state_->marks->Restart({header.durable_lsn, header.generation, fresh.end}, cursor_sequence);
  trim.NoteSync();
  if (kept.empty()) state_->first_generation = header.generation;
  prepared.Restart({fresh.segment, fresh.allocated_bytes, fresh.allocated_bytes});
  state_->ShowCurrent();
  state_->cuts.push_back(first_cut);
  // What comes in the place of what was cut is held, and nobody has said that it is not wanted.
  const Lsn next = header.durable_lsn + 1;
  trim.holds.Cut(next, header.base_lsn);
  trim.unwanted_below = std::min(trim.unwanted_below, next);
  state_->progress.NotifyAll();
  state_->sealed_news.NotifyAll();
}

}  // namespace seawall
