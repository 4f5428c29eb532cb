// SPDX-License-Identifier: Apache-2.0
// System calls made whole. A kernel that is played by a script says what production rarely does.
#include "engine/io/file_io.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>
#include <vector>

#include "engine/format/format.h"
#include "gtest/gtest.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// Each call takes the next answer of the script; without one it does all it is asked for.
class ScriptedFile : public File {
 public:
  explicit ScriptedFile(std::vector<IoResult> script = {})
      : script_(script.begin(), script.end()) {}

  IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
    const size_t here = offset < contents.size() ? contents.size() - offset : 0;
    IoResult result = Answer(std::min(bytes, here));
    if (result.error == 0) std::memcpy(to, contents.data() + offset, result.bytes);
    return result;
  }
  IoResult PWrite(const void* from, size_t bytes, uint64_t offset) override {
    largest_write = std::max(largest_write, bytes);
    IoResult result = Answer(bytes);
    if (result.error != 0) return result;
    if (contents.size() < offset + result.bytes) contents.resize(offset + result.bytes, '.');
    std::memcpy(contents.data() + offset, from, result.bytes);
    return result;
  }
  int Allocate(uint64_t offset, uint64_t bytes) override {
    const int error = Answer(0).error;
    if (error == 0) contents.resize(std::max<size_t>(contents.size(), offset + bytes), '.');
    return error;
  }
  int Sync(SyncKind kind) override {
    last_kind = kind;
    return Answer(0).error;
  }
  int Size(uint64_t* bytes) override {
    *bytes = contents.size();
    return 0;
  }
  int TryLock() override { return 0; }
  int Unlock() override { return 0; }
  int Truncate(uint64_t) override { return 0; }

  std::string contents;
  int calls = 0;
  size_t largest_write = 0;
  SyncKind last_kind = SyncKind::kFull;

 private:
  IoResult Answer(size_t bytes) {
    ++calls;
    if (script_.empty()) return {0, bytes};
    IoResult result = script_.front();
    script_.pop_front();
    result.bytes = std::min(result.bytes, bytes);
    return result;
  }

  std::deque<IoResult> script_;
};

class ScriptedFileSystem : public FileSystem {
 public:
  explicit ScriptedFileSystem(std::vector<int> script) : script_(script.begin(), script.end()) {}

  int Open(const std::string&, const OpenOptions&, std::unique_ptr<File>* file) override {
    int error = Answer();
    if (error == 0) *file = std::make_unique<ScriptedFile>();
    return error;
  }
  int Stat(const std::string&, FileInfo*) override { return Answer(); }
  int MakeDirectory(const std::string&) override { return Answer(); }
  int List(const std::string&, std::vector<std::string>*) override { return Answer(); }
  int Rename(const std::string&, const std::string&) override { return Answer(); }
  int Unlink(const std::string&) override { return Answer(); }
  int RemoveDirectory(const std::string&) override { return Answer(); }
  int SyncDirectory(const std::string&) override { return Answer(); }

  int calls = 0;

 private:
  int Answer() {
    ++calls;
    if (script_.empty()) return 0;
    int error = script_.front();
    script_.pop_front();
    return error;
  }

  std::deque<int> script_;
};

constexpr IoResult kInterrupted{EINTR, 0};

// ---- Reading

TEST(ReadAtTest, GoesOnAfterShortReadsAndInterruptions) {
  ScriptedFile file({{0, 2}, kInterrupted, {0, 1}, kInterrupted, kInterrupted, {0, 3}});
  file.contents = "..abcdef..";
  char to[7] = {};
  absl::StatusOr<size_t> got = ReadAt(&file, "f", 2, 6, to);
  ASSERT_OK(got);
  EXPECT_EQ(*got, 6u);
  EXPECT_STREQ(to, "abcdef");
  EXPECT_EQ(file.calls, 6);
}

TEST(ReadAtTest, EndsShortAtTheEndOfTheFileOnly) {
  ScriptedFile file({{0, 2}});
  file.contents = "abcd";
  char to[8] = {};
  absl::StatusOr<size_t> got = ReadAt(&file, "f", 1, sizeof(to), to);
  ASSERT_OK(got);
  EXPECT_EQ(*got, 3u);
  EXPECT_STREQ(to, "bcd");
}

TEST(ReadAtTest, ReadErrorIsAnErrorAndNotTheEndOfTheFile) {
  ScriptedFile file({{0, 3}, {EIO, 0}});
  file.contents = "abcdef";
  char to[6];
  EXPECT_TRUE(Fails(ReadAt(&file, "dir/f", 0, 6, to), absl::StatusCode::kUnavailable,
                    {"read 3 bytes at offset 3 of dir/f", "Input/output error"}));
}

// ---- Writing

