// SPDX-License-Identifier: Apache-2.0
// Walks a segment group by group, through the library's decoder, and goes on behind damage.
#ifndef SEAWALL_TOOLS_SEAWALL_INSPECT_SEGMENT_WALK_H_
#define SEAWALL_TOOLS_SEAWALL_INSPECT_SEGMENT_WALK_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/io/file_io.h"
#include "engine/segments/segment_ref.h"
#include "engine/segments/segment_scanner.h"
#include "seawall/types.h"
#include "tools/seawall/inspect/log_view.h"

namespace seawall {

class SegmentVisitor {
 public:
  enum class Wish {
    kRecords,    // check the records and hand them out
    kCheck,      // check them, and hand them out only if one of them is bad
    kSkipGroup,  // neither
    kStop,
  };

  virtual ~SegmentVisitor() = default;
  // A group with a valid header.
  virtual Wish OnGroup(const Group& group) = 0;
  // For kCheck: all records of the group are good.
  virtual void OnSoundGroup(const Group&) {}
  // A record that was checked, at `offset` of the file. False stops the walk.
  virtual bool OnRecord(const Record& record, uint64_t offset) = 0;
  virtual bool OnProblem(const Problem& problem) = 0;
};

enum class WalkEnd {
  kEnd,      // all was read
  kStopped,  // as the visitor wished
  kLeft,     // a live writer has taken the segment out of the log meanwhile
};

// Visits the groups of `segment`: up to its end, or, if that is not known, as far as there are
// any. Fails when the file cannot be read; damage goes to the visitor.
class SegmentWalk {
 public:
  // `memory`: that of a walk before, to go on with.
  SegmentWalk(std::string directory, SegmentRef segment, SegmentVisitor* visitor,
              ScanMemory memory = ScanMemory());

  absl::StatusOr<WalkEnd> Run();

  // The record behind the last one that was passed, damaged ones included.
  Lsn next_lsn() const { return next_lsn_; }
  // For the next walk; this one is done.
  ScanMemory TakeMemory();

 private:
  enum class Step { kNext, kStopped, kLeft, kEnd };

  absl::Status Open();
  absl::StatusOr<Step> VisitGroup();
  absl::StatusOr<Step> PassDamage(SegmentScanner::Found found);
  absl::StatusOr<Step> PassBadGroup();
  bool VisitRecords(bool* bad, Problem* problem);
  Step CheckEnd();
  absl::StatusOr<bool> FindGroup(uint64_t from);
  void ReadAgain();
  std::string Lost(Lsn first, Lsn last) const;

  const std::string directory_;
  const SegmentRef segment_;
  SegmentVisitor* const visitor_;
  ScanMemory memory_;  // until there is a scanner

  std::unique_ptr<File> file_;
  std::unique_ptr<SegmentScanner> scanner_;
  Group group_;
  uint64_t limit_ = 0;
  uint64_t at_ = 0;
  Lsn next_lsn_ = 0;
  uint64_t digest_ = 0;
  bool intact_ = true;
  // The place that was read a second time, so that a torn look at a writer's work is not believed.
  uint64_t read_again_at_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_INSPECT_SEGMENT_WALK_H_
