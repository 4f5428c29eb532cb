#include "seawall/testing/crash_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace seawall {
namespace {

constexpr size_t kSector = 512;

OpenOptions ReadWrite() {
  OpenOptions options;
  options.write = true;
  return options;
}

OpenOptions CreateFile() {
  OpenOptions options = ReadWrite();
  options.create = true;
  return options;
}

std::unique_ptr<File> MustOpen(CrashFileSystem* fs, const std::string& path,
                               const OpenOptions& options = CreateFile()) {
  std::unique_ptr<File> file;
  EXPECT_EQ(fs->Open(path, options, &file), 0) << path;
  return file;
}

void MustWrite(File* file, const std::string& bytes, uint64_t offset) {
  const IoResult result = file->PWrite(bytes.data(), bytes.size(), offset);
  ASSERT_EQ(result.error, 0);
  ASSERT_EQ(result.bytes, bytes.size());
}

std::string Sectors(const std::string& letters) {
  std::string bytes;
  for (char c : letters) bytes += std::string(kSector, c == '0' ? '\0' : c);
  return bytes;
}

// A letter for each sector of the file, '0' for zeros, '?' for anything else; "-" for no file.
std::string Letters(const CrashFileSystem& fs, const std::string& path) {
  std::string bytes;
  if (fs.GetFile(path, &bytes) != 0) return "-";
  std::string letters;
  for (size_t i = 0; i < bytes.size(); i += kSector) {
    const std::string sector = bytes.substr(i, kSector);
    const bool uniform = sector.find_first_not_of(sector[0]) == std::string::npos;
    letters += !uniform ? '?' : sector[0] == '\0' ? '0' : sector[0];
  }
  return letters;
}

using Images = std::set<std::string>;

// What `look` sees in all disks that a power loss can leave.
template <typename Look>
Images AllImages(const CrashState& state, const Look& look) {
  Images images;
  EXPECT_LE(state.combinations(), 100000u);
  state.ForEachImage(100000, 1, [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> disk) {
    images.insert(look(*disk));
    return true;
  });
  return images;
}

Images FileImages(const CrashFileSystem& fs, const std::string& path) {
  return AllImages(fs.Capture(), [&](const CrashFileSystem& disk) { return Letters(disk, path); });
}

Images TreeImages(const CrashFileSystem& fs) {
  return AllImages(fs.Capture(), [&](const CrashFileSystem& disk) {
    std::string all;
    for (const std::string& path : disk.AllFiles()) {
      all += (all.empty() ? "" : " ") + path;
      if (path.back() != '/' && Letters(disk, path) != "") all += "=" + Letters(disk, path);
    }
    return all;
  });
}

CrashOptions NoGarbage() {
  CrashOptions options;
  options.garbage = false;
  return options;
}

Fault FailOnce(CallKind kind, int error = EIO) {
  Fault fault;
  fault.kind = kind;
  fault.error = error;
  return fault;
}

// ---- The cache's view: a file system like any other
// ----------------------------------------------

TEST(CrashFileSystemTest, ReadsWhatWasWritten) {
  CrashFileSystem fs;
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), "hello", 1000);
  uint64_t size = 0;
  ASSERT_EQ(file->Size(&size), 0);
  EXPECT_EQ(size, 1005u);
  std::string bytes(2000, 'x');
  IoResult result = file->PRead(&bytes[0], bytes.size(), 0);
  EXPECT_EQ(result.error, 0);
  ASSERT_EQ(result.bytes, 1005u);
  EXPECT_EQ(bytes.substr(0, 1005), std::string(1000, '\0') + "hello");
  EXPECT_EQ(file->PRead(&bytes[0], 10, 1005).bytes, 0u);
  MustWrite(file.get(), std::string(1500, 'y'), 300);
  ASSERT_EQ(file->PRead(&bytes[0], 2000, 298).bytes, 1502u);
  EXPECT_EQ(bytes.substr(0, 1502), std::string(2, '\0') + std::string(1500, 'y'));
  FileInfo info;
  ASSERT_EQ(fs.Stat("/f", &info), 0);
  EXPECT_TRUE(info.is_regular);
  EXPECT_EQ(info.bytes, 1800u);
}

