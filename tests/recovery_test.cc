// What recovery makes of a directory: the decision table, and a real directory for each damage.
#include "engine/recovery.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/recovery_plan.h"
#include "engine/tail_verdict.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/log_image.h"
#include "tests/test_util.h"

namespace seawall {
namespace {

constexpr uint64_t kAllocated = 32768;

// ---- The table

TEST(DecideTailTest, EveryInputHitsExactlyOneRow) {
  using Stop = TailFacts::Stop;
  struct Row {
    const char* name;
    bool (*fits)(const TailFacts&);
    TailVerdict verdict;
  };
  const Row rows[] = {
      {"acknowledged records are gone",
       [](const TailFacts& f) { return f.acknowledged_beyond && f.stop != Stop::kWrongLsn; },
       TailVerdict::kDamaged},
      {"a gap between records", [](const TailFacts& f) { return f.stop == Stop::kWrongLsn; },
       TailVerdict::kDamaged},
      {"closed here",
       [](const TailFacts& f) {
         return f.closed_here && !f.acknowledged_beyond && f.stop != Stop::kWrongLsn;
       },
       TailVerdict::kClean},
      {"a torn group whose header is whole",
       [](const TailFacts& f) {
         return f.stop == Stop::kBadRecords && !f.closed_here && !f.acknowledged_beyond;
       },
       TailVerdict::kTorn},
      {"a torn group without a header",
       [](const TailFacts& f) {
         return f.stop == Stop::kNothing && f.remnants && !f.closed_here && !f.acknowledged_beyond;
       },
       TailVerdict::kTorn},
      {"nothing behind the end",
       [](const TailFacts& f) {
         return f.stop == Stop::kNothing && !f.remnants && !f.closed_here && !f.acknowledged_beyond;
       },
       TailVerdict::kUnclosed},
  };
  // The same once more, written out: Clean, Unclosed, Torn, Damaged.
  const std::string expected =
      "UCTCDDDD"   // nothing there; then: beyond, remnants, closed count up in binary
      "TCTCDDDD"   // bad records
      "DDDDDDDD";  // wrong LSN
  size_t input = 0;
  for (Stop stop : {Stop::kNothing, Stop::kBadRecords, Stop::kWrongLsn}) {
    for (bool beyond : {false, true}) {
      for (bool remnants : {false, true}) {
        for (bool closed : {false, true}) {
          TailFacts facts;
          facts.stop = stop;
          facts.acknowledged_beyond = beyond;
          facts.remnants = remnants;
          facts.closed_here = closed;
          const TailVerdict verdict = DecideTail(facts);
          std::string hit;
          for (const Row& row : rows) {
            if (!row.fits(facts)) continue;
            hit += std::string(hit.empty() ? "" : " and ") + row.name;
            EXPECT_EQ(verdict, row.verdict) << row.name << ", input " << input;
          }
          EXPECT_NE(hit, "") << "input " << input;
          EXPECT_EQ(hit.find(" and "), std::string::npos) << "input " << input << ": " << hit;
          EXPECT_EQ("CUTD"[static_cast<int>(verdict)], expected[input]) << "input " << input;
          ++input;
        }
      }
    }
  }
  EXPECT_EQ(input, expected.size());
}

// ---- A file system that fails as told, on real files.

class FaultyFileSystem : public FileSystem {
 public:
  // Opening or reading a path with `part` in it fails with `error`, so many times.
  FaultyFileSystem(std::string part, int open_error, int read_error, int times)
      : part_(std::move(part)), open_error_(open_error), read_error_(read_error), times_(times) {}

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const bool meant = path.find(part_) != std::string::npos && times_ > 0;
    if (meant && open_error_ != 0) {
      --times_;
      return open_error_;
    }
    int error = Real()->Open(path, options, file);
    if (error == 0 && meant && read_error_ != 0) {
      *file = std::make_unique<FaultyFile>(std::move(*file), read_error_);
    }
    return error;
  }
  int Stat(const std::string& path, FileInfo* info) override { return Real()->Stat(path, info); }
  int MakeDirectory(const std::string& path) override { return Real()->MakeDirectory(path); }
  int List(const std::string& directory, std::vector<std::string>* names) override {
    return Real()->List(directory, names);
  }
  int Rename(const std::string& from, const std::string& to) override {
    return Real()->Rename(from, to);
  }
  int Unlink(const std::string& path) override { return Real()->Unlink(path); }
  int SyncDirectory(const std::string& directory) override {
    return Real()->SyncDirectory(directory);
  }

 private:
  // Reads behind the segment's header fail.
  class FaultyFile : public File {
   public:
    FaultyFile(std::unique_ptr<File> real, int error) : real_(std::move(real)), error_(error) {}
    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      if (offset >= kSegmentHeaderBytes) return {error_, 0};
      return real_->PRead(to, bytes, offset);
    }
    IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
      return real_->PWrite(from, bytes, offset);
    }
    int Sync(SyncKind kind) override { return real_->Sync(kind); }
    int Size(uint64_t* bytes) override { return real_->Size(bytes); }
    int TryLock() override { return real_->TryLock(); }
    int Unlock() override { return real_->Unlock(); }
    int Truncate(uint64_t bytes) override { return real_->Truncate(bytes); }

   private:
    const std::unique_ptr<File> real_;
    const int error_;
  };

  static FileSystem* Real() { return FileSystem::Posix(); }

  const std::string part_;
  const int open_error_;
  const int read_error_;
  int times_;
};

