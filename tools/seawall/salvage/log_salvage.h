// SPDX-License-Identifier: Apache-2.0
// Takes every record that verifies out of a damaged log, in LSN order, batches whole.
#ifndef SEAWALL_TOOLS_SEAWALL_SALVAGE_LOG_SALVAGE_H_
#define SEAWALL_TOOLS_SEAWALL_SALVAGE_LOG_SALVAGE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/types.h"
#include "tools/seawall/salvage/salvage_plan.h"
#include "tools/seawall/salvage/segment_salvage.h"

namespace seawall {

class SalvageSink {
 public:
  virtual ~SalvageSink() = default;
  // The log's metadata; first, unless CONTROL is gone.
  virtual void OnMetadata(const std::string&) {}
  // Records `first_lsn` and following: one, or an atomic batch. Valid during the call.
  virtual absl::Status OnRecords(Lsn first_lsn, const std::vector<std::string_view>& records) = 0;
};

// What is between the records of a log and those that may be given out: batches must be whole.
class BatchAssembler {
 public:
  // With `keep_parts`, records of a batch that is not whole are given out one by one.
  BatchAssembler(SalvageSink* sink, bool keep_parts, std::vector<Finding>* damage)
      : sink_(sink), keep_parts_(keep_parts), damage_(damage) {}

  void BeginSegment(const std::string& path) { path_ = path; }
  void OnRecord(const SalvagedRecord& salvaged);
  // Drops what waits for the rest of its batch.
  void EndSegment();
  // The first error of the sink.
  const absl::Status& status() const { return status_; }
  Lsn last_lsn() const { return last_lsn_; }

 private:
  void Give();
  void Drop();

  SalvageSink* const sink_;
  const bool keep_parts_;
  std::vector<Finding>* const damage_;
  std::string path_;
  absl::Status status_;
  std::vector<std::string_view> pending_;  // the last record seen, and those of its batch
  Lsn next_lsn_ = 0;
  Lsn last_lsn_ = 0;   // the last one that was given
  bool open_ = false;  // the batch goes on with next_lsn_
  bool whole_ = false;
};

struct SalvageResult {
  absl::Status opens;  // what Log::Open says of the damaged log
  // The first record of the log as far as it is known; 0 if no segment is left at all.
  Lsn first_lsn = 0;
  std::vector<Finding> damage;

  bool lost() const;
  bool corrected() const;
  // Whether more is lost than is known cannot be said: CONTROL, say, is gone.
  bool uncertain() const;
};

// Errors of reading other than damage, and of the sink. Memory: one segment.
absl::StatusOr<SalvageResult> SalvageLog(const std::string& directory, bool keep_parts,
                                         SalvageSink* sink);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_SALVAGE_LOG_SALVAGE_H_
