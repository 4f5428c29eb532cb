// Every call that a log makes fails, one at a time: once, and for ever, with each errno that its
// man page allows; reads and writes also fall short. After each failure:
//
//   * no acknowledged record is lost, neither to the process's end nor to a power loss then;
//   * the error is latched, and every later call gives the same one, or the operation was refused
//     and the log goes on; a failed write or sync is never merely refused, but for want of space;
//   * the log can be opened again, and goes on;
//   * a failed read is an error, never the end of the log;
//   * EINTR and short counts of reads, writes and opens are seen by nobody;
//   * nobody waits for ever.
//
// The calls of a workload are counted in a run without failures. The log's threads make some of
// them in no fixed order, so a call is named in two ways: the n-th of all, and the n-th of its kind
// on its file. SEAWALL_CRASH_SEED chooses other power losses.
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash_model.h"
#include "tests/seed.h"
#include "tests/watchdog.h"

namespace seawall {
namespace {

constexpr char kDirectory[] = "/data/log";

#ifdef SEAWALL_SMOKE
constexpr uint64_t kThinning = 23;
#else
constexpr uint64_t kThinning = 1;
#endif

// What the man pages of the calls behind the seam name, as far as a file that is open or a path
// that is right can give it.
std::vector<int> ErrorsOf(CallKind kind) {
  switch (kind) {
    case CallKind::kOpen:
      return {EINTR, EIO, EMFILE, ENOMEM, ENOSPC, EDQUOT, EROFS, EINVAL};
    case CallKind::kRead:
      return {EINTR, EIO, EAGAIN, EBADF, EINVAL, ENOMEM};
    case CallKind::kWrite:
      return {EINTR, EIO, ENOSPC, EDQUOT, EAGAIN, EBADF, EINVAL, EROFS};
    case CallKind::kSync:
      return {EINTR, EIO, ENOSPC, EDQUOT, EROFS, EBADF, EINVAL};
    case CallKind::kSyncDirectory:
      return {EINTR, EIO, ENOSPC, EDQUOT, EROFS, EMFILE, ENOMEM, EBADF, EINVAL};
    case CallKind::kSize:
      return {EIO, ENOMEM, EBADF};
    case CallKind::kLock:
      return {EINTR, EAGAIN, EBADF, EINVAL};
    case CallKind::kUnlock:
      return {EBADF, EINVAL};
    case CallKind::kTruncate:
      return {EINTR, EIO, EINVAL, EROFS, EBADF};
    case CallKind::kStat:
      return {EIO, ENOMEM};
    case CallKind::kMakeDirectory:
      return {EIO, ENOSPC, EDQUOT, EROFS, ENOMEM};
    case CallKind::kList:
      return {EIO, EMFILE, ENOMEM, EBADF};
    case CallKind::kRename:
      return {EIO, ENOSPC, EDQUOT, EROFS, ENOMEM};
    case CallKind::kUnlink:
      return {EIO, EROFS, ENOMEM};
    case CallKind::kAny:
      break;
  }
  return {EIO};
}

bool IsLatch(const absl::Status& status) {
  return absl::StrContains(status.message(), "until it is reopened");
}

// A write or sync that failed, by the words that the engine uses for it.
bool IsWriteOrSync(const absl::Status& status) {
  for (const char* verb : {"write ", "fdatasync ", "fsync "}) {
    if (absl::StartsWith(status.message(), verb)) return true;
  }
  return false;
}

// ---- One run of a workload on a disk that fails

class Lab {
 public:
  // `fault` is set at the beginning of life number `life`; each Kill() begins another.
  Lab(const Options& options, const CrashOptions& crash, std::optional<Fault> fault, size_t life)
      : options_(options), crash_(crash), fault_(std::move(fault)), fault_life_(life) {
    disk_ = std::make_unique<CrashFileSystem>(crash_);
    EXPECT_EQ(disk_->MakeDirectory("/data"), 0);
    EXPECT_EQ(disk_->SyncDirectory("/"), 0);
    Options log_options = options_;
    log_options.file_system = disk_.get();
    model_.emplace(kDirectory, log_options);
    setup_calls_ = disk_->calls();
    Arm();
  }

  // ---- The steps of workloads.

