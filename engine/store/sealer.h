// SPDX-License-Identifier: Apache-2.0
// Sealed segments get their indexes, and the archive gets them then.
#ifndef SEAWALL_ENGINE_STORE_SEALER_H_
#define SEAWALL_ENGINE_STORE_SEALER_H_

#include <cstdint>
#include <optional>

#include "engine/base/mutex.h"
#include "engine/segments/segment_ref.h"
#include "engine/store/store_state.h"

namespace seawall {

// Thread-safe; has no state of its own. Invariant: a sealed segment stays as it is from the moment
// that SealedState::last has reached its generation.
class Sealer {
 public:
  // `state` outlives this.
  explicit Sealer(StoreState* state) : state_(state) {}

  // Waits for a sealed segment above `generation` that is as it will stay (its end is durable, and
  // it has its index), and returns the first of them. Returns none if there is none after Stop().
  std::optional<SegmentRef> Await(uint64_t generation);

  // For the store's thread, if MayWriteIndex(): writes the index of the first segment that has
  // none. The thread is busy meanwhile, so no truncation comes between.
  void WriteIndex() ABSL_LOCKS_EXCLUDED(state_->mutex);

 private:
  // A sealed file, for which `taken` was taken from the budget, has come to be this long.
  void Settle(uint64_t generation, uint64_t taken, uint64_t bytes)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(state_->mutex);

  StoreState* const state_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_STORE_SEALER_H_
