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
#include "tests/seed.h"
#include "tests/test_util.h"

namespace seawall {
namespace {

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
  constexpr int kWriters = 6;
  constexpr int kPerWriter = 300;
  std::atomic<int> writers_left{kWriters};
  std::atomic<uint64_t> called_back{0}, wanted_callbacks{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kWriters; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(seed + static_cast<uint64_t>(t));
      for (int i = 0; i < kPerWriter; ++i) {
        const std::string record = absl::StrCat(t, ":", i, ":", std::string(random() % 900, 'x'));
        switch (random() % 4) {
          case 0:
            EXPECT_TRUE(log->AppendDurable(record).ok());
            break;
          case 1:
            EXPECT_TRUE(log->Append(record, Durability::kWritten).ok());
            break;
          case 2: {
            absl::StatusOr<LsnRange> range = log->AppendBatch({record, "and", record});
            EXPECT_TRUE(range.ok());
            ++wanted_callbacks;
            EXPECT_TRUE(log->NotifyDurable(range->last,
                                           [&](const absl::Status& status) {
                                             EXPECT_TRUE(status.ok());
                                             ++called_back;
                                           })
                            .ok());
            break;
          }
          default:
            EXPECT_TRUE(log->Append(record).ok());
        }
      }
      --writers_left;
    });
  }
  threads.emplace_back([&] {  // reads from wherever the log begins
    while (writers_left > 0) {
      absl::StatusOr<std::unique_ptr<Reader>> reader = log->NewReader(log->first_lsn());
      if (!reader.ok()) continue;  // trimmed between the two calls
      Record record;
      Lsn expected = (*reader)->next_lsn();
      while ((*reader)->Next(&record)) EXPECT_EQ(record.lsn, expected++);
      const absl::Status status = (*reader)->status();
      EXPECT_TRUE(status.ok() || absl::IsOutOfRange(status)) << status.message();
    }
  });
  threads.emplace_back([&] {  // trims
    while (writers_left > 0) {
      const Lsn durable = log->durable_lsn();
      if (durable > 300) {
        EXPECT_TRUE(log->TrimBefore(durable - 300).ok());
      }
      const Lsn durable_first = log->durable_lsn();  // in this order: both grow
      EXPECT_LE(durable_first, log->written_lsn());
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) thread.join();
  ASSERT_OK(log->WaitDurable(log->appended_lsn()));
  const Lsn last = log->appended_lsn();
  ASSERT_OK(log->Close());
  EXPECT_EQ(called_back, wanted_callbacks);
  opened->reset();
  opened = Log::Open(directory, options);
  ASSERT_OK(opened.status());
  EXPECT_EQ((*opened)->durable_lsn(), last);
  std::cout << last << " records\n";
  opened->reset();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace seawall
