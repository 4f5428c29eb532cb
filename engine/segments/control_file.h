// SPDX-License-Identifier: Apache-2.0
// The CONTROL file: what is known to be durable about a log as a whole, in slots that are written
// in turn, so that a torn write leaves the others. Three, not two: the newest may be one whose sync
// failed, which is read from the page cache and not on disk; the next write must leave both it and
// the one before. Every fact in it is a lower bound (format.h, ControlBlock): an older block proves
// less.
#ifndef SEAWALL_ENGINE_SEGMENTS_CONTROL_FILE_H_
#define SEAWALL_ENGINE_SEGMENTS_CONTROL_FILE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/format/format.h"
#include "seawall/file_system.h"

namespace seawall {

// The newest valid block. NotFound if there is no such file; if no slot is valid, Unimplemented
// when one of them is newer, else DataLoss. `*newest_may_be_lost` becomes true if the slot that a
// newer block would be in is not valid: a crash tore that write, or the block was damaged since.
absl::StatusOr<ControlBlock> ReadControl(FileSystem* fs, const std::string& directory,
                                         bool* newest_may_be_lost = nullptr);

// OK if `found`, the log in `directory`, is the expected one, or none is expected; else
// FailedPrecondition, which names both.
absl::Status CheckLogId(const std::string& directory, const std::optional<LogId>& expected,
                        const LogId& found);

// Thread-compatible.
class ControlFile {
 public:
  // Makes the file, with `block` in all slots: under another name first, synced, renamed, and the
  // directory synced.
  static absl::StatusOr<std::unique_ptr<ControlFile>> Create(FileSystem* fs,
                                                             const std::string& directory,
                                                             const ControlBlock& block);
  // Opens the file that `current` was read from.
  static absl::StatusOr<std::unique_ptr<ControlFile>> Open(FileSystem* fs,
                                                           const std::string& directory,
                                                           const ControlBlock& current);

  // Writes `block` with the next sequence number over the oldest slot, and syncs. After an error
  // this one, too, fails for good: FailedPrecondition.
  absl::Status Write(ControlBlock block);
  // The same, over each slot in turn: then none holds anything older.
  absl::Status WriteAll(const ControlBlock& block);

 private:
  ControlFile(std::string path, std::unique_ptr<File> file, uint64_t sequence);

  const std::string path_;
  const std::unique_ptr<File> file_;
  uint64_t sequence_;
  bool failed_ = false;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_SEGMENTS_CONTROL_FILE_H_
