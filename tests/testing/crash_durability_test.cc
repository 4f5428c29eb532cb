// SPDX-License-Identifier: Apache-2.0
// CrashFileSystem: what a power loss may leave of data, sizes and names.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/testing/crash_test_util.h"

namespace seawall {
namespace {

class DataTest : public ::testing::Test {
 protected:
  // "/f" holds `letters`, durably.
  std::unique_ptr<File> Durable(CrashFileSystem* fs, const std::string& letters,
                                const OpenOptions& options = ReadWrite()) {
    EXPECT_EQ(fs->PutFile("/f", Sectors(letters)), 0);
    EXPECT_EQ(fs->Capture().pending_units(), 0u);
    return MustOpen(fs, "/f", options);
  }
};

TEST_F(DataTest, UnsyncedSectorsSurviveInAnySubset) {
  CrashFileSystem fs;
  auto file = Durable(&fs, "abc");
  MustWrite(file.get(), Sectors("xyz"), 0);
  EXPECT_EQ(Letters(fs, "/f"), "xyz");
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"abc", "xbc", "ayc", "abz", "xyc", "xbz", "ayz", "xyz"}));
}

TEST_F(DataTest, AWriteIsTornBetweenSectorsNotInside) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/f", Sectors("aa")), 0);
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), std::string(20, 'x'), kSector - 10);
  std::set<std::string> images = AllImages(fs.Capture(), [](const CrashFileSystem& disk) {
    std::string bytes;
    disk.GetFile("/f", &bytes);
    return bytes.substr(kSector - 12, 24);
  });
  const std::string a(10, 'a');
  const std::string x(10, 'x');
  EXPECT_EQ(images, (Images{"aa" + a + a + "aa", "aa" + x + a + "aa", "aa" + a + x + "aa",
                            "aa" + x + x + "aa"}));
}

TEST_F(DataTest, AnyVersionSinceTheLastSyncMaySurvive) {
  CrashFileSystem fs;
  auto file = Durable(&fs, "a");
  for (const char* v : {"1", "2", "3"}) MustWrite(file.get(), Sectors(v), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a", "1", "2", "3"}));
  ASSERT_EQ(file->Sync(File::SyncKind::kData), 0);
  MustWrite(file.get(), Sectors("4"), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"3", "4"}));
}

TEST_F(DataTest, SyncMakesDataAndSizeDurable) {
  for (File::SyncKind kind : {File::SyncKind::kData, File::SyncKind::kFull}) {
    CrashFileSystem fs;
    auto file = Durable(&fs, "a");
    MustWrite(file.get(), Sectors("xy"), 0);
    EXPECT_EQ(file->Sync(kind), 0);
    EXPECT_EQ(FileImages(fs, "/f"), (Images{"xy"}));
  }
}

