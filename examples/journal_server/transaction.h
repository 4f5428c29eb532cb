// SPDX-License-Identifier: Apache-2.0
// The effects of one command, or of all commands of an EXEC: applied at once, so that later ones
// see them, and one record of the journal in the end; or taken back.
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_TRANSACTION_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_TRANSACTION_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "examples/journal_server/effect.h"
#include "examples/journal_server/store.h"

namespace journal_server {

class Transaction {
 public:
  // `lsn`: the record that this will be. There is one appender, so it is known beforehand.
  Transaction(Store* store, seawall::Lsn lsn, int64_t now_ms)
      : store_(store), lsn_(lsn), now_ms_(now_ms) {}
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  // One time for all of it.
  int64_t now_ms() const { return now_ms_; }
  const Store& store() const { return *store_; }

  // Null if there is none, or if it has expired.
  const Object* Find(std::string_view key) const {
    const Object* object = store_->Find(key);
    return object == nullptr || Expired(*object) ? nullptr : object;
  }
  // The same; one that has expired is deleted, to make room for what is coming.
  const Object* FindForWrite(std::string_view key) {
    const Object* object = store_->Find(key);
    if (object == nullptr || !Expired(*object)) return object;
    Apply({EffectKind::kDelete, key, {}, 0});
    return nullptr;
  }

  // Does nothing any more when the record is too long to be one: memory stays bounded, and all is
  // to be rolled back.
  void Apply(const Effect& effect) {
    if (too_long()) return;
    AppendEffect(effect, &record_);
    undo_.push_back(store_->Apply(effect, lsn_));
  }

  // Empty: nothing was changed.
  const std::string& record() const { return record_; }
  bool too_long() const { return record_.size() > kMaxRecordBytes; }

  void Rollback() {
    for (; !undo_.empty(); undo_.pop_back()) store_->Revert(std::move(undo_.back()));
    record_.clear();
  }

 private:
  bool Expired(const Object& object) const {
    return object.expire_at_ms != 0 && object.expire_at_ms <= now_ms_;
  }

  Store* const store_;
  const seawall::Lsn lsn_;
  const int64_t now_ms_;
  std::string record_;
  std::vector<Store::Undo> undo_;
};

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_TRANSACTION_H_
