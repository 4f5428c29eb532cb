// SPDX-License-Identifier: Apache-2.0
// Recovery of any directory. It ends; an error is a status that says something; reading, and an
// Open that fails, change nothing; what one Open found the next one finds again; and the log that
// was opened takes records.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "engine/recovery/recovery_plan.h"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/fuzz/image.h"

namespace seawall {
namespace {

constexpr char kDirectory[] = "/log";

void Require(bool good, const std::string& what) {
  if (good) return;
  std::fprintf(stderr, "recovery_fuzzer: %s\n", what.c_str());
  std::abort();
}

// The statuses that a disk which never fails can be answered with.
void RequireGoodError(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      Require(status.message().size() > 10, "an error that says nothing");
      return;
    default:
      Require(false, "not an error for this: " + status.ToString());
  }
}

// All but LOCK, which Open writes its process id to.
std::map<std::string, std::string> Snapshot(const CrashFileSystem& disk) {
  std::map<std::string, std::string> files;
  for (const std::string& path : disk.AllFiles()) {
    if (path != std::string(kDirectory) + "/LOCK") disk.GetFile(path, &files[path]);
  }
  return files;
}

struct Contents {
  Lsn first_lsn = 0;
  std::vector<std::string> records;
  std::string error;  // DataLoss of a sealed segment shows when it is read

  friend bool operator==(const Contents& a, const Contents& b) {
    return a.first_lsn == b.first_lsn && a.records == b.records && a.error == b.error;
  }
};

Contents ReadAll(Reader* reader) {
  Contents contents;
  contents.first_lsn = reader->next_lsn();
  Record record;
  while (reader->Next(&record)) {
    Require(record.lsn == contents.first_lsn + contents.records.size(), "a gap in what is read");
    contents.records.emplace_back(record.payload);
  }
  if (!reader->status().ok()) {
    RequireGoodError(reader->status());
    contents.error = reader->status().ToString();
  }
  return contents;
}

Options FuzzOptions(FileSystem* fs) {
  Options options;
  options.file_system = fs;
  options.segment_bytes = 64 << 10;
  options.buffer_bytes = 16 << 10;
  options.max_record_bytes = 8 << 10;
  return options;
}

Contents ReadLog(Log* log) {
  auto reader = log->NewReader(log->first_lsn());
  Require(reader.ok(), "a log that opened has no reader: " + reader.status().ToString());
  return ReadAll(reader->get());
}

bool StandsAtTheLimit(const absl::Status& status) {
  return absl::StrContains(status.message(), "expected record, generation and sequence below");
}

void CheckOpened(CrashFileSystem* disk, std::unique_ptr<Log> log) {
  const RecoveryReport& report = log->recovery_report();
  const Lsn last_lsn = log->durable_lsn();
  Require(report.last_lsn == last_lsn && log->appended_lsn() == last_lsn &&
              report.first_lsn <= last_lsn + 1,
          "watermarks");
  const Contents first = ReadLog(log.get());
  // Killed at once: a second recovery, of the first one's work.
  {
    std::unique_ptr<CrashFileSystem> killed = disk->Clone();
    auto again = Log::Open(kDirectory, FuzzOptions(killed.get()));
    // A forged counter may stand one below the last number that recovery accepts.
    if (!again.ok() && StandsAtTheLimit(again.status())) return;
    Require(again.ok(), "the second Open fails: " + again.status().ToString());
    Contents second = ReadLog(again->get());
    // A damaged sealed segment is reported at the same place, if a copy took it elsewhere or not.
    if (!first.error.empty() && !second.error.empty()) second.error = first.error;
    Require(second == first, "the second Open finds something else");
  }
  auto lsn = log->AppendDurable("one more");
  Require(lsn.ok(), "the log takes nothing: " + lsn.status().ToString());
  Require(*lsn == last_lsn + 1, "the LSN of one more");
  auto read = log->Read(*lsn);
  Require(read.ok() && *read == "one more", "one more is not read back");
  Require(log->Close().ok(), "the log does not close");
  log.reset();
  auto again = Log::Open(kDirectory, FuzzOptions(disk));
  if (!again.ok() && StandsAtTheLimit(again.status())) return;
  Require(again.ok(), "the closed log does not open: " + again.status().ToString());
  Require((*again)->durable_lsn() == *lsn, "one more is lost");
}

void Run(const Image& image) {
  CrashOptions crash_options;
  crash_options.trace = false;
  CrashFileSystem disk(crash_options);
  image.PutOn(&disk, kDirectory);
  const std::map<std::string, std::string> before = Snapshot(disk);
  for (bool carry : {false, true}) {
    auto plan = PlanRecovery(&disk, kDirectory, carry);
    if (!plan.ok()) RequireGoodError(plan.status());
  }
  auto reader = Reader::OpenReadOnly(kDirectory, 0, &disk);
  if (reader.ok()) {
    ReadAll(reader->get());
  } else {
    RequireGoodError(reader.status());
  }
  Require(Snapshot(disk) == before, "reading changed something");
  auto log = Log::Open(kDirectory, FuzzOptions(&disk));
  if (log.ok()) {
    CheckOpened(&disk, std::move(*log));
    return;
  }
  RequireGoodError(log.status());
  Require(Snapshot(disk) == before,
          "an Open that failed changed something: " + log.status().ToString());
}

}  // namespace
}  // namespace seawall

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  seawall::Run(seawall::Image::Parse(data, size));
  return 0;
}
