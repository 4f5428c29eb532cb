// SPDX-License-Identifier: Apache-2.0
#include "engine/c/c_error.h"

#include <array>
#include <new>
#include <string>

#include "seawall/error.h"

// The objects without a message of their own stand for "no memory" and are never freed.
struct seawall_error {
  seawall_code code = SEAWALL_OK;
  std::string message;
  bool is_static = false;
};

namespace seawall {
namespace {

constexpr const char* kCodeNames[] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};
constexpr int kCodes = sizeof(kCodeNames) / sizeof(kCodeNames[0]);

// One for each code, made when the library is loaded: when one is needed it is too late.
class ErrorsWithoutMemory {
 public:
  ErrorsWithoutMemory() {
    for (int code = 0; code < kCodes; ++code) {
      errors_[code].code = code;
      errors_[code].message =
          code == SEAWALL_RESOURCE_EXHAUSTED ? "out of memory" : "no message: out of memory for it";
      errors_[code].is_static = true;
    }
  }

  seawall_error* Get(seawall_code code) {
    return &errors_[code >= 0 && code < kCodes ? code : SEAWALL_UNKNOWN];
  }

 private:
  std::array<seawall_error, kCodes> errors_;
};

ErrorsWithoutMemory& WithoutMemory() {
  static ErrorsWithoutMemory* const errors = new ErrorsWithoutMemory;  // for threads at exit, too
  return *errors;
}
[[maybe_unused]] const ErrorsWithoutMemory& made_at_load = WithoutMemory();

}  // namespace

seawall_code Report(const absl::Status& status, seawall_error** error) noexcept {
  const seawall_code code = static_cast<seawall_code>(status.code());
  if (error == nullptr) return code;
  *error = nullptr;
  if (status.ok()) return code;
  try {
    *error = new seawall_error{code, std::string(status.message()), false};
  } catch (const std::bad_alloc&) {
    *error = WithoutMemory().Get(code);
  }
  return code;
}

seawall_code ReportOutOfMemory(seawall_error** error) noexcept {
  if (error != nullptr) *error = WithoutMemory().Get(SEAWALL_RESOURCE_EXHAUSTED);
  return SEAWALL_RESOURCE_EXHAUSTED;
}

}  // namespace seawall

const char* seawall_version(void) {
#define SEAWALL_TEXT_OF(number) #number
#define SEAWALL_TEXT(number) SEAWALL_TEXT_OF(number)
  return SEAWALL_TEXT(SEAWALL_VERSION_MAJOR) "." SEAWALL_TEXT(
      SEAWALL_VERSION_MINOR) "." SEAWALL_TEXT(SEAWALL_VERSION_PATCH);
}

uint32_t seawall_abi_version(void) { return SEAWALL_ABI_VERSION; }

const char* seawall_code_name(seawall_code code) {
  return seawall::kCodeNames[code >= 0 && code < seawall::kCodes ? code : SEAWALL_UNKNOWN];
}

int32_t seawall_error_class(seawall_code code) {
  switch (seawall::ErrorClassOf(absl::Status(static_cast<absl::StatusCode>(code), ""))) {
    case seawall::ErrorClass::kNone:
      return SEAWALL_CLASS_NONE;
    case seawall::ErrorClass::kRefused:
      return SEAWALL_CLASS_REFUSED;
    case seawall::ErrorClass::kLimit:
      return SEAWALL_CLASS_LIMIT;
    case seawall::ErrorClass::kLatched:
      return SEAWALL_CLASS_LATCHED;
    case seawall::ErrorClass::kDamage:
      return SEAWALL_CLASS_DAMAGE;
  }
  return SEAWALL_CLASS_LATCHED;
}

seawall_code seawall_error_code(const seawall_error* error) {
  return error == nullptr ? SEAWALL_OK : error->code;
}

const char* seawall_error_message(const seawall_error* error) {
  return error == nullptr ? "" : error->message.c_str();
}

void seawall_error_free(seawall_error* error) {
  if (error != nullptr && !error->is_static) delete error;
}