  void Open() {
    Do("open", [this] {
      absl::Status status = model_->Open();
      if (!status.ok()) model_->Drop();
      return status;
    });
  }
  void Append(size_t bytes, Durability until = Durability::kDurable) {
    Do("append", [=] { return model_->Append(bytes, until); });
  }
  void AppendBatch(size_t records, size_t bytes, Durability until = Durability::kDurable) {
    Do("append batch", [=] { return model_->AppendBatch(records, bytes, until); });
  }
  void Trim(Lsn lsn) {
    Do("trim", [=] { return model_->TrimBefore(std::min(lsn, model_->log()->durable_lsn() + 1)); });
  }
  // Gives up the last `count` records.
  void Truncate(size_t count) {
    Do("truncate", [=] {
      const Lsn lowest = model_->log()->first_lsn() - 1;
      return model_->TruncateAfter(
          std::max(lowest, model_->last_lsn() - std::min<Lsn>(model_->last_lsn(), count)));
    });
  }
  // Everything by one reader, then each record by itself.
  void Read() {
    Do("read", [this] {
      absl::StatusOr<Contents> contents = ReadAll(model_->log());
      if (!contents.ok()) return contents.status();
      const std::string violation = Violation(model_->worlds(), *contents);
      if (!violation.empty()) return absl::InternalError(violation);
      for (Lsn lsn = contents->first_lsn; lsn <= contents->last_lsn(); ++lsn) {
        absl::StatusOr<std::string> record = model_->log()->Read(lsn);
        if (!record.ok()) return record.status();
        if (*record != contents->records[lsn - contents->first_lsn]) {
          return absl::InternalError(absl::StrCat("record ", lsn, " differs"));
        }
      }
      return absl::OkStatus();
    });
  }
  void ReadOnly() {
    Do("open read-only", [this] {
      const Lsn durable = model_->log()->durable_lsn();
      absl::StatusOr<std::unique_ptr<Reader>> reader =
          Reader::OpenReadOnly(kDirectory, 0, disk_.get());
      if (!reader.ok()) return reader.status();
      Record record;
      Lsn last = 0;
      while ((*reader)->Next(&record)) last = record.lsn;
      if (!(*reader)->status().ok()) return (*reader)->status();
      if (last < durable) {
        return absl::InternalError(absl::StrCat("ends with ", last, ", durable is ", durable));
      }
      return absl::OkStatus();
    });
  }
  void Close() {
    if (stopped_) return;
    absl::Status status = model_->Close();
    if (status.ok()) {
      model_->Drop();
      return;
    }
    Note("close", status);
    const absl::Status again = model_->Close();
    if (again != status)
      Wrong(absl::StrCat("close gave ", status.ToString(), ", then ", again.ToString()));
    Restart();
    if (!stopped_) Drop();
  }
  // SIGKILL; the page cache stays.
  void Kill() {
    if (stopped_) return;
    NextDisk();
    Arm();
  }

  // ---- The end.

  // What the disk holds now, and what a power loss leaves of it, is a log with all it promised.
  void Finish() {
    disk_->ClearFaults();
    CheckImages("at the end");
    disk_->Freeze();
    model_->Drop();
    if (OnlyInvisible() && failures_ > 0) Wrong("EINTR or a short count was seen");
  }

  // The calls of each life, without those that set the disk up.
  std::vector<std::vector<FileSystemCall>> Calls() const {
    std::vector<std::vector<FileSystemCall>> lives;
    for (const auto& disk : old_disks_) lives.push_back(disk->Trace());
    lives.push_back(disk_->Trace());
    lives[0].erase(lives[0].begin(), lives[0].begin() + static_cast<std::ptrdiff_t>(setup_calls_));
    return lives;
  }

  uint64_t hits() const {
    uint64_t hits = disk_->faults_hit();
    for (const auto& disk : old_disks_) hits += disk->faults_hit();
    return hits;
  }
  uint64_t latches() const { return latches_; }
  uint64_t refusals() const { return refusals_; }
  uint64_t images() const { return images_; }
  const std::string& wrong() const { return wrong_; }

 private:
  void Arm() {
    if (fault_.has_value() && life_ == fault_life_) disk_->InjectFault(*fault_);
  }

