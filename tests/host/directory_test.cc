// SPDX-License-Identifier: Apache-2.0
// A log whose directory is moved, exchanged, removed, or named by a path that means another one by
// now. (FINDINGS H3.)
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/backup.h"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "seawall/verify.h"
#include "tests/host/host_test_util.h"
#include "tests/support/small_log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

namespace fs = std::filesystem;

class DirectoryTest : public ::testing::Test {
 protected:
  // All of a log that was closed: `records` of one history, and no others.
  static void ExpectLog(const std::string& path, const std::string& history, Lsn records) {
    EXPECT_OK(VerifyLog(path)) << path;
    const std::vector<std::string> found = RecordsOf(path);
    ASSERT_EQ(found.size(), records) << path;
    for (Lsn lsn = 1; lsn <= records; ++lsn) EXPECT_EQ(found[lsn - 1], Payload(history, lsn));
  }

  void Exchange(const std::string& one, const std::string& other) {
    ASSERT_EQ(renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE), 0);
  }

  TempDir dir_;
  const std::string path_ = dir_ / "log";
  const std::string moved_ = dir_ / "moved";
};

// Through rollovers, trims, a truncation, cursors and closing, and beside a log that is made in the
// old place and must stay as it is.
TEST_F(DirectoryTest, AMovedLogGoesOnAndLeavesItsOldPlaceAlone) {
  Options options = SmallOptions();
  options.cursors = true;
  auto a = MustOpen(path_, options);
  Append(a.get(), 6, "a");
  auto cursor = a->OpenCursor("reader");
  ASSERT_OK(cursor);
  fs::rename(path_, moved_);
  auto b = MustOpen(path_, SmallOptions());
  Append(b.get(), 20, "b");
  Append(a.get(), 20, "a");
  ASSERT_OK((*cursor)->Advance(10));
  ASSERT_OK(a->TrimBefore(9));
  const Lsn first = a->first_lsn();
  EXPECT_GT(first, 1u);
  ASSERT_OK(a->TruncateAfter(18));
  Append(a.get(), 12, "a");
  EXPECT_EQ(*a->Read(25), Payload("a", 25));
  Append(b.get(), 5, "b");
  ASSERT_OK(b->Close());
  ASSERT_OK(a->Close());
  ExpectLog(path_, "b", 25);
  auto again = MustOpen(moved_, options);
  EXPECT_EQ(again->recovery_report().verdict, RecoveryVerdict::kClean);
  EXPECT_EQ(again->first_lsn(), first);
  EXPECT_EQ(again->durable_lsn(), 30u);
  for (Lsn lsn = first; lsn <= 30; ++lsn) EXPECT_EQ(*again->Read(lsn), Payload("a", lsn));
  EXPECT_EQ(again->cursors()[0].durable_position, 10u);
}

TEST_F(DirectoryTest, TwoLogsThatAreExchangedStayThemselves) {
  auto a = MustOpen(path_, SmallOptions());
  auto b = MustOpen(moved_, SmallOptions());
  for (int round = 0; round < 4; ++round) {
    Append(a.get(), 5, "a");
    Append(b.get(), 5, "b");
    Exchange(path_, moved_);
  }
  ASSERT_OK(a->TrimBefore(1));
  Exchange(path_, moved_);
  ASSERT_OK(a->Close());
  ASSERT_OK(b->Close());
  ExpectLog(moved_, "a", 20);
  ExpectLog(path_, "b", 20);
}

