// SPDX-License-Identifier: Apache-2.0
// A shell command as the archive hook of a log.
#ifndef SEAWALL_TOOLS_SEAWALL_ARCHIVE_COMMAND_H_
#define SEAWALL_TOOLS_SEAWALL_ARCHIVE_COMMAND_H_

#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "seawall/options.h"
#include "tools/seawall/cli/interruption.h"

namespace seawall {

// Runs `command` by /bin/sh for each segment, with %p its path, %f its name, %a and %b its first
// and last LSN, %% a percent sign; exit status 0 means that it is archived. The command's standard
// input is empty, its standard output is our standard error. The first failure, and the first after
// a success, is reported on standard error. After a signal, a command has most of a second to end.
class ArchiveCommand {
 public:
  // `interruption` must outlive it.
  ArchiveCommand(std::string command, Interruption* interruption);

  // As Options::archive.
  absl::Status operator()(const SealedSegment& segment);

  // Names the segment that the command did not take when it was run last, in a sentence; empty if
  // it took them all. May be called while the command runs.
  std::string Unarchived() const;

 private:
  const std::string command_;
  Interruption* const interruption_;
  bool failing_ = false;  // the log's thread's
  mutable std::mutex mutex_;
  SealedSegment untaken_;  // guarded by mutex_; its path is empty if there is none
};

// What is wrong with `command`, or empty.
std::string ArchiveCommandProblem(const std::string& command);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_ARCHIVE_COMMAND_H_
