// SPDX-License-Identifier: Apache-2.0
// Retention by bytes and age, the hard cap, and the report of why each file is kept.
#include "seawall/retention.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "engine/store/disk_budget.h"
#include "engine/store/retain_options.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/log_event.h"
#include "tests/store/store_test_util.h"
#include "tests/support/disk_use.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

constexpr uint64_t kDayMicros = uint64_t{24} * 60 * 60 * 1000 * 1000;

Options SmallOptions(FileSystem* fs = nullptr) {
  Options options;
  options.segment_bytes = 16 << 10;
  options.buffer_bytes = 8 << 10;
  options.max_record_bytes = 4 << 10;
  options.file_system = fs;
  return options;
}

std::string PathOf(const std::string& directory, uint64_t generation) {
  return JoinPath(directory, SegmentName(generation));
}

// Durable records, until the log is at segment number `generation`.
Lsn AppendUpTo(Log* log, uint64_t generation, size_t bytes = 3000) {
  for (;;) {
    absl::StatusOr<Lsn> lsn = log->AppendDurable(std::string(bytes, 'r'));
    EXPECT_OK(lsn);
    if (!lsn.ok()) return 0;
    for (const SegmentRetention& segment : log->retention_report().segments) {
      if (segment.why == KeptBecause::kTail && segment.generation >= generation) return *lsn;
    }
  }
}

// A report whose files add up to the total that counts against the cap: but for one that is just
// being made or removed, so there is such a report before long.
template <typename Source>
RetentionReport Settled(Source* source) {
  RetentionReport report;
  for (int look = 0; look < 100000; ++look) {
    report = source->retention_report();
    uint64_t sum = kOtherFilesBytes;
    for (const SegmentRetention& segment : report.segments) sum += segment.bytes;
    if (sum == report.disk_bytes) return report;
    std::this_thread::yield();
  }
  ADD_FAILURE() << "does not add up: " << report.ToString();
  return report;
}

TEST(WantedTest, EitherLimitGivesUp) {
  Options options;
  KeptBecause why = KeptBecause::kTail;
  EXPECT_TRUE(Wanted(options, ~uint64_t{0}, 1, kDayMicros, &why));
  EXPECT_EQ(why, KeptBecause::kNotTrimmed);
  options.retain_micros = 100;
  EXPECT_TRUE(Wanted(options, ~uint64_t{0}, 1000, 1099, &why));
  EXPECT_EQ(why, KeptBecause::kYoung);
  EXPECT_FALSE(Wanted(options, 0, 1000, 1100, &why));
  EXPECT_TRUE(Wanted(options, 0, 0, 1100, &why)) << "of unknown age";
  EXPECT_TRUE(Wanted(options, 0, 2000, 1100, &why)) << "from the future";
  options.retain_bytes = 50;
  EXPECT_TRUE(Wanted(options, 49, 1000, 1099, &why));
  EXPECT_EQ(why, KeptBecause::kWithinBytes);
  EXPECT_FALSE(Wanted(options, 50, 1000, 1099, &why));
}

TEST(DiskBudgetTest, TheReserveIsForThoseWhoMayTakeIt) {
  Options options = SmallOptions();
  EXPECT_EQ(DiskBudget(options).Room(), ~uint64_t{0});
  options.max_log_bytes = kOtherFilesBytes + kCopySlackBytes + 3 * options.segment_bytes;
  DiskBudget budget(options);
  const uint64_t room = budget.Room();
  EXPECT_EQ(room, 2 * options.segment_bytes);
  EXPECT_FALSE(budget.TryTake(room + 1));
  EXPECT_TRUE(budget.TryTake(room));
  EXPECT_EQ(budget.Room(), 0u);
  EXPECT_FALSE(budget.Over());
  EXPECT_FALSE(budget.TryTakeReserved(options.segment_bytes + kCopySlackBytes + 1));
  EXPECT_TRUE(budget.TryTakeReserved(options.segment_bytes + kCopySlackBytes));
  EXPECT_TRUE(budget.Over());
  EXPECT_FALSE(budget.TryTakeReserved(1));
  budget.Take(kBlockBytes);  // as an opening may
  EXPECT_EQ(budget.Room(), 0u);
  EXPECT_FALSE(budget.TryTakeReserved(1));
}

