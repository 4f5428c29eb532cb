// SPDX-License-Identifier: Apache-2.0
// The vocabulary of the log: sequence numbers and the layers that a byte passes on its way to
// stable storage.
#ifndef SEAWALL_TYPES_H_
#define SEAWALL_TYPES_H_

#include <cstdint>
#include <string_view>

namespace seawall {

// A log sequence number. Dense: the first record of a new log is 1, the next one 2, ... A gap is
// damage. 0 is "no record".
using Lsn = uint64_t;

inline constexpr Lsn kFirstLsn = 1;
// The highest LSN that a log may be made to begin at (Log::Reset). A log takes as many again before
// opening it calls the number damage.
inline constexpr Lsn kMaxFirstLsn = Lsn{1} << 51;

// LSNs `first` .. `last`, both included.
struct LsnRange {
  Lsn first = 0;
  Lsn last = 0;

  friend bool operator==(const LsnRange& a, const LsnRange& b) {
    return a.first == b.first && a.last == b.last;
  }
};

// How far a record has come, named after the layer that holds it.
//
//                 process killed    kernel crash, power loss
//   kAppended     lost              lost
//   kWritten      survives          lost
//   kDurable      survives          survives
//
// The levels are ordered: what is durable is written, what is written is appended.
enum class Durability {
  kAppended,  // in an application buffer of this process
  kWritten,   // handed to the kernel's page cache by write(2)
  kDurable,   // on stable storage: a sync that covers it has returned success
};

// One record as a reader returns it. `payload` points into the reader; see Reader::Next().
struct Record {
  Lsn lsn = 0;
  std::string_view payload;
  // True for all but the last record of an atomic batch (Log::AppendBatch).
  bool batch_continues = false;
  // When the group that holds this record was sealed by its writer: microseconds since the Unix
  // epoch by the system clock, which may step.
  int64_t sealed_unix_micros = 0;
};

}  // namespace seawall

#endif  // SEAWALL_TYPES_H_
