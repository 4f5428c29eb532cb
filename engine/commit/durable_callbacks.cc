// SPDX-License-Identifier: Apache-2.0
#include "engine/commit/durable_callbacks.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"

namespace seawall {

void DurableCallbacks::Due::Run(Lsn durable, const absl::Status& failure) {
  for (Pending& pending : pending_) {
    if (pending.cut) {
      pending.callback(absl::OutOfRangeError(
          absl::StrCat("notify of record ", pending.lsn, ": a truncation cut it off")));
    } else {
      pending.callback(pending.lsn <= durable ? absl::OkStatus() : failure);
    }
  }
  pending_.clear();  // what the callbacks hold is released before the mutex is taken again
}

void DurableCallbacks::Add(Lsn lsn, Callback callback) {
  auto after = waiting_.end();
  while (after != waiting_.begin() && std::prev(after)->lsn > lsn) --after;
  waiting_.insert(after, {lsn, /*cut=*/false, std::move(callback)});
}

void DurableCallbacks::CutAfter(Lsn lsn) {
  auto cut = waiting_.begin();
  while (cut != waiting_.end() && cut->lsn <= lsn) ++cut;
  for (auto it = cut; it != waiting_.end(); ++it) {
    cut_.pending_.push_back({it->lsn, /*cut=*/true, std::move(it->callback)});
  }
  waiting_.erase(cut, waiting_.end());
}

DurableCallbacks::Due DurableCallbacks::TakeDue(Lsn durable, bool failed) {
  Due due;
  auto end = waiting_.begin();
  while (end != waiting_.end() && (failed || end->lsn <= durable)) ++end;
  due.pending_.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
  waiting_.erase(waiting_.begin(), end);
  std::move(cut_.pending_.begin(), cut_.pending_.end(), std::back_inserter(due.pending_));
  cut_.pending_.clear();
  return due;
}

}  // namespace seawall
