// SPDX-License-Identifier: Apache-2.0
#include "engine/read/log_reader.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/io/process_owner.h"

namespace seawall {
namespace {

// Of a reader that does not follow: nothing comes to its source.
class NoWatch : public ReadWatch {
 public:
  void Begin() override {}
  void End() override {}
  absl::Status Look() override {
    if (cancelled_.load()) return absl::CancelledError("wait for a record: cancelled");
    return absl::FailedPreconditionError(
        "wait for a record: a reader of Reader::OpenReadOnly ends where the log ended when it was "
        "opened; it does not follow");
  }
  void Sleep(Clock::time_point) override {}
  void Cancel() override { cancelled_.store(true); }

 private:
  std::atomic<bool> cancelled_{false};
};

class SourceReader final : public Reader {
 public:
  SourceReader(FileSystem* fs, ReadSource source, Lsn from, ReadFailure failure,
               std::unique_ptr<ReadWatch> watch, EntryLookup lookup, ScanMemory* memory,
               ReaderLog log)
      : fs_(fs),
        source_(std::move(source)),
        failure_(std::move(failure)),
        watch_(watch != nullptr ? std::move(watch) : std::make_unique<NoWatch>()),
        lookup_(std::move(lookup)),
        lent_(memory),
        log_(std::move(log)),
        next_lsn_(from) {
    if (lent_ != nullptr) memory_ = std::move(*lent_);
  }
  ~SourceReader() override {
    if (lent_ != nullptr) *lent_ = TakeMemory();
  }

  bool Next(Record* record) override {
    for (;;) {
      const RecordCursor::Result result = cursor_.Next(record);
      if (result == RecordCursor::Result::kRecord) {
        if (record->lsn < next_lsn_) continue;  // the group began before the record asked for
        next_lsn_ = record->lsn + 1;
        return true;
      }
      if (!status_.ok() && !BeginAfresh()) return false;
      if (result == RecordCursor::Result::kBad) {
        return Stop(DamageStatus(range_.segment.path, group_.offset + cursor_.record_offset(),
                                 cursor_.error()));
      }
      if (!NextGroup()) {
        untold_ = !status_.ok();
        return false;
      }
    }
  }

  absl::Status status() const override { return status_; }
  Lsn next_lsn() const override { return next_lsn_; }
  const LogId& log_id() const override { return log_.id; }
  const std::string& metadata() const override { return log_.metadata; }

  absl::Status Wait(ReadWatch::Clock::time_point deadline) override {
    // Also what Next() met: who calls the two in turns ends with it, and may go on behind it.
    if (!status_.ok() && (std::exchange(untold_, false) || !BeginAfresh())) return status_;
    if (InRange()) return absl::OkStatus();
    watch_->Begin();
    absl::Status status = AwaitRange(deadline);
    watch_->End();
    return status;
  }

  void Cancel() override { watch_->Cancel(); }

 private:
  ScanMemory TakeMemory() {
    return scanner_ == nullptr ? std::move(memory_) : scanner_->TakeMemory();
  }

  void LeaveSegment() {
    memory_ = TakeMemory();
    scanner_.reset();
  }

  bool InRange() const { return scanner_ != nullptr && next_lsn_ <= range_.last_lsn; }

  // Until the source has the next record, which NextGroup() finds in arrived_.
  absl::Status AwaitRange(ReadWatch::Clock::time_point deadline) {
    for (;;) {
      absl::Status end = watch_->Look();
      if (absl::IsCancelled(end)) return end;
      if (!arrived_.has_value()) {
        absl::StatusOr<std::optional<ReadRange>> range = source_(next_lsn_);
        if (!range.ok()) {
          Stop(range.status());
          return status_;
        }
        arrived_ = std::move(*range);
      }
      if (arrived_.has_value()) return absl::OkStatus();
      if (!end.ok()) return end;
      if (ReadWatch::Clock::now() >= deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat("wait for record ", next_lsn_, ": it did not come in time"));
      }
      watch_->Sleep(deadline);
    }
  }

