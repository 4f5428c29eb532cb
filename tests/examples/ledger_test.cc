// SPDX-License-Identifier: Apache-2.0
// examples/ledger: what it promises, on a real directory and on a disk that loses power.
// SEAWALL_CRASH_SEED chooses other power losses.
#include "examples/ledger/ledger.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "examples/ledger/journal.h"
#include "examples/ledger/snapshot.h"
#include "examples/ledger/worker.h"
#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/seed.h"

namespace ledger {
namespace {

using seawall::CallKind;
using seawall::CrashFileSystem;
using seawall::Fault;
using seawall::FileSystem;
using seawall::Lsn;

constexpr char kBank[] = "/bank";

LedgerOptions SmallOptions(FileSystem* fs) {
  LedgerOptions options;
  options.accounts = 4;
  options.opening_balance = 1000;
  options.log.segment_bytes = 16 << 10;
  options.log.buffer_bytes = 8 << 10;
  options.log.max_record_bytes = 1024;
  options.log.file_system = fs;
  return options;
}

std::unique_ptr<Ledger> MustOpen(const std::string& directory, const LedgerOptions& options) {
  absl::StatusOr<std::unique_ptr<Ledger>> ledger = Ledger::Open(directory, options);
  EXPECT_TRUE(ledger.ok()) << ledger.status();
  return ledger.ok() ? *std::move(ledger) : nullptr;
}

State MustRead(Ledger* ledger) {
  absl::StatusOr<State> state = ledger->Read();
  EXPECT_TRUE(state.ok()) << state.status();
  return state.ok() ? *state : State();
}

// The request-th transfer of a client that never runs out of money.
Transfer Nth(uint64_t request) {
  const auto from = static_cast<uint32_t>(request % 4);
  return {from, (from + 1) % 4, static_cast<int64_t>(request % 7 + 1), 1, request};
}

void CommitUpTo(Ledger* ledger, uint64_t last) {
  for (uint64_t request = 1; request <= last; ++request) {
    absl::StatusOr<Lsn> done = ledger->Commit(Nth(request));
    ASSERT_TRUE(done.ok()) << done.status();
  }
}

std::vector<int64_t> BalancesAfter(uint64_t requests) {
  std::vector<int64_t> balances(4, 1000);
  for (uint64_t request = 1; request <= requests; ++request) {
    const Transfer transfer = Nth(request);
    balances[transfer.from] -= transfer.amount;
    balances[transfer.to] += transfer.amount;
  }
  return balances;
}

std::string FreshDirectory(const std::string& name) {
  static std::atomic<int> count{0};
  return ::testing::TempDir() + "/" + name + std::to_string(::getpid()) + "_" +
         std::to_string(count++);
}

// ---- The journal's records.

TEST(JournalTest, DecodesWhatItEncodes) {
  const Transfer transfer = {17, 42, 250, 3, 41};
  EXPECT_EQ(EncodeRecord(DebitOf(transfer)), "debit account=17 amount=250 client=3 request=41");
  EXPECT_EQ(EncodeRecord(CreditOf(transfer)), "credit account=42 amount=250 client=3 request=41");
  for (const JournalRecord& record : {DebitOf(transfer), CreditOf(transfer)}) {
    absl::StatusOr<JournalRecord> decoded = DecodeRecord(EncodeRecord(record));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(EncodeRecord(*decoded), EncodeRecord(record));
  }
}

TEST(JournalTest, RefusesWhatIsNoRecord) {
  for (const char* text :
       {"", "debit", "debt account=1 amount=1 client=1 request=1",
        "debit account=1 amount=0 client=1 request=1", "debit account=1 amount=1 client=1 request=",
        "debit account=1 amount=1 client=1 request=1 ",
        "debit account=-1 amount=1 client=1 request=1",
        "debit amount=1 account=1 client=1 request=1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DecodeRecord(text).status())) << text;
  }
}

// ---- Transfers.

TEST(LedgerTest, MovesMoneyAndRemembersIt) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  EXPECT_EQ(MustRead(ledger.get()).balances, std::vector<int64_t>({1000, 1000, 1000, 1000}));
  absl::StatusOr<Lsn> done = ledger->Commit({1, 2, 300, 7, 1});
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(*done, 2u);  // a debit and a credit
  ASSERT_TRUE(ledger->Close().ok());

  ledger = MustOpen(kBank, SmallOptions(&disk));
  const State state = MustRead(ledger.get());
  EXPECT_EQ(state.balances, std::vector<int64_t>({1000, 700, 1300, 1000}));
  EXPECT_EQ(state.last_request, (std::map<uint32_t, uint64_t>{{7, 1}}));
  EXPECT_EQ(state.total, 4000);
  EXPECT_EQ(ledger->redone_records(), 2u);
}

TEST(LedgerTest, RefusesAndJournalsNothing) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  EXPECT_TRUE(absl::IsInvalidArgument(ledger->Commit({0, 1, 0, 1, 1}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ledger->Commit({0, 1, -5, 1, 1}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ledger->Commit({1, 1, 5, 1, 1}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ledger->Commit({0, 1, 5, 1, 0}).status()));
  EXPECT_TRUE(absl::IsOutOfRange(ledger->Commit({4, 1, 5, 1, 1}).status()));
  EXPECT_TRUE(absl::IsOutOfRange(ledger->Commit({1, 4, 5, 1, 1}).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(ledger->Commit({0, 1, 1001, 1, 1}).status()));
  EXPECT_EQ(ledger->log_stats().appended_lsn, 0u);
  EXPECT_TRUE(ledger->Commit({0, 1, 1000, 1, 1}).ok());
  EXPECT_EQ(MustRead(ledger.get()).balances, std::vector<int64_t>({0, 2000, 1000, 1000}));
}

TEST(LedgerTest, DoesARequestOnce) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  ASSERT_TRUE(ledger->Commit({0, 1, 10, 1, 1}).ok());
  ASSERT_TRUE(ledger->Commit({0, 1, 10, 1, 1}).ok());
  ASSERT_TRUE(ledger->Checkpoint().ok());
  ledger = nullptr;
  ledger = MustOpen(kBank, SmallOptions(&disk));
  ASSERT_TRUE(ledger->Commit({0, 1, 10, 1, 1}).ok());
  EXPECT_EQ(MustRead(ledger.get()).balances[0], 990);
  ASSERT_TRUE(ledger->Commit({0, 1, 10, 1, 2}).ok());
  EXPECT_EQ(MustRead(ledger.get()).balances[0], 980);
}

TEST(LedgerTest, RefusesUnusableOptions) {
  CrashFileSystem disk;
  LedgerOptions options = SmallOptions(&disk);
  options.accounts = 1;
  EXPECT_TRUE(absl::IsInvalidArgument(Ledger::Open(kBank, options).status()));
  options = SmallOptions(&disk);
  options.opening_balance = INT64_MAX / 2;
  EXPECT_TRUE(absl::IsInvalidArgument(Ledger::Open(kBank, options).status()));
  EXPECT_TRUE(disk.AllFiles().empty());
}

TEST(LedgerTest, OneAtATime) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  EXPECT_TRUE(absl::IsFailedPrecondition(Ledger::Open(kBank, SmallOptions(&disk)).status()));
}

TEST(LedgerTest, AfterAFailedSyncNothingIsAcknowledgedOrShown) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  ASSERT_TRUE(ledger->Commit(Nth(1)).ok());
  Fault fault;
  fault.kind = CallKind::kSync;
  fault.path_contains = "/bank/log/";
  fault.forever = true;  // the log may sync a spare before the commit
  disk.InjectFault(fault);
  EXPECT_FALSE(ledger->Commit(Nth(2)).ok());
  EXPECT_FALSE(ledger->Commit(Nth(2)).ok());  // it is in memory, and must not count as done
  EXPECT_FALSE(ledger->Commit(Nth(3)).ok());
  EXPECT_FALSE(ledger->Read().ok());
  EXPECT_FALSE(ledger->Checkpoint().ok());
  // A snapshot that is ahead of the log would be the end of the ledger.
  absl::StatusOr<State> snapshot = ReadSnapshot(&disk, kBank);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ(snapshot->lsn, 0u);
  ledger = nullptr;
  disk.ClearFaults();
  ledger = MustOpen(kBank, SmallOptions(&disk));
  const State state = MustRead(ledger.get());
  const uint64_t last = state.last_request.at(1);
  EXPECT_TRUE(last == 1 || last == 2) << last;
  EXPECT_EQ(state.balances, BalancesAfter(last));
}

// ---- Checkpoints.

TEST(LedgerTest, ACheckpointTrimsTheLog) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  CommitUpTo(ledger.get(), 300);
  EXPECT_EQ(ledger->log_stats().first_lsn, 1u);
  ASSERT_TRUE(ledger->Checkpoint().ok());
  EXPECT_GT(ledger->log_stats().first_lsn, 300u);
  ledger = nullptr;

