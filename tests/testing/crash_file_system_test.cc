// SPDX-License-Identifier: Apache-2.0
// CrashFileSystem as a file system: its calls, their failures, and damage.
#include "seawall/testing/crash_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/testing/crash_test_util.h"

namespace seawall {
namespace {

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

TEST(CrashFileSystemTest, AllocatesZerosBehindTheEnd) {
  CrashFileSystem fs;
  std::unique_ptr<File> file = MustOpen(&fs, "/f");
  ASSERT_EQ(file->PWrite("abc", 3, 0).error, 0);
  ASSERT_EQ(file->Allocate(1, 3 * kSector), 0);
  std::string expected(3 * kSector + 1, '\0');
  expected.replace(0, 3, "abc");
  std::string bytes;
  ASSERT_EQ(fs.GetFile("/f", &bytes), 0);
  EXPECT_EQ(bytes, expected);
  EXPECT_EQ(file->Allocate(0, 0), EINVAL);
  EXPECT_EQ(file->Allocate(0, UINT64_MAX), EFBIG);
  fs.SetSpaceLimit(6 * kSector);
  EXPECT_EQ(file->Allocate(0, 100 * kSector), ENOSPC);
}

TEST(CrashFileSystemTest, AllFilesOfSeveralFolders) {
  CrashFileSystem fs;
  // Names too long to be stored inside a std::string.
  const std::string folder = "/a-folder-with-a-long-name";
  std::vector<std::string> expected = {folder + "/"};
  ASSERT_EQ(fs.MakeDirectory(folder), 0);
  for (char c = 'a'; c < 'j'; ++c) {
    expected.push_back(folder + "/" + c);
    MustOpen(&fs, expected.back());
  }
  EXPECT_EQ(fs.AllFiles(), expected);
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
  EXPECT_EQ(b->Unlock(), 0) << "the lock of another file stays";
  EXPECT_EQ(b->TryLock(), EWOULDBLOCK);
  a.reset();
  EXPECT_EQ(b->TryLock(), 0);
  EXPECT_EQ(b->Unlock(), 0);
  EXPECT_EQ(MustOpen(&fs, "/lock")->TryLock(), 0);
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
  EXPECT_EQ(fs.RemoveDirectory("/d"), ENOMEM);
  EXPECT_EQ(fs.SyncDirectory("/"), ENOMEM);
  EXPECT_EQ(file->PRead(&byte, 1, 0).error, ENOMEM);
  EXPECT_EQ(file->PWrite("y", 1, 0).error, ENOMEM);
  EXPECT_EQ(file->Sync(File::SyncKind::kData), ENOMEM);
  EXPECT_EQ(file->Size(&size), ENOMEM);
  EXPECT_EQ(file->TryLock(), ENOMEM);
  EXPECT_EQ(file->Unlock(), ENOMEM);
  EXPECT_EQ(file->Truncate(0), ENOMEM);
  EXPECT_EQ(fs.faults_hit(), 15u);
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
  EXPECT_EQ(fs.Capture().Kill()->space_used(), 0u);
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
  file.reset();
  ASSERT_EQ(fs.Rename("/h", "/g"), 0);
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
