// SPDX-License-Identifier: Apache-2.0
// The C interface's log: seawall/c.h says what each function does.
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/c/c_error.h"
#include "engine/c/c_handles.h"

namespace seawall {
namespace {

// Pinned: a caller that was compiled with these must be served for ever.
constexpr size_t kFirstOptionsBytes = 64;
constexpr size_t kFirstReportBytes = 96;
constexpr size_t kFirstStatsBytes = 160;

absl::Status CheckAtMost(uint32_t value, uint32_t max, const char* name) {
  if (value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("options->", name, " is ", value, ": expected 0 to ", max));
}

seawall_options DefaultOptions() {
  const Options defaults;
  seawall_options options = {};
  options.struct_bytes = sizeof(options);
  options.create_if_missing = defaults.create_if_missing;
  options.segment_bytes = defaults.segment_bytes;
  options.buffer_bytes = defaults.buffer_bytes;
  options.buffer_count = defaults.buffer_count;
  options.when_full = static_cast<uint32_t>(defaults.when_full);
  options.max_record_bytes = defaults.max_record_bytes;
  options.sync_method = static_cast<uint32_t>(defaults.sync_method);
  options.direct_io = defaults.direct_io;
  options.flush_interval_micros = defaults.flush_interval_micros;
  options.group_alignment_bytes = defaults.group_alignment_bytes;
  options.max_recycled_segments = defaults.max_recycled_segments;
  options.cursors = defaults.cursors;
  return options;
}

// What the caller's version of the struct says; defaults for what it does not know.
absl::StatusOr<Options> ReadOptions(const seawall_options* given) {
  seawall_options read = DefaultOptions();
  if (given != nullptr) {
    absl::Status status = CheckStructBytes(given->struct_bytes, kFirstOptionsBytes, "options");
    if (!status.ok()) return status;
    const char* const bytes = reinterpret_cast<const char*>(given);
    for (size_t at = sizeof(read); at < given->struct_bytes; ++at) {
      if (bytes[at] != 0) {
        return absl::InvalidArgumentError(absl::StrCat("options have byte ", at,
                                                       " set: this library (", seawall_version(),
                                                       ") knows ", sizeof(read), " bytes of them"));
      }
    }
    std::memcpy(&read, given, std::min<size_t>(given->struct_bytes, sizeof(read)));
  }
  absl::Status status = CheckAtMost(read.create_if_missing, 1, "create_if_missing");
  status.Update(CheckAtMost(read.when_full, SEAWALL_WHEN_FULL_FAIL, "when_full"));
  status.Update(CheckAtMost(read.sync_method, SEAWALL_SYNC_O_SYNC, "sync_method"));
  status.Update(CheckAtMost(read.direct_io, 1, "direct_io"));
  status.Update(CheckAtMost(read.cursors, 1, "cursors"));
  status.Update(CheckAtMost(read.reserved, 0, "reserved"));
  if (!status.ok()) return status;
  absl::StatusOr<std::optional<LogId>> expected_id = ReadLogId(read.expected_id);
  if (!expected_id.ok()) return expected_id.status();
  absl::StatusOr<std::string_view> metadata = ReadBytes(read.metadata, read.metadata_bytes);
  if (!metadata.ok()) return metadata.status();
  Options options;
  options.expected_id = *expected_id;
  options.metadata = std::string(*metadata);
  options.create_if_missing = read.create_if_missing != 0;
  options.segment_bytes = read.segment_bytes;
  options.buffer_bytes = read.buffer_bytes;
  options.buffer_count = read.buffer_count;
  options.when_full = static_cast<WhenFull>(read.when_full);
  options.max_record_bytes = read.max_record_bytes;
  options.sync_method = static_cast<SyncMethod>(read.sync_method);
  options.direct_io = read.direct_io != 0;
  options.flush_interval_micros = read.flush_interval_micros;
  options.group_alignment_bytes = read.group_alignment_bytes;
  options.max_recycled_segments = read.max_recycled_segments;
  options.cursors = read.cursors != 0;
  return options;
}

seawall_recovery_report ToC(const RecoveryReport& report) {
  seawall_recovery_report out = {};
  out.verdict = static_cast<uint32_t>(report.verdict);
  out.first_lsn = report.first_lsn;
  out.last_lsn = report.last_lsn;
  out.proven_durable_lsn = report.proven_durable_lsn;
  out.segments = report.segments;
  out.scanned_bytes = report.scanned_bytes;
  out.scanned_records = report.scanned_records;
  out.copied_records = report.copied_records;
  out.discarded_bytes = report.discarded_bytes;
  out.torn_offset = report.torn_offset;
  out.elapsed_micros = report.elapsed_micros;
  out.torn_path = report.torn_path.c_str();
  return out;
}

seawall_stats ToC(const Stats& stats) {
  seawall_stats out = {};
  out.first_lsn = stats.first_lsn;
  out.appended_lsn = stats.appended_lsn;
  out.written_lsn = stats.written_lsn;
  out.durable_lsn = stats.durable_lsn;
  out.appended_records = stats.appended_records;
  out.appended_payload_bytes = stats.appended_payload_bytes;
  out.groups_written = stats.groups_written;
  out.bytes_written = stats.bytes_written;
  out.zero_bytes_written = stats.zero_bytes_written;
  out.syncs = stats.syncs;
  out.rollovers = stats.rollovers;
  out.rollover_waits = stats.rollover_waits;
  out.space_waits = stats.space_waits;
  out.buffer_full_waits = stats.buffer_full_waits;
  out.segments = stats.segments;
  out.segments_created = stats.segments_created;
  out.segments_recycled = stats.segments_recycled;
  out.segments_unlinked = stats.segments_unlinked;
  out.waiters = stats.waiters;
  return out;
}

// The constants of c.h are those of the C++ interface.
static_assert(SEAWALL_APPENDED == static_cast<int>(Durability::kAppended));
static_assert(SEAWALL_WRITTEN == static_cast<int>(Durability::kWritten));
static_assert(SEAWALL_DURABLE == static_cast<int>(Durability::kDurable));
static_assert(SEAWALL_WHEN_FULL_FAIL == static_cast<int>(WhenFull::kFail));
static_assert(SEAWALL_SYNC_FDATASYNC == static_cast<int>(SyncMethod::kFdatasync));
static_assert(SEAWALL_SYNC_FSYNC == static_cast<int>(SyncMethod::kFsync));
static_assert(SEAWALL_SYNC_O_DSYNC == static_cast<int>(SyncMethod::kODsync));
static_assert(SEAWALL_SYNC_O_SYNC == static_cast<int>(SyncMethod::kOSync));
static_assert(SEAWALL_RECOVERY_CREATED == static_cast<int>(RecoveryVerdict::kCreated));
static_assert(SEAWALL_RECOVERY_CLEAN == static_cast<int>(RecoveryVerdict::kClean));
static_assert(SEAWALL_RECOVERY_UNCLOSED == static_cast<int>(RecoveryVerdict::kUnclosed));
static_assert(SEAWALL_RECOVERY_TORN_TAIL == static_cast<int>(RecoveryVerdict::kTornTail));

}  // namespace
}  // namespace seawall

