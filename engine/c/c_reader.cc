// SPDX-License-Identifier: Apache-2.0
// The C interface's readers: seawall/c.h says what each function does.
#include <chrono>
#include <mutex>

#include "absl/strings/str_cat.h"
#include "engine/c/c_error.h"
#include "engine/c/c_handles.h"

struct seawall_reader {
  // Of an open log; nullptr if it was opened read only, in `directory`.
  std::shared_ptr<seawall::Log> log;
  seawall::ReadLimit limit = seawall::ReadLimit::kDurable;
  std::string directory;
  // Which log it is; before it is open: which it must be, if any.
  std::optional<seawall::LogId> log_id;
  std::string log_id_text;
  // Never nullptr once the caller has the handle. Destroyed before `log`, by the order here.
  // Written under `mutex`, and by the thread that uses the reader only, which so needs none to read
  // it.
  std::unique_ptr<seawall::Reader> reader;
  std::mutex mutex;
  bool cancelled = false;  // under `mutex`
  // An exception on the way: where the reader is then is not known, so that it ends there.
  bool out_of_memory = false;
  // What was wrong with the arguments of the last seawall_reader_next(), if something was.
  const char* misuse = nullptr;
};

namespace seawall {
namespace {

constexpr size_t kFirstRecordBytes = 40;

absl::StatusOr<std::unique_ptr<Reader>> OpenAt(const seawall_reader& handle, Lsn from) {
  if (handle.log != nullptr) return handle.log->NewReader(from, handle.limit);
  return Reader::OpenReadOnly(handle.directory, from, /*file_system=*/nullptr, handle.log_id);
}

// Makes the reader of a new handle.
absl::Status Begin(Lsn from, seawall_reader* handle) {
  auto opened = OpenAt(*handle, from);
  if (!opened.ok()) return opened.status();
  handle->reader = std::move(*opened);
  handle->log_id = handle->reader->log_id();
  handle->log_id_text = LogIdToString(*handle->log_id);
  return absl::OkStatus();
}

const char* Misuse(const seawall_record* record) {
  if (record == nullptr) return "record is NULL";
  return record->struct_bytes < kFirstRecordBytes || record->struct_bytes > kMaxStructBytes
             ? "record->struct_bytes is not set: expected sizeof(*record)"
             : nullptr;
}

std::chrono::steady_clock::time_point Deadline(int64_t timeout_micros) {
  using Clock = std::chrono::steady_clock;
  const auto now = Clock::now();
  const auto longest = std::chrono::duration_cast<std::chrono::microseconds>(
      Clock::time_point::max() - now);  // what is longer overflows the clock
  if (timeout_micros < 0 || timeout_micros >= longest.count()) return Clock::time_point::max();
  return now + std::chrono::microseconds(timeout_micros);
}

}  // namespace
}  // namespace seawall

using seawall::CheckNotNull;
using seawall::Guarded;

seawall_code seawall_log_new_reader(seawall_log* log, uint64_t from, seawall_read_limit limit,
                                    seawall_reader** reader, seawall_error** error) {
  if (reader != nullptr) *reader = nullptr;
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(log, "log");
    status.Update(CheckNotNull(reader, "reader"));
    if (!status.ok()) return status;
    if (limit != SEAWALL_READ_DURABLE && limit != SEAWALL_READ_WRITTEN) {
      return absl::InvalidArgumentError(
          absl::StrCat("limit is ", limit, ": expected 0 (durable) or 1 (written)"));
    }
    auto handle = std::make_unique<seawall_reader>();
    handle->log = log->log;
    if (limit == SEAWALL_READ_WRITTEN) handle->limit = seawall::ReadLimit::kWritten;
    absl::Status opened = seawall::Begin(from, handle.get());
    if (!opened.ok()) return opened;
    *reader = handle.release();
    return absl::OkStatus();
  });
}

