// SPDX-License-Identifier: Apache-2.0
// seawall tail: the last records of a log, and those that come.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "absl/flags/declare.h"
#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "seawall/reader.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/interruption.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/inspect/log_view.h"

ABSL_FLAG(bool, follow, false, "tail: go on with the records that come");
ABSL_FLAG(bool, f, false, "tail: as --follow");
ABSL_FLAG(uint64_t, n, 10, "tail: begin with the last so many records");
ABSL_DECLARE_FLAG(uint64_t, from);
ABSL_DECLARE_FLAG(bool, hex);
ABSL_DECLARE_FLAG(bool, raw);

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall tail: prints the last records of a log, and those that come.

Usage: seawall tail [-f] [-n N] [FLAGS] DIR

  -f, --follow   go on with the records that come, as soon as they are durable
  -n N           begin with the last N records (default: 10)
  --from=LSN     begin with this record instead
  --expected_id=HEX
                 read the log of this id (`seawall stat` shows it) and no other
  --hex          payloads in hexadecimal
  --json         one JSON object a line, as those of `seawall dump --json` with type "record"
  --raw          payloads only, byte for byte, nothing between them

A line has LSN, the time when the record's group was sealed, its size, and its payload; bytes that are
not printable ASCII are escaped. A "+" behind an LSN: the atomic batch goes on with the next record.

With -f it sees what is on stable storage and nothing else. It takes no lock that a writer wants, and
waits without reading the log again. The writer may end, crash and come back. It ends when the log
is deleted, when it was overtaken by a trim, and when a truncation took back what it had printed
(exit status 2); on Ctrl-C and SIGTERM, by the signal; and when nobody reads its output any more.

Exit status: 0 done, 1 damage was met, 2 could not be done, or not any longer.

Examples:
  seawall tail /var/lib/app/log                  # the last ten records
  seawall tail -f -n 0 /var/lib/app/log          # what comes from now on
  seawall tail -f --json --from=5000 /var/lib/app/log | jq -r .payload
)";

// One record, in the form that was asked for.
void Print(const Record& record, Output* output) {
  if (absl::GetFlag(FLAGS_raw)) {
    output->Write(record.payload);
    return;
  }
  const bool hex = absl::GetFlag(FLAGS_hex);
  if (!absl::GetFlag(FLAGS_json)) {
    output->WriteLine(absl::StrCat(record.lsn, record.batch_continues ? " +  " : "  ",
                                   FormatMicros(record.sealed_unix_micros), "  ",
                                   FormatBytes(record.payload.size()), "  ",
                                   hex ? HexBytes(record.payload) : EscapeBytes(record.payload)));
    return;
  }
  Json json = {{"type", "record"},
               {"lsn", record.lsn},
               {"bytes", record.payload.size()},
               {"batch_continues", record.batch_continues},
               {"sealed", FormatMicros(record.sealed_unix_micros)}};
  SetPayload(record.payload, hex, &json);
  output->WriteLine(ToLine(json));
}

// Prints what is there; the first error is the reader's or the output's.
absl::Status PrintAll(Reader* reader, Output* output) {
  Record record;
  while (output->ok() && reader->Next(&record)) Print(record, output);
  absl::Status written = output->Finish();
  return written.ok() ? reader->status() : written;
}

// A reader of the last `n` records that follows. The newest ones of a log may not be known to be
// durable yet: then it begins earlier.
absl::StatusOr<std::unique_ptr<Reader>> FollowLast(const std::string& directory, Lsn first,
                                                   Lsn last, uint64_t n,
                                                   const std::optional<LogId>& id) {
  for (uint64_t back = std::min(n, last + 1 - first);;
       back = std::min(2 * back + 1, last + 1 - first)) {
    absl::StatusOr<std::unique_ptr<Reader>> reader =
        Reader::Follow(directory, last + 1 - back, /*file_system=*/nullptr, id);
    if (!absl::IsOutOfRange(reader.status()) || back == last + 1 - first) return reader;
  }
}

