// SPDX-License-Identifier: Apache-2.0
// A segment's file as recovery finds it: what its header says, and what is wrong with it.
#ifndef SEAWALL_ENGINE_SEGMENTS_SEGMENT_FILE_H_
#define SEAWALL_ENGINE_SEGMENTS_SEGMENT_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/format.h"
#include "seawall/file_system.h"

namespace seawall {

// What a segment file turned out to be. `header` counts unless kUnreadable.
enum class FileKind {
  kSpare,
  kBegun,
  kMislabelled,  // a valid header of another generation
  kForeign,      // a valid header of another log
  kUnreadable,   // no valid header: zeros, something else, or too short
};

struct SegmentFile {
  std::string path;
  uint64_t generation = 0;
  uint64_t bytes = 0;
  FileKind kind = FileKind::kUnreadable;
  SegmentHeader header;
  std::unique_ptr<File> file;
};

// The generations of the segment files in a directory, ascending.
absl::StatusOr<std::vector<uint64_t>> ListGenerations(FileSystem* fs, const std::string& directory);

// Opens the file and reads its header. Without a `log_id` there is no other log's. Unimplemented if
// a newer Seawall wrote it.
absl::StatusOr<SegmentFile> ReadSegmentFile(FileSystem* fs, const std::string& directory,
                                            uint64_t generation, const LogId* log_id);

// That a file is as long as the control file knows it to be, with the salt it had then; OK if the
// control file does not list it.
absl::Status CheckEntry(const SegmentFile& file, const ControlBlock& control);

// The errors for a file that is gone, or that another one has taken the place of.
absl::Status MissingSegment(const std::string& directory, uint64_t generation,
                            std::string_view why);
absl::Status ForeignSegment(const SegmentFile& file, const LogId& log_id);
absl::Status MislabelledSegment(const SegmentFile& file);

// That a file which is in a sealed segment's place is one.
absl::Status CheckSealed(const SegmentFile& file, const LogId& log_id);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_SEGMENT_FILE_H_
