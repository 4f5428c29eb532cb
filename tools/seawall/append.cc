// SPDX-License-Identifier: Apache-2.0
// seawall append: writes records from a file or a pipe.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/io/log_place.h"
#include "seawall/log.h"
#include "tools/seawall/archive_command.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/interruption.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/cli/progress.h"
#include "tools/seawall/cli/record_input.h"

ABSL_FLAG(std::string, durable, "batch", "append: each, batch or end");
ABSL_FLAG(uint64_t, segment_bytes, seawall::Options().segment_bytes,
          "append: where a segment ends and the next begins");

ABSL_FLAG(std::string, archive_command, "", "append: run for each segment that is full");

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall append: writes records from a file or a pipe to a log.

Usage: seawall append [FLAGS] DIR [FILE]

FILE is standard input if it is left out or "-". The log is created if there is none: in DIR, which
is made if it is not there, or is empty.

  --framing=lines    each line is a record, its newline included, so that no byte is lost; a last
                     line without newline is one, too (the default)
  --framing=length   each record follows its length, 4 bytes little-endian
  --durable=each     each record is on stable storage before the next one is read
  --durable=batch    what one read gave (1 MiB at most; from a pipe, what was there) is on stable
                     storage before the next read (the default)
  --durable=end      the records are on stable storage when it ends, not before
  --segment_bytes=N  roll over to the next segment file at N bytes: a multiple of 4096 from 16384
                     (16 KiB) to 1073741824 (1 GiB); the default is 67108864 (64 MiB)
  --expected_id=HEX  append to the log of this id (`seawall stat` shows it) and to no other: if another
                     one is in DIR, or none, nothing is touched
  --archive_command=COMMAND
                     run by /bin/sh for each segment that is full, in order, until it ends with 0;
                     %p is the segment's path, %f its name, %a and %b its first and last LSN, %% a
                     percent sign. The copy must be complete and durable, and have that name:
                     'cp %p /archive/%f.part && sync /archive/%f.part && mv /archive/%f.part
                     /archive/%f && sync /archive'. A segment may come twice. The log keeps what is
                     not archived. `seawall restore` makes a log of the copies. Its standard input
                     is empty, its output goes to standard error

Only one process may write a log at a time. On a terminal, progress is shown after two seconds.

A record may have 2 MiB, or a quarter of --segment_bytes if that is less. A longer line ends it.

If it fails midway, what was appended before stays in the log, and it says how much that is, how
much of it is durable, and where the rest of the input begins. On Ctrl-C (SIGINT), SIGTERM and SIGHUP
it stops reading, makes durable what it has appended, says how much that is and what is not archived,
and ends by the signal, within two seconds: an archive command that does not end in most of one is
ended, with all that it has started. A line that had not come to its newline is not appended then. A
second signal ends it at once.

Exit status: 0 all is appended and durable, 1 the log is damaged, 2 could not be done; in a shell,
130 after Ctrl-C and 143 after SIGTERM.

Examples:
  seawall append /tmp/syslog /var/log/syslog
  journalctl -f | seawall append /tmp/journal              # each entry durable as it comes
  seawall append /tmp/copy <input; seawall dump --raw /tmp/copy | cmp - input
  seawall append --archive_command='cp %p /archive/%f && sync /archive/%f' log <input
  seawall dump --raw --framing=length /tmp/a | seawall append --framing=length /tmp/b
)";

constexpr uint64_t kMaxArchiveMicros = uint64_t{24} * 3600 * 1000 * 1000;  // all of a day

enum class DurableAt { kEach, kBatch, kEnd };

// Read by another thread, too: when a signal ends us.
struct Appended {
  std::atomic<Lsn> first{0};
  std::atomic<Lsn> last{0};
  std::atomic<uint64_t> bytes{0};
};

absl::Status AppendAll(RecordInput* input, DurableAt durable, Log* log, Appended* done) {
  Progress progress;
  std::string_view record;
  absl::Status status;
  while (status.ok() && input->Next(&record)) {
    absl::StatusOr<Lsn> lsn = log->Append(
        record, durable == DurableAt::kEach ? Durability::kDurable : Durability::kAppended);
    status = lsn.status();
    if (!status.ok()) break;
    done->last = *lsn;
    if (done->first == 0) done->first = *lsn;
    done->bytes += record.size();
    if (durable == DurableAt::kBatch && input->Drained()) status = log->WaitDurable(*lsn);
    progress.Show(done->last - done->first + 1, done->bytes);
  }
  progress.Clear();
  return status.ok() ? input->status() : status;
}

bool GetDurable(DurableAt* durable) {
  const std::string name = absl::GetFlag(FLAGS_durable);
  if (name != "each" && name != "batch" && name != "end") return false;
  *durable = name == "each"  ? DurableAt::kEach
             : name == "end" ? DurableAt::kEnd
                             : DurableAt::kBatch;
  return true;
}

