// SPDX-License-Identifier: Apache-2.0
// Reads a file ahead of the thread that goes through it. To copy bytes out of the page cache takes
// about as long as to check them: a second thread does the one while the first does the other; and
// where a piece is not there in time, the first reads the next one itself instead of waiting.
#ifndef SEAWALL_ENGINE_IO_FILE_PREFETCHER_H_
#define SEAWALL_ENGINE_IO_FILE_PREFETCHER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "engine/base/mutex.h"
#include "seawall/file_system.h"

namespace seawall {

// Thread-compatible. It has a thread of its own.
class FilePrefetcher {
 public:
  static constexpr uint64_t kPieceBytes = uint64_t{1} << 20;  // of one read
  static constexpr uint64_t kRingBytes = 8 * kPieceBytes;
  // What Get() makes contiguous at most.
  static constexpr uint64_t kMostBytes = kRingBytes - kPieceBytes;
  static constexpr size_t kMemoryBytes = kRingBytes + kMostBytes;

  // Of [from, limit). `file` and `memory`, kMemoryBytes of it, outlive this. Without a thread (if
  // the system has none to give) it works, only slower.
  FilePrefetcher(File* file, std::string path, uint64_t from, uint64_t limit, char* memory);
  ~FilePrefetcher();

  // [offset, offset + bytes) or more, valid until the next call; what lies before is given up.
  // Empty if that cannot be had: too much, outside [from, limit), given up already, behind the end
  // of the file, or in a piece whose read failed. Who reads it without this learns why.
  std::string_view Get(uint64_t offset, uint64_t bytes);

 private:
  static constexpr uint64_t kSlots = kRingBytes / kPieceBytes;

  uint64_t BeginOf(uint64_t piece) const { return from_ + piece * kPieceBytes; }
  uint64_t PieceOf(uint64_t offset) const { return (offset - from_) / kPieceBytes; }
  bool Arrived(uint64_t piece) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether the next piece may be read now: it exists, and nobody needs what is in its slot.
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ReadNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Waits for the pieces of [offset, until), or reads them. False if one cannot be had.
  bool Await(uint64_t offset, uint64_t until) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run();

  File* const file_;
  const std::string path_;
  const uint64_t from_;
  const uint64_t limit_;
  // Piece n goes to slot n % kSlots of the ring. Who reads it is alone there until it has arrived;
  // from then on the slot is only read, until Get() gave up all of it. Where what Get() returns
  // goes across the ring's end, it goes on behind that, in a copy of the beginning.
  char* const ring_;

  Mutex mutex_;
  CondVar room_;                               // the thread waits for room
  CondVar arrived_;                            // Get() waits for a piece that the thread is reading
  uint64_t given_up_ ABSL_GUARDED_BY(mutex_);  // all before it
  uint64_t next_ ABSL_GUARDED_BY(mutex_) = 0;  // the first piece that nobody has begun to read
  uint64_t end_ ABSL_GUARDED_BY(mutex_);       // nothing from there on can be had
  uint64_t in_slot_[kSlots] ABSL_GUARDED_BY(mutex_) = {};  // the piece that arrived there, plus 1
  bool sleeps_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_IO_FILE_PREFETCHER_H_