TEST(WriteAtTest, GoesOnAfterShortWritesAndInterruptions) {
  ScriptedFile file({kInterrupted, {0, 1}, {0, 2}, kInterrupted});
  ASSERT_OK(WriteAt(&file, "f", 2, "abcdef"));
  EXPECT_EQ(file.contents, "..abcdef");
  EXPECT_EQ(file.calls, 5);
}

TEST(WriteAtTest, NothingToWriteIsNoCall) {
  ScriptedFile file;
  ASSERT_OK(WriteAt(&file, "f", 0, ""));
  EXPECT_EQ(file.calls, 0);
}

// Going on would never end.
TEST(WriteAtTest, WriteOfZeroBytesWithoutAnErrorIsAFullDisk) {
  ScriptedFile file({{0, 2}, {0, 0}});
  EXPECT_TRUE(Fails(WriteAt(&file, "f", 10, "abcdef"), absl::StatusCode::kResourceExhausted,
                    {"write 4 bytes at offset 12 of f"}));
  EXPECT_EQ(file.calls, 2);
}

TEST(WriteAtTest, FailureAfterAShortWriteNamesWhatIsLeft) {
  ScriptedFile file({{0, 4}, {ENOSPC, 0}});
  EXPECT_TRUE(Fails(WriteAt(&file, "f", 0, "abcdef"), absl::StatusCode::kResourceExhausted,
                    {"write 2 bytes at offset 4 of f", "No space left on device"}));
  EXPECT_EQ(file.calls, 2);
}

TEST(WriteZerosTest, FillsTheRangeInBoundedWrites) {
  ScriptedFile file;
  const uint64_t from = kBlockBytes;
  const uint64_t to = (uint64_t{300} << 10);
  ASSERT_OK(WriteZeros(&file, "f", from, to));
  EXPECT_EQ(file.contents, std::string(from, '.') + std::string(to - from, '\0'));
  EXPECT_EQ(file.largest_write, size_t{128} << 10);
}

TEST(WriteZerosTest, EmptyRangeIsNoCall) {
  ScriptedFile file({{EIO, 0}});
  ASSERT_OK(WriteZeros(&file, "f", 4096, 4096));
  EXPECT_EQ(file.calls, 0);
}

TEST(WriteZerosTest, FailureStops) {
  ScriptedFile file({{0, size_t{128} << 10}, {EDQUOT, 0}});
  EXPECT_TRUE(Fails(WriteZeros(&file, "f", 0, uint64_t{3} << 20),
                    absl::StatusCode::kResourceExhausted, {"at offset 131072"}));
  EXPECT_EQ(file.calls, 2);
}

TEST(AllocateZerosTest, WritesTheLastBlockOnly) {
  ScriptedFile file({{EINTR, 0}, {0, 0}});
  ASSERT_OK(AllocateZeros(&file, "f", kBlockBytes, 3 * kBlockBytes));
  EXPECT_EQ(file.contents, std::string(2 * kBlockBytes, '.') + std::string(kBlockBytes, '\0'));
}

TEST(AllocateZerosTest, TellsWhatIsMissing) {
  ScriptedFile none({{EOPNOTSUPP, 0}});
  EXPECT_TRUE(absl::IsUnimplemented(AllocateZeros(&none, "f", 0, kBlockBytes)));
  ScriptedFile full({{ENOSPC, 0}});
  EXPECT_TRUE(Fails(AllocateZeros(&full, "f", 0, kBlockBytes), absl::StatusCode::kResourceExhausted,
                    {"fallocate f"}));
  EXPECT_EQ(full.calls, 1);
}

// ---- Syncing: what failed once is never asked again.

TEST(SyncFileTest, AsksForTheKindItIsTold) {
  ScriptedFile file;
  ASSERT_OK(SyncFile(&file, "f", File::SyncKind::kData));
  EXPECT_EQ(file.last_kind, File::SyncKind::kData);
  ASSERT_OK(SyncFile(&file, "f", File::SyncKind::kFull));
  EXPECT_EQ(file.last_kind, File::SyncKind::kFull);
}

TEST(SyncFileTest, FailureIsNotRetried) {
  for (int error : {EIO, EINTR, ENOSPC, EAGAIN}) {
    ScriptedFile file({{error, 0}});
    absl::Status status = SyncFile(&file, "dir/f", File::SyncKind::kData);
    EXPECT_FALSE(status.ok()) << error;
    EXPECT_EQ(file.calls, 1) << error;
    EXPECT_TRUE(Fails(status, status.code(), {"fdatasync dir/f: "}));
  }
  ScriptedFile file({{EIO, 0}});
  EXPECT_TRUE(Fails(SyncFile(&file, "f", File::SyncKind::kFull), absl::StatusCode::kUnavailable,
                    {"fsync f: "}));
}