// ---- Real directories. Three segments: records 1..3, 4..6, and 7..10 in three groups of the tail,
// the last of which knows record 8 to be durable. CONTROL knows record 7 to be.

class RecoveryTest : public ::testing::Test {
 protected:
  RecoveryTest()
      : one_(Filled(HeaderOf(1), {2, 1}, 0)),
        two_(Filled(HeaderOf(2, &one_), {1, 2}, 3)),
        three_(Filled(HeaderOf(3, &two_), {1, 1, 2}, 6)) {
    control_.log_id = one_.header().log_id;
    control_.sequence = 5;
    control_.first_generation = 1;
    control_.tail_generation = 3;
    control_.durable_lsn = 7;
    control_.entries = {{3, three_.header().salt, kAllocated}};
  }

  // A segment with groups of so many records; each group knows the one before to be durable.
  static SegmentImage Filled(const SegmentHeader& header, const std::vector<int>& groups,
                             Lsn durable_lsn) {
    SegmentImage segment(header);
    for (int count : groups) {
      std::vector<std::string> records;
      for (int i = 0; i < count; ++i) {
        records.push_back(PayloadOf(segment.last_lsn() + 1 + static_cast<Lsn>(i)));
      }
      const Lsn before = segment.last_lsn();
      segment.Group(records, durable_lsn);
      durable_lsn = before + static_cast<Lsn>(count);
    }
    return segment;
  }

  std::string Path(uint64_t generation) const { return dir_ / SegmentName(generation); }
  std::string ControlPath() const { return dir_ / kControlName; }

  void Write(const SegmentImage& segment) {
    WriteFile(Path(segment.header().generation), segment.File(kAllocated));
  }
  void WriteControl() {
    std::string file(kControlSlots * kControlSlotBytes, '\0');
    for (uint64_t i = 0; i < kControlSlots; ++i) {
      EncodeControlBlock(control_, file.data() + i * kControlSlotBytes);
    }
    WriteFile(ControlPath(), file);
  }
  void WriteAll() {
    for (const SegmentImage* segment : {&one_, &two_, &three_}) Write(*segment);
    WriteControl();
  }
  // As a clean close does.
  void MarkClosed() {
    control_.durable_lsn = three_.last_lsn();
    control_.closed = true;
    control_.closed_end = three_.end();
    control_.closed_digest = three_.digest();
  }

  absl::StatusOr<RecoveryPlan> Plan(bool carry_small_tail = false) {
    return PlanRecovery(fs_, dir_.path(), carry_small_tail);
  }

  // All ways to open the log fail so, and change nothing but LOCK.
  void ExpectDamage(absl::StatusCode code, std::initializer_list<std::string> parts) {
    const DirectoryImage before(dir_.path());
    for (bool carry : {false, true}) EXPECT_TRUE(Fails(Plan(carry), code, parts));
    EXPECT_TRUE(Fails(PlanReadOnly(fs_, dir_.path()), code, parts));
    EXPECT_TRUE(before.Equals(DirectoryImage(dir_.path())));
    Options options;
    options.file_system = fs_;
    EXPECT_TRUE(Fails(Log::Open(dir_.path(), options), code, parts));
    EXPECT_TRUE(before.Equals(DirectoryImage(dir_.path())));
  }
  void ExpectDataLoss(std::initializer_list<std::string> parts) {
    ExpectDamage(absl::StatusCode::kDataLoss, parts);
  }

  // The log opens, holds records `first` to `last` with their payloads, and so it does the next
  // time. Returns the first report.
  RecoveryReport ExpectOpens(Lsn first, Lsn last) {
    RecoveryReport report;
    for (bool again : {false, true}) {
      absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), Options());
      EXPECT_OK(log);
      if (!log.ok()) return report;
      if (!again) report = (*log)->recovery_report();
      EXPECT_EQ((*log)->first_lsn(), first);
      EXPECT_EQ((*log)->durable_lsn(), last);
      absl::StatusOr<std::unique_ptr<Reader>> reader = (*log)->NewReader(first);
      EXPECT_OK(reader);
      if (!reader.ok()) return report;
      Record record;
      Lsn lsn = first;
      while ((*reader)->Next(&record)) {
        EXPECT_EQ(record.lsn, lsn);
        EXPECT_EQ(record.payload, PayloadOf(lsn));
        ++lsn;
      }
      EXPECT_OK((*reader)->status());
      EXPECT_EQ(lsn, last + 1);
      EXPECT_OK((*log)->Close());
      if (again) {
        EXPECT_EQ((*log)->recovery_report().verdict, RecoveryVerdict::kClean);
        EXPECT_EQ((*log)->recovery_report().first_lsn, first);
        EXPECT_EQ((*log)->recovery_report().last_lsn, last);
      }
    }
    return report;
  }

  TempDir dir_;
  FileSystem* fs_ = FileSystem::Posix();
  SegmentImage one_;
  SegmentImage two_;
  SegmentImage three_;
  ControlBlock control_;
};

// ---- Nothing there

TEST_F(RecoveryTest, NoDirectoryIsNoLog) {
  absl::StatusOr<RecoveryPlan> plan = PlanRecovery(fs_, dir_ / "none", true);
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->exists);
  EXPECT_FALSE(plan->directory_exists);
  EXPECT_TRUE(Fails(PlanReadOnly(fs_, dir_ / "none"), absl::StatusCode::kNotFound,
                    {"no log in " + (dir_ / "none")}));
  Options options;
  options.create_if_missing = false;
  EXPECT_TRUE(Fails(Log::Open(dir_ / "none", options), absl::StatusCode::kNotFound,
                    {"no log in " + (dir_ / "none"), "create_if_missing"}));
  EXPECT_EQ(DirectoryImage(dir_.path()).Names(), "");
}

