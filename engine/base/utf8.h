// SPDX-License-Identifier: Apache-2.0
// UTF-8 as RFC 3629 has it.
#ifndef SEAWALL_ENGINE_BASE_UTF8_H_
#define SEAWALL_ENGINE_BASE_UTF8_H_

#include <cstddef>
#include <string_view>

namespace seawall {

// The length of the character that `text`, which is not empty, begins with; 0 if there is none.
// Overlong forms, surrogates and what is above U+10FFFF are none.
inline size_t Utf8CharacterBytes(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return 0;
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (lead == 0xe0 && byte(1) < 0xa0) || (lead == 0xf0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xed && byte(1) >= 0xa0;
  const bool too_large = lead == 0xf4 && byte(1) >= 0x90;
  return overlong || surrogate || too_large ? 0 : bytes;
}

}  // namespace seawall

#endif  // SEAWALL_ENGINE_BASE_UTF8_H_
