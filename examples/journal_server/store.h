// SPDX-License-Identifier: Apache-2.0
// Keys and what they hold, in memory.
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_STORE_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_STORE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "examples/journal_server/effect.h"
#include "seawall/types.h"

namespace journal_server {

using List = std::deque<std::string>;

struct Object {
  std::variant<std::string, List> value;
  int64_t expire_at_ms = 0;  // 0: never
  // The record that changed it last. What makes redo right on top of a snapshot that was taken
  // while the store changed: see Store::RedoRecord().
  seawall::Lsn lsn = 0;
  std::string key;  // the store's to set

  const std::string* string() const { return std::get_if<std::string>(&value); }
  const List* list() const { return std::get_if<List>(&value); }
};

// Keys are ordered by their hash, and not in a hash table: a cursor over them stays valid when keys
// come and go (SCAN, snapshots in slices), and no insertion ever moves the whole table.
//
// Thread-compatible: the event loop's thread alone uses it.
class Store {
 public:
  // How to take an effect back: what was there before.
  class Undo {
   private:
    friend class Store;
    EffectKind kind = EffectKind::kSet;
    std::string key;
    std::unique_ptr<Object> object;  // what was replaced or removed; null if there was nothing
    List elements;                   // what was popped, in the list's order
    size_t size = 0;                 // of a string before something was appended
    int64_t expire_at_ms = 0;
    seawall::Lsn lsn = 0;
    bool created = false;  // the list that was pushed to
    std::shared_ptr<void> all;
  };

  Store();
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Null if there is no such key. Whether it expired is for the caller to judge, who has a clock.
  const Object* Find(std::string_view key) const;
  size_t size() const { return objects_.size(); }
  size_t expiring() const { return by_expiry_.size(); }

  // Does what record `lsn` says. An effect that does not suit what is there (a push to a string)
  // changes nothing: commands check before. The one way in which the store changes, for commands
  // and for redo, so that both lead to the same state.
  Undo Apply(const Effect& effect, seawall::Lsn lsn);
  // Takes back the effect that was applied last and was not yet taken back.
  void Revert(Undo undo);

  // The effects of record `lsn` during recovery. A snapshot that was begun behind record S holds
  // each key as it was when it was visited, with the record that changed it last. So of the records
  // behind S, a key has seen those up to its own: their effects on it are passed over. A key that
  // is not in the snapshot may be redone from some point in its life on, wrongly; but it was gone
  // when it was to be visited, and what removed it (a deletion, a flush, the pop of the last
  // element: a list redone so is never longer than the real one) is redone as well.
  void RedoRecord(const std::vector<Effect>& effects, seawall::Lsn lsn);

  // Puts a key of a snapshot in its place.
  void Restore(std::string_view key, Object object);

  // Visits keys by their hash, from hash `from` on, until `visit` returns false and the last hash
  // is complete. Returns the hash to go on with, or 0 at the end. Each key that is there all the
  // time is visited exactly once. No hash is 0.
  uint64_t Visit(uint64_t from,
                 absl::FunctionRef<bool(std::string_view, const Object&)> visit) const;

  // The key that expires first, if it does up to `now_ms`; else null. Valid until the next change.
  const std::string* FirstExpired(int64_t now_ms) const;

 private:
  // By the hash alone, so that a node of the tree has room for many.
  using Objects = absl::btree_multimap<uint64_t, std::unique_ptr<Object>>;
  using ByExpiry = absl::btree_set<std::pair<int64_t, std::string>>;
  struct Everything {
    Objects objects;
    ByExpiry by_expiry;
  };

  uint64_t HashOf(std::string_view key) const;
  Objects::iterator FindIn(std::string_view key);
  // Returns what was there. `object` null: removes.
  std::unique_ptr<Object> Exchange(std::string_view key, std::unique_ptr<Object> object);
  void SetExpiry(std::string_view key, Object* object, int64_t expire_at_ms);

  void RedoFlush(seawall::Lsn lsn);
  // To an object that is there.
  void ApplyInPlace(const Effect& effect, Object* object, Undo* undo);
  void ApplyPush(const Effect& effect, seawall::Lsn lsn, Undo* undo);
  void ApplyPop(const Effect& effect, seawall::Lsn lsn, Undo* undo);
  void RevertPush(const Undo& undo, Object* object);
  void RevertPop(Undo* undo);

  const uint64_t seed_;  // unlike any other process's: nobody can choose keys of one hash
  Objects objects_;
  ByExpiry by_expiry_;  // of all that have expire_at_ms
};

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_STORE_H_