TEST_F(RecoveryTest, NoParentDirectoryIsNotFound) {
  EXPECT_TRUE(Fails(Log::Open(dir_ / "none/log", Options()), absl::StatusCode::kNotFound,
                    {"mkdir " + (dir_ / "none/log")}));
}

TEST_F(RecoveryTest, EmptyDirectoryIsNoLog) {
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->exists);
  EXPECT_TRUE(plan->directory_exists);
  EXPECT_EQ(plan->next_generation, 1u);
  EXPECT_TRUE(plan->garbage.empty());
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kCreated);
}

TEST_F(RecoveryTest, FileInThePlaceOfTheDirectory) {
  WriteFile(dir_ / "file", "x");
  EXPECT_TRUE(Fails(PlanRecovery(fs_, dir_ / "file", true), absl::StatusCode::kFailedPrecondition,
                    {dir_ / "file", "expected a directory, found a file"}));
  EXPECT_TRUE(Fails(Log::Open(dir_ / "file", Options()), absl::StatusCode::kFailedPrecondition,
                    {dir_ / "file"}));
  EXPECT_EQ(ReadFile(dir_ / "file"), "x");
}

TEST_F(RecoveryTest, OtherFilesAreLeftAlone) {
  WriteAll();
  WriteFile(dir_ / "notes.txt", "mine");
  WriteFile(dir_ / "12.seg", "mine");
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_TRUE(plan->garbage.empty());
  ExpectOpens(1, 10);
  EXPECT_EQ(ReadFile(dir_ / "notes.txt"), "mine");
  EXPECT_EQ(ReadFile(dir_ / "12.seg"), "mine");
}

// ---- A creation that was not finished: nothing can have been acknowledged.