TEST_F(DirectoryTest, ALogThatIsMountedOverGoesOnBelow) {
  auto log = MustOpen(path_, SmallOptions());
  Append(log.get(), 2, "a");
  if (mount("none", path_.c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "takes root, to mount a file system";
  }
  Append(log.get(), 20, "a");
  const absl::Status closed = log->Close();
  const bool empty = fs::is_empty(path_);
  ASSERT_EQ(umount(path_.c_str()), 0);
  EXPECT_OK(closed);
  EXPECT_TRUE(empty);
  ExpectLog(path_, "a", 22);
}

// A child changes its directory: threads of this test have theirs in common.
TEST_F(DirectoryTest, ARelativePathMeansTheSameAfterAChangeOfDirectory) {
  for (const char* place : {"one", "two"}) fs::create_directory(dir_ / place);
  Child child([&] {
    if (chdir((dir_ / "two").c_str()) != 0) return 1;
    auto b = MustOpen("log", SmallOptions());
    Append(b.get(), 5, "b");
    if (!b->Close().ok() || chdir((dir_ / "one").c_str()) != 0) return 2;
    Options options = SmallOptions();
    std::string archived;
    options.archive = [&archived](const SealedSegment& segment) {
      archived = fs::canonical(segment.path).string();
      return absl::OkStatus();
    };
    auto a = MustOpen("log", options);
    auto reader = Reader::Follow("log", 1);
    if (!reader.ok() || chdir("../two") != 0) return 3;
    Append(a.get(), 20, "a");
    Record record;
    for (Lsn lsn = 1; lsn <= 20; ++lsn) {
      if (!(*reader)->Wait().ok() || !(*reader)->Next(&record)) return 4;
      if (record.payload != Payload("a", lsn)) return 5;
    }
    if (!a->Close().ok()) return 6;
    return archived.find("/one/log/") != std::string::npos ? 0 : 7;
  });
  EXPECT_EQ(child.Status(), 0);
  ExpectLog(dir_ / "one/log", "a", 20);
  ExpectLog(dir_ / "two/log", "b", 5);
}

TEST_F(DirectoryTest, AnArchiveHookIsToldWhereTheSegmentIsNow) {
  std::vector<std::string> paths;
  Options options = SmallOptions();
  options.archive = [&](const SealedSegment& segment) {
    paths.push_back(segment.path);
    // Called by one thread, and read after Close(), which waits for it.
    return fs::exists(segment.path) ? absl::OkStatus() : absl::NotFoundError(segment.path);
  };
  auto log = MustOpen(path_, options);
  fs::rename(path_, moved_);
  fs::create_directory(path_);
  Append(log.get(), 9, "a");
  ASSERT_OK(log->Close());
  ASSERT_GE(paths.size(), 2u);
  for (const std::string& path : paths) {
    EXPECT_EQ(fs::path(path).parent_path(), fs::canonical(moved_)) << path;
  }
  EXPECT_TRUE(fs::is_empty(path_));
}

TEST_F(DirectoryTest, ABackupIsOfTheLogThatWasOpened) {
  auto a = MustOpen(path_, SmallOptions());
  Append(a.get(), 6, "a");
  fs::rename(path_, moved_);
  auto b = MustOpen(path_, SmallOptions());
  Append(b.get(), 6, "b");
  BackupOptions linked;
  linked.hard_links = true;
  ASSERT_OK(a->Backup(dir_ / "copy"));
  ASSERT_OK(a->Backup(dir_ / "linked", linked));
  ExpectLog(dir_ / "copy", "a", 6);
  ExpectLog(dir_ / "linked", "a", 6);
  EXPECT_EQ(fs::hard_link_count(dir_ / "linked/0000000000000001.seg"), 2u);
}

TEST_F(DirectoryTest, AReaderReadsTheLogThatItWasOpenedOn) {
  auto a = MustOpen(path_, SmallOptions());
  Append(a.get(), 20, "a");
  auto reader = Reader::OpenReadOnly(path_);
  ASSERT_OK(reader);
  fs::rename(path_, moved_);
  auto b = MustOpen(path_, SmallOptions());
  Append(b.get(), 20, "b");
  Record record;
  for (Lsn lsn = 1; lsn <= 20; ++lsn) {
    ASSERT_TRUE((*reader)->Next(&record)) << (*reader)->status();
    EXPECT_EQ(record.payload, Payload("a", lsn));
  }
}

TEST_F(DirectoryTest, AFollowerGoesWithAMovedLogAndNoticesAnotherInItsPlace) {
  auto a = MustOpen(path_, SmallOptions());
  Append(a.get(), 6, "a");
  auto reader = Reader::Follow(path_, 1);
  ASSERT_OK(reader);
  Record record;
  fs::rename(path_, moved_);
  Append(a.get(), 6, "a");
  for (Lsn lsn = 1; lsn <= 12; ++lsn) {
    ASSERT_OK((*reader)->Wait());
    ASSERT_TRUE((*reader)->Next(&record)) << (*reader)->status();
    EXPECT_EQ(record.payload, Payload("a", lsn));
  }
  // The same log as a restore would give it, with the same id: by its id alone it cannot be told.
  ASSERT_OK(a->Backup(path_));
  Append(a.get(), 1, "a");
  absl::Status status = (*reader)->Wait();
  if (status.ok() && !(*reader)->Next(&record)) status = (*reader)->status();
  EXPECT_TRUE(Fails(status, absl::StatusCode::kFailedPrecondition,
                    {path_, "another log", fs::canonical(moved_).string()}));
}

TEST_F(DirectoryTest, ARemovedLogFailsInsteadOfWritingElsewhere) {
  auto a = MustOpen(path_, SmallOptions());
  Append(a.get(), 2, "a");
  fs::remove_all(path_);
  auto b = MustOpen(path_, SmallOptions());
  Append(b.get(), 2, "b");
  absl::Status status;
  for (int i = 0; i < 50 && status.ok(); ++i) {
    status = a->Append(Payload("a", 3 + i), Durability::kDurable).status();
  }
  EXPECT_TRUE(Fails(status, absl::StatusCode::kAborted, {"removed, or is out of reach"}));
  EXPECT_EQ(a->Close(), status);
  ASSERT_OK(b->Close());
  ExpectLog(path_, "b", 2);
}

TEST_F(DirectoryTest, AnErrorSaysWhereTheDirectoryIsNow) {
  auto a = MustOpen(path_, SmallOptions());
  Append(a.get(), 2, "a");
  fs::rename(path_, moved_);
  // The next segment cannot be made where a directory has its name.
  for (int generation = 2; generation < 9; ++generation) {
    const std::string name = absl::StrCat(moved_, "/000000000000000", generation, ".seg");
    fs::remove(name);
    fs::create_directory(name);
  }
  absl::Status status;
  for (int i = 0; i < 50 && status.ok(); ++i) {
    status = a->Append(Payload("a", 3 + i), Durability::kDurable).status();
  }
  EXPECT_TRUE(Fails(status, absl::StatusCode::kAborted,
                    {"was moved since", fs::canonical(moved_).string()}));
}

}  // namespace
}  // namespace seawall