TEST(CrashFileSystemTest, ReportsTheErrnosOfTheManPages) {
  CrashFileSystem fs;
  std::unique_ptr<File> file;
  FileInfo info;
  std::vector<std::string> names;
  EXPECT_EQ(fs.Open("/none", ReadWrite(), &file), ENOENT);
  EXPECT_EQ(fs.Open("/none/f", CreateFile(), &file), ENOENT);
  EXPECT_EQ(fs.MakeDirectory("/d"), 0);
  EXPECT_EQ(fs.MakeDirectory("/d"), EEXIST);
  EXPECT_EQ(fs.MakeDirectory("/"), EEXIST);
  EXPECT_EQ(fs.MakeDirectory("/none/d"), ENOENT);
  EXPECT_EQ(fs.Open("/d", ReadWrite(), &file), EISDIR);
  MustOpen(&fs, "/d/f");
  OpenOptions exclusive = CreateFile();
  exclusive.exclusive = true;
  EXPECT_EQ(fs.Open("/d/f", exclusive, &file), EEXIST);
  EXPECT_EQ(fs.Open("/d/f/g", CreateFile(), &file), ENOTDIR);
  EXPECT_EQ(fs.Open("/" + std::string(256, 'n'), CreateFile(), &file), ENAMETOOLONG);
  EXPECT_EQ(fs.Stat("/d/./../d//f", &info), 0);
  EXPECT_EQ(fs.Stat("d/f", &info), 0);
  EXPECT_EQ(fs.Stat("/d/f/", &info), ENOTDIR);
  EXPECT_EQ(fs.List("/d/f", &names), ENOTDIR);
  EXPECT_EQ(fs.List("/none", &names), ENOENT);
  EXPECT_EQ(fs.Unlink("/d"), EISDIR);
  EXPECT_EQ(fs.Unlink("/none"), ENOENT);
  EXPECT_EQ(fs.SyncDirectory("/none"), ENOENT);
  EXPECT_EQ(fs.SyncDirectory("/d/f"), ENOTDIR);
  EXPECT_EQ(fs.Rename("/none", "/x"), ENOENT);
  EXPECT_EQ(fs.Rename("/d", "/d/f"), EINVAL);
  EXPECT_EQ(fs.Rename("/d/f", "/d"), EISDIR);
  EXPECT_EQ(fs.MakeDirectory("/e"), 0);
  EXPECT_EQ(fs.Rename("/e", "/d"), ENOTEMPTY);
  EXPECT_EQ(fs.Rename("/e", "/d/f"), ENOTDIR);

  auto read_only = MustOpen(&fs, "/d/f", OpenOptions());
  EXPECT_EQ(read_only->PWrite("x", 1, 0).error, EBADF);
  EXPECT_EQ(read_only->Truncate(0), EINVAL);
  EXPECT_EQ(read_only->Sync(File::SyncKind::kFull), 0);
  EXPECT_EQ(MustOpen(&fs, "/d/f")->PWrite("x", 1, UINT64_MAX).error, EFBIG);
}

TEST(CrashFileSystemTest, AnUnlinkedFileLivesWhileItIsOpen) {
  CrashFileSystem fs;
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), Sectors("a"), 0);
  ASSERT_EQ(fs.Unlink("/f"), 0);
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  char byte = 0;
  EXPECT_EQ(file->PRead(&byte, 1, 0).bytes, 1u);
  EXPECT_EQ(byte, 'a');
  EXPECT_EQ(file->Sync(File::SyncKind::kData), 0);
}

TEST(CrashFileSystemTest, TruncateLeavesZerosBehindTheEnd) {
  CrashFileSystem fs;
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), Sectors("abc"), 0);
  ASSERT_EQ(file->Truncate(100), 0);
  ASSERT_EQ(file->Truncate(3 * kSector), 0);
  std::string bytes;
  ASSERT_EQ(fs.GetFile("/f", &bytes), 0);
  EXPECT_EQ(bytes, std::string(100, 'a') + std::string(3 * kSector - 100, '\0'));
}

TEST(CrashFileSystemTest, ListsInAnOrderThatDependsOnTheSeedOnly) {
  std::set<std::vector<std::string>> orders;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CrashOptions options;
    options.seed = seed;
    CrashFileSystem fs(options);
    for (const char* name : {"/a", "/b", "/c", "/d"}) MustOpen(&fs, name);
    std::vector<std::string> names;
    std::vector<std::string> again;
    ASSERT_EQ(fs.List("/", &names), 0);
    ASSERT_EQ(fs.List("/", &again), 0);
    EXPECT_EQ(names, again);
    orders.insert(names);
    std::sort(names.begin(), names.end());
    EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c", "d"}));
  }
  EXPECT_GT(orders.size(), 5u);
}

TEST(CrashFileSystemTest, LocksBelongToOpenFiles) {
  CrashFileSystem fs;
  auto a = MustOpen(&fs, "/lock");
  auto b = MustOpen(&fs, "/lock");
  EXPECT_EQ(a->TryLock(), 0);
  EXPECT_EQ(a->TryLock(), 0);
  EXPECT_EQ(b->TryLock(), EWOULDBLOCK);
  EXPECT_EQ(MustOpen(&fs, "/other")->TryLock(), 0);
  // A killed process holds none; this one's goes on.
  auto killed = fs.Capture().Kill();
  EXPECT_EQ(MustOpen(killed.get(), "/lock")->TryLock(), 0);
  EXPECT_EQ(b->TryLock(), EWOULDBLOCK);
  a.reset();
  EXPECT_EQ(b->TryLock(), 0);
}

