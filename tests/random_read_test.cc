// Reading one record of many: how many calls that takes, and that an index is only a hint.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "engine/file_io.h"
#include "engine/format.h"
#include "engine/index_file.h"
#include "engine/recovery_plan.h"
#include "engine/segment_scanner.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/event.h"
#include "tests/forwarding_file_system.h"
#include "tests/test_util.h"

namespace seawall {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr size_t kRecordBytes = 500;

// Counts what is done to segment files, and fails the writing of an index if that is wanted.
class SegmentCounter : public ForwardingFileSystem {
 public:
  SegmentCounter() : ForwardingFileSystem(FileSystem::Posix()) {}

  struct Counts {
    int opens = 0;
    int reads = 0;
    uint64_t bytes = 0;
  };
  // Since the last call.
  Counts Take() { return {opens_.exchange(0), reads_.exchange(0), bytes_.exchange(0)}; }
  int open_files() const { return open_files_; }
  void FailIndexes() { fail_indexes_ = true; }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error != 0 || !absl::EndsWith(path, ".seg")) return error;
    if (!options.write) ++opens_;
    *file = std::make_unique<CountingFile>(std::move(*file), this, !options.write);
    return 0;
  }

 private:
  class CountingFile : public ForwardingFile {
   public:
    CountingFile(std::unique_ptr<File> file, SegmentCounter* counter, bool counted)
        : ForwardingFile(std::move(file)), counter_(counter), counted_(counted) {
      if (counted_) ++counter_->open_files_;
    }
    ~CountingFile() override {
      if (counted_) --counter_->open_files_;
    }
    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      ++counter_->reads_;
      const IoResult result = ForwardingFile::PRead(to, bytes, offset);
      counter_->bytes_ += result.bytes;
      return result;
    }
    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      if (counter_->fail_indexes_ && std::memcmp(from, "SEAWALIX", 8) == 0) return {EIO, 0};
      return ForwardingFile::PWrite(from, bytes, offset);
    }

   private:
    SegmentCounter* const counter_;
    const bool counted_;
  };

  std::atomic<int> opens_{0}, reads_{0}, open_files_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<bool> fail_indexes_{false};
};

std::string RecordOf(Lsn lsn) {
  std::string record = absl::StrCat(lsn, " ");
  record.resize(kRecordBytes, 'r');
  return record;
}

class RandomReadTest : public ::testing::Test {
 protected:
  static Options OptionsOf(uint64_t segment_bytes, FileSystem* fs = nullptr) {
    Options options;
    options.segment_bytes = segment_bytes;
    options.buffer_bytes = 64 << 10;
    options.max_record_bytes = 4096;
    options.file_system = fs;
    return options;
  }

  std::unique_ptr<Log> MustOpen(const Options& options) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(path_, options);
    EXPECT_OK(log);
    return std::move(*log);
  }

  // Appends until there are so many segments, the last of them short.
  void Fill(Log* log, uint64_t segments) {
    while (log->stats().segments < segments) {
      for (int i = 0; i < 50; ++i) ASSERT_OK(log->Append(RecordOf(log->appended_lsn() + 1)));
      ASSERT_OK(log->WaitDurable(log->appended_lsn()));
    }
  }

  // A closed log, each of its sealed segments with an index but for the last.
  void Build(const Options& options, uint64_t segments) {
    std::unique_ptr<Log> log = MustOpen(options);
    Fill(log.get(), segments);
    ASSERT_OK(log->Close());
    EXPECT_EQ(log->stats().indexes_written, segments - 1);
    EXPECT_EQ(log->stats().index_write_failures, 0u);
    for (const SegmentRef& segment : Segments()) {
      EXPECT_LE(std::filesystem::file_size(segment.path), options.segment_bytes);
    }
  }

  std::vector<SegmentRef> Segments() const {
    absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(FileSystem::Posix(), path_);
    EXPECT_OK(plan);
    return plan->segments;
  }

  // Overwrites the index of a segment with another one that verifies.
  static void Forge(const SegmentRef& segment, IndexEntries entries) {
    OpenOptions options;
    options.write = true;
    auto file = OpenFile(FileSystem::Posix(), segment.path, options);
    ASSERT_OK(file);
    ASSERT_OK(
        WriteSegmentIndex(file->get(), segment, SegmentIndex(std::move(entries)), ~uint64_t{0}));
    ASSERT_OK(ReadSegmentIndex(file->get(), segment));
  }

  TempDir directory_;
  const std::string path_ = directory_ / "log";
};