TEST_F(DataTest, ASyncCoversItsFileOnly) {
  CrashFileSystem fs;
  auto file = Durable(&fs, "a");
  ASSERT_EQ(fs.PutFile("/g", Sectors("b")), 0);
  auto other = MustOpen(&fs, "/g");
  MustWrite(file.get(), Sectors("x"), 0);
  MustWrite(other.get(), Sectors("y"), 0);
  EXPECT_EQ(other->Sync(File::SyncKind::kFull), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a", "x"}));
  EXPECT_EQ(FileImages(fs, "/g"), (Images{"y"}));
}

TEST_F(DataTest, SizeAndSectorsSurviveIndependently) {
  CrashFileSystem fs(NoGarbage());
  auto file = Durable(&fs, "a");
  MustWrite(file.get(), Sectors("x"), kSector);
  MustWrite(file.get(), Sectors("y"), 2 * kSector);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a", "a0", "ax", "a00", "ax0", "a0y", "axy"}));
}

TEST_F(DataTest, ATruncateMayBeLost) {
  CrashFileSystem fs(NoGarbage());
  auto file = Durable(&fs, "ab");
  ASSERT_EQ(file->Truncate(kSector), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a", "ab", "a0"}));
  ASSERT_EQ(file->Sync(File::SyncKind::kData), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a"}));
}

TEST_F(DataTest, WhatSurvivesBehindTheEndIsGoneWhenTheFileGrowsAgain) {
  CrashFileSystem fs(NoGarbage());
  auto file = Durable(&fs, "abcd");
  ASSERT_EQ(file->Truncate(kSector), 0);
  MustWrite(file.get(), std::string(100, 'x'), kSector);
  MustWrite(file.get(), std::string(kSector - 100, 'y'), kSector + 100);
  const CrashState state = fs.Capture();
  std::set<uint64_t> sizes;
  state.ForEachImage(1000, 1,
                     [&](const CrashChoice& choice, std::unique_ptr<CrashFileSystem> disk) {
                       FileInfo info;
                       EXPECT_EQ(disk->Stat("/f", &info), 0);
                       sizes.insert(info.bytes);
                       EXPECT_EQ(MustOpen(disk.get(), "/f")->Truncate(5 * kSector), 0);
                       std::string bytes;
                       EXPECT_EQ(disk->GetFile("/f", &bytes), 0);
                       EXPECT_EQ(bytes.find_first_not_of('\0', info.bytes), std::string::npos)
                           << info.bytes << "\n"
                           << state.Describe(choice);
                       return true;
                     });
  EXPECT_EQ(sizes, (std::set<uint64_t>{kSector, kSector + 100, 2 * kSector, 4 * kSector}));
}

TEST_F(DataTest, GarbageOnlyWhereNothingWasDurable) {
  CrashFileSystem fs;
  auto file = Durable(&fs, "a");
  MustWrite(file.get(), Sectors("xy"), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a", "x", "a0", "ay", "a?", "x0", "xy", "x?"}));
  // Zeros that were synced are content, too: that is why logs write them ahead.
  MustWrite(file.get(), Sectors("b0"), 0);
  ASSERT_EQ(file->Sync(File::SyncKind::kData), 0);
  MustWrite(file.get(), Sectors("z"), kSector);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"b0", "bz"}));
}

TEST_F(DataTest, GarbageMayBeAnotherFilesOldSector) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/old", Sectors("ooo")), 0);
  ASSERT_EQ(fs.PutFile("/f", ""), 0);
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), Sectors("x"), 0);
  std::set<std::string> seen;
  const CrashState state = fs.Capture();
  CrashChoice choice;
  choice.picks = {1, 2};
  for (uint64_t seed = 0; seed < 50; ++seed) {
    choice.garbage_seed = seed;
    seen.insert(Letters(*state.PowerLoss(choice), "/f"));
  }
  EXPECT_EQ(seen, (Images{"o", "?"}));
}

TEST_F(DataTest, StrictSectorsInFlightMayBeLostWithTheirNeighbours) {
  CrashOptions options;
  options.strict_sectors = true;
  CrashFileSystem fs(options);
  auto file = Durable(&fs, "aab");
  // One byte that does not even change.
  MustWrite(file.get(), "a", kSector + 100);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"aab", "a0b", "a?b"}));
  ASSERT_EQ(file->Sync(File::SyncKind::kData), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"aab"}));
}

TEST_F(DataTest, LargerSectorsAreTornAtTheirMultiples) {
  CrashOptions options;
  options.sector_bytes = 4096;
  CrashFileSystem fs(options);
  ASSERT_EQ(fs.PutFile("/f", std::string(8192, 'a')), 0);
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), std::string(8192, 'x'), 0);
  const std::string a(8, 'a');
  const std::string x(8, 'x');
  EXPECT_EQ(FileImages(fs, "/f"), (Images{a + a, a + x, x + a, x + x}));
}

