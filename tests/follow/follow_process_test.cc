// SPDX-License-Identifier: Apache-2.0
// Following a log that another process writes (Reader::Follow): through its commits, rollovers,
// death and return, and what it gives up.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>

#include "engine/follow/watermark_file.h"
#include "engine/format/file_names.h"
#include "engine/format/format.h"
#include "engine/io/file_io.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

using Clock = std::chrono::steady_clock;

std::string Payload(const std::string& history, Lsn lsn) {
  std::string payload = history + " " + std::to_string(lsn) + " ";
  payload.resize(1000 + lsn * 37 % 500, '.');
  return payload;
}

Options SmallSegments() {
  Options options;
  options.segment_bytes = 16384;
  options.buffer_bytes = 8192;
  options.max_record_bytes = 2048;
  return options;
}

// A process that does to a log what it is told: a line for each order, and a byte when it is done.
class Writer {
 public:
  // `orders`: those that it obeys at once.
  explicit Writer(const std::string& directory, std::initializer_list<const char*> orders = {}) {
    Start(directory);
    for (const char* order : orders) Do(order);
  }
  ~Writer() {
    close(orders_);
    close(done_);
    if (child_ > 0) waitpid(child_, nullptr, 0);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void Begin(const std::string& order) {
    const std::string line = order + "\n";
    ASSERT_EQ(write(orders_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  void Await() {
    char byte = 0;
    ASSERT_EQ(read(done_, &byte, 1), 1);
    ASSERT_EQ(byte, '+');
  }
  void Do(const std::string& order) {
    Begin(order);
    Await();
  }
  void Kill() {
    ASSERT_EQ(kill(child_, SIGKILL), 0);
    ASSERT_EQ(waitpid(child_, nullptr, 0), child_);
    child_ = -1;
  }

 private:
  void Start(const std::string& directory) {
    int orders[2], done[2];
    EXPECT_EQ(pipe2(orders, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(done, O_CLOEXEC), 0);
    child_ = fork();
    if (child_ == 0) {
      close(orders[1]);
      close(done[0]);
      Obey(directory, orders[0], done[1]);
    }
    close(orders[0]);
    close(done[1]);
    orders_ = orders[1];
    done_ = done[0];
  }

  [[noreturn]] static void Obey(const std::string& directory, int orders, int done) {
    std::unique_ptr<Log> log;
    FILE* const in = fdopen(orders, "r");
    char line[100];
    while (fgets(line, sizeof(line), in) != nullptr) {
      const absl::Status status = Obey(line, directory, &log);
      if (!status.ok()) fprintf(stderr, "%s: %s\n", line, status.ToString().c_str());
      if (write(done, status.ok() ? "+" : "-", 1) != 1) break;
    }
    _exit(0);  // as killed: nothing is closed
  }

  static absl::Status Obey(const std::string& line, const std::string& directory,
                           std::unique_ptr<Log>* log) {
    std::istringstream words(line);
    std::string verb, history;
    Lsn number = 0;
    words >> verb >> number >> history;
    if (verb == "open") {
      absl::StatusOr<std::unique_ptr<Log>> opened = Log::Open(directory, SmallSegments());
      if (opened.ok()) *log = std::move(*opened);
      return opened.status();
    }
    if (verb == "close") return (*log)->Close();
    if (verb == "trim") return (*log)->TrimBefore(number);
    if (verb == "gone") {  // when the log's thread has trimmed that segment
      const std::string path = JoinPath(directory, SegmentName(number));
      while (std::filesystem::exists(path)) std::this_thread::yield();
      return absl::OkStatus();
    }
    if (verb == "truncate") return (*log)->TruncateAfter(number);
    if (verb == "reset") return (*log)->Reset(number);
    // Each with a commit of its own.
    const Durability until = verb == "write" ? Durability::kWritten : Durability::kDurable;
    for (Lsn i = 0; i < number; ++i) {
      absl::StatusOr<Lsn> lsn = (*log)->Append(Payload(history, (*log)->appended_lsn() + 1), until);
      if (!lsn.ok()) return lsn.status();
    }
    return absl::OkStatus();
  }

  pid_t child_ = -1;
  int orders_ = -1, done_ = -1;
};

class FollowProcessTest : public ::testing::Test {
 protected:
  // What waits in vain ends here. Not a Watchdog: the writers are forked, and must come from a
  // process with one thread.
  void SetUp() override { alarm(60); }
  void TearDown() override { alarm(0); }

  std::unique_ptr<Reader> Follow(Lsn from = 0, FileSystem* fs = nullptr) {
    auto reader = Reader::Follow(directory_, from, fs);
    EXPECT_OK(reader);
    return reader.ok() ? std::move(*reader) : nullptr;
  }

  static void ExpectNext(Reader* reader, Lsn lsn, const std::string& history = "a") {
    ASSERT_OK(reader->Wait());
    Record record;
    ASSERT_TRUE(reader->Next(&record)) << reader->status();
    ASSERT_EQ(record.lsn, lsn);
    ASSERT_EQ(record.payload, Payload(history, lsn));
  }
  static void ExpectNext(Reader* reader, LsnRange range, const std::string& history = "a") {
    for (Lsn lsn = range.first; lsn <= range.last; ++lsn) ExpectNext(reader, lsn, history);
  }
  static void ExpectNothing(Reader* reader, std::chrono::milliseconds time) {
    EXPECT_TRUE(Fails(reader->Wait(Clock::now() + time), absl::StatusCode::kDeadlineExceeded));
  }

  WatermarkBlock Published() const {
    const std::string path = directory_ + "/WATERMARK";
    auto file = OpenFile(FileSystem::Posix(), path, OpenOptions());
    EXPECT_OK(file);
    auto block = ReadWatermark(file->get(), path);
    EXPECT_TRUE(block.ok() && block->has_value());
    return **block;
  }

  const TempDir scratch_;
  const std::string directory_ = scratch_ / "log";
};

TEST_F(FollowProcessTest, SeesEachRecordAsItBecomesDurable) {
  Writer writer(directory_, {"open"});
  auto reader = Follow();
  // Each is appended when the one before was seen: a change that is not told ends the test.
  for (Lsn lsn = 1; lsn <= 100; ++lsn) {
    writer.Begin("append 1 a");
    ExpectNext(reader.get(), lsn);
    writer.Await();
  }
  EXPECT_GT(Published().generation, 5u);
}

// The first reader comes while the writer is at work, and does not know how far that is.
TEST_F(FollowProcessTest, ManyReadersWhileTheWriterRuns) {
  Writer writer(directory_, {"open", "append 50 a"});
  writer.Begin("append 400 a");
  std::vector<std::thread> threads;
  for (Lsn from : {1, 20, 40}) {
    threads.emplace_back([this, from] { ExpectNext(Follow(from).get(), {from, 450}); });
  }
  for (std::thread& thread : threads) thread.join();
  writer.Await();
}

TEST_F(FollowProcessTest, WhatIsOnlyWrittenIsNotSeen) {
  Writer writer(directory_, {"open", "append 1 a"});
  auto reader = Follow();
  ExpectNext(reader.get(), 1);
  writer.Do("write 2 a");
  ExpectNothing(reader.get(), std::chrono::milliseconds(300));
  // Nor by one that finds them when it comes.
  auto late = Follow();
  ExpectNext(late.get(), 1);
  ExpectNothing(late.get(), std::chrono::milliseconds(50));
  writer.Do("append 1 a");
  ExpectNext(reader.get(), {2, 4});
  ExpectNext(late.get(), {2, 4});
}

class FailingSyncs : public ForwardingFileSystem {
 public:
  FailingSyncs() : ForwardingFileSystem(FileSystem::Posix()) {}
  bool CanBeFollowed() override { return true; }
  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    const int error = ForwardingFileSystem::Open(path, options, file);
    if (error == 0) *file = std::make_unique<FailingFile>(std::move(*file), &failing_);
    return error;
  }
  void Fail() { failing_ = true; }

 private:
  class FailingFile : public ForwardingFile {
   public:
    FailingFile(std::unique_ptr<File> file, const std::atomic<bool>* failing)
        : ForwardingFile(std::move(file)), failing_(*failing) {}
    int Sync(SyncKind kind) override { return failing_ ? EIO : ForwardingFile::Sync(kind); }

   private:
    const std::atomic<bool>& failing_;
  };

  std::atomic<bool> failing_{false};
};

// The last word of a log whose sync failed: what it had written before is not durable.
TEST_F(FollowProcessTest, WhatAFailedSyncLeavesIsNotPublished) {
  FailingSyncs fs;
  Options options = SmallSegments();
  options.file_system = &fs;
  {
    auto log = Log::Open(directory_, options);
    ASSERT_OK(log);
    ASSERT_OK((*log)->AppendDurable(Payload("a", 1)));
    fs.Fail();
    EXPECT_FALSE((*log)->AppendDurable(Payload("a", 2)).ok());
    EXPECT_EQ((*log)->written_lsn(), 2u);
    EXPECT_FALSE((*log)->Close().ok());
  }
  EXPECT_EQ(Published().durable_lsn, 1u);
}

// A writer that is idle has told of its last commit, whether somebody followed or not.
TEST_F(FollowProcessTest, TheLastCommitIsSeenThoughNobodyFollowedWhenItCame) {
  Writer writer(directory_, {"open", "append 7 a"});
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 7});
}

TEST_F(FollowProcessTest, WithoutFollowersItIsPublishedTenTimesASecond) {
  auto log = Log::Open(directory_, SmallSegments());
  ASSERT_OK(log);
  const auto start = Clock::now();
  const uint64_t before = Published().sequence;
  for (int i = 0; i < 500; ++i) ASSERT_OK((*log)->AppendDurable("x"));
  const uint64_t published = Published().sequence - before;
  const auto tenths = (Clock::now() - start) / std::chrono::milliseconds(100);
  EXPECT_LE(published, static_cast<uint64_t>(tenths) + 2);
  ASSERT_OK((*log)->Close());
  EXPECT_EQ(Published().durable_lsn, 500u);
}

TEST_F(FollowProcessTest, TheWriterIsKilledAndComesBack) {
  std::unique_ptr<Reader> reader;
  Lsn last = 0;
  // Tails that are copied as a whole, and ones that take several segments.
  for (Lsn records : {1, 3, 40, 2, 25, 5}) {
    Writer writer(directory_, {"open"});
    if (reader == nullptr) reader = Follow();
    writer.Do("append " + std::to_string(records) + " a");
    writer.Do("write 1 a");  // not acknowledged; found by the next writer all the same
    if (records != 40) ExpectNext(reader.get(), {reader->next_lsn(), last + records});
    writer.Kill();
    last += records + 1;
  }
  Writer writer(directory_, {"open"});
  ExpectNext(reader.get(), {reader->next_lsn(), last});
  ExpectNothing(reader.get(), std::chrono::milliseconds(1));
}

TEST_F(FollowProcessTest, TheWriterClosesAndOpensAgain) {
  Writer writer(directory_, {"open"});
  auto reader = Follow();
  for (Lsn lsn = 1; lsn <= 10; ++lsn) {
    writer.Do("append 1 a");
    writer.Do("close");
    if (lsn % 3 == 0) ExpectNext(reader.get(), {lsn - 2, lsn});
    writer.Do("open");
  }
  ExpectNext(reader.get(), 10);
}

TEST_F(FollowProcessTest, AReaderComesBeforeTheWriter) {
  { Writer writer(directory_, {"open", "append 3 a", "close"}); }
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 3});
  ExpectNothing(reader.get(), std::chrono::milliseconds(1));
  Writer writer(directory_, {"open", "append 3 a"});
  ExpectNext(reader.get(), {4, 6});
}

