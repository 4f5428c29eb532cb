// SPDX-License-Identifier: Apache-2.0
// Strings and counters.
#include "absl/strings/str_cat.h"
#include "examples/journal_server/command.h"
#include "examples/journal_server/reply.h"

namespace journal_server {
namespace {

void AddString(const Object* object, Context& context) {
  if (object == nullptr) {
    AddNull(context.reply);
  } else if (object->string() == nullptr) {
    AddError(kWrongType, context.reply);
  } else {
    AddBulk(*object->string(), context.reply);
  }
}

struct SetOptions {
  int64_t expire_at_ms = 0;
  bool keep_expiry = false;
  bool only_new = false;
  bool only_existing = false;

  bool AsksForOld() const { return keep_expiry || only_new || only_existing; }
};

// "EX 10" and its like: when that will be. False: an error was replied.
bool ParseExpiry(Context& context, size_t at, SetOptions* options) {
  int64_t number = 0;
  if (at + 1 >= context.size()) {
    AddError(kSyntax, context.reply);
    return false;
  }
  if (!ParseInteger(context[at + 1], &number)) {
    AddError(kNotAnInteger, context.reply);
    return false;
  }
  const bool seconds = EqualsIgnoringCase(context[at], "ex");
  const int64_t now_ms = context.transaction->now_ms();
  if (number <= 0 || number > (INT64_MAX - now_ms) / (seconds ? 1000 : 1)) {
    AddError("ERR invalid expire time in 'set' command", context.reply);
    return false;
  }
  options->expire_at_ms = now_ms + number * (seconds ? 1000 : 1);
  return true;
}

bool ParseSetOptions(Context& context, SetOptions* options) {
  for (size_t i = 3; i < context.size(); ++i) {
    const std::string& word = context[i];
    const bool has_expiry = options->expire_at_ms != 0 || options->keep_expiry;
    if (EqualsIgnoringCase(word, "nx") && !options->only_existing) {
      options->only_new = true;
    } else if (EqualsIgnoringCase(word, "xx") && !options->only_new) {
      options->only_existing = true;
    } else if (EqualsIgnoringCase(word, "keepttl") && !has_expiry) {
      options->keep_expiry = true;
    } else if ((EqualsIgnoringCase(word, "ex") || EqualsIgnoringCase(word, "px")) && !has_expiry) {
      if (!ParseExpiry(context, i, options)) return false;
      ++i;
    } else {
      AddError(kSyntax, context.reply);
      return false;
    }
  }
  return true;
}

void Set(Context& context) {
  SetOptions options;
  if (!ParseSetOptions(context, &options)) return;
  if (options.AsksForOld()) {
    const Object* object = context.transaction->Find(context[1]);
    if ((options.only_new && object != nullptr) || (options.only_existing && object == nullptr)) {
      AddNull(context.reply);
      return;
    }
    if (options.keep_expiry && object != nullptr) options.expire_at_ms = object->expire_at_ms;
  }
  context.transaction->Apply({EffectKind::kSet, context[1], context[2], options.expire_at_ms});
  AddStatus("OK", context.reply);
}

void Get(Context& context) { AddString(context.transaction->Find(context[1]), context); }

void GetDel(Context& context) {
  const Object* object = context.transaction->FindForWrite(context[1]);
  AddString(object, context);
  if (object == nullptr || object->string() == nullptr) return;
  context.transaction->Apply({EffectKind::kDelete, context[1], {}, 0});
}

void MGet(Context& context) {
  const size_t begin = context.reply->size();
  AddArray(context.size() - 1, context.reply);
  for (size_t i = 1; i < context.size(); ++i) {
    const Object* object = context.transaction->Find(context[i]);
    if (object == nullptr || object->string() == nullptr) {
      AddNull(context.reply);
    } else {
      AddBulk(*object->string(), context.reply);
    }
    if (context.reply->size() - begin <= kMaxReplyBytes) continue;
    context.reply->resize(begin);
    AddError(absl::StrCat("ERR a reply longer than ", kMaxReplyBytes, " bytes"), context.reply);
    return;
  }
}

void MSet(Context& context) {
  if (context.size() % 2 == 0) {
    AddError("ERR wrong number of arguments for 'mset' command", context.reply);
    return;
  }
  for (size_t i = 1; i < context.size(); i += 2) {
    context.transaction->Apply({EffectKind::kSet, context[i], context[i + 1], 0});
  }
  AddStatus("OK", context.reply);
}

// The string at the key, empty without one. False: it is no string, an error was replied.
bool StringToChange(Context& context, const Object** object, std::string_view* text) {
  *object = context.transaction->FindForWrite(context[1]);
  if (*object == nullptr) return true;
  if ((*object)->string() == nullptr) {
    AddError(kWrongType, context.reply);
    return false;
  }
  *text = *(*object)->string();
  return true;
}

void IncrementBy(Context& context, int64_t by) {
  const Object* object = nullptr;
  std::string_view text = "0";
  if (!StringToChange(context, &object, &text)) return;
  int64_t number = 0;
  if (!ParseInteger(text, &number)) {
    AddError(kNotAnInteger, context.reply);
    return;
  }
  if (__builtin_add_overflow(number, by, &number)) {
    AddError("ERR increment or decrement would overflow", context.reply);
    return;
  }
  const int64_t expire_at_ms = object == nullptr ? 0 : object->expire_at_ms;
  context.transaction->Apply({EffectKind::kSet, context[1], std::to_string(number), expire_at_ms});
  AddInteger(number, context.reply);
}

void Incr(Context& context) { IncrementBy(context, 1); }
void Decr(Context& context) { IncrementBy(context, -1); }

void IncrBy(Context& context) {
  int64_t by = 0;
  if (!ParseInteger(context[2], &by)) {
    AddError(kNotAnInteger, context.reply);
    return;
  }
  IncrementBy(context, by);
}

void DecrBy(Context& context) {
  int64_t by = 0;
  if (!ParseInteger(context[2], &by) || by == INT64_MIN) {
    AddError(kNotAnInteger, context.reply);
    return;
  }
  IncrementBy(context, -by);
}

void Append(Context& context) {
  const Object* object = nullptr;
  std::string_view text;
  if (!StringToChange(context, &object, &text)) return;
  const size_t size = text.size() + context[2].size();
  if (size > kMaxStringBytes) {
    AddError(absl::StrCat("ERR string exceeds maximum allowed size (", kMaxStringBytes, " bytes)"),
             context.reply);
    return;
  }
  // Behind what is there, which need not be journaled again.
  const EffectKind kind = object == nullptr ? EffectKind::kSet : EffectKind::kAppend;
  context.transaction->Apply({kind, context[1], context[2], 0});
  AddInteger(static_cast<int64_t>(size), context.reply);
}

void StrLen(Context& context) {
  const Object* object = context.transaction->Find(context[1]);
  if (object != nullptr && object->string() == nullptr) {
    AddError(kWrongType, context.reply);
    return;
  }
  AddInteger(object == nullptr ? 0 : static_cast<int64_t>(object->string()->size()), context.reply);
}

constexpr Command kCommands[] = {
    {"set", -3, true, 1, 1, 1, Set},       {"get", 2, false, 1, 1, 1, Get},
    {"getdel", 2, true, 1, 1, 1, GetDel},  {"mget", -2, false, 1, -1, 1, MGet},
    {"mset", -3, true, 1, -1, 2, MSet},    {"incr", 2, true, 1, 1, 1, Incr},
    {"decr", 2, true, 1, 1, 1, Decr},      {"incrby", 3, true, 1, 1, 1, IncrBy},
    {"decrby", 3, true, 1, 1, 1, DecrBy},  {"append", 3, true, 1, 1, 1, Append},
    {"strlen", 2, false, 1, 1, 1, StrLen},
};

}  // namespace

absl::Span<const Command> StringCommands() { return kCommands; }

}  // namespace journal_server
