// SPDX-License-Identifier: Apache-2.0
// What bench/compare measures: a log, or a bare loop that does only what no log could leave out.
#ifndef SEAWALL_BENCH_PEERS_PEER_H_
#define SEAWALL_BENCH_PEERS_PEER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace seawall::bench {

enum class Workload {
  kCommit,  // threads that each append a record and wait until it is durable
  kAppend,  // threads that append without waiting; one sync at the end
  kReplay,  // reading a closed log from the page cache
  kAsync,   // one thread with kOutstanding records that await their callback, or as many threads
};

constexpr int kOutstanding = 512;

// All that a peer knows of the run that it is made for.
struct RunOptions {
  std::string directory;  // exists, is empty
  Workload workload = Workload::kCommit;
  int threads = 1;
  size_t record_bytes = 128;
  uint64_t most_append_bytes = 0;  // kAppend and kReplay append no more payload than this
  bool season = true;              // see Peer::Open(); false: only shows that it works
};

// Gets the completions of CommitAsync(), in the order of the calls, never two at once.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void Done(const absl::Status& status) = 0;
};

// One log in one directory, used for one run: Open, the workload, Close, then OpenToRead, Read or
// Scan, Close. The functions that take a thread's number are called by that many threads at once.
class Peer {
 public:
  virtual ~Peer() = default;

  // Makes a log and brings it to where it is after long use, where that matters: one that recycles
  // its files has files to recycle.
  virtual absl::Status Open() = 0;

  // Appends a record and returns when it is durable.
  virtual absl::Status Commit(int thread, std::string_view record) = 0;
  // Appends a record, which Sync() makes durable later.
  virtual absl::Status Append(int thread, std::string_view record) = 0;
  // Called when no Append() is running.
  virtual absl::Status Sync() = 0;
  // Appends a record; `completion` hears when it is durable. Only where PeerInfo::async.
  virtual absl::Status CommitAsync(std::string_view record, Completion* completion);
  // The thread makes no further Commit().
  virtual void Leave(int /*thread*/) {}

  // The second call does nothing.
  virtual absl::Status Close() = 0;

  virtual absl::Status OpenToRead() = 0;
  // Calls `visit` for every record that is there, each thread's in the order of its appends.
  virtual absl::Status Read(absl::FunctionRef<void(std::string_view)> visit) = 0;
  // Reads the log as fast as it can be, checksums included, and counts its records.
  virtual absl::StatusOr<uint64_t> Scan();
};

struct PeerInfo {
  std::string name;   // what --peers calls it
  std::string title;  // what the report calls it
  std::string version;
  std::string notes;  // how it is used, in a line
  // A bare loop; the first one that has a result is the floor of a workload.
  bool floor = false;
  bool commit = true;
  bool append = true;
  bool replay = false;
  bool async = false;
  uint64_t most_replay_bytes = UINT64_MAX;  // one that is too slow for more
  bool keeps_all = true;                    // false: writes over its oldest records
  bool memory_only = false;                 // keeps nothing at all, so there is nothing to check
  int order = 0;                            // in tables
  std::unique_ptr<Peer> (*make)(const RunOptions& run) = nullptr;
};

// Peers register themselves when the program starts: one whose package is missing is not linked.
bool RegisterPeer(PeerInfo info);

// In the order of tables.
std::vector<PeerInfo> AllPeers();

template <typename T>
std::unique_ptr<Peer> MakePeer(const RunOptions& run) {
  return std::make_unique<T>(run);
}

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_PEERS_PEER_H_
