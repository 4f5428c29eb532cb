// SPDX-License-Identifier: Apache-2.0
#include "engine/base/process_mark.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <new>

namespace seawall {
namespace {

using Word = std::atomic<uint64_t>;

// Where there is no page that the kernel clears.
Word g_cleared_by_handler{0};

// One page for the process, and for the children that inherit it.
Word* MapWord() {
  const size_t bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const page =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED) {
    if (madvise(page, bytes, MADV_WIPEONFORK) == 0) return new (page) Word(0);
    munmap(page, bytes);
  }
  // If not even that can be had, a child is not recognized: what a log was without this class.
  (void)pthread_atfork(nullptr, nullptr,
                       [] { g_cleared_by_handler.store(0, std::memory_order_relaxed); });
  return &g_cleared_by_handler;
}

Word* ProcessWord() {
  static Word* const word = MapWord();
  return word;
}

// The mark of this process, made if it is new. A child counts on from what it inherited, so that
// its token is none that an ancestor has: tokens of different processes meet in one memory only
// where one descends from the other.
uint64_t ProcessToken(Word* word) {
  static std::atomic<uint64_t> tokens{0};
  uint64_t found = word->load(std::memory_order_relaxed);
  if (found != 0) return found;
  const uint64_t made = tokens.fetch_add(1, std::memory_order_relaxed) + 1;
  return word->compare_exchange_strong(found, made, std::memory_order_relaxed) ? made : found;
}

}  // namespace

ProcessMark::ProcessMark()
    : word_(ProcessWord()), token_(ProcessToken(ProcessWord())), pid_(getpid()) {}

}  // namespace seawall