TEST(RetentionTest, ByBytes) {
  TempDir dir;
  NameWatch watch(FileSystem::Posix());
  Options options = SmallOptions(&watch);
  options.retain_bytes = 40 << 10;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
  ASSERT_OK(log);
  ASSERT_GT(AppendUpTo(log->get(), 8), 0u);
  for (uint64_t generation = 1; generation <= 4; ++generation) {
    watch.AwaitGone(PathOf(dir.path(), generation));
  }
  const RetentionReport report = Settled(log->get());
  // At least as much is kept, and not a segment more than need be.
  uint64_t behind = 0;
  for (const SegmentRetention& segment : report.segments) {
    if (segment.first_lsn == 0 || segment.why == KeptBecause::kTail) continue;
    EXPECT_EQ(segment.why, KeptBecause::kWithinBytes) << report.ToString();
    behind += segment.bytes;
  }
  EXPECT_GE(behind + options.segment_bytes, options.retain_bytes);
  EXPECT_LE(behind, options.retain_bytes + options.segment_bytes);
  EXPECT_EQ(report.first_lsn, (*log)->first_lsn());
}

TEST(RetentionTest, ByAgeWhenTheTimeHasCome) {
  TempDir dir;
  NameWatch watch(FileSystem::Posix());
  Options options = SmallOptions(&watch);
  options.retain_micros = 1000;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
  ASSERT_OK(log);
  const Lsn last = AppendUpTo(log->get(), 3);
  // Nothing else happens: the clock does it.
  for (uint64_t generation = 1; generation <= 2; ++generation) {
    watch.AwaitGone(PathOf(dir.path(), generation));
  }
  EXPECT_OK((*log)->Read(last)) << "the tail stays, however old";
}

// Makes the first group of a segment say that it was sealed `micros` ago.
void MakeOlder(const std::string& path, uint64_t micros) {
  std::string bytes = ReadFile(path);
  SegmentHeader header;
  uint32_t version;
  ASSERT_EQ(DecodeSegmentHeader(bytes.data(), &header, &version), DecodeResult::kValid);
  GroupHeader group;
  uint64_t checksum;
  char* at = bytes.data() + kSegmentHeaderBytes;
  ASSERT_TRUE(DecodeGroupHeader(at, header.salt, kSegmentHeaderBytes, &group, &checksum));
  group.sealed_unix_micros -= static_cast<int64_t>(micros);
  EncodeGroupHeader(group, header.salt, kSegmentHeaderBytes, at);
  WriteFile(path, bytes);
}

TEST(RetentionTest, ByAgeOfWhatWasThereBefore) {
  TempDir dir;
  NameWatch watch(FileSystem::Posix());
  Options options = SmallOptions(&watch);
  {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
    ASSERT_OK(log);
    ASSERT_GT(AppendUpTo(log->get(), 4), 0u);
    ASSERT_OK((*log)->Close());
  }
  // All of segments 1 and 2 is older than the first group of segment 3.
  MakeOlder(PathOf(dir.path(), 2), 3 * kDayMicros);
  MakeOlder(PathOf(dir.path(), 3), 2 * kDayMicros);
  options.retain_micros = kDayMicros;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
  ASSERT_OK(log);
  watch.AwaitGone(PathOf(dir.path(), 1));
  watch.AwaitGone(PathOf(dir.path(), 2));
  const RetentionReport report = Settled(log->get());
  ASSERT_GE(report.segments.size(), 2u);
  EXPECT_EQ(report.segments[0].generation, 3u);
  EXPECT_EQ(report.segments[0].why, KeptBecause::kYoung) << report.ToString();
  EXPECT_GE(report.segments[0].age_micros, 0);
  EXPECT_LT(report.segments[0].age_micros, static_cast<int64_t>(kDayMicros));
}

