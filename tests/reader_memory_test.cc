// A reader's memory does not grow with the log: the kernel refuses it more.
#include <malloc.h>
#include <sys/resource.h>

#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "tests/test_util.h"

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

void WriteLog(const std::string& path) {
  Options options;
  options.segment_bytes = 4 * kMiB;
  options.buffer_bytes = kMiB;
  options.max_record_bytes = 1000;
  auto log = Log::Open(path, options);
  ASSERT_OK(log);
  const std::string payload(200, 'r');
  for (Lsn lsn = 1; lsn <= kRecords; ++lsn) ASSERT_OK((*log)->Append(payload));
  ASSERT_OK((*log)->Close());
}

TEST(ReaderMemoryTest, DoesNotGrowWithTheLog) {
  TempDir directory;
  const std::string path = directory.path() + "/log";
  ASSERT_NO_FATAL_FAILURE(WriteLog(path));
  malloc_trim(0);
  const uint64_t before = DataBytes();
  ASSERT_GT(before, 0u);
  struct rlimit unlimited;
  ASSERT_EQ(getrlimit(RLIMIT_DATA, &unlimited), 0);
  // 62 MiB of records in 15 segments: a buffer of 1 MiB or the largest group, another one while it
  // grows, and some for lists of segments.
  const struct rlimit limit = {before + 4 * kMiB, unlimited.rlim_max};
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

}  // namespace
}  // namespace seawall
