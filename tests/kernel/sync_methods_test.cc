// SPDX-License-Identifier: Apache-2.0
// Each way to stable storage, with and without O_DIRECT, on the file systems that people have.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/kernel/kernel_test_util.h"

namespace seawall {
namespace {

const char* NameOf(SyncMethod method) {
  switch (method) {
    case SyncMethod::kFdatasync:
      return "fdatasync";
    case SyncMethod::kFsync:
      return "fsync";
    case SyncMethod::kODsync:
      return "O_DSYNC";
    case SyncMethod::kOSync:
      return "O_SYNC";
  }
  return "?";
}

constexpr SyncMethod kMethods[] = {SyncMethod::kFdatasync, SyncMethod::kFsync, SyncMethod::kODsync,
                                   SyncMethod::kOSync};

// Small segments, so that a few hundred records roll over.
Options SmallOptions(SyncMethod method, bool direct, uint32_t alignment) {
  Options options;
  options.segment_bytes = 256 << 10;
  options.buffer_bytes = 64 << 10;
  options.max_record_bytes = 16 << 10;
  options.sync_method = method;
  options.direct_io = direct;
  options.group_alignment_bytes = alignment;
  return options;
}

// Lives on `directory`: appends, rolls over, trims, closes, lives again with `options`.
void LiveTwice(const std::string& directory, const Options& options) {
  std::vector<uint64_t> hashes;
  for (uint64_t life = 0; life < 2; ++life) {
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(directory, options);
    ASSERT_TRUE(log.ok()) << log.status();
    if (life == 1) {
      EXPECT_EQ((*log)->recovery_report().verdict, RecoveryVerdict::kClean);
    }
    EXPECT_EQ((*log)->appended_lsn(), hashes.size());
    for (uint64_t i = 0; i < 60; ++i) {
      const std::string record = MakeRecord({life, i, 0, 1}, 40 + 16000 * (i % 3) / 2 + i);
      absl::StatusOr<Lsn> lsn =
          (*log)->Append(record, i % 4 == 0 ? Durability::kDurable : Durability::kWritten);
      ASSERT_TRUE(lsn.ok()) << lsn.status();
      hashes.push_back(HashOf(record));
    }
    ASSERT_TRUE((*log)->WaitDurable(hashes.size()).ok());
    EXPECT_GT((*log)->stats().rollovers, 0u);
    absl::StatusOr<LogContents> contents = ReadContents(log->get());
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(contents->hashes, hashes);
    absl::Status closed = (*log)->Close();
    EXPECT_TRUE(closed.ok()) << closed;
  }
  absl::StatusOr<LogContents> contents = ReadContents(directory);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->hashes, hashes);
}

// Where a test puts its log: the file system under the temporary directory, or one of its own.
struct Place {
  std::unique_ptr<Mount> mount;
  std::unique_ptr<TemporaryDirectory> directory;
  std::string path;
  std::string missing;  // why there is no such place here