TEST_F(RandomReadTest, TakesOnePreadInASegmentThatWasReadFromAndAnIndexInAnother) {
  for (uint64_t segment_bytes : {kMiB, 8 * kMiB}) {
    SCOPED_TRACE(segment_bytes);
    std::filesystem::remove_all(path_);
    SegmentCounter fs;
    Build(OptionsOf(segment_bytes), 4);
    const std::vector<SegmentRef> segments = Segments();
    std::unique_ptr<Log> log = MustOpen(OptionsOf(segment_bytes, &fs));
    std::mt19937_64 random(segment_bytes);
    for (size_t i = 0; i < 3; ++i) {
      const Lsn first = segments[i].base_lsn, last = segments[i].last_lsn;
      ASSERT_GT(last - first, 1000u);
      (void)fs.Take();
      EXPECT_EQ(*log->Read(last - 1), RecordOf(last - 1));
      SegmentCounter::Counts counts = fs.Take();
      EXPECT_EQ(counts.opens, 1);
      EXPECT_EQ(counts.reads, 2);
      EXPECT_LE(counts.bytes, IndexReserveBytes(segment_bytes) + (96 << 10));
      for (int read = 0; read < 20; ++read) {
        const Lsn lsn = first + random() % (last - first + 1);
        EXPECT_EQ(*log->Read(lsn), RecordOf(lsn));
        counts = fs.Take();
        EXPECT_EQ(counts.opens, 0);
        EXPECT_EQ(counts.reads, 1);
        EXPECT_LE(counts.bytes, uint64_t{96} << 10);
      }
    }
    EXPECT_EQ(log->stats().index_scans, 0u);
  }
}

TEST_F(RandomReadTest, TakesOnePreadInTheSegmentThatIsBeingWritten) {
  SegmentCounter fs;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(8 * kMiB, &fs));
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 500; ++i) ASSERT_OK(log->Append(RecordOf(log->appended_lsn() + 1)));
    ASSERT_OK(log->WaitWritten(log->appended_lsn()));
    EXPECT_EQ(*log->Read(1), RecordOf(1));
    (void)fs.Take();
    const Lsn last = log->appended_lsn();
    for (Lsn lsn : {Lsn{1}, last / 2, last - 1, last}) {
      EXPECT_EQ(*log->Read(lsn), RecordOf(lsn));
      const SegmentCounter::Counts counts = fs.Take();
      EXPECT_EQ(counts.opens, 0);
      EXPECT_EQ(counts.reads, 1);
    }
  }
  EXPECT_EQ(log->stats().index_scans, 0u);
}

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

TEST_F(RandomReadTest, AReaderBeginsAtTheIndexAndChecksTheEnd) {
  Build(OptionsOf(8 * kMiB), 3);
  const std::vector<SegmentRef> segments = Segments();
  const Lsn from = segments[1].last_lsn - 100;
  SegmentCounter fs;
  {
    std::unique_ptr<Log> log = MustOpen(OptionsOf(8 * kMiB, &fs));
    (void)fs.Take();
    auto reader = log->NewReader(from);
    ASSERT_OK(reader);
    Record record;
    ASSERT_TRUE((*reader)->Next(&record));
    EXPECT_EQ(record.payload, RecordOf(from));
    EXPECT_LE(fs.Take().bytes, uint64_t{256} << 10);
    Lsn last = from;
    while ((*reader)->Next(&record)) EXPECT_EQ(record.lsn, ++last);
    EXPECT_OK((*reader)->status());
    EXPECT_EQ(last, log->durable_lsn());
  }
  (void)fs.Take();
  auto reader = Reader::OpenReadOnly(path_, from, &fs);
  ASSERT_OK(reader);
  const uint64_t opened = fs.Take().bytes;  // the tail is scanned
  Record record;
  ASSERT_TRUE((*reader)->Next(&record));
  EXPECT_EQ(record.payload, RecordOf(from));
  EXPECT_LE(fs.Take().bytes, uint64_t{256} << 10) << opened;
  while ((*reader)->Next(&record)) {
  }
  EXPECT_OK((*reader)->status());
}

TEST_F(RandomReadTest, AnIndexThatDoesNotVerifyIsMadeAgainOnce) {
  Build(OptionsOf(kMiB), 3);
  const std::vector<SegmentRef> segments = Segments();
  FlipBitInFile(segments[0].path, 8 * (AlignUp(segments[0].end, kBlockBytes) + 100));
  SegmentCounter fs;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(kMiB, &fs));
  EXPECT_EQ(*log->Read(777), RecordOf(777));
  EXPECT_EQ(log->stats().index_scans, 1u);
  (void)fs.Take();
  EXPECT_EQ(*log->Read(778), RecordOf(778));
  EXPECT_EQ(fs.Take().reads, 1);
  EXPECT_EQ(log->stats().index_scans, 1u);
}

