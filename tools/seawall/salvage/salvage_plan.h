// SPDX-License-Identifier: Apache-2.0
// What there is to be salvaged in the directory of a log: which files hold segments, whatever they
// are called, and which records each may give. Reads only.
#ifndef SEAWALL_TOOLS_SEAWALL_SALVAGE_SALVAGE_PLAN_H_
#define SEAWALL_TOOLS_SEAWALL_SALVAGE_SALVAGE_PLAN_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/format.h"
#include "seawall/types.h"

namespace seawall {

// One piece of damage, and the records that it took.
struct Finding {
  std::string kind;
  std::string path;
  uint64_t offset = 0;
  // The records that are lost, corrected or dropped; 0 and 0 if none is, or it is not known which.
  // Only `first` is 0 where nobody knows what the first one was.
  LsnRange records;
  std::string what;  // for people
  bool lost = false;
  bool corrected = false;
  // It is not known whether records are lost: what would say so is gone.
  bool uncertain = false;
};

struct SalvageSource {
  std::string path;
  uint64_t generation = 0;
  uint64_t salt = 0;
  Lsn base_lsn = 0;
  uint64_t predecessor_generation = 0;
  // All records up to here were durable when its header was written.
  Lsn durable_lsn = 0;
  // Its header is lost; the salt was found otherwise, and base_lsn is that of the first group that
  // is left.
  bool header_lost = false;
  // If header_lost: nothing was before that group.
  bool base_is_certain = true;
  // The highest LSN that it may give: what came later begins behind it.
  Lsn last_lsn = kMaxNumber;
  // All records up to last_lsn were in it.
  bool complete = false;
};

struct SalvagePlan {
  absl::Status opens;      // what Log::Open would say
  Lsn opens_last_lsn = 0;  // if it opens
  std::optional<ControlBlock> control;
  std::vector<SalvageSource> sources;  // oldest first
  std::vector<Finding> damage;
};

// All of a file: blocks that cannot be read are zeros, and damage.
absl::StatusOr<std::string> ReadForSalvage(const std::string& path, std::vector<Finding>* damage);

// NotFound if there is nothing that was ever a log; Unimplemented if a newer Seawall wrote it.
absl::StatusOr<SalvagePlan> PlanSalvage(const std::string& directory);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_SALVAGE_SALVAGE_PLAN_H_