TEST_F(FollowProcessTest, AReaderOvertakenByATrimIsToldTheFirstRecord) {
  Writer writer(directory_, {"open", "append 5 a"});
  auto reader = Follow();
  ExpectNext(reader.get(), 1);
  writer.Do("append 200 a");
  writer.Do("trim 190");
  writer.Do("append 50 a");  // files are written again
  absl::Status status;
  while ((status = reader->Wait()).ok()) {
    Record record;
    const Lsn lsn = reader->next_lsn();
    if (!reader->Next(&record)) continue;
    ASSERT_EQ(record.payload, Payload("a", lsn));
  }
  auto log = Reader::OpenReadOnly(directory_);
  ASSERT_OK(log);
  const std::string first = "begins at record " + std::to_string((*log)->next_lsn());
  EXPECT_TRUE(Fails(status, absl::StatusCode::kOutOfRange, {first}));
  EXPECT_EQ(reader->status(), status);
}

TEST_F(FollowProcessTest, ATruncationEndsThoseThatWereServedWhatItCuts) {
  for (const std::string cut : {"truncate 25", "truncate 3", "reset 1", "reset 31", "reset 100"}) {
    std::filesystem::remove_all(directory_);
    Writer writer(directory_, {"open", "append 30 a"});
    auto reader = Follow();
    ExpectNext(reader.get(), {1, 30});
    writer.Do(cut);
    writer.Do("append 40 b");
    EXPECT_TRUE(Fails(reader->Wait(), absl::StatusCode::kOutOfRange)) << cut;
  }
}

