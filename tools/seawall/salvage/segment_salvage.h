// SPDX-License-Identifier: Apache-2.0
// Takes every record that verifies out of a segment, however damaged what is around it: through the
// checksums, which bind a record to its LSN, a group to its place, and both to their segment.
#ifndef SEAWALL_TOOLS_SEAWALL_SALVAGE_SEGMENT_SALVAGE_H_
#define SEAWALL_TOOLS_SEAWALL_SALVAGE_SEGMENT_SALVAGE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/format/format.h"
#include "seawall/types.h"
#include "tools/seawall/salvage/salvage_plan.h"

namespace seawall {

// A bit of a record up to this length is found: that takes a checksum of all of it for each bit.
inline constexpr uint64_t kMostCorrectedBytes = uint64_t{64} << 10;

struct SalvagedRecord {
  Record record;
  // No batch goes on from the record before into this one, were it lost.
  bool begins_anew = false;
};

// Walks one segment. Records come out in LSN order.
class SegmentSalvage {
 public:
  // `bytes`: the file, changed where a bit is corrected. Records from `first_lsn` up to the
  // source's last_lsn are wanted.
  SegmentSalvage(const SalvageSource& source, Lsn first_lsn, std::string* bytes,
                 std::function<void(const SalvagedRecord&)> on_record,
                 std::vector<Finding>* damage);

  void Run();

  // The record that would come next.
  Lsn next_lsn() const { return next_lsn_; }
  // The highest watermark of a group.
  Lsn durable_lsn() const { return durable_lsn_; }

 private:
  // Where a record may be that belongs between two others.
  struct Place {
    uint64_t at = 0;
    Lsn lsn = 0;
  };

  bool ReadGroup(uint64_t at, GroupHeader* group) const;
  bool CorrectGroup(uint64_t at, GroupHeader* group);
  uint64_t FindGroup(uint64_t from, GroupHeader* group) const;
  void TakeGroup(uint64_t at, const GroupHeader& group);
  void TakeRegion(uint64_t from, uint64_t to, Lsn last_lsn);
  // Takes the records of [at, end), of which the next one to come is next_lsn_, up to last_lsn.
  void TakeRecords(uint64_t at, uint64_t end, Lsn last_lsn, bool in_group, bool at_start);
  bool CorrectRecord(uint64_t at, uint64_t end, Record* record);
  bool IsRecord(uint64_t at, uint64_t end, Record* record) const;
  bool Resynchronise(uint64_t from, uint64_t end, Lsn last_lsn, Place* place) const;
  void Emit(const Record& record, bool begins_anew);
  void Lose(uint64_t at, Lsn last_lsn, const std::string& what);
  std::string_view View(uint64_t from, uint64_t to) const;

  const SalvageSource source_;
  std::string* const bytes_;
  const std::function<void(const SalvagedRecord&)> on_record_;
  std::vector<Finding>* const damage_;
  const Lsn first_lsn_;
  const uint64_t limit_;      // the file's length
  uint64_t nonzero_end_ = 0;  // nothing begins behind it
  Lsn next_lsn_ = 0;
  Lsn durable_lsn_ = 0;
  // A segment in which all is damaged must not take hours: a minute or so of checksums.
  uint64_t correction_bytes_left_ = uint64_t{1} << 40;
};

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_SALVAGE_SEGMENT_SALVAGE_H_
