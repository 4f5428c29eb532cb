#include "engine/retention.h"

#include <algorithm>

namespace seawall {

const char* HoldKindName(HoldKind kind) {
  switch (kind) {
    case HoldKind::kCursor:
      return "cursor";
    case HoldKind::kArchive:
      return "archive";
    case HoldKind::kBackup:
      return "backup";
    case HoldKind::kFollower:
      return "follower";
    case HoldKind::kOther:
      break;
  }
  return "other";
}

Lsn Holds::Set(HoldKind kind, const std::string& name, Lsn lsn) {
  auto [hold, made] = holds_.try_emplace({kind, name}, lsn);
  return made ? kNone : std::exchange(hold->second, lsn);
}

Lsn Holds::Release(HoldKind kind, const std::string& name) {
  auto hold = holds_.find({kind, name});
  if (hold == holds_.end()) return kNone;
  const Lsn lsn = hold->second;
  holds_.erase(hold);
  return lsn;
}

void Holds::Cut(Lsn next) {
  for (auto& [key, lsn] : holds_) lsn = std::min(lsn, next);
}

Lsn Holds::Lowest() const {
  Lsn lowest = kNone;
  for (const auto& [key, lsn] : holds_) lowest = std::min(lowest, lsn);
  return lowest;
}

std::vector<Hold> Holds::All() const {
  std::vector<Hold> all;
  all.reserve(holds_.size());
  for (const auto& [key, lsn] : holds_) all.push_back({key.first, key.second, lsn});
  return all;
}

}  // namespace seawall