TEST(CrashFileSystemTest, DirectDemandsAlignment) {
  CrashOptions crash_options;
  crash_options.direct_alignment_bytes = 1024;
  CrashFileSystem fs(crash_options);
  OpenOptions options = CreateFile();
  options.direct = true;
  auto file = MustOpen(&fs, "/f", options);
  alignas(1024) static char memory[4096] = {};
  EXPECT_EQ(file->PWrite(memory, 2048, 1024).error, 0);
  EXPECT_EQ(file->PWrite(memory + 512, 2048, 1024).error, EINVAL);
  EXPECT_EQ(file->PWrite(memory, 2048 + 512, 1024).error, EINVAL);
  EXPECT_EQ(file->PWrite(memory, 2048, 512).error, EINVAL);
  EXPECT_EQ(file->PRead(memory, 1024, 512).error, EINVAL);
  EXPECT_EQ(file->PRead(memory, 1024, 1024).error, 0);
}

// ---- Data
// -----------------------------------------------------------------------------------------

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
  auto file = Durable(&fs, "a");
  MustWrite(file.get(), Sectors("xy").substr(0, kSector + 100), kSector);
  const CrashState state = fs.Capture();
  size_t images = 0;
  state.ForEachImage(
      1000, 1, [&](const CrashChoice& choice, std::unique_ptr<CrashFileSystem> disk) {
        ++images;
        const std::string before = Letters(*disk, "/f");
        auto again = MustOpen(disk.get(), "/f");
        EXPECT_EQ(again->Truncate(4 * kSector), 0);
        std::string bytes;
        EXPECT_EQ(disk->GetFile("/f", &bytes), 0);
        const size_t end = before.size() == 1 ? kSector : 2 * kSector + 100;
        EXPECT_EQ(bytes.find_first_not_of('\0', end), std::string::npos) << state.Describe(choice);
        return true;
      });
  EXPECT_EQ(images, 5u);
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
    MustWrite(synchronous.get(), Sectors("yz"), 2 * kSector);
    // The size and its own bytes, but not what others wrote.
    EXPECT_EQ(FileImages(fs, "/f"), (Images{"abyz", "xbyz"}));
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

// ---- Names
// ----------------------------------------------------------------------------------------

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

// ---- Crashing
// -------------------------------------------------------------------------------------

TEST(CrashTest, AKillKeepsTheCacheAndWhatIsPending) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/f", Sectors("a")), 0);
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), Sectors("x"), 0);
  MustOpen(&fs, "/g");
  auto killed = fs.Capture().Kill();
  EXPECT_EQ(TreeImages(*killed), (Images{"/f=a", "/f=x", "/f=a /g", "/f=x /g"}));
  EXPECT_EQ(Letters(*killed, "/f"), "x");
  auto again = MustOpen(killed.get(), "/f");
  EXPECT_EQ(again->Sync(File::SyncKind::kData), 0);
  EXPECT_EQ(FileImages(*killed, "/f"), (Images{"x"}));
  EXPECT_EQ(FileImages(fs, "/f"), (Images{"a", "x"}));
}

TEST(CrashTest, AKillInsideAWriteLeavesAPrefixInTheCache) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/f", Sectors("aa")), 0);
  auto file = MustOpen(&fs, "/f");
  CrashPoint point;
  point.call = fs.calls() + 1;
  point.phase = CrashPhase::kInside;
  point.inside_bytes = kSector;
  fs.SetCrashPoint(point);
  const std::string bytes = Sectors("xy");
  EXPECT_EQ(file->PWrite(bytes.data(), bytes.size(), 0).error, EIO);
  EXPECT_EQ(Letters(*fs.Capture().Kill(), "/f"), "xa");
}

TEST(CrashTest, BeforeInsideAndAfter) {
  OpenOptions synchronous = ReadWrite();
  synchronous.data_sync = true;
  const auto run = [&](const OpenOptions& options, uint64_t call, CrashPhase phase,
                       std::vector<int>* errors) {
    CrashFileSystem fs;
    EXPECT_EQ(fs.PutFile("/f", Sectors("aa")), 0);
    CrashPoint point;
    point.call = call;
    point.phase = phase;
    fs.SetCrashPoint(point);
    auto file = MustOpen(&fs, "/f", options);  // call 1
    const std::string bytes = Sectors("xy");
    errors->push_back(file->PWrite(bytes.data(), bytes.size(), 0).error);  // call 2
    errors->push_back(file->Sync(File::SyncKind::kData));                  // call 3
    char byte;
    errors->push_back(file->PRead(&byte, 1, 0).error);
    EXPECT_TRUE(fs.frozen());
    EXPECT_EQ(fs.calls(), call);
    return FileImages(fs, "/f");
  };
  const Images all = {"aa", "ay", "xa", "xy"};
  std::vector<int> e;
  EXPECT_EQ(run(ReadWrite(), 2, CrashPhase::kBefore, &e), (Images{"aa"}));
  EXPECT_EQ(e, (std::vector<int>{EIO, EIO, EIO}));
  e.clear();
  EXPECT_EQ(run(ReadWrite(), 2, CrashPhase::kInside, &e), all);
  EXPECT_EQ(e, (std::vector<int>{EIO, EIO, EIO}));
  e.clear();
  EXPECT_EQ(run(ReadWrite(), 2, CrashPhase::kAfter, &e), all);
  EXPECT_EQ(e, (std::vector<int>{0, EIO, EIO}));
  e.clear();
  EXPECT_EQ(run(ReadWrite(), 3, CrashPhase::kInside, &e), all);
  EXPECT_EQ(e, (std::vector<int>{0, EIO, EIO}));
  e.clear();
  EXPECT_EQ(run(ReadWrite(), 3, CrashPhase::kAfter, &e), (Images{"xy"}));
  EXPECT_EQ(e, (std::vector<int>{0, 0, EIO}));
  e.clear();
  EXPECT_EQ(run(synchronous, 2, CrashPhase::kInside, &e), all);
  e.clear();
  EXPECT_EQ(run(synchronous, 2, CrashPhase::kAfter, &e), (Images{"xy"}));
}

