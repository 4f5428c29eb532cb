// SPDX-License-Identifier: Apache-2.0
// CrashFileSystem: crash points, the hook, and the choice among images.
#include <cerrno>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/testing/crash_test_util.h"

namespace seawall {
namespace {

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

// Its names were in doubt, and are of no interest when it is gone for good.
TEST(CrashTest, ADirectoryMayGoBeforeItWasEverSynced) {
  CrashFileSystem fs;
  ASSERT_EQ(fs.MakeDirectory("/d"), 0);
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  MustOpen(&fs, "/d/f");
  ASSERT_EQ(fs.Rename("/d/f", "/g"), 0);
  MustOpen(&fs, "/d/h");
  ASSERT_EQ(fs.Unlink("/d/h"), 0);
  ASSERT_EQ(fs.RemoveDirectory("/d"), 0);
  ASSERT_EQ(fs.SyncDirectory("/"), 0);
  EXPECT_EQ(TreeImages(fs), (Images{"/g"}));
  EXPECT_EQ(fs.Capture().pending_units(), 0u);
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
  EXPECT_EQ(fs.RemoveDirectory("/d"), EIO);
  EXPECT_EQ(fs.SyncDirectory("/"), EIO);
  EXPECT_EQ(file->PRead(&byte, 1, 0).error, EIO);
  EXPECT_EQ(file->PWrite("y", 1, 0).error, EIO);
  EXPECT_EQ(file->Sync(File::SyncKind::kData), EIO);
  EXPECT_EQ(file->Size(&size), EIO);
  EXPECT_EQ(file->TryLock(), EIO);
  EXPECT_EQ(file->Unlock(), EIO);
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
  images.clear();
  const auto keep = [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> disk) {
    return images.insert(Everything(*disk)).second;
  };
  EXPECT_EQ(state.ForEachImage(2, 7, keep), 2u);
  EXPECT_EQ(images, (std::set<std::string>{"", Everything(*state.Kill())}));
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

  CrashFileSystem other;
  ASSERT_EQ(other.MakeDirectory("/d"), 0);
  MustOpen(&other, "/d/f");
  EXPECT_EQ(other.Capture().combinations(), 4u);
  EXPECT_EQ(other.Capture().ForEachImage(4, 1, ignore), 3u);
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
  // A choice made for another state is no danger.
  choice.picks.assign(100, 99);
  EXPECT_EQ(fs.Capture().Canonical(choice).picks, (std::vector<uint16_t>{1, 1, 1, 2}));
  EXPECT_TRUE(CrashChoice::FromString("/5", &choice));
}

}  // namespace
}  // namespace seawall