  void Wrong(const std::string& what) {
    if (wrong_.empty()) wrong_ = what;
    stopped_ = true;
  }

  void Note(const std::string& step, const absl::Status& status) {
    ++failures_;
    // A model that is violated, and damage where there is none.
    if (absl::IsInternal(status) || absl::IsDataLoss(status)) {
      Wrong(absl::StrCat(step, ": ", status.ToString()));
    }
    if (!fault_.has_value()) Wrong(absl::StrCat(step, " without a fault: ", status.ToString()));
  }

  void Do(const std::string& step, const std::function<absl::Status()>& run) {
    for (int attempt = 0; !stopped_; ++attempt) {
      const absl::Status status = run();
      if (status.ok()) return;
      Note(step, status);
      if (stopped_) return;
      if (IsLatch(status)) {
        ++latches_;
        CheckLatched(status);
        if (fault_->forever) disk_->ClearFaults();
        Restart();
        return;
      }
      ++refusals_;
      const bool opening = step == "open";
      // The log's directory was made, and its parent's sync failed: its name stays in doubt however
      // often it is synced from now on. Who called has been told, and nothing is acknowledged.
      if (opening && ParentInDoubt()) {
        stopped_ = true;
        return;
      }
      if (!opening && IsWriteOrSync(status) && !absl::IsResourceExhausted(status)) {
        Wrong(absl::StrCat(step, ": a failed write or sync is not latched: ", status.ToString()));
      }
      if (!fault_->forever && attempt > 0) {
        Wrong(absl::StrCat(step, ": one failed call, refused twice: ", status.ToString()));
      }
      // The failure ends: so do the refusals.
      if (attempt > 2) disk_->ClearFaults();
      if (attempt > 3) Wrong(absl::StrCat(step, ": still refused: ", status.ToString()));
    }
  }

  // Every call that needs the disk gives the same error, again and again.
  void CheckLatched(const absl::Status& latched) {
    Log* log = model_->log();
    const auto same = [&](const std::string& step, const absl::Status& status) {
      if (status != latched) {
        Wrong(absl::StrCat("latched ", latched.ToString(), ", but ", step, " gives ",
                           status.ToString()));
      }
    };
    for (int round = 0; round < 2; ++round) {
      same("append", log->Append("later").status());
      same("durable append", log->AppendDurable("later").status());
      same("batch", log->AppendBatch({"one", "two"}).status());
      same("trim", log->TrimBefore(log->first_lsn()));
      same("truncate", log->TruncateAfter(log->durable_lsn()));
      if (log->durable_lsn() < log->appended_lsn()) {
        same("wait", log->WaitDurable(log->appended_lsn()));
      }
    }
    // What was acknowledged stays so, and can be read.
    if (log->durable_lsn() > 0 && !log->WaitDurable(log->durable_lsn()).ok()) {
      Wrong("a durable record is not durable any more");
    }
    if (!fault_->forever) {
      absl::StatusOr<Contents> contents = ReadAll(log);
      if (!contents.ok()) {
        Wrong(absl::StrCat("reading after the latch: ", contents.status().ToString()));
      } else {
        const std::string violation = Violation(model_->worlds(), *contents);
        // What was not acknowledged need not be read.
        if (!violation.empty()) Wrong(absl::StrCat("after the latch: ", violation));
      }
    }
    same("close", log->Close());
  }

  // The process ends, and the log is opened again: on the page cache that it left.
  void Restart() {
    if (stopped_) return;
    CheckImages("after the failure");
    NextDisk();
    const absl::Status status = model_->Open();
    if (!status.ok()) Wrong(absl::StrCat("reopening: ", status.ToString()));
  }

  void Drop() { model_->Drop(); }

  void NextDisk() {
    ++life_;
    std::unique_ptr<CrashFileSystem> next = disk_->Clone();
    disk_->Freeze();
    model_->Drop();
    old_disks_.push_back(std::move(disk_));
    disk_ = std::move(next);
    model_->set_file_system(disk_.get());
  }