TEST(CrashTest, AFrozenFileSystemRefusesEverything) {
  CrashFileSystem fs;
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), "x", 0);
  const uint64_t calls = fs.calls();
  fs.Freeze();
  std::unique_ptr<File> other;
  FileInfo info;
  std::vector<std::string> names;
  uint64_t size;
  char byte;
  EXPECT_EQ(fs.Open("/f", ReadWrite(), &other), EIO);
  EXPECT_EQ(fs.Stat("/f", &info), EIO);
  EXPECT_EQ(fs.MakeDirectory("/d"), EIO);
  EXPECT_EQ(fs.List("/", &names), EIO);
  EXPECT_EQ(fs.Rename("/f", "/g"), EIO);
  EXPECT_EQ(fs.Unlink("/f"), EIO);
  EXPECT_EQ(fs.SyncDirectory("/"), EIO);
  EXPECT_EQ(file->PRead(&byte, 1, 0).error, EIO);
  EXPECT_EQ(file->PWrite("y", 1, 0).error, EIO);
  EXPECT_EQ(file->Sync(File::SyncKind::kData), EIO);
  EXPECT_EQ(file->Size(&size), EIO);
  EXPECT_EQ(file->TryLock(), EIO);
  EXPECT_EQ(file->Truncate(0), EIO);
  EXPECT_EQ(fs.calls(), calls);
  file.reset();
  std::string bytes;
  EXPECT_EQ(fs.GetFile("/f", &bytes), 0);
  EXPECT_EQ(bytes, "x");
}

TEST(CrashTest, TracesCalls) {
  CrashFileSystem fs;
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), "hello", 7);
  EXPECT_EQ(fs.Rename("/none", "/g"), ENOENT);
  const std::vector<FileSystemCall> trace = fs.Trace();
  ASSERT_EQ(trace.size(), 3u);
  EXPECT_EQ(fs.calls(), 3u);
  EXPECT_EQ(trace[1].ordinal, 2u);
  EXPECT_EQ(trace[1].kind, CallKind::kWrite);
  EXPECT_EQ(trace[1].path, "/f");
  EXPECT_EQ(trace[1].offset, 7u);
  EXPECT_EQ(trace[1].transferred, 5u);
  EXPECT_EQ(trace[2].to, "/g");
  EXPECT_EQ(trace[2].error, ENOENT);
}

TEST(CrashTest, TheHookSeesEveryStateThatCrashPointsDo) {
  const auto workload = [](CrashFileSystem* fs) {
    OpenOptions synchronous = CreateFile();
    synchronous.data_sync = true;
    std::unique_ptr<File> a;
    std::unique_ptr<File> b;
    if (fs->Open("/a", synchronous, &a) != 0) return;
    if (fs->Open("/b", CreateFile(), &b) != 0) return;
    const std::string bytes = Sectors("xy");
    a->PWrite(bytes.data(), bytes.size(), 0);
    b->PWrite(bytes.data(), bytes.size(), 0);
    char byte;
    b->PRead(&byte, 1, 0);
    fs->SyncDirectory("/");
    b->Sync(File::SyncKind::kData);
    fs->Rename("/b", "/c");
    fs->Unlink("/a");
    fs->SyncDirectory("/");
  };
  const auto look = [](const CrashState& state, Images* images) {
    state.ForEachImage(100000, 1, [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> disk) {
      std::string all;
      for (const std::string& path : disk->AllFiles()) all += path + Letters(*disk, path);
      images->insert(all);
      return true;
    });
  };
  Images by_hook;
  CrashFileSystem fs(NoGarbage());
  fs.SetCallHook([&](const FileSystemCall&, CrashPhase, const CaptureFn& capture) {
    look(capture(), &by_hook);
  });
  workload(&fs);
  look(fs.Capture(), &by_hook);

  Images by_point;
  for (uint64_t call = 1; call <= fs.calls(); ++call) {
    for (CrashPhase phase : {CrashPhase::kBefore, CrashPhase::kInside, CrashPhase::kAfter}) {
      CrashFileSystem crashed(NoGarbage());
      CrashPoint point;
      point.call = call;
      point.phase = phase;
      crashed.SetCrashPoint(point);
      workload(&crashed);
      EXPECT_TRUE(crashed.frozen());
      look(crashed.Capture(), &by_point);
    }
  }
  EXPECT_EQ(by_hook, by_point);
  EXPECT_GT(by_hook.size(), 20u);
}

