// Read-only opening beside a writer that is at work between any two of its looks.
#include <cerrno>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/file_system.h"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "tests/tool_test_util.h"

namespace seawall {
namespace {

// The operating system's, with a word to the test after each read of a file and each listing.
class LookingFileSystem : public FileSystem {
 public:
  explicit LookingFileSystem(std::function<void()> looked) : looked_(std::move(looked)) {}

  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = posix_->Open(path, options, file);
    if (error == 0) *file = std::make_unique<LookingFile>(std::move(*file), looked_);
    return error;
  }
  int Stat(const std::string& path, FileInfo* info) override { return posix_->Stat(path, info); }
  int List(const std::string& directory, std::vector<std::string>* names) override {
    const int error = posix_->List(directory, names);
    looked_();
    return error;
  }
  int MakeDirectory(const std::string&) override { return EROFS; }
  int Rename(const std::string&, const std::string&) override { return EROFS; }
  int Unlink(const std::string&) override { return EROFS; }
  int SyncDirectory(const std::string&) override { return EROFS; }

 private:
  class LookingFile : public File {
   public:
    LookingFile(std::unique_ptr<File> file, const std::function<void()>& looked)
        : file_(std::move(file)), looked_(looked) {}

    IoResult PRead(void* to, size_t bytes, uint64_t offset) override {
      const IoResult result = file_->PRead(to, bytes, offset);
      looked_();
      return result;
    }
    IoResult PWrite(const void*, size_t, uint64_t) override { return {EROFS, 0}; }
    int Sync(SyncKind) override { return EROFS; }
    int Size(uint64_t* bytes) override { return file_->Size(bytes); }
    int TryLock() override { return EROFS; }
    int Unlock() override { return EROFS; }
    int Truncate(uint64_t) override { return EROFS; }

   private:
    const std::unique_ptr<File> file_;
    const std::function<void()>& looked_;
  };

  FileSystem* const posix_ = FileSystem::Posix();
  const std::function<void()> looked_;
};

class LiveReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Options options;
    options.segment_bytes = 16384;
    options.buffer_bytes = 8192;
    options.max_record_bytes = 2048;
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
  void ReadBeside(std::function<void()> work) {
    const Lsn before = log_->durable_lsn();
    LookingFileSystem fs(std::move(work));
    auto reader = Reader::OpenReadOnly(directory_, 0, &fs);
    ASSERT_TRUE(reader.ok()) << reader.status();
    Record record;
    Lsn last = 0;
    while ((*reader)->Next(&record)) last = record.lsn;
    EXPECT_TRUE((*reader)->status().ok()) << (*reader)->status();
    EXPECT_GE(last, before);
  }

  const ScratchDirectory scratch_;
  const std::string directory_ = scratch_.path("log");
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
    ASSERT_TRUE(log_->TrimBefore(log_->durable_lsn()).ok());
  });
}

}  // namespace
}  // namespace seawall