// Also when nobody followed, and the numbers have come back to where they were.
TEST_F(FollowProcessTest, ATruncationWhileNobodyLookedIsNoticed) {
  Writer writer(directory_, {"open", "append 30 a"});
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 30});
  for (const char* order : {"truncate 25", "append 20 b", "close", "open", "append 20 b"}) {
    writer.Do(order);
  }
  EXPECT_TRUE(Fails(reader->Wait(), absl::StatusCode::kOutOfRange, {"truncated after record 25"}));
}

// Of two truncations between two looks only the last one is named, and that alone took back nothing
// that was served.
TEST_F(FollowProcessTest, TwoTruncationsWhileNobodyLookedAreNoticed) {
  Writer writer(directory_, {"open", "append 30 a"});
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 30});
  for (const char* order : {"truncate 3", "append 30 b", "truncate 32"}) writer.Do(order);
  EXPECT_TRUE(Fails(reader->Wait(), absl::StatusCode::kOutOfRange, {"truncated more than once"}));
}

// The trim comes between what the reader waited for and its reading it.
TEST_F(FollowProcessTest, WhatWasWaitedForMayBeTrimmedBeforeItIsRead) {
  Writer writer(directory_, {"open", "append 30 a"});
  auto reader = Follow(1);
  ASSERT_OK(reader->Wait());
  writer.Do("trim 25");
  writer.Do("gone 1");
  Record record;
  EXPECT_FALSE(reader->Next(&record));
  EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kOutOfRange, {"the log begins at record"}));
}

