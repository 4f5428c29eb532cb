// SPDX-License-Identifier: Apache-2.0
// The archive hook, and what is restored of what it copied.
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/copy/archiver.h"
#include "engine/format/file_names.h"
#include "gtest/gtest.h"
#include "seawall/backup.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

constexpr size_t kRecordBytes = 3000;  // four to a segment

std::string Payload(Lsn lsn) {
  std::string payload = absl::StrCat("record ", lsn, " ");
  payload.resize(kRecordBytes, '.');
  return payload;
}

void Append(Log* log, int records) {
  for (int i = 0; i < records; ++i) {
    ASSERT_OK(log->AppendDurable(Payload(log->appended_lsn() + 1)));
  }
}

// Notes what it gets, and copies it; fails as often as it is told.
class Archive {
 public:
  explicit Archive(std::string directory) : directory_(std::move(directory)) {
    if (!directory_.empty()) std::filesystem::create_directory(directory_);
  }

  absl::Status operator()(const SealedSegment& segment) {
    const std::lock_guard<std::mutex> lock(mutex_);
    changed_.notify_all();
    ++calls_;
    if (failures_ > 0 && failures_-- > 0) return absl::UnavailableError("no tape in the drive");
    if (!directory_.empty()) {
      std::filesystem::copy_file(segment.path, directory_ + "/" + SegmentName(segment.generation),
                                 std::filesystem::copy_options::overwrite_existing);
    }
    segments_.push_back(segment);
    return absl::OkStatus();
  }

  void FailNext(int times) {
    const std::lock_guard<std::mutex> lock(mutex_);
    failures_ = times;
  }
  void AwaitSegments(size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return segments_.size() >= count; });
  }
  void AwaitCalls(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [&] { return calls_ >= count; });
  }
  // That each came once, in order, without a gap: the LSNs first to last.
  void ExpectRange(Lsn first, Lsn last) {
    const std::lock_guard<std::mutex> lock(mutex_);
    ASSERT_FALSE(segments_.empty());
    EXPECT_EQ(segments_.front().first_lsn, first);
    EXPECT_EQ(segments_.back().last_lsn, last);
    for (size_t i = 1; i < segments_.size(); ++i) {
      EXPECT_EQ(segments_[i].first_lsn, segments_[i - 1].last_lsn + 1);
      EXPECT_GT(segments_[i].generation, segments_[i - 1].generation);
    }
  }
  std::vector<SealedSegment> segments() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return segments_;
  }

 private:
  const std::string directory_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<SealedSegment> segments_;
  int failures_ = 0;
  int calls_ = 0;
};

class ArchiveTest : public ::testing::Test {
 protected:
  void SetUp() override { watchdog_.Begin("an archive"); }

  Options WithHook(FileSystem* fs = nullptr) {
    Options options;
    options.file_system = fs;
    options.segment_bytes = 16384;
    options.buffer_bytes = 8192;
    options.max_record_bytes = kRecordBytes;
    options.archive = [this](const SealedSegment& segment) { return hook_(segment); };
    options.archive_retry_micros = 1000;
    return options;
  }
  std::unique_ptr<Log> MustOpen(const Options& options) {
    auto log = Log::Open(log_, options);
    EXPECT_OK(log);
    return log.ok() ? std::move(*log) : nullptr;
  }
  // That `directory` is a log with these records.
  static void ExpectLog(const std::string& directory, Lsn first, Lsn last) {
    auto log = Log::Open(directory, Options());
    ASSERT_OK(log);
    EXPECT_EQ((*log)->first_lsn(), first);
    ASSERT_EQ((*log)->durable_lsn(), last);
    for (Lsn lsn = first; lsn <= last; ++lsn) {
      auto record = (*log)->Read(lsn);
      ASSERT_OK(record);
      EXPECT_EQ(*record, Payload(lsn));
    }
  }

  Watchdog watchdog_;
  TempDir dir_;
  const std::string log_ = dir_ / "log";
  const std::string archive_ = dir_ / "archive";
  const std::string out_ = dir_ / "out";
  Archive hook_{archive_};
};

