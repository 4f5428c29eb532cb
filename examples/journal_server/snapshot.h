// SPDX-License-Identifier: Apache-2.0
// Snapshots: the file that a restart begins with.
//
//   file    := header, chunk*, footer chunk
//   header  := magic (8 bytes), begin LSN (8)
//   chunk   := length of the payload (4 bytes), checksum (8), payload
//   payload := entry*; of the footer: number of keys (8 bytes), end LSN (8)
//   entry   := type byte, varint length, key, varint LSN, varint expire_at_ms,
//              varint length, bytes (a string) | varint count, (varint length, bytes)* (a list)
//
// Numbers are little-endian. The checksum is XXH3 of the payload, seeded with the chunk's offset,
// its length and begin LSN. The footer's length has its top bit set: without a footer the file is
// not whole.
//
// A snapshot is fuzzy: keys are as they were at different records from begin LSN to end LSN. With
// the log behind begin LSN, to end LSN at least, it gives one state: see Store::RedoRecord().
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_SNAPSHOT_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_SNAPSHOT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/journal_server/store.h"
#include "seawall/file_system.h"

namespace journal_server {

struct SnapshotInfo {
  seawall::Lsn begin_lsn = 0;
  seawall::Lsn end_lsn = 0;
  uint64_t keys = 0;
};

std::string SnapshotPath(const std::string& directory);

void AppendEntry(std::string_view key, const Object& object, std::string* payload);

// Writes a snapshot beside the one that there is, which Finish() replaces. Thread-compatible.
class SnapshotWriter {
 public:
  // `fs` null: the operating system's. An abandoned file of an earlier one is overwritten.
  static absl::StatusOr<std::unique_ptr<SnapshotWriter>> Create(seawall::FileSystem* fs,
                                                                const std::string& directory,
                                                                seawall::Lsn begin_lsn);
  // Removes the file, unless it was finished.
  ~SnapshotWriter();

  absl::Status WriteChunk(std::string_view payload);
  // The log must be durable up to `end_lsn` before: what a snapshot has seen must not vanish from
  // the log. After it the new snapshot is durable, and the log is not needed up to begin LSN.
  absl::Status Finish(uint64_t keys, seawall::Lsn end_lsn);

  uint64_t bytes() const { return offset_; }

 private:
  SnapshotWriter(seawall::FileSystem* fs, const std::string& directory, seawall::Lsn begin_lsn);
  absl::Status Write(std::string_view bytes);
  absl::Status WriteFramed(std::string_view payload, uint32_t flag);

  seawall::FileSystem* const fs_;
  const std::string directory_;
  const std::string path_;  // until it is finished
  const seawall::Lsn begin_lsn_;
  std::unique_ptr<seawall::File> file_;
  uint64_t offset_ = 0;
  uint64_t synced_ = 0;
  bool finished_ = false;
};

// Restores the keys of the snapshot in `path` to an empty store. All zeros if there is no such
// file. DataLoss: it is damaged; path, offset, expected and found are named.
absl::StatusOr<SnapshotInfo> LoadSnapshot(seawall::FileSystem* fs, const std::string& path,
                                          Store* store);

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_SNAPSHOT_H_
