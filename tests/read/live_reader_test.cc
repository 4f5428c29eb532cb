// SPDX-License-Identifier: Apache-2.0
// Read-only opening beside a writer that is at work between any two of its looks.
#include <cerrno>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/format/file_names.h"
#include "engine/io/file_io.h"
#include "gtest/gtest.h"
#include "seawall/file_system.h"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// The operating system's, with a word to the test after each read of a file and each listing.
// Writes nothing.
class LookingFileSystem : public ForwardingFileSystem {
 public:
  explicit LookingFileSystem(std::function<void()> looked)
      : ForwardingFileSystem(FileSystem::Posix()), looked_(std::move(looked)) {}

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<LookingFile>(std::move(*file), looked_);
    return error;
  }
  int List(const std::string& directory, std::vector<std::string>* names) override {
    const int error = ForwardingFileSystem::List(directory, names);
    looked_();
    return error;
  }
  int MakeDirectory(const std::string&) override { return EROFS; }
  int Rename(const std::string&, const std::string&) override { return EROFS; }
  int Unlink(const std::string&) override { return EROFS; }
  int RemoveDirectory(const std::string&) override { return EROFS; }
  int SyncDirectory(const std::string&) override { return EROFS; }

 private:
  class LookingFile : public ForwardingFile {
   public:
    LookingFile(std::unique_ptr<File> file, const std::function<void()>& looked)
        : ForwardingFile(std::move(file)), looked_(looked) {}

    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      const IoResult result = ForwardingFile::PRead(to, bytes, offset);
      looked_();
      return result;
    }
    IoResult PWrite(const void*, size_t, uint64_t) override { return {EROFS, 0}; }
    int Sync(SyncKind) override { return EROFS; }
    int TryLock() override { return EROFS; }
    int Unlock() override { return EROFS; }
    int Truncate(uint64_t) override { return EROFS; }

   private:
    const std::function<void()>& looked_;
  };

  const std::function<void()> looked_;
};

// Calls `opened` once, when `path` has been opened.
class OpenHook : public ForwardingFileSystem {
 public:
  OpenHook() : ForwardingFileSystem(FileSystem::Posix()) {}

  void Arm(std::string path, std::function<void()> opened) {
    const std::lock_guard<std::mutex> lock(mutex_);
    path_ = std::move(path);
    opened_ = std::move(opened);
  }

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    std::function<void()> opened;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (error == 0 && path == path_) opened = std::exchange(opened_, nullptr);
    }
    if (opened) opened();
    return error;
  }

 private:
  std::mutex mutex_;
  std::string path_;              // guarded by mutex_
  std::function<void()> opened_;  // guarded by mutex_
};

class LiveReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.segment_bytes = 16384;
    options.buffer_bytes = 8192;
    options.max_record_bytes = 2048;
    options.max_recycled_segments = 6;
    options.file_system = &names_;
    auto log = Log::Open(directory_, options);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = std::move(*log);
    AppendDurable(3);
  }

  void AppendDurable(int records, size_t bytes = 8) {
    const std::string record(bytes, 'x');
    for (int i = 0; i < records; ++i) ASSERT_TRUE(log_->AppendDurable(record).ok());
  }

  // More than fits one.
  void AppendSegment() { AppendDurable(10, 2000); }

  // What a reader finds beside a writer that does `work` after each of its looks.
  void ReadBeside(const std::function<void()>& work) {
    const Lsn before = log_->durable_lsn();
    // A plan looks at many segments in several threads.
    std::mutex one_at_a_time;
    LookingFileSystem fs([&] {
      const std::lock_guard<std::mutex> lock(one_at_a_time);
      work();
    });
    auto reader = Reader::OpenReadOnly(directory_, 0, &fs);
    ASSERT_TRUE(reader.ok()) << reader.status();
    Record record;
    Lsn last = 0;
    while ((*reader)->Next(&record)) last = record.lsn;
    EXPECT_TRUE((*reader)->status().ok()) << (*reader)->status();
    EXPECT_GE(last, before);
  }

  std::string Path(uint64_t generation) const {
    return JoinPath(directory_, SegmentName(generation));
  }

  // Trims the first segment, and waits until its file has another name.
  void TrimFirst(uint64_t generation) {
    auto reader = log_->NewReader(log_->first_lsn());
    ASSERT_TRUE(reader.ok()) << reader.status();
    for (const Lsn first = log_->first_lsn(); log_->first_lsn() == first;) {
      Record record;
      ASSERT_TRUE((*reader)->Next(&record));
      ASSERT_TRUE(log_->TrimBefore(record.lsn).ok());
    }
    names_.AwaitGone(Path(generation));
  }

  // What is left of `reader` is in order, and it ends because the writer went on.
  static void ExpectOvertaken(Reader* reader) {
    Record record;
    for (Lsn next = reader->next_lsn(); reader->Next(&record); ++next) ASSERT_EQ(record.lsn, next);
    EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kOutOfRange, {"open the reader again"}));
  }

  const TempDir scratch_;
  const std::string directory_ = scratch_ / "log";
  NameWatch names_{FileSystem::Posix()};
  std::unique_ptr<Log> log_;
};

