// SPDX-License-Identifier: Apache-2.0
// What a log has promised, and whether a disk keeps the promise. Shared by the tests that crash,
// damage and fail it.
#ifndef SEAWALL_TESTS_CRASH_CRASH_MODEL_H_
#define SEAWALL_TESTS_CRASH_CRASH_MODEL_H_

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "seawall/file_system.h"
#include "seawall/log.h"

namespace seawall {

// What is promised of one cursor.
struct CursorPromise {
  Lsn acknowledged = 0;      // never below this
  Lsn asked = 0;             // nor above this
  bool must_be = false;      // it was opened, and that returned
  bool may_be_gone = false;  // it is being dropped
};

// One history of a log: the records that were appended, and how much of it is promised.
struct World {
  std::vector<std::string> records;  // records[i] has LSN i + 1
  std::vector<LsnRange> batches;
  Lsn acknowledged = 0;
  // The log may begin at any record up to here (it was trimmed), and must have begun at this one
  // once the trim has returned.
  Lsn highest_first = 1;
  Lsn lowest_first = 1;
  std::map<std::string, CursorPromise> cursors;
  std::string metadata;
};

// What a log holds when it is opened.
struct Contents {
  Lsn first_lsn = 1;
  std::vector<std::string> records;
  std::map<std::string, Lsn> cursors;
  std::string metadata;

  Lsn last_lsn() const { return first_lsn + records.size() - 1; }
  friend bool operator==(const Contents& a, const Contents& b) {
    return a.first_lsn == b.first_lsn && a.records == b.records && a.cursors == b.cursors &&
           a.metadata == b.metadata;
  }
};

// Empty if `contents` are a state that `world` allows, else what is wrong with them.
std::string Violation(const World& world, const Contents& contents);

// The same for a set of worlds, one of which must be true.
std::string Violation(const std::vector<World>& worlds, const Contents& contents);

// Reads everything between the first and the last record.
absl::StatusOr<Contents> ReadAll(Log* log);

// Drives a log and keeps the worlds up to date. Thread-safe: worlds() may be asked at any moment,
// as from inside a call that the log makes.
class ModelledLog {
 public:
  ModelledLog(std::string directory, Options options);

  // The options that make small logs with everything happening in them.
  static Options SmallOptions(FileSystem* fs);

  absl::Status Open();
  absl::Status Append(size_t bytes, Durability until = Durability::kAppended);
  absl::Status AppendBatch(size_t records, size_t bytes, Durability until = Durability::kAppended);
  absl::Status Wait(Durability level);
  absl::Status TrimBefore(Lsn lsn);
  absl::Status TruncateAfter(Lsn lsn);
  absl::Status Reset(Lsn first_lsn);
  absl::Status OpenCursor(const std::string& name);
  absl::Status AdvanceCursor(const std::string& name, Lsn lsn,
                             Durability until = Durability::kDurable);
  absl::Status DropCursor(const std::string& name);
  absl::Status SetMetadata(const std::string& metadata);
  absl::Status Close();
  // Ends the process that has the log open, as far as the log can tell.
  void Drop();

  Log* log() { return log_.get(); }
  Lsn last_lsn() const;
  std::vector<World> worlds() const;
  // For the next Open().
  Options* options() { return &options_; }
  void set_file_system(FileSystem* fs) { options_.file_system = fs; }

 private:
  std::string NewPayload(Lsn lsn, size_t bytes);
  Lsn HighestRetained(const World& world) const;
  // Runs `change`, after which the world is `then`; until it returns, either world may be found.
  absl::Status Change(World then, const std::function<absl::Status()>& change);

  const std::string directory_;
  Options options_;
  std::unique_ptr<Log> log_;

  mutable std::mutex mutex_;
  std::vector<World> worlds_;  // the last one is the newest
  uint64_t payloads_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_CRASH_CRASH_MODEL_H_