  // Positions cursor_ on the group behind the current one; false at the end or with status_ set.
  bool NextGroup() {
    if (!InRange()) {
      absl::StatusOr<std::optional<ReadRange>> range = std::exchange(arrived_, std::nullopt);
      if (!range->has_value()) range = source_(next_lsn_);
      if (!range.ok()) return Stop(range.status());
      if (!range->has_value()) return false;
      if (!Enter(std::move(**range))) return false;
    }
    absl::StatusOr<SegmentScanner::Found> found = scanner_->ReadGroup(at_, range_.end, &group_);
    if (!found.ok()) return Stop(found.status());
    if (*found != SegmentScanner::Found::kGroup || group_.header.first_lsn != expected_) {
      if (BeginAgain()) return NextGroup();
      return Stop(DamageStatus(
          range_.segment.path, at_,
          absl::StrCat("expected the group of record ", expected_, ", found ",
                       *found == SegmentScanner::Found::kNothing
                           ? std::string("no valid group")
                           : absl::StrCat("that of record ", group_.header.first_lsn))));
    }
    digest_ = ExtendDigest(digest_, group_.checksum);
    at_ = group_.end();
    expected_ = group_.header.last_lsn() + 1;
    if (!EndsAsSealed()) return false;
    cursor_ = expected_ <= next_lsn_ ? RecordCursor()
                                     : RecordCursor(group_.bytes, group_.header, scanner_->salt());
    return true;
  }

  // A sealed segment ends with the record, at the place, and with the digest that its successor
  // (or the control file) states.
  bool EndsAsSealed() {
    const SegmentRef& segment = range_.segment;
    if (!segment.sealed() || expected_ <= segment.last_lsn) return true;
    if (segment.EndsAt(expected_, at_, digest_)) return true;
    if (BeginAgain()) return NextGroup();
    return Stop(DamageStatus(
        segment.path, group_.offset,
        absl::StrCat("expected the segment to end with record ", segment.last_lsn, " at offset ",
                     segment.end, " and digest ", segment.digest, ", found record ", expected_ - 1,
                     ", offset ", at_, ", digest ", digest_)));
  }

  bool Enter(ReadRange range) {
    const bool same = scanner_ != nullptr && range.segment.generation == range_.segment.generation;
    range_ = std::move(range);
    if (same) return true;
    absl::StatusOr<std::unique_ptr<File>> file = OpenFile(fs_, range_.segment.path, OpenOptions());
    if (absl::IsNotFound(file.status())) {
      // Trimmed or truncated since the source was asked; it says so now, or names another file.
      const uint64_t gone = range_.segment.generation;
      absl::StatusOr<std::optional<ReadRange>> again = source_(next_lsn_);
      if (!again.ok()) return Stop(again.status());
      LeaveSegment();
      if (!again->has_value()) return false;
      if ((*again)->segment.generation != gone) return Enter(std::move(**again));
    }
    if (!file.ok()) return Stop(file.status());
    scanner_ = std::make_unique<SegmentScanner>(file->get(), range_.segment.path,
                                                range_.segment.salt, TakeMemory());
    file_ = std::move(*file);
    GoTo({range_.segment.base_lsn, range_.segment.groups_begin, 0});
    if (lookup_ == nullptr || next_lsn_ == range_.segment.base_lsn) return true;
    std::optional<IndexEntry> entry = lookup_(range_.segment, file_.get(), next_lsn_);
    if (entry.has_value()) GoTo(*entry);
    return true;
  }

  void GoTo(const IndexEntry& entry) {
    at_ = entry.offset;
    expected_ = entry.first_lsn;
    digest_ = entry.digest;
    began_within_ = at_ != range_.segment.groups_begin;
  }

  // An index may be wrong, the segment's beginning is not. False if it was begun there.
  bool BeginAgain() {
    if (!began_within_) return false;
    GoTo({range_.segment.base_lsn, range_.segment.groups_begin, 0});
    return true;
  }

