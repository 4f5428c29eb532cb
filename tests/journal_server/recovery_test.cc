// SPDX-License-Identifier: Apache-2.0
// Snapshots and redo: what comes back is what was there.
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "examples/journal_server/effect.h"
#include "examples/journal_server/journal.h"
#include "examples/journal_server/snapshot.h"
#include "gtest/gtest.h"
#include "tests/journal_server/store_test_util.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/seed.h"
#include "tests/support/test_util.h"

namespace journal_server {
namespace {

using seawall::TempDir;

TEST(EffectTest, RecordsComeBack) {
  std::string record;
  const std::vector<Effect> effects = {{EffectKind::kSet, "key", std::string_view("v\0w", 3), 5},
                                       {EffectKind::kFlush, "", "", 0},
                                       {EffectKind::kExpire, "k", "", INT64_MIN},
                                       {EffectKind::kPopBack, "", "", INT64_MAX}};
  for (const Effect& effect : effects) AppendEffect(effect, &record);
  auto decoded = DecodeRecord(record);
  ASSERT_OK(decoded);
  ASSERT_EQ(decoded->size(), effects.size());
  for (size_t i = 0; i < effects.size(); ++i) {
    EXPECT_EQ((*decoded)[i].kind, effects[i].kind);
    EXPECT_EQ((*decoded)[i].key, effects[i].key);
    EXPECT_EQ((*decoded)[i].value, effects[i].value);
    EXPECT_EQ((*decoded)[i].number, effects[i].number);
  }
}

TEST(EffectTest, WhatIsNoRecordIsRefused) {
  std::string record;
  AppendEffect({EffectKind::kSet, "key", "value", 5}, &record);
  for (size_t size = 0; size < record.size(); ++size) {
    if (size == 1) continue;  // no effects at all
    EXPECT_FALSE(DecodeRecord(record.substr(0, size)).ok()) << size;
  }
  record[0] = 2;
  EXPECT_TRUE(seawall::Fails(DecodeRecord(record), absl::StatusCode::kDataLoss, {"version"}));
  const std::string endless = std::string("\1\1") + std::string(12, '\xff');
  EXPECT_FALSE(DecodeRecord(endless).ok());
}

std::string RandomCommand(std::mt19937_64* random) {
  const auto pick = [random](uint64_t n) { return std::to_string((*random)() % n); };
  const std::string key = "k" + pick(6);
  switch ((*random)() % 12) {
    case 0:
      return "SET " + key + " " + pick(100);
    case 1:
      return "SET " + key + " " + pick(100) + " PX " + pick(50);
    case 2:
      return "APPEND " + key + " " + pick(10);
    case 3:
      return "INCR " + key;
    case 4:
      return "DEL " + key + " k" + pick(6);
    case 5:
    case 6:
      return "RPUSH " + key + " " + pick(100) + " " + pick(100);
    case 7:
      return "LPUSH " + key + " " + pick(100);
    case 8:
      return "LPOP " + key + " " + pick(4);
    case 9:
      return "RPOP " + key;
    case 10:
      return "PEXPIRE " + key + " " + pick(50);
    default:
      return (*random)() % 20 == 0 ? "FLUSHDB" : "PERSIST " + key;
  }
}

// A command or a transaction.
void Step(std::mt19937_64* random, Bench* bench) {
  bench->now_ms += (*random)() % 5;
  if ((*random)() % 4 != 0) {
    (*bench)(RandomCommand(random));
    return;
  }
  (*bench)("MULTI");
  for (uint64_t n = (*random)() % 5; n > 0; --n) (*bench)(RandomCommand(random));
  // Some are not journaled: they must leave nothing behind.
  if ((*random)() % 4 == 0) {
    bench->journal.answer = {JournalSink::Result::Code::kRefused, "no"};
  }
  (*bench)("EXEC");
  bench->journal.answer = {};
}

// Keys of a snapshot are seen at different times, here with changes between any two of them; with
// the log behind its beginning it makes the store as it is in the end.
TEST(RecoveryTest, ASnapshotTakenWhileTheStoreChanges) {
  std::mt19937_64 random(seawall::TestSeed());
  for (int round = 0; round < 400; ++round) {
    Bench bench;
    for (uint64_t n = random() % 30; n > 0; --n) Step(&random, &bench);
    const seawall::Lsn begin = bench.journal.records.size();
    Store restored;
    uint64_t cursor = 0;
    do {
      cursor = bench.store.Visit(cursor, [&restored](std::string_view key, const Object& object) {
        restored.Restore(key, object);
        return false;
      });
      for (uint64_t n = random() % 6; n > 0; --n) Step(&random, &bench);
    } while (cursor != 0);
    for (uint64_t n = random() % 10; n > 0; --n) Step(&random, &bench);
    Redo(bench.journal.records, begin + 1, &restored);
    ASSERT_EQ(Dump(restored), Dump(bench.store))
        << "round " << round << " of seed " << seawall::TestSeed();
    EXPECT_EQ(restored.expiring(), bench.store.expiring());
    Store redone;
    Redo(bench.journal.records, 1, &redone);
    ASSERT_EQ(Dump(redone), Dump(bench.store));
  }
}

// A snapshot of `store` in `directory`, all in one chunk each three keys.
absl::Status WriteSnapshot(const std::string& directory, const Store& store, seawall::Lsn begin,
                           seawall::Lsn end) {
  auto writer = SnapshotWriter::Create(nullptr, directory, begin);
  if (!writer.ok()) return writer.status();
  uint64_t cursor = 0, keys = 0;
  absl::Status status;
  do {
    std::string chunk;
    cursor = store.Visit(cursor, [&](std::string_view key, const Object& object) {
      AppendEntry(key, object, &chunk);
      return ++keys % 3 != 0;
    });
    status = (*writer)->WriteChunk(chunk);
  } while (status.ok() && cursor != 0);
  return status.ok() ? (*writer)->Finish(keys, end) : status;
}

void Fill(Bench* bench) {
  for (const char* line : {"SET a 1", "SET b 2 EX 100", "RPUSH l x y z", "SET empty \"\"",
                           "RPUSH m \"\"", "PEXPIRE m 5000", "APPEND a 2"}) {
    (*bench)(line);
  }
}

TEST(SnapshotTest, ComesBack) {
  TempDir dir;
  Bench bench;
  Fill(&bench);
  ASSERT_OK(WriteSnapshot(dir.path(), bench.store, 5, 7));
  Store restored;
  auto info = LoadSnapshot(nullptr, SnapshotPath(dir.path()), &restored);
  ASSERT_OK(info);
  EXPECT_EQ(info->begin_lsn, 5u);
  EXPECT_EQ(info->end_lsn, 7u);
  EXPECT_EQ(info->keys, 5u);
  EXPECT_EQ(Dump(restored), Dump(bench.store));
  EXPECT_EQ(restored.Find("a")->lsn, bench.store.Find("a")->lsn);
  EXPECT_EQ(restored.expiring(), 2u);
}

TEST(SnapshotTest, NoneIsAnEmptyStore) {
  TempDir dir;
  Store store;
  auto info = LoadSnapshot(nullptr, SnapshotPath(dir.path()), &store);
  ASSERT_OK(info);
  EXPECT_EQ(info->begin_lsn, 0u);
  EXPECT_EQ(store.size(), 0u);
}

TEST(SnapshotTest, AnyBitAndAnyLengthIsNoticed) {
  TempDir dir;
  Bench bench;
  Fill(&bench);
  ASSERT_OK(WriteSnapshot(dir.path(), bench.store, 5, 7));
  const std::string path = SnapshotPath(dir.path());
  const std::string good = seawall::ReadFile(path);
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    seawall::FlipBit(&bad, bit);
    seawall::WriteFile(path, bad);
    Store store;
    ASSERT_TRUE(seawall::Fails(LoadSnapshot(nullptr, path, &store), absl::StatusCode::kDataLoss,
                               {path, "offset"}))
        << "bit " << bit;
  }
  for (size_t size = 0; size < good.size(); ++size) {
    seawall::WriteFile(path, good.substr(0, size));
    Store store;
    ASSERT_TRUE(seawall::Fails(LoadSnapshot(nullptr, path, &store), absl::StatusCode::kDataLoss,
                               {path, "offset"}))
        << size << " bytes";
  }
  seawall::WriteFile(path, good + "x");
  Store store;
  EXPECT_TRUE(seawall::Fails(LoadSnapshot(nullptr, path, &store), absl::StatusCode::kDataLoss));
}

TEST(SnapshotTest, AnAbandonedOneLeavesTheOneBefore) {
  TempDir dir;
  Bench bench;
  Fill(&bench);
  ASSERT_OK(WriteSnapshot(dir.path(), bench.store, 5, 7));
  {
    auto writer = SnapshotWriter::Create(nullptr, dir.path(), 9);
    ASSERT_OK(writer);
    ASSERT_OK((*writer)->WriteChunk("half a snap"));
  }
  EXPECT_EQ(seawall::DirectoryImage(dir.path()).Names(), "snapshot");
  Store restored;
  ASSERT_OK(LoadSnapshot(nullptr, SnapshotPath(dir.path()), &restored));
  EXPECT_EQ(Dump(restored), Dump(bench.store));
}

// ---- With a log

std::string Set(const std::string& key, const std::string& value) {
  std::string record;
  AppendEffect({EffectKind::kSet, key, value, 0}, &record);
  return record;
}

TEST(JournalTest, RedoesWhatIsBehindTheSnapshot) {
  TempDir dir;
  {
    Store store;
    auto journal = Journal::Open(dir.path(), {}, &store, [] {});
    ASSERT_OK(journal);
    for (int i = 1; i <= 10; ++i) {
      EXPECT_EQ((*journal)->next_lsn(), static_cast<seawall::Lsn>(i));
      ASSERT_EQ((*journal)->Append(Set("k", std::to_string(i))).code,
                JournalSink::Result::Code::kAppended);
    }
    ASSERT_OK((*journal)->Sync(10));
    store.Apply({EffectKind::kSet, "k", "8", 0}, 8);
    ASSERT_OK(WriteSnapshot(dir.path(), store, 7, 8));
  }
  Store store;
  auto journal = Journal::Open(dir.path(), {}, &store, [] {});
  ASSERT_OK(journal);
  EXPECT_EQ(*store.Find("k")->string(), "10");
  EXPECT_EQ((*journal)->recovery().redone_records, 3u);
  EXPECT_EQ((*journal)->recovery().snapshot_keys, 1u);
}

TEST(JournalTest, ASnapshotThatTheLogDoesNotSuitIsRefused) {
  TempDir dir;
  {
    Store store;
    auto journal = Journal::Open(dir.path(), {}, &store, [] {});
    ASSERT_OK(journal);
    ASSERT_EQ((*journal)->Append(Set("k", "v")).code, JournalSink::Result::Code::kAppended);
    ASSERT_OK((*journal)->log()->Close());
  }
  Store store;
  ASSERT_OK(WriteSnapshot(dir.path(), store, 1, 2));  // record 2 was lost
  EXPECT_TRUE(seawall::Fails(Journal::Open(dir.path(), {}, &store, [] {}),
                             absl::StatusCode::kDataLoss, {"records 2 to 2", "1 to 1"}));
}

// All syncs fail from a moment on.
class FailingSyncs : public seawall::ForwardingFileSystem {
 public:
  FailingSyncs() : ForwardingFileSystem(seawall::FileSystem::Posix()) {}

