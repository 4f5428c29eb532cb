// SPDX-License-Identifier: Apache-2.0
// Tells the process that made something from its forked children, by one relaxed load.
#ifndef SEAWALL_ENGINE_BASE_PROCESS_MARK_H_
#define SEAWALL_ENGINE_BASE_PROCESS_MARK_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>

namespace seawall {

// Made by the owner of what is not to be used in a child: threads do not survive a fork, locks may
// be held by them for ever, and both processes would write the same files.
//
// The mark is a word in a page that the kernel clears in every copy of the address space, however
// it comes about (madvise(2), MADV_WIPEONFORK: fork, a bare clone(2), a daemon's double fork). A
// child that shares memory with its parent (vfork, clone with CLONE_VM) shares the mark, too: what
// it does, it does to the parent's log. Where the kernel has no such pages, a handler of
// pthread_atfork(3) clears the word, which misses a bare clone(2).
//
// Thread-safe.
class ProcessMark {
 public:
  // Of the process that runs this.
  ProcessMark();

  // Whether the caller runs in the process that made this.
  bool IsMine() const { return word_->load(std::memory_order_relaxed) == token_; }
  // The process that made it, as it saw itself.
  pid_t pid() const { return pid_; }

 private:
  // Never unmapped. Invariant: what is there is 0, or the token of this process, which no process
  // that it descends from has had.
  const std::atomic<uint64_t>* const word_;
  const uint64_t token_;
  const pid_t pid_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_BASE_PROCESS_MARK_H_