// "appended 2 records (9 bytes): LSN 1 to 2, durable". `durable_lsn`: the log's, at the end.
std::string Summary(const Appended& done, Lsn durable_lsn) {
  const Lsn first = done.first, last = done.last;
  if (first == 0) return "appended nothing";
  const uint64_t count = last - first + 1;
  const std::string to = count == 1 ? std::string() : absl::StrCat(" to ", last);
  std::string durable = ", durable";
  if (durable_lsn < first) durable = ", none of it known to be durable";
  if (durable_lsn >= first && durable_lsn < last) {
    durable = absl::StrCat(", durable up to LSN ", durable_lsn);
  }
  return absl::StrCat("appended ", FormatCount(count, "record"), " (", FormatBytes(done.bytes),
                      "): LSN ", first, to, durable);
}

// A torn tail and the like: worth a word, as it is gone from now on.
void TellRecovery(const Log& log) {
  const RecoveryReport& report = log.recovery_report();
  if (report.verdict == RecoveryVerdict::kUnclosed ||
      report.verdict == RecoveryVerdict::kTornTail) {
    std::fprintf(stderr, "seawall append: the last writer did not close the log: %s\n",
                 report.ToString().c_str());
  }
}

// Small segments hold small records and buffers only.
Options OptionsFor(uint64_t segment_bytes) {
  Options options;
  options.segment_bytes = segment_bytes;
  const uint64_t room = segment_bytes / 4;
  options.buffer_bytes = std::min(options.buffer_bytes, AlignDown(2 * room, kBlockBytes));
  options.max_record_bytes = std::min(options.max_record_bytes, room);
  return options;
}

// What is wrong with the one option that a user can set, without those that follow from it.
std::string SegmentBytesProblem(uint64_t segment_bytes) {
  Options options;
  options.segment_bytes = segment_bytes;
  options.buffer_bytes = 2 * kBlockBytes;
  options.max_record_bytes = 0;
  const absl::Status status = options.Validate();
  if (status.ok()) return "";
  return absl::StrCat("--", absl::StripPrefix(status.message(), "options: "));
}

// The input, for as long as the command runs.
struct Input {
  int fd = -1;
  std::string name;
};

// Before the log is: what cannot be read must not leave an empty log behind.
absl::StatusOr<Input> OpenInput(const std::vector<std::string>& arguments) {
  Input input = {STDIN_FILENO, "standard input"};
  if (arguments.size() == 2 && arguments[1] != "-") {
    input.name = arguments[1];
    input.fd = open(input.name.c_str(), O_RDONLY | O_CLOEXEC);
    if (input.fd < 0) return ErrnoStatus(errno, "open", input.name);
  }
  struct stat info;
  if (fstat(input.fd, &info) != 0) return ErrnoStatus(errno, "fstat", input.name);
  if (S_ISDIR(info.st_mode)) return ErrnoStatus(EISDIR, "read", input.name);
  // A read of nothing finds a descriptor that was not opened for reading.
  if (read(input.fd, nullptr, 0) < 0) return ErrnoStatus(errno, "read", input.name);
  return input;
}

// A name that a log, the crash of one that was being created, or mkfs leaves in its directory.
bool BelongsToALog(const std::string& name) {
  return name == kLostAndFoundName || name == kLockName || name == kWatermarkName ||
         name == kControlName || name == kControlTemporaryName ||
         ParseSegmentName(name).has_value();
}

// A log has a directory of its own. One that was mistyped gets no log among its files.
ExitCode CheckContents(const std::string& directory) {
  std::vector<std::string> names;
  // What cannot be listed fails with a better word when it is opened.
  if (FileSystem::Posix()->List(directory, &names) != 0) return kExitOk;
  const auto foreign = std::find_if_not(names.begin(), names.end(), BelongsToALog);
  if (foreign == names.end() || std::count(names.begin(), names.end(), kControlName) > 0) {
    return kExitOk;
  }
  return Fail("append",
              absl::FailedPreconditionError(absl::StrCat(
                  directory, ": expected a log or an empty directory, found \"", *foreign, "\"")),
              "Name a directory that does not exist yet: a log has one of its own.");
}

