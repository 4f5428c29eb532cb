// SPDX-License-Identifier: Apache-2.0
#include "examples/ledger/crash_drill.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>
#include <numeric>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "examples/ledger/worker.h"

extern char** environ;

namespace ledger {
namespace {

using Clock = std::chrono::steady_clock;

// A worker that says nothing for so long is taken for hung.
constexpr std::chrono::seconds kPatience(60);
constexpr uint64_t kMaxAcknowledgements = 1000;
constexpr int kMaxPauseMicros = 2000;          // after the last acknowledgement that is awaited
constexpr int kMaxOpeningPauseMicros = 15000;  // after a second worker was started

absl::Status SystemError(int error, const std::string& what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::generic_category().message(error)));
}

// A child process and the pipe that it writes to. The destructor kills it.
class Worker {
 public:
  Worker() = default;
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker() {
    (void)Kill();
    if (pipe_ >= 0) close(pipe_);
  }

  absl::Status Start(const std::vector<std::string>& command);
  // Hears what the worker says until `deadline`, its end, or `acknowledgements`. False: its end.
  absl::StatusOr<bool> Listen(Clock::time_point deadline, uint64_t acknowledgements,
                              WorkerWords* words);
  // SIGKILL. Returns how the process ended, as an error if it was by itself.
  absl::Status Kill();

 private:
  // Reads once. False at the end of the pipe.
  absl::StatusOr<bool> ReadSome(WorkerWords* words);

  pid_t pid_ = -1;
  int pipe_ = -1;
  std::string unread_;  // the beginning of a line
};

