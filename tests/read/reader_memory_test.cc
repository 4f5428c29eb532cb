// SPDX-License-Identifier: Apache-2.0
// A reader's memory does not grow with the log: the kernel refuses it more.
#include <malloc.h>
#include <sys/resource.h>

#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr Lsn kRecords = 300000;

// Private, writable memory of this process: what RLIMIT_DATA limits.
uint64_t DataBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    uint64_t kib = 0;
    if (word == "VmData:" && status >> kib) return kib << 10;
  }
  return 0;
}

void WriteLog(const std::string& path, uint64_t segment_bytes) {
  Options options;
  options.segment_bytes = segment_bytes;
  options.buffer_bytes = kMiB;
  options.max_record_bytes = 1000;
  auto log = Log::Open(path, options);
  ASSERT_OK(log);
  const std::string payload(200, 'r');
  for (Lsn lsn = 1; lsn <= kRecords; ++lsn) ASSERT_OK((*log)->Append(payload));
  ASSERT_OK((*log)->Close());
}

// Reads 62 MiB of records with so much more memory than before.
void ReadAllWithin(uint64_t segment_bytes, uint64_t bytes) {
  TempDir directory;
  const std::string path = directory.path() + "/log";
  ASSERT_NO_FATAL_FAILURE(WriteLog(path, segment_bytes));
  malloc_trim(0);
  const uint64_t before = DataBytes();
  ASSERT_GT(before, 0u);
  struct rlimit unlimited;
  ASSERT_EQ(getrlimit(RLIMIT_DATA, &unlimited), 0);
  const struct rlimit limit = {before + bytes, unlimited.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &limit), 0);
  {
    auto reader = Reader::OpenReadOnly(path);
    ASSERT_OK(reader);
    Record record;
    Lsn read = 0;
    while ((*reader)->Next(&record)) ++read;
    EXPECT_OK((*reader)->status());
    EXPECT_EQ(read, kRecords);
  }
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &unlimited), 0);
}

// 15 segments: a buffer of 1 MiB or the largest group, another one while it grows, and some for
// lists of segments.
TEST(ReaderMemoryTest, DoesNotGrowWithTheLog) { ReadAllWithin(4 * kMiB, 4 * kMiB); }

// One segment, which is read ahead into memory of its own, by a thread with a stack of 8 MiB.
TEST(ReaderMemoryTest, DoesNotGrowWithTheSegment) { ReadAllWithin(64 * kMiB, 30 * kMiB); }

TEST(ReaderMemoryTest, WithoutMemoryToReadAheadItReadsAllTheSame) {
  ReadAllWithin(64 * kMiB, 4 * kMiB);
}

}  // namespace
}  // namespace seawall