TEST_F(RecoveryTest, CreationInterruptedBeforeItsHeader) {
  WriteFile(Path(1), std::string(kAllocated, '\0'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->exists);
  EXPECT_EQ(plan->garbage, std::vector<std::string>{SegmentName(1)});
  EXPECT_EQ(plan->next_generation, 2u);
  EXPECT_EQ(ExpectOpens(1, 0).verdict, RecoveryVerdict::kCreated);
  EXPECT_FALSE(std::filesystem::exists(Path(1)));
}

TEST_F(RecoveryTest, CreationInterruptedBeforeItsControlFile) {
  WriteFile(Path(1), SegmentImage(HeaderOf(1)).File(kAllocated));
  WriteFile(dir_ / kControlTemporaryName, std::string(100, 'x'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->exists);
  EXPECT_EQ(plan->garbage, (std::vector<std::string>{kControlTemporaryName, SegmentName(1)}));
  EXPECT_EQ(ExpectOpens(1, 0).verdict, RecoveryVerdict::kCreated);
  EXPECT_FALSE(std::filesystem::exists(dir_ / kControlTemporaryName));
}

// ---- The control file

TEST_F(RecoveryTest, MissingControlFileOfALogWithRecords) {
  WriteAll();
  ASSERT_EQ(unlink(ControlPath().c_str()), 0);
  for (bool carry : {false, true}) {
    EXPECT_TRUE(Fails(Plan(carry), absl::StatusCode::kDataLoss,
                      {ControlPath(), "offset 0", "expected the control file of the log in",
                       Path(3), "found no such file"}));
  }
  const DirectoryImage before(dir_.path());
  EXPECT_FALSE(Log::Open(dir_.path(), Options()).ok());
  EXPECT_TRUE(before.Equals(DirectoryImage(dir_.path())));
}

// All records were trimmed or truncated away; the LSNs still go on from there.
TEST_F(RecoveryTest, MissingControlFileOfALogWithoutRecords) {
  SegmentHeader header = HeaderOf(9);
  header.base_lsn = 500;
  WriteFile(Path(9), SegmentImage(header).File(kAllocated));
  ExpectDataLoss({ControlPath(), "expected the control file"});
}

// A log goes on counting from what it finds. Found by tests/fuzz: a sequence that wrapped around
// made the next opening believe an older slot, and miss a segment.
TEST_F(RecoveryTest, CountersThatLeaveNoRoomToCountAreDamage) {
  control_.sequence = kMaxNumber / 2;
  WriteAll();
  ExpectDataLoss({ControlPath(), "expected record, generation and sequence below"});
  control_.sequence = kMaxNumber / 2 - 1;
  WriteAll();
  EXPECT_OK(Plan());
  control_.entries.push_back({kMaxNumber - 1, 1, 0});
  WriteAll();
  ExpectDataLoss({});
}

TEST_F(RecoveryTest, OneDamagedControlSlotIsHarmless) {
  WriteAll();
  for (uint64_t i = 0; i < kControlSlots; ++i) {
    WriteControl();
    FlipBitInFile(ControlPath(), (i * kControlSlotBytes + 40) * 8);
    absl::StatusOr<RecoveryPlan> plan = Plan();
    ASSERT_OK(plan);
    EXPECT_EQ(plan->control, control_);
  }
}

TEST_F(RecoveryTest, AllControlSlotsDamaged) {
  WriteAll();
  for (uint64_t i = 0; i < kControlSlots; ++i) {
    FlipBitInFile(ControlPath(), (i * kControlSlotBytes + 40) * 8);
  }
  ExpectDataLoss({ControlPath(), "offset 0", "expected a valid control block", "found none"});
}

TEST_F(RecoveryTest, EmptyControlFile) {
  WriteAll();
  WriteFile(ControlPath(), "");
  ExpectDataLoss({ControlPath(), "expected a valid control block", "found none in 0 bytes"});
}

TEST_F(RecoveryTest, NewerControlFile) {
  WriteAll();
  for (uint64_t i = 0; i < kControlSlots; ++i) {
    Overwrite(ControlPath(), i * kControlSlotBytes + 8, "\x07");
  }
  ExpectDamage(absl::StatusCode::kUnimplemented,
               {ControlPath(), "expected format version 1", "found version 7"});
}

// Older slots must not name segments that were trimmed and removed since.
TEST_F(RecoveryTest, DamagedNewestControlSlotAfterATrim) {
  CrashFileSystem fs;
  Options options;
  options.segment_bytes = uint64_t{16} << 10;
  options.max_record_bytes = 4000;
  options.max_recycled_segments = 0;
  options.file_system = &fs;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open("/log", options);
  ASSERT_OK(log);
  for (int i = 0; i < 20; ++i) ASSERT_OK((*log)->AppendDurable(std::string(4000, 'x')));
  // The disk as it is when the trim has written its last word, before the background thread, which
  // waits for that, removes the files and has words of its own.
  std::unique_ptr<CrashFileSystem> disk;
  fs.SetCallHook([&, trimmer = std::this_thread::get_id()](const FileSystemCall& call, CrashPhase,
                                                           const CaptureFn& capture) {
    if (std::this_thread::get_id() == trimmer && call.kind == CallKind::kSync) {
      disk = capture().Kill();
    }
  });
  ASSERT_OK((*log)->TrimBefore(15));
  fs.SetCallHook(nullptr);
  ASSERT_NE(disk, nullptr);
  absl::StatusOr<ControlBlock> newest = ReadControl(disk.get(), "/log");
  ASSERT_OK(newest);
  ASSERT_GT(newest->first_generation, 1u);
  for (uint64_t generation = 1; generation < newest->first_generation; ++generation) {
    ASSERT_EQ(disk->DeleteFile("/log/" + SegmentName(generation)), 0);
  }
  const uint64_t slot = newest->sequence % kControlSlots * kControlSlotBytes;
  ASSERT_EQ(disk->FlipBit("/log/CONTROL", (slot + 40) * 8), 0);
  absl::StatusOr<RecoveryPlan> plan = PlanRecovery(disk.get(), "/log", true);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 20u);
}

// ---- Verdicts

TEST_F(RecoveryTest, UnclosedLog) {
  WriteAll();
  absl::StatusOr<RecoveryPlan> plan = Plan(/*carry_small_tail=*/false);
  ASSERT_OK(plan);
  EXPECT_TRUE(plan->exists);
  const RecoveryReport& report = plan->report;
  EXPECT_EQ(report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(report.first_lsn, 1u);
  EXPECT_EQ(report.last_lsn, 10u);
  EXPECT_EQ(report.proven_durable_lsn, 8u);
  EXPECT_EQ(report.segments, 3u);
  EXPECT_EQ(report.scanned_records, 4u);
  EXPECT_EQ(report.discarded_bytes, 0u);
  EXPECT_EQ(report.torn_path, "");
  // Only the group of records 9 and 10 may be in the page cache alone.
  EXPECT_EQ(plan->copy_first_lsn, 9u);
  EXPECT_EQ(plan->copy_from, three_.offset(2));
  EXPECT_EQ(plan->digest_at_copy, three_.digest_before(2));
  EXPECT_EQ(plan->next_generation, 4u);
  EXPECT_TRUE(plan->garbage.empty());
  ASSERT_EQ(plan->segments.size(), 3u);
  const SegmentImage* images[] = {&one_, &two_, &three_};
  for (size_t i = 0; i < 3; ++i) {
    const SegmentRef expected = images[i]->Ref(dir_.path());
    const SegmentRef& found = plan->segments[i];
    EXPECT_EQ(found.path, expected.path);
    EXPECT_EQ(found.generation, expected.generation);
    EXPECT_EQ(found.salt, expected.salt);
    EXPECT_EQ(found.base_lsn, expected.base_lsn);
    EXPECT_EQ(found.last_lsn, expected.last_lsn);
    EXPECT_EQ(found.end, expected.end);
    EXPECT_EQ(found.digest, expected.digest);
  }
}

TEST_F(RecoveryTest, SmallTailIsCarriedOverAsAWhole) {
  WriteAll();
  absl::StatusOr<RecoveryPlan> plan = Plan(/*carry_small_tail=*/true);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->copy_from, kSegmentHeaderBytes);
  EXPECT_EQ(plan->copy_first_lsn, 7u);
  EXPECT_EQ(plan->digest_at_copy, 0u);
  const RecoveryReport report = ExpectOpens(1, 10);
  EXPECT_EQ(report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(report.copied_records, 4u);
  EXPECT_EQ(report.segments, 3u);
  EXPECT_FALSE(std::filesystem::exists(Path(3))) << "its place was taken";
}

// Above 1 MiB the tail stays where it is, and what is proven of it is not copied.
TEST_F(RecoveryTest, LargeTailIsKeptAsASegment) {
  const std::string large(600000, 'x');
  SegmentImage tail(HeaderOf(3, &two_));
  tail.Group({large}, 6).Group({large}, 7).Group({"last"}, 8);
  Write(one_);
  Write(two_);
  WriteFile(Path(3), tail.File());
  control_.entries[0].allocated_bytes = kAllocated;
  WriteControl();
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), Options());
  ASSERT_OK(log);
  EXPECT_EQ((*log)->recovery_report().copied_records, 1u);
  EXPECT_EQ((*log)->recovery_report().segments, 4u);
  EXPECT_TRUE(std::filesystem::exists(Path(3)));
  absl::StatusOr<std::string> record = (*log)->Read(9);
  ASSERT_OK(record);
  EXPECT_EQ(*record, "last");
}

