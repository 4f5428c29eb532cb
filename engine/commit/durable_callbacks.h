// SPDX-License-Identifier: Apache-2.0
// The callbacks of NotifyDurable(): those that wait, in LSN order.
#ifndef SEAWALL_ENGINE_COMMIT_DURABLE_CALLBACKS_H_
#define SEAWALL_ENGINE_COMMIT_DURABLE_CALLBACKS_H_

#include <deque>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "seawall/types.h"

namespace seawall {

// Guarded by the log's mutex.
class DurableCallbacks {
 public:
  using Callback = absl::AnyInvocable<void(const absl::Status&)>;

  // Taken out of the list, to be run without the mutex.
  class Due {
   public:
    bool empty() const { return pending_.empty(); }
    // Those up to `durable` with OK, those that a truncation cut off with OutOfRange, the others
    // with `failure`.
    void Run(Lsn durable, const absl::Status& failure);

   private:
    friend class DurableCallbacks;
    struct Pending {
      Lsn lsn;
      bool cut;
      Callback callback;
    };
    std::vector<Pending> pending_;
  };

  void Add(Lsn lsn, Callback callback);
  // Sets those above `lsn` aside: they are due.
  void CutAfter(Lsn lsn);

  bool HasDue(Lsn durable) const {
    return !cut_.pending_.empty() || (!waiting_.empty() && waiting_.front().lsn <= durable);
  }
  // True if a sync is to be made for them.
  bool WantSync(Lsn durable) const { return !waiting_.empty() && waiting_.back().lsn > durable; }
  // Those up to `durable`, all with `failed`, and those that were cut off.
  Due TakeDue(Lsn durable, bool failed);

 private:
  std::deque<Due::Pending> waiting_;
  Due cut_;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_COMMIT_DURABLE_CALLBACKS_H_
