// SPDX-License-Identifier: Apache-2.0
// Giving up the back of a log, or all of it: what the log is then, who is told, and what it costs.
// What a crash leaves: crash_explorer_test; failing calls: fault_test.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/event.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/small_log.h"
#include "tests/support/test_util.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

// That the log holds `first` to `last`, all of `history`.
void ExpectHolds(Log* log, Lsn first, Lsn last, const std::string& history) {
  EXPECT_EQ(log->first_lsn(), first);
  EXPECT_EQ(log->appended_lsn(), last);
  EXPECT_EQ(log->written_lsn(), last);
  EXPECT_EQ(log->durable_lsn(), last);
  auto reader = log->NewReader(first);
  ASSERT_OK(reader);
  Record record;
  Lsn next = first;
  while ((*reader)->Next(&record)) {
    ASSERT_EQ(record.lsn, next++);
    ASSERT_EQ(record.payload, Payload(history, record.lsn));
  }
  EXPECT_OK((*reader)->status());
  EXPECT_EQ(next, last + 1);
}

// Where the log begins then: below, inside, at the end of, right behind, and far above the records
// 10 to 29 that it has.
class ResetToTest : public ::testing::TestWithParam<Lsn> {};

TEST_P(ResetToTest, TheLogIsEmptyAndGoesOnFromThere) {
  const Lsn first = GetParam();
  CrashFileSystem disk;
  const Options options = SmallOptions(&disk);
  auto log = MustOpen("/log", options);
  ASSERT_OK(log->Reset(10));
  Append(log.get(), 20, "old");
  ASSERT_OK(log->Append("only in memory"));
  ASSERT_OK(log->Reset(first));
  ExpectHolds(log.get(), first, first - 1, "");
  EXPECT_TRUE(Fails(log->Read(first), absl::StatusCode::kOutOfRange));
  auto lost = disk.Capture().PowerLoss(CrashChoice());
  Append(log.get(), 9, "new");
  ExpectHolds(log.get(), first, first + 8, "new");
  ASSERT_OK(log->Close());
  log = MustOpen("/log", options);
  ExpectHolds(log.get(), first, first + 8, "new");

  // Also where the power failed when it had returned.
  auto found = MustOpen("/log", SmallOptions(lost.get()));
  EXPECT_EQ(found->recovery_report().first_lsn, first);
  EXPECT_EQ(found->recovery_report().last_lsn, first - 1);
  ExpectHolds(found.get(), first, first - 1, "");
  Append(found.get(), 2, "new");
  ExpectHolds(found.get(), first, first + 1, "new");
}

INSTANTIATE_TEST_SUITE_P(All, ResetToTest,
                         ::testing::Values<Lsn>(1, 2, 10, 17, 29, 30, 31, 1000, kMaxFirstLsn));

TEST(ResetTest, AnLsnThatNoLogMayBeginWithIsRefused) {
  CrashFileSystem disk;
  auto log = MustOpen("/log", SmallOptions(&disk));
  Append(log.get(), 2, "old");
  for (Lsn first : {Lsn{0}, kMaxFirstLsn + 1, ~Lsn{0}}) {
    EXPECT_TRUE(Fails(log->Reset(first), absl::StatusCode::kInvalidArgument, {"expected 1 to"}));
  }
  ExpectHolds(log.get(), 1, 2, "old");
  ASSERT_OK(log->Close());
  EXPECT_TRUE(Fails(log->Reset(5), absl::StatusCode::kFailedPrecondition));
}

// Wherever they stand, and whether the log has records with their numbers again or not.
TEST(ResetTest, ReadersAreTold) {
  for (Lsn first : {Lsn{1}, Lsn{9}, Lsn{21}, Lsn{50}}) {
    CrashFileSystem disk;
    auto log = MustOpen("/log", SmallOptions(&disk));
    Append(log.get(), 20, "old");
    std::vector<std::unique_ptr<Reader>> readers;
    for (ReadLimit limit : {ReadLimit::kDurable, ReadLimit::kWritten}) {
      for (Lsn from : {1, 9, 21}) {
        for (int read : {0, 2}) {
          auto reader = log->NewReader(from, limit);
          ASSERT_OK(reader);
          Record record;
          for (int i = 0; i < read; ++i) (*reader)->Next(&record);
          readers.push_back(std::move(*reader));
        }
      }
    }
    ASSERT_OK(log->Reset(first));
    Append(log.get(), 30, "new");
    for (auto& reader : readers) {
      Record record;
      // What it holds of the segment that it is in.
      while (reader->Next(&record)) EXPECT_EQ(record.payload, Payload("old", record.lsn));
      EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kOutOfRange,
                        {absl::StrCat("reset, it begins at record ", first)}));
    }
  }
}

