// SPDX-License-Identifier: Apache-2.0
#include "engine/io/process_owner.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace seawall {

absl::Status ProcessOwner::Refusal() const {
  return absl::FailedPreconditionError(absl::StrCat(
      what_, " belongs to process ", mark_.pid(), ", which opened it; process ", getpid(),
      " inherited it and can use it for nothing: open it there, or not before "
      "the fork"));
}

}  // namespace seawall
