// SPDX-License-Identifier: Apache-2.0
#include "engine/log/log_config.h"

#include "engine/base/align.h"

namespace seawall {

absl::StatusOr<LogConfig> MakeLogConfig(FileSystem* fs, const std::string& directory,
                                        const Options& given, const RecoveryPlan& plan) {
  LogConfig config{directory, given};
  Options& options = config.options;
  options.file_system = fs;
  if (options.direct_io && options.group_alignment_bytes == 512) {
    options.group_alignment_bytes = kBlockBytes;
  }
  options.cursors = given.cursors || plan.has_cursors;
  absl::Status status = options.Validate();
  if (!status.ok()) return status;
  return config;
}

}  // namespace seawall
