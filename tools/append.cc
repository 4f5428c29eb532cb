// seawall append: writes records from a file or a pipe.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/file_io.h"
#include "engine/format.h"
#include "seawall/log.h"
#include "tools/command.h"
#include "tools/output.h"
#include "tools/record_input.h"

ABSL_FLAG(std::string, durable, "batch", "append: each, batch or end");
ABSL_FLAG(uint64_t, segment_bytes, seawall::Options().segment_bytes,
          "append: where a segment ends and the next begins");

namespace seawall {
namespace {

constexpr char kHelp[] = R"(seawall append: writes records from a file or a pipe to a log.

Usage: seawall append [FLAGS] DIR [FILE]

FILE is standard input if it is left out or "-". The log is created if there is none; the directory
that DIR lies in must exist.

  --framing=lines    each line is a record, its newline included, so that no byte is lost; a last
                     line without newline is one, too (the default)
  --framing=length   each record follows its length, 4 bytes little-endian
  --durable=each     each record is on stable storage before the next one is read
  --durable=batch    what one read gave (1 MiB at most; from a pipe, what was there) is on stable
                     storage before the next read (the default)
  --durable=end      the records are on stable storage when it ends, not before
  --segment_bytes=N  roll over to the next segment file at N bytes (default 64 MiB)

Only one process may write a log at a time. On a terminal, progress is shown after two seconds.

If it fails midway, what was appended before stays in the log, and it says how much that is. A line
or record may have 2 MiB.

Exit status: 0 all is appended and durable, 1 the log is damaged, 2 could not be done.

Examples:
  seawall append /tmp/syslog /var/log/syslog
  journalctl -f | seawall append /tmp/journal              # each entry durable as it comes
  seawall append /tmp/copy <input; seawall dump --raw /tmp/copy | cmp - input
  seawall dump --raw --framing=length /tmp/a | seawall append --framing=length /tmp/b
)";

enum class DurableAt { kEach, kBatch, kEnd };

// On standard error, if that is a terminal and it takes long.
class Progress {
 public:
  void Show(uint64_t records, uint64_t bytes) {
    // The clock is looked at once in a while only.
    if (!terminal_ || ++calls_ % 64 != 0) return;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + std::chrono::milliseconds(250);
    const double seconds = std::chrono::duration<double>(now - start_).count();
    std::fprintf(stderr, "\r%llu records, %s, %s/s \x1b[K",
                 static_cast<unsigned long long>(records), FormatBytes(bytes).c_str(),
                 FormatBytes(static_cast<uint64_t>(static_cast<double>(bytes) / seconds)).c_str());
    shown_ = true;
  }
  void Clear() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
  }

 private:
  const bool terminal_ = isatty(STDERR_FILENO) == 1;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_ = start_ + std::chrono::seconds(2);
  uint64_t calls_ = 0;
  bool shown_ = false;
};

struct Appended {
  Lsn first = 0;
  Lsn last = 0;
  uint64_t bytes = 0;
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
    if (done->first == 0) done->first = *lsn;
    done->last = *lsn;
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

std::string Summary(const Appended& done) {
  if (done.first == 0) return "nothing";
  const uint64_t count = done.last - done.first + 1;
  return absl::StrCat(count, count == 1 ? " record (" : " records (", FormatBytes(done.bytes),
                      "): LSN ", done.first,
                      count == 1 ? std::string() : absl::StrCat(" to ", done.last));
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

ExitCode AppendFrom(int fd, const std::string& name, const std::string& directory, Framing framing,
                    DurableAt durable) {
  Options options;
  options.segment_bytes = absl::GetFlag(FLAGS_segment_bytes);
  // Small segments hold small records and buffers only.
  const uint64_t room = options.segment_bytes / 4;
  options.buffer_bytes = std::min(options.buffer_bytes, AlignDown(2 * room, kBlockBytes));
  options.max_record_bytes = std::min(options.max_record_bytes, room);
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, options);
  if (!log.ok()) return Fail("append", log.status());
  TellRecovery(**log);
  if (isatty(fd) == 1) {
    std::fputs("seawall append: each line that you type is a record; Ctrl-D ends.\n", stderr);
  }
  RecordInput input(fd, name, framing, options.max_record_bytes);
  Appended done;
  absl::Status status = AppendAll(&input, durable, log->get(), &done);
  const absl::Status closed = (*log)->Close();
  if (status.ok()) status = closed;
  if (!status.ok()) {
    std::fprintf(stderr, "seawall append: stopped after %s%s\n", Summary(done).c_str(),
                 closed.ok() ? "; they are durable" : "");
    return Fail("append", status);
  }
  Output output;
  output.WriteLine(absl::StrCat("appended ", Summary(done), ", durable"));
  status = output.Finish();
  return status.ok() ? kExitOk : Fail("append", status);
}

ExitCode RunAppend(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments.size() > 2) {
    return FailUsage("append", "expected DIR, and perhaps one FILE");
  }
  Framing framing;
  DurableAt durable;
  if (!GetFraming(&framing)) return FailUsage("append", "--framing is lines or length");
  if (!GetDurable(&durable)) return FailUsage("append", "--durable is each, batch or end");
  if (arguments.size() == 1 || arguments[1] == "-") {
    return AppendFrom(STDIN_FILENO, "standard input", arguments[0], framing, durable);
  }
  const std::string& path = arguments[1];
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Fail("append", ErrnoStatus(errno, "open", path));
  const ExitCode code = AppendFrom(fd, path, arguments[0], framing, durable);
  close(fd);
  return code;
}

}  // namespace

Command AppendCommand() {
  return {"append",
          "writes lines or length-prefixed records, durably",
          kHelp,
          {"framing", "durable", "segment_bytes"},
          RunAppend};
}

}  // namespace seawall
