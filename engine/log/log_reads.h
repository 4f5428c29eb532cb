// SPDX-License-Identifier: Apache-2.0
// Reading an open log, by LSN or in order.
#ifndef SEAWALL_ENGINE_LOG_LOG_READS_H_
#define SEAWALL_ENGINE_LOG_LOG_READS_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "engine/read/log_reader.h"
#include "engine/segments/segment_index.h"
#include "engine/store/segment_store.h"
#include "engine/store/watermarks.h"
#include "seawall/file_system.h"
#include "seawall/reader.h"
#include "seawall/types.h"

namespace seawall {

// Thread-safe: it has no state but what the store and the watermarks guard. Its readers end before
// those do.
//
// A reader sees three things that change independently of each other: the watermarks, the list of
// segments, and truncations. Source() puts them in an order in which no record is read that was not
// written, and none that a truncation discarded passes for the one that was appended after it.
class LogReads {
 public:
  // All outlive this.
  LogReads(FileSystem* fs, Watermarks* marks, SegmentStore* store)
      : fs_(fs), marks_(marks), store_(store) {}

  // As Log::Read and Log::NewReader of a log that is not closed.
  absl::StatusOr<std::string> Read(Lsn lsn);
  absl::StatusOr<std::unique_ptr<Reader>> NewReader(Lsn from, ReadLimit limit) {
    return ReaderFrom(from, limit, 1);
  }

 private:
  // With one read from where the index leads to. The status of an error says nothing.
  absl::StatusOr<std::string> ReadIndexed(Lsn lsn);
  // `beyond`: how many LSNs above the last readable one `from` may be.
  absl::StatusOr<std::unique_ptr<Reader>> ReaderFrom(Lsn from, ReadLimit limit, Lsn beyond);
  std::optional<IndexEntry> FindEntry(const SegmentRef& segment, Lsn lsn);
  // Keeps apart what a reader was served before a truncation and what was appended after it.
  ReadSource Source(ReadLimit limit, Lsn from);

  FileSystem* const fs_;
  Watermarks* const marks_;
  SegmentStore* const store_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_LOG_LOG_READS_H_