absl::Status Worker::Start(const std::vector<std::string>& command) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return SystemError(errno, "pipe");
  pipe_ = ends[0];
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  const int error = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) {
    pid_ = -1;
    return SystemError(error, absl::StrCat("start ", command[0]));
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> Worker::Listen(Clock::time_point deadline, uint64_t acknowledgements,
                                    WorkerWords* words) {
  while (words->acknowledged < acknowledgements) {
    const auto left =
        std::chrono::duration_cast<std::chrono::nanoseconds>(deadline - Clock::now()).count();
    if (left <= 0) return true;
    const timespec timeout = {left / 1'000'000'000, left % 1'000'000'000};
    pollfd readable = {pipe_, POLLIN, 0};
    const int ready = ppoll(&readable, 1, &timeout, nullptr);
    if (ready < 0 && errno != EINTR) return SystemError(errno, "poll");
    if (ready <= 0) continue;
    absl::StatusOr<bool> more = ReadSome(words);
    if (!more.ok() || !*more) return more;
  }
  return true;
}

absl::StatusOr<bool> Worker::ReadSome(WorkerWords* words) {
  char bytes[4096];
  const ssize_t got = read(pipe_, bytes, sizeof(bytes));
  if (got < 0) return errno == EINTR ? absl::StatusOr<bool>(true) : SystemError(errno, "read");
  unread_.append(bytes, static_cast<size_t>(got));
  size_t begin = 0;
  for (size_t end; (end = unread_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    absl::Status heard = words->Hear(unread_.substr(begin, end - begin));
    if (!heard.ok()) return heard;
  }
  unread_.erase(0, begin);
  return got > 0;
}

absl::Status Worker::Kill() {
  if (pid_ < 0) return absl::OkStatus();
  kill(pid_, SIGKILL);
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return absl::OkStatus();
  return absl::InternalError(WIFEXITED(status)
                                 ? absl::StrCat("the worker exited with ", WEXITSTATUS(status))
                                 : absl::StrCat("the worker died of signal ", WTERMSIG(status)));
}

uint64_t Count(const State& state) {
  uint64_t transfers = 0;
  for (const auto& [client, request] : state.last_request) transfers += request;
  return transfers;
}

State InitialState() {
  const LedgerOptions options = DrillOptions();
  State state;
  state.balances.assign(options.accounts, options.opening_balance);
  state.total = options.opening_balance * options.accounts;
  return state;
}

absl::Status CompareBalances(const State& expected, const State& found) {
  if (found.balances.size() != expected.balances.size()) {
    return absl::DataLossError(
        absl::StrCat(found.balances.size(), " accounts, expected ", expected.balances.size()));
  }
  for (size_t i = 0; i < expected.balances.size(); ++i) {
    if (found.balances[i] != expected.balances[i]) {
      return absl::DataLossError(absl::StrCat("account ", i, " has ", found.balances[i],
                                              ", expected ", expected.balances[i]));
    }
  }
  const int64_t sum = std::accumulate(found.balances.begin(), found.balances.end(), int64_t{0});
  if (sum != expected.total) {
    return absl::DataLossError(
        absl::StrCat("the balances add up to ", sum, ", expected ", expected.total));
  }
  return absl::OkStatus();
}

uint64_t Last(const std::map<uint32_t, uint64_t>& requests, uint32_t client) {
  const auto found = requests.find(client);
  return found == requests.end() ? 0 : found->second;
}

}  // namespace

absl::Status WorkerWords::Hear(const std::string& line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  uint32_t client = 0;
  uint64_t request = 0;
  if (words.size() >= 3 && absl::SimpleAtoi(words[1], &client) &&
      absl::SimpleAtoi(words[2], &request)) {
    seawall::Lsn lsn = 0;
    if (words.size() == 3 && words[0] == "begin") {
      // A second worker begins again what the first one lost: that is one transfer.
      if (request > last_begun[client]) ++begun;
      last_begun[client] = request;
      return absl::OkStatus();
    }
    if (words.size() == 4 && words[0] == "ack" && absl::SimpleAtoi(words[3], &lsn)) {
      ++acknowledged;
      last_acknowledged[client] = request;
      last_acknowledged_lsn = std::max(last_acknowledged_lsn, lsn);
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(absl::StrCat("the worker said \"", line, "\""));
}

CrashDrill::CrashDrill(const std::string& program, const std::string& directory, uint32_t clients,
                       uint64_t seed)
    : program_(program),
      directory_(directory),
      clients_(clients),
      random_(seed),
      state_(InitialState()) {}

uint64_t CrashDrill::transfers() const { return Count(state_); }

absl::Status CrashDrill::RunAndKill(uint64_t acknowledgements, int pause_micros,
                                    WorkerWords* words) const {
  Worker worker;
  absl::Status status =
      worker.Start({program_, "work", directory_, absl::StrCat("--clients=", clients_)});
  if (!status.ok()) return status;
  const uint64_t target = words->acknowledged + acknowledgements;
  absl::StatusOr<bool> running = worker.Listen(Clock::now() + kPatience, target, words);
  if (!running.ok()) return running.status();
  if (*running && words->acknowledged < target) {
    return absl::DeadlineExceededError(absl::StrCat("the worker acknowledged ", words->acknowledged,
                                                    " of ", target, " transfers in ",
                                                    kPatience.count(), " seconds"));
  }
  // Acknowledgements come when a sync has ended; a while later it can be anywhere.
  running =
      worker.Listen(Clock::now() + std::chrono::microseconds(pause_micros), UINT64_MAX, words);
  if (!running.ok()) return running.status();
  status = worker.Kill();
  if (!status.ok()) return status;
  // What is in the pipe was said, and holds.
  running = worker.Listen(Clock::time_point::max(), UINT64_MAX, words);
  return running.status();
}

absl::StatusOr<RoundReport> CrashDrill::Round() {
  const auto random_up_to = [this](uint64_t most) { return random_() % (most + 1); };
  ++rounds_;
  RoundReport report;
  WorkerWords words;
  absl::Status status = RunAndKill(1 + random_up_to(kMaxAcknowledgements - 1),
                                   static_cast<int>(random_up_to(kMaxPauseMicros)), &words);
  if (!status.ok()) return status;
  ++report.kills;
  if (rounds_ % 3 == 0) {
    status = RunAndKill(0, static_cast<int>(random_up_to(kMaxOpeningPauseMicros)), &words);
    if (!status.ok()) return status;
    ++report.kills;
  }

  absl::StatusOr<std::unique_ptr<Ledger>> ledger = Ledger::Open(directory_, DrillOptions());
  if (!ledger.ok()) return ledger.status();
  absl::StatusOr<State> found = (*ledger)->Read();
  if (!found.ok()) return found.status();
  report.begun = words.begun;
  report.acknowledged = words.acknowledged;
  report.recovered = Count(*found) - Count(state_);
  report.snapshot_records = (*ledger)->snapshot_lsn();
  report.redone_records = (*ledger)->redone_records();
  report.log = (*ledger)->recovery_report();
  status = Check(words, *found);
  if (!status.ok()) return status;
  report.discarded = report.begun - report.recovered;
  status = (*ledger)->Close();
  if (!status.ok()) return status;
  return report;
}

absl::Status CrashDrill::Check(const WorkerWords& words, const State& found) {
  if (found.lsn < words.last_acknowledged_lsn) {
    return absl::DataLossError(absl::StrCat("the ledger ends at record ", found.lsn, ", and ",
                                            words.last_acknowledged_lsn, " was acknowledged"));
  }
  State expected = state_;
  expected.lsn = found.lsn;
  for (uint32_t client = 0; client < clients_; ++client) {
    const uint64_t before = Last(state_.last_request, client);
    const uint64_t now = Last(found.last_request, client);
    const uint64_t least = std::max(before, Last(words.last_acknowledged, client));
    const uint64_t most = std::max(before, Last(words.last_begun, client));
    if (now < least || now > most) {
      return absl::DataLossError(absl::StrCat("client ", client, ": request ", now,
                                              " is its last, expected ", least, " to ", most));
    }
    for (uint64_t request = before + 1; request <= now; ++request) {
      const Transfer transfer = TransferOf(client, request);
      expected.balances[transfer.from] -= transfer.amount;
      expected.balances[transfer.to] += transfer.amount;
    }
    if (now > 0) expected.last_request[client] = now;
  }
  absl::Status same = CompareBalances(expected, found);
  if (same.ok()) state_ = std::move(expected);
  return same;
}

}  // namespace ledger
