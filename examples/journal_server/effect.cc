// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/effect.h"

#include "absl/strings/str_cat.h"

namespace journal_server {

void AppendVarint(uint64_t number, std::string* to) {
  while (number >= 0x80) {
    to->push_back(static_cast<char>(number | 0x80));
    number >>= 7;
  }
  to->push_back(static_cast<char>(number));
}

bool ConsumeVarint(std::string_view* from, uint64_t* number) {
  *number = 0;
  for (unsigned shift = 0; shift < 64 && !from->empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(from->front());
    from->remove_prefix(1);
    if (shift == 63 && byte > 1) return false;
    *number |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

void AppendString(std::string_view bytes, std::string* to) {
  AppendVarint(bytes.size(), to);
  to->append(bytes);
}

bool ConsumeString(std::string_view* from, std::string_view* bytes) {
  uint64_t size = 0;
  if (!ConsumeVarint(from, &size) || size > from->size()) return false;
  *bytes = from->substr(0, size);
  from->remove_prefix(size);
  return true;
}

void AppendEffect(const Effect& effect, std::string* record) {
  if (record->empty()) record->push_back(kRecordVersion);
  record->push_back(static_cast<char>(effect.kind));
  AppendString(effect.key, record);
  AppendString(effect.value, record);
  const auto bits = static_cast<uint64_t>(effect.number);
  AppendVarint(bits << 1 ^ (effect.number < 0 ? ~uint64_t{0} : 0), record);
}

absl::StatusOr<std::vector<Effect>> DecodeRecord(std::string_view record) {
  if (record.empty() || record.front() != kRecordVersion) {
    return absl::DataLossError(absl::StrCat("not a record of journal_server: expected version ",
                                            int{kRecordVersion}, ", found ",
                                            record.empty() ? -1 : int{record.front()}));
  }
  std::string_view rest = record.substr(1);
  std::vector<Effect> effects;
  while (!rest.empty()) {
    const size_t at = record.size() - rest.size();
    Effect effect;
    const auto kind = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    uint64_t number = 0;
    if (kind < static_cast<unsigned char>(EffectKind::kSet) ||
        kind > static_cast<unsigned char>(EffectKind::kFlush) ||
        !ConsumeString(&rest, &effect.key) || !ConsumeString(&rest, &effect.value) ||
        !ConsumeVarint(&rest, &number)) {
      return absl::DataLossError(absl::StrCat("not a record of journal_server: no effect at byte ",
                                              at, " of ", record.size(), ", kind ", kind));
    }
    effect.kind = static_cast<EffectKind>(kind);
    effect.number = static_cast<int64_t>(number >> 1 ^ ((number & 1) != 0 ? ~uint64_t{0} : 0));
    effects.push_back(effect);
  }
  return effects;
}

}  // namespace journal_server