  int Open(const std::string& path, const seawall::OpenOptions& options,
           std::unique_ptr<seawall::File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<FailingFile>(std::move(*file), &fail);
    return error;
  }

  std::atomic<bool> fail{false};

 private:
  class FailingFile : public seawall::ForwardingFile {
   public:
    FailingFile(std::unique_ptr<seawall::File> file, const std::atomic<bool>* fail)
        : ForwardingFile(std::move(file)), fail_(fail) {}
    int Sync(SyncKind kind) override { return *fail_ ? EIO : ForwardingFile::Sync(kind); }

   private:
    const std::atomic<bool>* const fail_;
  };
};

TEST(JournalTest, AFailedSyncIsForGood) {
  TempDir dir;
  FailingSyncs fs;
  JournalOptions options;
  options.file_system = &fs;
  std::promise<void> woken;
  std::atomic<bool> is_woken{false};
  Store store;
  auto journal = Journal::Open(dir.path(), options, &store, [&woken, &is_woken] {
    if (!is_woken.exchange(true)) woken.set_value();
  });
  ASSERT_OK(journal);
  fs.fail = true;
  ASSERT_EQ((*journal)->Append(Set("k", "v")).code, JournalSink::Result::Code::kAppended);
  (*journal)->Push();
  woken.get_future().wait();
  EXPECT_TRUE(
      seawall::Fails((*journal)->failure(), absl::StatusCode::kUnavailable, {"sync", "log/"}));
  EXPECT_EQ((*journal)->Reached(), 0u);  // no reply goes out
  fs.fail = false;
  EXPECT_EQ((*journal)->Append(Set("k", "w")).code, JournalSink::Result::Code::kFailed);
}

TEST(JournalTest, ARecordOfSomethingElseIsRefused) {
  TempDir dir;
  {
    auto log = seawall::Log::Open(dir / "log", seawall::Options());
    ASSERT_OK(log);
    ASSERT_OK((*log)->AppendDurable("debit account=17"));
  }
  Store store;
  EXPECT_TRUE(seawall::Fails(Journal::Open(dir.path(), {}, &store, [] {}),
                             absl::StatusCode::kDataLoss, {"record 1", "version"}));
}

}  // namespace
}  // namespace journal_server