seawall_code seawall_reader_open_read_only(const char* directory, uint64_t from,
                                           seawall_reader** reader, seawall_error** error) {
  return seawall_reader_open_expected(directory, nullptr, from, reader, error);
}

seawall_code seawall_reader_open_expected(const char* directory, const char* expected_id,
                                          uint64_t from, seawall_reader** reader,
                                          seawall_error** error) {
  if (reader != nullptr) *reader = nullptr;
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(directory, "directory");
    status.Update(CheckNotNull(reader, "reader"));
    if (!status.ok()) return status;
    auto handle = std::make_unique<seawall_reader>();
    handle->directory = directory;
    absl::StatusOr<std::optional<seawall::LogId>> id = seawall::ReadLogId(expected_id);
    if (!id.ok()) return id.status();
    handle->log_id = *id;
    absl::Status opened = seawall::Begin(from, handle.get());
    if (!opened.ok()) return opened;
    *reader = handle.release();
    return absl::OkStatus();
  });
}

int32_t seawall_reader_next(seawall_reader* reader, seawall_record* record) {
  if (reader == nullptr) return -1;
  reader->misuse = seawall::Misuse(record);
  if (reader->misuse != nullptr || reader->out_of_memory) return -1;
  try {
    seawall::Record next;
    if (!reader->reader->Next(&next)) return reader->reader->status().ok() ? 0 : -1;
    seawall_record out = {};
    out.batch_continues = next.batch_continues;
    out.lsn = next.lsn;
    out.payload = next.payload.data();
    out.payload_bytes = next.payload.size();
    out.sealed_unix_micros = next.sealed_unix_micros;
    seawall::CopyOut(out, record);
    return 1;
  } catch (...) {
    reader->out_of_memory = true;
    return -1;
  }
}

seawall_code seawall_reader_status(const seawall_reader* reader, seawall_error** error) {
  if (reader != nullptr && reader->out_of_memory) return seawall::ReportOutOfMemory(error);
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(reader, "reader");
    if (!status.ok()) return status;
    if (reader->misuse != nullptr) return absl::InvalidArgumentError(reader->misuse);
    return reader->reader->status();
  });
}

uint64_t seawall_reader_next_lsn(const seawall_reader* reader) {
  return reader == nullptr ? 0 : reader->reader->next_lsn();
}

const char* seawall_reader_log_id(const seawall_reader* reader) {
  return reader == nullptr ? nullptr : reader->log_id_text.c_str();
}

seawall_code seawall_reader_metadata(const seawall_reader* reader, void* data, size_t capacity,
                                     size_t* bytes, seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(reader, "reader");
    if (!status.ok()) return status;
    return seawall::WriteBytes(reader->reader->metadata(), data, capacity, bytes);
  });
}

seawall_code seawall_reader_seek(seawall_reader* reader, uint64_t from, seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(reader, "reader");
    if (!status.ok()) return status;
    auto opened = seawall::OpenAt(*reader, from);
    if (!opened.ok()) return opened.status();
    {
      std::lock_guard<std::mutex> lock(reader->mutex);
      reader->reader.swap(*opened);
      if (reader->cancelled) reader->reader->Cancel();
    }
    reader->out_of_memory = false;
    reader->misuse = nullptr;
    return absl::OkStatus();
  });
}

seawall_code seawall_reader_wait(seawall_reader* reader, int64_t timeout_micros,
                                 seawall_error** error) {
  return Guarded(error, [&]() -> absl::Status {
    absl::Status status = CheckNotNull(reader, "reader");
    return status.ok() ? reader->reader->Wait(seawall::Deadline(timeout_micros)) : status;
  });
}

void seawall_reader_cancel(seawall_reader* reader) {
  if (reader == nullptr) return;
  (void)Guarded(nullptr, [&]() -> absl::Status {
    std::lock_guard<std::mutex> lock(reader->mutex);
    reader->cancelled = true;
    reader->reader->Cancel();
    return absl::OkStatus();
  });
}

void seawall_reader_free(seawall_reader* reader) { delete reader; }
