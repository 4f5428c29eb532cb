// SPDX-License-Identifier: Apache-2.0
// Writes salvaged records to new logs.
#ifndef SEAWALL_TOOLS_SEAWALL_SALVAGE_SALVAGE_WRITER_H_
#define SEAWALL_TOOLS_SEAWALL_SALVAGE_SALVAGE_WRITER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "seawall/log.h"
#include "tools/seawall/cli/progress.h"
#include "tools/seawall/salvage/log_salvage.h"

namespace seawall {

// A log of the output: its records, and the LSN that the first one had.
struct SalvagedRun {
  std::string directory;
  Lsn first_lsn = 0;  // in the new log
  Lsn source_first_lsn = 0;
  uint64_t records = 0;
};

// LSNs are dense, so a log ends at a gap. The first log is in `directory`, which is made if it is
// not there, each further one in a directory in it: "from-57" begins with record 57. With
// `renumber` there is one log, and records behind a gap get other LSNs.
class SalvageWriter : public SalvageSink {
 public:
  SalvageWriter(std::string directory, bool renumber);

  void OnMetadata(const std::string& metadata) override { options_.metadata = metadata; }
  absl::Status OnRecords(Lsn first_lsn, const std::vector<std::string_view>& records) override;
  // Makes all durable. Without any record, the log is empty and begins at `first_lsn`; with
  // `first_lsn` 0 there is none.
  absl::Status Finish(Lsn first_lsn);

  // One entry a run of records that kept or shifted their LSNs alike.
  const std::vector<SalvagedRun>& runs() const { return runs_; }
  uint64_t records() const { return records_; }
  uint64_t bytes() const { return bytes_; }

 private:
  absl::Status Begin(Lsn first_lsn);
  absl::Status Open();
  absl::Status Close();

  const std::string directory_;
  const bool renumber_;
  Options options_;
  std::unique_ptr<Log> log_;
  std::vector<SalvagedRun> runs_;
  Lsn next_source_lsn_ = 0;
  uint64_t records_ = 0;
  uint64_t bytes_ = 0;
  uint64_t unwritten_bytes_ = 0;
  Progress progress_;
};

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_SALVAGE_SALVAGE_WRITER_H_
