// SPDX-License-Identifier: Apache-2.0
// write_seeds DIRECTORY: what the fuzzers begin with. Real logs at real moments: open, closed, just
// killed, after a power loss; small and rolled over, trimmed, truncated, recovered, recycled.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/fuzz/image.h"

namespace seawall {
namespace {

constexpr char kDirectory[] = "/log";

class Seeds {
 public:
  explicit Seeds(std::string directory) : directory_(std::move(directory)) {}

  bool ok() const { return ok_; }
  int count() const { return count_; }

  // The disk as a kill would leave it, and as two power losses could.
  void Add(const CrashFileSystem& disk) {
    Write(disk);
    const CrashState state = disk.Capture();
    for (uint64_t seed = 0; seed < 2; ++seed) Write(*state.PowerLoss(state.Sample(seed)));
  }

 private:
  void Write(const CrashFileSystem& disk) {
    const std::string bytes = Image::Of(disk, kDirectory).Serialize();
    std::ofstream out(directory_ + "/seed" + std::to_string(count_++), std::ios::binary);
    ok_ = out.write(bytes.data(), static_cast<std::streamsize>(bytes.size())).flush().good() && ok_;
  }

  const std::string directory_;
  int count_ = 0;
  bool ok_ = true;
};

Options SeedOptions(FileSystem* fs, uint32_t alignment) {
  Options options;
  options.file_system = fs;
  options.segment_bytes = 16 << 10;
  options.buffer_bytes = 8 << 10;
  options.max_record_bytes = 4 << 10;
  options.group_alignment_bytes = alignment;
  if (alignment == 512) options.metadata = "seed";
  return options;
}

// `records` of growing length, some in batches, each group durable but for the last.
bool Append(Log* log, int records) {
  bool ok = true;
  for (int i = 0; i < records; ++i) {
    const std::string record(static_cast<size_t>(i * 37 % 900), static_cast<char>('a' + i % 26));
    if (i % 4 == 3) {
      ok = log->AppendBatch({record, "", record}, Durability::kDurable).ok() && ok;
    } else {
      ok = log->Append(record, i % 3 == 0 ? Durability::kDurable : Durability::kWritten).ok() && ok;
    }
  }
  return ok;
}

bool WriteLife(Seeds* seeds, uint32_t alignment, int records, bool trim, bool truncate) {
  CrashFileSystem disk;
  const Options options = SeedOptions(&disk, alignment);
  for (int life = 0; life < 3; ++life) {
    auto log = Log::Open(kDirectory, options);
    if (!log.ok()) return false;
    seeds->Add(disk);
    if (!Append(log->get(), records)) return false;
    seeds->Add(disk);
    if (!(*log)->WaitDurable((*log)->appended_lsn()).ok()) return false;
    if (trim && !(*log)->TrimBefore((*log)->durable_lsn()).ok()) return false;
    if (truncate && !(*log)->TruncateAfter((*log)->durable_lsn() - 2).ok()) return false;
    seeds->Add(disk);
    if (life == 1) {  // killed, not closed
      disk.Freeze();
      std::unique_ptr<CrashFileSystem> killed = disk.Clone();
      log->reset();
      auto next = Log::Open(kDirectory, SeedOptions(killed.get(), alignment));
      if (!next.ok()) return false;
      seeds->Add(*killed);
      return (*next)->Close().ok();
    }
    if (!(*log)->Close().ok()) return false;
    seeds->Add(disk);
  }
  return true;
}

int Main(const std::string& directory) {
  Seeds seeds(directory);
  for (uint32_t alignment : {8u, 512u}) {
    for (int records : {1, 6, 40}) {
      if (!WriteLife(&seeds, alignment, records, /*trim=*/false, /*truncate=*/false)) return 1;
    }
    if (!WriteLife(&seeds, alignment, 60, /*trim=*/true, /*truncate=*/false)) return 1;
    if (!WriteLife(&seeds, alignment, 20, /*trim=*/false, /*truncate=*/true)) return 1;
  }
  std::printf("%d seeds\n", seeds.count());
  return seeds.ok() ? 0 : 1;
}

}  // namespace
}  // namespace seawall

int main(int argc, char** argv) {
  if (argc == 2) return seawall::Main(argv[1]);
  std::fprintf(stderr, "usage: write_seeds DIRECTORY\n");
  return 2;
}
