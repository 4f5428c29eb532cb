// SPDX-License-Identifier: Apache-2.0
#include "engine/follow/followed_segments.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"

namespace seawall {

FollowedSegments::FollowedSegments(std::string directory, std::vector<SegmentRef> segments,
                                   Lsn tail_lsn, uint64_t tail_end, uint64_t cuts)
    : directory_(std::move(directory)),
      segments_(std::make_move_iterator(segments.begin()), std::make_move_iterator(segments.end())),
      tail_lsn_(tail_lsn),
      tail_end_(tail_end),
      cuts_(cuts) {
  // What recovery found behind tail_end may be in the page cache only.
  SegmentRef& tail = segments_.back();
  tail.last_lsn = ~Lsn{0};
  tail.end = tail.digest = 0;
}

absl::Status FollowedSegments::BeginAt(Lsn* from) {
  if (*from == 0) *from = first_lsn();
  if (*from < first_lsn()) {
    return absl::NotFoundError(absl::StrCat("follow from record ", *from, ": the log holds ",
                                            first_lsn(), " to ", tail_lsn_,
                                            ", what is below was trimmed"));
  }
  if (*from > tail_lsn_ + 1) {
    return absl::OutOfRangeError(absl::StrCat("follow from record ", *from, ": expected ",
                                              first_lsn(), " to ", tail_lsn_ + 1));
  }
  served_ = *from - 1;
  const SegmentRef* segment = Find(served_);
  served_generation_ = segment == nullptr ? 0 : segment->generation;
  return absl::OkStatus();
}

absl::Status FollowedSegments::NoteTruncations(const WatermarkBlock& block) {
  // Without a count when the log was opened, all that this file has counted may have come since.
  if (cuts_ == 0) cuts_ = block.cuts - block.cuts % kCutCountStep;
  if (block.cuts == cuts_) return absl::OkStatus();
  if (block.cuts / kCutCountStep != cuts_ / kCutCountStep) {
    in_doubt_ = true;
    return absl::OkStatus();
  }
  // Of several truncations at once, only the last one is known: any record may be gone.
  const Lsn first_cut = block.cuts == cuts_ + 1 ? block.first_cut : 0;
  cuts_ = block.cuts;
  if (served_ < first_cut) return absl::OkStatus();
  return absl::OutOfRangeError(
      first_cut == 0 ? absl::StrCat("follow the log in ", directory_,
                                    ": it was reset, or truncated more than once")
                     : absl::StrCat("follow the log in ", directory_,
                                    ": it was truncated after record ", first_cut - 1));
}

absl::Status FollowedSegments::Append(const SegmentHeader& successor, std::string path) {
  // Everything that was durable before is in the successor or before it, unless it began with a
  // truncation, which its writer may not have been able to announce.
  if (served_ > successor.durable_lsn) {
    return absl::OutOfRangeError(absl::StrCat("follow the log in ", directory_,
                                              ": it was truncated after record ",
                                              successor.durable_lsn));
  }
  while (!segments_.empty() && segments_.back().generation > successor.predecessor_generation) {
    segments_.pop_back();  // the successor took their place
  }
  if (!segments_.empty() && segments_.back().generation == successor.predecessor_generation) {
    SegmentRef& sealed = segments_.back();
    sealed.last_lsn = successor.base_lsn - 1;
    sealed.end = successor.predecessor_end;
    sealed.digest = successor.predecessor_digest;
  } else {
    segments_.clear();  // those between were trimmed
  }
  SegmentRef tail;
  tail.path = std::move(path);
  tail.generation = successor.generation;
  tail.salt = successor.salt;
  tail.base_lsn = successor.base_lsn;
  tail.groups_begin = successor.groups_begin();
  segments_.push_back(std::move(tail));
  tail_lsn_ = successor.base_lsn - 1;
  tail_end_ = successor.groups_begin();
  return absl::OkStatus();
}

// A truncation, and whatever comes after it, leaves the segment that it truncates with an end
// before the truncated records, or removes it.
const SegmentRef* FollowedSegments::Doubted() const {
  const SegmentRef* segment = Find(served_);
  if (segment == nullptr || segment->generation != served_generation_) return nullptr;
  return served_ <= segment->last_lsn ? segment : nullptr;
}

// A copy of the log that has taken its place has the same id, and uses the generations after the
// copied ones again, with other salts.
absl::Status FollowedSegments::ResolveDoubt(std::optional<uint64_t> salt) {
  const SegmentRef* doubted = Doubted();
  if (doubted == nullptr || !salt.has_value() || *salt != doubted->salt) {
    return absl::OutOfRangeError(
        absl::StrCat("follow the log in ", directory_, ": ", JoinPath(directory_, kWatermarkName),
                     " was made anew, and whether the log was truncated before record ",
                     served_ + 1, " meanwhile is not known"));
  }
  in_doubt_ = false;
  return absl::OkStatus();
}

void FollowedSegments::NoteDurable(const WatermarkBlock& block) {
  cuts_ = block.cuts;
  // A segment after the one that was being written was begun by the truncation. Its writer was
  // killed before it could publish that the truncation is over.
  cut_under_way_ = block.cut_under_way() && tail_generation() <= block.cut_generation;
  if (block.generation == tail_generation() && block.durable_lsn > tail_lsn_) {
    tail_lsn_ = block.durable_lsn;
    tail_end_ = block.end;
  }
}

bool FollowedSegments::MayRead(Lsn lsn) const { return lsn <= tail_lsn_ && !cut_under_way_; }

const SegmentRef* FollowedSegments::Find(Lsn lsn) const {
  const auto above = std::upper_bound(segments_.begin(), segments_.end(), lsn,
                                      [](Lsn l, const SegmentRef& s) { return l < s.base_lsn; });
  return above == segments_.begin() ? nullptr : &*std::prev(above);
}

ReadRange FollowedSegments::Serve(const SegmentRef& segment) {
  ReadRange range{segment, segment.sealed() ? segment.last_lsn : tail_lsn_,
                  segment.sealed() ? segment.end : tail_end_};
  if (range.last_lsn > served_) {
    served_ = range.last_lsn;
    served_generation_ = segment.generation;
  }
  return range;
}

}  // namespace seawall
