// SPDX-License-Identifier: Apache-2.0
#include "examples/journal_server/command.h"

#include <charconv>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"

namespace journal_server {
namespace {

std::vector<Command> Collect() {
  std::vector<Command> all;
  for (absl::Span<const Command> table :
       {StringCommands(), KeyCommands(), ListCommands(), ServerCommands()}) {
    all.insert(all.end(), table.begin(), table.end());
  }
  return all;
}

const std::vector<Command>& All() {
  static const auto* all = new std::vector<Command>(Collect());
  return *all;
}

// Takes "[...]" off the pattern, behind its '['; without a ']' it goes to the end.
bool TakeClass(std::string_view* pattern, char c) {
  const bool negated = !pattern->empty() && pattern->front() == '^';
  if (negated) pattern->remove_prefix(1);
  bool found = false;
  while (!pattern->empty() && pattern->front() != ']') {
    if (pattern->front() == '\\' && pattern->size() > 1) pattern->remove_prefix(1);
    auto low = static_cast<unsigned char>(pattern->front());
    auto high = low;
    if (pattern->size() >= 3 && (*pattern)[1] == '-' && (*pattern)[2] != ']') {
      high = static_cast<unsigned char>((*pattern)[2]);
      pattern->remove_prefix(2);
    }
    if (low > high) std::swap(low, high);
    const auto byte = static_cast<unsigned char>(c);
    found = found || (low <= byte && byte <= high);
    pattern->remove_prefix(1);
  }
  if (!pattern->empty()) pattern->remove_prefix(1);
  return found != negated;
}

// Takes one element that is no star off the pattern: whether it matches `c`.
bool TakeOne(std::string_view* pattern, char c) {
  char expected = pattern->front();
  pattern->remove_prefix(1);
  if (expected == '?') return true;
  if (expected == '[') return TakeClass(pattern, c);
  if (expected == '\\' && !pattern->empty()) {
    expected = pattern->front();
    pattern->remove_prefix(1);
  }
  return expected == c;
}

}  // namespace

absl::Span<const Command> AllCommands() { return All(); }

const Command* FindCommand(std::string_view name) {
  static const auto* by_name = [] {
    auto* map = new absl::flat_hash_map<std::string, const Command*>();
    for (const Command& command : All()) map->emplace(std::string(command.name), &command);
    return map;
  }();
  char lower[16];
  if (name.size() > sizeof(lower)) return nullptr;
  for (size_t i = 0; i < name.size(); ++i) {
    lower[i] = absl::ascii_tolower(static_cast<unsigned char>(name[i]));
  }
  auto found = by_name->find(absl::string_view(lower, name.size()));
  return found == by_name->end() ? nullptr : found->second;
}

bool ArityFits(const Command& command, size_t words) {
  if (command.arity < 0) return words >= static_cast<size_t>(-command.arity);
  return words == static_cast<size_t>(command.arity);
}

bool ParseInteger(std::string_view text, int64_t* number) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, *number);
  if (result.ec != std::errc() || result.ptr != end) return false;
  const std::string_view digits = text.substr(text.front() == '-' ? 1 : 0);
  return digits.front() != '0' || text == "0";
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return absl::EqualsIgnoreCase(absl::string_view(a.data(), a.size()),
                                absl::string_view(b.data(), b.size()));
}

// Goes back to the last star only: what matched before it need not be tried again. So no pattern
// takes longer than its length times the text's.
bool MatchesGlob(std::string_view pattern, std::string_view text) {
  std::string_view behind_star;
  size_t star_at = std::string_view::npos;
  size_t at = 0;
  for (;;) {
    if (!pattern.empty() && pattern.front() == '*') {
      pattern.remove_prefix(1);
      behind_star = pattern;
      star_at = at;
      continue;
    }
    if (at == text.size()) {
      if (pattern.empty()) return true;
      return false;
    }
    if (!pattern.empty() && TakeOne(&pattern, text[at])) {
      ++at;
      continue;
    }
    if (star_at == std::string_view::npos) return false;
    pattern = behind_star;
    at = ++star_at;
  }
}

}  // namespace journal_server