using seawall::CheckNotNull;
using seawall::Guarded;

void seawall_options_init(seawall_options* options, size_t struct_bytes) {
  if (options == nullptr || struct_bytes < seawall::kFirstOptionsBytes ||
      struct_bytes > seawall::kMaxStructBytes) {
    return;
  }
  options->struct_bytes = static_cast<uint32_t>(struct_bytes);
  seawall::CopyOut(seawall::DefaultOptions(), options);
}

seawall_code seawall_log_open(const char* directory, const seawall_options* options,
                              seawall_log** log, seawall_error** error) {
  if (log != nullptr) *log = nullptr;
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(directory, "directory");
    status.Update(CheckNotNull(log, "log"));
    if (!status.ok()) return status;
    absl::StatusOr<seawall::Options> read = seawall::ReadOptions(options);
    if (!read.ok()) return read.status();
    auto handle = std::make_unique<seawall_log>();
    auto opened = seawall::Log::Open(directory, *read);
    if (!opened.ok()) return opened.status();
    handle->log = std::move(*opened);
    handle->recovery_text = handle->log->recovery_report().ToString();
    handle->id = seawall::LogIdToString(handle->log->id());
    *log = handle.release();
    return absl::OkStatus();
  });
}

seawall_code seawall_log_close(seawall_log* log, seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    return status.ok() ? log->log->Close() : status;
  });
}

void seawall_log_free(seawall_log* log) {
  if (log == nullptr) return;
  // Not left to the destructor: readers may keep the log alive.
  (void)seawall_log_close(log, nullptr);
  delete log;
}

seawall_code seawall_log_recovery_report(const seawall_log* log, seawall_recovery_report* report,
                                         seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    status.Update(CheckNotNull(report, "report"));
    if (!status.ok()) return status;
    status = seawall::CheckStructBytes(report->struct_bytes, seawall::kFirstReportBytes, "report");
    if (status.ok()) seawall::CopyOut(seawall::ToC(log->log->recovery_report()), report);
    return status;
  });
}

const char* seawall_log_recovery_text(const seawall_log* log) {
  return log == nullptr ? nullptr : log->recovery_text.c_str();
}

const char* seawall_log_id(const seawall_log* log) {
  return log == nullptr ? nullptr : log->id.c_str();
}

seawall_code seawall_log_metadata(const seawall_log* log, void* data, size_t capacity,
                                  size_t* bytes, seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    return status.ok() ? seawall::WriteBytes(log->log->metadata(), data, capacity, bytes) : status;
  });
}

seawall_code seawall_log_set_metadata(seawall_log* log, const void* data, size_t bytes,
                                      seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    if (!status.ok()) return status;
    absl::StatusOr<std::string_view> metadata = seawall::ReadBytes(data, bytes);
    return metadata.ok() ? log->log->SetMetadata(*metadata) : metadata.status();
  });
}

