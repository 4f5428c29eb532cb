// SPDX-License-Identifier: Apache-2.0
// Copies of logs: what they hold, beside what they are made, what they leave when they fail, and
// that they never change with their original.
#include "seawall/backup.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/small_log.h"
#include "tests/support/test_util.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

std::string Payload(Lsn lsn) { return seawall::Payload("record", lsn); }

void Append(Log* log, int records, Durability until = Durability::kDurable) {
  seawall::Append(log, records, "record", until);
}

// That the directory is a log, cleanly closed, with the records `first` to `last`, and goes on.
void ExpectLog(const std::string& directory, Lsn first, Lsn last, FileSystem* fs = nullptr) {
  Options options = SmallOptions(fs);
  options.create_if_missing = false;
  auto log = Log::Open(directory, options);
  ASSERT_OK(log);
  EXPECT_EQ((*log)->recovery_report().verdict, RecoveryVerdict::kClean);
  EXPECT_EQ((*log)->first_lsn(), first);
  EXPECT_EQ((*log)->durable_lsn(), last);
  Append(log->get(), 2);
  auto reader = (*log)->NewReader(first);
  ASSERT_OK(reader);
  Record record;
  Lsn next = first;
  while ((*reader)->Next(&record)) {
    ASSERT_EQ(record.lsn, next++);
    ASSERT_EQ(record.payload, Payload(record.lsn));
  }
  EXPECT_OK((*reader)->status());
  EXPECT_EQ(next, last + 3);
  ASSERT_OK((*log)->Close());
}

class BackupTest : public ::testing::TestWithParam<bool> {
 protected:
  BackupOptions UpTo(Lsn lsn) const {
    BackupOptions options;
    options.to_lsn = lsn;
    options.hard_links = GetParam();
    return options;
  }

  TempDir dir_;
  const std::string log_ = dir_ / "log";
  const std::string copy_ = dir_ / "copy";
};

TEST_P(BackupTest, HoldsExactlyTheRecordsUpToTheLsn) {
  auto log = MustOpen(log_, SmallOptions());
  Append(log.get(), 14);
  ASSERT_OK(log->TrimBefore(6));
  const Lsn first = log->first_lsn();
  ASSERT_GT(first, 1u);
  Append(log.get(), 1, Durability::kWritten);
  // The end of a segment and all places in one, of the log with a writer and without.
  for (bool live : {true, false}) {
    if (!live) {
      ASSERT_OK(log->Close());
    }
    for (Lsn to = first - 1; to <= 14; to += live ? 3 : 1) {
      auto report = live ? log->Backup(copy_, UpTo(to)) : BackupDirectory(log_, copy_, UpTo(to));
      ASSERT_OK(report);
      EXPECT_EQ(report->first_lsn, first);
      EXPECT_EQ(report->last_lsn, to);
      ExpectLog(copy_, first, to);
      std::filesystem::remove_all(copy_);
    }
  }
}

TEST_P(BackupTest, WithoutAnLsnItHoldsWhatIsDurable) {
  auto log = MustOpen(log_, SmallOptions());
  Append(log.get(), 9);
  Append(log.get(), 1, Durability::kWritten);
  ASSERT_OK(log->Backup(copy_, UpTo(0)));
  ExpectLog(copy_, 1, 9);
  for (Lsn to : {Lsn{10}, ~Lsn{0} - 1}) {
    EXPECT_TRUE(Fails(log->Backup(dir_ / "other", UpTo(to)), absl::StatusCode::kOutOfRange));
  }
  ASSERT_OK(log->Close());
  EXPECT_TRUE(Fails(BackupDirectory(log_, dir_ / "other", UpTo(11)), absl::StatusCode::kOutOfRange,
                    {"the log holds 1 to 10"}));
  EXPECT_NE(access((dir_ / "other").c_str(), F_OK), 0);
}

TEST_P(BackupTest, AnEmptyLogHasAnEmptyCopy) {
  auto log = MustOpen(log_, SmallOptions());
  ASSERT_OK(log->Backup(copy_, UpTo(0)));
  ASSERT_OK(log->Reset(1000));
  ASSERT_OK(log->Backup(dir_ / "copy2", UpTo(0)));
  ExpectLog(dir_ / "copy2", 1000, 999);
  auto copy = MustOpen(copy_, SmallOptions());
  EXPECT_EQ(copy->durable_lsn(), 0u);
}