TEST_F(DataTest, SynchronousWritesAreDurableWhenTheyReturn) {
  for (bool full : {false, true}) {
    OpenOptions options = ReadWrite();
    options.data_sync = !full;
    options.full_sync = full;
    CrashFileSystem fs(NoGarbage());
    auto file = Durable(&fs, "abc");
    auto synchronous = MustOpen(&fs, "/f", options);
    MustWrite(file.get(), Sectors("x"), 0);
    MustWrite(file.get(), Sectors("w"), 2 * kSector);
    MustWrite(synchronous.get(), Sectors("y"), kSector);
    // Its own bytes, but not what others wrote before and behind.
    EXPECT_EQ(FileImages(fs, "/f"), (Images{"ayc", "xyc", "ayw", "xyw"}));
    // And a size that covers them.
    MustWrite(synchronous.get(), Sectors("yz"), 2 * kSector);
    EXPECT_EQ(FileImages(fs, "/f"), (Images{"ayyz", "xyyz"}));
    // But no size that they do not need.
    ASSERT_EQ(file->Truncate(5 * kSector), 0);
    MustWrite(synchronous.get(), Sectors("b"), 0);
    EXPECT_EQ(FileImages(fs, "/f"), (Images{"byyz", "byyz0"}));
  }
}

TEST_F(DataTest, DirectWritesAreNotDurable) {
  CrashOptions crash_options = NoGarbage();
  crash_options.direct_alignment_bytes = 512;
  CrashFileSystem fs(crash_options);
  OpenOptions options = ReadWrite();
  options.direct = true;
  auto file = Durable(&fs, "a", options);
  alignas(512) static char memory[512];
  std::fill(memory, memory + 512, 'x');
  ASSERT_EQ(file->PWrite(memory, 512, 0).error, 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a", "x"}));
  ASSERT_EQ(file->Sync(File::SyncKind::kData), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"x"}));
}

TEST_F(DataTest, AFailedSyncDropsDirtyDataAndLaterSyncsDoNotHelp) {
  CrashFileSystem fs;
  auto file = Durable(&fs, "ab");
  MustWrite(file.get(), Sectors("xy"), 0);
  fs.InjectFault(FailOnce(CallKind::kSync));
  EXPECT_EQ(file->Sync(File::SyncKind::kData), EIO);
  EXPECT_EQ(file->Sync(File::SyncKind::kData), 0);
  fs.SyncAll();
  EXPECT_EQ(Letters(fs, "/f"), "xy");
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"ab", "xb", "ay", "xy"}));
  // Not even by another process; but writing again does.
  auto killed = fs.Capture().Kill();
  auto again = MustOpen(killed.get(), "/f");
  EXPECT_EQ(again->Sync(File::SyncKind::kFull), 0);
  EXPECT_EQ(FileImages(*killed, "/f").size(), 4u);
  MustWrite(again.get(), Sectors("x"), 0);
  EXPECT_EQ(again->Sync(File::SyncKind::kFull), 0);
  EXPECT_EQ(FileImages(*killed, "/f"), (Images{"xb", "xy"}));
}

TEST_F(DataTest, AFailedSyncMayShowTheDisksBytes) {
  CrashOptions options;
  options.failed_sync_keeps_cache = false;
  CrashFileSystem fs(options);
  auto file = Durable(&fs, "ab");
  MustWrite(file.get(), Sectors("xy"), 0);
  fs.InjectFault(FailOnce(CallKind::kSync));
  EXPECT_EQ(file->Sync(File::SyncKind::kData), EIO);
  EXPECT_EQ(Letters(fs, "/f"), "ab");
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"ab"}));
}

TEST_F(DataTest, AFailedSyncLeavesTheSizeInDoubt) {
  CrashFileSystem fs(NoGarbage());
  auto file = Durable(&fs, "a");
  MustWrite(file.get(), Sectors("x"), kSector);
  fs.InjectFault(FailOnce(CallKind::kSync, ENOSPC));
  EXPECT_EQ(file->Sync(File::SyncKind::kData), ENOSPC);
  EXPECT_EQ(file->Sync(File::SyncKind::kData), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a", "a0", "ax"}));
}

TEST_F(DataTest, AnInterruptedSyncDropsNothing) {
  CrashFileSystem fs;
  auto file = Durable(&fs, "a");
  MustWrite(file.get(), Sectors("x"), 0);
  fs.InjectFault(FailOnce(CallKind::kSync, EINTR));
  EXPECT_EQ(file->Sync(File::SyncKind::kData), EINTR);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a", "x"}));
  EXPECT_EQ(file->Sync(File::SyncKind::kData), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"x"}));
}

