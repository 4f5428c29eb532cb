// SPDX-License-Identifier: Apache-2.0
// Reading one record of many: how many calls that takes, and that an index is only a hint.
#include <atomic>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/segments/index_file.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/read/random_read_lab.h"
#include "tests/support/event.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

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
