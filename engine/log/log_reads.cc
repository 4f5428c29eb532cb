// SPDX-License-Identifier: Apache-2.0
#include "engine/log/log_reads.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "engine/format/format.h"
#include "engine/read/random_read.h"

namespace seawall {
namespace {

// How a reader of an open log waits at its end.
class CommitWatch : public ReadWatch {
 public:
  // `marks` outlives this.
  CommitWatch(Watermarks* marks, Durability level) : marks_(marks), level_(level) {}

  void Begin() override { marks_->watch().Begin(level_); }
  void End() override { marks_->watch().End(level_); }
  absl::Status Look() override {
    seen_ = marks_->watch().Seen(level_);
    // Loaded after the word: a Cancel() that is not seen here changes the word later.
    if (cancelled_.load(std::memory_order_relaxed)) {
      return absl::CancelledError("wait for a record: cancelled");
    }
    return marks_->end_status();
  }
  void Sleep(Clock::time_point deadline) override {
    marks_->watch().Sleep(level_, seen_, deadline);
  }
  void Cancel() override {
    cancelled_.store(true, std::memory_order_relaxed);
    marks_->watch().Wake(level_);
  }

 private:
  Watermarks* const marks_;
  const Durability level_;
  uint32_t seen_ = 0;
  std::atomic<bool> cancelled_{false};  // once; published by the word
};

absl::Status Trimmed(Lsn lsn, Lsn first, Lsn last) {
  return absl::NotFoundError(absl::StrCat("read record ", lsn, ": the log holds ", first, " to ",
                                          last, ", what is below was trimmed"));
}

Durability LevelOf(ReadLimit limit) {
  return limit == ReadLimit::kDurable ? Durability::kDurable : Durability::kWritten;
}

}  // namespace

absl::StatusOr<std::string> LogReads::Read(Lsn lsn) {
  absl::StatusOr<std::string> payload = ReadIndexed(lsn);
  if (payload.ok()) return payload;
  // A reader says what is wrong: with the call, with the record, or with the index only.
  absl::StatusOr<std::unique_ptr<Reader>> reader = ReaderFrom(lsn, ReadLimit::kWritten, 0);
  if (!reader.ok()) return reader.status();
  Record record;
  if ((*reader)->Next(&record)) return std::string(record.payload);
  absl::Status status = (*reader)->status();
  // A trim came between the check of the range and the search for the segment.
  const Lsn first = store_->first_lsn();
  if (absl::IsOutOfRange(status) && lsn < first) return Trimmed(lsn, first, marks_->written_lsn());
  return status.ok() ? absl::OutOfRangeError(
                           absl::StrCat("read record ", lsn, ": it was cut off meanwhile"))
                     : status;
}

absl::StatusOr<std::string> LogReads::ReadIndexed(Lsn lsn) {
  if (lsn < kFirstLsn) return absl::FailedPreconditionError("");
  absl::StatusOr<std::optional<ReadRange>> range = Source(ReadLimit::kWritten, lsn)(lsn);
  if (!range.ok()) return range.status();
  if (!range->has_value()) return absl::OutOfRangeError("");
  return ReadRecord(store_->cache(), **range, lsn);
}

absl::StatusOr<std::unique_ptr<Reader>> LogReads::ReaderFrom(Lsn from, ReadLimit limit,
                                                             Lsn beyond) {
  const Lsn first = store_->first_lsn();
  const Lsn last = limit == ReadLimit::kDurable ? marks_->durable_lsn() : marks_->written_lsn();
  if (from < first) return Trimmed(from, first, last);
  if (from > last + beyond) {
    return absl::OutOfRangeError(
        absl::StrCat("read record ", from, ": the log holds ", first, " to ", last));
  }
  return NewSourceReader(
      fs_, Source(limit, from), from, /*failure=*/nullptr,
      std::make_unique<CommitWatch>(marks_, LevelOf(limit)),
      [this](const SegmentRef& segment, File*, Lsn lsn) { return FindEntry(segment, lsn); },
      /*memory=*/nullptr, {store_->log_id(), store_->metadata()});
}

std::optional<IndexEntry> LogReads::FindEntry(const SegmentRef& segment, Lsn lsn) {
  absl::StatusOr<CachedSegment> cached = store_->cache()->Get(segment);
  if (!cached.ok()) return std::nullopt;
  return cached->index->FindGroup(lsn);
}

ReadSource LogReads::Source(ReadLimit limit, Lsn from) {
  return [this, level = LevelOf(limit), served = from - 1, truncations = store_->truncations()](
             Lsn lsn) mutable -> absl::StatusOr<std::optional<ReadRange>> {
    const size_t truncations_now = store_->truncations();
    const Watermark point = marks_->at(level);
    const Lsn first_cut = store_->FirstCut(truncations);
    if (served >= first_cut) {
      return absl::OutOfRangeError(
          first_cut == 0
              ? absl::StrCat("read record ", lsn, ": the log was reset, it begins at record ",
                             store_->first_lsn())
              : absl::StrCat("read record ", lsn, ": the log was truncated after record ",
                             first_cut - 1));
    }
    if (lsn > point.lsn) return std::nullopt;
    std::optional<SegmentRef> segment = store_->Locate(lsn);
    if (!segment.has_value()) {
      return absl::OutOfRangeError(absl::StrCat(
          "read record ", lsn, ": it was trimmed, the log begins at record ", store_->first_lsn()));
    }
    // The segment may be of another history than the watermark.
    if (store_->truncations() != truncations_now) return std::nullopt;
    // At a rollover the store is ahead of the watermarks, and has sealed the segment that they
    // name.
    const bool open = segment->generation == point.generation;
    ReadRange range{*segment, open ? point.lsn : segment->last_lsn,
                    open ? point.end : segment->end};
    if (open) marks_->NoteTailRead();
    served = range.last_lsn;
    truncations = truncations_now;
    return range;
  };
}

}  // namespace seawall