TEST_F(ArchiveTest, EachSealedSegmentComesOnceInOrderAlsoAcrossRestarts) {
  for (int life = 0; life < 3; ++life) {
    auto log = MustOpen(WithHook());
    Append(log.get(), 14);
    ASSERT_OK(log->Close());
  }
  const std::vector<SealedSegment> segments = hook_.segments();
  ASSERT_GE(segments.size(), 9u);
  hook_.ExpectRange(1, segments.back().last_lsn);
}

// A segment that the hook has not taken stays, whatever is trimmed; and goes when it has.
TEST_F(ArchiveTest, NothingIsTrimmedBeforeItIsArchived) {
  hook_.FailNext(1000000);
  auto log = MustOpen(WithHook());
  Append(log.get(), 20);
  hook_.AwaitCalls(3);
  ASSERT_OK(log->TrimBefore(21));
  EXPECT_EQ(log->first_lsn(), 1u);
  EXPECT_GE(log->stats().archive_failures, 2u);
  EXPECT_EQ(log->stats().segments_archived, 0u);
  hook_.FailNext(0);
  hook_.AwaitSegments(4);
  Append(log.get(), 1);
  while (log->first_lsn() < 13) std::this_thread::yield();
  hook_.ExpectRange(1, hook_.segments().back().last_lsn);
  // The hold is back before anything can be trimmed, after a restart.
  hook_.FailNext(1000000);
  Append(log.get(), 8);
  ASSERT_OK(log->Close());
  const Lsn archived = hook_.segments().back().last_lsn;
  log = MustOpen(WithHook());
  ASSERT_OK(log->TrimBefore(log->durable_lsn() + 1));
  EXPECT_LE(log->first_lsn(), archived + 1);
  hook_.FailNext(0);
  ASSERT_OK(log->Close());
  hook_.ExpectRange(1, hook_.segments().back().last_lsn);
}

// What is remembered is lost, or is garbage, or another log's: all that is there comes again.
TEST_F(ArchiveTest, WithoutAMemorySegmentsComeAgain) {
  auto log = MustOpen(WithHook());
  Append(log.get(), 20);
  ASSERT_OK(log->Close());
  const std::string memory = log_ + "/" + kArchivedName;
  const std::string good = ReadFile(memory);
  size_t before = hook_.segments().size();
  for (const std::string& bytes :
       {std::string(), good.substr(1), good + "x", std::string(40, '\0'),
        std::string(good).replace(24, 1, "x"), std::string(good).replace(8, 1, "x")}) {
    WriteFile(memory, bytes);
    log = MustOpen(WithHook());
    ASSERT_OK(log->Close());
    EXPECT_GT(hook_.segments().size(), before) << Hex(bytes);
    before = hook_.segments().size();
  }
}

// ---- A hook that does not return

// What the hook and the test share outlives the log, as the hook does.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  int entered = 0;
  int left = 0;
  bool open = false;

  absl::Status Pass() {
    std::unique_lock<std::mutex> lock(mutex);
    ++entered;
    changed.notify_all();
    changed.wait(lock, [&] { return open; });
    ++left;
    changed.notify_all();
    return absl::OkStatus();
  }
  void AwaitEntered() {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return entered > 0; });
  }
  void Open() {
    std::unique_lock<std::mutex> lock(mutex);
    open = true;
    changed.notify_all();
    changed.wait(lock, [&] { return left == entered; });
  }
};