TEST_F(FollowProcessTest, OneThatHasNotComeToTheCutGoesOnBehindIt) {
  Writer writer(directory_, {"open", "append 20 a"});
  auto reader = Follow();
  ExpectNext(reader.get(), {1, 20});
  writer.Do("append 20 a");
  writer.Do("truncate 33");
  writer.Do("append 30 b");
  ExpectNext(reader.get(), {21, 33});
  ExpectNext(reader.get(), {34, 63}, "b");
}

TEST_F(FollowProcessTest, ADeletedLogIsGone) {
  Writer writer(directory_, {"open", "append 1 a"});
  auto reader = Follow();
  ExpectNext(reader.get(), 1);
  std::thread deletes([&] {
    std::this_thread::yield();
    std::filesystem::remove_all(directory_);
  });
  EXPECT_TRUE(Fails(reader->Wait(), absl::StatusCode::kNotFound, {"is gone"}));
  deletes.join();
}

// In the same directory: another directory in its place, tests/host/directory_test.cc has.
TEST_F(FollowProcessTest, AnotherLogInItsPlaceIsNotFollowed) {
  auto reader = [&] {
    Writer writer(directory_, {"open", "append 1 a"});
    auto follower = Follow();
    ExpectNext(follower.get(), 1);
    return follower;
  }();
  for (const auto& file : std::filesystem::directory_iterator(directory_)) {
    std::filesystem::remove(file);
  }
  Writer writer(directory_, {"open", "append 2 b"});
  EXPECT_TRUE(
      Fails(reader->Wait(), absl::StatusCode::kFailedPrecondition, {"another log", "log id"}));
}