TEST_F(RecoveryTest, ClosedLogIsCleanAndNotScanned) {
  MarkClosed();
  WriteAll();
  absl::StatusOr<RecoveryPlan> plan = Plan(/*carry_small_tail=*/false);
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kClean);
  EXPECT_EQ(plan->report.last_lsn, 10u);
  EXPECT_EQ(plan->report.proven_durable_lsn, 10u);
  EXPECT_EQ(plan->report.scanned_bytes, 0u);
  EXPECT_EQ(plan->copy_from, three_.end()) << "nothing is copied";
  EXPECT_EQ(plan->segments.back().end, three_.end());
  EXPECT_EQ(plan->segments.back().digest, three_.digest());
  EXPECT_EQ(ExpectOpens(1, 10).verdict, RecoveryVerdict::kClean);
}

TEST_F(RecoveryTest, BytesBehindTheEndOfAClosedLogAreNothing) {
  MarkClosed();
  WriteAll();
  Overwrite(Path(3), three_.end() + 100, "stray");
  const RecoveryReport report = ExpectOpens(1, 10);
  EXPECT_EQ(report.verdict, RecoveryVerdict::kClean);
  EXPECT_EQ(report.discarded_bytes, 0u);
}

TEST_F(RecoveryTest, LogThatWasNeverWrittenTo) {
  control_.tail_generation = 1;
  control_.durable_lsn = 0;
  control_.entries = {{1, HeaderOf(1).salt, kAllocated}};
  WriteFile(Path(1), SegmentImage(HeaderOf(1)).File(kAllocated));
  WriteControl();
  const RecoveryReport report = ExpectOpens(1, 0);
  EXPECT_EQ(report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(report.copied_records, 0u);
}

TEST_F(RecoveryTest, TornGroupIsDiscarded) {
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kTornTail);
  EXPECT_EQ(plan->report.last_lsn, 8u);
  EXPECT_EQ(plan->report.discarded_bytes, three_.end() - three_.offset(2));
  EXPECT_EQ(plan->report.torn_path, Path(3));
  EXPECT_EQ(plan->report.torn_offset, three_.offset(2));
  EXPECT_EQ(ExpectOpens(1, 8).verdict, RecoveryVerdict::kTornTail);
}

TEST_F(RecoveryTest, TornGroupWithoutItsHeaderIsDiscarded) {
  WriteAll();
  Overwrite(Path(3), three_.offset(2), std::string(kGroupHeaderBytes, '\0'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kTornTail);
  EXPECT_EQ(plan->report.last_lsn, 8u);
  // Up to the last byte that is not zero: the end of the last record.
  EXPECT_GT(plan->report.discarded_bytes, kGroupHeaderBytes);
  EXPECT_LE(plan->report.discarded_bytes, three_.end() - three_.offset(2));
}

// Behind the end of a recycled file are old bytes: they are no sign of a write.
TEST_F(RecoveryTest, OldBytesOfARecycledFileAreNotATornGroup) {
  SegmentHeader header = three_.header();
  header.recycled = true;
  SegmentImage tail = Filled(header, {1, 1, 2}, 6);
  std::string file = tail.File();
  file.resize(kAllocated, 'o');
  Write(one_);
  Write(two_);
  WriteFile(Path(3), file);
  WriteControl();
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(plan->report.discarded_bytes, 0u);
  EXPECT_EQ(plan->report.last_lsn, 10u);
}

TEST_F(RecoveryTest, GroupCutByTheEndOfTheFileIsTorn) {
  Write(one_);
  Write(two_);
  control_.entries[0].allocated_bytes = three_.offset(2);
  WriteControl();
  WriteFile(Path(3), three_.File().substr(0, three_.end() - 8));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kTornTail);
  EXPECT_EQ(plan->report.last_lsn, 8u);
}

// ---- Damage to acknowledged records in the tail

TEST_F(RecoveryTest, DamagedGroupThatALaterGroupKnewToBeDurable) {
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(1) * 8);
  ExpectDataLoss({Path(3), "offset " + std::to_string(three_.offset(1)), "expected record 8",
                  "a later group knew record 8 to be durable", "found", "checksum"});
}

TEST_F(RecoveryTest, DamagedGroupHeaderThatALaterGroupKnewToBeDurable) {
  WriteAll();
  FlipBitInFile(Path(3), three_.offset(1) * 8);
  ExpectDataLoss({Path(3), "offset " + std::to_string(three_.offset(1)), "expected record 8",
                  "found no valid group"});
}

TEST_F(RecoveryTest, DamagedLastGroupThatTheControlFileKnewToBeDurable) {
  control_.durable_lsn = 10;
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  ExpectDataLoss({Path(3), "offset " + std::to_string(three_.offset(2)), "expected record 9",
                  "the control file knew record 10 to be durable"});
}