  ledger = MustOpen(kBank, SmallOptions(&disk));
  EXPECT_EQ(ledger->snapshot_lsn(), 600u);
  EXPECT_EQ(ledger->redone_records(), 0u);
  EXPECT_EQ(MustRead(ledger.get()).balances, BalancesAfter(300));
  ASSERT_TRUE(ledger->Commit(Nth(301)).ok());
  ledger = nullptr;

  ledger = MustOpen(kBank, SmallOptions(&disk));
  EXPECT_EQ(ledger->snapshot_lsn(), 600u);
  EXPECT_EQ(ledger->redone_records(), 2u);
  EXPECT_EQ(MustRead(ledger.get()).balances, BalancesAfter(301));
}

TEST(LedgerTest, ACheckpointReplacesWhatAnInterruptedOneLeft) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  CommitUpTo(ledger.get(), 3);
  ASSERT_EQ(disk.PutFile("/bank/snapshot.new", std::string(10000, 'x')), 0);
  ASSERT_TRUE(ledger->Checkpoint().ok());
  ledger = nullptr;
  ledger = MustOpen(kBank, SmallOptions(&disk));
  EXPECT_EQ(ledger->snapshot_lsn(), 6u);
  EXPECT_EQ(MustRead(ledger.get()).balances, BalancesAfter(3));
}

