// SPDX-License-Identifier: Apache-2.0
// Lists, which are queues at both ends.
#include <algorithm>

#include "examples/journal_server/command.h"
#include "examples/journal_server/reply.h"

namespace journal_server {
namespace {

// Null without a key. False: there is something else, an error was replied.
bool ListOf(Context& context, const Object* object, const List** list) {
  *list = object == nullptr ? nullptr : object->list();
  if (object == nullptr || *list != nullptr) return true;
  AddError(kWrongType, context.reply);
  return false;
}

void Push(Context& context, EffectKind kind) {
  const List* list = nullptr;
  if (!ListOf(context, context.transaction->FindForWrite(context[1]), &list)) return;
  const size_t before = list == nullptr ? 0 : list->size();
  for (size_t i = 2; i < context.size(); ++i) {
    context.transaction->Apply({kind, context[1], context[i], 0});
  }
  AddInteger(static_cast<int64_t>(before + context.size() - 2), context.reply);
}

void LPush(Context& context) { Push(context, EffectKind::kPushFront); }
void RPush(Context& context) { Push(context, EffectKind::kPushBack); }

void Pop(Context& context, EffectKind kind) {
  int64_t count = 1;
  const bool counted = context.size() == 3;
  if (context.size() > 3) {
    AddError(kSyntax, context.reply);
    return;
  }
  if (counted && (!ParseInteger(context[2], &count) || count < 0)) {
    AddError("ERR value is out of range, must be positive", context.reply);
    return;
  }
  const List* list = nullptr;
  if (!ListOf(context, context.transaction->FindForWrite(context[1]), &list)) return;
  if (list == nullptr) {
    counted ? AddNullArray(context.reply) : AddNull(context.reply);
    return;
  }
  const size_t taken = std::min(static_cast<size_t>(count), list->size());
  if (counted) AddArray(taken, context.reply);
  for (size_t i = 0; i < taken; ++i) {
    AddBulk(kind == EffectKind::kPopFront ? (*list)[i] : (*list)[list->size() - 1 - i],
            context.reply);
  }
  if (taken == 0) return;
  context.transaction->Apply({kind, context[1], {}, static_cast<int64_t>(taken)});
}

void LPop(Context& context) { Pop(context, EffectKind::kPopFront); }
void RPop(Context& context) { Pop(context, EffectKind::kPopBack); }

void LRange(Context& context) {
  int64_t first = 0, last = 0;
  if (!ParseInteger(context[2], &first) || !ParseInteger(context[3], &last)) {
    AddError(kNotAnInteger, context.reply);
    return;
  }
  const List* list = nullptr;
  if (!ListOf(context, context.transaction->Find(context[1]), &list)) return;
  const auto size = static_cast<int64_t>(list == nullptr ? 0 : list->size());
  // Negative ones count from the end.
  first = std::max<int64_t>(0, first < 0 ? size + std::max(first, -size - 1) : first);
  last = std::min(size - 1, last < 0 ? size + std::max(last, -size - 1) : last);
  if (list == nullptr || first > last) {
    AddArray(0, context.reply);
    return;
  }
  AddArray(static_cast<size_t>(last - first + 1), context.reply);
  for (int64_t i = first; i <= last; ++i) AddBulk((*list)[static_cast<size_t>(i)], context.reply);
}

void LLen(Context& context) {
  const List* list = nullptr;
  if (!ListOf(context, context.transaction->Find(context[1]), &list)) return;
  AddInteger(list == nullptr ? 0 : static_cast<int64_t>(list->size()), context.reply);
}

constexpr Command kCommands[] = {
    {"lpush", -3, true, 1, 1, 1, LPush},   {"rpush", -3, true, 1, 1, 1, RPush},
    {"lpop", -2, true, 1, 1, 1, LPop},     {"rpop", -2, true, 1, 1, 1, RPop},
    {"lrange", 4, false, 1, 1, 1, LRange}, {"llen", 2, false, 1, 1, 1, LLen},
};

}  // namespace

absl::Span<const Command> ListCommands() { return kCommands; }

}  // namespace journal_server
