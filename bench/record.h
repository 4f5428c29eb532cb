// SPDX-License-Identifier: Apache-2.0
// Records that tell where they come from, and the check that those which were acknowledged are
// there.
#ifndef SEAWALL_BENCH_RECORD_H_
#define SEAWALL_BENCH_RECORD_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace seawall::bench {

// The least length of a record: the run, then the thread and its count.
constexpr size_t kLeastRecordBytes = 16;

// A thread's records, one after the other, in one buffer.
class RecordMaker {
 public:
  RecordMaker(uint64_t run, int thread, size_t bytes);

  // Valid until the next call.
  std::string_view Next() {
    const uint64_t stamp = thread_ | count_++;
    std::memcpy(record_.data() + sizeof(uint64_t), &stamp, sizeof(stamp));
    return record_;
  }
  size_t bytes() const { return record_.size(); }

 private:
  std::string record_;
  const uint64_t thread_;
  uint64_t count_ = 0;
};

// Sees every record of a log, in order.
class RecordCheck {
 public:
  // `keeps_all`: a thread's records begin with its first one.
  RecordCheck(uint64_t run, int threads, size_t bytes, bool keeps_all);

  // A record of another run is not looked at: what a peer wrote to season its files.
  void Visit(std::string_view record);

  // What is wrong, if anything: a record too few, too many, out of order or changed.
  // `acknowledged[thread]` are there; one more may be.
  absl::Status Finish(const std::vector<uint64_t>& acknowledged) const;

 private:
  struct Thread {
    uint64_t next = 0;
    bool seen = false;
    std::string sample;  // what a record of this thread looks like
  };

  const uint64_t run_;
  const size_t bytes_;
  const bool keeps_all_;
  uint64_t visited_ = 0;
  std::vector<Thread> threads_;
  absl::Status first_error_;
};

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_RECORD_H_