// 0 is both "all that are durable" and how many that are.
TEST_P(BackupTest, OfALogWithoutADurableRecordItHoldsNone) {
  auto log = MustOpen(log_, SmallOptions());
  Append(log.get(), 1, Durability::kWritten);
  auto report = log->Backup(copy_, UpTo(0));
  ASSERT_OK(report);
  EXPECT_EQ(report->last_lsn, 0u);
  ExpectLog(copy_, 1, 0);
}

TEST_P(BackupTest, ADestinationThatIsNotEmptyIsLeftAlone) {
  auto log = MustOpen(log_, SmallOptions());
  Append(log.get(), 9);
  std::filesystem::create_directory(copy_);
  WriteFile(copy_ + "/mine", "x");
  EXPECT_TRUE(Fails(log->Backup(copy_, UpTo(0)), absl::StatusCode::kFailedPrecondition,
                    {"an empty one", "\"mine\""}));
  EXPECT_TRUE(Fails(log->Backup(copy_ + "/mine", UpTo(0)), absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(Fails(log->Backup(log_, UpTo(0)), absl::StatusCode::kFailedPrecondition));
  EXPECT_TRUE(Fails(log->Backup(dir_ / "no/copy", UpTo(0)), absl::StatusCode::kNotFound));
  EXPECT_EQ(DirectoryImage(copy_).Names(), "mine");
  std::filesystem::remove(copy_ + "/mine");
  ASSERT_OK(log->Backup(copy_, UpTo(0)));
  ExpectLog(copy_, 1, 9);
  // Neither those that failed nor this one hold anything any more.
  ASSERT_OK(log->TrimBefore(10));
  EXPECT_GT(log->first_lsn(), 1u);
}

// The writer recycles what was trimmed; the copy has the same bytes for ever.
TEST_P(BackupTest, TheCopyDoesNotChangeWithItsOriginal) {
  for (bool in_process : {true, false}) {
    auto log = MustOpen(log_, SmallOptions());
    Append(log.get(), 20);
    ASSERT_OK(in_process ? log->Backup(copy_, UpTo(18)) : BackupDirectory(log_, copy_, UpTo(18)));
    const DirectoryImage before(copy_);
    for (int round = 0; round < 4; ++round) {
      ASSERT_OK(log->TrimBefore(log->durable_lsn() + 1));
      Append(log.get(), 12);
    }
    ASSERT_OK(log->Close());
    log = MustOpen(log_, SmallOptions());  // removes what is left of them
    Append(log.get(), 12);
    if (GetParam()) {
      // A segment may get its index, behind what counts, when it has its second name already.
      ASSERT_OK(BackupDirectory(copy_, dir_ / "again"));
      std::filesystem::remove_all(dir_ / "again");
    } else {
      EXPECT_TRUE(before.Equals(DirectoryImage(copy_)));
    }
    log.reset();
    ExpectLog(copy_, 1, 18);
    std::filesystem::remove_all(copy_);
    std::filesystem::remove_all(log_);
  }
}

TEST_P(BackupTest, DamageIsFoundAndNoLogIsLeft) {
  auto log = MustOpen(log_, SmallOptions());
  Append(log.get(), 20);
  ASSERT_OK(log->Close());
  FlipBitInFile(log_ + "/" + SegmentName(2), 8 * 6000);
  EXPECT_TRUE(Fails(BackupDirectory(log_, copy_, UpTo(0)), absl::StatusCode::kDataLoss,
                    {"copy/", SegmentName(2)}));
  EXPECT_NE(access(copy_.c_str(), F_OK), 0);
  ASSERT_OK(BackupDirectory(log_, copy_, UpTo(4)));  // before the damage
  ExpectLog(copy_, 1, 4);
}

// As text: "a 5 b 12".
std::string Positions(const Log& log) {
  std::string text;
  for (const CursorInfo& cursor : log.cursors()) {
    EXPECT_EQ(cursor.position, cursor.durable_position);
    absl::StrAppend(&text, text.empty() ? "" : " ", cursor.name, " ", cursor.position);
  }
  return text;
}

TEST_P(BackupTest, CursorsComeAlongUpToTheLastRecord) {
  Options options = SmallOptions();
  options.segment_bytes = 24576;
  options.cursors = true;
  auto log = MustOpen(log_, options);
  Append(log.get(), 14);
  for (const auto& [name, at] : {std::pair("a", 5), std::pair("b", 12), std::pair("gone", 14)}) {
    auto cursor = log->OpenCursor(name);
    ASSERT_OK(cursor);
    ASSERT_OK((*cursor)->Advance(static_cast<Lsn>(at)));
  }
  ASSERT_OK(log->DropCursor("gone"));
  ASSERT_OK(log->TrimBefore(15));
  const Lsn first = log->first_lsn();
  ASSERT_GT(first, 1u);
  ASSERT_LE(first, 5u);
  const std::vector<std::pair<Lsn, std::string>> cases = {
      {14, "a 5 b 12"}, {12, "a 5 b 12"}, {8, "a 5 b 8"}, {5, "a 5 b 5"}, {first - 1, ""}};
  for (bool live : {true, false}) {
    if (!live) {
      ASSERT_OK(log->Close());
    }
    for (const auto& [to, positions] : cases) {
      ASSERT_OK(live ? log->Backup(copy_, UpTo(to)) : BackupDirectory(log_, copy_, UpTo(to)));
      auto copy = MustOpen(copy_, options);
      EXPECT_EQ(Positions(*copy),
                positions.empty() ? absl::StrCat("a ", to, " b ", to) : positions);
      // They hold what they have not passed, and go on, in this log and in its next life.
      Append(copy.get(), 8);
      ASSERT_OK(copy->TrimBefore(copy->durable_lsn()));
      EXPECT_LE(copy->first_lsn(), std::min<Lsn>(5, to) + 1);
      auto cursor = copy->OpenCursor("a");
      ASSERT_OK(cursor);
      ASSERT_OK((*cursor)->Advance(to + 8));
      cursor->reset();
      ASSERT_OK(copy->Close());
      copy = MustOpen(copy_, options);
      EXPECT_EQ(copy->cursors()[0].position, to + 8);
      copy.reset();
      std::filesystem::remove_all(copy_);
    }
  }
  EXPECT_EQ(Positions(*MustOpen(log_, options)), "a 5 b 12");
}

// A position that no crash would leave is not in a copy either.
TEST_P(BackupTest, ACursorsPositionThatIsNotDurableStaysBehind) {
  Options options = SmallOptions();
  options.segment_bytes = 24576;
  options.cursors = true;
  auto log = MustOpen(log_, options);
  Append(log.get(), 9);
  auto cursor = log->OpenCursor("a");
  ASSERT_OK(cursor);
  ASSERT_OK((*cursor)->Advance(3));
  ASSERT_OK((*cursor)->Advance(7, Durability::kAppended));
  ASSERT_OK(log->Backup(copy_, UpTo(0)));
  EXPECT_EQ(Positions(*MustOpen(copy_, options)), "a 3");
}

INSTANTIATE_TEST_SUITE_P(All, BackupTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "HardLinks" : "Copies"; });

// Beside a writer that appends, rolls over and trims all the time, and other backups.
TEST(BackupLiveTest, RunsBesideAppendsRolloversAndTrims) {
  TempDir dir;
  auto log = MustOpen(dir / "log", SmallOptions());
  Append(log.get(), 8);
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop) {
      Append(log.get(), 3);
      ASSERT_OK(log->TrimBefore(log->durable_lsn() - 6));
    }
  });
  std::vector<std::thread> backups;
  for (int i = 0; i < 2; ++i) {
    backups.emplace_back([&, i] {
      for (int round = 0; round < 8; ++round) {
        BackupOptions options;
        options.hard_links = i == 1;
        const std::string copy = dir / absl::StrCat("copy", i, ".", round);
        auto report = log->Backup(copy, options);
        ASSERT_OK(report);
        ASSERT_GE(report->last_lsn, 8u);
        ExpectLog(copy, report->first_lsn, report->last_lsn);
      }
    });
  }
  for (std::thread& backup : backups) backup.join();
  stop = true;
  writer.join();
  // What was held back goes when it is let go.
  ASSERT_OK(log->TrimBefore(log->durable_lsn()));
  EXPECT_GT(log->first_lsn(), 8u);
}

