// SPDX-License-Identifier: Apache-2.0
// The journal: a Seawall log of records of effects, and how far it has come.
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_JOURNAL_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_JOURNAL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/journal_server/executor.h"
#include "examples/journal_server/store.h"
#include "seawall/log.h"

namespace journal_server {

// When a reply may go out, and what may be lost after it did. (Redis: appendfsync.)
enum class Acknowledge {
  kAlways,       // on stable storage: nothing is lost
  kEverySecond,  // in the kernel, which a killed process does not take along; a power loss takes
                 // what was acknowledged in the last second, and while a sync lasts
  kNo,           // in the kernel, which brings it to the disk when it likes
};

struct JournalOptions {
  Acknowledge acknowledge = Acknowledge::kAlways;
  uint64_t segment_bytes = uint64_t{64} << 20;
  seawall::FileSystem* file_system = nullptr;
};

// What recovery did.
struct Recovery {
  seawall::Lsn snapshot_lsn = 0;
  uint64_t snapshot_keys = 0;
  uint64_t redone_records = 0;
  uint64_t redone_bytes = 0;
  uint64_t elapsed_micros = 0;
  std::string log_report;
};

// The event loop's thread uses it, but for Sync(), which any thread may call.
class Journal : public JournalSink {
 public:
  // Opens the log in `directory`/log, restores the snapshot of `directory` and redoes the log
  // behind it. `wake` is called from a thread of the log, and from the loop's, when Reached() may
  // have changed.
  static absl::StatusOr<std::unique_ptr<Journal>> Open(const std::string& directory,
                                                       const JournalOptions& options, Store* store,
                                                       std::function<void()> wake);

  seawall::Lsn next_lsn() const override { return appended_lsn_ + 1; }
  // Does not wait for a sync. It waits for the file to be made longer if the log is written quicker
  // than that is done in the background: Stats::space_waits and rollover_waits.
  Result Append(std::string_view record) override;

  // Once in each turn of the event loop: sees to it that what was appended gets as far as replies
  // wait for, without waiting for a sync.
  void Push();
  // Replies that saw records up to this one may go out.
  seawall::Lsn Reached() const;

  // Makes all up to `lsn` durable, in the calling thread.
  absl::Status Sync(seawall::Lsn lsn) { return log_->WaitDurable(lsn); }
  // Around a Sync() in another thread. Meanwhile Push() keeps away from the log, which has one
  // leader: it would wait for the sync.
  void BeginSync() { ++syncs_running_; }
  void EndSync() { --syncs_running_; }
  bool syncing() const { return syncs_running_ > 0; }

  // OK, or what made the log fail.
  absl::Status failure() const;

  seawall::Lsn appended_lsn() const { return appended_lsn_; }
  // Of records since the last snapshot, with what was redone.
  uint64_t bytes_since_snapshot() const { return bytes_since_snapshot_; }
  void SnapshotTaken(uint64_t bytes_before) { bytes_since_snapshot_ -= bytes_before; }
  Acknowledge acknowledge() const { return options_.acknowledge; }
  const Recovery& recovery() const { return recovery_; }
  seawall::Log* log() { return log_.get(); }
  const seawall::Log* log() const { return log_.get(); }

 private:
  Journal(const JournalOptions& options, std::function<void()> wake)
      : options_(options), wake_(std::move(wake)) {}

  absl::Status Recover(const std::string& directory, Store* store);
  void Fail(const absl::Status& status);
  void PushDurable();

  const JournalOptions options_;
  const std::function<void()> wake_;
  Recovery recovery_;
  seawall::Lsn appended_lsn_ = 0;
  seawall::Lsn notified_lsn_ = 0;  // the last one that NotifyDurable() was called for
  uint64_t bytes_since_snapshot_ = 0;
  int syncs_running_ = 0;

  mutable std::mutex mutex_;
  std::string failure_;  // guarded by mutex_
  bool failed_ = false;  // guarded by mutex_
  // Last: its threads call back until it is gone.
  std::unique_ptr<seawall::Log> log_;
};

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_JOURNAL_H_