TEST(CrashTest, ImagesAreIndependent) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/f", Sectors("abcd")), 0);
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), Sectors("x"), 0);
  const CrashState state = fs.Capture();
  CrashChoice survived;
  survived.picks = {1};
  auto image1 = state.PowerLoss(survived);
  auto image2 = state.PowerLoss(CrashChoice());
  auto killed = state.Kill();
  MustWrite(file.get(), Sectors("y"), kSector);
  MustWrite(MustOpen(image1.get(), "/f").get(), Sectors("1"), 2 * kSector);
  MustWrite(MustOpen(image2.get(), "/f").get(), Sectors("2"), 2 * kSector);
  MustWrite(MustOpen(killed.get(), "/f").get(), Sectors("k"), 2 * kSector);
  ASSERT_EQ(killed->Unlink("/f"), 0);
  ASSERT_EQ(image1->SyncDirectory("/"), 0);
  EXPECT_EQ(Letters(fs, "/f"), "xycd");
  EXPECT_EQ(Letters(*image1, "/f"), "xb1d");
  EXPECT_EQ(Letters(*image2, "/f"), "ab2d");
  EXPECT_EQ(Letters(*killed, "/f"), "-");
  EXPECT_EQ(Letters(*state.Kill(), "/f"), "xbcd");
  EXPECT_EQ(Letters(*state.PowerLoss(survived), "/f"), "xbcd");
  EXPECT_EQ(state.pending_units(), 1u);
}

TEST(CrashTest, CrashesCanFollowCrashes) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/f", Sectors("aa")), 0);
  MustWrite(MustOpen(&fs, "/f").get(), Sectors("xx"), 0);
  Images twice;
  fs.Capture().ForEachImage(100, 1, [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> disk) {
    EXPECT_EQ(disk->Capture().pending_units(), 0u);
    MustWrite(MustOpen(disk.get(), "/f").get(), Sectors("y"), 0);
    for (const std::string& image : FileImages(*disk, "/f")) twice.insert(image);
    return true;
  });
  EXPECT_EQ(twice, (Images{"aa", "ax", "xa", "xx", "ya", "yx"}));
}

// ---- Choices
// --------------------------------------------------------------------------------------

// A state with more combinations than can be tried.
CrashState LargeState() {
  CrashFileSystem fs;
  for (int f = 0; f < 4; ++f) {
    auto file = MustOpen(&fs, "/f" + std::to_string(f));
    for (int i = 0; i < 20; ++i) MustWrite(file.get(), Sectors("xy"), i * kSector);
  }
  return fs.Capture();
}

std::string Everything(const CrashFileSystem& fs) {
  std::string all;
  for (const std::string& path : fs.AllFiles()) {
    std::string bytes;
    fs.GetFile(path, &bytes);
    all += path + std::to_string(bytes.size()) + bytes;
  }
  return all;
}

TEST(ChoiceTest, AreDeterministic) {
  const CrashState a = LargeState();
  const CrashState b = LargeState();
  EXPECT_EQ(a.combinations(), UINT64_MAX);
  std::set<std::string> different;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const CrashChoice choice = a.Sample(seed);
    EXPECT_EQ(choice, b.Sample(seed));
    CrashChoice parsed;
    ASSERT_TRUE(CrashChoice::FromString(choice.ToString(), &parsed)) << choice.ToString();
    EXPECT_EQ(parsed, choice);
    const std::string image = Everything(*a.PowerLoss(choice));
    EXPECT_EQ(image, Everything(*b.PowerLoss(parsed)));
    EXPECT_EQ(image, Everything(*a.PowerLoss(a.Canonical(choice))));
    different.insert(image);
  }
  EXPECT_GT(different.size(), 50u);
}

TEST(ChoiceTest, SamplesReachEveryOutcomeOfEveryUnit) {
  const CrashState state = LargeState();
  std::vector<std::set<uint16_t>> seen(state.pending_units());
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    const CrashChoice choice = state.Sample(seed);
    for (size_t i = 0; i < seen.size(); ++i) seen[i].insert(choice.picks[i]);
  }
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i].size(), state.outcomes(i)) << i;
}