  void CheckImages(const std::string& when) {
    const CrashState state = disk_->Capture();
    const std::vector<World> worlds = model_->worlds();
    const auto check = [&](std::unique_ptr<CrashFileSystem> image, const std::string& choice) {
      ++images_;
      Options options = options_;
      options.file_system = image.get();
      absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(kDirectory, options);
      absl::StatusOr<Contents> contents = log.ok() ? ReadAll(log->get()) : log.status();
      const std::string violation =
          contents.ok() ? Violation(worlds, *contents) : contents.status().ToString();
      image->Freeze();
      if (!violation.empty()) {
        Wrong(absl::StrCat(when, ", ", choice, ": ", violation, "\n", state.Describe({})));
      }
      return violation.empty();
    };
    if (!check(state.Kill(), "killed")) return;
    state.ForEachImage(
        4, CrashSeed(), [&](const CrashChoice& choice, std::unique_ptr<CrashFileSystem> image) {
          return check(std::move(image), absl::StrCat("power loss ", choice.ToString()));
        });
  }

  bool ParentInDoubt() const {
    for (const FileSystemCall& call : disk_->Trace()) {
      if (call.kind == CallKind::kSyncDirectory && call.path == "/data" && call.error != 0) {
        return true;
      }
    }
    return false;
  }

  // All that failed was retried or gone on with, as it must be.
  bool OnlyInvisible() const {
    if (!fault_.has_value()) return false;
    if (fault_->error == 0) return fault_->max_bytes > 0;
    if (fault_->error != EINTR) return false;
    for (const std::vector<FileSystemCall>& calls : Calls()) {
      for (const FileSystemCall& call : calls) {
        if (call.error == EINTR && call.kind != CallKind::kOpen && call.kind != CallKind::kRead &&
            call.kind != CallKind::kWrite && call.kind != CallKind::kLock &&
            call.kind != CallKind::kTruncate) {
          return false;
        }
      }
    }
    return true;
  }

  const Options options_;
  const CrashOptions crash_;
  const std::optional<Fault> fault_;
  const size_t fault_life_;
  size_t life_ = 0;
  uint64_t setup_calls_ = 0;
  // The log's threads may still be about: disks outlive the model.
  std::vector<std::unique_ptr<CrashFileSystem>> old_disks_;
  std::unique_ptr<CrashFileSystem> disk_;
  std::optional<ModelledLog> model_;
  bool stopped_ = false;
  std::string wrong_;
  uint64_t failures_ = 0;
  uint64_t latches_ = 0;
  uint64_t refusals_ = 0;
  uint64_t images_ = 0;
};

// ---- The workloads

void LoneCommits(Lab* lab) {
  lab->Open();
  for (size_t i = 0; i < 5; ++i) lab->Append(i * 37);
}

void WrittenThenSynced(Lab* lab) {
  lab->Open();
  for (size_t i = 0; i < 3; ++i) {
    lab->Append(300, Durability::kAppended);
    lab->Append(300, Durability::kWritten);
    lab->Append(300);
  }
}

void Batches(Lab* lab) {
  lab->Open();
  for (size_t i = 1; i < 5; ++i) {
    lab->AppendBatch(i, 900 / i, i % 2 == 0 ? Durability::kDurable : Durability::kWritten);
  }
  lab->Append(10);
}

void Rollover(Lab* lab) {
  lab->Open();
  for (size_t i = 0; i < 7; ++i) lab->Append(5000);
}

void TrimAndRecycle(Lab* lab) {
  lab->Open();
  for (Lsn i = 1; i <= 12; ++i) {
    lab->Append(5000);
    if (i % 4 == 0) lab->Trim(i);
  }
}

void TruncateBack(Lab* lab) {
  lab->Open();
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 3; ++i) lab->Append(3000);
    lab->AppendBatch(3, 100, Durability::kWritten);
    lab->Truncate(round == 0 ? 1 : 5);
    lab->Append(500);
  }
}

void CloseAndReopen(Lab* lab) {
  for (int life = 0; life < 3; ++life) {
    lab->Open();
    lab->Append(700);
    lab->Append(700, Durability::kAppended);
    lab->Close();
  }
}

void KilledThenOpened(Lab* lab) {
  for (int life = 0; life < 3; ++life) {
    lab->Open();
    lab->Append(3000);
    lab->Append(3000, Durability::kWritten);
    lab->Kill();
  }
  lab->Open();
  lab->Append(10);
}