seawall_code seawall_log_append(seawall_log* log, const void* data, size_t bytes,
                                seawall_durability until, uint64_t* lsn, seawall_error** error) {
  if (lsn != nullptr) *lsn = 0;
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    if (!status.ok()) return status;
    absl::StatusOr<std::string_view> record = seawall::ReadBytes(data, bytes);
    if (!record.ok()) return record.status();
    absl::StatusOr<seawall::Durability> level = seawall::ReadDurability(until);
    if (!level.ok()) return level.status();
    absl::StatusOr<seawall::Lsn> appended = log->log->Append(*record, *level);
    if (!appended.ok()) return appended.status();
    if (lsn != nullptr) *lsn = *appended;
    return absl::OkStatus();
  });
}

seawall_code seawall_log_append_batch(seawall_log* log, const seawall_slice* records, size_t count,
                                      seawall_durability until, uint64_t* first, uint64_t* last,
                                      seawall_error** error) {
  if (first != nullptr) *first = 0;
  if (last != nullptr) *last = 0;
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    if (count != 0) status.Update(CheckNotNull(records, "records"));
    if (!status.ok()) return status;
    if (count > seawall::kMaxBatchRecords) {
      return absl::InvalidArgumentError(absl::StrCat(
          "append a batch of ", count, " records: expected at most ", seawall::kMaxBatchRecords));
    }
    absl::StatusOr<seawall::Durability> level = seawall::ReadDurability(until);
    if (!level.ok()) return level.status();
    std::vector<std::string_view> views;
    views.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      absl::StatusOr<std::string_view> record =
          seawall::ReadBytes(records[i].data, records[i].bytes);
      if (!record.ok()) return record.status();
      views.push_back(*record);
    }
    absl::StatusOr<seawall::LsnRange> range = log->log->AppendBatch(views, *level);
    if (!range.ok()) return range.status();
    if (first != nullptr) *first = range->first;
    if (last != nullptr) *last = range->last;
    return absl::OkStatus();
  });
}

seawall_code seawall_log_wait(seawall_log* log, uint64_t lsn, seawall_durability level,
                              seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    if (!status.ok()) return status;
    absl::StatusOr<seawall::Durability> wanted = seawall::ReadDurability(level);
    return wanted.ok() ? log->log->Wait(lsn, *wanted) : wanted.status();
  });
}

seawall_code seawall_log_notify_durable(seawall_log* log, uint64_t lsn,
                                        seawall_durable_callback callback, void* context,
                                        seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    if (status.ok() && callback == nullptr) {
      status = absl::InvalidArgumentError("callback is NULL");
    }
    if (!status.ok()) return status;
    return log->log->NotifyDurable(lsn, [callback, context](const absl::Status& reached) {
      const std::string message(reached.message());
      callback(context, static_cast<seawall_code>(reached.code()), message.c_str());
    });
  });
}

uint64_t seawall_log_first_lsn(const seawall_log* log) {
  return log == nullptr ? 0 : log->log->first_lsn();
}

uint64_t seawall_log_appended_lsn(const seawall_log* log) {
  return log == nullptr ? 0 : log->log->appended_lsn();
}

uint64_t seawall_log_written_lsn(const seawall_log* log) {
  return log == nullptr ? 0 : log->log->written_lsn();
}

uint64_t seawall_log_durable_lsn(const seawall_log* log) {
  return log == nullptr ? 0 : log->log->durable_lsn();
}

seawall_code seawall_log_trim_before(seawall_log* log, uint64_t lsn, seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    return status.ok() ? log->log->TrimBefore(lsn) : status;
  });
}

seawall_code seawall_log_truncate_after(seawall_log* log, uint64_t lsn, seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    return status.ok() ? log->log->TruncateAfter(lsn) : status;
  });
}

seawall_code seawall_log_reset(seawall_log* log, uint64_t first_lsn, seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    return status.ok() ? log->log->Reset(first_lsn) : status;
  });
}

seawall_code seawall_log_stats(const seawall_log* log, seawall_stats* stats,
                               seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    status.Update(CheckNotNull(stats, "stats"));
    if (!status.ok()) return status;
    status = seawall::CheckStructBytes(stats->struct_bytes, seawall::kFirstStatsBytes, "stats");
    if (status.ok()) seawall::CopyOut(seawall::ToC(log->log->stats()), stats);
    return status;
  });
}

seawall_code seawall_log_read(seawall_log* log, uint64_t lsn, void** payload, size_t* bytes,
                              seawall_error** error) {
  if (payload != nullptr) *payload = nullptr;
  if (bytes != nullptr) *bytes = 0;
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    status.Update(CheckNotNull(payload, "payload"));
    status.Update(CheckNotNull(bytes, "bytes"));
    if (!status.ok()) return status;
    absl::StatusOr<std::string> read = log->log->Read(lsn);
    if (!read.ok()) return read.status();
    // With the 0 byte that std::string has behind its bytes.
    void* const copy = std::malloc(read->size() + 1);
    if (copy == nullptr) throw std::bad_alloc();
    std::memcpy(copy, read->c_str(), read->size() + 1);
    *payload = copy;
    *bytes = read->size();
    return absl::OkStatus();
  });
}

void seawall_free(void* payload) { std::free(payload); }