// As by somebody who takes it for rubbish: the writer goes on in a file that has no name any more.
TEST_F(FollowProcessTest, ADeletedWatermarkIsMadeAgain) {
  auto log = Log::Open(directory_, SmallSegments());
  ASSERT_OK(log);
  auto reader = Reader::Follow(directory_);
  ASSERT_OK(reader);
  Record record;
  for (Lsn lsn = 1; lsn <= 3; ++lsn) {
    std::filesystem::remove(directory_ + "/" + kWatermarkName);
    ASSERT_OK((*log)->AppendDurable(Payload("a", lsn)));
    ASSERT_OK((*reader)->Wait(Clock::now() + std::chrono::seconds(20)));
    ASSERT_TRUE((*reader)->Next(&record));
    EXPECT_EQ(record.lsn, lsn);
  }
}

TEST_F(FollowProcessTest, CancelEndsTheWait) {
  Writer writer(directory_, {"open"});
  auto reader = Follow();
  std::thread cancels([&] { reader->Cancel(); });
  EXPECT_TRUE(Fails(reader->Wait(), absl::StatusCode::kCancelled));
  EXPECT_TRUE(Fails(reader->Wait(), absl::StatusCode::kCancelled));
  cancels.join();
}

// What comes of a power loss, or of a bad disk.
TEST_F(FollowProcessTest, ADamagedWatermarkIsNone) {
  { Writer writer(directory_, {"open", "append 30 a", "close"}); }
  const std::string path = directory_ + "/WATERMARK";
  const std::string good = ReadFile(path);
  for (uint64_t bit = 0; bit < 8 * good.size(); bit += 31) {
    std::string bad = good;
    FlipBit(&bad, bit);
    WriteFile(path, bad);
    if (bit / 8 >= 8 && bit / 8 < 16) continue;  // a newer version: see format_test
    auto reader = Follow();
    ASSERT_NE(reader, nullptr) << bit;
    ExpectNext(reader.get(), {1, 30});
  }
  WriteFile(path, "");
  auto reader = Follow();
  Writer writer(directory_, {"open", "append 1 a"});
  ExpectNext(reader.get(), {1, 31});
}

// No inotify: it looks from time to time.
class WithoutWatch : public ForwardingFileSystem {
 public:
  WithoutWatch() : ForwardingFileSystem(FileSystem::Posix()) {}
};

TEST_F(FollowProcessTest, FollowsWithoutInotify) {
  Writer writer(directory_, {"open"});
  WithoutWatch fs;
  auto reader = Follow(0, &fs);
  for (Lsn lsn = 1; lsn <= 3; ++lsn) {
    writer.Begin("append 1 a");
    ExpectNext(reader.get(), lsn);
    writer.Await();
  }
  std::thread cancels([&] { reader->Cancel(); });
  EXPECT_TRUE(Fails(reader->Wait(), absl::StatusCode::kCancelled));
  cancels.join();
}

