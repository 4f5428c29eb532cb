// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/commit_queue.h"

#include <algorithm>

#include "engine/base/futex.h"

namespace seawall {
namespace {

constexpr uint32_t kMaxDelayBackoff = 64;

}  // namespace

std::atomic<uint32_t>* CommitQueue::Join(Waiter* waiter) {
  ChooseWord(waiter);
  *last_ = waiter;
  last_ = &waiter->next;
  ++size_;
  if (waiter->level == Durability::kDurable) ++durable_waiters_;
  if (!delaying_ || durable_waiters_ + 1 < delay_target_) return nullptr;
  delaying_ = false;
  delay_word_.fetch_add(1, std::memory_order_release);
  return &delay_word_;
}

void CommitQueue::ChooseWord(Waiter* waiter) {
  if (waiter->lsn == Waiter::kNever) return;
  const bool this_round = waiter->lsn <= round_lsn_;
  if (!this_round && !has_next_leader_) {
    has_next_leader_ = true;
    return;
  }
  waiter->shared = words_.Choose(round_ + (this_round ? 0 : 1));
}

void CommitQueue::Delay(Mutex* mutex, const Watermarks& marks) {
  if (durable_waiters_ + 1 >= delay_target_) return;
  if (delay_pause_ > 0) {
    --delay_pause_;
    return;
  }
  // No longer than half a round: then those who came in time have lost less than a flush of their
  // own would have cost everybody.
  const Clock::time_point until = Clock::now() + round_time_ / 2;
  delaying_ = true;
  while (delaying_ && !marks.failed()) {
    const uint32_t word = delay_word_.load(std::memory_order_acquire);
    const Clock::duration left = until - Clock::now();
    if (left <= Clock::duration::zero()) break;
    mutex->Unlock();  // for those that are to join
    FutexWaitFor(&delay_word_, word, left);
    mutex->Lock();
  }
  const bool in_vain = delaying_;
  delaying_ = false;
  delay_backoff_ = in_vain ? std::min<uint32_t>(delay_backoff_ * 2, kMaxDelayBackoff) : 1;
  delay_pause_ = in_vain ? delay_backoff_ : 0;
}

CommitQueue::Wakes CommitQueue::Release(uint32_t committers,
                                        absl::FunctionRef<Waiter::State(Waiter*, bool)> state_of) {
  Wakes wakes(&words_);
  // This thread, those satisfied, the next leader, and those that stay: all may be in one group.
  delay_target_ = committers;
  Waiter** link = &first_;
  while (Waiter* waiter = *link) {
    const Waiter::State state = state_of(waiter, wakes.has_leader());
    if (state == Waiter::kParked) {
      link = &waiter->next;
      continue;
    }
    *link = waiter->next;
    --size_;
    if (waiter->level == Durability::kDurable) {
      --durable_waiters_;
      ++delay_target_;
    }
    if (state == Waiter::kLead) wakes.leader_ = waiter->word();
    if (waiter->shared != nullptr) {
      wakes.shared_.Add(waiter->shared);
    } else if (state != Waiter::kLead) {
      wakes.own_.push_back(waiter->word());
    }
    waiter->state.store(state, std::memory_order_release);  // it may be gone from here on
  }
  wakes.shared_.Release();
  last_ = link;
  delay_target_ += durable_waiters_;
  ++round_;
  round_lsn_ = ~Lsn{0};
  has_next_leader_ = false;
  return wakes;
}

void CommitQueue::CutAll() {
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next) {
    if (waiter->lsn != Waiter::kNever) waiter->lsn = Waiter::kCutOff;
  }
}

void CommitQueue::Wakes::Wake() {
  // The next leader first: the disk is idle until it runs.
  if (leader_ != nullptr) FutexWake(leader_);
  shared_.Wake();
  for (std::atomic<uint32_t>* word : own_) FutexWake(word);
}

}  // namespace seawall