TEST_F(DataTest, AFailedSynchronousWriteMayHaveArrivedInPart) {
  OpenOptions options = ReadWrite();
  options.data_sync = true;
  CrashFileSystem fs;
  auto file = Durable(&fs, "ab", options);
  fs.InjectFault(FailOnce(CallKind::kWrite));
  const std::string bytes = Sectors("xy");
  EXPECT_EQ(file->PWrite(bytes.data(), bytes.size(), 0).error, EIO);
  EXPECT_EQ(file->Sync(File::SyncKind::kData), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"ab", "xb", "ay", "xy"}));
}

TEST_F(DataTest, AFailedBufferedWriteChangesNothing) {
  CrashFileSystem fs;
  auto file = Durable(&fs, "a");
  fs.InjectFault(FailOnce(CallKind::kWrite));
  EXPECT_EQ(file->PWrite("x", 1, 0).error, EIO);
  EXPECT_EQ(Letters(fs, "/f"), "a");
  EXPECT_EQ(fs.Capture().pending_units(), 0u);
}

TEST(NamesTest, SyncingAFileDoesNotSyncItsName) {
  CrashFileSystem fs;
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), Sectors("a"), 0);
  ASSERT_EQ(file->Sync(File::SyncKind::kFull), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"-", "a"}));
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a"}));
}

TEST(NamesTest, SyncingANameDoesNotSyncTheFile) {
  CrashFileSystem fs(NoGarbage());
  MustWrite(MustOpen(&fs, "/f").get(), Sectors("a"), 0);
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"", "0", "a"}));
}

TEST(NamesTest, OperationsSurviveIndependently) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/old", ""), 0);
  MustOpen(&fs, "/a");
  MustOpen(&fs, "/b");
  ASSERT_EQ(fs.Unlink("/old"), 0);
  EXPECT_EQ(TreeImages(fs),
            (Images{"/old", "/a /old", "/b /old", "/a /b /old", "", "/a", "/b", "/a /b"}));
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"/a /b"}));
}

TEST(NamesTest, ADirectoryNeedsItsParentSynced) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.MakeDirectory("/d"), 0);
  MustOpen(&fs, "/d/f");
  ASSERT_EQ(fs.SyncDirectory("/d"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"", "/d/ /d/f"}));
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"/d/ /d/f"}));
}

TEST(NamesTest, ARemovedDirectoryMayComeBackUntilTheParentIsSynced) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.MakeDirectory("/d"), 0);
  MustOpen(&fs, "/d/f");
  EXPECT_EQ(fs.RemoveDirectory("/d"), ENOTEMPTY);
  EXPECT_EQ(fs.RemoveDirectory("/d/f"), ENOTDIR);
  EXPECT_EQ(fs.RemoveDirectory("/none"), ENOENT);
  EXPECT_EQ(fs.RemoveDirectory("/"), EBUSY);
  ASSERT_EQ(fs.Unlink("/d/f"), 0);
  ASSERT_EQ(fs.SyncDirectory("/d"), 0);
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  ASSERT_EQ(fs.RemoveDirectory("/d"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"", "/d/"}));
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{""}));
}

TEST(NamesTest, ANameThatAFailedSyncLeftInDoubtIsDurableOnceItIsMadeAnew) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.MakeDirectory("/d"), 0);
  fs.InjectFault(FailOnce(CallKind::kSyncDirectory));
  EXPECT_EQ(fs.SyncDirectory("/"), EIO);
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"", "/d/"}));
  ASSERT_EQ(fs.RemoveDirectory("/d"), 0);
  ASSERT_EQ(fs.MakeDirectory("/d"), 0);
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"/d/"}));
}

TEST(NamesTest, SyncingTheParentDoesNotSyncTheDirectory) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.MakeDirectory("/d"), 0);
  MustOpen(&fs, "/d/f");
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"/d/", "/d/ /d/f"}));
}