void Reading(Lab* lab) {
  lab->Open();
  for (size_t i = 0; i < 5; ++i) lab->Append(4000);
  lab->Read();
  lab->ReadOnly();
  lab->Append(10);
  lab->Kill();
  lab->Open();
  lab->Read();
}

// A tail of more than a mebibyte stays where it is, and its unproven end is copied.
void BigTail(Lab* lab) {
  lab->Open();
  for (size_t i = 0; i < 7; ++i) lab->Append(200 << 10);
  lab->Append(100, Durability::kWritten);
  lab->Kill();
  lab->Open();
  lab->Append(100);
}

struct Case {
  const char* name;
  void (*workload)(Lab*);
  std::function<void(Options*)> adjust;
  // Of so many runs, one.
  uint64_t thinning = 1;

  friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }
};

std::vector<Case> Cases() {
  const auto dsync = [](Options* o) { o->sync_method = SyncMethod::kODsync; };
  const auto direct = [](Options* o) { o->direct_io = true; };
  const auto sectors = [](Options* o) { o->group_alignment_bytes = 512; };
  const auto big = [](Options* o) {
    o->segment_bytes = 4 << 20;
    o->buffer_bytes = 256 << 10;
    o->max_record_bytes = 210 << 10;
  };
  return {{"LoneCommits", LoneCommits, nullptr},
          {"LoneCommitsDsync", LoneCommits, dsync},
          {"LoneCommitsDirect", LoneCommits, direct},
          {"WrittenThenSynced", WrittenThenSynced, nullptr},
          {"WrittenThenSyncedBySectors", WrittenThenSynced, sectors},
          {"Batches", Batches, nullptr},
          {"Rollover", Rollover, nullptr},
          {"TrimAndRecycle", TrimAndRecycle, nullptr, 3},
          {"TrimAndRecycleDsync", TrimAndRecycle, dsync, 7},
          {"TruncateBack", TruncateBack, nullptr, 2},
          {"CloseAndReopen", CloseAndReopen, nullptr, 2},
          {"KilledThenOpened", KilledThenOpened, nullptr, 2},
          {"Reading", Reading, nullptr, 3},
          {"BigTail", BigTail, big, 11}};
}

struct Trial {
  size_t life = 0;
  Fault fault;
  bool keeps_cache = true;
};

std::string Describe(const Trial& run) {
  const Fault& fault = run.fault;
  return absl::StrCat("life ", run.life, ", ", CallKindName(fault.kind), " number ", fault.nth,
                      fault.path_contains.empty() ? "" : " on ", fault.path_contains,
                      fault.forever ? " and all after it" : "",
                      fault.error == 0 ? absl::StrCat(" transfer ", fault.max_bytes, " bytes")
                                       : absl::StrCat(" fail with ", strerror(fault.error)),
                      run.keeps_cache ? "" : ", a failed sync drops the cache");
}

// Every way for every call to fail.
std::vector<Trial> RunsFor(const std::vector<std::vector<FileSystemCall>>& lives, bool direct) {
  std::vector<Trial> runs;
  const auto add = [&](size_t life, CallKind kind, const std::string& path, uint64_t nth, int error,
                       bool forever, size_t max_bytes) {
    Trial run;
    run.life = life;
    run.fault = {kind, path, nth, forever, error, max_bytes};
    run.keeps_cache = runs.size() % 2 == 0;
    runs.push_back(run);
  };
  for (size_t life = 0; life < lives.size(); ++life) {
    std::map<std::pair<CallKind, std::string>, uint64_t> counts;
    for (size_t i = 0; i < lives[life].size(); ++i) {
      const FileSystemCall& call = lives[life][i];
      // By its number among all.
      for (bool forever : {false, true}) {
        add(life, CallKind::kAny, "", i + 1, EIO, forever, 0);
        add(life, CallKind::kAny, "", i + 1, ENOSPC, forever, 0);
      }
      // By its number among its kind on its file.
      const uint64_t nth = ++counts[{call.kind, call.path}];
      for (int error : ErrorsOf(call.kind)) {
        add(life, call.kind, call.path, nth, error, false, 0);
        // A call that is interrupted for ever never ends, and is not asked to.
        if (error != EINTR || call.kind == CallKind::kSync ||
            call.kind == CallKind::kSyncDirectory) {
          add(life, call.kind, call.path, nth, error, true, 0);
        }
      }
      if (call.kind == CallKind::kRead || call.kind == CallKind::kWrite) {
        const size_t unit = direct ? 4096 : 1;
        add(life, call.kind, call.path, nth, 0, false, unit);
        add(life, call.kind, call.path, nth, 0, true, direct ? 4096 : 1337);
      }
    }
  }
  return runs;
}

