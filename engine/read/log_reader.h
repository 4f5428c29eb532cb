// SPDX-License-Identifier: Apache-2.0
// The reader of seawall/reader.h, over whatever says where records are: an open log, a directory
// that is only read (read_only.h), a log that is followed, a copy.
#ifndef SEAWALL_ENGINE_READ_LOG_READER_H_
#define SEAWALL_ENGINE_READ_LOG_READER_H_

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/segments/segment_index.h"
#include "engine/segments/segment_ref.h"
#include "engine/segments/segment_scanner.h"
#include "seawall/identity.h"
#include "seawall/reader.h"

namespace seawall {

// A stretch of records in one segment that may be read now: up to last_lsn, whose group ends at or
// before `end`.
struct ReadRange {
  SegmentRef segment;
  Lsn last_lsn = 0;
  uint64_t end = 0;
};

// Where records come from. The function returns the range that holds `lsn`; an empty optional if
// `lsn` is the one behind the last that may be read; OutOfRange if it is gone.
using ReadSource = std::function<absl::StatusOr<std::optional<ReadRange>>(Lsn lsn)>;

// Looks again at a failure to read a segment (NotFound, DataLoss): its file may have been removed
// or written again since the source named it. Returns what to report.
using ReadFailure = std::function<absl::Status(const SegmentRef&, const absl::Status&)>;

// Where a reader waits for what its source has not got yet. One thread uses it, as one reader; any
// may call Cancel().
class ReadWatch {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~ReadWatch() = default;
  // Between these two, Look() and Sleep() are called in turns.
  virtual void Begin() = 0;
  virtual void End() = 0;
  // What comes to the source from now on ends the next Sleep(). OK, or why nothing will come any
  // more: Cancelled, or what the log ended with. All that will ever come is in the source then.
  virtual absl::Status Look() = 0;
  // Until something came, perhaps, or the deadline.
  virtual void Sleep(Clock::time_point deadline) = 0;
  // Look() says so from now on, and a Sleep() under way ends.
  virtual void Cancel() = 0;
};

// Where to begin reading a segment, of which `file` is open, for a record in its midst: at a group
// at or before it. None: at the first group. What it says need not be right.
using EntryLookup = std::function<std::optional<IndexEntry>(const SegmentRef&, File* file, Lsn)>;

// For whoever asks the reader.
struct ReaderLog {
  LogId id = {};
  std::string metadata;
};

// A reader that begins at `from`. Without a watch it does not follow. `memory`, which outlives it,
// is what it begins with, and gets what it ends with.
std::unique_ptr<Reader> NewSourceReader(FileSystem* fs, ReadSource source, Lsn from,
                                        ReadFailure failure = nullptr,
                                        std::unique_ptr<ReadWatch> watch = nullptr,
                                        EntryLookup lookup = nullptr, ScanMemory* memory = nullptr,
                                        ReaderLog log = {});

// A source over segments that do not change.
ReadSource FixedSource(std::vector<SegmentRef> segments);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_READ_LOG_READER_H_