TEST_F(RecoveryTest, DamagedLastGroupOfAClosedLog) {
  MarkClosed();
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  EXPECT_TRUE(Fails(Log::Open(dir_.path(), Options()), absl::StatusCode::kDataLoss,
                    {Path(3), "expected record 9", "record 10 to be durable"}));
}

// A fresh segment holds copies, and its header says so.
TEST_F(RecoveryTest, DamagedCopyInAFreshSegment) {
  SegmentHeader header = HeaderOf(3, &two_);
  header.durable_lsn = 10;
  three_ = Filled(header, {1, 1, 2}, 6);
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  ExpectDataLoss({Path(3), "expected record 9", "the segment's header knew record 10"});
}

TEST_F(RecoveryTest, GapBetweenGroups) {
  three_ = SegmentImage(HeaderOf(3, &two_));
  three_.Group({PayloadOf(7)}, 6).SkipTo(9).Group({PayloadOf(9)}, 7);
  WriteAll();
  ExpectDataLoss(
      {Path(3), "offset " + std::to_string(three_.offset(1)), "expected record 8", "found 9"});
}

TEST_F(RecoveryTest, ReadErrorIsNotTheEndOfTheLog) {
  WriteAll();
  FaultyFileSystem faulty(SegmentName(3), 0, EIO, 1000);
  fs_ = &faulty;
  ExpectDamage(absl::StatusCode::kUnavailable, {Path(3), "read ", "Input/output error"});
}

TEST_F(RecoveryTest, PermissionDenied) {
  WriteAll();
  FaultyFileSystem faulty(SegmentName(2), EACCES, 0, 1000);
  fs_ = &faulty;
  ExpectDamage(absl::StatusCode::kPermissionDenied, {"open " + Path(2), "Permission denied"});
}

TEST_F(RecoveryTest, PermissionDeniedByTheKernel) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  WriteAll();
  ASSERT_EQ(chmod(Path(3).c_str(), 0), 0);
  EXPECT_TRUE(Fails(Log::Open(dir_.path(), Options()), absl::StatusCode::kPermissionDenied,
                    {"open " + Path(3)}));
}

// ---- Segments that are not what they should be

TEST_F(RecoveryTest, MissingFirstSegment) {
  WriteAll();
  ASSERT_EQ(unlink(Path(1).c_str()), 0);
  ExpectDataLoss(
      {Path(1), "offset 0", "expected segment 1 (it ends with record 3)", "found no such file"});
}

TEST_F(RecoveryTest, MissingMiddleSegment) {
  WriteAll();
  ASSERT_EQ(unlink(Path(2).c_str()), 0);
  ExpectDataLoss({Path(2), "expected segment 2 (it ends with record 6)", "found no such file"});
}

TEST_F(RecoveryTest, MissingNewestSegment) {
  WriteAll();
  ASSERT_EQ(unlink(Path(3).c_str()), 0);
  ExpectDataLoss({Path(3), "expected segment 3", "acknowledged records", "found no such file"});
}

// CONTROL had not yet said that it was begun.
TEST_F(RecoveryTest, MissingPreparedSegment) {
  control_.entries.push_back({4, 77, kAllocated});
  WriteAll();
  ExpectDataLoss({Path(4), "expected segment 4", "may hold records", "found no such file"});
}

TEST_F(RecoveryTest, AllSegmentsMissing) {
  WriteControl();
  ExpectDataLoss({Path(3), "expected segment 3", "found no such file"});
}

TEST_F(RecoveryTest, TrimmedSegmentsAreNotMissed) {
  control_.first_generation = 2;
  WriteAll();
  ASSERT_EQ(unlink(Path(1).c_str()), 0);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.first_lsn, 4u);
  EXPECT_EQ(plan->segments.size(), 2u);
}

TEST_F(RecoveryTest, TrimmedSegmentThatIsStillThereIsGarbage) {
  control_.first_generation = 2;
  WriteAll();
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.first_lsn, 4u);
  EXPECT_EQ(plan->garbage, std::vector<std::string>{SegmentName(1)});
  ExpectOpens(4, 10);
  EXPECT_FALSE(std::filesystem::exists(Path(1)));
}

TEST_F(RecoveryTest, SwappedSealedSegments) {
  WriteAll();
  WriteFile(Path(1), two_.File(kAllocated));
  WriteFile(Path(2), one_.File(kAllocated));
  ExpectDataLoss(
      {Path(2), "offset 32", "expected the header of generation 2", "found that of generation 1"});
}

TEST_F(RecoveryTest, NewestSegmentSwappedWithASealedOne) {
  WriteAll();
  WriteFile(Path(3), two_.File(kAllocated));
  WriteFile(Path(2), three_.File(kAllocated));
  ExpectDataLoss(
      {Path(3), "offset 32", "expected the header of generation 3", "found that of generation 2"});
}

// The same generation, but another life of it: restored from a copy, say.
TEST_F(RecoveryTest, TailWithAnotherSalt) {
  WriteAll();
  SegmentHeader header = three_.header();
  header.salt = 12345;
  Write(Filled(header, {1, 1, 2}, 6));
  ExpectDataLoss({Path(3), "offset 40", "expected salt", "found 12345"});
}

TEST_F(RecoveryTest, SealedSegmentOfAnotherLog) {
  WriteAll();
  SegmentHeader header = two_.header();
  header.log_id = {0xaaaa, 0xbbbb};
  Write(SegmentImage(header));
  ExpectDataLoss({Path(2), "offset 16", "expected log id 00000000000011110000000000002222",
                  "found 000000000000aaaa000000000000bbbb", "another log"});
}