class FaultTest : public ::testing::TestWithParam<Case> {};

TEST_P(FaultTest, NothingAcknowledgedIsLostAndNobodyHangs) {
  const Case& c = GetParam();
  Options options = ModelledLog::SmallOptions(nullptr);
  if (c.adjust) c.adjust(&options);
  std::vector<Trial> runs;
  {
    Lab dry(options, CrashOptions(), std::nullopt, 0);
    c.workload(&dry);
    dry.Finish();
    ASSERT_EQ(dry.wrong(), "");
    runs = RunsFor(dry.Calls(), options.direct_io);
  }
  std::atomic<size_t> next{0};
  std::atomic<uint64_t> done{0}, hits{0}, latches{0}, refusals{0}, images{0};
  std::mutex mutex;
  std::vector<std::string> wrongs;
  const uint64_t step = c.thinning * kThinning;
  const auto work = [&] {
    Watchdog watchdog;
    for (size_t i; (i = next++ * step + CrashSeed() % step) < runs.size();) {
      const Trial& run = runs[i];
      watchdog.Begin(absl::StrCat(c.name, ": ", Describe(run)));
      CrashOptions crash;
      crash.failed_sync_keeps_cache = run.keeps_cache;
      crash.seed = CrashSeed() + i;
      Lab lab(options, crash, run.fault, run.life);
      c.workload(&lab);
      lab.Finish();
      ++done;
      hits += lab.hits();
      latches += lab.latches();
      refusals += lab.refusals();
      images += lab.images();
      if (!lab.wrong().empty()) {
        const std::lock_guard<std::mutex> lock(mutex);
        wrongs.push_back(absl::StrCat(Describe(run), ": ", lab.wrong()));
        if (wrongs.size() >= 10) return;
      }
    }
  };
  std::thread second(work);
  work();
  second.join();
  for (const std::string& wrong : wrongs) {
    ADD_FAILURE() << c.name << ", seed " << CrashSeed() << ": " << wrong;
  }
  std::cout << c.name << ": " << done << " runs, " << hits << " calls failed, " << latches
            << " times latched, " << refusals << " times refused, " << images
            << " disks opened afterwards\n";
}

INSTANTIATE_TEST_SUITE_P(All, FaultTest, ::testing::ValuesIn(Cases()),
                         [](const ::testing::TestParamInfo<Case>& c) {
                           return std::string(c.param.name);
                         });

// ---- Many threads

