// SPDX-License-Identifier: Apache-2.0
#include "bench/record.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace seawall::bench {
namespace {

constexpr int kCountBits = 48;
constexpr uint64_t kCountMask = (uint64_t{1} << kCountBits) - 1;
// All of a record is compared for one in so many, its stamp for each.
constexpr uint64_t kCompareEvery = 61;

}  // namespace

RecordMaker::RecordMaker(uint64_t run, int thread, size_t bytes)
    : record_(std::max(bytes, kLeastRecordBytes), '\0'),
      thread_(static_cast<uint64_t>(thread) << kCountBits) {
  std::memcpy(record_.data(), &run, sizeof(run));
  uint64_t random = run ^ (static_cast<uint64_t>(thread) + 1);
  for (size_t i = kLeastRecordBytes; i < record_.size(); ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    record_[i] = static_cast<char>(random >> 56);
  }
}

RecordCheck::RecordCheck(uint64_t run, int threads, size_t bytes, bool keeps_all)
    : run_(run), bytes_(std::max(bytes, kLeastRecordBytes)), keeps_all_(keeps_all) {
  for (int thread = 0; thread < threads; ++thread) {
    threads_.emplace_back().sample = RecordMaker(run, thread, bytes).Next();
  }
}

void RecordCheck::Visit(std::string_view record) {
  if (record.size() < kLeastRecordBytes || !first_error_.ok()) return;
  uint64_t run, stamp;
  std::memcpy(&run, record.data(), sizeof(run));
  std::memcpy(&stamp, record.data() + sizeof(run), sizeof(stamp));
  if (run != run_) return;
  const uint64_t number = stamp >> kCountBits;
  const uint64_t count = stamp & kCountMask;
  if (number >= threads_.size() || record.size() != bytes_) {
    first_error_ = absl::DataLossError(
        absl::StrCat("read back: a record of thread ", number, " with ", record.size(), " bytes"));
    return;
  }
  Thread& thread = threads_[number];
  if (!keeps_all_ && !thread.seen) thread.next = count;
  thread.seen = true;
  if (count != thread.next) {
    first_error_ = absl::DataLossError(absl::StrCat(
        "read back: thread ", number, ": expected record ", thread.next, ", found ", count));
    return;
  }
  ++thread.next;
  if (visited_++ % kCompareEvery == 0 &&
      record.substr(kLeastRecordBytes) !=
          std::string_view(thread.sample).substr(kLeastRecordBytes)) {
    first_error_ = absl::DataLossError(
        absl::StrCat("read back: thread ", number, ": record ", count, " has other bytes"));
  }
}

absl::Status RecordCheck::Finish(const std::vector<uint64_t>& acknowledged) const {
  if (!first_error_.ok()) return first_error_;
  for (size_t i = 0; i < threads_.size(); ++i) {
    const uint64_t there = threads_[i].next;
    if (there < acknowledged[i] || there > acknowledged[i] + 1) {
      return absl::DataLossError(absl::StrCat("read back: thread ", i, " had ", acknowledged[i],
                                              " records acknowledged, ", there, " are there"));
    }
  }
  return absl::OkStatus();
}

}  // namespace seawall::bench
