// SPDX-License-Identifier: Apache-2.0
// Reading records in order.
#ifndef SEAWALL_READER_H_
#define SEAWALL_READER_H_

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/file_system.h"
#include "seawall/identity.h"
#include "seawall/types.h"

namespace seawall {

// What a reader of an open log may see.
enum class ReadLimit {
  kDurable,  // records that no crash can take back
  kWritten,  // also records that a power loss may still take back
};

// Reads records in LSN order and checks every checksum. Made by Log::NewReader, or, for a log that
// this process does not write, by Reader::OpenReadOnly, or Reader::Follow to go on with it.
//
//   while (reader->Next(&record)) Use(record);
//   if (!reader->status().ok()) ...  // damage or a failed read: never taken for the end
//
// A reader of an open log goes on when it reached the end and records were added: Next() returns
// true again; Wait() waits for that. It follows rollovers. It holds the segment file that it is in,
// so that trimming cannot pull it away; a reader overtaken by a trim or cut off by a truncation
// gets OutOfRange when it goes on to a segment that is gone.
//
// Memory: one read buffer of 1 MiB, or of the largest group of the log if that is more (a group has
// at most Options::buffer_bytes of its writer). A reader with 16 MiB or more of a segment before it
// takes a buffer of 16 MiB, which it keeps, and a thread that reads ahead while it is in that
// segment; where there is no such memory, or no thread, it reads without.
//
// Thread-compatible: one thread at a time uses a reader, but any may call Cancel() meanwhile;
// different readers are independent.
class Reader {
 public:
  virtual ~Reader() = default;

  // Moves to the next record. False at the end, and after an error: see status(). `*record` is
  // valid until the next call or the reader's destruction.
  virtual bool Next(Record* record) = 0;

  // OK at the end of what may be read; otherwise the error that Next() or Wait() met, for good. But
  // for ResourceExhausted (no file descriptor just then, no memory of the kernel's): the next
  // Next() tries again, and returns the record that was due; so does Wait(), once one has returned
  // it.
  virtual absl::Status status() const = 0;

  // The LSN that Next() would return.
  virtual Lsn next_lsn() const = 0;

  // Which log it reads (identity.h). Valid as long as the reader.
  virtual const LogId& log_id() const = 0;

  // The log's metadata (Log::SetMetadata) when the reader was made. Valid as long as the reader.
  virtual const std::string& metadata() const = 0;

  // Follows the log: waits until Next() has the next record. One that can be read already is OK at
  // once, whatever the deadline. Waiting is passive: it causes no write and no sync, so it waits
  // for as long as nobody else makes records durable (or written: the reader's ReadLimit).
  //
  //   while ((status = reader->Wait()).ok()) {
  //     while (reader->Next(&record)) Use(record);
  //   }
  //
  //   DeadlineExceeded    nothing came before `deadline`; time_point::max() is none
  //   Cancelled           by Cancel()
  //   FailedPrecondition  the log was closed, and all that it held was read; or a reader that
  //                       OpenReadOnly() made, which does not follow
  //   Aborted             the log failed (Log, "It latches"): what was not readable then, never is
  //   any code            as status(): the reader's own end, as OutOfRange when it was overtaken by
  //                       a trim (which names the first record) or cut off by a truncation
  // But for the last, status() stays OK, and the reader may be used on; after ResourceExhausted,
  // too.
  virtual absl::Status Wait(std::chrono::steady_clock::time_point deadline =
                                std::chrono::steady_clock::time_point::max()) = 0;

  // Ends the Wait() under way and all later ones, as long as the reader lives. Next() goes on.
  // From any thread.
  virtual void Cancel() = 0;

  // Opens the log in `directory` for reading only: no lock is taken, nothing is written (a
  // read-only mount will do), and a live writer is not disturbed. The reader ends where the log
  // ended when it was opened; a torn tail ends it too, damage is an error as in Log::Open, or when
  // Next() comes to it. Begins at `from`, or at the first retained record if from is 0. `from`
  // below the first record: NotFound; more than one above the last: OutOfRange; both name the
  // range.
  // `file_system`: not owned; nullptr is the operating system's.
  // `expected_id`: FailedPrecondition, which names both, if it is not this log.
  static absl::StatusOr<std::unique_ptr<Reader>> OpenReadOnly(
      const std::string& directory, Lsn from = 0, FileSystem* file_system = nullptr,
      const std::optional<LogId>& expected_id = std::nullopt);

  // Opens the log in `directory` as OpenReadOnly does, but to follow it, with Wait(), while another
  // process writes it. Only what is durable is seen: up to the watermark that the writer publishes
  // in the file WATERMARK, which a reader learns of by inotify(7); the log is not read again. It
  // sees the last commit at once, or up to 0.1 s later if it came as the first reader to follow.
  // Where inotify does not work, it looks every 10 ms, and every 250 ms where it does but tells
  // nothing.
  //
  // The writer may come later, go, crash and come back: the reader goes on when the next one has
  // recovered the log (records that a killed writer acknowledged in its last 0.1 s may be seen only
  // then). What ends it, in Wait() and Next():
  //   OutOfRange          overtaken by a trim: names the first record; or a truncation or Reset
  //                       gave up what it had come to. Several of these, while it did not look,
  //                       end it even if they did not go that far; and so does that somebody
  //                       deleted WATERMARK before a writer came, unless the log's segments show
  //                       that all it had come to is there (those of a tail below 1 MiB do not).
  //   NotFound            the log was deleted
  //   FailedPrecondition  another log, or another directory, stands in its place. A directory that
  //                       was only moved is followed on.
  // Any number of readers, in any processes of this machine. Needs read permission only.
  static absl::StatusOr<std::unique_ptr<Reader>> Follow(
      const std::string& directory, Lsn from = 0, FileSystem* file_system = nullptr,
      const std::optional<LogId>& expected_id = std::nullopt);
};

}  // namespace seawall

#endif  // SEAWALL_READER_H_