TEST(LedgerTest, AFailedCheckpointHarmsNothing) {
  for (CallKind kind : {CallKind::kOpen, CallKind::kWrite, CallKind::kSync, CallKind::kRename}) {
    SCOPED_TRACE(seawall::CallKindName(kind));
    CrashFileSystem disk;
    std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
    CommitUpTo(ledger.get(), 5);
    Fault fault;
    fault.kind = kind;
    fault.path_contains = "/bank/snapshot";
    disk.InjectFault(fault);
    EXPECT_TRUE(absl::IsUnavailable(ledger->Checkpoint()));
    EXPECT_EQ(disk.faults_hit(), 1u);
    ASSERT_TRUE(ledger->Commit(Nth(6)).ok());
    EXPECT_TRUE(ledger->Checkpoint().ok());
    ledger = nullptr;
    ledger = MustOpen(kBank, SmallOptions(&disk));
    EXPECT_EQ(ledger->snapshot_lsn(), 12u);
    EXPECT_EQ(MustRead(ledger.get()).balances, BalancesAfter(6));
  }
}

TEST(LedgerTest, SnapshotsGoOnAfterShortAndInterruptedCalls) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  CommitUpTo(ledger.get(), 5);
  for (CallKind kind : {CallKind::kWrite, CallKind::kRead}) {
    Fault fault;
    fault.kind = kind;
    fault.path_contains = "/bank/snapshot";
    fault.error = EINTR;
    disk.InjectFault(fault);
    fault.error = 0;
    fault.max_bytes = 5;
    fault.forever = true;
    disk.InjectFault(fault);
  }
  ASSERT_TRUE(ledger->Checkpoint().ok());
  ledger = nullptr;
  ledger = MustOpen(kBank, SmallOptions(&disk));
  EXPECT_GT(disk.faults_hit(), 10u);
  EXPECT_EQ(ledger->snapshot_lsn(), 10u);
  EXPECT_EQ(MustRead(ledger.get()).balances, BalancesAfter(5));
}

