// SPDX-License-Identifier: Apache-2.0
// Readers beside a truncation that stands still in its middle: segments and watermarks are those of
// the new history, and CONTROL does not say so yet.
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/support/forwarding_file_system.h"
#include "tests/support/test_util.h"
#include "tests/support/watchdog.h"

namespace seawall {
namespace {

class TruncationReaderTest : public ::testing::TestWithParam<std::tuple<ReadLimit, Lsn>> {
 protected:
  static constexpr Lsn kLast = 20;
  static constexpr size_t kRecordBytes = 3000;  // four to a segment

  void SetUp() override {
    Options options;
    options.file_system = &fs_;
    options.segment_bytes = 16384;
    options.buffer_bytes = 8192;
    options.max_record_bytes = kRecordBytes;
    auto log = Log::Open("/log", options);
    ASSERT_OK(log);
    log_ = std::move(*log);
    watchdog_.Begin("a truncation");
    for (Lsn lsn = 1; lsn <= kLast; ++lsn) Append("old", Durability::kDurable);
  }

  void Append(const std::string& history, Durability until) {
    std::string record = history + " " + std::to_string(log_->appended_lsn() + 1) + " ";
    record.resize(kRecordBytes, '.');
    ASSERT_OK(log_->Append(record, until));
  }

  std::unique_ptr<Reader> ReaderFrom(Lsn from) {
    auto reader = log_->NewReader(from, std::get<ReadLimit>(GetParam()));
    EXPECT_OK(reader);
    return reader.ok() ? std::move(*reader) : nullptr;
  }

  // Reads `records` or up to the end. All of them must be of `history`, each in its place.
  static void Read(Reader* reader, const std::string& history, Lsn records = ~Lsn{0}) {
    Record record;
    for (Lsn i = 0; i < records && reader->Next(&record); ++i) {
      const std::string begin = history + " " + std::to_string(record.lsn) + " ";
      ASSERT_EQ(record.payload.substr(0, begin.size()), begin);
    }
  }

  // Calls `middle` while CONTROL's word of the truncation is being synced.
  void Truncate(const std::function<void()>& middle) {
    std::thread truncation = fs_.RunIntoSync([&] { EXPECT_OK(log_->TruncateAfter(cut_)); });
    middle();
    fs_.LetGo();
    truncation.join();
  }

  // In each place of a segment.
  const Lsn cut_ = std::get<Lsn>(GetParam());
  Watchdog watchdog_;
  CrashFileSystem disk_;
  SyncGate fs_{&disk_, "CONTROL"};
  std::unique_ptr<Log> log_;
};

// Wherever a reader stands that was served nothing beyond the cut: it ends at the cut, and goes on
// with what is appended then.
TEST_P(TruncationReaderTest, AReaderThatHasNotReachedTheCutGoesOnBehindIt) {
  // One that reads for the first time, one that is inside an earlier segment, one whose segment
  // is finished.
  std::vector<std::unique_ptr<Reader>> readers;
  for (Lsn read : {0, 3, 4}) {
    readers.push_back(ReaderFrom(1));
    Read(readers.back().get(), "old", read);
  }
  Truncate([&] {
    readers.push_back(ReaderFrom(1));
    for (auto& reader : readers) {
      Read(reader.get(), "old");
      EXPECT_OK(reader->status());
      EXPECT_LE(reader->next_lsn(), cut_ + 1);
    }
  });
  for (auto& reader : readers) {
    Read(reader.get(), "old");
    EXPECT_OK(reader->status());
    EXPECT_EQ(reader->next_lsn(), cut_ + 1);
  }
  for (int i = 0; i < 8; ++i) Append("new", Durability::kDurable);
  for (auto& reader : readers) {
    Read(reader.get(), "new");
    EXPECT_OK(reader->status());
    EXPECT_EQ(reader->next_lsn(), cut_ + 9);
  }
}

// A reader that was served records that were cut off is told so, and gets none of the others that
// have their numbers now.
TEST_P(TruncationReaderTest, AReaderBeyondTheCutIsToldSo) {
  std::vector<std::unique_ptr<Reader>> readers;
  for (int i = 0; i < 3; ++i) {
    readers.push_back(ReaderFrom(1));
    Read(readers.back().get(), "old");
    ASSERT_EQ(readers.back()->next_lsn(), kLast + 1);
  }
  // They look in the middle, afterwards, and when there is something new.
  const auto expect_told = [](Reader* reader) {
    Record record;
    EXPECT_FALSE(reader->Next(&record));
    EXPECT_TRUE(Fails(reader->status(), absl::StatusCode::kOutOfRange, {"truncated after"}));
  };
  Truncate([&] { expect_told(readers[0].get()); });
  expect_told(readers[1].get());
  for (int i = 0; i < 8; ++i) Append("new", Durability::kDurable);
  expect_told(readers[2].get());
}

// Records that are about to go may be asked for, too.
TEST_P(TruncationReaderTest, RecordsBeyondTheCutAreNotFoundInItsMiddle) {
  std::unique_ptr<Reader> reader;
  Truncate([&] {
    for (Lsn lsn = cut_ + 1; lsn <= kLast; ++lsn) {
      EXPECT_TRUE(Fails(log_->Read(lsn), absl::StatusCode::kOutOfRange));
    }
    for (Lsn lsn = 1; lsn <= cut_; ++lsn) {
      auto record = log_->Read(lsn);
      // A copy in the new segment can be read when the truncation is over.
      const std::string begin = "old " + std::to_string(lsn) + " ";
      EXPECT_TRUE(record.ok() ? record->substr(0, begin.size()) == begin
                              : absl::IsOutOfRange(record.status()))
          << record.status();
    }
    reader = ReaderFrom(cut_ + 1);
    Record record;
    EXPECT_FALSE(reader->Next(&record));
    EXPECT_OK(reader->status());
  });
  Append("new", Durability::kDurable);
  Read(reader.get(), "new");
  EXPECT_EQ(reader->next_lsn(), cut_ + 2);
}

INSTANTIATE_TEST_SUITE_P(
    All, TruncationReaderTest,
    ::testing::Combine(::testing::Values(ReadLimit::kDurable, ReadLimit::kWritten),
                       ::testing::Range(Lsn{14}, Lsn{20})),
    [](const auto& test) {
      const bool durable = std::get<ReadLimit>(test.param) == ReadLimit::kDurable;
      return (durable ? "Durable" : "Written") + std::to_string(std::get<Lsn>(test.param));
    });

}  // namespace
}  // namespace seawall
