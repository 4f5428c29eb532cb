// SPDX-License-Identifier: Apache-2.0
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

namespace seawall::bench {

// Since the program started.
uint64_t FlushCount();

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_FLUSH_COUNTER_H_
