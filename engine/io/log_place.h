// SPDX-License-Identifier: Apache-2.0
// The directory that a log or a copy of one is made in: making it, and what counts as empty.
#ifndef SEAWALL_ENGINE_IO_LOG_PLACE_H_
#define SEAWALL_ENGINE_IO_LOG_PLACE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "seawall/file_system.h"

namespace seawall {

// Makes the directory, and its name durable. Returns true if it was not there before. Undone if it
// fails.
//
// A directory that was prepared for the log is often in a parent that its owner may not read, or
// that cannot be synced (a root file system of a container, a file system in user space). Then all
// of the directory's own file system is synced (syncfs(2)). That has its name, too, but where it is
// the root of a mounted file system, which has no name to lose.
absl::StatusOr<bool> MakePlace(FileSystem* fs, const std::string& directory);

// mkfs makes this directory in the root of a file system. It is in nobody's way.
inline constexpr char kLostAndFoundName[] = "lost+found";

// FailedPrecondition if it is a file, or names another file that is in it.
absl::Status CheckPlaceIsEmpty(FileSystem* fs, const std::string& directory);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_IO_LOG_PLACE_H_