TEST(RetentionTest, AHoldIsStrongerThanRetention) {
  TempDir dir;
  NameWatch watch(FileSystem::Posix());
  Options options = SmallOptions();
  options.retain_bytes = 1;
  StoreUnderTest log(&watch, dir.path(), options);
  ASSERT_OK(log.store.retention().SetHold(HoldKind::kCursor, "mailer", 1));
  ASSERT_OK(log.store.retention().SetHold(HoldKind::kArchive, "", 2));
  ASSERT_GT(log.FillSegments(5, 3000), 0u);
  const RetentionReport report = Settled(&log.store.retention());
  EXPECT_EQ(report.first_lsn, 1u);
  EXPECT_EQ(report.segments[0].why, KeptBecause::kHeld);
  EXPECT_EQ(report.segments[0].text,
            "held by cursor \"mailer\" from record 1, archive from record 2");
  EXPECT_EQ(report.holds.size(), 2u);
  log.store.retention().ReleaseHold(HoldKind::kCursor, "mailer");
  log.store.retention().ReleaseHold(HoldKind::kArchive, "");
  watch.AwaitGone(PathOf(dir.path(), 1));
  EXPECT_GT(log.store.first_lsn(), 1u);
}

// A log of three segments, and a reader that has the first one open.
struct LogWithReader {
  explicit LogWithReader(uint32_t max_recycled_segments) {
    Options options = SmallOptions(&watch);
    options.max_recycled_segments = max_recycled_segments;
    auto opened = Log::Open(dir.path(), options);
    if (!opened.ok()) ADD_FAILURE() << opened.status();
    log = *std::move(opened);
    last = AppendUpTo(log.get(), 3);
    auto at_first = log->NewReader(1);
    if (!at_first.ok()) ADD_FAILURE() << at_first.status();
    reader = *std::move(at_first);
    Record record;
    EXPECT_TRUE(reader->Next(&record));
  }

  // Trims all but the last segment, and returns the report when the store's thread has noted what
  // became of them.
  RetentionReport Trim() {
    EXPECT_OK(log->TrimBefore(last));
    for (uint64_t generation : {1, 2}) watch.AwaitGone(PathOf(dir.path(), generation));
    for (;;) {
      RetentionReport report = Settled(log.get());
      const auto& files = report.segments;
      if (std::none_of(files.begin(), files.end(), [](const SegmentRetention& file) {
            return file.why == KeptBecause::kRemovedNext;
          })) {
        return report;
      }
    }
  }

  TempDir dir;
  NameWatch watch{FileSystem::Posix()};
  std::unique_ptr<Log> log;
  std::unique_ptr<Reader> reader;
  Lsn last = 0;
};

TEST(RetentionTest, TheReportSaysWhatEachFileIsFor) {
  LogWithReader at(/*max_recycled_segments=*/0);
  RetentionReport report = Settled(at.log.get());
  ASSERT_GE(report.segments.size(), 3u);
  EXPECT_EQ(report.segments[0].why, KeptBecause::kNotTrimmed);
  EXPECT_EQ(report.segments[2].why, KeptBecause::kTail);
  EXPECT_EQ(report.segments[2].last_lsn, at.last);

  report = at.Trim();
  EXPECT_EQ(report.segments.back().why, KeptBecause::kReader) << report.ToString();
  EXPECT_EQ(report.segments.back().generation, 1u);
  at.reader.reset();
  report = Settled(at.log.get());
  EXPECT_NE(report.segments.back().why, KeptBecause::kReader) << report.ToString();
}

TEST(RetentionTest, AFileThatAReaderHasOpenIsNotWrittenAgain) {
  LogWithReader at(/*max_recycled_segments=*/4);
  const RetentionReport report = at.Trim();
  const auto kept =
      std::find_if(report.segments.begin(), report.segments.end(),
                   [](const SegmentRetention& file) { return file.why == KeptBecause::kReader; });
  ASSERT_NE(kept, report.segments.end()) << report.ToString();
  EXPECT_EQ(kept->generation, 1u);
  EXPECT_EQ(at.log->stats().segments_recycled, 1u) << "the other one";
  EXPECT_EQ(at.log->stats().segments_unlinked, 1u);
}