TEST_F(RecoveryTest, NewestSegmentOfAnotherLog) {
  WriteAll();
  SegmentHeader header = three_.header();
  header.log_id = {0xaaaa, 0xbbbb};
  Write(SegmentImage(header));
  ExpectDataLoss({Path(3), "offset 16", "expected log id 00000000000011110000000000002222",
                  "found 000000000000aaaa000000000000bbbb"});
}

TEST_F(RecoveryTest, SegmentsThatDoNotFollowEachOther) {
  SegmentHeader header = two_.header();
  header.base_lsn = 7;
  WriteAll();
  Write(SegmentImage(header));
  ExpectDataLoss({Path(2), "offset 56", "expected a first record below 7", "found 7"});
}

TEST_F(RecoveryTest, NewerSegment) {
  for (uint64_t generation : {2, 3}) {
    WriteAll();
    Overwrite(Path(generation), 8, "\x02");
    Overwrite(Path(generation), kHeaderCopyOffset + 8, "\x02");
    ExpectDamage(absl::StatusCode::kUnimplemented,
                 {Path(generation), "expected format version 1", "found version 2"});
  }
}

TEST_F(RecoveryTest, OneHeaderCopyIsEnough) {
  for (uint64_t at : {uint64_t{0}, kHeaderCopyOffset}) {
    WriteAll();
    for (uint64_t generation : {1, 2, 3}) {
      Overwrite(Path(generation), at, std::string(512, 'x'));
    }
    absl::StatusOr<RecoveryPlan> plan = Plan();
    ASSERT_OK(plan);
    EXPECT_EQ(plan->report.last_lsn, 10u);
  }
}

TEST_F(RecoveryTest, BothHeaderCopiesDamaged) {
  for (uint64_t generation : {2, 3}) {
    WriteAll();
    Overwrite(Path(generation), 0, std::string(kSegmentHeaderBytes, 'x'));
    ExpectDataLoss({Path(generation), "offset 0", "expected the header of a", "found none"});
  }
}

TEST_F(RecoveryTest, ZeroLengthSegment) {
  WriteAll();
  WriteFile(Path(2), "");
  ExpectDataLoss({Path(2), "expected the header of a sealed segment", "found none"});
  WriteAll();
  WriteFile(Path(3), "");
  ExpectDataLoss({Path(3), "offset 0", "expected at least 32768 bytes", "found the end"});
}

TEST_F(RecoveryTest, TruncatedSealedSegment) {
  WriteAll();
  ASSERT_EQ(truncate(Path(2).c_str(), 4200), 0);
  ExpectDataLoss({Path(2), "offset 4200",
                  "expected " + std::to_string(two_.end()) + " bytes of groups",
                  "found the end of the file"});
}

TEST_F(RecoveryTest, TruncatedTail) {
  WriteAll();
  ASSERT_EQ(truncate(Path(3).c_str(), kAllocated - 4096), 0);
  ExpectDataLoss(
      {Path(3), "offset 28672", "expected at least 32768 bytes", "found the end of the file"});
}

TEST_F(RecoveryTest, TruncatedTailOfAClosedLog) {
  MarkClosed();
  control_.entries.clear();
  WriteAll();
  ASSERT_EQ(truncate(Path(3).c_str(), static_cast<off_t>(three_.offset(2))), 0);
  ExpectDataLoss({Path(3), "expected ", "found "});
}

TEST_F(RecoveryTest, DirectoryInThePlaceOfASegment) {
  for (uint64_t generation : {2, 3}) {
    WriteAll();
    ASSERT_EQ(unlink(Path(generation).c_str()), 0);
    ASSERT_EQ(mkdir(Path(generation).c_str(), 0755), 0);
    ExpectDamage(absl::StatusCode::kFailedPrecondition,
                 {Path(generation), "expected a segment file, found a directory"});
    ASSERT_EQ(rmdir(Path(generation).c_str()), 0);
  }
}

// ---- Behind the tail

TEST_F(RecoveryTest, SparesAreGarbage) {
  control_.entries.push_back({4, HeaderOf(4).salt, kAllocated});
  WriteAll();
  SegmentHeader spare;
  spare.log_id = control_.log_id;
  spare.generation = 4;
  spare.salt = HeaderOf(4).salt;
  WriteFile(Path(4), SegmentImage(spare).File(kAllocated));
  spare.generation = 5;
  WriteFile(Path(5), SegmentImage(spare).File(kAllocated));
  WriteFile(Path(6), std::string(8192, '\0'));  // its header was not written yet
  WriteFile(Path(7), "");
  WriteFile(Path(8), std::string(5000, 'x'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.verdict, RecoveryVerdict::kUnclosed);
  EXPECT_EQ(plan->report.last_lsn, 10u);
  EXPECT_EQ(plan->garbage.size(), 5u);
  EXPECT_EQ(plan->next_generation, 9u);
  ExpectOpens(1, 10);
  for (uint64_t generation = 4; generation <= 8; ++generation) {
    EXPECT_FALSE(std::filesystem::exists(Path(generation))) << generation;
  }
}

TEST_F(RecoveryTest, SpareWithAnotherSaltThanWasPrepared) {
  control_.entries.push_back({4, 77, kAllocated});
  WriteAll();
  SegmentHeader spare;
  spare.log_id = control_.log_id;
  spare.generation = 4;
  spare.salt = 78;
  WriteFile(Path(4), SegmentImage(spare).File(kAllocated));
  ExpectDataLoss({Path(4), "offset 40", "expected salt 77", "found 78"});
}

TEST_F(RecoveryTest, TruncatedSpare) {
  control_.entries.push_back({4, 77, kAllocated});
  WriteAll();
  WriteFile(Path(4), std::string(4096, '\0'));
  ExpectDataLoss({Path(4), "offset 4096", "expected at least 32768 bytes"});
}

// Renamed for its next life, the crash came before its new header.
TEST_F(RecoveryTest, MislabelledRecycledFileIsGarbage) {
  control_.first_generation = 2;
  WriteAll();
  ASSERT_EQ(rename(Path(1).c_str(), Path(4).c_str()), 0);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 10u);
  EXPECT_EQ(plan->garbage, std::vector<std::string>{SegmentName(4)});
  EXPECT_EQ(plan->next_generation, 5u);
  ExpectOpens(4, 10);
}

