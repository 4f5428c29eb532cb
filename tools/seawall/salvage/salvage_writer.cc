// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/salvage/salvage_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

// A damaged record takes the rest of its group with it for a reader: groups of a modest size.
constexpr uint64_t kGroupBytes = uint64_t{1} << 20;

// For a record or batch of `unit_bytes`, which may be more than the defaults have room for.
Options WriterOptions(uint64_t unit_bytes) {
  Options options;
  const uint64_t room = AlignUp(unit_bytes + 2 * kBlockBytes, kBlockBytes);
  options.segment_bytes = std::max(options.segment_bytes, room);
  options.buffer_bytes = std::max(options.buffer_bytes, room);
  options.max_record_bytes = options.MaxBatchBytes() - kRecordHeaderBytes;
  return options;
}

}  // namespace

SalvageWriter::SalvageWriter(std::string directory, bool renumber)
    : directory_(std::move(directory)), renumber_(renumber), options_(WriterOptions(0)) {}

absl::Status SalvageWriter::OnRecords(Lsn first_lsn, const std::vector<std::string_view>& records) {
  uint64_t bytes = 0;
  for (std::string_view record : records) bytes += EncodedRecordBytes(record.size());
  absl::Status status;
  if (bytes > options_.MaxBatchBytes()) {
    const std::string metadata = std::move(options_.metadata);
    options_ = WriterOptions(bytes);
    options_.metadata = metadata;
    status = Close();
  }
  if (status.ok() && first_lsn != next_source_lsn_) status = Begin(first_lsn);
  if (status.ok() && log_ == nullptr) status = Open();
  if (!status.ok()) return status;
  absl::StatusOr<Lsn> last;
  if (records.size() == 1) {
    last = log_->Append(records.front());
  } else {
    absl::StatusOr<LsnRange> range = log_->AppendBatch(records);
    if (range.ok()) {
      last = range->last;
    } else {
      last = range.status();
    }
  }
  if (!last.ok()) return last.status();
  next_source_lsn_ = first_lsn + records.size();
  runs_.back().records += records.size();
  records_ += records.size();
  bytes_ += bytes - records.size() * kRecordHeaderBytes;
  unwritten_bytes_ += bytes;
  progress_.Show(records_, bytes_);
  if (unwritten_bytes_ < kGroupBytes) return absl::OkStatus();
  unwritten_bytes_ = 0;
  return log_->WaitWritten(*last);
}

// A run of records, in a log of its own unless they are renumbered.
absl::Status SalvageWriter::Begin(Lsn first_lsn) {
  if (renumber_ && !runs_.empty()) {
    const Lsn next_lsn = runs_.back().first_lsn + runs_.back().records;
    runs_.push_back({directory_, next_lsn, first_lsn, 0});
    return absl::OkStatus();
  }
  absl::Status status = Close();
  if (!status.ok()) return status;
  const std::string directory =
      runs_.empty() ? directory_ : JoinPath(directory_, absl::StrCat("from-", first_lsn));
  runs_.push_back({directory, first_lsn, first_lsn, 0});
  status = Open();
  return status.ok() && first_lsn != kFirstLsn ? log_->Reset(first_lsn) : status;
}

// The log of the last run.
absl::Status SalvageWriter::Open() {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(runs_.back().directory, options_);
  if (!log.ok()) return log.status();
  log_ = std::move(*log);
  return absl::OkStatus();
}

absl::Status SalvageWriter::Close() {
  if (log_ == nullptr) return absl::OkStatus();
  const absl::Status status = log_->Close();
  log_ = nullptr;
  return status;
}

absl::Status SalvageWriter::Finish(Lsn first_lsn) {
  progress_.Clear();
  if (runs_.empty() && first_lsn != 0) {
    absl::Status status = Begin(first_lsn);
    if (!status.ok()) return status;
  }
  return Close();
}

}  // namespace seawall
