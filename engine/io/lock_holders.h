// SPDX-License-Identifier: Apache-2.0
// Who holds a lock of flock(2).
#ifndef SEAWALL_ENGINE_IO_LOCK_HOLDERS_H_
#define SEAWALL_ENGINE_IO_LOCK_HOLDERS_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace seawall {

struct LockHolder {
  pid_t pid = 0;
  uid_t uid = 0;
};

// The processes that have an open file with a lock on the file of `fd`: whoever took the lock, and
// whoever inherited it. They are alive; a process that is gone is never among them, whatever
// /proc/locks says of it. Empty if there is none, or if it cannot be seen from here: a process of
// another user, or in another namespace, or no /proc (proc(5), /proc/pid/fdinfo).
std::vector<LockHolder> FindLockHolders(int fd);

// "process 12", "processes 12 and 34", or "a process that cannot be seen from here".
std::string Describe(const std::vector<LockHolder>& holders);

}  // namespace seawall

#endif  // SEAWALL_ENGINE_IO_LOCK_HOLDERS_H_
