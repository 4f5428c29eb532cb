// SPDX-License-Identifier: Apache-2.0
// What a follower knows of a log that another process writes, and what a published watermark
// changes about it. Pure: files are read by log_follower.cc, which passes on what they say.
#ifndef SEAWALL_ENGINE_FOLLOW_FOLLOWED_SEGMENTS_H_
#define SEAWALL_ENGINE_FOLLOW_FOLLOWED_SEGMENTS_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/format/format.h"
#include "engine/read/log_reader.h"
#include "seawall/types.h"

namespace seawall {

// Not thread-safe: it belongs to one reader.
//
// Invariants:
//   1. The segments are in the order of their generations and LSNs. All but the last one, the tail,
//      are sealed: they may be read to their end. The tail may be read up to tail_lsn().
//   2. Everything that may be read is durable for good: a later truncation can discard it, but a
//      crash cannot.
//   3. No record is served twice with different contents. Where a truncation may have discarded a
//      record that was served, the follower ends with OutOfRange. ("served" below is the last
//      record of the ranges that were given out; before the first one, the record before the
//      reader's first.)
//
// What a published watermark means. It is applied in four steps, each by the first row that fits.
//
//   1. NoteTruncations(): its count of truncations, compared with the count seen last.
//      | count                                 | meaning                            | result      |
//      | none was seen yet                     | this file's first count was seen   | rows below  |
//      | the same                              | no truncation                      | OK          |
//      | in another file (kCutCountStep apart) | unknown                            | OK, doubt   |
//      | one more, first_cut above served      | nothing served was discarded       | OK          |
//      | one more, first_cut at most served    | records that were served are gone  | OutOfRange  |
//      | one more, first_cut is 0              | the log was reset                  | OutOfRange  |
//      | any other count                       | only the last truncation is known  | OutOfRange  |
//
//   2. Append(), if it names a segment after the tail: each successor's header, oldest first.
//      | successor                             | meaning                            | result      |
//      | its durable_lsn is below served       | it begins with an unseen truncation| OutOfRange  |
//      | follows the tail                      | the tail is sealed                 | new tail    |
//      | follows a segment before the tail     | it took the place of those after   | new tail    |
//      | follows a segment that is not known   | those between were trimmed         | only a tail |
//
//   3. Doubted(), if in doubt: the segment that holds the last served record.
//      | segment                               | meaning                            | result      |
//      | known, reaches served, same salt      | it was not truncated there         | doubt ends  |
//      | anything else                         | it may have been                   | OutOfRange  |
//
//   4. NoteDurable(): where the readable part ends.
//      | watermark                             | meaning                            | readable    |
//      | truncating, tail is not a new segment | a truncation is in progress        | nothing     |
//      | names the tail, above tail_lsn()      | more records became durable        | up to there |
//      | names the tail, at or below it        | nothing new                        | as before   |
//      | names a segment before the tail       | an old watermark                   | as before   |
class FollowedSegments {
 public:
  // `segments`, oldest first and at least one, are those of the log when its directory was read.
  // The last one is the tail, which may be read up to `tail_lsn`, where its groups end at
  // `tail_end`. `cuts` is the count of truncations that WATERMARK stated before that; 0 if it
  // stated none. `directory` is for error texts.
  FollowedSegments(std::string directory, std::vector<SegmentRef> segments, Lsn tail_lsn,
                   uint64_t tail_end, uint64_t cuts);

  // The reader will ask for `from` first; 0 stands for the first record there is, and is replaced.
  // NotFound if it was trimmed, OutOfRange if it is beyond the next record.
  absl::Status BeginAt(Lsn* from);

  // ---- The steps of the tables above
  absl::Status NoteTruncations(const WatermarkBlock& block);
  absl::Status Append(const SegmentHeader& successor, std::string path);
  bool in_doubt() const { return in_doubt_; }
  // The segment of which the file has to show that served records are still there; nullptr if none
  // can show it any more.
  const SegmentRef* Doubted() const;
  // Ends the doubt: `salt` is that of the file which has the place of Doubted() now, if there is a
  // begun segment.
  absl::Status ResolveDoubt(std::optional<uint64_t> salt);
  void NoteDurable(const WatermarkBlock& block);

  // ---- Reading
  uint64_t tail_generation() const { return segments_.back().generation; }
  uint64_t first_generation() const { return segments_.front().generation; }
  Lsn first_lsn() const { return segments_.front().base_lsn; }
  Lsn tail_lsn() const { return tail_lsn_; }
  bool MayRead(Lsn lsn) const;
  // The segment of record `lsn`, or nullptr if the record is below first_lsn().
  const SegmentRef* Find(Lsn lsn) const;
  // All of a segment that may be read. It counts as served from now on.
  ReadRange Serve(const SegmentRef& segment);

 private:
  const std::string directory_;
  std::deque<SegmentRef> segments_;
  Lsn tail_lsn_;
  uint64_t tail_end_;
  uint64_t cuts_;  // as seen last
  bool cut_under_way_ = false;
  bool in_doubt_ = false;
  Lsn served_ = 0;
  uint64_t served_generation_ = 0;  // the segment of record served_; 0: none that is known
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_FOLLOW_FOLLOWED_SEGMENTS_H_