TEST_F(ArchiveTest, CloseDoesNotWaitForAHookThatHangs) {
  const auto gate = std::make_shared<Gate>();
  Options options = WithHook();
  options.archive = [gate](const SealedSegment&) { return gate->Pass(); };
  options.archive_close_micros = 20 * 1000;
  for (int life = 0; life < 2; ++life) {
    auto log = MustOpen(options);
    Append(log.get(), 14);
    gate->AwaitEntered();
    const absl::Status closed = log->Close();
    EXPECT_TRUE(Fails(closed, absl::StatusCode::kDeadlineExceeded,
                      {log_ + "/" + SegmentName(1), "expected the archive hook to return",
                       "from record 1 on, are not archived"}));
    EXPECT_EQ(log->Close(), closed);
    EXPECT_EQ(log->durable_lsn(), 14u * (static_cast<Lsn>(life) + 1));
    // It was closed all the same, and its lock is free: not only when the object goes.
    if (life == 1) {
      EXPECT_EQ(MustOpen(Options())->recovery_report().verdict, RecoveryVerdict::kClean);
    }
    log.reset();  // the hook is still at work
  }
  {
    const std::lock_guard<std::mutex> lock(gate->mutex);
    EXPECT_EQ(gate->entered, 2);  // one call in each life
  }
  gate->Open();
  // What it took when nobody was there any more is not remembered: it comes again.
  auto log = MustOpen(WithHook());
  ASSERT_OK(log->Close());
  EXPECT_EQ(hook_.segments().front().first_lsn, 1u);
}

// Destroying the log does not wait for it either.
TEST_F(ArchiveTest, TheDestructorDoesNotWaitForAHookThatHangs) {
  const auto gate = std::make_shared<Gate>();
  Options options = WithHook();
  options.archive = [gate](const SealedSegment&) { return gate->Pass(); };
  options.archive_close_micros = 0;
  auto log = MustOpen(options);
  Append(log.get(), 14);
  gate->AwaitEntered();
  log.reset();
  gate->Open();
}

TEST_F(ArchiveTest, ATruncationAndAResetLeaveNothingBehindToWaitFor) {
  auto log = MustOpen(WithHook());
  Append(log.get(), 14);
  ASSERT_OK(log->TruncateAfter(6));
  Append(log.get(), 12);
  ASSERT_OK(log->Reset(100));
  Append(log.get(), 12);
  ASSERT_OK(log->Close());
  EXPECT_GE(hook_.segments().back().last_lsn, 107u);
  // Only the new history is restored.
  ASSERT_OK(RestoreLog(archive_, log_, out_));
  ExpectLog(out_, 100, 111);
}

// What the hook took last is not in the log any more when it returns: other records have its LSNs.
TEST_F(ArchiveTest, ACutWhileTheHookRunsLeavesNothingUnarchived) {
  for (const bool reset : {false, true}) {
    std::atomic<int> calls{0};
    std::atomic<bool> go_on{false};
    Options options = WithHook();
    options.archive = [&](const SealedSegment&) {
      if (++calls > 1) return absl::UnavailableError("no tape in the drive");
      while (!go_on) std::this_thread::yield();
      return absl::OkStatus();
    };
    auto log = MustOpen(options);
    Append(log.get(), 14);
    while (calls < 1) std::this_thread::yield();
    const Lsn kept = reset ? 0 : 2;
    ASSERT_OK(reset ? log->Reset(1) : log->TruncateAfter(kept));
    Append(log.get(), 14);
    go_on = true;
    while (calls < 2) std::this_thread::yield();
    ASSERT_OK(log->TrimBefore(log->durable_lsn() + 1));
    EXPECT_LE(log->first_lsn(), kept + 1);
    log.reset();
    std::filesystem::remove_all(log_);
  }
}

// At the cap, nothing else might ever seal one.
TEST_F(ArchiveTest, ASegmentThatACutSealedComesAtOnce) {
  auto log = MustOpen(WithHook());
  Append(log.get(), 3);
  ASSERT_OK(log->TruncateAfter(2));
  hook_.AwaitSegments(1);
  hook_.ExpectRange(1, 2);
}