  // What was short may be there again. False if that is not what ended it.
  bool BeginAfresh() {
    if (!absl::IsResourceExhausted(status_)) return false;
    status_ = absl::OkStatus();
    cursor_ = RecordCursor();  // its bytes are the scanner's
    LeaveSegment();
    return true;
  }

  bool Stop(absl::Status status) {
    const bool doubtful = absl::IsNotFound(status) || absl::IsDataLoss(status);
    status_ = doubtful && failure_ ? failure_(range_.segment, status) : std::move(status);
    return false;
  }

  FileSystem* const fs_;
  const ReadSource source_;
  const ReadFailure failure_;
  const std::unique_ptr<ReadWatch> watch_;
  const EntryLookup lookup_;
  ScanMemory* const lent_;
  const ReaderLog log_;
  ScanMemory memory_;  // while there is no scanner
  Lsn next_lsn_;       // to be returned
  absl::Status status_;
  bool untold_ = false;  // Wait() has not returned status_ yet, which Next() met

  ReadRange range_;
  std::optional<ReadRange> arrived_;  // found by Wait(), for the next NextGroup()
  std::unique_ptr<File> file_;
  std::unique_ptr<SegmentScanner> scanner_;
  uint64_t at_ = 0;            // of the next group
  Lsn expected_ = 0;           // its first record
  uint64_t digest_ = 0;        // of the groups before it
  bool began_within_ = false;  // the segment, where an index said
  Group group_;
  RecordCursor cursor_;
};

// A reader that only the process which made it can use: another one, which inherited it, has
// neither the threads that read ahead and wake it, nor a right to the locks on the way. There every
// call is refused, and the destructor leaves all as it is. The check costs a record one relaxed
// load.
class OwnedReader final : public Reader {
 public:
  explicit OwnedReader(std::unique_ptr<SourceReader> reader) : reader_(std::move(reader)) {}
  ~OwnedReader() override {
    if (!owner_.IsMine()) (void)reader_.release();
  }

  bool Next(Record* record) override {
    return owner_.IsMine() && reader_->SourceReader::Next(record);
  }
  absl::Status status() const override {
    return owner_.IsMine() ? reader_->SourceReader::status() : owner_.Refusal();
  }
  Lsn next_lsn() const override { return reader_->SourceReader::next_lsn(); }
  const LogId& log_id() const override { return reader_->SourceReader::log_id(); }
  const std::string& metadata() const override { return reader_->SourceReader::metadata(); }
  absl::Status Wait(ReadWatch::Clock::time_point deadline) override {
    return owner_.IsMine() ? reader_->SourceReader::Wait(deadline) : owner_.Refusal();
  }
  void Cancel() override {
    if (owner_.IsMine()) reader_->SourceReader::Cancel();
  }

 private:
  const ProcessOwner owner_{"the reader"};
  std::unique_ptr<SourceReader> reader_;
};

}  // namespace

std::unique_ptr<Reader> NewSourceReader(FileSystem* fs, ReadSource source, Lsn from,
                                        ReadFailure failure, std::unique_ptr<ReadWatch> watch,
                                        EntryLookup lookup, ScanMemory* memory, ReaderLog log) {
  return std::make_unique<OwnedReader>(
      std::make_unique<SourceReader>(fs, std::move(source), from, std::move(failure),
                                     std::move(watch), std::move(lookup), memory, std::move(log)));
}

ReadSource FixedSource(std::vector<SegmentRef> segments) {
  return [segments = std::move(segments)](Lsn lsn) -> absl::StatusOr<std::optional<ReadRange>> {
    auto above = std::upper_bound(segments.begin(), segments.end(), lsn,
                                  [](Lsn l, const SegmentRef& s) { return l < s.base_lsn; });
    if (above == segments.begin()) return std::nullopt;
    const SegmentRef& segment = *std::prev(above);
    if (lsn <= segment.last_lsn) return ReadRange{segment, segment.last_lsn, segment.end};
    return std::nullopt;
  };
}

}  // namespace seawall