absl::StatusOr<std::unique_ptr<Reader>> OpenReader(const std::string& directory, bool follow,
                                                   const std::optional<LogId>& id) {
  const Lsn from = absl::GetFlag(FLAGS_from);
  if (from != 0) {
    return follow ? Reader::Follow(directory, from, /*file_system=*/nullptr, id)
                  : Reader::OpenReadOnly(directory, from, /*file_system=*/nullptr, id);
  }
  absl::StatusOr<LogView> view = LoadLogView(directory);
  if (!view.ok()) return view.status();
  if (!view->opens.ok()) return view->opens;
  const RecoveryReport& report = view->report;
  const uint64_t n = absl::GetFlag(FLAGS_n);
  if (follow) return FollowLast(directory, report.first_lsn, report.last_lsn, n, id);
  return Reader::OpenReadOnly(
      directory, report.last_lsn + 1 - std::min(n, report.last_lsn + 1 - report.first_lsn),
      /*file_system=*/nullptr, id);
}

// Cancels the reader when a signal comes, or nobody reads the output any more. Lives on behind
// main(): the reader is its own, too.
void CancelWhenDone(const Interruption* interruption, std::shared_ptr<Reader> reader) {
  struct stat info;
  const bool pipe = fstat(STDOUT_FILENO, &info) == 0 && S_ISFIFO(info.st_mode);
  // Of a pipe, only that it is broken is told. -1 is never ready.
  std::thread([=] {
    (void)interruption->WaitForInput(pipe ? STDOUT_FILENO : -1);
    reader->Cancel();
  }).detach();
}

ExitCode Follow(std::unique_ptr<Reader> owned) {
  // Never destroyed: the thread may be using it when the process ends.
  static const Interruption* const interruption = new Interruption;
  const std::shared_ptr<Reader> reader = std::move(owned);
  CancelWhenDone(interruption, reader);
  const EndInTime end_in_time(*interruption, [] {});  // a disk that does not answer
  Output output;
  absl::Status status = PrintAll(reader.get(), &output);
  while (status.ok() && (status = reader->Wait()).ok()) status = PrintAll(reader.get(), &output);
  if (interruption->signal() != 0) interruption->Die();
  // Nobody reads it: what was printed was seen, or not wanted.
  if (absl::IsCancelled(status)) return kExitOk;
  return Fail("tail", status, "");
}

std::string FlagProblem() {
  const bool raw = absl::GetFlag(FLAGS_raw);
  if (raw && absl::GetFlag(FLAGS_json)) return "--raw and --json exclude each other";
  if (raw && absl::GetFlag(FLAGS_hex)) return "--raw and --hex exclude each other";
  if (absl::GetFlag(FLAGS_from) != 0 && absl::GetFlag(FLAGS_n) != 10) {
    return "--from and -n exclude each other";
  }
  return "";
}

ExitCode RunTail(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return FailUsage("tail", "expected one DIR");
  const std::string problem = FlagProblem();
  if (!problem.empty()) return FailUsage("tail", problem);
  const bool follow = absl::GetFlag(FLAGS_follow) || absl::GetFlag(FLAGS_f);
  std::optional<LogId> id;
  if (!GetExpectedId(&id)) return FailUsage("tail", kExpectedIdUsage);
  absl::StatusOr<std::unique_ptr<Reader>> reader = OpenReader(arguments[0], follow, id);
  if (!reader.ok()) return Fail("tail", reader.status());
  if (follow) return Follow(std::move(*reader));
  Output output;
  const absl::Status status = PrintAll(reader->get(), &output);
  return status.ok() ? kExitOk : Fail("tail", status);
}

}  // namespace

Command TailCommand() {
  return {"tail",
          "prints the last records, with -f those that come",
          kHelp,
          {"follow", "f", "n", "from", "expected_id", "hex", "json", "raw"},
          RunTail};
}

}  // namespace seawall
