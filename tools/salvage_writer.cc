#include "tools/salvage_writer.h"

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/control_file.h"
#include "engine/file_io.h"
#include "engine/format.h"
#include "engine/segment.h"
#include "seawall/file_system.h"

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

// An empty log that begins at `first_lsn`, as one that was trimmed does.
absl::Status CreateLog(const std::string& directory, const Options& options, Lsn first_lsn) {
  FileSystem* const fs = FileSystem::Posix();
  const int error = fs->MakeDirectory(directory);
  if (error != 0 && error != EEXIST) return ErrnoStatus(error, "mkdir", directory);
  absl::Status status = SyncDirectory(fs, ParentDirectory(directory));
  if (!status.ok()) return status;
  SegmentHeader header;
  header.log_id = {RandomU64(), RandomU64()};
  header.generation = 1;
  header.base_lsn = first_lsn;
  header.durable_lsn = first_lsn - 1;
  absl::StatusOr<FreshSegment> fresh = PrepareFresh(fs, directory, options, header, nullptr);
  if (!fresh.ok()) return fresh.status();
  status = CommitFresh(options, *fresh);
  if (!status.ok()) return status;
  ControlBlock control;
  control.log_id = header.log_id;
  control.first_generation = control.tail_generation = header.generation;
  control.durable_lsn = first_lsn - 1;
  control.entries = {{header.generation, fresh->segment->header.salt, fresh->allocated_bytes}};
  return ControlFile::Create(fs, directory, control).status();
}

}  // namespace

absl::Status SalvageWriter::OnRecords(Lsn first_lsn, const std::vector<std::string_view>& records) {
  uint64_t bytes = 0;
  for (std::string_view record : records) bytes += EncodedRecordBytes(record.size());
  const bool large = bytes > options_.MaxBatchBytes();
  if (large) options_ = WriterOptions(bytes);
  absl::Status status;
  if (first_lsn != next_source_lsn_ || log_ == nullptr) {
    status = Begin(first_lsn);
  } else if (large) {
    status = Close();
  }
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
    runs_.push_back({directory_, log_->appended_lsn() + 1, first_lsn, 0});
    return absl::OkStatus();
  }
  absl::Status status = Close();
  if (!status.ok()) return status;
  const std::string directory =
      runs_.empty() ? directory_ : JoinPath(directory_, absl::StrCat("from-", first_lsn));
  status = CreateLog(directory, options_, first_lsn);
  if (!status.ok()) return status;
  runs_.push_back({directory, first_lsn, first_lsn, 0});
  return Open();
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
