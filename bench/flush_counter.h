// Counts what this process sends to stable storage, whichever library asks for it.
//
// flush_counter.cc defines fsync, fdatasync, open, pwrite and their kin; a program's definitions
// win over those of the shared libraries that it is linked with. So linking this file into a
// program is all that it takes. A flush is: fsync, fdatasync, msync(MS_SYNC), or a write that is
// durable when it returns (O_SYNC, O_DSYNC, RWF_DSYNC), also through Linux AIO; each counts when it
// succeeded. Flushes that are asked for by io_uring are not seen.
#ifndef SEAWALL_BENCH_FLUSH_COUNTER_H_
#define SEAWALL_BENCH_FLUSH_COUNTER_H_

#include <cstdint>
#include <optional>
#include <string>

namespace seawall::bench {

// Since the program started.
uint64_t FlushCount();

// The flushes that the block device below `directory` has completed, for anybody, as the kernel
// counts them; nothing where the kernel does not, or where the device needs none.
class DeviceFlushes {
 public:
  // Tries it with a file in `directory`.
  explicit DeviceFlushes(const std::string& directory);

  std::optional<uint64_t> Count() const;

 private:
  std::string stat_path_;
};

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_FLUSH_COUNTER_H_
