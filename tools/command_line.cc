#include "tools/command_line.h"

#include <cstdint>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace seawall {
namespace {

const Command* FindCommand(const std::vector<Command>& commands, const std::string& name) {
  auto found = absl::c_find_if(commands, [&](const Command& c) { return c.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

absl::CommandLineFlag* FindFlag(const std::vector<Command>& commands, const std::string& name) {
  const bool listed = absl::c_any_of(
      commands, [&](const Command& c) { return absl::c_linear_search(c.flags, name); });
  return listed ? absl::FindCommandLineFlag(name) : nullptr;
}

// A flag as it was written.
struct GivenFlag {
  std::string name;
  absl::CommandLineFlag* flag = nullptr;  // nullptr: no command has it
  bool has_value = false;
  std::string value;
};

// Cuts "--name=value". A bool has its value from the name: --json, --nojson.
GivenFlag CutFlag(const std::string& text, const std::vector<Command>& commands) {
  GivenFlag given;
  given.name = text.substr(text.find_first_not_of('-'));
  const size_t equals = given.name.find('=');
  if (equals != std::string::npos) {
    given.has_value = true;
    given.value = given.name.substr(equals + 1);
    given.name.resize(equals);
  }
  given.flag = FindFlag(commands, given.name);
  if (given.has_value) return given;
  if (given.flag != nullptr && given.flag->IsOfType<bool>()) {
    given.has_value = true;
    given.value = "true";
  } else if (given.flag == nullptr && absl::StartsWith(given.name, "no")) {
    absl::CommandLineFlag* negated = FindFlag(commands, given.name.substr(2));
    if (negated != nullptr && negated->IsOfType<bool>()) {
      return {given.name.substr(2), negated, true, "false"};
    }
  }
  return given;
}

std::string ExpectedBy(const absl::CommandLineFlag& flag) {
  if (flag.IsOfType<bool>()) return "true or false";
  if (flag.IsOfType<uint64_t>()) {
    return absl::StrCat("a number from 0 to ", std::numeric_limits<uint64_t>::max());
  }
  if (flag.IsOfType<double>()) return "a number";
  return "a value";
}

// Sets the flag; or says what is wrong with it.
std::string Apply(const GivenFlag& given, const Command& command) {
  if (given.flag == nullptr || !absl::c_linear_search(command.flags, given.name)) {
    return absl::StrCat("it has no flag --", given.name, "; it has --",
                        absl::StrJoin(command.flags, ", --"));
  }
  const std::string spelled = absl::StrCat("--", given.name);
  if (!given.has_value) return absl::StrCat(spelled, ": expected ", ExpectedBy(*given.flag));
  std::string error;
  if (given.flag->ParseFrom(given.value, &error)) return "";
  return absl::StrCat(spelled, "=", given.value, ": expected ", ExpectedBy(*given.flag));
}

bool IsOneOf(const std::string& text, const char* word, const char* letter) {
  return text == letter || text == absl::StrCat("-", word) || text == absl::StrCat("--", word);
}

}  // namespace

CommandLine ParseCommandLine(int argc, char** argv, const std::vector<Command>& commands) {
  CommandLine line;
  std::vector<std::string> words;
  std::vector<GivenFlag> flags;
  bool only_words = false;
  for (int i = 1; i < argc; ++i) {
    const std::string text = argv[i];
    if (!only_words && text == "--") {
      only_words = true;
    } else if (only_words || text.find_first_not_of('-') == std::string::npos || text[0] != '-') {
      words.push_back(text);
    } else if (IsOneOf(text, "help", "-h")) {
      line.wish = CommandLine::Wish::kHelp;
    } else if (IsOneOf(text, "version", "-V")) {
      if (line.wish == CommandLine::Wish::kRun) line.wish = CommandLine::Wish::kVersion;
    } else {
      flags.push_back(CutFlag(text, commands));
      GivenFlag& given = flags.back();
      if (given.flag == nullptr || given.has_value || i + 1 == argc) continue;
      given.has_value = true;
      given.value = argv[++i];
    }
  }
  if (!words.empty() && words.front() == "help") {
    line.wish = CommandLine::Wish::kHelp;
    words.erase(words.begin());
  }
  if (!words.empty()) {
    line.command = FindCommand(commands, words.front());
    if (line.command == nullptr) {
      line.problem = absl::StrCat("no command named \"", words.front(), "\"");
    }
    line.arguments.assign(words.begin() + 1, words.end());
  }
  if (line.wish != CommandLine::Wish::kRun || line.command == nullptr) return line;
  for (const GivenFlag& given : flags) {
    line.problem = Apply(given, *line.command);
    if (!line.problem.empty()) break;
  }
  return line;
}

}  // namespace seawall