TEST_F(RandomReadTest, AWrongIndexThatVerifiesMisleadsNobody) {
  Build(OptionsOf(kMiB), 3);
  const SegmentRef segment = Segments()[0];
  const IndexEntry first{segment.base_lsn, kSegmentHeaderBytes, 0};
  const std::vector<IndexEntries> forgeries = {
      {{first, {500, 8192, 1}}, {}},                                   // no group there
      {{first, {segment.last_lsn, 4096 + 8, 1}}, {}},                  // nor there
      {{first, {2, segment.end - 8, 1}}, {}},                          // nor there
      {{first, {segment.last_lsn, 500 << 10, 123}}, {}},               // in vain
      {{first}, {{2, kSegmentHeaderBytes + kGroupHeaderBytes}}},       // that is record 1
      {{first}, {{3, kSegmentHeaderBytes + kGroupHeaderBytes + 16}}},  // in its payload
      {{first}, {{2, segment.end - 8}}},
      {{first}, {{600, 500 << 10}}},
      {{first, {700, 600 << 10, 5}}, {{650, 700 << 10}}},  // the next entry is before this one
  };
  for (size_t i = 0; i < forgeries.size(); ++i) {
    SCOPED_TRACE(i);
    Forge(segment, forgeries[i]);
    std::unique_ptr<Log> log = MustOpen(OptionsOf(kMiB));
    for (Lsn lsn : {Lsn{1}, Lsn{3}, Lsn{700}, segment.last_lsn}) {
      EXPECT_EQ(*log->Read(lsn), RecordOf(lsn));
      auto reader = log->NewReader(lsn);
      ASSERT_OK(reader);
      Record record;
      for (Lsn next = lsn; next <= log->durable_lsn(); ++next) {
        ASSERT_TRUE((*reader)->Next(&record)) << (*reader)->status().ToString();
        ASSERT_EQ(record.lsn, next);
      }
      EXPECT_FALSE((*reader)->Next(&record));
      EXPECT_OK((*reader)->status());
    }
  }
}

// An entry whose digest only is wrong: the end tells, and the reader looks again from the start.
TEST_F(RandomReadTest, AWrongDigestInAnIndexIsNoDamage) {
  Build(OptionsOf(kMiB), 3);
  const SegmentRef segment = Segments()[0];
  auto file = OpenFile(FileSystem::Posix(), segment.path, OpenOptions());
  ASSERT_OK(file);
  IndexEntries entries = (*ReadSegmentIndex(file->get(), segment))->entries();
  ASSERT_GT(entries.groups.size(), 10u);
  for (size_t i = 1; i < entries.groups.size(); ++i) ++entries.groups[i].digest;
  Forge(segment, entries);
  auto reader = Reader::OpenReadOnly(path_, 1000);
  ASSERT_OK(reader);
  Record record;
  Lsn next = 1000;
  while ((*reader)->Next(&record)) ASSERT_EQ(record.lsn, next++);
  EXPECT_OK((*reader)->status());
  EXPECT_GT(next, segment.last_lsn);
}

TEST_F(RandomReadTest, DamageIsNamedAndWhatIsBehindItIsRead) {
  Build(OptionsOf(kMiB), 3);
  const SegmentRef segment = Segments()[0];
  auto file = OpenFile(FileSystem::Posix(), segment.path, OpenOptions());
  ASSERT_OK(file);
  const IndexEntry entry = (*ReadSegmentIndex(file->get(), segment))->entries().groups[5];
  FlipBitInFile(segment.path, 8 * (entry.offset + kGroupHeaderBytes + 200));
  std::unique_ptr<Log> log = MustOpen(OptionsOf(kMiB));
  EXPECT_TRUE(Fails(log->Read(entry.first_lsn), absl::StatusCode::kDataLoss,
                    {absl::StrCat("offset ", entry.offset + kGroupHeaderBytes), "checksum"}));
  EXPECT_EQ(*log->Read(segment.last_lsn), RecordOf(segment.last_lsn));
}

