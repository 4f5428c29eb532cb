// SPDX-License-Identifier: Apache-2.0
// One run of a workload on a disk that fails.
#ifndef SEAWALL_TESTS_FAULT_FAULT_LAB_H_
#define SEAWALL_TESTS_FAULT_FAULT_LAB_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash/crash_model.h"

namespace seawall {

inline constexpr char kDirectory[] = "/data/log";

// The log takes no more: an error that was latched.
bool IsLatch(const absl::Status& status);

class Lab {
 public:
  // `fault` is set at the beginning of life number `life`; each Kill() begins another.
  Lab(const Options& options, const CrashOptions& crash, std::optional<Fault> fault, size_t life);

  // ---- The steps of workloads.

  void Open();
  void Append(size_t bytes, Durability until = Durability::kDurable);
  void AppendBatch(size_t records, size_t bytes, Durability until = Durability::kDurable);
  void Trim(Lsn lsn);
  void OpenCursor(const std::string& name);
  // To the last record but `behind` of them.
  void AdvanceCursor(const std::string& name, Lsn behind, Durability until = Durability::kDurable);
  void DropCursor(const std::string& name);
  void SetMetadata(const std::string& metadata);
  // Gives up the last `count` records.
  void Truncate(size_t count);
  void Reset(Lsn first_lsn);
  // Durable records of `bytes` until Options::max_log_bytes refuses one. What is on disk then is
  // not more than that; or than it was, if opening needed more.
  void FillToCap(size_t bytes);
  // To a directory of its own. What is there when it returns is a log of all that was acknowledged,
  // also behind a power loss; an error is no concern of the log that was copied.
  void Backup();
  // Everything by one reader, then each record by itself.
  void Read();
  void ReadOnly();
  void Close();
  // SIGKILL; the page cache stays.
  void Kill();

  // ---- The end.

  // What the disk holds now, and what a power loss leaves of it, is a log with all it promised.
  void Finish();

  // The calls of each life, without those that set the disk up.
  std::vector<std::vector<FileSystemCall>> Calls() const;

  uint64_t hits() const;
  uint64_t latches() const { return latches_; }
  uint64_t refusals() const { return refusals_; }
  uint64_t images() const { return images_; }
  const std::string& wrong() const { return wrong_; }

 private:
  void Arm();
  void Wrong(const std::string& what);
  void Note(const std::string& step, const absl::Status& status);
  void Do(const std::string& step, const std::function<absl::Status()>& run);

  void CheckClass(const std::string& step, const absl::Status& status);
  // Every call that needs the disk gives the same error, again and again.
  void CheckLatched(const absl::Status& latched);

  // The process ends, and the log is opened again: on the page cache that it left.
  void Restart();
  void Drop() { model_->Drop(); }
  void NextDisk();
  void CheckImages(const std::string& when);
  // Empty, or what is wrong with what `image` has in `directory`.
  std::string CheckImage(CrashFileSystem* image, const std::string& directory) const;
  uint64_t DiskBytes() const;
  bool ParentInDoubt() const;

  // All that failed was retried or gone on with, as it must be.
  bool OnlyInvisible() const;

  const Options options_;
  const CrashOptions crash_;
  const std::optional<Fault> fault_;
  const size_t fault_life_;
  size_t life_ = 0;
  uint64_t setup_calls_ = 0;
  // The log's threads may still be about: disks outlive the model.
  std::vector<std::unique_ptr<CrashFileSystem>> old_disks_;
  std::unique_ptr<CrashFileSystem> disk_;
  std::optional<ModelledLog> model_;
  bool stopped_ = false;
  std::string wrong_;
  uint64_t failures_ = 0;
  uint64_t latches_ = 0;
  uint64_t refusals_ = 0;
  uint64_t images_ = 0;
  size_t backups_ = 0;
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_FAULT_FAULT_LAB_H_