TEST(NamesTest, ARenameIsAtomicAndMayBeLost) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/new", Sectors("n")), 0);
  ASSERT_EQ(fs.PutFile("/f", Sectors("o")), 0);
  ASSERT_EQ(fs.Rename("/new", "/f"), 0);
  EXPECT_EQ(Letters(fs, "/f"), "n");
  EXPECT_EQ(TreeImages(fs), (Images{"/f=o /new=n", "/f=n"}));
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"/f=n"}));
}

TEST(NamesTest, ARenameOfANewFileMaySurviveAlone) {
  CrashFileSystem fs(NoGarbage());
  auto file = MustOpen(&fs, "/tmp");
  MustWrite(file.get(), Sectors("n"), 0);
  ASSERT_EQ(fs.Rename("/tmp", "/f"), 0);
  // The classic mistake: the name is there and the data is not.
  EXPECT_EQ(TreeImages(fs), (Images{"", "/tmp", "/tmp=0", "/tmp=n", "/f", "/f=0", "/f=n"}));
}

TEST(NamesTest, ARenamedFileHasOneOfItsNames) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/a", Sectors("a")), 0);
  ASSERT_EQ(fs.Rename("/a", "/b"), 0);
  auto file = MustOpen(&fs, "/a");  // a new file under the old name
  EXPECT_EQ(TreeImages(fs), (Images{"/a=a", "/b=a", "/a /b=a"}));
}

TEST(NamesTest, ARenameAcrossDirectories) {
  for (const std::string synced : {"/from", "/to"}) {
    CrashFileSystem fs;
    ASSERT_EQ(fs.MakeDirectory("/from"), 0);
    ASSERT_EQ(fs.MakeDirectory("/to"), 0);
    ASSERT_EQ(fs.PutFile("/from/a", Sectors("a")), 0);
    fs.SyncAll();
    ASSERT_EQ(fs.Rename("/from/a", "/to/b"), 0);
    EXPECT_EQ(TreeImages(fs), (Images{"/from/ /from/a=a /to/", "/from/ /to/ /to/b=a"}));
    ASSERT_EQ(fs.SyncDirectory(synced), 0);
    Images left = {"/from/ /to/ /to/b=a"};
    if (synced == "/to") left.insert("/from/ /from/a=a /to/ /to/b=a");
    EXPECT_EQ(TreeImages(fs), left) << synced;
    ASSERT_EQ(fs.SyncDirectory("/from"), 0);
    EXPECT_EQ(TreeImages(fs), (Images{"/from/ /to/ /to/b=a"}));
  }
}

TEST(NamesTest, AnUnlinkedFileComesBackWithItsSyncedData) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/f", Sectors("a")), 0);
  ASSERT_EQ(fs.Unlink("/f"), 0);
  MustWrite(MustOpen(&fs, "/f").get(), Sectors("b"), 0);  // another file of the same name
  const Images images = FileImages(fs, "/f");
  EXPECT_EQ(images, (Images{"-", "a", "", "0", "b", "?"}));
}

TEST(NamesTest, AFileThatCameAndWentMayBeThere) {
  CrashFileSystem fs(NoGarbage());
  MustWrite(MustOpen(&fs, "/f").get(), Sectors("a"), 0);
  ASSERT_EQ(fs.Unlink("/f"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"", "/f", "/f=0", "/f=a"}));
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{""}));
}

TEST(NamesTest, AFailedDirectorySyncLeavesNamesInDoubtForGood) {
  CrashFileSystem fs;
  MustOpen(&fs, "/a");
  fs.InjectFault(FailOnce(CallKind::kSyncDirectory));
  EXPECT_EQ(fs.SyncDirectory("/"), EIO);
  MustOpen(&fs, "/b");
  EXPECT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"/b", "/a /b"}));
  // What is done to the name afterwards settles it.
  ASSERT_EQ(fs.Unlink("/a"), 0);
  EXPECT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"/b"}));
}

}  // namespace
}  // namespace seawall
