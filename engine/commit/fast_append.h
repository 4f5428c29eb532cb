// SPDX-License-Identifier: Apache-2.0
// The way of most appends: without a lock, into the buffer that is open.
#ifndef SEAWALL_ENGINE_COMMIT_FAST_APPEND_H_
#define SEAWALL_ENGINE_COMMIT_FAST_APPEND_H_

#include <atomic>
#include <string_view>

#include "absl/base/attributes.h"
#include "engine/commit/group_buffer.h"
#include "engine/metrics/histogram.h"
#include "seawall/types.h"

namespace seawall {

// Try() is for any thread, without a lock; the rest is BufferRing's, under the group commit's
// mutex.
//
// Invariant: open() is nullptr, or a buffer of the ring that was opened and not closed when it was
// stored. A thread that loaded it may find it closed, drained, or opened for a later group by now,
// and may try to reserve there all the same: see GroupBuffer::TryReserve().
class FastAppend {
 public:
  // Returns the record's LSN; 0 if the open buffer has no room for it, or none is open.
  Lsn Try(std::string_view record);

  GroupBuffer* open() const { return open_.load(std::memory_order_relaxed); }
  // With release: whoever finds the buffer finds it opened.
  void Publish(GroupBuffer* buffer) { open_.store(buffer, std::memory_order_release); }
  void Withdraw() { open_.store(nullptr, std::memory_order_relaxed); }

  // How long appends take to find their place; those that are timed.
  AtomicHistogram* reserve_nanos() { return &reserve_; }
  const AtomicHistogram& reserve_nanos() const { return reserve_; }

 private:
  Lsn TryUntimed(std::string_view record);
  // These two are apart so that the others have nothing to keep for them but a test.
  ABSL_ATTRIBUTE_NOINLINE static Lsn TryMarked(GroupBuffer* buffer, std::string_view record);
  ABSL_ATTRIBUTE_NOINLINE Lsn TryTimed(std::string_view record);

  std::atomic<GroupBuffer*> open_{nullptr};
  AtomicHistogram reserve_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_FAST_APPEND_H_