// As chattr +i does, or a bad block of the directory.
class UndeletableFile : public NameWatch {
 public:
  explicit UndeletableFile(std::string path)
      : NameWatch(FileSystem::Posix()), path_(std::move(path)) {}

  int Unlink(const std::string& path) override {
    return path == path_ ? EPERM : NameWatch::Unlink(path);
  }

 private:
  const std::string path_;
};

TEST(RetentionTest, AFileThatCannotBeRemovedKeepsNoOther) {
  Watchdog watchdog(std::chrono::seconds(20));
  watchdog.Begin("other files are removed");
  TempDir dir;
  UndeletableFile fs(PathOf(dir.path(), 1));
  Options options = SmallOptions(&fs);
  options.max_recycled_segments = 0;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), options);
  ASSERT_OK(log);
  Lsn last = AppendUpTo(log->get(), 6);
  ASSERT_OK((*log)->TrimBefore(last));
  for (uint64_t generation = 2; generation <= 5; ++generation) {
    fs.AwaitGone(PathOf(dir.path(), generation));
  }
  last = AppendUpTo(log->get(), 9);  // and the log goes on
  ASSERT_OK((*log)->TrimBefore(last));
  fs.AwaitGone(PathOf(dir.path(), 8));
  EXPECT_TRUE(std::filesystem::exists(PathOf(dir.path(), 1)));
  ASSERT_OK((*log)->Close());
  EXPECT_OK(Log::Open(dir.path(), SmallOptions()));
  EXPECT_FALSE(std::filesystem::exists(PathOf(dir.path(), 1)));
}

// The store's thread may not have come to it yet: a few rounds, since that is a race.
TEST(RetentionTest, ClosingRemovesWhatWasTrimmed) {
  for (int round = 0; round < 10; ++round) {
    TempDir dir;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir.path(), SmallOptions());
    ASSERT_OK(log);
    const Lsn last = AppendUpTo(log->get(), 4);
    ASSERT_OK((*log)->TrimBefore(last));
    ASSERT_OK((*log)->Close());
    for (uint64_t generation = 1; generation < 4; ++generation) {
      EXPECT_FALSE(std::filesystem::exists(PathOf(dir.path(), generation)))
          << "round " << round << ", segment " << generation;
    }
  }
}

// ---- The cap

class CapTest : public ::testing::TestWithParam<WhenFull> {
 protected:
  static constexpr uint64_t kSegmentBytes = 1 << 20;

  CapTest() {
    options_.segment_bytes = kSegmentBytes;
    options_.buffer_bytes = 128 << 10;
    options_.max_record_bytes = 64 << 10;
    options_.max_log_bytes = kOtherFilesBytes + 5 * kSegmentBytes;
    options_.when_full = GetParam();
    options_.file_system = &disk_;
  }

  absl::Status AppendUntilRefused(Log* log) {
    for (;;) {
      const std::string text = absl::StrCat("record ", log->appended_lsn() + 1);
      const std::string record = text + std::string(28000, '.');
      const Lsn before = log->appended_lsn();
      const std::vector<std::string_view> batch = {record, record};
      absl::StatusOr<LsnRange> range = log->AppendBatch(batch, Durability::kDurable);
      if (!range.ok()) {
        EXPECT_EQ(log->appended_lsn(), before) << "half accepted";
        return range.status();
      }
    }
  }
  void CheckContents(Log* log, Lsn last) {
    absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(log->first_lsn());
    ASSERT_OK(reader);
    Record record;
    Lsn next = log->first_lsn();
    while ((*reader)->Next(&record)) {
      ASSERT_EQ(record.lsn, next);
      const std::string text = absl::StrCat("record ", (next - 1) / 2 * 2 + 1, ".");
      ASSERT_EQ(record.payload.substr(0, text.size()), text);
      ++next;
    }
    EXPECT_OK((*reader)->status());
    EXPECT_EQ(next - 1, last);
  }