TEST(LedgerTest, AFullDiskFailsACheckpointOnly) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  CommitUpTo(ledger.get(), 5);
  Fault fault;
  fault.kind = CallKind::kWrite;
  fault.path_contains = "/bank/snapshot";
  fault.error = ENOSPC;
  fault.forever = true;
  disk.InjectFault(fault);
  EXPECT_TRUE(absl::IsResourceExhausted(ledger->Checkpoint()));
  EXPECT_TRUE(ledger->Commit(Nth(6)).ok());
  disk.ClearFaults();
  EXPECT_TRUE(ledger->Checkpoint().ok());
}

// ---- Damage.

TEST(LedgerTest, ADamagedSnapshotIsAnError) {
  CrashFileSystem disk;
  MustOpen(kBank, SmallOptions(&disk)) = nullptr;
  std::string snapshot;
  ASSERT_EQ(disk.GetFile("/bank/snapshot", &snapshot), 0);
  for (uint64_t bit = 0; bit < snapshot.size() * 8; ++bit) {
    ASSERT_EQ(disk.FlipBit("/bank/snapshot", bit), 0);
    EXPECT_TRUE(absl::IsDataLoss(ReadSnapshot(&disk, kBank).status())) << "bit " << bit;
    ASSERT_EQ(disk.FlipBit("/bank/snapshot", bit), 0);
  }
  for (size_t length = 0; length < snapshot.size(); ++length) {
    ASSERT_EQ(disk.SetLength("/bank/snapshot", length), 0);
    EXPECT_TRUE(absl::IsDataLoss(ReadSnapshot(&disk, kBank).status())) << length << " bytes";
    ASSERT_EQ(disk.PutFile("/bank/snapshot", snapshot), 0);
  }
  ASSERT_EQ(disk.FlipBit("/bank/snapshot", 100), 0);
  EXPECT_TRUE(absl::IsDataLoss(Ledger::Open(kBank, SmallOptions(&disk)).status()));
}

TEST(LedgerTest, AMissingPartIsAnError) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  CommitUpTo(ledger.get(), 3);
  ASSERT_TRUE(ledger->Close().ok());
  ledger = nullptr;

  std::unique_ptr<CrashFileSystem> no_snapshot = disk.Clone();
  ASSERT_EQ(no_snapshot->DeleteFile("/bank/snapshot"), 0);
  EXPECT_TRUE(absl::IsDataLoss(Ledger::Open(kBank, SmallOptions(no_snapshot.get())).status()));

  std::unique_ptr<CrashFileSystem> no_log = disk.Clone();
  for (const std::string& path : disk.AllFiles()) {
    if (path.find("/bank/log/") == 0 && path.back() != '/') no_log->DeleteFile(path);
  }
  EXPECT_TRUE(absl::IsNotFound(Ledger::Open(kBank, SmallOptions(no_log.get())).status()));
}

TEST(LedgerTest, ASnapshotOfAnotherTimeIsAnError) {
  CrashFileSystem disk;
  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  std::string first;
  ASSERT_EQ(disk.GetFile("/bank/snapshot", &first), 0);
  CommitUpTo(ledger.get(), 300);
  ASSERT_TRUE(ledger->Checkpoint().ok());
  ASSERT_TRUE(ledger->Close().ok());
  ledger = nullptr;

  // Older than what was trimmed; newer than the log.
  std::unique_ptr<CrashFileSystem> older = disk.Clone();
  ASSERT_EQ(older->PutFile("/bank/snapshot", first), 0);
  EXPECT_TRUE(absl::IsDataLoss(Ledger::Open(kBank, SmallOptions(older.get())).status()));
  absl::StatusOr<State> state = ReadSnapshot(&disk, kBank);
  ASSERT_TRUE(state.ok()) << state.status();
  ++state->lsn;
  ASSERT_TRUE(WriteSnapshot(&disk, kBank, *state).ok());
  EXPECT_TRUE(absl::IsDataLoss(Ledger::Open(kBank, SmallOptions(&disk)).status()));
}

