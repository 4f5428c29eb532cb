// SPDX-License-Identifier: Apache-2.0
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
#include <atomic>
#include <cerrno>
#include <cstring>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash/crash_model.h"
#include "tests/fault/fault_lab.h"
#include "tests/support/seed.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

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
    case CallKind::kAllocate:
      return {EINTR, EIO, ENOSPC, EDQUOT, EBADF, EINVAL, EOPNOTSUPP};
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
    case CallKind::kRemoveDirectory:
      return {EIO, EROFS, ENOMEM, EBUSY};
    case CallKind::kAny:
      break;
  }
  return {EIO};
}

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

void Reset(Lab* lab) {
  lab->Open();
  for (Lsn first : {20, 3}) {
    for (int i = 0; i < 3; ++i) lab->Append(5000);
    lab->AppendBatch(3, 100, Durability::kWritten);
    lab->Reset(first);
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

// A writer that fills the segment faster than zeros come.
void Hurry(Lab* lab) {
  lab->Open();
  lab->AppendBatch(2, 126 << 10, Durability::kWritten);  // more than a new segment has
  lab->Append(100);
  lab->Append(200 << 10);
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

// Two consumers, over a rollover, a trim, a truncation and another life.
void Cursors(Lab* lab) {
  lab->Open();
  lab->OpenCursor("a");
  for (int i = 0; i < 3; ++i) {
    lab->Append(4000);
    lab->AdvanceCursor("a", 1, i == 1 ? Durability::kAppended : Durability::kDurable);
  }
  lab->OpenCursor("b");
  for (int i = 0; i < 4; ++i) lab->Append(5000);
  lab->AdvanceCursor("a", 0);
  lab->DropCursor("b");
  lab->Trim(4);
  lab->Truncate(2);
  lab->AdvanceCursor("a", 0);
  lab->Close();
  lab->Open();
  lab->Append(10);
  lab->AdvanceCursor("a", 0);
}

// A log that is full: appends are refused, and that is no failure; what a truncation, an opening
// behind a kill, and a trim need is there all the same.
void AtTheCap(Lab* lab) {
  lab->Open();
  lab->FillToCap(5000);
  lab->Truncate(1);
  lab->FillToCap(3000);
  lab->Kill();
  lab->Open();
  lab->Trim(6);
  lab->Close();
  lab->Open();
  lab->FillToCap(5000);
  lab->Close();
}

void Backups(Lab* lab) {
  lab->Open();
  for (int i = 0; i < 5; ++i) lab->Append(5000);
  lab->Backup();
  lab->Append(10);
  lab->Trim(3);
  lab->Backup();
  lab->Append(5000);
}

// Changed over a rollover, a trim, a backup and three lives.
void Metadata(Lab* lab) {
  lab->Open();
  lab->SetMetadata("one");
  for (int i = 0; i < 5; ++i) lab->Append(5000);
  lab->SetMetadata(std::string(kMaxMetadataBytes, '2'));
  lab->Trim(3);
  lab->Backup();
  lab->Kill();
  lab->Open();
  lab->SetMetadata("");
  lab->SetMetadata("three");
  lab->Append(10);
  lab->Close();
  lab->Open();
  lab->Append(10);
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
  const auto cursors = [](Options* o) {
    o->cursors = true;
    o->segment_bytes = 24 << 10;
  };
  const auto cursors_dsync = [](Options* o) {
    o->cursors = true;
    o->segment_bytes = 24 << 10;
    o->sync_method = SyncMethod::kODsync;
  };
  const auto metadata = [](Options* o) { o->metadata = "zero"; };
  const auto cap = [](Options* o) { o->max_log_bytes = 3 * o->segment_bytes + (64 << 10); };
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
          {"Reset", Reset, nullptr, 2},
          {"CloseAndReopen", CloseAndReopen, nullptr, 2},
          {"KilledThenOpened", KilledThenOpened, nullptr, 2},
          {"Reading", Reading, nullptr, 3},
          {"AtTheCap", AtTheCap, cap, 7},
          {"Backups", Backups, nullptr, 5},
          {"Hurry", Hurry, big, 3},
          {"BigTail", BigTail, big, 11},
          {"Metadata", Metadata, metadata, 5},
          {"Cursors", Cursors, cursors, 5},
          {"CursorsDsync", Cursors, cursors_dsync, 13}};
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

}  // namespace
}  // namespace seawall