  TempDir dir_;
  DiskUse disk_{FileSystem::Posix()};
  Options options_;
};

TEST_P(CapTest, RefusesBeforeAcceptanceAndGoesOnAfterATrim) {
  std::vector<LogEvent> stalls;  // of the log's thread for events, which ends with Close()
  options_.on_event = [&stalls](const LogEvent& event) {
    if (event.kind == LogEventKind::kRetentionStall) stalls.push_back(event);
  };
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), options_);
  ASSERT_OK(log);
  for (int round = 0; round < 3; ++round) {
    const Lsn before = (*log)->appended_lsn();
    for (int i = 0; i < 3; ++i) {
      EXPECT_TRUE(Fails(AppendUntilRefused(log->get()), absl::StatusCode::kResourceExhausted,
                        {"max_log_bytes", dir_.path()}));
    }
    EXPECT_GT((*log)->appended_lsn(), before) << "round " << round;
    EXPECT_LE(disk_.peak(), options_.max_log_bytes);
    const RetentionReport report = Settled(log->get());
    EXPECT_LE(report.disk_bytes, report.max_log_bytes - report.reserved_bytes);
    // Not refused long before.
    EXPECT_GT(report.disk_bytes + 2 * kSegmentBytes, report.max_log_bytes - report.reserved_bytes);
    ASSERT_NO_FATAL_FAILURE(CheckContents(log->get(), (*log)->durable_lsn()));
    ASSERT_OK((*log)->TrimBefore((*log)->durable_lsn()));
  }
  ASSERT_OK((*log)->Close());
  // Once for each time that there was no room any more, however often it was asked for.
  ASSERT_EQ(stalls.size(), 3u);
  EXPECT_TRUE(Fails(stalls[0].status, absl::StatusCode::kResourceExhausted, {"max_log_bytes"}));
}

TEST_P(CapTest, ASlowReaderKeepsWhatItReads) {
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), options_);
  ASSERT_OK(log);
  ASSERT_TRUE(Fails(AppendUntilRefused(log->get()), absl::StatusCode::kResourceExhausted));
  // One reader in each segment.
  std::vector<std::unique_ptr<Reader>> readers;
  for (const SegmentRetention& segment : (*log)->retention_report().segments) {
    if (segment.first_lsn == 0) continue;
    absl::StatusOr<std::unique_ptr<Reader>> reader = (*log)->NewReader(segment.first_lsn);
    ASSERT_OK(reader);
    Record record;
    ASSERT_TRUE((*reader)->Next(&record));
    readers.push_back(std::move(*reader));
  }
  EXPECT_GE(readers.size(), 3u);
  ASSERT_OK((*log)->TrimBefore((*log)->durable_lsn()));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Fails(AppendUntilRefused(log->get()), absl::StatusCode::kResourceExhausted));
  }
  const Lsn refused = (*log)->appended_lsn();
  EXPECT_LE(disk_.peak(), options_.max_log_bytes);
  readers.clear();
  EXPECT_TRUE(Fails(AppendUntilRefused(log->get()), absl::StatusCode::kResourceExhausted));
  EXPECT_GT((*log)->appended_lsn(), refused + 40);
  EXPECT_LE(disk_.peak(), options_.max_log_bytes);
}

