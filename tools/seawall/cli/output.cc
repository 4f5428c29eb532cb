// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/cli/output.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "engine/base/utf8.h"

namespace seawall {
namespace {

absl::string_view View(std::string_view bytes) {
  return absl::string_view(bytes.data(), bytes.size());
}

}  // namespace

void Output::Write(std::string_view text) {
  if (error_ != 0) return;
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) {
    error_ = errno == 0 ? EIO : errno;
  }
}

absl::Status Output::Finish() {
  errno = 0;
  if (std::fflush(stdout) != 0 && error_ == 0) error_ = errno == 0 ? EIO : errno;
  if (error_ == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("write to standard output: ", std::generic_category().message(error_),
                   "; what was written so far is incomplete"));
}

bool ErrorsGoWithOutput() {
  struct stat out, error;
  return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &error) == 0 &&
         out.st_dev == error.st_dev && out.st_ino == error.st_ino;
}

std::string FormatCount(uint64_t count, const std::string& noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}

std::string FormatBytes(uint64_t bytes) {
  if (bytes < 1024) return FormatCount(bytes, "byte");
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string FormatMicros(int64_t unix_micros) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::FromUnixMicros(unix_micros),
                          absl::UTCTimeZone());
}

std::string FormatRecords(uint64_t first, uint64_t last) {
  if (last < first) return "no records";
  if (last == first) return absl::StrCat("record ", first);
  return absl::StrCat("records ", first, " to ", last);
}

std::string EscapeBytes(std::string_view bytes) { return absl::CHexEscape(View(bytes)); }

std::string HexBytes(std::string_view bytes) { return absl::BytesToHexString(View(bytes)); }

std::string HexDump(std::string_view bytes, const std::string& indent) {
  constexpr size_t kRowBytes = 16;
  std::string text;
  for (size_t at = 0; at < bytes.size(); at += kRowBytes) {
    const std::string_view row = bytes.substr(at, kRowBytes);
    std::string hex, ascii;
    for (char c : row) {
      const auto byte = static_cast<unsigned char>(c);
      absl::StrAppendFormat(&hex, "%02x ", byte);
      ascii.push_back(byte >= 0x20 && byte < 0x7f ? c : '.');
    }
    absl::StrAppendFormat(&text, "%s%08x  %-48s |%s|\n", indent, at, hex, ascii);
  }
  return text;
}

std::string Base64Bytes(std::string_view bytes) { return absl::Base64Escape(View(bytes)); }

bool IsUtf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t size = Utf8CharacterBytes(bytes);
    if (size == 0) return false;
    bytes.remove_prefix(size);
  }
  return true;
}

}  // namespace seawall
