// SPDX-License-Identifier: Apache-2.0
#include "seawall/error.h"

namespace seawall {

ErrorClass ErrorClassOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return ErrorClass::kNone;
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
      return ErrorClass::kRefused;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kCancelled:
      return ErrorClass::kLimit;
    case absl::StatusCode::kDataLoss:
      return ErrorClass::kDamage;
    default:
      return ErrorClass::kLatched;
  }
}

}  // namespace seawall