// As when older files are put back: generations come again.
TEST_F(ArchiveTest, AMemoryThatIsAheadOfTheLogProvesNothing) {
  auto log = MustOpen(WithHook());
  Append(log.get(), 8);
  ASSERT_OK(log->Close());
  std::filesystem::copy(log_, out_);
  log = MustOpen(WithHook());
  Append(log.get(), 30);
  ASSERT_OK(log->Close());
  std::filesystem::copy_file(log_ + "/" + kArchivedName, out_ + "/" + kArchivedName,
                             std::filesystem::copy_options::overwrite_existing);
  log.reset();
  std::filesystem::remove_all(log_);
  std::filesystem::rename(out_, log_);
  hook_.FailNext(1000000);
  log = MustOpen(WithHook());
  Append(log.get(), 8);
  ASSERT_OK(log->TrimBefore(log->durable_lsn() + 1));
  EXPECT_EQ(log->first_lsn(), 1u);
  hook_.FailNext(0);
  ASSERT_OK(log->Close());
  EXPECT_GE(hook_.segments().back().last_lsn, 12u);
}

TEST_F(ArchiveTest, AnExceptionOfTheHookIsAFailure) {
  std::atomic<int> calls{0};
  Options options = WithHook();
  options.archive = [&](const SealedSegment& segment) {
    if (++calls == 1) throw std::runtime_error("no tape in the drive");
    return hook_(segment);
  };
  auto log = MustOpen(options);
  Append(log.get(), 8);
  hook_.AwaitSegments(1);
  ASSERT_OK(log->Close());
  EXPECT_EQ(log->stats().archive_failures, 1u);
  hook_.ExpectRange(1, 4);
}

TEST_F(ArchiveTest, RestoresArchivedAndLiveSegmentsUpToAnyLsn) {
  auto log = MustOpen(WithHook());
  Append(log.get(), 22);
  hook_.AwaitSegments(4);
  ASSERT_OK(log->TrimBefore(17));
  Append(log.get(), 1);
  ASSERT_GT(log->first_lsn(), 8u);
  for (Lsn to : {Lsn{0}, Lsn{1}, Lsn{4}, Lsn{7}, Lsn{16}, Lsn{17}, Lsn{22}, Lsn{23}}) {
    RestoreOptions options;
    options.to_lsn = to;
    auto report = RestoreLog(archive_, log_, out_, options);  // beside the writer
    ASSERT_OK(report);
    ExpectLog(out_, 1, to == 0 ? 23 : to);
    std::filesystem::remove_all(out_);
  }
  RestoreOptions options;
  options.to_lsn = 24;
  EXPECT_TRUE(Fails(RestoreLog(archive_, log_, out_, options), absl::StatusCode::kOutOfRange,
                    {"there are records 1 to 23"}));
  // Without the log: up to the last segment that is full.
  const Lsn archived = hook_.segments().back().last_lsn;
  ASSERT_OK(RestoreLog(archive_, "", out_));
  ExpectLog(out_, 1, archived);
  EXPECT_TRUE(
      Fails(RestoreLog(archive_, "", out_), absl::StatusCode::kFailedPrecondition, {"empty one"}));
}

// Calls `then` once, when the directory has been listed.
class ListHook : public ForwardingFileSystem {
 public:
  ListHook(std::string directory, std::function<void()> then)
      : ForwardingFileSystem(FileSystem::Posix()),
        directory_(std::move(directory)),
        then_(std::move(then)) {}
  int List(const std::string& directory, std::vector<std::string>* names) override {
    const int error = ForwardingFileSystem::List(directory, names);
    if (directory == directory_ && then_) std::exchange(then_, nullptr)();
    return error;
  }

 private:
  const std::string directory_;
  std::function<void()> then_;
};

TEST_F(ArchiveTest, ARestoreThatIsOvertakenByATrimBeginsAgain) {
  NameWatch names(FileSystem::Posix());
  auto log = MustOpen(WithHook(&names));
  hook_.FailNext(1 << 30);
  Append(log.get(), 14);
  ListHook hook(archive_, [&] {
    hook_.FailNext(0);
    while (log->stats().segments_archived < 3) std::this_thread::yield();
    ASSERT_OK(log->TrimBefore(13));
    for (uint64_t generation : {1, 2, 3}) names.AwaitGone(log_ + "/" + SegmentName(generation));
  });
  RestoreOptions options;
  options.file_system = &hook;
  ASSERT_OK(RestoreLog(archive_, log_, out_, options));
  ExpectLog(out_, 1, 14);
}

