// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/store.h"

#include <algorithm>
#include <iterator>
#include <random>
#include <vector>

#include "xxhash.h"

namespace journal_server {

using seawall::Lsn;

namespace {

bool IsPop(EffectKind kind) {
  return kind == EffectKind::kPopFront || kind == EffectKind::kPopBack;
}

uint64_t RandomSeed() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

// Keys of one hash are neighbours, in any order.
template <typename Objects>
auto FindKey(Objects* objects, uint64_t hash, std::string_view key) {
  auto at = objects->lower_bound(hash);
  while (at != objects->end() && at->first == hash && at->second->key != key) ++at;
  return at != objects->end() && at->first == hash ? at : objects->end();
}

}  // namespace

Store::Store() : seed_(RandomSeed()) {}
Store::~Store() = default;

// 0 is where a cursor begins, and what says that it has come to the end.
uint64_t Store::HashOf(std::string_view key) const {
  return std::max<uint64_t>(1, XXH3_64bits_withSeed(key.data(), key.size(), seed_));
}

Store::Objects::iterator Store::FindIn(std::string_view key) {
  return FindKey(&objects_, HashOf(key), key);
}

const Object* Store::Find(std::string_view key) const {
  auto found = FindKey(&objects_, HashOf(key), key);
  return found == objects_.end() ? nullptr : found->second.get();
}

std::unique_ptr<Object> Store::Exchange(std::string_view key, std::unique_ptr<Object> object) {
  const int64_t expire_at_ms = object == nullptr ? 0 : object->expire_at_ms;
  if (object != nullptr) object->key = std::string(key);
  std::unique_ptr<Object> old;
  auto found = FindIn(key);
  if (found != objects_.end()) {
    old = std::move(found->second);
    if (old->expire_at_ms != 0) by_expiry_.erase({old->expire_at_ms, std::string(key)});
    if (object == nullptr) {
      objects_.erase(found);
    } else {
      found->second = std::move(object);
    }
  } else if (object != nullptr) {
    objects_.emplace(HashOf(key), std::move(object));
  }
  if (expire_at_ms != 0) by_expiry_.emplace(expire_at_ms, std::string(key));
  return old;
}

void Store::SetExpiry(std::string_view key, Object* object, int64_t expire_at_ms) {
  if (object->expire_at_ms != 0) by_expiry_.erase({object->expire_at_ms, std::string(key)});
  object->expire_at_ms = expire_at_ms;
  if (expire_at_ms != 0) by_expiry_.emplace(expire_at_ms, std::string(key));
}

Store::Undo Store::Apply(const Effect& effect, Lsn lsn) {
  Undo undo;
  undo.kind = effect.kind;
  undo.key = std::string(effect.key);
  switch (effect.kind) {
    case EffectKind::kSet: {
      auto object = std::make_unique<Object>();
      object->value.emplace<std::string>(effect.value);
      object->expire_at_ms = effect.number;
      object->lsn = lsn;
      undo.object = Exchange(effect.key, std::move(object));
      break;
    }
    case EffectKind::kDelete:
      undo.object = Exchange(effect.key, nullptr);
      break;
    case EffectKind::kFlush: {
      auto all = std::make_shared<Everything>();
      all->objects.swap(objects_);
      all->by_expiry.swap(by_expiry_);
      undo.all = std::move(all);
      break;
    }
    case EffectKind::kExpire:
    case EffectKind::kAppend: {
      auto found = FindIn(effect.key);
      if (found == objects_.end()) break;
      undo.lsn = found->second->lsn;
      ApplyInPlace(effect, found->second.get(), &undo);
      found->second->lsn = lsn;
      break;
    }
    case EffectKind::kPushFront:
    case EffectKind::kPushBack:
      ApplyPush(effect, lsn, &undo);
      break;
    case EffectKind::kPopFront:
    case EffectKind::kPopBack:
      ApplyPop(effect, lsn, &undo);
      break;
  }
  return undo;
}

void Store::ApplyInPlace(const Effect& effect, Object* object, Undo* undo) {
  if (effect.kind == EffectKind::kExpire) {
    undo->expire_at_ms = object->expire_at_ms;
    SetExpiry(effect.key, object, effect.number);
  } else if (auto* text = std::get_if<std::string>(&object->value)) {
    undo->size = text->size();
    text->append(effect.value);
  }
}

void Store::ApplyPush(const Effect& effect, Lsn lsn, Undo* undo) {
  auto found = FindIn(effect.key);
  if (found == objects_.end()) {
    auto made = std::make_unique<Object>();
    made->value.emplace<List>();
    Exchange(effect.key, std::move(made));
    found = FindIn(effect.key);
    undo->created = true;
  }
  undo->lsn = found->second->lsn;
  found->second->lsn = lsn;
  List* list = std::get_if<List>(&found->second->value);
  if (list == nullptr) return;
  if (effect.kind == EffectKind::kPushFront) {
    list->emplace_front(effect.value);
  } else {
    list->emplace_back(effect.value);
  }
}

void Store::ApplyPop(const Effect& effect, Lsn lsn, Undo* undo) {
  auto found = FindIn(effect.key);
  if (found == objects_.end()) return;
  undo->lsn = found->second->lsn;
  found->second->lsn = lsn;
  List* list = std::get_if<List>(&found->second->value);
  if (list == nullptr) return;
  const auto count = static_cast<List::difference_type>(
      std::min<uint64_t>(static_cast<uint64_t>(effect.number), list->size()));
  const auto begin = effect.kind == EffectKind::kPopFront ? list->begin() : list->end() - count;
  undo->elements.assign(std::make_move_iterator(begin), std::make_move_iterator(begin + count));
  list->erase(begin, begin + count);
  if (list->empty()) undo->object = Exchange(effect.key, nullptr);
}

void Store::Revert(Undo undo) {
  if (undo.kind == EffectKind::kSet || undo.kind == EffectKind::kDelete) {
    Exchange(undo.key, std::move(undo.object));
    return;
  }
  if (undo.kind == EffectKind::kFlush) {
    auto* all = static_cast<Everything*>(undo.all.get());
    objects_.swap(all->objects);
    by_expiry_.swap(all->by_expiry);
    return;
  }
  if (IsPop(undo.kind)) return RevertPop(&undo);
  auto found = FindIn(undo.key);
  if (found == objects_.end()) return;
  Object* object = found->second.get();
  object->lsn = undo.lsn;
  if (undo.kind == EffectKind::kExpire) {
    SetExpiry(undo.key, object, undo.expire_at_ms);
  } else if (undo.kind == EffectKind::kAppend) {
    if (auto* text = std::get_if<std::string>(&object->value)) text->resize(undo.size);
  } else {
    RevertPush(undo, object);
  }
}

void Store::RevertPush(const Undo& undo, Object* object) {
  if (undo.created) {
    Exchange(undo.key, nullptr);
    return;
  }
  List* list = std::get_if<List>(&object->value);
  if (list == nullptr) return;
  if (undo.kind == EffectKind::kPushFront) {
    list->pop_front();
  } else {
    list->pop_back();
  }
}

void Store::RevertPop(Undo* undo) {
  if (undo->object != nullptr) Exchange(undo->key, std::move(undo->object));
  auto found = FindIn(undo->key);
  if (found == objects_.end()) return;
  found->second->lsn = undo->lsn;
  List* list = std::get_if<List>(&found->second->value);
  if (list == nullptr) return;
  list->insert(undo->kind == EffectKind::kPopFront ? list->begin() : list->end(),
               std::make_move_iterator(undo->elements.begin()),
               std::make_move_iterator(undo->elements.end()));
}

void Store::RedoRecord(const std::vector<Effect>& effects, Lsn lsn) {
  // Asked of all before any is applied: afterwards, keys have this record's LSN by being redone.
  std::vector<bool> seen;
  for (const Effect& effect : effects) {
    const Object* object = Find(effect.key);
    seen.push_back(object != nullptr && object->lsn >= lsn);
  }
  for (size_t i = 0; i < effects.size(); ++i) {
    if (effects[i].kind == EffectKind::kFlush) {
      RedoFlush(lsn);
      for (size_t before = 0; before < i; ++before) {
        if (!seen[before]) Exchange(effects[before].key, nullptr);
      }
    } else if (!seen[i]) {
      Apply(effects[i], lsn);
    }
  }
}

void Store::RedoFlush(Lsn lsn) {
  std::vector<std::string> older;
  for (const auto& [hash, object] : objects_) {
    if (object->lsn < lsn) older.push_back(object->key);
  }
  for (const std::string& key : older) Exchange(key, nullptr);
}

void Store::Restore(std::string_view key, Object object) {
  Exchange(key, std::make_unique<Object>(std::move(object)));
}

uint64_t Store::Visit(uint64_t from,
                      absl::FunctionRef<bool(std::string_view, const Object&)> visit) const {
  auto at = objects_.lower_bound(from);
  bool more = true;
  uint64_t hash = 0;
  for (; at != objects_.end() && (more || at->first == hash); ++at) {
    hash = at->first;
    more = visit(at->second->key, *at->second) && more;
  }
  return at == objects_.end() ? 0 : at->first;
}

const std::string* Store::FirstExpired(int64_t now_ms) const {
  if (by_expiry_.empty() || by_expiry_.begin()->first > now_ms) return nullptr;
  return &by_expiry_.begin()->second;
}

}  // namespace journal_server
