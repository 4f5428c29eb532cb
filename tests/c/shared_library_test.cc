// SPDX-License-Identifier: Apache-2.0
// libseawall.so as a program finds it that was built without Bazel: what it shows, and what Python
// does with it.
#include <dlfcn.h>

#include <cstdio>
#include <set>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/support/test_util.h"

namespace {

constexpr char kLibrary[] = "dist/libseawall.so.1";
constexpr char kHeader[] = "include/seawall/c.h";

// A command's standard output; a test failure if it failed.
std::string OutputOf(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string output;
  char bytes[4096];
  for (size_t got; (got = fread(bytes, 1, sizeof(bytes), pipe)) > 0;) output.append(bytes, got);
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
  return output;
}

// The functions that the header declares: seawall_NAME, directly before a parenthesis.
std::set<std::string> DeclaredFunctions() {
  std::set<std::string> names;
  std::istringstream lines(seawall::ReadFile(kHeader));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == ' ' || line[0] == '/' || line[0] == '#') continue;
    const size_t parenthesis = line.find('(');
    const size_t begin = line.rfind("seawall_", parenthesis);
    if (parenthesis == std::string::npos || begin == std::string::npos) continue;
    if (line.compare(0, 8, "typedef ") == 0) continue;
    names.insert(line.substr(begin, parenthesis - begin));
  }
  return names;
}

TEST(SharedLibraryTest, ShowsTheHeadersFunctionsAndNothingElse) {
  std::set<std::string> shown;
  // Not those that are local: gold lists thread-local variables so, which only relocations see.
  std::istringstream lines(OutputOf(std::string("nm -D --defined-only --extern-only ") + kLibrary));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string value, kind, name;
    words >> value >> kind >> name;
    if (kind == "A") continue;  // the version's own name
    shown.insert(name.substr(0, name.find('@')));
  }
  EXPECT_GE(shown.size(), 30U);
  EXPECT_EQ(shown, DeclaredFunctions());
}

TEST(SharedLibraryTest, IsFoundByTheNameWithItsVersion) {
  const std::string dynamic = OutputOf(std::string("readelf -d ") + kLibrary);
  EXPECT_NE(dynamic.find("Library soname: [libseawall.so.1]"), std::string::npos) << dynamic;
}

// Every symbol that it needs is in a library that it names.
TEST(SharedLibraryTest, LoadsIntoAProcessThatHasNothingOfIt) {
  void* const library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
  ASSERT_NE(library, nullptr) << dlerror();
  EXPECT_NE(dlsym(library, "seawall_log_open"), nullptr);
  EXPECT_EQ(dlsym(library, "_ZN7seawall3Log4OpenE"), nullptr);
}

TEST(SharedLibraryTest, PythonKeepsAJournal) {
  const seawall::TempDir parent;
  const std::string program =
      std::string("python3 examples/ctypes_journal.py --library ") + kLibrary;
  const std::string journal = program + " '" + (parent / "journal") + "'";
  const std::string first = OutputOf(journal + " one 'two words'");
  EXPECT_EQ(first.rfind("opened: created", 0), 0U) << first;
  EXPECT_NE(first.find("\n1: one\n2: two words\n"), std::string::npos) << first;
  EXPECT_NE(first.find("1 is on stable storage\n"), std::string::npos) << first;
  EXPECT_NE(first.find("2 is on stable storage\n"), std::string::npos) << first;
  const std::string second = OutputOf(journal + " three");
  EXPECT_EQ(second.rfind("opened: clean", 0), 0U) << second;
  EXPECT_NE(second.find("\n1: one\n2: two words\n3: three\n"), std::string::npos) << second;
  const std::string nowhere = OutputOf("! " + program + " '" + (parent / "no/where") + "' 2>&1");
  EXPECT_EQ(nowhere.rfind("ctypes_journal: NOT_FOUND: ", 0), 0U) << nowhere;
}

}  // namespace
