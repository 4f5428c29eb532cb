// What is kept of a log, and why.
#ifndef SEAWALL_RETENTION_H_
#define SEAWALL_RETENTION_H_

#include <string>

#include "seawall/types.h"

namespace seawall {

// Who may keep a log from giving records up.
enum class HoldKind {
  kCursor,    // a consumer that has not read further
  kArchive,   // segments that were not archived yet
  kBackup,    // a backup that is being made
  kFollower,  // a follower that must not be overtaken
  kOther,
};

// "cursor", "archive", ...
const char* HoldKindName(HoldKind kind);

// Nothing at or above `lsn` is given up while this stands.
struct Hold {
  HoldKind kind = HoldKind::kOther;
  std::string name;
  Lsn lsn = 0;
};

}  // namespace seawall

#endif  // SEAWALL_RETENTION_H_