TEST(ResetTest, AReaderInAnotherProcessIsTold) {
  TempDir dir;
  auto log = MustOpen(dir / "log", SmallOptions(nullptr));
  Append(log.get(), 20, "old");
  auto reader = Reader::OpenReadOnly(dir / "log");
  ASSERT_OK(reader);
  ASSERT_OK(log->Reset(5));
  ASSERT_OK(log->Close());
  log = MustOpen(dir / "log", SmallOptions(nullptr));  // the old files are gone
  Append(log.get(), 20, "new");
  Record record;
  while ((*reader)->Next(&record)) EXPECT_EQ(record.payload, Payload("old", record.lsn));
  EXPECT_TRUE(Fails((*reader)->status(), absl::StatusCode::kOutOfRange));
  auto again = Reader::OpenReadOnly(dir / "log");
  ASSERT_OK(again);
  Lsn next = 5;
  while ((*again)->Next(&record)) EXPECT_EQ(record.payload, Payload("new", next++));
  EXPECT_EQ(next, 25u);
}

// To an LSN below that of the record that they wait for, and above.
TEST(ResetTest, WaitersAndCallbacksAreTold) {
  constexpr uint32_t kWaiters = 8;
  for (Lsn first : {Lsn{1}, Lsn{100}}) {
    Watchdog watchdog;
    watchdog.Begin("a reset");
    CrashFileSystem disk;
    SyncGate fs(&disk, ".seg");
    auto log = MustOpen("/log", SmallOptions(&fs));
    Event in_callback, go;
    Append(log.get(), 3, "old");
    ASSERT_OK(log->NotifyDurable(3, [&](const absl::Status&) {
      in_callback.Set();
      go.Wait();
    }));
    in_callback.Wait();
    auto last = log->Append("not durable yet");
    ASSERT_OK(last);
    absl::Status called;
    ASSERT_OK(log->NotifyDurable(*last, [&](const absl::Status& status) { called = status; }));
    fs.ArmForThisThread();
    std::thread meanwhile([&] {
      std::vector<std::thread> waiters;
      fs.AwaitSync();
      for (uint32_t i = 0; i < kWaiters; ++i) {
        waiters.emplace_back(
            [&] { EXPECT_TRUE(Fails(log->WaitDurable(*last), absl::StatusCode::kOutOfRange)); });
      }
      while (log->stats().waiters < kWaiters) std::this_thread::yield();
      fs.LetGo();
      for (std::thread& waiter : waiters) waiter.join();
    });
    ASSERT_OK(log->Reset(first));
    meanwhile.join();
    go.Set();
    ASSERT_OK(log->Close());  // all callbacks have run
    EXPECT_TRUE(Fails(called, absl::StatusCode::kOutOfRange));
  }
}

// An older slot of CONTROL, which knows other segments and a higher durable LSN, does no harm: the
// segment's own header decides. Nor does a file that comes back from the dead.
TEST(ResetTest, WhatWasGivenUpDoesNotComeBackWithAnOlderControlOrAnOldFile) {
  for (uint64_t slot : {0, 1, 2, 3}) {
    TempDir dir;
    auto log = MustOpen(dir / "log", SmallOptions(nullptr));
    Append(log.get(), 20, "old");
    const std::string old_file = dir / "log/" + SegmentName(3);
    const std::string old_bytes = ReadFile(old_file);
    ASSERT_OK(log->Reset(4));
    Append(log.get(), 3, "new");
    log.reset();
    if (slot < 3) {
      Overwrite(dir / "log/CONTROL", slot * kControlSlotBytes,
                std::string(kControlSlotBytes, '\0'));
    }
    WriteFile(old_file, old_bytes);
    log = MustOpen(dir / "log", SmallOptions(nullptr));
    ExpectHolds(log.get(), 4, 6, "new");
    ASSERT_OK(log->Close());
    EXPECT_NE(access(old_file.c_str(), F_OK), 0);
  }
}