TEST_F(ArchiveTest, RestoresUpToATime) {
  auto log = MustOpen(WithHook());
  Append(log.get(), 14);
  ASSERT_OK(log->Close());
  std::vector<int64_t> times;
  auto reader = Reader::OpenReadOnly(log_);
  ASSERT_OK(reader);
  Record record;
  while ((*reader)->Next(&record)) times.push_back(record.sealed_unix_micros);
  ASSERT_EQ(times.size(), 14u);
  for (Lsn lsn : {1, 6, 13, 14}) {
    if (lsn < 14 && times[lsn] <= times[lsn - 1]) continue;  // the clock stood still, or stepped
    RestoreOptions options;
    options.to_unix_micros = times[lsn - 1];
    ASSERT_OK(RestoreLog(archive_, log_, out_, options));
    ExpectLog(out_, 1, lsn);
    std::filesystem::remove_all(out_);
  }
  RestoreOptions options;
  options.to_unix_micros = times[0] - 1;
  auto report = RestoreLog(archive_, log_, out_, options);
  ASSERT_OK(report);
  EXPECT_EQ(report->last_lsn, 0u);
}

TEST_F(ArchiveTest, AMissingOrDamagedSegmentIsNamed) {
  auto log = MustOpen(WithHook());
  Append(log.get(), 22);
  ASSERT_OK(log->Close());
  const auto segments = hook_.segments();
  ASSERT_GE(segments.size(), 5u);
  log.reset();
  std::filesystem::remove_all(log_);
  const auto fails = [&](uint64_t generation) {
    EXPECT_TRUE(Fails(RestoreLog(archive_, "", out_), absl::StatusCode::kDataLoss,
                      {SegmentName(generation)}));
    EXPECT_NE(access(out_.c_str(), F_OK), 0);
  };
  const std::string second = archive_ + "/" + SegmentName(segments[1].generation);
  const std::string good = ReadFile(second);
  std::filesystem::remove(second);
  fails(segments[1].generation);
  WriteFile(second, good.substr(0, segments[1].bytes - 8));
  fails(segments[1].generation);
  std::filesystem::copy_file(archive_ + "/" + SegmentName(segments[2].generation), second,
                             std::filesystem::copy_options::overwrite_existing);
  fails(segments[1].generation);
  for (uint64_t offset : {uint64_t{4096 + 4}, uint64_t{4096 + 2000}, segments[1].bytes - 500}) {
    WriteFile(second, good);
    FlipBitInFile(second, 8 * offset);
    fails(segments[1].generation);
  }
  WriteFile(second, good);
  // The oldest ones may be removed from an archive.
  std::filesystem::remove(archive_ + "/" + SegmentName(segments[0].generation));
  ASSERT_OK(RestoreLog(archive_, "", out_));
  ExpectLog(out_, segments[1].first_lsn, segments.back().last_lsn);
}

