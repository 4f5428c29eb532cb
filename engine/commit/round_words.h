// SPDX-License-Identifier: Apache-2.0
// What the waiters of a round sleep on: words that they share by the processor they were on.
//
// With a wake-up call for each waiter, the first woken take the leader's processor from it. With
// one call for all, the leader alone works until all are awake, and wakes many on another
// processor, through that one's queue. So it wakes one on each other processor, which wakes its
// neighbours, then its own neighbours, then whom nobody has woken yet: nobody depends on a thread
// that the scheduler keeps waiting. engine/commit/model/round_words.pml shows that none sleeps on.
#ifndef SEAWALL_ENGINE_COMMIT_ROUND_WORDS_H_
#define SEAWALL_ENGINE_COMMIT_ROUND_WORDS_H_

#include <sched.h>

#include <atomic>
#include <cstdint>

#include "engine/base/futex.h"

namespace seawall {

// A word for several that are woken together. Who sleeps there has a state of its own, looks at the
// word, then at the state, and sleeps if the word is still the same; when it wakes up, for whatever
// reason, it calls WakeIfDue() and begins anew.
struct SharedWord {
  std::atomic<uint32_t> word{0};
  // Somebody may still sleep here whose state was changed before the word. Set by Release(), by
  // which those who have not fallen asleep yet will not; whoever takes it back wakes all.
  std::atomic<bool> due{false};

  // When the states are changed.
  void Release() {
    word.fetch_add(1, std::memory_order_release);
    due.store(true, std::memory_order_release);
  }
  void WakeOne() {
    if (due.load(std::memory_order_relaxed)) FutexWake(&word, 1);
  }
  void WakeIfDue() {
    if (due.load(std::memory_order_relaxed) && due.exchange(false, std::memory_order_acq_rel)) {
      FutexWake(&word);
    }
  }

  // One of them in a line of the cache. (Not by alignas: what is aligned so, on the stack, GCC 12
  // misplaces under AddressSanitizer.)
  char padding[56] = {};
};
static_assert(sizeof(SharedWord) == 64, "");

class RoundWords {
 public:
  // For a waiter of that round which is about to sleep. The rows take turns: who waits for the next
  // round does not wake up with this one.
  SharedWord* Choose(uint32_t round) { return &words_[round % 2 * kProcessors + Here()]; }

  // Those of the words on which somebody is to be woken.
  class Some {
   public:
    explicit Some(RoundWords* words) : words_(words->words_) {}

    void Add(const SharedWord* word) { bits_ |= uint32_t{1} << (word - words_); }
    // When the states are changed; then, always, Wake().
    void Release() {
      for (uint32_t i = 0; i < kWords; ++i) {
        if (Has(i)) words_[i].Release();
      }
    }
    void Wake() {
      if (bits_ == 0) return;
      const uint32_t here = Here();
      for (uint32_t i = 0; i < kWords; ++i) {
        if (Has(i) && i % kProcessors != here) words_[i].WakeOne();
      }
      for (uint32_t row = 0; row < 2; ++row) {
        if (Has(row * kProcessors + here)) words_[row * kProcessors + here].WakeIfDue();
      }
      for (uint32_t i = 0; i < kWords; ++i) {
        if (Has(i)) words_[i].WakeIfDue();
      }
    }

   private:
    bool Has(uint32_t i) const { return (bits_ >> i & 1) != 0; }

    SharedWord* const words_;
    uint32_t bits_ = 0;
  };

 private:
  static constexpr uint32_t kProcessors = 16;  // where there are more, they share words
  static constexpr uint32_t kWords = 2 * kProcessors;

  static uint32_t Here() { return static_cast<uint32_t>(sched_getcpu()) % kProcessors; }

  SharedWord words_[kWords];
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_ROUND_WORDS_H_
