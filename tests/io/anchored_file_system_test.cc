// SPDX-License-Identifier: Apache-2.0
// Which paths go by the handle of the directory, and which by name. What comes of that for a log,
// tests/host/directory_test.cc has.
#include "engine/io/anchored_file_system.h"

#include <cerrno>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

namespace fs = std::filesystem;

class AnchoredFileSystemTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(dir_ / "log/sub");
    fs::create_directory(dir_ / "log2");
    for (const char* file : {"log/a", "log/sub/b", "log2/c"}) WriteFile(dir_ / file, file);
  }

  int Stat(AnchoredFileSystem* files, const std::string& path) {
    FileInfo info;
    return files->Stat(dir_ / path, &info);
  }

  TempDir dir_;
};

TEST_F(AnchoredFileSystemTest, FilesOfTheDirectoryGoByItsHandle) {
  for (const char* name : {"log", "log/", "log//"}) {
    SCOPED_TRACE(name);
    AnchoredFileSystem files(FileSystem::Posix(), dir_ / name);
    ASSERT_EQ(files.error(), 0);
    fs::rename(dir_ / "log", dir_ / "moved");
    EXPECT_EQ(Stat(&files, "log"), 0);
    EXPECT_EQ(Stat(&files, "log/a"), 0);
    EXPECT_EQ(Stat(&files, "log//a"), 0);
    EXPECT_EQ(Stat(&files, "log/none"), ENOENT);
    std::vector<std::string> names;
    EXPECT_EQ(files.List(dir_ / "log", &names), 0);
    EXPECT_EQ(names.size(), 2u);
    EXPECT_EQ(files.SyncDirectory(dir_ / "log"), 0);
    EXPECT_EQ(files.Rename(dir_ / "log/a", dir_ / "log/x"), 0);
    EXPECT_TRUE(fs::exists(dir_ / "moved/x"));
    EXPECT_EQ(files.Rename(dir_ / "log/x", dir_ / "log/a"), 0);
    fs::rename(dir_ / "moved", dir_ / "log");
  }
}

TEST_F(AnchoredFileSystemTest, OthersGoByPath) {
  AnchoredFileSystem files(FileSystem::Posix(), dir_ / "log");
  fs::rename(dir_ / "log", dir_ / "moved");
  EXPECT_EQ(Stat(&files, "log2/c"), 0) << "its directory's name only begins like the log's";
  EXPECT_EQ(Stat(&files, "log2"), 0);
  EXPECT_EQ(Stat(&files, "log/sub/b"), ENOENT);
  EXPECT_EQ(Stat(&files, "log/.."), ENOENT);
  EXPECT_EQ(Stat(&files, "moved/a"), 0);
  EXPECT_EQ(files.Rename(dir_ / "log/a", dir_ / "log2/a"), EXDEV);
  EXPECT_EQ(files.Rename(dir_ / "log2/c", dir_ / "log/c"), EXDEV);
  EXPECT_EQ(files.Link(dir_ / "log/a", dir_ / "log2/a"), 0);
  EXPECT_TRUE(fs::equivalent(dir_ / "log2/a", dir_ / "moved/a"));
}

TEST_F(AnchoredFileSystemTest, KnowsWhereTheDirectoryIs) {
  AnchoredFileSystem files(FileSystem::Posix(), dir_ / "log");
  EXPECT_FALSE(files.IsReplaced());
  EXPECT_EQ(files.PlaceNote(), "");
  EXPECT_EQ(*files.CurrentPathOf(dir_ / "log/a"), dir_ / "log/a");
  fs::rename(dir_ / "log", dir_ / "moved");
  EXPECT_FALSE(files.IsReplaced()) << "nothing is in its place";
  const std::string moved = fs::canonical(dir_ / "moved").string();
  EXPECT_NE(files.PlaceNote().find(moved), std::string::npos);
  EXPECT_EQ(*files.CurrentPathOf(dir_ / "log/a"), moved + "/a");
  EXPECT_EQ(*files.CurrentPathOf(dir_ / "log2/c"), dir_ / "log2/c");
  fs::create_directory(dir_ / "log");
  EXPECT_TRUE(files.IsReplaced());
  fs::remove_all(dir_ / "moved");
  EXPECT_NE(files.PlaceNote().find("removed"), std::string::npos);
  EXPECT_TRUE(Fails(files.CurrentPathOf(dir_ / "log/a").status(), absl::StatusCode::kNotFound,
                    {dir_ / "log/a"}));
}

TEST_F(AnchoredFileSystemTest, GoesByPathWhereThereIsNoDirectory) {
  AnchoredFileSystem files(FileSystem::Posix(), dir_ / "none");
  EXPECT_EQ(files.error(), ENOENT);
  EXPECT_EQ(files.directory(), nullptr);
  EXPECT_EQ(Stat(&files, "none/a"), ENOENT);
  EXPECT_EQ(files.MakeDirectory(dir_ / "none"), 0);
  WriteFile(dir_ / "none/a", "a");
  EXPECT_EQ(Stat(&files, "none/a"), 0);
  EXPECT_EQ(files.PlaceNote(), "");
}

}  // namespace
}  // namespace seawall
