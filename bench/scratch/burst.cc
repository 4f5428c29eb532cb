#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>
#include <string>
#include "seawall/log.h"
using namespace seawall;
int main(int argc, char** argv) {
  std::string dir = argv[1]; size_t bytes = atoi(argv[2]); int threads = atoi(argv[3]); uint64_t total = uint64_t(atoi(argv[4])) << 20;
  Options o; if (argc > 5) o.buffer_bytes = atoi(argv[5]) << 10; if (argc > 6) o.buffer_count = atoi(argv[6]); if (argc > 7) o.direct_io = atoi(argv[7]);
  if (o.buffer_bytes < (2u<<20) + 65536) o.max_record_bytes = o.buffer_bytes / 2;
  std::filesystem::remove_all(dir);
  auto log = Log::Open(dir, o); if (!log.ok()) { puts(std::string(log.status().message()).c_str()); return 1; }
  std::string rec(bytes, 'x');
  uint64_t n = total / bytes / threads;
  auto t0 = std::chrono::steady_clock::now();
  std::vector<std::thread> ts;
  for (int t = 0; t < threads; ++t) ts.emplace_back([&]{ for (uint64_t i = 0; i < n; ++i) if (!(*log)->Append(rec).ok()) abort(); });
  for (auto& t : ts) t.join();
  auto t1 = std::chrono::steady_clock::now();
  if (!(*log)->WaitDurable((*log)->appended_lsn()).ok()) abort();
  auto t2 = std::chrono::steady_clock::now();
  Stats s = (*log)->stats();
  double d1 = std::chrono::duration<double>(t1 - t0).count(), d2 = std::chrono::duration<double>(t2 - t0).count();
  printf("%6zu B x%d: append %.3f s, durable %.3f s: %.2f M/s (%.0f MB/s)  full_waits %lu space_waits %lu rollover_waits %lu groups %lu syncs %lu\n", bytes, threads, d1, d2, n*threads/d2/1e6, n*threads*bytes/d2/1e6,
   s.buffer_full_waits, s.space_waits, s.rollover_waits, s.groups_written, s.syncs);
  (void)(*log)->Close(); log->reset(); std::filesystem::remove_all(dir);
}