// What can be said of DIR better than by the first system call that fails in it.
ExitCode CheckDirectory(const std::string& directory) {
  struct stat info;
  if (stat(directory.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return CheckContents(directory);
    return Fail("append", absl::FailedPreconditionError(
                              absl::StrCat(directory, ": expected a directory, found a file")));
  }
  return CheckParent("append", directory);
}

// Who runs it again as it was would have the first records twice.
std::string HowToGoOn(const Appended& done, Lsn durable_lsn, Framing framing) {
  if (done.first == 0) return "";
  if (durable_lsn < done.last) {
    return "`seawall stat DIR` shows where the log ends; append what of the input comes behind it.";
  }
  const uint64_t count = done.last - done.first + 1;
  const std::string noun = framing == Framing::kLines ? "line" : "record";
  return absl::StrCat("To go on, append the rest of the input: it begins with ", noun, " ",
                      count + 1, ".");
}

ExitCode FailToOpen(const std::string& directory, const absl::Status& status) {
  if (absl::IsNotFound(status)) return Fail("append", status, "Check the path.");
  if (absl::StrContains(status.message(), JoinPath(directory, kLockName) + ": the log is open")) {
    return Fail("append", status,
                "In a shell: `seawall tail -f DIR` prints what that process writes; dump, stat, "
                "verify and backup work beside it, too.");
  }
  return Fail("append", status);
}

// What a signal ended, and how far it was.
void TellInterruption(const Interruption& interruption, const std::string& summary,
                      const ArchiveCommand* archive) {
  std::fprintf(stderr, "seawall append: %s: %s\n", interruption.name().c_str(), summary.c_str());
  const std::string unarchived = archive == nullptr ? std::string() : archive->Unarchived();
  if (!unarchived.empty()) std::fprintf(stderr, "seawall append: %s\n", unarchived.c_str());
}

ExitCode AppendFrom(const Input& input, const std::string& directory, Framing framing,
                    DurableAt durable) {
  Interruption interruption;
  Options options = OptionsFor(absl::GetFlag(FLAGS_segment_bytes));
  (void)GetExpectedId(&options.expected_id);
  const std::string command = absl::GetFlag(FLAGS_archive_command);
  std::unique_ptr<ArchiveCommand> archive;
  if (!command.empty()) {
    archive = std::make_unique<ArchiveCommand>(command, &interruption);
    options.archive = [&archive](const SealedSegment& segment) { return (*archive)(segment); };
    options.archive_close_micros = kMaxArchiveMicros;  // who does not want to wait interrupts us
  }
  Appended done;
  std::atomic<const Log*> opened{nullptr};
  absl::StatusOr<std::unique_ptr<Log>> log;
  const EndInTime end_in_time(interruption, [&] {
    const Log* const now = opened;
    TellInterruption(interruption,
                     Summary(done, now == nullptr ? 0 : now->durable_lsn()) + "; not closed",
                     archive.get());
  });
  log = Log::Open(directory, options);
  if (!log.ok()) return FailToOpen(directory, log.status());
  opened = log->get();
  TellRecovery(**log);
  if (isatty(input.fd) == 1) {
    std::fputs("seawall append: each line that you type is a record; Ctrl-D ends.\n", stderr);
  }
  RecordInput records(input.fd, input.name, framing, options.max_record_bytes, &interruption);
  absl::Status status = AppendAll(&records, durable, log->get(), &done);
  const absl::Status closed = (*log)->Close();
  if (status.ok()) status = closed;
  const std::string summary = Summary(done, (*log)->durable_lsn());
  if (!status.ok()) {
    std::fprintf(stderr, "seawall append: stopped: %s\n", summary.c_str());
    const std::string next = HowToGoOn(done, (*log)->durable_lsn(), framing);
    return next.empty() ? Fail("append", status) : Fail("append", status, next);
  }
  // A signal that came when all was appended, and the archive command was at work, ends us, too.
  const bool cut_short = archive != nullptr && !archive->Unarchived().empty();
  if (records.interrupted() || (interruption.signal() != 0 && cut_short)) {
    TellInterruption(interruption, summary, archive.get());
    interruption.Die();
  }
  Output output;
  output.WriteLine(done.first == 0 ? absl::StrCat(summary, ": ", input.name, " is empty")
                                   : summary);
  status = output.Finish();
  return status.ok() ? kExitOk : Fail("append", status);
}

ExitCode RunAppend(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.size() > 2) {
    return FailUsage("append", "expected DIR, and perhaps one FILE");
  }
  Framing framing = Framing::kLines;
  DurableAt durable = DurableAt::kBatch;
  if (!GetFraming(&framing)) return FailUsage("append", "--framing is lines or length");
  if (!GetDurable(&durable)) return FailUsage("append", "--durable is each, batch or end");
  std::optional<LogId> id;
  if (!GetExpectedId(&id)) return FailUsage("append", kExpectedIdUsage);
  const std::string problem = SegmentBytesProblem(absl::GetFlag(FLAGS_segment_bytes));
  if (!problem.empty()) return FailUsage("append", problem);
  const std::string archive = ArchiveCommandProblem(absl::GetFlag(FLAGS_archive_command));
  if (!archive.empty()) return FailUsage("append", "--archive_command: " + archive);
  const absl::StatusOr<Input> input = OpenInput(arguments);
  if (!input.ok()) {
    return Fail("append", input.status(), "That is the input; the log was not touched.");
  }
  const ExitCode directory = CheckDirectory(arguments[0]);
  if (directory != kExitOk) return directory;
  const ExitCode code = AppendFrom(*input, arguments[0], framing, durable);
  if (input->fd != STDIN_FILENO) close(input->fd);
  return code;
}

}  // namespace

Command AppendCommand() {
  return {"append",
          "writes lines or length-prefixed records, durably",
          kHelp,
          {"framing", "durable", "segment_bytes", "expected_id", "archive_command"},
          RunAppend};
}

}  // namespace seawall
