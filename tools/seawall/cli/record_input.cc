// SPDX-License-Identifier: Apache-2.0
#include "tools/seawall/cli/record_input.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/little_endian.h"
#include "engine/io/file_io.h"

namespace seawall {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;
constexpr size_t kPrefixBytes = 4;

}  // namespace

RecordInput::RecordInput(int fd, std::string name, Framing framing, uint64_t max_record_bytes,
                         const Interruption* interruption)
    : fd_(fd),
      name_(std::move(name)),
      framing_(framing),
      max_record_bytes_(max_record_bytes),
      interruption_(interruption) {}

bool RecordInput::Next(std::string_view* record) {
  while (status_.ok() && !interrupted_) {
    if (interruption_->signal() != 0) {
      interrupted_ = true;
      return false;
    }
    if (Cut(record)) {
      ++records_;
      return true;
    }
    if (!status_.ok()) return false;
    if (at_end_) return CutLast(record);
    Read();
  }
  return false;
}

bool RecordInput::Drained() const {
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  if (framing_ == Framing::kLines) return rest.find('\n') == std::string_view::npos;
  return rest.size() < kPrefixBytes || rest.size() - kPrefixBytes < GetU32(rest.data());
}

bool RecordInput::Cut(std::string_view* record) {
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  return framing_ == Framing::kLines ? CutLine(rest, record) : CutPrefixed(rest, record);
}

bool RecordInput::CutLine(std::string_view rest, std::string_view* record) {
  const size_t newline = rest.find('\n', searched_ - at_);
  searched_ = buffer_.size();
  const uint64_t bytes = newline == std::string_view::npos ? rest.size() : newline + 1;
  if (bytes > max_record_bytes_) {
    return Stop(TooLong(bytes, newline == std::string_view::npos ? "at least " : ""));
  }
  if (newline == std::string_view::npos) return false;
  *record = rest.substr(0, newline + 1);
  at_ += newline + 1;
  searched_ = at_;
  return true;
}

bool RecordInput::CutPrefixed(std::string_view rest, std::string_view* record) {
  if (rest.size() < kPrefixBytes) return false;
  const uint32_t length = GetU32(rest.data());
  if (length > max_record_bytes_) return Stop(TooLong(length, ""));
  if (rest.size() - kPrefixBytes < length) return false;
  *record = rest.substr(kPrefixBytes, length);
  at_ += kPrefixBytes + length;
  return true;
}

bool RecordInput::CutLast(std::string_view* record) {
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  if (rest.empty()) return false;
  if (framing_ == Framing::kLengthPrefix) {
    return Stop(absl::InvalidArgumentError(absl::StrCat(
        name_, ": record ", records_ + 1, " is cut short: expected ",
        rest.size() < kPrefixBytes
            ? absl::StrCat(kPrefixBytes, " bytes of length, found ", rest.size())
            : absl::StrCat(GetU32(rest.data()), " bytes, found ", rest.size() - kPrefixBytes),
        " to the end of the input; is it length-prefixed?")));
  }
  *record = rest;
  at_ = buffer_.size();
  ++records_;
  return true;
}

void RecordInput::Read() {
  if (!interruption_->WaitForInput(fd_)) return;
  buffer_.erase(0, at_);
  searched_ -= std::min(searched_, at_);
  at_ = 0;
  const size_t kept = buffer_.size();
  buffer_.resize(kept + kReadBytes);
  ssize_t got;
  do {
    got = read(fd_, &buffer_[kept], kReadBytes);
  } while (got < 0 && errno == EINTR);
  if (got < 0) Stop(ErrnoStatus(errno, "read", name_));
  at_end_ = got == 0;
  buffer_.resize(kept + static_cast<size_t>(std::max<ssize_t>(got, 0)));
}

bool RecordInput::Stop(absl::Status status) {
  status_ = std::move(status);
  return false;
}

absl::Status RecordInput::TooLong(uint64_t bytes, const char* at_least) const {
  return absl::InvalidArgumentError(
      absl::StrCat(name_, ": ", framing_ == Framing::kLines ? "line " : "record ", records_ + 1,
                   " has ", at_least, bytes, " bytes; the longest record is ", max_record_bytes_,
                   " bytes. Split it; or, if the input is of another form, see --framing"));
}

}  // namespace seawall