TEST(ChoiceTest, ForEachImageSamplesWhatItCannotEnumerate) {
  const CrashState state = LargeState();
  std::set<std::vector<uint16_t>> seen;
  std::set<std::string> images;
  const size_t visited = state.ForEachImage(
      300, 7, [&](const CrashChoice& choice, std::unique_ptr<CrashFileSystem> disk) {
        EXPECT_TRUE(seen.insert(choice.picks).second);
        images.insert(Everything(*disk));
        EXPECT_EQ(Everything(*state.PowerLoss(choice)), Everything(*disk));
        return true;
      });
  EXPECT_EQ(visited, seen.size());
  EXPECT_GT(visited, 250u);
  EXPECT_GT(images.size(), 250u);
  EXPECT_EQ(images.count(""), 1u);
  EXPECT_EQ(images.count(Everything(*state.Kill())), 1u);
  size_t count = 0;
  const auto stop = [&](const CrashChoice&, std::unique_ptr<CrashFileSystem>) {
    return ++count < 5;
  };
  EXPECT_EQ(state.ForEachImage(300, 7, stop), 5u);
}

TEST(ChoiceTest, ForEachImageSkipsChoicesThatDoNotMatter) {
  CrashFileSystem fs(NoGarbage());
  MustWrite(MustOpen(&fs, "/f").get(), Sectors("x"), 0);
  // Created or not, size or not, sector or not: without name or size the rest does not matter.
  const CrashState state = fs.Capture();
  EXPECT_EQ(state.combinations(), 8u);
  const auto ignore = [](const CrashChoice&, std::unique_ptr<CrashFileSystem>) { return true; };
  EXPECT_EQ(state.ForEachImage(8, 1, ignore), 4u);
}

TEST(ChoiceTest, DescribesAndRejects) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/f", Sectors("a")), 0);
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), Sectors("xy"), 0);
  ASSERT_EQ(fs.Rename("/f", "/g"), 0);
  CrashChoice choice;
  ASSERT_TRUE(CrashChoice::FromString("1*3.2/9", &choice));
  EXPECT_EQ(choice.picks, (std::vector<uint16_t>{1, 1, 1, 2}));
  const std::string text = fs.Capture().Describe(choice);
  EXPECT_NE(text.find("-/f +/g survived"), std::string::npos) << text;
  EXPECT_NE(text.find("size 1024"), std::string::npos) << text;
  EXPECT_NE(text.find("[0, +512) survived"), std::string::npos) << text;
  EXPECT_NE(text.find("[512, +512) garbage"), std::string::npos) << text;
  for (const char* bad :
       {"", "1", "1.", "a/1", "1/", "1*/1", "1/1x", "70000/1", "1*999999999999/1"}) {
    EXPECT_FALSE(CrashChoice::FromString(bad, &choice)) << bad;
  }
  EXPECT_TRUE(CrashChoice::FromString("/5", &choice));
}

// ---- Failing
// --------------------------------------------------------------------------------------

TEST(FaultTest, FailsTheNthCallOfAKindOnceOrForEver) {
  CrashFileSystem fs;
  auto file = MustOpen(&fs, "/f");
  const auto writes = [&] {
    std::vector<int> errors;
    for (int i = 0; i < 4; ++i) {
      errors.push_back(file->PWrite("x", 1, 0).error);
      EXPECT_EQ(file->Sync(File::SyncKind::kData), 0);
    }
    return errors;
  };
  Fault fault = FailOnce(CallKind::kWrite, EDQUOT);
  fault.nth = 2;
  fs.InjectFault(fault);
  EXPECT_EQ(writes(), (std::vector<int>{0, EDQUOT, 0, 0}));
  EXPECT_EQ(fs.faults_hit(), 1u);
  fs.ClearFaults();
  fault.forever = true;
  fs.InjectFault(fault);
  EXPECT_EQ(writes(), (std::vector<int>{0, EDQUOT, EDQUOT, EDQUOT}));
  fs.ClearFaults();
  fault = FailOnce(CallKind::kAny, EINTR);
  fault.nth = 3;
  fs.InjectFault(fault);
  EXPECT_EQ(writes(), (std::vector<int>{0, EINTR, 0, 0}));
}

TEST(FaultTest, FailsCallsOnChosenPaths) {
  CrashFileSystem fs;
  Fault fault = FailOnce(CallKind::kOpen, EMFILE);
  fault.path_contains = "seg";
  fs.InjectFault(fault);
  MustOpen(&fs, "/other");
  std::unique_ptr<File> file;
  EXPECT_EQ(fs.Open("/seg1", CreateFile(), &file), EMFILE);
  EXPECT_EQ(file, nullptr);
  EXPECT_EQ(fs.AllFiles(), (std::vector<std::string>{"/other"}));
  EXPECT_EQ(fs.Open("/seg1", CreateFile(), &file), 0);
}

