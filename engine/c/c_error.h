// SPDX-License-Identifier: Apache-2.0
// What the functions of seawall/c.h have in common: errors, structs that grow, and exceptions that
// stay inside.
#ifndef SEAWALL_ENGINE_C_C_ERROR_H_
#define SEAWALL_ENGINE_C_C_ERROR_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <optional>
#include <string_view>
#include <system_error>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "seawall/c.h"
#include "seawall/identity.h"
#include "seawall/types.h"

namespace seawall {

// Writes `*error`, if there is one, and returns the code. Needs no memory to do so: without it the
// error has its code, and a message that says so.
seawall_code Report(const absl::Status& status, seawall_error** error) noexcept;
seawall_code ReportOutOfMemory(seawall_error** error) noexcept;

// What `body` returns, or throws, as a code. Nothing is thrown on.
template <typename Body>
seawall_code Guarded(seawall_error** error, const Body& body) noexcept {
  try {
    try {
      return Report(body(), error);
    } catch (const std::system_error& e) {  // std::thread's, when there is no thread to be had
      return Report(absl::ResourceExhaustedError(e.what()), error);
    } catch (const std::bad_alloc&) {
      return ReportOutOfMemory(error);
    } catch (const std::exception& e) {
      return Report(absl::InternalError(e.what()), error);
    }
  } catch (...) {  // a status that could not be made
    return ReportOutOfMemory(error);
  }
}

// InvalidArgument if `pointer` is NULL.
inline absl::Status CheckNotNull(const void* pointer, const char* name) {
  if (pointer != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " is NULL"));
}

inline absl::StatusOr<Durability> ReadDurability(seawall_durability level) {
  if (level >= SEAWALL_APPENDED && level <= SEAWALL_DURABLE) return static_cast<Durability>(level);
  return absl::InvalidArgumentError(absl::StrCat("durability is ", level,
                                                 ": expected 0 (appended), 1 (written) or 2 "
                                                 "(durable)"));
}

// Empty for NULL.
inline absl::StatusOr<std::optional<LogId>> ReadLogId(const char* text) {
  if (text == nullptr) return std::optional<LogId>();
  std::optional<LogId> id = LogIdFromString(text);
  if (id.has_value()) return id;
  return absl::InvalidArgumentError(
      absl::StrCat("expected_id is \"", text, "\": expected 32 hexadecimal digits"));
}

inline absl::StatusOr<std::string_view> ReadBytes(const void* data, size_t bytes) {
  if (data == nullptr && bytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat("data is NULL, and bytes is ", bytes));
  }
  return std::string_view(static_cast<const char*>(data), bytes);
}

// As much of `from` as there is room for.
inline absl::Status WriteBytes(std::string_view from, void* data, size_t capacity, size_t* bytes) {
  absl::Status status = CheckNotNull(bytes, "bytes");
  if (capacity > 0) status.Update(CheckNotNull(data, "data"));
  if (!status.ok()) return status;
  *bytes = from.size();
  const size_t count = std::min(capacity, from.size());
  if (count > 0) std::memcpy(data, from.data(), count);
  return absl::OkStatus();
}

// A struct of the interface may grow to this. A larger `struct_bytes` was never set.
inline constexpr size_t kMaxStructBytes = 4096;

// `first_bytes`: how long the struct was in the first version that had it.
inline absl::Status CheckStructBytes(uint32_t struct_bytes, size_t first_bytes, const char* name) {
  if (struct_bytes >= first_bytes && struct_bytes <= kMaxStructBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, "->struct_bytes is ", struct_bytes,
                                                 ": expected sizeof(*", name, "), at least ",
                                                 first_bytes));
}

// Fills as much of `*to` as its owner knows of, and leaves `struct_bytes` as it was.
template <typename Struct>
void CopyOut(Struct from, Struct* to) noexcept {
  const size_t known = to->struct_bytes;
  from.struct_bytes = to->struct_bytes;
  std::memcpy(to, &from, std::min(known, sizeof(from)));
  if (known > sizeof(from)) {
    std::memset(reinterpret_cast<char*>(to) + sizeof(from), 0, known - sizeof(from));
  }
}

}  // namespace seawall

#endif  // SEAWALL_ENGINE_C_C_ERROR_H_
