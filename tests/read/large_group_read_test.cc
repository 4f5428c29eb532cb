// SPDX-License-Identifier: Apache-2.0
// Reading one record of a group that is as large as a buffer: its entry in the index leads within
// the group, and the record proves itself.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/index_file.h"
#include "engine/segments/segment_scanner.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/read/random_read_lab.h"
#include "tests/support/event.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// What one read of a record takes at most.
constexpr uint64_t kMostRead = kIndexIntervalBytes + kSmallGroupBytes + 2 * (kRecordBytes + 64);

class LargeGroupsTest : public RandomReadTest {
 protected:
  static Options OptionsOf(FileSystem* fs = nullptr) {
    Options options = RandomReadTest::OptionsOf(8 * kMiB, fs);
    options.buffer_bytes = 4 * kMiB;
    options.max_record_bytes = kMiB;
    return options;
  }

  // As fast as it goes: each buffer becomes one group.
  static void Burst(Log* log, Lsn last) {
    while (log->appended_lsn() < last) ASSERT_OK(log->Append(RecordOf(log->appended_lsn() + 1)));
    ASSERT_OK(log->WaitDurable(last));
  }

  static constexpr Lsn kLast = 40000;  // two segments of groups of 4 MiB, and a third one

  void BuildLarge() {
    std::unique_ptr<Log> log = MustOpen(OptionsOf());
    Burst(log.get(), kLast);
    ASSERT_OK(log->Close());
    EXPECT_EQ(log->stats().segments, 3u);
    EXPECT_LE(log->stats().groups_written, 10u);
    EXPECT_EQ(log->stats().indexes_written, 2u);
  }

  // Where record `lsn` of a segment begins, if all have RecordOf()'s size.
  static uint64_t OffsetOf(const SegmentRef& segment, Lsn lsn) {
    auto file = OpenFile(FileSystem::Posix(), segment.path, OpenOptions());
    EXPECT_OK(file);
    SegmentScanner scanner(file->get(), segment.path, segment.salt);
    Group group;
    for (uint64_t at = segment.groups_begin;; at = group.end()) {
      absl::StatusOr<SegmentScanner::Found> found = scanner.ReadGroup(at, segment.end, &group);
      EXPECT_OK(found);
      if (!found.ok() || *found != SegmentScanner::Found::kGroup) return 0;
      if (lsn > group.header.last_lsn()) continue;
      return at + kGroupHeaderBytes +
             (lsn - group.header.first_lsn) * EncodedRecordBytes(kRecordBytes);
    }
  }
};

TEST_F(LargeGroupsTest, TakeOneSmallPreadFromAnIndexInTheFile) {
  BuildLarge();
  const std::vector<SegmentRef> segments = Segments();
  SegmentCounter fs;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(&fs));
  for (size_t i = 0; i < 2; ++i) {
    (void)fs.Take();
    EXPECT_EQ(*log->Read(segments[i].last_lsn), RecordOf(segments[i].last_lsn));
    SegmentCounter::Counts counts = fs.Take();
    EXPECT_EQ(counts.opens, 1);
    EXPECT_EQ(counts.reads, 2);
    EXPECT_LE(counts.bytes, IndexReserveBytes(8 * kMiB) + kMostRead);
    uint64_t bytes = 0;
    for (Lsn lsn = segments[i].base_lsn; lsn <= segments[i].last_lsn; lsn += 7) {
      ASSERT_EQ(*log->Read(lsn), RecordOf(lsn));
      counts = fs.Take();
      ASSERT_EQ(counts.opens, 0);
      ASSERT_EQ(counts.reads, 1);
      ASSERT_LE(counts.bytes, kMostRead) << lsn;
      bytes = std::max(bytes, counts.bytes);
    }
    EXPECT_GE(bytes, kIndexIntervalBytes);
  }
  EXPECT_EQ(log->stats().index_scans, 0u);
}

TEST_F(LargeGroupsTest, TakeOneSmallPreadInTheSegmentThatIsBeingWritten) {
  SegmentCounter fs;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(&fs));
  Burst(log.get(), 12000);
  ASSERT_OK(log->AppendDurable(RecordOf(12001)));
  ASSERT_OK(log->TruncateAfter(11000));  // in a group, so that the rest is copied
  Burst(log.get(), 15000);
  EXPECT_EQ(*log->Read(11000), RecordOf(11000));
  (void)fs.Take();
  for (Lsn lsn = 11000; lsn <= 15000; ++lsn) {
    ASSERT_EQ(*log->Read(lsn), RecordOf(lsn));
    const SegmentCounter::Counts counts = fs.Take();
    ASSERT_EQ(counts.opens, 0);
    ASSERT_EQ(counts.reads, 1);
    ASSERT_LE(counts.bytes, kMostRead) << lsn;
  }
  EXPECT_EQ(log->stats().index_scans, 0u);
}

