// SPDX-License-Identifier: Apache-2.0
// The threads that wait for a round of the group commit: in which order, on which futex words, and
// how long a leader waits for more of them.
#ifndef SEAWALL_ENGINE_COMMIT_COMMIT_QUEUE_H_
#define SEAWALL_ENGINE_COMMIT_COMMIT_QUEUE_H_

#include <atomic>
#include <chrono>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "absl/functional/function_ref.h"
#include "engine/base/mutex.h"
#include "engine/commit/round_words.h"
#include "engine/commit/waiter.h"
#include "engine/store/watermarks.h"
#include "seawall/types.h"

namespace seawall {

// Not thread-safe: CommitRounds' mutex guards it.
//
// Invariants:
//   1. While no thread leads, the queue is empty: whoever ends a round hands the lead to the first
//      waiter that is not satisfied, which leaves the queue with it.
//   2. A waiter's state leaves kParked in Release() only, once; from then on the waiter, which is
//      on its thread's stack, may be gone.
class CommitQueue {
 public:
  using Clock = std::chrono::steady_clock;

  // ---- For waiting threads

  // Adds a waiter, and chooses what it sleeps on. Returns a word to wake when the mutex is free, or
  // nullptr: the leader's, which waited for the number of waiters that are there now.
  [[nodiscard]] std::atomic<uint32_t>* Join(Waiter* waiter);

  // ---- For the leader

  // Waits for the committers that are on their way, so that they share this flush: a commit delay,
  // as PostgreSQL's commit_delay, but only for as many as committed last, and no longer than half a
  // round takes. Drops the mutex meanwhile.
  void Delay(Mutex* mutex, const Watermarks& marks) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex);
  // The round that was begun writes up to `last_lsn`.
  void BeginRound(Lsn last_lsn) { round_lsn_ = last_lsn; }
  // A write and a sync took so long.
  void NoteRoundTime(Clock::duration time) { round_time_ += (time - round_time_) / 8; }

  // Whom to wake when the mutex is free.
  class Wakes {
   public:
    bool has_leader() const { return leader_ != nullptr; }
    void Wake();

   private:
    friend class CommitQueue;
    explicit Wakes(RoundWords* words) : shared_(words) {}

    std::atomic<uint32_t>* leader_ = nullptr;
    RoundWords::Some shared_;  // words that several sleep on
    absl::InlinedVector<std::atomic<uint32_t>*, 8> own_;
  };
  // Ends the round. `state_of` says what becomes of a waiter, given whether there is a next leader
  // already; those that do not stay parked leave the queue. `committers`: 1 if this thread led for
  // a durable commit of its own.
  Wakes Release(uint32_t committers,
                absl::FunctionRef<Waiter::State(Waiter* waiter, bool has_leader)> state_of);

  // All records were given up: those that wait for one will find that it was cut off, at the next
  // Release(). Their LSNs may be below those of the log now, and would pass for durable.
  void CutAll();

  uint32_t size() const { return size_; }
  // Those that wait for stable storage.
  uint32_t durable_waiters() const { return durable_waiters_; }

 private:
  // Any choice is right; this one saves wake-ups.
  void ChooseWord(Waiter* waiter);

  // In order of arrival.
  Waiter* first_ = nullptr;
  Waiter** last_ = &first_;
  uint32_t size_ = 0;
  uint32_t durable_waiters_ = 0;

  // Futex words shared by the waiters that one round satisfies. The first waiter of the next round
  // becomes its leader, so it sleeps on its own word.
  RoundWords words_;
  uint32_t round_ = 0;
  bool has_next_leader_ = false;
  // The last record that the round under way writes; not known before it closes the buffer.
  Lsn round_lsn_ = ~Lsn{0};

  // The commit delay. A thread whose commit was just acknowledged tends to be back with the next
  // one after a wake-up: the next leader waits for as many durable waiters, itself included, as
  // there were.
  uint32_t delay_target_ = 0;
  // Set while the leader sleeps for that; the waiter that completes the number wakes it.
  bool delaying_ = false;
  std::atomic<uint32_t> delay_word_{0};
  // Rounds to go without a delay after one was in vain; the number doubles each time, up to a
  // limit.
  uint32_t delay_pause_ = 0;
  uint32_t delay_backoff_ = 1;
  // How long a write and a sync take, a moving average: what there is to win.
  Clock::duration round_time_ = Clock::duration::zero();
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_COMMIT_QUEUE_H_