TEST_F(RecoveryTest, FileOfAnotherLogBehindTheTailIsLeftAlone) {
  WriteAll();
  SegmentHeader header = HeaderOf(5);
  header.log_id = {0xaaaa, 0xbbbb};
  const std::string foreign = SegmentImage(header).File(kAllocated);
  WriteFile(Path(5), foreign);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_TRUE(plan->garbage.empty());
  EXPECT_EQ(plan->next_generation, 6u);
  ExpectOpens(1, 10);
  EXPECT_TRUE(ReadFile(Path(5)) == foreign);
}

// The next segment was begun: its header says where the tail ends, and takes its place.
TEST_F(RecoveryTest, BegunSegmentIsTheTailBeforeTheControlFileSaysSo) {
  SegmentImage four = Filled(HeaderOf(4, &three_), {1}, 10);
  control_.entries.push_back({4, four.header().salt, kAllocated});
  WriteAll();
  Write(four);
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 11u);
  EXPECT_EQ(plan->segments.size(), 4u);
  ExpectOpens(1, 11);
}

TEST_F(RecoveryTest, PreparedSegmentWhoseHeaderIsGoneButWhoseGroupsWereAcknowledged) {
  SegmentImage four = Filled(HeaderOf(4, &three_), {1, 1}, 10);  // the second group knows 11
  control_.entries.push_back({4, four.header().salt, kAllocated});
  WriteAll();
  Write(four);
  Overwrite(Path(4), 0, std::string(kSegmentHeaderBytes, '\0'));
  ExpectDataLoss({Path(3), "expected record 11", Path(4), "knew record 11 to be durable"});
}

TEST_F(RecoveryTest, PreparedSegmentWhoseHeaderWasNeverDurable) {
  SegmentImage four = Filled(HeaderOf(4, &three_), {1}, 10);
  control_.entries.push_back({4, four.header().salt, kAllocated});
  WriteAll();
  Write(four);
  Overwrite(Path(4), 0, std::string(kSegmentHeaderBytes, '\0'));
  absl::StatusOr<RecoveryPlan> plan = Plan();
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 10u);
  EXPECT_EQ(plan->garbage, std::vector<std::string>{SegmentName(4)});
}

// ---- Reading beside a writer

TEST_F(RecoveryTest, ReadOnlyTriesAgainWhenAFileWentAway) {
  WriteAll();
  FaultyFileSystem faulty(SegmentName(2), ENOENT, 0, 2);
  fs_ = &faulty;
  absl::StatusOr<RecoveryPlan> plan = PlanReadOnly(fs_, dir_.path());
  ASSERT_OK(plan);
  EXPECT_EQ(plan->report.last_lsn, 10u);
}

TEST_F(RecoveryTest, ReadOnlyDoesNotTryAgainForEver) {
  WriteAll();
  FaultyFileSystem faulty(SegmentName(2), ENOENT, 0, 1000);
  EXPECT_TRUE(
      Fails(PlanReadOnly(&faulty, dir_.path()), absl::StatusCode::kNotFound, {"open " + Path(2)}));
}

// ---- Applying

TEST_F(RecoveryTest, RemoveFilesIsContentWithFilesThatAreGone) {
  WriteFile(dir_ / "a", "");
  EXPECT_OK(RemoveFiles(fs_, dir_.path(), {"a", "b"}));
  EXPECT_EQ(DirectoryImage(dir_.path()).Names(), "");
  ASSERT_EQ(mkdir((dir_ / "d").c_str(), 0755), 0);
  EXPECT_TRUE(Fails(RemoveFiles(fs_, dir_.path(), {"d"}), absl::StatusCode::kFailedPrecondition,
                    {"unlink " + (dir_ / "d")}));
}

// Whatever came before, records that are appended afterwards follow without a gap.
TEST_F(RecoveryTest, AppendingGoesOnBehindATornTail) {
  WriteAll();
  FlipBitInFile(Path(3), three_.payload_offset(2) * 8);
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), Options());
    ASSERT_OK(log);
    absl::StatusOr<Lsn> lsn = (*log)->AppendDurable(PayloadOf(9));
    ASSERT_OK(lsn);
    EXPECT_EQ(*lsn, 9u);
    ASSERT_OK((*log)->Close());
  }
  EXPECT_EQ(ExpectOpens(1, 9).verdict, RecoveryVerdict::kClean);
}

}  // namespace
}  // namespace seawall