  static Place Of(const std::string& type, uint32_t block_bytes = 512) {
    Place place;
    if (type == "here") {
      place.directory = std::make_unique<TemporaryDirectory>();
      place.path = place.directory->path();
      return place;
    }
    auto mount = Mount::New(type, uint64_t{400} << 20, block_bytes);
    if (!mount.ok()) {
      place.missing = mount.status().ToString();
      return place;
    }
    place.mount = std::move(*mount);
    place.path = place.mount->path();
    return place;
  }
};

class SyncMethodsTest : public testing::TestWithParam<std::string> {};

TEST_P(SyncMethodsTest, EveryMethodSurvivesReopening) {
  Place place = Place::Of(GetParam());
  if (!place.missing.empty()) GTEST_SKIP() << place.missing;
  for (SyncMethod method : kMethods) {
    for (bool direct : {false, true}) {
      const std::string name = absl::StrCat(NameOf(method), direct ? "-direct" : "");
      SCOPED_TRACE(name);
      const std::string directory = absl::StrCat(place.path, "/", name);
      const Options options = SmallOptions(method, direct, 8);
      absl::Status status = Log::Open(directory, options).status();
      if (direct && absl::IsUnimplemented(status)) {
        // The promise where there is no O_DIRECT; the log is then opened without.
        EXPECT_NE(status.message().find("O_DIRECT"), std::string::npos) << status;
        EXPECT_TRUE(Log::Open(directory, SmallOptions(method, false, 8)).ok());
        std::printf("%s, %s: %s\n", GetParam().c_str(), name.c_str(), status.ToString().c_str());
        continue;
      }
      ASSERT_TRUE(status.ok()) << status;
      LiveTwice(directory, options);
    }
  }
}

TEST_P(SyncMethodsTest, MethodsAndDirectIoChangeFromLifeToLife) {
  Place place = Place::Of(GetParam());
  if (!place.missing.empty()) GTEST_SKIP() << place.missing;
  const std::string directory = place.path + "/log";
  const bool has_direct =
      Log::Open(place.path + "/probe", SmallOptions(SyncMethod::kFdatasync, true, 8)).ok();
  uint64_t lives = 0;
  std::vector<uint64_t> hashes;
  for (uint32_t alignment : {8u, 4096u, 512u}) {
    for (SyncMethod method : kMethods) {
      const bool direct = has_direct && alignment != 512 && lives % 2 == 0;
      absl::StatusOr<std::unique_ptr<Log>> log =
          Log::Open(directory, SmallOptions(method, direct, alignment));
      ASSERT_TRUE(log.ok()) << log.status();
      for (uint64_t i = 0; i < 5; ++i) {
        const std::string record = MakeRecord({lives, i, 0, 1}, 40 + 4000 * i);
        ASSERT_TRUE((*log)->AppendDurable(record).ok());
        hashes.push_back(HashOf(record));
      }
      absl::StatusOr<LogContents> contents = ReadContents(log->get());
      ASSERT_TRUE(contents.ok()) << contents.status();
      EXPECT_EQ(contents->hashes, hashes);
      ++lives;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(FileSystems, SyncMethodsTest,
                         testing::Values("here", "ext4", "xfs", "btrfs", "tmpfs"),
                         [](const auto& place) { return place.param; });

// A disk whose sectors have 4096 bytes takes no smaller direct write.
TEST(LargeSectorTest, DirectIo) {
  Place place = Place::Of("ext4", 4096);
  if (!place.missing.empty()) GTEST_SKIP() << place.missing;
  for (uint32_t alignment : {8u, 512u, 4096u}) {
    SCOPED_TRACE(alignment);
    LiveTwice(absl::StrCat(place.path, "/", alignment),
              SmallOptions(SyncMethod::kFdatasync, true, alignment));
  }
}

class ReadOnlyMountTest : public testing::TestWithParam<std::string> {};

TEST_P(ReadOnlyMountTest, ReadsAndDoesNotOpen) {
  Place place = Place::Of(GetParam());
  if (!place.missing.empty()) GTEST_SKIP() << place.missing;
  for (bool closed : {true, false}) {
    SCOPED_TRACE(closed);
    const std::string directory = absl::StrCat(place.path, "/", closed);
    std::vector<uint64_t> hashes;
    {
      absl::StatusOr<std::unique_ptr<Log>> log =
          Log::Open(directory, SmallOptions(SyncMethod::kFdatasync, false, 8));
      ASSERT_TRUE(log.ok()) << log.status();
      for (uint64_t i = 0; i < 100; ++i) {
        const std::string record = MakeRecord({0, i, 0, 1}, 8000);
        ASSERT_TRUE((*log)->Append(record).ok());
        hashes.push_back(HashOf(record));
      }
      ASSERT_TRUE((*log)->WaitDurable(hashes.size()).ok());
      if (!closed) {
        // The files of a writer that is in the middle of its life.
        const std::string copy = absl::StrCat("cp -a ", directory, " ", directory, ".open");
        ASSERT_EQ(std::system(copy.c_str()), 0);
      }
    }
    ASSERT_TRUE(place.mount->Remount(/*read_only=*/true).ok());
    const std::string subject = closed ? directory : directory + ".open";
    absl::StatusOr<LogContents> contents = ReadContents(subject);
    ASSERT_TRUE(contents.ok()) << contents.status();
    EXPECT_EQ(contents->hashes, hashes);
    absl::Status status = Log::Open(subject, Options()).status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    EXPECT_NE(status.message().find("Read-only file system"), std::string::npos) << status;
    EXPECT_NE(status.message().find(subject), std::string::npos) << status;
    status = Log::Open(place.path + "/new", Options()).status();
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    ASSERT_TRUE(place.mount->Remount(/*read_only=*/false).ok());
  }
}

INSTANTIATE_TEST_SUITE_P(FileSystems, ReadOnlyMountTest,
                         testing::Values("ext4", "xfs", "btrfs", "tmpfs"),
                         [](const auto& place) { return place.param; });

}  // namespace
}  // namespace seawall
