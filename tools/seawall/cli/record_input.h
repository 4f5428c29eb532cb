// SPDX-License-Identifier: Apache-2.0
// Cuts a stream of bytes into records.
#ifndef SEAWALL_TOOLS_SEAWALL_CLI_RECORD_INPUT_H_
#define SEAWALL_TOOLS_SEAWALL_CLI_RECORD_INPUT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "tools/seawall/cli/framing.h"
#include "tools/seawall/cli/interruption.h"

namespace seawall {

// Memory: one read of 1 MiB and one record.
class RecordInput {
 public:
  // `fd` is not owned; `name` is for messages.
  RecordInput(int fd, std::string name, Framing framing, uint64_t max_record_bytes,
              const Interruption* interruption);

  // The next record, valid until the next call; false at the end, after an error (see status()),
  // and after a signal (see interrupted()).
  bool Next(std::string_view* record);
  // True if the next call may wait for input: all that was read has been handed out.
  bool Drained() const;
  absl::Status status() const { return status_; }
  // True if a signal came before the end of the input did.
  bool interrupted() const { return interrupted_; }
  // Records handed out so far.
  uint64_t records() const { return records_; }

 private:
  // Finds a whole record in the buffer.
  bool Cut(std::string_view* record);
  bool CutLine(std::string_view rest, std::string_view* record);
  bool CutPrefixed(std::string_view rest, std::string_view* record);
  // The last line may have no newline; a length must have its bytes.
  bool CutLast(std::string_view* record);
  void Read();
  bool Stop(absl::Status status);
  absl::Status TooLong(uint64_t bytes, const char* at_least) const;

  const int fd_;
  const std::string name_;
  const Framing framing_;
  const uint64_t max_record_bytes_;
  const Interruption* const interruption_;
  std::string buffer_;
  size_t at_ = 0;        // of the next record in buffer_
  size_t searched_ = 0;  // no newline in [at_, searched_)
  bool at_end_ = false;
  bool interrupted_ = false;
  uint64_t records_ = 0;
  absl::Status status_;
};

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_CLI_RECORD_INPUT_H_