TEST(LedgerTest, RecordsOfSomethingElseAreAnError) {
  CrashFileSystem disk;
  MustOpen(kBank, SmallOptions(&disk)) = nullptr;
  absl::StatusOr<std::unique_ptr<seawall::Log>> log =
      seawall::Log::Open("/bank/log", SmallOptions(&disk).log);
  ASSERT_TRUE(log.ok()) << log.status();
  ASSERT_TRUE((*log)->AppendDurable("credit account=1 amount=5 client=1 request=1").ok());
  log->reset();
  // Money from nowhere.
  EXPECT_TRUE(absl::IsDataLoss(Ledger::Open(kBank, SmallOptions(&disk)).status()));
}

// ---- Threads.

// Two accounts with 1 each, and everybody moves 1: whether that is possible depends on who came
// before. So a balance below 0 while the log is replayed shows that memory changed in another order
// than the log says.
TEST(LedgerTest, MemoryGoesInTheOrderOfTheLog) {
  const std::string directory = FreshDirectory("order");
  LedgerOptions options = SmallOptions(nullptr);
  options.accounts = 2;
  options.opening_balance = 1;
  std::unique_ptr<Ledger> ledger = MustOpen(directory, options);
  std::atomic<int> committed{0};
  std::vector<std::thread> threads;
  for (uint32_t client = 0; client < 16; ++client) {
    threads.emplace_back([&, client] {
      for (uint64_t request = 1; request <= 50; ++request) {
        const uint32_t from = TransferOf(client, request).from % 2;
        absl::StatusOr<Lsn> done = ledger->Commit({from, 1 - from, 1, client, request});
        if (done.ok()) ++committed;
        EXPECT_TRUE(done.ok() || absl::IsFailedPrecondition(done.status())) << done.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const State before = MustRead(ledger.get());
  EXPECT_EQ(before.lsn, 2u * committed);
  ASSERT_TRUE(ledger->Close().ok());
  ledger = nullptr;

  absl::StatusOr<std::unique_ptr<seawall::Reader>> reader =
      seawall::Reader::OpenReadOnly(directory + "/log");
  ASSERT_TRUE(reader.ok()) << reader.status();
  State replayed;
  replayed.balances.assign(2, 1);
  seawall::Record record;
  while ((*reader)->Next(&record)) {
    absl::StatusOr<JournalRecord> journaled = DecodeRecord(record.payload);
    ASSERT_TRUE(journaled.ok()) << journaled.status();
    ASSERT_TRUE(ApplyRecord(*journaled, record.lsn, &replayed).ok());
    ASSERT_GE(replayed.balances[journaled->account], 0) << "after record " << record.lsn;
    ASSERT_EQ(record.batch_continues, journaled->kind == JournalRecord::Kind::kDebit);
  }
  EXPECT_TRUE((*reader)->status().ok()) << (*reader)->status();
  EXPECT_EQ(replayed.balances, before.balances);
  EXPECT_EQ(MustRead(MustOpen(directory, options).get()).balances, before.balances);
}

TEST(LedgerTest, ThreadsCommitWhileCheckpointsRun) {
  const std::string directory = FreshDirectory("threads");
  LedgerOptions options = SmallOptions(nullptr);
  options.accounts = DrillOptions().accounts;
  options.opening_balance = DrillOptions().opening_balance;
  std::unique_ptr<Ledger> ledger = MustOpen(directory, options);
  constexpr uint32_t kClients = 6;
  constexpr uint64_t kRequests = 80;
  std::atomic<uint32_t> busy{kClients};
  std::vector<std::thread> threads;
  for (uint32_t client = 0; client < kClients; ++client) {
    threads.emplace_back([&, client] {
      for (uint64_t request = 1; request <= kRequests; ++request) {
        absl::StatusOr<Lsn> done = ledger->Commit(TransferOf(client, request));
        EXPECT_TRUE(done.ok()) << done.status();
      }
      --busy;
    });
  }
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (busy > 0) {
        absl::Status status = ledger->Checkpoint();
        EXPECT_TRUE(status.ok()) << status;
        absl::StatusOr<State> state = ledger->Read();
        EXPECT_TRUE(state.ok()) << state.status();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();

  std::vector<int64_t> expected(options.accounts, options.opening_balance);
  for (uint32_t client = 0; client < kClients; ++client) {
    for (uint64_t request = 1; request <= kRequests; ++request) {
      const Transfer transfer = TransferOf(client, request);
      expected[transfer.from] -= transfer.amount;
      expected[transfer.to] += transfer.amount;
    }
  }
  EXPECT_EQ(MustRead(ledger.get()).balances, expected);
  ASSERT_TRUE(ledger->Close().ok());
  ledger = nullptr;
  EXPECT_EQ(MustRead(MustOpen(directory, options).get()).balances, expected);
}

// ---- Power.

// What the ledger has told its caller; the log's background thread looks at it, too.
struct Promise {
  std::atomic<uint64_t> begun{0};
  std::atomic<uint64_t> acknowledged{0};
};

// Opens what a power loss left; then goes on with it, cleanly.
::testing::AssertionResult HoldsOn(CrashFileSystem* disk, uint64_t least, uint64_t most) {
  absl::StatusOr<std::unique_ptr<Ledger>> ledger = Ledger::Open(kBank, SmallOptions(disk));
  if (!ledger.ok()) return ::testing::AssertionFailure() << ledger.status();
  absl::StatusOr<State> state = (*ledger)->Read();
  if (!state.ok()) return ::testing::AssertionFailure() << state.status();
  const auto found = state->last_request.find(1);
  const uint64_t last = found == state->last_request.end() ? 0 : found->second;
  if (last < least || last > most || state->balances != BalancesAfter(last)) {
    return ::testing::AssertionFailure()
           << "request " << last << " is the last, expected " << least << " to " << most
           << "; balances " << ::testing::PrintToString(state->balances);
  }
  absl::StatusOr<Lsn> next = (*ledger)->Commit(Nth(last + 1));
  if (!next.ok()) return ::testing::AssertionFailure() << next.status();
  return ::testing::AssertionSuccess();
}

TEST(LedgerTest, SurvivesPowerLossAtEveryStepOfCreationAndCheckpoints) {
  CrashFileSystem disk;
  Promise promise;
  const uint64_t first_seed = seawall::CrashSeed();
  uint64_t moments = 0, images_opened = 0;
  const auto check = [&](const seawall::CrashState& state, size_t images, uint64_t moment) {
    const uint64_t least = promise.acknowledged;
    const uint64_t most = promise.begun;
    state.ForEachImage(
        images, first_seed + 1000003 * moment,
        [&](const seawall::CrashChoice& choice, std::unique_ptr<CrashFileSystem> after) {
          ++images_opened;
          EXPECT_TRUE(HoldsOn(after.get(), least, most))
              << "SEAWALL_CRASH_SEED=" << first_seed << ", moment " << moment << ", choice "
              << choice.ToString() << "\n"
              << state.Describe(choice);
          return !::testing::Test::HasFailure();
        });
  };
  disk.SetCallHook([&](const seawall::FileSystemCall& call, seawall::CrashPhase,
                       const seawall::CaptureFn& capture) {
    if (::testing::Test::HasFailure()) return;
    // The engine's own steps have a test of their own; here they are looked at now and then.
    const bool ours = call.path.find("/bank/log") == std::string::npos;
    const bool names = call.kind != CallKind::kWrite && call.kind != CallKind::kSync;
    if (ours || names || call.ordinal % 10 == 0) check(capture(), ours ? 30 : 4, call.ordinal);
    ++moments;
  });

  std::unique_ptr<Ledger> ledger = MustOpen(kBank, SmallOptions(&disk));
  ASSERT_NE(ledger, nullptr);
  for (uint64_t request = 1; request <= 200 && !HasFailure(); ++request) {
    promise.begun = request;
    ASSERT_TRUE(ledger->Commit(Nth(request)).ok());
    promise.acknowledged = request;
    if (request % 40 == 0) {
      ASSERT_TRUE(ledger->Checkpoint().ok());
    }
  }
  EXPECT_GT(ledger->log_stats().first_lsn, 1u);  // it was trimmed
  EXPECT_GT(moments, 400u);
  disk.SetCallHook(nullptr);
  check(disk.Capture(), 30, 0);
  std::cout << images_opened << " disks after " << moments << " moments, seed " << first_seed
            << "\n";
}

}  // namespace
}  // namespace ledger
