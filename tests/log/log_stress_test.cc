// SPDX-License-Identifier: Apache-2.0
// Everything at once, on a real directory.
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "tests/support/seed.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

constexpr int kWriters = 6;
constexpr int kPerWriter = 300;

// What threads of each kind do to a log.
class Stress {
 public:
  explicit Stress(Log* log) : log_(log) {}

  void Write(int writer, uint64_t seed) {
    std::mt19937_64 random(seed);
    for (int i = 0; i < kPerWriter; ++i) {
      const std::string record =
          absl::StrCat(writer, ":", i, ":", std::string(random() % 900, 'x'));
      switch (random() % 4) {
        case 0:
          EXPECT_OK(log_->AppendDurable(record));
          break;
        case 1:
          EXPECT_OK(log_->Append(record, Durability::kWritten));
          break;
        case 2:
          AppendBatchWithCallback(record);
          break;
        default:
          EXPECT_OK(log_->Append(record));
      }
    }
    --writers_left_;
  }

  // From wherever the log begins.
  void Read() {
    while (writers_left_ > 0) {
      absl::StatusOr<std::unique_ptr<Reader>> reader = log_->NewReader(log_->first_lsn());
      if (!reader.ok()) continue;  // trimmed between the two calls
      Record record;
      Lsn expected = (*reader)->next_lsn();
      while ((*reader)->Next(&record)) EXPECT_EQ(record.lsn, expected++);
      const absl::Status status = (*reader)->status();
      EXPECT_TRUE(status.ok() || absl::IsOutOfRange(status)) << status.message();
    }
  }

  void Trim() {
    while (writers_left_ > 0) {
      const Lsn durable = log_->durable_lsn();
      if (durable > 300) {
        EXPECT_OK(log_->TrimBefore(durable - 300));
      }
      const Lsn durable_first = log_->durable_lsn();  // in this order: both grow
      EXPECT_LE(durable_first, log_->written_lsn());
      std::this_thread::yield();
    }
  }

  // By one thread.
  void ChangeMetadata() {
    for (int i = 0; writers_left_ > 0; ++i) {
      metadata_ = absl::StrCat("change ", i);
      EXPECT_OK(log_->SetMetadata(metadata_));
      EXPECT_EQ(log_->metadata(), metadata_);
    }
  }

  // Once that thread has ended.
  const std::string& metadata() const { return metadata_; }
  // Once the log is closed.
  void CheckCallbacks() const { EXPECT_EQ(called_back_, wanted_callbacks_); }

 private:
  void AppendBatchWithCallback(const std::string& record) {
    absl::StatusOr<LsnRange> range = log_->AppendBatch({record, "and", record});
    EXPECT_TRUE(range.ok());
    ++wanted_callbacks_;
    EXPECT_OK(log_->NotifyDurable(range->last, [this](const absl::Status& status) {
      EXPECT_TRUE(status.ok());
      ++called_back_;
    }));
  }

  Log* const log_;
  std::string metadata_;
  std::atomic<int> writers_left_{kWriters};
  std::atomic<uint64_t> called_back_{0}, wanted_callbacks_{0};
};

// Threads of all kinds on a real directory. ThreadSanitizer looks on. SEAWALL_TEST_SEED chooses
// what each writer does; how they interleave is the machine's choice.
TEST(LogStressTest, EverythingAtOnce) {
  const uint64_t seed = TestSeed();
  const std::string directory = absl::StrCat(::testing::TempDir(), "/seawall_stress_", getpid());
  std::filesystem::remove_all(directory);
  Options options;
  options.segment_bytes = 64 << 10;
  options.buffer_bytes = 16 << 10;
  options.max_record_bytes = 8 << 10;
  options.flush_interval_micros = 500;
  absl::StatusOr<std::unique_ptr<Log>> opened = Log::Open(directory, options);
  ASSERT_OK(opened.status());
  Log* log = opened->get();
  Stress stress(log);
  std::vector<std::thread> threads;
  for (int t = 0; t < kWriters; ++t) {
    threads.emplace_back([&, t] { stress.Write(t, seed + static_cast<uint64_t>(t)); });
  }
  threads.emplace_back([&] { stress.Read(); });
  threads.emplace_back([&] { stress.Trim(); });
  threads.emplace_back([&] { stress.ChangeMetadata(); });
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK(log->WaitDurable(log->appended_lsn()));
  const Lsn last = log->appended_lsn();
  ASSERT_OK(log->Close());
  stress.CheckCallbacks();
  opened->reset();
  opened = Log::Open(directory, options);
  ASSERT_OK(opened.status());
  EXPECT_EQ((*opened)->durable_lsn(), last);
  EXPECT_EQ((*opened)->metadata(), stress.metadata());
  std::cout << last << " records\n";
  opened->reset();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace seawall