TEST_F(RandomReadTest, AnIndexThatCannotBeWrittenIsCountedAndNoFailureOfTheLog) {
  SegmentCounter fs;
  fs.FailIndexes();
  std::unique_ptr<Log> log = MustOpen(OptionsOf(kMiB, &fs));
  Fill(log.get(), 3);
  EXPECT_EQ(*log->Read(5), RecordOf(5));
  ASSERT_OK(log->Close());
  EXPECT_EQ(log->stats().index_write_failures, 2u);
  EXPECT_EQ(log->stats().indexes_written, 0u);
  log = MustOpen(OptionsOf(kMiB, &fs));
  EXPECT_EQ(*log->Read(5), RecordOf(5));
  EXPECT_EQ(log->stats().index_scans, 1u);
}

// Holds the second sync of a file: the first one makes it a spare, the second one begins it.
class BeginGate : public ForwardingFileSystem {
 public:
  BeginGate(FileSystem* fs, std::string path) : ForwardingFileSystem(fs), path_(std::move(path)) {}

  void AwaitSync() { begun_.Wait(); }
  void LetGo() { go_.Set(); }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0 && path == path_) *file = std::make_unique<Gated>(std::move(*file), this);
    return error;
  }

 private:
  class Gated : public ForwardingFile {
   public:
    Gated(std::unique_ptr<File> file, BeginGate* gate)
        : ForwardingFile(std::move(file)), gate_(gate) {}
    int Sync(SyncKind kind) override {
      if (++gate_->syncs_ == 2) {
        gate_->begun_.Set();
        gate_->go_.Wait();
      }
      return ForwardingFile::Sync(kind);
    }

   private:
    BeginGate* const gate_;
  };

  const std::string path_;
  std::atomic<int> syncs_{0};
  Event begun_, go_;
};

TEST_F(RandomReadTest, AnIndexIsWrittenOnlyOnceTheNextHeaderIsDurable) {
  NameWatch names(FileSystem::Posix());
  BeginGate gate(&names, path_ + "/0000000000000004.seg");
  Options options = OptionsOf(256 << 10, &gate);
  options.max_recycled_segments = 0;
  std::unique_ptr<Log> log = MustOpen(options);
  Fill(log.get(), 3);
  std::thread appender([&] { Fill(log.get(), 4); });
  gate.AwaitSync();
  // The thread that writes indexes looks for one before it removes what is trimmed.
  EXPECT_OK(log->TrimBefore(log->durable_lsn() / 2));
  names.AwaitGone(path_ + "/0000000000000001.seg");
  EXPECT_EQ(log->stats().indexes_written, 2u);
  const std::string third = ReadFile(path_ + "/0000000000000003.seg");
  EXPECT_EQ(third.find("SEAWALIX"), std::string::npos);
  gate.LetGo();
  appender.join();
  ASSERT_OK(log->Close());
  EXPECT_NE(ReadFile(path_ + "/0000000000000003.seg").find("SEAWALIX"), std::string::npos);
}

TEST_F(RandomReadTest, ATrimmedSegmentIsNotHeldOpen) {
  SegmentCounter counter;
  NameWatch names(&counter);
  Options options = OptionsOf(256 << 10, &names);
  options.max_recycled_segments = 0;
  std::unique_ptr<Log> log = MustOpen(options);
  Fill(log.get(), 4);
  EXPECT_EQ(*log->Read(1), RecordOf(1));
  EXPECT_EQ(counter.open_files(), 1);
  ASSERT_OK(log->TrimBefore(log->durable_lsn() / 2));
  names.AwaitGone(path_ + "/0000000000000001.seg");
  EXPECT_EQ(counter.open_files(), 0);
  EXPECT_TRUE(Fails(log->Read(1), absl::StatusCode::kNotFound));
}

TEST_F(RandomReadTest, ManySegmentsAreReadWithFewOpenFiles) {
  SegmentCounter fs;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(192 << 10, &fs));
  Fill(log.get(), 20);
  for (Lsn lsn = 1; lsn <= log->durable_lsn(); lsn += 50) {
    EXPECT_EQ(*log->Read(lsn), RecordOf(lsn));
    EXPECT_LE(fs.open_files(), 8);
  }
}

TEST_F(RandomReadTest, ASegmentIsScannedOnceHoweverManyOthersAreRead) {
  Build(OptionsOf(192 << 10), 24);
  const std::vector<SegmentRef> segments = Segments();
  for (size_t i : {2, 9}) {
    FlipBitInFile(segments[i].path, 8 * (AlignUp(segments[i].end, kBlockBytes) + 100));
  }
  SegmentCounter fs;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(192 << 10, &fs));
  for (int round = 0; round < 3; ++round) {
    for (const SegmentRef& segment : segments) {
      if (segment.end <= kUnindexedBytes) continue;  // the last one
      EXPECT_EQ(*log->Read(segment.base_lsn + 9), RecordOf(segment.base_lsn + 9));
      EXPECT_LE(fs.open_files(), 8);
    }
  }
  EXPECT_EQ(log->stats().index_scans, 2u);
}