// Nor what throws leaves anything, wherever it does.
TEST(BackupLiveTest, ProgressThatThrowsLeavesNeitherAHoldNorFiles) {
  TempDir dir;
  auto log = MustOpen(dir / "log", SmallOptions());
  Append(log.get(), 14);
  BackupOptions options;
  int calls = 0, last_call = 0;
  options.progress = [&](uint64_t) {
    if (++calls == last_call) throw std::runtime_error("as told");
    return absl::OkStatus();
  };
  for (last_call = 1; last_call < 4; ++last_call, calls = 0) {
    EXPECT_THROW((void)log->Backup(dir / "copy", options), std::runtime_error);
    EXPECT_NE(access((dir / "copy").c_str(), F_OK), 0);
    EXPECT_TRUE(log->retention_report().holds.empty());
  }
  last_call = 0;
  ASSERT_OK(log->Backup(dir / "copy", options));
  ExpectLog(dir / "copy", 1, 14);
  ASSERT_OK(log->TrimBefore(14));
  EXPECT_GT(log->first_lsn(), 1u);
}

TEST(BackupLiveTest, ASegmentThatACopySharesIsNotRecycled) {
  TempDir dir;
  NameWatch names(FileSystem::Posix());
  auto log = MustOpen(dir / "log", SmallOptions(&names));
  Append(log.get(), 14);
  BackupOptions options;
  options.hard_links = true;
  ASSERT_OK(BackupDirectory(dir / "log", dir / "copy", options));
  ASSERT_OK(log->TrimBefore(9));
  for (uint64_t generation : {1, 2}) names.AwaitGone(dir / "log/" + SegmentName(generation));
  EXPECT_EQ(log->stats().segments_recycled, 0u);
}

