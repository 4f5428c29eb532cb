// Reading records in order.
#ifndef SEAWALL_READER_H_
#define SEAWALL_READER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/file_system.h"
#include "seawall/types.h"

namespace seawall {

// What a reader of an open log may see.
enum class ReadLimit {
  kDurable,  // records that no crash can take back
  kWritten,  // also records that a power loss may still take back
};

// Reads records in LSN order and checks every checksum. Made by Log::NewReader, or by
// Reader::OpenReadOnly for a log that this process does not write.
//
//   while (reader->Next(&record)) Use(record);
//   if (!reader->status().ok()) ...  // damage or a failed read: never taken for the end
//
// A reader of an open log goes on when it reached the end and records were added: Next() returns
// true again. It follows rollovers. It holds the segment file that it is in, so that trimming
// cannot pull it away; a reader overtaken by a trim or cut off by a truncation gets OutOfRange
// when it goes on to a segment that is gone.
//
// Memory: one read buffer of 1 MiB, or of the largest group of the log if that is more (a group has
// at most Options::buffer_bytes of its writer).
// Thread-compatible: one thread at a time uses a reader; different readers are independent.
class Reader {
 public:
  virtual ~Reader() = default;

  // Moves to the next record. False at the end, and after an error: see status(). `*record` is
  // valid until the next call or the reader's destruction.
  virtual bool Next(Record* record) = 0;

  // OK at the end of what may be read; otherwise the error that Next() met, for good.
  virtual absl::Status status() const = 0;

  // The LSN that Next() would return.
  virtual Lsn next_lsn() const = 0;

  // Opens the log in `directory` for reading only: no lock is taken, nothing is written (a
  // read-only mount will do), and a live writer is not disturbed. The reader ends where the log
  // ended when it was opened; a torn tail ends it too, damage is an error as in Log::Open, or when
  // Next() comes to it. Begins at `from`, or at the first retained record if from is 0. `from`
  // below the first record: NotFound; more than one above the last: OutOfRange; both name the
  // range.
  // `file_system`: not owned; nullptr is the operating system's.
  static absl::StatusOr<std::unique_ptr<Reader>> OpenReadOnly(const std::string& directory,
                                                              Lsn from = 0,
                                                              FileSystem* file_system = nullptr);
};

}  // namespace seawall

#endif  // SEAWALL_READER_H_
