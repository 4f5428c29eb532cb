// SPDX-License-Identifier: Apache-2.0
// Writes snapshots in the background, and trims the log behind them.
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_CHECKPOINT_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_CHECKPOINT_H_

#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "examples/journal_server/journal.h"
#include "examples/journal_server/snapshot.h"
#include "examples/journal_server/store.h"

namespace journal_server {

// No fork, and no copy of the heap. The event loop encodes a slice of the keys, 256 KiB or one key
// if that is larger; a worker thread writes it to the file; then comes the next slice. Clients are
// served between two slices, and the memory it takes is that of one. What changes meanwhile is
// found again in the log: see Store::RedoRecord().
//
// The event loop's thread uses it. It must not go away while running().
class Checkpoint {
 public:
  Checkpoint(uv_loop_t* loop, Journal* journal, const Store* store, seawall::FileSystem* fs,
             const std::string& directory);
  Checkpoint(const Checkpoint&) = delete;
  Checkpoint& operator=(const Checkpoint&) = delete;

  bool running() const { return running_; }
  // Not while it runs.
  void Start();
  // Ends after the slice that is being written; the snapshot before stays the valid one.
  void Abandon() { abandoned_ = true; }

  // Of the last one that ended.
  const absl::Status& status() const { return status_; }
  uint64_t completed() const { return completed_; }
  uint64_t failed() const { return failed_; }
  seawall::Lsn snapshot_lsn() const { return snapshot_lsn_; }
  uint64_t last_elapsed_micros() const { return last_elapsed_micros_; }
  uint64_t last_bytes() const { return last_bytes_; }
  // uv_now() when the last one ended.
  uint64_t ended_at_ms() const { return ended_at_ms_; }

 private:
  // In a worker thread, while the loop keeps its hands off what it uses.
  void Queue(std::function<absl::Status()> work);
  static void Work(uv_work_t* request);
  static void AfterWork(uv_work_t* request, int status);
  void NextSlice();
  void SyncJournal();
  void Finish();
  void End(const absl::Status& status);

  uv_loop_t* const loop_;
  Journal* const journal_;
  const Store* const store_;
  seawall::FileSystem* const fs_;
  const std::string directory_;

  uv_work_t request_;
  std::function<absl::Status()> work_;
  absl::Status work_status_;
  std::string slice_;
  std::unique_ptr<SnapshotWriter> writer_;

  bool running_ = false;
  bool abandoned_ = false;
  // What the work under way does.
  enum class Phase { kWriting, kSyncing, kFinishing } phase_ = Phase::kWriting;
  bool visited_all_ = false;
  seawall::Lsn end_lsn_ = 0;
  uint64_t cursor_ = 0;
  uint64_t keys_ = 0;
  seawall::Lsn begin_lsn_ = 0;
  uint64_t journal_bytes_ = 0;  // of records that the snapshot stands for
  uint64_t begun_at_micros_ = 0;

  absl::Status status_;
  uint64_t completed_ = 0;
  uint64_t failed_ = 0;
  seawall::Lsn snapshot_lsn_ = 0;
  uint64_t last_elapsed_micros_ = 0;
  uint64_t last_bytes_ = 0;
  uint64_t ended_at_ms_ = 0;
};

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_CHECKPOINT_H_
