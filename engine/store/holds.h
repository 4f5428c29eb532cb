// SPDX-License-Identifier: Apache-2.0
// Who needs records to stay: cursors, the archive, backups.
#ifndef SEAWALL_ENGINE_STORE_HOLDS_H_
#define SEAWALL_ENGINE_STORE_HOLDS_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "seawall/retention.h"
#include "seawall/types.h"

namespace seawall {

// Not thread-safe: the store's mutex guards it. Nothing of it is on disk: whoever needs a hold
// after the log was opened again (a cursor, an archive) takes it again, before
// SegmentStore::Start().
class Holds {
 public:
  // Above every LSN.
  static constexpr Lsn kNone = ~Lsn{0};

  // Takes or moves the hold of this kind and name: nothing at or above `lsn` may be trimmed.
  // Returns where it was, kNone for nowhere.
  Lsn Set(HoldKind kind, const std::string& name, Lsn lsn);
  // Returns where it was; kNone if there was none, which is no error.
  Lsn Release(HoldKind kind, const std::string& name);
  // The log was truncated: what is appended next gets `next`, in a segment that begins with `base`,
  // not above it. A hold above `next` moves there, as what it waited for is gone, and what comes in
  // its place has not been seen by the holder; the archive's moves to `base`, as it takes whole
  // segments.
  void Cut(Lsn next, Lsn base);

  // Below this everything may be trimmed; kNone without holds.
  Lsn Lowest() const;
  // In the order of kinds, then names.
  std::vector<Hold> All() const;

 private:
  std::map<std::pair<HoldKind, std::string>, Lsn> holds_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_HOLDS_H_
