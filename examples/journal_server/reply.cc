// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/reply.h"

#include <charconv>

namespace journal_server {
namespace {

void AddNumberLine(char type, int64_t number, std::string* out) {
  char text[24];
  text[0] = type;
  char* end = std::to_chars(text + 1, text + sizeof(text) - 2, number).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out->append(text, static_cast<size_t>(end - text));
}

}  // namespace

void AddStatus(std::string_view text, std::string* out) {
  out->push_back('+');
  out->append(text);
  out->append("\r\n");
}

void AddError(std::string_view text, std::string* out) {
  out->push_back('-');
  for (const char c : text) out->push_back(c == '\r' || c == '\n' ? ' ' : c);
  out->append("\r\n");
}

void AddInteger(int64_t number, std::string* out) { AddNumberLine(':', number, out); }

void AddBulk(std::string_view bytes, std::string* out) {
  AddNumberLine('$', static_cast<int64_t>(bytes.size()), out);
  out->append(bytes);
  out->append("\r\n");
}

void AddNull(std::string* out) { out->append("$-1\r\n"); }

void AddNullArray(std::string* out) { out->append("*-1\r\n"); }

void AddArray(size_t elements, std::string* out) {
  AddNumberLine('*', static_cast<int64_t>(elements), out);
}

}  // namespace journal_server