// That of the segment is not there; the copy that opening makes of the last one has its own.
TEST_F(LargeGroupsTest, TakeOneSmallPreadByAnIndexThatIsMadeAgain) {
  BuildLarge();
  const std::vector<SegmentRef> segments = Segments();
  FlipBitInFile(segments[0].path, 8 * (AlignUp(segments[0].end, kBlockBytes) + 100));
  SegmentCounter fs;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(&fs));
  EXPECT_EQ(*log->Read(2), RecordOf(2));
  EXPECT_EQ(log->stats().index_scans, 1u);
  (void)fs.Take();
  for (Lsn lsn = 1; lsn <= segments[0].last_lsn; lsn += 7) {
    ASSERT_EQ(*log->Read(lsn), RecordOf(lsn));
    const SegmentCounter::Counts counts = fs.Take();
    ASSERT_EQ(counts.reads, 1);
    ASSERT_LE(counts.bytes, kMostRead) << lsn;
  }
}

TEST_F(LargeGroupsTest, RecordsOfAllSizesAndBatchesAreFound) {
  SegmentCounter fs;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(&fs));
  std::mt19937_64 random(7);
  std::vector<std::string> records;
  while (log->stats().segments < 3) {
    std::vector<std::string> batch(random() % 3 == 0 ? 1 + random() % 2000 : 1);
    std::vector<std::string_view> views;
    for (std::string& record : batch) {
      const uint64_t most = batch.size() > 1 ? 1500 : uint64_t{1} << random() % 19;
      record.assign(random() % most, 'x');
      if (record.size() >= 8) std::memcpy(record.data(), &record, 8);
      views.push_back(record);
    }
    if (batch.size() > 1) {
      ASSERT_OK(log->AppendBatch(views));
    } else {
      ASSERT_OK(log->Append(views[0]));
    }
    for (std::string& record : batch) records.push_back(std::move(record));
  }
  ASSERT_OK(log->WaitDurable(log->appended_lsn()));
  for (int life = 0; life < 2; ++life) {
    for (Lsn lsn = 1; lsn <= records.size(); ++lsn) {
      (void)fs.Take();
      ASSERT_EQ(*log->Read(lsn), records[lsn - 1]);
      const SegmentCounter::Counts counts = fs.Take();
      if (counts.opens > 0) continue;
      ASSERT_EQ(counts.reads, 1);
      // What is behind it, to the next entry, may be as large as it can be.
      ASSERT_LE(counts.bytes, kIndexIntervalBytes + kSmallGroupBytes + (uint64_t{600} << 10));
    }
    ASSERT_OK(log->Close());
    log = MustOpen(OptionsOf(&fs));
  }
}

// A record proves itself: what is damaged before it in its group is not its own damage.
TEST_F(LargeGroupsTest, DamageIsThatOfTheRecord) {
  BuildLarge();
  const SegmentRef segment = Segments()[0];
  const Lsn lsn = 5000;
  const uint64_t offset = OffsetOf(segment, lsn);
  FlipBitInFile(segment.path, 8 * (offset + kRecordHeaderBytes + 3));
  std::unique_ptr<Log> log = MustOpen(OptionsOf());
  EXPECT_TRUE(Fails(log->Read(lsn), absl::StatusCode::kDataLoss,
                    {absl::StrCat("offset ", offset), "checksum"}));
  EXPECT_EQ(*log->Read(lsn - 1), RecordOf(lsn - 1));
  EXPECT_EQ(*log->Read(lsn + 1), RecordOf(lsn + 1));
  EXPECT_EQ(*log->Read(segment.last_lsn), RecordOf(segment.last_lsn));
}

TEST_F(LargeGroupsTest, EveryBitOfARecordCounts) {
  BuildLarge();
  const SegmentRef segment = Segments()[0];
  const Lsn lsn = 500;
  const uint64_t offset = OffsetOf(segment, lsn);
  OpenOptions writable;
  writable.write = true;
  auto file = OpenFile(FileSystem::Posix(), segment.path, writable);
  ASSERT_OK(file);
  std::string record(EncodedRecordBytes(kRecordBytes), '\0');
  ASSERT_OK(ReadAt(file->get(), segment.path, offset, record.size(), record.data()));
  std::unique_ptr<Log> log = MustOpen(OptionsOf());
  for (uint64_t bit = 0; bit < 8 * record.size(); bit += bit < 8 * kRecordHeaderBytes ? 1 : 601) {
    std::string damaged = record;
    FlipBit(&damaged, bit);
    ASSERT_OK(WriteAt(file->get(), segment.path, offset, damaged));
    ASSERT_TRUE(Fails(log->Read(lsn), absl::StatusCode::kDataLoss)) << bit;
  }
  ASSERT_OK(WriteAt(file->get(), segment.path, offset, record));
  EXPECT_EQ(*log->Read(lsn), RecordOf(lsn));
}