// With the log, as they stand in it; without it, as the newest archived segment has them.
TEST_F(ArchiveTest, CursorsAreRestored) {
  Options options = WithHook();
  options.segment_bytes = 24576;
  options.cursors = true;
  auto log = MustOpen(options);
  auto early = log->OpenCursor("early");
  auto late = log->OpenCursor("late");
  ASSERT_OK(early);
  ASSERT_OK(late);
  Append(log.get(), 10);
  ASSERT_OK((*early)->Advance(2));
  ASSERT_OK((*late)->Advance(9));
  Append(log.get(), 12);
  hook_.AwaitSegments(5);
  ASSERT_OK((*late)->Advance(22));
  const auto restored = [&](const std::string& live, Lsn to) {
    std::filesystem::remove_all(out_);
    RestoreOptions up_to;
    up_to.to_lsn = to;
    EXPECT_OK(RestoreLog(archive_, live, out_, up_to));
    Options as_it_was = options;
    as_it_was.archive = nullptr;
    auto copy = Log::Open(out_, as_it_was);
    EXPECT_OK(copy);
    std::string text;
    for (const CursorInfo& cursor : (*copy)->cursors()) {
      absl::StrAppend(&text, cursor.name, " ", cursor.durable_position, " ");
    }
    return text;
  };
  EXPECT_EQ(restored(log_, 0), "early 2 late 22 ");
  EXPECT_EQ(restored(log_, 15), "early 2 late 15 ");
  EXPECT_EQ(restored("", 0), "early 2 late 9 ");
  EXPECT_EQ(restored("", 7), "early 2 late 7 ");
  // A crash tore the write that began the newest one; a bad block took the table of both.
  const std::string newest = archive_ + "/" + SegmentName(hook_.segments()[4].generation);
  const std::string before = archive_ + "/" + SegmentName(hook_.segments()[3].generation);
  const std::string good = ReadFile(newest);
  WriteFile(newest, std::string(good).replace(4096, 8192, 8192, '\0'));
  EXPECT_EQ(restored("", 0), "early 2 late 9 ");
  WriteFile(before, ReadFile(before).replace(4096, 8192, 8192, '\0'));
  std::filesystem::remove_all(out_);
  EXPECT_TRUE(Fails(RestoreLog(archive_, "", out_), absl::StatusCode::kDataLoss,
                    {SegmentName(hook_.segments()[4].generation), "table of cursors"}));
  WriteFile(newest, good);
  // What the archive does not have any more cannot be consumed.
  std::filesystem::remove(archive_ + "/" + SegmentName(hook_.segments()[0].generation));
  const Lsn first = hook_.segments()[1].first_lsn;
  EXPECT_EQ(restored("", 0), absl::StrCat("early ", first - 1, " late 9 "));
}

// A power loss at any moment: nothing that was not archived is gone, and it comes (again).
TEST_F(ArchiveTest, ACrashMakesASegmentComeAgainAtMost) {
  CrashFileSystem disk;
  Archive hook("");
  Options options = WithHook(&disk);
  options.archive = [&](const SealedSegment& segment) { return hook(segment); };
  auto log = Log::Open("/log", options);
  ASSERT_OK(log);
  uint64_t states = 0;
  std::vector<std::unique_ptr<CrashFileSystem>> crashed;
  std::vector<size_t> taken;
  disk.SetCallHook([&](const FileSystemCall& call, CrashPhase, const CaptureFn& capture) {
    if (call.path.find("ARCHIVED") == std::string::npos && ++states % 7 != 0) return;
    capture().ForEachImage(1, ++states, [&](const CrashChoice&, auto image) {
      taken.push_back(hook.segments().size());
      crashed.push_back(std::move(image));
      return true;
    });
  });
  Append(log->get(), 14);
  hook.AwaitSegments(3);
  ASSERT_OK((*log)->TrimBefore(9));
  Append(log->get(), 4);
  disk.SetCallHook(nullptr);
  ASSERT_GT(crashed.size(), 10u);
  const auto all = hook.segments();
  for (size_t i = 0; i < crashed.size(); ++i) {
    Archive again("");
    options.file_system = crashed[i].get();
    options.archive = [&](const SealedSegment& segment) { return again(segment); };
    auto found = Log::Open("/log", options);
    ASSERT_OK(found);
    // All that is below was archived.
    const Lsn archived = taken[i] == 0 ? 0 : all[taken[i] - 1].last_lsn;
    EXPECT_LE((*found)->first_lsn(), archived + 1);
    Append(found->get(), 8);
    ASSERT_OK((*found)->Close());
    const auto segments = again.segments();
    ASSERT_FALSE(segments.empty());
    EXPECT_LE(segments.front().first_lsn, archived + 1);
    for (size_t j = 1; j < segments.size(); ++j) {
      EXPECT_EQ(segments[j].first_lsn, segments[j - 1].last_lsn + 1);
    }
  }
}

}  // namespace
}  // namespace seawall
