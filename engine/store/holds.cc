// SPDX-License-Identifier: Apache-2.0
#include "engine/store/holds.h"

#include <algorithm>

namespace seawall {

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

void Holds::Cut(Lsn next, Lsn base) {
  for (auto& [key, lsn] : holds_) {
    lsn = std::min(lsn, key.first == HoldKind::kArchive ? base : next);
  }
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