TEST_P(CapTest, HoldsAtTheNextOpeningAndForTruncations) {
  Lsn last = 0;
  {
    // Not closed: as after a kill.
    StoreUnderTest killed(&disk_, dir_.path(), options_);
    for (;;) {
      absl::StatusOr<Lsn> lsn = killed.Append(std::string(28000, 'x'));
      if (!lsn.ok()) break;
      last = *lsn;
      ASSERT_OK(killed.WaitWritten(last));
    }
  }
  ASSERT_GT(last, 100u);
  EXPECT_LE(disk_.peak(), options_.max_log_bytes);
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), options_);
  ASSERT_OK(log);
  EXPECT_EQ((*log)->durable_lsn(), last);
  EXPECT_LE(disk_.peak(), options_.max_log_bytes);
  for (int i = 0; i < 20; ++i) {
    const absl::Status status = (*log)->TruncateAfter((*log)->appended_lsn() - 1);
    if (!status.ok()) {
      EXPECT_TRUE(Fails(status, absl::StatusCode::kResourceExhausted, {"max_log_bytes"}));
    }
    EXPECT_LE(disk_.peak(), options_.max_log_bytes);
  }
  ASSERT_OK((*log)->TrimBefore((*log)->durable_lsn()));
  EXPECT_OK((*log)->AppendDurable("goes on"));
  EXPECT_LE(disk_.peak(), options_.max_log_bytes);
  (void)Settled(log->get());
}

TEST_P(CapTest, WithRetentionAppendsAreNeverRefused) {
  options_.max_log_bytes = kOtherFilesBytes + kCopySlackBytes + 8 * kSegmentBytes;
  options_.retain_bytes = 4 * kSegmentBytes;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), options_);
  ASSERT_OK(log);
  while ((*log)->stats().rollovers < 12) {
    ASSERT_OK((*log)->AppendDurable(std::string(30000, 'x')));
  }
  EXPECT_LE(disk_.peak(), options_.max_log_bytes);
  (void)Settled(log->get());
}

// With the smallest cap there is: a segment that is written, the next one, and the reserve.
TEST_P(CapTest, TheSmallestDoes) {
  options_ = SmallOptions(&disk_);
  options_.when_full = GetParam();
  options_.max_log_bytes = kOtherFilesBytes + kCopySlackBytes + 3 * options_.segment_bytes;
  absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(dir_.path(), options_);
  ASSERT_OK(log);
  int refused = 0;
  for (int i = 0; i < 60; ++i) {
    absl::StatusOr<Lsn> lsn = (*log)->AppendDurable(std::string(3000, 'x'));
    if (lsn.ok()) continue;
    ++refused;
    ASSERT_TRUE(Fails(lsn, absl::StatusCode::kResourceExhausted, {"max_log_bytes"}));
    ASSERT_OK((*log)->TrimBefore((*log)->durable_lsn() + 1));
    ASSERT_OK((*log)->AppendDurable(std::string(3000, 'x')));
  }
  EXPECT_GT(refused, 3);
  EXPECT_LE(disk_.peak(), options_.max_log_bytes);
}

std::string NameOf(const ::testing::TestParamInfo<WhenFull>& tested) {
  return tested.param == WhenFull::kWait ? "Wait" : "Fail";
}
INSTANTIATE_TEST_SUITE_P(All, CapTest, ::testing::Values(WhenFull::kWait, WhenFull::kFail), NameOf);

TEST(CapOptionsTest, TooSmallIsRefused) {
  Options options = SmallOptions();
  options.max_log_bytes = kOtherFilesBytes + kCopySlackBytes + 3 * options.segment_bytes - 1;
  EXPECT_TRUE(Fails(options.Validate(), absl::StatusCode::kInvalidArgument,
                    {"max_log_bytes", absl::StrCat(options.max_log_bytes + 1)}));
  ++options.max_log_bytes;
  EXPECT_OK(options.Validate());
  options.retain_bytes = 1;
  EXPECT_TRUE(Fails(options.Validate(), absl::StatusCode::kInvalidArgument,
                    {"retain_bytes is 1", "at most 0"}));
  options.max_log_bytes += options.segment_bytes + 1;
  EXPECT_OK(options.Validate());
  options.retain_micros = ~uint64_t{0};
  EXPECT_TRUE(Fails(options.Validate(), absl::StatusCode::kInvalidArgument, {"retain_micros"}));
}

}  // namespace
}  // namespace seawall
