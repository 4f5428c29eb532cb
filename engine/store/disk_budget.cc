// SPDX-License-Identifier: Apache-2.0
#include "engine/store/disk_budget.h"

#include "absl/strings/str_cat.h"

namespace seawall {

DiskBudget::DiskBudget(const Options& options)
    : cap_(options.max_log_bytes),
      reserve_(options.max_log_bytes > 0 ? options.segment_bytes + kCopySlackBytes : 0) {}

bool DiskBudget::TryTakeReserved(uint64_t bytes) {
  if (cap_ > 0 && (used_ > cap_ || bytes > cap_ - used_)) return false;
  Take(bytes);
  return true;
}

uint64_t DiskBudget::Room() const {
  if (cap_ == 0) return ~uint64_t{0};
  return Over() ? 0 : cap_ - reserve_ - used_;
}

absl::Status DiskBudget::Refusal(const std::string& directory, uint64_t bytes) const {
  return absl::ResourceExhaustedError(absl::StrCat(
      directory, ": the log takes ", used_, " bytes on disk and needs ", bytes,
      " more, expected at most ", cap_, " (max_log_bytes) with ", reserve_,
      " kept free for the next opening; retention_report() tells what keeps the segments"));
}

}  // namespace seawall