TEST(SyncDirectoryTest, FailureIsNotRetried) {
  for (int error : {EIO, EINTR}) {
    ScriptedFileSystem fs({error});
    EXPECT_TRUE(Fails(SyncDirectory(&fs, "dir"), absl::StatusCode::kUnavailable,
                      {"fsync directory dir: "}));
    EXPECT_EQ(fs.calls, 1);
  }
}

// ---- Opening

TEST(OpenFileTest, GoesOnAfterInterruptions) {
  ScriptedFileSystem fs({EINTR, EINTR});
  absl::StatusOr<std::unique_ptr<File>> file = OpenFile(&fs, "f", OpenOptions());
  ASSERT_OK(file);
  EXPECT_NE(*file, nullptr);
  EXPECT_EQ(fs.calls, 3);
}

TEST(OpenFileTest, FailureSaysWhatWasTried) {
  ScriptedFileSystem fs({ENOENT, EEXIST});
  EXPECT_TRUE(Fails(OpenFile(&fs, "dir/f", OpenOptions()), absl::StatusCode::kNotFound,
                    {"open dir/f: No such file or directory"}));
  OpenOptions create;
  create.create = true;
  EXPECT_TRUE(Fails(OpenFile(&fs, "dir/f", create), absl::StatusCode::kAlreadyExists,
                    {"create dir/f: File exists"}));
}

// ---- Errors

TEST(ErrnoStatusTest, EachErrnoHasItsCode) {
  const std::pair<int, absl::StatusCode> kTable[] = {
      {ENOENT, absl::StatusCode::kNotFound},
      {EEXIST, absl::StatusCode::kAlreadyExists},
      {EACCES, absl::StatusCode::kPermissionDenied},
      {EPERM, absl::StatusCode::kPermissionDenied},
      {EROFS, absl::StatusCode::kPermissionDenied},
      {ENOSPC, absl::StatusCode::kResourceExhausted},
      {EDQUOT, absl::StatusCode::kResourceExhausted},
      {EFBIG, absl::StatusCode::kResourceExhausted},
      {EMFILE, absl::StatusCode::kResourceExhausted},
      {ENFILE, absl::StatusCode::kResourceExhausted},
      {ENOMEM, absl::StatusCode::kResourceExhausted},
      {EINVAL, absl::StatusCode::kInvalidArgument},
      {ENAMETOOLONG, absl::StatusCode::kInvalidArgument},
      {ENOTDIR, absl::StatusCode::kFailedPrecondition},
      {EISDIR, absl::StatusCode::kFailedPrecondition},
      {ELOOP, absl::StatusCode::kFailedPrecondition},
      {EIO, absl::StatusCode::kUnavailable},
      {EINTR, absl::StatusCode::kUnavailable},
      {EBADF, absl::StatusCode::kUnavailable},
  };
  for (const auto& [error, code] : kTable) {
    EXPECT_TRUE(Fails(ErrnoStatus(error, "open", "a/b"), code, {"open a/b: ", strerror(error)}));
  }
}

TEST(DamageStatusTest, NamesPathAndOffset) {
  EXPECT_EQ(DamageStatus("a/b", 4096, "expected 1, found 2"),
            absl::DataLossError("a/b, offset 4096: expected 1, found 2"));
}

// ---- Paths and memory

TEST(PathTest, Join) {
  EXPECT_EQ(JoinPath("a", "b"), "a/b");
  EXPECT_EQ(JoinPath("a/", "b"), "a/b");
  EXPECT_EQ(JoinPath("/", "b"), "/b");
}

TEST(PathTest, Parent) {
  EXPECT_EQ(ParentDirectory("a"), ".");
  EXPECT_EQ(ParentDirectory("a/"), ".");
  EXPECT_EQ(ParentDirectory("a/b"), "a");
  EXPECT_EQ(ParentDirectory("a/b//"), "a");
  EXPECT_EQ(ParentDirectory("a//b"), "a");
  EXPECT_EQ(ParentDirectory("/a"), "/");
  EXPECT_EQ(ParentDirectory("/"), "/");
  EXPECT_EQ(ParentDirectory("//"), "/");
  EXPECT_EQ(ParentDirectory(""), "/");
}

TEST(AlignedBufferTest, IsAlignedAndZero) {
  for (size_t size : {size_t{4096}, size_t{12288}, size_t{1} << 20}) {
    AlignedBuffer buffer(size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 4096, 0u);
    ASSERT_EQ(buffer.size(), size);
    for (size_t i = 0; i < size; i += 512) ASSERT_EQ(buffer.data()[i], 0);
    buffer.data()[size - 1] = 1;
    AlignedBuffer moved = std::move(buffer);
    EXPECT_EQ(moved.data()[size - 1], 1);
  }
  AlignedBuffer none;
  EXPECT_EQ(none.size(), 0u);
}

}  // namespace
}  // namespace seawall
