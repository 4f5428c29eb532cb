// SPDX-License-Identifier: Apache-2.0
// What commands do to the store, and the records of the journal, which are lists of effects.
//
// The journal holds effects and not commands: redoing one needs neither the clock nor chance, and
// a time to live is the time when it ends. A record is what one command or one EXEC did: as the
// log gives back records whole, so are transactions.
//
//   record  := version byte, effect*
//   effect  := kind byte, varint length, key, varint length, value, varint (zigzag) number
#ifndef SEAWALL_EXAMPLES_JOURNAL_SERVER_EFFECT_H_
#define SEAWALL_EXAMPLES_JOURNAL_SERVER_EFFECT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace journal_server {

enum class EffectKind : uint8_t {
  kSet = 1,        // key is the string `value`, expires at `number` (0: never)
  kDelete = 2,     // no key
  kExpire = 3,     // key expires at `number`, or never
  kAppend = 4,     // `value` behind the string
  kPushFront = 5,  // `value` before the list, or behind it; the list is made if there is none
  kPushBack = 6,
  kPopFront = 7,  // `number` elements less; an empty list goes away
  kPopBack = 8,
  kFlush = 9,  // no keys
};

// Points into memory of others.
struct Effect {
  EffectKind kind = EffectKind::kSet;
  std::string_view key;
  std::string_view value;
  int64_t number = 0;  // times are milliseconds since 1970
};

// What a record begins with.
inline constexpr char kRecordVersion = 1;
// The longest record. Effects repeat their key, so that a request may ask for more than that.
inline constexpr size_t kMaxRecordBytes = size_t{8} << 20;

void AppendVarint(uint64_t number, std::string* to);
// False: it does not end, or is too long; `*from` is what follows it.
bool ConsumeVarint(std::string_view* from, uint64_t* number);
void AppendString(std::string_view bytes, std::string* to);
bool ConsumeString(std::string_view* from, std::string_view* bytes);

void AppendEffect(const Effect& effect, std::string* record);
// The effects point into `record`. DataLoss: not a record that AppendEffect() made.
absl::StatusOr<std::vector<Effect>> DecodeRecord(std::string_view record);

}  // namespace journal_server

#endif  // SEAWALL_EXAMPLES_JOURNAL_SERVER_EFFECT_H_