// The word of a writer that was killed, or waits for the disk, in the middle of one: what it cuts
// is still in the files, below the watermark of before.
TEST_F(FollowProcessTest, NothingIsServedWhileATruncationIsUnderWay) {
  Writer writer(directory_, {"open", "append 2 a"});
  WithoutWatch fs;  // looks every 10 ms
  auto reader = Follow(0, &fs);
  ExpectNext(reader.get(), {1, 2});
  writer.Do("append 6 a");
  writer.Do("close");
  WatermarkBlock word = Published();
  ++word.cuts;
  word.first_cut = 5;
  word.cut_generation = word.generation;
  ++word.sequence;
  std::string bytes(kWatermarkBytes, '\0');
  EncodeWatermark(word, bytes.data());
  WriteFile(directory_ + "/WATERMARK", bytes);
  ExpectNothing(reader.get(), std::chrono::milliseconds(100));
  // It never came to it: the next writer has all of them.
  writer.Do("open");
  writer.Do("append 1 a");
  ExpectNext(reader.get(), {3, 9});
}

// The word of a writer that was killed when a cut had replaced what it names, and before it said
// so: however often the reader looks meanwhile.
TEST_F(FollowProcessTest, AWordThatIsBehindTheLogIsWaitedOut) {
  auto log = Log::Open(directory_, SmallSegments());
  ASSERT_OK(log);
  const auto append = [&](Lsn last) {
    while ((*log)->appended_lsn() < last) {
      ASSERT_OK((*log)->AppendDurable(Payload("a", (*log)->appended_lsn() + 1)));
    }
  };
  append(3);
  WithoutWatch fs;  // looks every 10 ms
  auto reader = Follow(0, &fs);
  ExpectNext(reader.get(), {1, 3});
  append(60);
  ASSERT_OK((*log)->Close());
  const std::string word = ReadFile(directory_ + "/WATERMARK");
  log = Log::Open(directory_, SmallSegments());
  ASSERT_OK(log);
  ASSERT_OK((*log)->TruncateAfter(20));
  ASSERT_OK((*log)->Close());
  log = Log::Open(directory_, SmallSegments());  // removes what was cut
  ASSERT_OK(log);
  ASSERT_OK((*log)->Close());
  WriteFile(directory_ + "/WATERMARK", word);
  ExpectNothing(reader.get(), std::chrono::milliseconds(300));
  log = Log::Open(directory_, SmallSegments());
  ASSERT_OK(log);
  append(25);
  ExpectNext(reader.get(), {4, 25});
}

// WATERMARK cannot be made.
class NoWatermark : public ForwardingFileSystem {
 public:
  NoWatermark() : ForwardingFileSystem(FileSystem::Posix()) {}
  bool CanBeFollowed() override { return true; }
  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override {
    if (options.write && path.find("WATERMARK") != std::string::npos) return ENOSPC;
    return ForwardingFileSystem::Open(path, options, file);
  }
};

TEST_F(FollowProcessTest, AWatermarkThatCannotBeWrittenHarmsNoWriter) {
  NoWatermark fs;
  Options options = SmallSegments();
  options.file_system = &fs;
  auto log = Log::Open(directory_, options);
  ASSERT_OK(log);
  for (int i = 0; i < 30; ++i) ASSERT_OK((*log)->AppendDurable(Payload("a", 0)));
  EXPECT_GT((*log)->stats().watermark_failures, 0u);
  EXPECT_FALSE((*log)->stats().failed);
  ASSERT_OK((*log)->Close());
}

TEST_F(FollowProcessTest, TellsWhereItCannotBegin) {
  EXPECT_TRUE(Fails(Reader::Follow(directory_), absl::StatusCode::kNotFound));
  Writer writer(directory_, {"open", "append 100 a", "trim 90"});
  auto whole = Follow();  // until it has seen all, it may not be published yet
  ExpectNext(whole.get(), {whole->next_lsn(), 100});
  EXPECT_TRUE(Fails(Reader::Follow(directory_, 1), absl::StatusCode::kNotFound, {"to 100"}));
  EXPECT_TRUE(Fails(Reader::Follow(directory_, 102), absl::StatusCode::kOutOfRange, {"to 101"}));
  ExpectNothing(Follow(101).get(), std::chrono::milliseconds(1));
}

}  // namespace
}  // namespace seawall
