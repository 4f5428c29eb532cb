// SPDX-License-Identifier: Apache-2.0
// What holds for an open log: the caller's options, and what its directory decides.
#ifndef SEAWALL_ENGINE_LOG_LOG_CONFIG_H_
#define SEAWALL_ENGINE_LOG_LOG_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "engine/recovery/recovery_plan.h"
#include "seawall/file_system.h"
#include "seawall/options.h"

namespace seawall {

// Log::Open makes it once, after the directory was planned, and before anything is built from it.
// It is constant from then on.
struct LogConfig {
  std::string directory;
  // The caller's, except:
  //   cursors                is set if the log has cursors: they take room in each segment,
  //                          whatever the caller asked for.
  //   group_alignment_bytes  is 4096 instead of 512 with direct_io: a direct write of 512 bytes
  //                          needs a disk with such blocks, and 4096 keeps the promise on all of
  //                          them.
  //   file_system            is never nullptr.
  Options options;

  FileSystem* fs() const { return options.file_system; }
};

// `given` was validated. InvalidArgument if it does not fit a log with cursors, and the log has
// them; FailedPrecondition if the log is not that of `given.expected_id`.
absl::StatusOr<LogConfig> MakeLogConfig(FileSystem* fs, const std::string& directory,
                                        const Options& given, const RecoveryPlan& plan);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_LOG_LOG_CONFIG_H_