// Threads that commit, and callbacks: each hears of success or failure, and no success is taken
// back.
TEST(FaultWaitersTest, EveryWaiterAndCallbackIsTold) {
  constexpr int kThreads = 6;
  constexpr int kCommits = 12;
  Watchdog watchdog;
  uint64_t runs = 0, failed_runs = 0;
  for (const CallKind kind : {CallKind::kSync, CallKind::kWrite}) {
    for (uint64_t nth = 1; nth <= 24; nth += kThinning > 1 ? 5 : 1) {
      for (const bool keeps_cache : {true, false}) {
        watchdog.Begin(absl::StrCat("threads, ", CallKindName(kind), " number ", nth, " fails"));
        CrashOptions crash;
        crash.failed_sync_keeps_cache = keeps_cache;
        CrashFileSystem disk(crash);
        ASSERT_EQ(disk.MakeDirectory("/data"), 0);
        ASSERT_EQ(disk.SyncDirectory("/"), 0);
        std::mutex mutex;
        std::map<Lsn, std::string> appended;
        std::set<Lsn> acknowledged;
        std::atomic<int> callbacks_set{0}, callbacks_run{0};
        bool failed = false;
        {
          absl::StatusOr<std::unique_ptr<Log>> log =
              Log::Open(kDirectory, ModelledLog::SmallOptions(&disk));
          ASSERT_TRUE(log.ok()) << log.status().message();
          Fault fault;
          fault.kind = kind;
          fault.path_contains = ".seg";
          fault.nth = nth;
          disk.InjectFault(fault);
          std::vector<std::thread> threads;
          for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&, t] {
              for (int i = 0; i < kCommits; ++i) {
                const std::string payload = absl::StrCat(t, "-", i, std::string(200, 'x'));
                absl::StatusOr<Lsn> lsn = (*log)->Append(payload);
                if (!lsn.ok()) continue;  // never accepted
                {
                  const std::lock_guard<std::mutex> lock(mutex);
                  appended[*lsn] = payload;
                }
                const auto told = [&, lsn = *lsn](const absl::Status& status) {
                  const std::lock_guard<std::mutex> lock(mutex);
                  if (status.ok()) acknowledged.insert(lsn);
                };
                if (t == 0) {
                  ++callbacks_set;
                  const absl::Status status =
                      (*log)->NotifyDurable(*lsn, [&, told](const absl::Status& result) {
                        told(result);
                        ++callbacks_run;
                      });
                  EXPECT_TRUE(status.ok()) << status.message();
                } else {
                  told((*log)->WaitDurable(*lsn));
                }
              }
            });
          }
          for (std::thread& thread : threads) thread.join();
          failed = !(*log)->Close().ok();
        }
        EXPECT_EQ(callbacks_run, callbacks_set);
        // (What fails while a trimmed segment is made a spare fails nobody.)
        EXPECT_LE(failed ? 1u : 0u, disk.faults_hit());
        ++runs;
        failed_runs += failed ? 1 : 0;
        // Dense, whoever appended: what was accepted is one sequence.
        World world;
        for (const auto& [lsn, payload] : appended) {
          ASSERT_EQ(lsn, world.records.size() + 1);
          world.records.push_back(payload);
        }
        if (!acknowledged.empty()) world.acknowledged = *acknowledged.rbegin();
        const CrashState state = disk.Capture();
        const auto check = [&](std::unique_ptr<CrashFileSystem> image) {
          absl::StatusOr<std::unique_ptr<Log>> log =
              Log::Open(kDirectory, ModelledLog::SmallOptions(image.get()));
          ASSERT_TRUE(log.ok()) << log.status().message();
          absl::StatusOr<Contents> contents = ReadAll(log->get());
          ASSERT_TRUE(contents.ok()) << contents.status().message();
          EXPECT_EQ(Violation(world, *contents), "");
        };
        check(state.Kill());
        state.ForEachImage(4, CrashSeed() + nth,
                           [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> image) {
                             check(std::move(image));
                             return !HasFailure();
                           });
        ASSERT_FALSE(HasFailure())
            << CallKindName(kind) << " number " << nth << ", seed " << CrashSeed();
      }
    }
  }
  std::cout << "threads: " << runs << " runs, " << failed_runs << " of them failed\n";
}

// An append waits for the zeros ahead of it while the word about them fails to get into CONTROL.
TEST(FaultWaitersTest, AWaiterForSpaceIsToldWhenTheExtensionFails) {
  Watchdog watchdog;
  watchdog.Begin("an append that waits for space");
  CrashFileSystem disk;
  ASSERT_EQ(disk.MakeDirectory("/data"), 0);
  Options options = ModelledLog::SmallOptions(&disk);
  options.segment_bytes = 4 << 20;
  options.buffer_bytes = 1 << 20;
  options.max_record_bytes = 256 << 10;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(kDirectory, options);
  ASSERT_TRUE(log.ok()) << log.status().message();
  Fault fault;
  fault.kind = CallKind::kWrite;
  fault.path_contains = "CONTROL";
  disk.InjectFault(fault);
  // The log's thread is held before that write until the append waits.
  disk.SetCallHook([&](const FileSystemCall& call, CrashPhase, const CaptureFn&) {
    if (call.kind != CallKind::kWrite || !absl::StrContains(call.path, "CONTROL")) return;
    while ((*log)->stats().space_waits == 0) std::this_thread::yield();
  });
  const std::string record(100 << 10, 'x');
  absl::Status status;
  Lsn accepted = 0;
  while (status.ok()) {
    status = (*log)->Append(record).status();
    if (status.ok()) ++accepted;
  }
  EXPECT_TRUE(IsLatch(status)) << status.ToString();
  EXPECT_EQ((*log)->appended_lsn(), accepted);
  EXPECT_EQ((*log)->Append("later").status(), status);
  EXPECT_EQ((*log)->Close(), status);
  disk.SetCallHook(nullptr);
}

