// SPDX-License-Identifier: Apache-2.0
// Reading a directory without a lock on it, as it was planned once: Reader::OpenReadOnly, Verify.
#ifndef SEAWALL_ENGINE_READ_READ_ONLY_H_
#define SEAWALL_ENGINE_READ_READ_ONLY_H_

#include <string>

#include "engine/read/log_reader.h"
#include "seawall/file_system.h"

namespace seawall {

// For segments of a log that another process may be writing: returns OutOfRange if that process has
// trimmed or replaced the segment since.
ReadFailure GivenUpSince(FileSystem* fs, const std::string& directory);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_READ_READ_ONLY_H_
