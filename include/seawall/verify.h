// SPDX-License-Identifier: Apache-2.0
// Reading all of a log to see that it is whole.
#ifndef SEAWALL_VERIFY_H_
#define SEAWALL_VERIFY_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "seawall/file_system.h"
#include "seawall/types.h"

namespace seawall {

// How far a verification is.
struct VerifyProgress {
  uint64_t segments = 0;  // in all
  uint64_t segments_done = 0;
  uint64_t bytes = 0;  // of groups, in all
  uint64_t bytes_done = 0;
};

struct VerifyOptions {
  // Threads that read, each a segment of its own, from 1 to 64: InvalidArgument outside. Several
  // are faster where one does not take all that the disk, or the page cache, has to give.
  uint32_t jobs = 1;
  // Called every few MiB and at the end of each segment, by one thread at a time, but not always
  // the same one. bytes_done only grows, up to bytes. Must not throw.
  std::function<void(const VerifyProgress&)> progress;
  // Not owned. nullptr: the operating system's.
  FileSystem* file_system = nullptr;
};

struct VerifyReport {
  LsnRange records;  // first and last; last is first - 1 if there are none
  uint64_t record_count = 0;
  uint64_t segments = 0;
  uint64_t bytes = 0;
};

// Reads every retained record of the log in `directory` as a Reader does (Reader::OpenReadOnly):
// every checksum, that no LSN is missing, that each segment ends as its successor says. Writes
// nothing, takes no lock, judges what was there when it began. OK: all of that is so. Otherwise the
// error of the first segment, by LSN, that has one:
//   DataLoss    damage: file, offset, expected, found. What lies behind is not looked at;
//               `seawall verify` lists all
//   OutOfRange  a live writer has given a segment up meanwhile: verify again
//   NotFound    no log here
// Memory: of each job, what a Reader takes. Thread-safe.
absl::StatusOr<VerifyReport> VerifyLog(const std::string& directory,
                                       const VerifyOptions& options = VerifyOptions());

}  // namespace seawall

#endif  // SEAWALL_VERIFY_H_