TEST(FaultTest, EveryVerbCanFailWithoutEffect) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/f", "x"), 0);
  auto file = MustOpen(&fs, "/f");
  FileInfo info;
  std::vector<std::string> names;
  uint64_t size = 0;
  char byte = 0;
  Fault fault = FailOnce(CallKind::kAny, ENOMEM);
  fault.forever = true;
  fs.InjectFault(fault);
  std::unique_ptr<File> other;
  EXPECT_EQ(fs.Open("/g", CreateFile(), &other), ENOMEM);
  EXPECT_EQ(fs.Stat("/f", &info), ENOMEM);
  EXPECT_EQ(fs.MakeDirectory("/d"), ENOMEM);
  EXPECT_EQ(fs.List("/", &names), ENOMEM);
  EXPECT_EQ(fs.Rename("/f", "/g"), ENOMEM);
  EXPECT_EQ(fs.Unlink("/f"), ENOMEM);
  EXPECT_EQ(fs.SyncDirectory("/"), ENOMEM);
  EXPECT_EQ(file->PRead(&byte, 1, 0).error, ENOMEM);
  EXPECT_EQ(file->PWrite("y", 1, 0).error, ENOMEM);
  EXPECT_EQ(file->Sync(File::SyncKind::kData), ENOMEM);
  EXPECT_EQ(file->Size(&size), ENOMEM);
  EXPECT_EQ(file->TryLock(), ENOMEM);
  EXPECT_EQ(file->Truncate(0), ENOMEM);
  EXPECT_EQ(fs.faults_hit(), 13u);
  EXPECT_EQ(fs.Capture().pending_units(), 0u);
  EXPECT_EQ(fs.AllFiles(), (std::vector<std::string>{"/f"}));
}

TEST(FaultTest, ReadsAndWritesFallShort) {
  CrashFileSystem fs;
  auto file = MustOpen(&fs, "/f");
  Fault fault = FailOnce(CallKind::kWrite, 0);
  fault.max_bytes = 3;
  fs.InjectFault(fault);
  fault.kind = CallKind::kRead;
  fault.max_bytes = 2;
  fs.InjectFault(fault);
  EXPECT_EQ(file->PWrite("abc", 3, 0).bytes, 3u);  // nothing to cut: the fault waits
  EXPECT_EQ(file->PWrite("hello", 5, 0).bytes, 3u);
  EXPECT_EQ(file->PWrite("lo", 2, 3).bytes, 2u);
  char bytes[10];
  EXPECT_EQ(file->PRead(bytes, 10, 0).bytes, 2u);
  EXPECT_EQ(file->PRead(bytes, 10, 0).bytes, 5u);
  EXPECT_EQ(std::string(bytes, 5), "hello");
}

TEST(FaultTest, SpaceRunsOutAndComesBack) {
  CrashFileSystem fs;
  fs.SetSpaceLimit(4 * kSector);
  auto file = MustOpen(&fs, "/f");
  MustWrite(file.get(), Sectors("abc"), 0);
  EXPECT_EQ(fs.space_used(), 3 * kSector);
  const std::string two = Sectors("xy");
  EXPECT_EQ(file->PWrite(two.data(), two.size(), 3 * kSector).bytes, kSector);
  EXPECT_EQ(file->PWrite(two.data(), kSector, 4 * kSector).error, ENOSPC);
  MustWrite(file.get(), Sectors("zz"), 0);  // overwriting needs no space
  EXPECT_EQ(fs.space_used(), 4 * kSector);
  auto killed = fs.Capture().Kill();
  EXPECT_EQ(killed->space_used(), 4 * kSector);
  ASSERT_EQ(fs.Unlink("/f"), 0);
  EXPECT_EQ(fs.space_used(), 4 * kSector);  // it is open
  file.reset();
  EXPECT_EQ(fs.space_used(), 0u);
  file = MustOpen(&fs, "/g");
  MustWrite(file.get(), Sectors("abcd"), 0);
  ASSERT_EQ(file->Truncate(kSector), 0);
  EXPECT_EQ(fs.space_used(), kSector);
  fs.SetSpaceLimit(UINT64_MAX);
  MustWrite(file.get(), Sectors("abcdefgh"), 0);
  EXPECT_EQ(fs.space_used(), 8 * kSector);
  MustOpen(&fs, "/h");
  ASSERT_EQ(fs.Rename("/h", "/g"), 0);
  file.reset();
  EXPECT_EQ(fs.space_used(), 0u);
}

TEST(FaultTest, SpaceIsRightInImages) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/f", Sectors("abc")), 0);
  ASSERT_EQ(fs.Unlink("/f"), 0);
  auto file = MustOpen(&fs, "/g");
  MustWrite(file.get(), Sectors("xy"), 0);
  file.reset();
  EXPECT_EQ(fs.space_used(), 2 * kSector);
  fs.Capture().ForEachImage(1000, 1,
                            [&](const CrashChoice& choice, std::unique_ptr<CrashFileSystem> disk) {
                              uint64_t used = 0;
                              std::string bytes;
                              if (disk->GetFile("/f", &bytes) == 0) used += 3 * kSector;
                              const std::string letters = Letters(*disk, "/g");
                              if (letters != "-") {
                                for (char c : letters) used += c == '0' ? 0 : kSector;
                              }
                              EXPECT_EQ(disk->space_used(), used) << choice.ToString();
                              return true;
                            });
}

