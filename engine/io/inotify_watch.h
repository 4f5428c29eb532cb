// SPDX-License-Identifier: Apache-2.0
// FileWatch by inotify(7).
#ifndef SEAWALL_ENGINE_IO_INOTIFY_WATCH_H_
#define SEAWALL_ENGINE_IO_INOTIFY_WATCH_H_

#include <memory>
#include <string>

#include "seawall/file_system.h"

namespace seawall {

// An errno value: EMFILE and ENOSPC are the limits on inotify of this user.
int NewInotifyWatch(const std::string& directory, const std::string& name,
                    std::unique_ptr<FileWatch>* watch);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_IO_INOTIFY_WATCH_H_