// ---- No space

// For each size of disk: refused before anything is accepted, and on it goes when there is space.
TEST(FaultSpaceTest, RefusedBeforeAcceptanceAndGoesOn) {
  Watchdog watchdog;
  uint64_t refused = 0, opened = 0;
  for (uint64_t limit = 4096; limit <= 160 << 10; limit += kThinning > 1 ? 40 << 10 : 3584) {
    for (const size_t bytes : {size_t{100}, size_t{5000}}) {
      watchdog.Begin(absl::StrCat("space for ", limit, " bytes, records of ", bytes));
      SCOPED_TRACE(absl::StrCat("limit ", limit, ", records of ", bytes));
      CrashFileSystem disk;
      ASSERT_EQ(disk.MakeDirectory("/data"), 0);
      ASSERT_EQ(disk.SyncDirectory("/"), 0);
      disk.SetSpaceLimit(limit);
      ModelledLog model(kDirectory, ModelledLog::SmallOptions(&disk));
      absl::Status status = model.Open();
      if (!status.ok()) {
        ASSERT_TRUE(absl::IsResourceExhausted(status)) << status.message();
        model.Drop();
        disk.SetSpaceLimit(UINT64_MAX);
        ASSERT_TRUE(model.Open().ok());
        disk.SetSpaceLimit(limit);
        ++opened;
      }
      int rounds = 0;
      for (int i = 0; i < 300 && rounds < 3; ++i) {
        const Lsn before = model.log()->appended_lsn();
        status = i % 3 == 2 ? model.AppendBatch(2, bytes / 2, Durability::kDurable)
                            : model.Append(bytes, Durability::kDurable);
        if (status.ok()) continue;
        ++refused;
        ASSERT_TRUE(absl::IsResourceExhausted(status)) << status.message();
        ASSERT_FALSE(IsLatch(status)) << status.message();
        ASSERT_EQ(model.log()->appended_lsn(), before);
        // Still full: refused again, nothing is half-accepted, all of it is readable.
        ASSERT_TRUE(absl::IsResourceExhausted(model.Append(bytes)));
        ASSERT_EQ(model.log()->appended_lsn(), before);
        absl::StatusOr<Contents> contents = ReadAll(model.log());
        ASSERT_TRUE(contents.ok()) << contents.status().message();
        ASSERT_EQ(Violation(model.worlds(), *contents), "");
        disk.SetSpaceLimit(UINT64_MAX);
        ASSERT_TRUE(model.Append(bytes, Durability::kDurable).ok());
        ASSERT_EQ(model.log()->appended_lsn(), before + 1);
        disk.SetSpaceLimit(disk.space_used() + limit / 4);
        ++rounds;
      }
      // A disk that is full stays a disk that can be recovered, when there is space.
      disk.SetSpaceLimit(UINT64_MAX);
      const std::vector<World> worlds = model.worlds();
      disk.Capture().ForEachImage(
          3, CrashSeed(), [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> image) {
            absl::StatusOr<std::unique_ptr<Log>> log =
                Log::Open(kDirectory, ModelledLog::SmallOptions(image.get()));
            EXPECT_TRUE(log.ok()) << log.status().message();
            if (!log.ok()) return false;
            absl::StatusOr<Contents> contents = ReadAll(log->get());
            EXPECT_TRUE(contents.ok()) << contents.status().message();
            if (!contents.ok()) return false;
            EXPECT_EQ(Violation(worlds, *contents), "");
            return !HasFailure();
          });
      ASSERT_TRUE(model.Close().ok());
      model.Drop();
      ASSERT_TRUE(model.Open().ok());
    }
  }
  std::cout << "no space: " << opened << " opens and " << refused << " appends refused\n";
}

}  // namespace
}  // namespace seawall
