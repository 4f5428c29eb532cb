// SPDX-License-Identifier: Apache-2.0
// A shell command as the archive hook of a log.
#ifndef SEAWALL_TOOLS_SEAWALL_ARCHIVE_COMMAND_H_
#define SEAWALL_TOOLS_SEAWALL_ARCHIVE_COMMAND_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "seawall/options.h"

namespace seawall {

// Runs `command` by /bin/sh for each segment, with %p its path, %f its name, %a and %b its first
// and last LSN, %% a percent sign; exit status 0 means that it is archived. The command's standard
// input is empty, its standard output is our standard error. The first failure, and
// the first after a success, is told on standard error.
std::function<absl::Status(const SealedSegment&)> ArchiveByCommand(const std::string& command);

// What is wrong with `command`, or empty.
std::string ArchiveCommandProblem(const std::string& command);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_ARCHIVE_COMMAND_H_