// ---- Damage
// ---------------------------------------------------------------------------------------

TEST(DamageTest, IsDurableAndNoCall) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/a", "hello"), 0);
  EXPECT_EQ(fs.FlipBit("/a", 8), 0);
  std::string bytes;
  ASSERT_EQ(fs.GetFile("/a", &bytes), 0);
  EXPECT_EQ(bytes, "hdllo");
  EXPECT_EQ(fs.FlipBit("/a", 8), 0);
  EXPECT_EQ(fs.FlipBit("/a", 40), EINVAL);
  EXPECT_EQ(fs.ZeroBytes("/a", 1, 2), 0);
  ASSERT_EQ(fs.GetFile("/a", &bytes), 0);
  EXPECT_EQ(bytes, std::string("h\0\0lo", 5));
  EXPECT_EQ(fs.PutBytes("/a", 4, "OO"), 0);
  EXPECT_EQ(fs.CopyFile("/a", "/b"), 0);
  EXPECT_EQ(fs.SetLength("/a", 1), 0);
  EXPECT_EQ(fs.SwapFiles("/a", "/b"), 0);
  ASSERT_EQ(fs.GetFile("/a", &bytes), 0);
  EXPECT_EQ(bytes, std::string("h\0\0lOO", 6));
  ASSERT_EQ(fs.GetFile("/b", &bytes), 0);
  EXPECT_EQ(bytes, "h");
  EXPECT_EQ(fs.DeleteFile("/b"), 0);
  EXPECT_EQ(fs.DeleteFile("/b"), ENOENT);
  EXPECT_EQ(fs.PutFile("/none/f", ""), ENOENT);
  EXPECT_EQ(fs.AllFiles(), (std::vector<std::string>{"/a"}));
  EXPECT_EQ(fs.calls(), 0u);
  EXPECT_EQ(fs.Capture().pending_units(), 0u);
}

TEST(DamageTest, ReachesTheImageOnlyThatItIsDoneTo) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.PutFile("/a", Sectors("aa")), 0);
  auto copy = fs.Clone();
  ASSERT_EQ(copy->FlipBit("/a", 0), 0);
  EXPECT_EQ(Letters(fs, "/a"), "aa");
  EXPECT_EQ(Letters(*copy, "/a"), "?a");
}

// ---- Together
// -------------------------------------------------------------------------------------

TEST(CrashFileSystemTest, IsThreadSafe) {
  CrashFileSystem fs;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&fs, t] {
      const std::string path = "/f" + std::to_string(t % 2);
      auto file = MustOpen(&fs, path);
      std::string bytes(700, 'x');
      for (int i = 0; i < 200; ++i) {
        file->PWrite(bytes.data(), bytes.size(), static_cast<uint64_t>(i) * 100);
        file->PRead(&bytes[0], bytes.size(), 0);
        if (i % 20 == 0) file->Sync(File::SyncKind::kData);
        if (i % 50 == 0) {
          // Images share sectors with what the other threads change.
          auto disk = fs.Capture().PowerLoss(CrashChoice());
          MustWrite(MustOpen(disk.get(), path).get(), "y", 0);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fs.calls(), 4u * (1 + 400 + 10));
}

// The example of the header: a file that is replaced as a whole, with and without mistakes.
struct Steps {
  bool sync_file = true;
  bool sync_directory = true;
};

bool AnyImageBreaksThePromise(const Steps& steps) {
  CrashFileSystem fs;
  int promised = 0;
  bool broken = false;
  const auto check = [&](const CrashState& state, int at_least) {
    state.ForEachImage(200, 1, [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> disk) {
      std::string found;
      if (disk->GetFile("/value", &found) != 0) found = "0";
      const bool whole =
          !found.empty() && found.find_first_not_of("0123456789") == std::string::npos;
      if (!whole || std::atoi(found.c_str()) < at_least) broken = true;
      return !broken;
    });
  };
  fs.SetCallHook([&](const FileSystemCall&, CrashPhase, const CaptureFn& capture) {
    check(capture(), promised);
  });
  for (int value = 1; value <= 3; ++value) {
    auto file = MustOpen(&fs, "/value.tmp");
    MustWrite(file.get(), std::to_string(value), 0);
    if (steps.sync_file) file->Sync(File::SyncKind::kData);
    EXPECT_EQ(fs.Rename("/value.tmp", "/value"), 0);
    if (steps.sync_directory) fs.SyncDirectory("/");
    promised = value;
  }
  check(fs.Capture(), promised);
  return broken;
}

TEST(CrashFileSystemTest, FindsTheClassicMistakes) {
  Steps steps;
  EXPECT_FALSE(AnyImageBreaksThePromise(steps));
  steps.sync_file = false;
  EXPECT_TRUE(AnyImageBreaksThePromise(steps));
  steps.sync_file = true;
  steps.sync_directory = false;
  EXPECT_TRUE(AnyImageBreaksThePromise(steps));
}

}  // namespace
}  // namespace seawall