// Entries that lead to other records, to what only looks like one, and to one of another life.
TEST_F(LargeGroupsTest, AWrongEntryOfARecordMisleadsNobody) {
  BuildLarge();
  const std::vector<SegmentRef> segments = Segments();
  const SegmentRef& segment = segments[0];
  const IndexEntry first{segment.base_lsn, segment.groups_begin, 0};
  const Lsn lsn = 4000;
  const std::vector<RecordEntry> forgeries = {
      {lsn, OffsetOf(segment, lsn - 1)},     {lsn, OffsetOf(segment, lsn + 1)},
      {lsn - 1, OffsetOf(segment, lsn)},     {lsn, OffsetOf(segment, lsn) + 8},
      {lsn - 5, OffsetOf(segment, lsn) - 8}, {lsn, segment.end - 4},
  };
  for (size_t i = 0; i < forgeries.size(); ++i) {
    SCOPED_TRACE(i);
    Forge(segment, {{first}, {forgeries[i]}});
    std::unique_ptr<Log> log = MustOpen(OptionsOf());
    for (Lsn wanted : {lsn - 1, lsn, lsn + 1}) EXPECT_EQ(*log->Read(wanted), RecordOf(wanted));
    EXPECT_EQ(log->stats().index_scans, 0u);
  }
}

// Bytes of the next segment at the place of a record, as a disk may mix them up: valid for another
// LSN and salt. And those of another record of this segment.
TEST_F(LargeGroupsTest, AnotherValidRecordAtTheSamePlaceIsNone) {
  BuildLarge();
  const std::vector<SegmentRef> segments = Segments();
  const Lsn lsn = 4000;
  const uint64_t offset = OffsetOf(segments[0], lsn);
  const uint64_t bytes = EncodedRecordBytes(kRecordBytes);
  const std::string own = ReadFile(segments[0].path);
  const std::vector<std::string> others = {
      own.substr(offset - bytes, bytes), own.substr(offset + bytes, bytes),
      ReadFile(segments[1].path).substr(OffsetOf(segments[1], segments[1].base_lsn + 10), bytes)};
  for (const std::string& other : others) {
    WriteFile(segments[0].path, std::string(own).replace(offset, bytes, other));
    std::unique_ptr<Log> log = MustOpen(OptionsOf());
    EXPECT_TRUE(Fails(log->Read(lsn), absl::StatusCode::kDataLoss));
    EXPECT_EQ(*log->Read(lsn + 1), RecordOf(lsn + 1));
  }
}

// Holds the writing of a large group.
class WriteGate : public ForwardingFileSystem {
 public:
  WriteGate() : ForwardingFileSystem(FileSystem::Posix()) {}

  void Close() { closed_ = true; }
  void AwaitWrite() { begun_.Wait(); }
  void LetGo() { go_.Set(); }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<Gated>(std::move(*file), this);
    return error;
  }

 private:
  class Gated : public ForwardingFile {
   public:
    Gated(std::unique_ptr<File> file, WriteGate* gate)
        : ForwardingFile(std::move(file)), gate_(gate) {}
    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      const IoResult result = ForwardingFile::PWrite(from, bytes, offset);
      // Zeros are not held.
      if (gate_->closed_ && bytes > kMiB / 2 && std::memchr(from, 'r', bytes) != nullptr) {
        gate_->begun_.Set();
        gate_->go_.Wait();
      }
      return result;
    }

   private:
    WriteGate* const gate_;
  };

  std::atomic<bool> closed_{false};
  Event begun_, go_;
};

TEST_F(LargeGroupsTest, WhatIsNotYetWrittenIsNotReadThoughItIsThere) {
  WriteGate gate;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(&gate));
  Burst(log.get(), 100);
  gate.Close();
  for (Lsn lsn = 101; lsn <= 3000; ++lsn) ASSERT_OK(log->Append(RecordOf(lsn)));
  std::thread waiter([&] { EXPECT_OK(log->WaitDurable(3000)); });
  gate.AwaitWrite();  // all of it is in the file
  for (Lsn lsn : {Lsn{101}, Lsn{200}, Lsn{1000}, Lsn{2999}, Lsn{3000}}) {
    EXPECT_TRUE(Fails(log->Read(lsn), absl::StatusCode::kOutOfRange, {"1 to 100"}));
  }
  EXPECT_EQ(*log->Read(100), RecordOf(100));
  gate.LetGo();
  waiter.join();
  for (Lsn lsn = 1; lsn <= 3000; ++lsn) ASSERT_EQ(*log->Read(lsn), RecordOf(lsn));
}

}  // namespace
}  // namespace seawall