// Calls `opened` when a file of a log is opened, before it is.
class OpenHook : public ForwardingFileSystem {
 public:
  explicit OpenHook(std::function<void(const std::string&)> opening)
      : ForwardingFileSystem(FileSystem::Posix()), opening_(std::move(opening)) {}
  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    opening_(path);
    return ForwardingFileSystem::Open(path, options, file);
  }
  int CloneFile(const std::string&, const std::string&) override { return EOPNOTSUPP; }

 private:
  const std::function<void(const std::string&)> opening_;
};

// Nobody can open what may yet turn out to be damaged.
TEST(BackupLiveTest, TheCopyIsNoLogBeforeItIsVerified) {
  TempDir dir;
  auto log = MustOpen(dir / "log", SmallOptions());
  Append(log.get(), 12);
  int opened = 0;
  OpenHook fs([&](const std::string& path) {
    if (path.find("copy/") == std::string::npos || path.find(".seg") == std::string::npos) return;
    EXPECT_NE(access((dir / "copy/CONTROL").c_str(), F_OK), 0) << path;
    ++opened;
  });
  BackupOptions options;
  options.file_system = &fs;
  ASSERT_OK(BackupDirectory(dir / "log", dir / "copy", options));
  EXPECT_GE(opened, 6) << "each segment is made, and read";
  ExpectLog(dir / "copy", 1, 12);
}

// The writer is in another process, as far as the backup can tell: nothing is held.
TEST(BackupLiveTest, ABackupThatIsOvertakenByATrimBeginsAgain) {
  TempDir dir;
  NameWatch names(FileSystem::Posix());
  Watchdog watchdog;
  watchdog.Begin("a file that does not go");
  auto log = MustOpen(dir / "log", SmallOptions(&names));
  Append(log.get(), 20);
  int copied = 0;
  OpenHook fs([&](const std::string& path) {
    // The second segment of the copy: the first is there already.
    if (path == dir / "copy/" + SegmentName(2) && ++copied == 1) {
      ASSERT_OK(log->TrimBefore(14));
      names.AwaitGone(dir / "log/" + SegmentName(3));
    }
  });
  BackupOptions options;
  options.file_system = &fs;
  auto report = BackupDirectory(dir / "log", dir / "copy", options);
  ASSERT_OK(report);
  EXPECT_GT(report->first_lsn, 8u);
  ExpectLog(dir / "copy", report->first_lsn, report->last_lsn);
}