TEST_F(LiveReaderTest, RecordsAppendedBetweenLooksAreNoDamage) {
  // The second group's watermark covers the first one.
  ReadBeside([this] { AppendDurable(2); });
}

TEST_F(LiveReaderTest, RolloversBetweenLooksAreNoDamage) {
  // Only at first: a plan that is always stale would never be done.
  int rollovers = 20;
  ReadBeside([this, &rollovers] {
    if (--rollovers >= 0) AppendSegment();
    AppendDurable(2);
  });
}

TEST_F(LiveReaderTest, FilesTrimmedBetweenLooksAreNotMissing) {
  for (int i = 0; i < 5; ++i) AppendSegment();
  int trims = 20;
  ReadBeside([this, &trims] {
    if (--trims < 0) return;
    AppendSegment();
    const uint64_t first = log_->retention_report().segments.front().generation;
    ASSERT_TRUE(log_->TrimBefore(log_->durable_lsn()).ok());
    // All of it between these two looks: a file that goes when the last look was made overtakes
    // the reader.
    names_.AwaitGone(Path(first));
  });
}

TEST_F(LiveReaderTest, AReaderWhoseNextSegmentIsTrimmedIsOvertaken) {
  for (int i = 0; i < 5; ++i) AppendSegment();
  auto reader = Reader::OpenReadOnly(directory_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  Record record;
  ASSERT_TRUE((*reader)->Next(&record));
  TrimFirst(1);
  TrimFirst(2);
  ExpectOvertaken(reader->get());
  EXPECT_GT((*reader)->next_lsn(), 2u);
}

TEST_F(LiveReaderTest, AReaderWhoseSegmentIsWrittenAgainIsOvertaken) {
  for (int i = 0; i < 5; ++i) AppendSegment();
  OpenHook fs;
  auto reader = Reader::OpenReadOnly(directory_, 0, &fs);
  ASSERT_TRUE(reader.ok()) << reader.status();
  fs.Arm(Path(1), [this] {
    TrimFirst(1);
    // More than there are spares: one of these is in the file that the reader has just opened.
    for (int i = 0; i < 8; ++i) AppendSegment();
  });
  ExpectOvertaken(reader->get());
}

TEST_F(LiveReaderTest, AReaderWhoseNextSegmentIsCutOffIsOvertaken) {
  for (int i = 0; i < 5; ++i) AppendSegment();
  auto reader = Reader::OpenReadOnly(directory_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  Record record;
  ASSERT_TRUE((*reader)->Next(&record));
  ASSERT_TRUE(log_->TruncateAfter(2).ok());
  names_.AwaitGone(Path(2));
  ExpectOvertaken(reader->get());
}

}  // namespace
}  // namespace seawall