// Counts the calls of one thread; the log's own threads make others.
class CallCounter : public ForwardingFileSystem {
 public:
  explicit CallCounter(FileSystem* fs) : ForwardingFileSystem(fs) {}

  void Begin() {
    thread_ = std::this_thread::get_id();
    calls_ = bytes_ = 0;
  }
  uint64_t calls() const { return calls_; }
  uint64_t bytes() const { return bytes_; }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    Note(0);
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<CountedFile>(std::move(*file), this);
    return error;
  }
  int Stat(const std::string& path, FileInfo* info) override {
    return Note(0), ForwardingFileSystem::Stat(path, info);
  }
  int List(const std::string& directory, std::vector<std::string>* names) override {
    return Note(0), ForwardingFileSystem::List(directory, names);
  }
  int Rename(const std::string& from, const std::string& to) override {
    return Note(0), ForwardingFileSystem::Rename(from, to);
  }
  int Unlink(const std::string& path) override {
    return Note(0), ForwardingFileSystem::Unlink(path);
  }
  int SyncDirectory(const std::string& path) override {
    return Note(0), ForwardingFileSystem::SyncDirectory(path);
  }

 private:
  class CountedFile : public ForwardingFile {
   public:
    CountedFile(std::unique_ptr<File> file, CallCounter* counter)
        : ForwardingFile(std::move(file)), counter_(counter) {}
    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      return counter_->Note(bytes), ForwardingFile::PRead(to, bytes, offset);
    }
    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      return counter_->Note(bytes), ForwardingFile::PWrite(from, bytes, offset);
    }
    int Sync(SyncKind kind) override { return counter_->Note(0), ForwardingFile::Sync(kind); }

   private:
    CallCounter* const counter_;
  };

  void Note(uint64_t bytes) {
    if (std::this_thread::get_id() != thread_) return;
    ++calls_;
    bytes_ += bytes;
  }

  std::atomic<std::thread::id> thread_{std::thread::id()};
  std::atomic<uint64_t> calls_{0}, bytes_{0};
};

// Of what is cut and of what stays: three segments or sixty.
TEST(ResetTest, TheCostOfATruncationAndOfAResetDoesNotDependOnTheLength) {
  uint64_t calls[2][3], bytes[2][3];
  for (int i : {0, 1}) {
    const int segments = i == 0 ? 3 : 60;
    CrashFileSystem disk;
    CallCounter fs(&disk);
    auto log = MustOpen("/log", SmallOptions(&fs));
    const auto count = [&](int what, const absl::Status& status) {
      calls[i][what] = fs.calls();
      bytes[i][what] = fs.bytes();
      ASSERT_OK(status);
    };
    const int records = segments * 4;
    Append(log.get(), records, "");
    fs.Begin();
    count(0, log->TruncateAfter(records - 6));  // much stays
    Append(log.get(), 6, "");
    fs.Begin();
    count(1, log->TruncateAfter(6));  // much is cut
    Append(log.get(), records, "");
    fs.Begin();
    count(2, log->Reset(records));
  }
  for (int what : {0, 1, 2}) {
    EXPECT_EQ(calls[0][what], calls[1][what]) << what;
    EXPECT_EQ(bytes[0][what], bytes[1][what]) << what;
    EXPECT_LT(calls[0][what], 40u) << what;
  }
  std::cout << "calls of a truncation that leaves much " << calls[1][0] << ", that cuts much "
            << calls[1][1] << ", of a reset " << calls[1][2] << "\n";
}

// The files go soon, and not only at the next open.
TEST(ResetTest, TheFilesGoInTheBackground) {
  CrashFileSystem disk;
  NameWatch fs(&disk);
  Watchdog watchdog;
  watchdog.Begin("a file that does not go");
  auto log = MustOpen("/log", SmallOptions(&fs));
  Append(log.get(), 20, "old");
  ASSERT_OK(log->Reset(5));
  for (uint64_t generation : {1, 2, 3, 4, 5}) {
    fs.AwaitGone(absl::StrCat("/log/", SegmentName(generation)));
  }
}

}  // namespace
}  // namespace seawall