TEST_F(RandomReadTest, ATruncationLeavesNoIndexOfWhatWasCut) {
  std::unique_ptr<Log> log = MustOpen(OptionsOf(kMiB));
  Fill(log.get(), 3);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(*log->Read(log->durable_lsn() / 2), RecordOf(log->durable_lsn() / 2));
    const Lsn cut = log->durable_lsn() * 2 / 3;
    ASSERT_OK(log->TruncateAfter(cut));
    for (Lsn lsn = 1; lsn <= cut; lsn += 97) EXPECT_EQ(*log->Read(lsn), RecordOf(lsn));
    EXPECT_TRUE(Fails(log->Read(cut + 1), absl::StatusCode::kOutOfRange));
    ASSERT_OK(log->AppendDurable("new"));
    EXPECT_EQ(*log->Read(cut + 1), "new");
    ASSERT_OK(log->TruncateAfter(cut));
    Fill(log.get(), log->stats().segments + 1);
    for (Lsn lsn = 1; lsn <= log->durable_lsn(); lsn += 97) {
      EXPECT_EQ(*log->Read(lsn), RecordOf(lsn));
    }
  }
  ASSERT_OK(log->Close());
  log = MustOpen(OptionsOf(kMiB));
  for (Lsn lsn = 1; lsn <= log->durable_lsn(); ++lsn) ASSERT_EQ(*log->Read(lsn), RecordOf(lsn));
}

TEST_F(RandomReadTest, ATruncationOfTheSegmentThatIsBeingWrittenReadsLittle) {
  SegmentCounter fs;
  std::unique_ptr<Log> log = MustOpen(OptionsOf(8 * kMiB, &fs));
  while (log->appended_lsn() < 12000) ASSERT_OK(log->Append(RecordOf(log->appended_lsn() + 1)));
  ASSERT_OK(log->WaitDurable(12000));
  (void)fs.Take();
  ASSERT_OK(log->TruncateAfter(11000));
  EXPECT_LE(fs.Take().bytes, uint64_t{512} << 10);
  ASSERT_OK(log->AppendDurable("new"));
  ASSERT_OK(log->Close());
  log = MustOpen(OptionsOf(8 * kMiB));
  for (Lsn lsn = 1; lsn <= 11000; lsn += 10) EXPECT_EQ(*log->Read(lsn), RecordOf(lsn));
  EXPECT_EQ(*log->Read(11001), "new");
  EXPECT_EQ(log->stats().index_scans, 1u);  // of the segment that was cut
}

// Recycled files hold the indexes of what they were before.
TEST_F(RandomReadTest, ARecycledSegmentHasAnIndexOfItsOwn) {
  std::unique_ptr<Log> log = MustOpen(OptionsOf(256 << 10));
  for (int round = 0; round < 10; ++round) {
    Fill(log.get(), 4);
    for (Lsn lsn = log->first_lsn(); lsn <= log->durable_lsn(); lsn += 41) {
      EXPECT_EQ(*log->Read(lsn), RecordOf(lsn));
    }
    ASSERT_OK(log->TrimBefore(log->durable_lsn()));
  }
  EXPECT_GT(log->stats().segments_recycled, 5u);
  ASSERT_OK(log->Close());
  log = MustOpen(OptionsOf(256 << 10));
  for (Lsn lsn = log->first_lsn(); lsn <= log->durable_lsn(); ++lsn) {
    ASSERT_EQ(*log->Read(lsn), RecordOf(lsn));
  }
}

TEST_F(RandomReadTest, ManyThreadsReadBesideAWriter) {
  std::unique_ptr<Log> log = MustOpen(OptionsOf(256 << 10));
  ASSERT_OK(log->AppendDurable(RecordOf(1)));
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    readers.emplace_back([&, seed] {
      std::mt19937_64 random(seed);
      while (!stop) {
        const Lsn first = log->first_lsn();
        const Lsn lsn = first + random() % (log->written_lsn() - first + 1);
        absl::StatusOr<std::string> record = log->Read(lsn);
        if (record.ok()) {
          EXPECT_EQ(*record, RecordOf(lsn));
        } else {
          EXPECT_TRUE(absl::IsNotFound(record.status()) && lsn < log->first_lsn())
              << record.status();
        }
      }
    });
  }
  for (int round = 0; round < 8; ++round) {
    Fill(log.get(), 4);
    ASSERT_OK(log->TrimBefore(log->durable_lsn() - 600));
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace seawall
