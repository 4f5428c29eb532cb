// SPDX-License-Identifier: Apache-2.0
// Commands on keys, whatever they hold.
#include "examples/journal_server/command.h"
#include "examples/journal_server/reply.h"

namespace journal_server {
namespace {

constexpr int64_t kMaxScanCount = 10000;

std::string_view TypeName(const Object& object) {
  return object.list() != nullptr ? "list" : "string";
}

void Del(Context& context) {
  int64_t deleted = 0;
  for (size_t i = 1; i < context.size(); ++i) {
    if (context.transaction->FindForWrite(context[i]) == nullptr) continue;
    context.transaction->Apply({EffectKind::kDelete, context[i], {}, 0});
    ++deleted;
  }
  AddInteger(deleted, context.reply);
}

void Exists(Context& context) {
  int64_t found = 0;
  for (size_t i = 1; i < context.size(); ++i) {
    if (context.transaction->Find(context[i]) != nullptr) ++found;
  }
  AddInteger(found, context.reply);
}

void ExpireIn(Context& context, int64_t unit_ms) {
  int64_t number = 0;
  if (!ParseInteger(context[2], &number)) {
    AddError(kNotAnInteger, context.reply);
    return;
  }
  int64_t at_ms = 0;
  if (__builtin_mul_overflow(number, unit_ms, &at_ms) ||
      __builtin_add_overflow(at_ms, context.transaction->now_ms(), &at_ms)) {
    AddError("ERR invalid expire time in 'expire' command", context.reply);
    return;
  }
  if (context.transaction->FindForWrite(context[1]) == nullptr) {
    AddInteger(0, context.reply);
    return;
  }
  if (at_ms <= context.transaction->now_ms()) {
    context.transaction->Apply({EffectKind::kDelete, context[1], {}, 0});
  } else {
    context.transaction->Apply({EffectKind::kExpire, context[1], {}, at_ms});
  }
  AddInteger(1, context.reply);
}

void Expire(Context& context) { ExpireIn(context, 1000); }
void PExpire(Context& context) { ExpireIn(context, 1); }

// -2: no such key, -1: it does not expire.
int64_t RemainingMs(Context& context) {
  const Object* object = context.transaction->Find(context[1]);
  if (object == nullptr) return -2;
  if (object->expire_at_ms == 0) return -1;
  return object->expire_at_ms - context.transaction->now_ms();
}

void Ttl(Context& context) {
  const int64_t remaining_ms = RemainingMs(context);
  AddInteger(remaining_ms < 0 ? remaining_ms : (remaining_ms + 500) / 1000, context.reply);
}

void PTtl(Context& context) { AddInteger(RemainingMs(context), context.reply); }

void Persist(Context& context) {
  const Object* object = context.transaction->FindForWrite(context[1]);
  if (object == nullptr || object->expire_at_ms == 0) {
    AddInteger(0, context.reply);
    return;
  }
  context.transaction->Apply({EffectKind::kExpire, context[1], {}, 0});
  AddInteger(1, context.reply);
}

void Type(Context& context) {
  const Object* object = context.transaction->Find(context[1]);
  AddStatus(object == nullptr ? "none" : TypeName(*object), context.reply);
}

bool IsLive(const Context& context, const Object& object) {
  return object.expire_at_ms == 0 || object.expire_at_ms > context.transaction->now_ms();
}

void AddKeys(const std::vector<std::string_view>& keys, std::string* reply) {
  AddArray(keys.size(), reply);
  for (std::string_view key : keys) AddBulk(key, reply);
}

void Keys(Context& context) {
  std::vector<std::string_view> keys;
  context.transaction->store().Visit(0, [&](std::string_view key, const Object& object) {
    if (IsLive(context, object) && MatchesGlob(context[1], key)) keys.push_back(key);
    return true;
  });
  AddKeys(keys, context.reply);
}

struct ScanOptions {
  uint64_t cursor = 0;
  std::string_view pattern = "*";
  std::string_view type;
  int64_t count = 10;
};

bool ParseScanOptions(Context& context, ScanOptions* options) {
  if (!absl::SimpleAtoi(context[1], &options->cursor)) {
    AddError("ERR invalid cursor", context.reply);
    return false;
  }
  for (size_t i = 2; i < context.size(); i += 2) {
    const bool has_value = i + 1 < context.size();
    if (has_value && EqualsIgnoringCase(context[i], "match")) {
      options->pattern = context[i + 1];
    } else if (has_value && EqualsIgnoringCase(context[i], "type")) {
      options->type = context[i + 1];
    } else if (has_value && EqualsIgnoringCase(context[i], "count")) {
      if (!ParseInteger(context[i + 1], &options->count)) {
        AddError(kNotAnInteger, context.reply);
        return false;
      }
      if (options->count < 1) {
        AddError(kSyntax, context.reply);
        return false;
      }
    } else {
      AddError(kSyntax, context.reply);
      return false;
    }
  }
  return true;
}

void Scan(Context& context) {
  ScanOptions options;
  if (!ParseScanOptions(context, &options)) return;
  std::vector<std::string_view> keys;
  int64_t left = std::min(options.count, kMaxScanCount);
  const uint64_t next = context.transaction->store().Visit(
      options.cursor, [&](std::string_view key, const Object& object) {
        if (IsLive(context, object) && MatchesGlob(options.pattern, key) &&
            (options.type.empty() || EqualsIgnoringCase(options.type, TypeName(object)))) {
          keys.push_back(key);
        }
        return --left > 0;
      });
  AddArray(2, context.reply);
  AddBulk(std::to_string(next), context.reply);
  AddKeys(keys, context.reply);
}

void DbSize(Context& context) {
  AddInteger(static_cast<int64_t>(context.transaction->store().size()), context.reply);
}

void Flush(Context& context) {
  if (context.transaction->store().size() > 0) {
    context.transaction->Apply({EffectKind::kFlush, {}, {}, 0});
  }
  AddStatus("OK", context.reply);
}

constexpr Command kCommands[] = {
    {"del", -2, true, 1, -1, 1, Del},       {"exists", -2, false, 1, -1, 1, Exists},
    {"expire", 3, true, 1, 1, 1, Expire},   {"pexpire", 3, true, 1, 1, 1, PExpire},
    {"ttl", 2, false, 1, 1, 1, Ttl},        {"pttl", 2, false, 1, 1, 1, PTtl},
    {"persist", 2, true, 1, 1, 1, Persist}, {"type", 2, false, 1, 1, 1, Type},
    {"keys", 2, false, 0, 0, 0, Keys},      {"scan", -2, false, 0, 0, 0, Scan},
    {"dbsize", 1, false, 0, 0, 0, DbSize},  {"flushdb", -1, true, 0, 0, 0, Flush},
    {"flushall", -1, true, 0, 0, 0, Flush},
};

}  // namespace

absl::Span<const Command> KeyCommands() { return kCommands; }

}  // namespace journal_server
