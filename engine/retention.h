// What may be given up at the front of a log: the holds against it.
#ifndef SEAWALL_ENGINE_RETENTION_H_
#define SEAWALL_ENGINE_RETENTION_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "seawall/retention.h"
#include "seawall/types.h"

namespace seawall {

// Not thread-safe: SegmentStore's mutex guards it. Nothing of it is on disk: who needs a hold after
// the log was opened again (a cursor, an archive) takes it again, before SegmentStore::Start().
class Holds {
 public:
  // Above every LSN.
  static constexpr Lsn kNone = ~Lsn{0};

  // Takes or moves the hold of this kind and name: nothing at or above `lsn` may be given up.
  // Returns where it was, kNone for nowhere.
  Lsn Set(HoldKind kind, const std::string& name, Lsn lsn);
  // Returns where it was; kNone if there was none, which is no error.
  Lsn Release(HoldKind kind, const std::string& name);
  // The log was truncated: what is appended next gets `next`. A hold above it moves there, as what
  // it waited for is gone, and what comes in its place has not been seen by the holder.
  void Cut(Lsn next);

  // Below this everything may be given up; kNone without holds.
  Lsn Lowest() const;
  // In the order of kinds, then names.
  std::vector<Hold> All() const;

 private:
  std::map<std::pair<HoldKind, std::string>, Lsn> holds_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_RETENTION_H_
