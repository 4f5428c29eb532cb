// SPDX-License-Identifier: Apache-2.0
#include "engine/log/log_config.h"

#include "engine/base/align.h"
#include "engine/segments/control_file.h"

namespace seawall {

absl::StatusOr<LogConfig> MakeLogConfig(FileSystem* fs, const std::string& directory,
                                        const Options& given, const RecoveryPlan& plan) {
  // Before the lock was taken it was the right one. Another process may have replaced it since.
  absl::Status status = CheckLogId(directory, given.expected_id, plan.report.log_id);
  if (!status.ok()) return status;
  LogConfig config{directory, given};
  Options& options = config.options;
  options.file_system = fs;
  if (options.direct_io && options.group_alignment_bytes == 512) {
    options.group_alignment_bytes = kBlockBytes;
  }
  options.cursors = given.cursors || plan.has_cursors;
  status = options.Validate();
  if (!status.ok()) return status;
  return config;
}

}  // namespace seawall