TEST(BackupLiveTest, ABackupThatIsOvertakenEachTimeFailsAndLeavesNothing) {
  TempDir dir;
  auto log = MustOpen(dir / "log", SmallOptions());
  Append(log.get(), 12);
  OpenHook fs([&](const std::string& path) {
    if (path.find("copy/") == std::string::npos) return;
    const uint64_t before = log->first_lsn();
    Append(log.get(), 12);
    ASSERT_OK(log->TrimBefore(log->durable_lsn()));
    ASSERT_GT(log->first_lsn(), before);
    // Its files are gone: the thread that removes them has come so far.
    while (std::distance(std::filesystem::directory_iterator(dir / "log"), {}) > 6) {
      std::this_thread::yield();
    }
  });
  BackupOptions options;
  options.file_system = &fs;
  EXPECT_TRUE(Fails(BackupDirectory(dir / "log", dir / "copy", options),
                    absl::StatusCode::kOutOfRange, {"overtaken by trims"}));
  EXPECT_NE(access((dir / "copy").c_str(), F_OK), 0);
}

// At every moment: either no log (nothing that opens with records), or all of it.
TEST(BackupCrashTest, ACrashLeavesNoLogOrAllOfIt) {
  CrashFileSystem disk;
  ASSERT_EQ(disk.MakeDirectory("/data"), 0);
  ASSERT_EQ(disk.SyncDirectory("/"), 0);
  auto log = MustOpen("/data/log", SmallOptions(&disk));
  Append(log.get(), 14);
  ASSERT_OK(log->TrimBefore(5));
  const Lsn first = log->first_lsn();
  uint64_t states = 0, whole = 0;
  const auto check = [&](CrashFileSystem* crashed, bool returned) {
    ++states;
    Options options = SmallOptions(crashed);
    options.create_if_missing = false;
    auto copy = Log::Open("/data/copy", options);
    if (!returned && !copy.ok()) {
      ASSERT_TRUE(absl::IsNotFound(copy.status()) || absl::IsDataLoss(copy.status()))
          << copy.status();
      return;
    }
    ASSERT_OK(copy);
    ++whole;
    EXPECT_EQ((*copy)->first_lsn(), first);
    EXPECT_EQ((*copy)->durable_lsn(), 11u);
    for (Lsn lsn = first; lsn <= 11; ++lsn) {
      auto record = (*copy)->Read(lsn);
      ASSERT_OK(record);
      EXPECT_EQ(*record, Payload(lsn));
    }
    crashed->Freeze();
  };
  const auto check_all = [&](const CrashState& state, bool returned) {
    check(state.Kill().get(), returned);
    state.ForEachImage(4, 1 + states, [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> d) {
      check(d.get(), returned);
      return !::testing::Test::HasFailure();
    });
  };
  disk.SetCallHook([&](const FileSystemCall&, CrashPhase, const CaptureFn& capture) {
    if (!::testing::Test::HasFailure()) check_all(capture(), false);
  });
  BackupOptions options;
  options.to_lsn = 11;
  ASSERT_OK(log->Backup("/data/copy", options));
  disk.SetCallHook(nullptr);
  const uint64_t before = whole;
  check_all(disk.Capture(), true);
  EXPECT_GT(states, 100u);
  EXPECT_GT(whole, before);
  std::cout << states << " states, " << whole << " of them with the whole copy\n";
}

// Wherever it fails, the directory is as it was before, and the log is none the wiser.
TEST(BackupCrashTest, AFailureLeavesNothing) {
  for (uint64_t nth = 1;; ++nth) {
    CrashFileSystem disk;
    auto log = MustOpen("/log", SmallOptions(&disk));
    Append(log.get(), 14);
    ASSERT_OK(log->Close());
    Fault fault;
    fault.kind = CallKind::kAny;
    fault.path_contains = "copy";
    fault.nth = nth;
    fault.error = EIO;
    disk.InjectFault(fault);
    BackupOptions options;
    options.file_system = &disk;
    auto report = BackupDirectory("/log", "/copy", options);
    const bool hit = disk.faults_hit() > 0;
    disk.ClearFaults();
    FileInfo info;
    if (!hit) {
      ASSERT_OK(report);
      ASSERT_GT(nth, 20u);
      break;
    }
    if (report.ok()) continue;  // it goes without O_DIRECT
    EXPECT_EQ(disk.Stat("/copy", &info), ENOENT) << nth << " " << report.status();
  }
}

}  // namespace
}  // namespace seawall
