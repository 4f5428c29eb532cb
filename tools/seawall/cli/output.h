// SPDX-License-Identifier: Apache-2.0
// Standard output, and how the tool writes bytes, sizes and times.
#ifndef SEAWALL_TOOLS_SEAWALL_CLI_OUTPUT_H_
#define SEAWALL_TOOLS_SEAWALL_CLI_OUTPUT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace seawall {

// Buffered. A full disk behind a redirection must not pass for a complete dump: status() keeps the
// first failure. A pipe that nobody reads any more ends the process (SIGPIPE).
class Output {
 public:
  void Write(std::string_view text);
  void WriteLine(const std::string& line) { Write(line + "\n"); }
  bool ok() const { return error_ == 0; }
  // Writes out what is buffered.
  absl::Status Finish();

 private:
  int error_ = 0;
};

// True if standard output and standard error go to one terminal, file or pipe.
bool ErrorsGoWithOutput();

// "1 record", "2 records"
std::string FormatCount(uint64_t count, const std::string& noun);
// "12 bytes", "4.0 KiB", "1.5 GiB".
std::string FormatBytes(uint64_t bytes);
// "2026-01-31T12:00:00.123456Z"
std::string FormatMicros(int64_t unix_micros);
// "record 7", "records 7 to 9", "no records"
std::string FormatRecords(uint64_t first, uint64_t last);
// Printable ASCII, and C's escapes for the rest.
std::string EscapeBytes(std::string_view bytes);
// Lower case, two digits a byte.
std::string HexBytes(std::string_view bytes);
// Rows of offset, 16 bytes in hex, and as ASCII; each begins with `indent` and ends with a newline.
std::string HexDump(std::string_view bytes, const std::string& indent);
std::string Base64Bytes(std::string_view bytes);
// As RFC 3629 has it: no overlong forms, no surrogates.
bool IsUtf8(std::string_view bytes);

}  // namespace seawall

#endif  // SEAWALL_TOOLS_SEAWALL_CLI_OUTPUT_H_
