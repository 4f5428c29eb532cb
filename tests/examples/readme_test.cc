// SPDX-License-Identifier: Apache-2.0
// What README.md shows is what compiles and runs.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

// The first block of this language.
std::string CodeBlock(const std::string& markdown, const std::string& language) {
  const std::string fence = "\n```" + language + "\n";
  const size_t begin = markdown.find(fence);
  if (begin == std::string::npos) return "";
  const size_t end = markdown.find("\n```\n", begin + fence.size());
  if (end == std::string::npos) return "";
  return markdown.substr(begin + fence.size(), end + 1 - begin - fence.size());
}

// examples/hello.cc without its licence line.
std::string Example() {
  const std::string source = ReadFile("examples/hello.cc");
  EXPECT_EQ(source.find("// SPDX-License-Identifier: "), 0u);
  return source.substr(source.find('\n') + 1);
}

// Runs a command; its output, or "" if it failed.
std::string OutputOf(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string output;
  char bytes[4096];
  for (size_t got; (got = fread(bytes, 1, sizeof(bytes), pipe)) > 0;) output.append(bytes, got);
  return pclose(pipe) == 0 ? output : "";
}

TEST(ReadmeTest, ShowsTheExampleThatIsCompiled) {
  EXPECT_EQ(CodeBlock(ReadFile("README.md"), "cpp"), Example())
      << "README.md's first cpp block and examples/hello.cc must be the same";
}

TEST(ReadmeTest, TheExampleFitsOnOneScreen) {
  const std::string example = Example();
  EXPECT_LE(std::count(example.begin(), example.end(), '\n'), 30);
}

TEST(ReadmeTest, NamesTheTwoCommandsFirst) {
  const std::string readme = ReadFile("README.md");
  const size_t demo = readme.find("./tools/demo");
  const size_t test = readme.find("./tools/test");
  ASSERT_NE(demo, std::string::npos);
  ASSERT_NE(test, std::string::npos);
  EXPECT_LE(std::count(readme.begin(), readme.begin() + static_cast<long>(test), '\n'), 10);
  EXPECT_LT(demo, test);
}

TEST(ReadmeTest, TheExampleKeepsItsRecords) {
  const std::string command =
      "examples/hello '" + ::testing::TempDir() + "/hello" + std::to_string(getpid()) + "'";
  const std::string first = OutputOf(command);
  EXPECT_NE(first.find("opened: created"), std::string::npos) << first;
  EXPECT_NE(first.find("\n1: transfer 5 from alice to bob\n"), std::string::npos) << first;
  const std::string second = OutputOf(command);
  EXPECT_NE(second.find("opened: clean"), std::string::npos) << second;
  EXPECT_NE(second.find("\n2: transfer 5 from alice to bob\n"), std::string::npos) << second;
  EXPECT_EQ(OutputOf("examples/hello 2>&1"), "");
}

}  // namespace
