// SPDX-License-Identifier: Apache-2.0
// Small logs for the `seawall` program, and what it says of them as JSON.
#ifndef SEAWALL_TESTS_TOOL_TOOL_FIXTURE_H_
#define SEAWALL_TESTS_TOOL_TOOL_FIXTURE_H_

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/tool/tool_test_util.h"

namespace seawall {

inline std::vector<nlohmann::json> ParseLines(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

inline std::vector<nlohmann::json> OfType(const std::string& text, const std::string& type) {
  std::vector<nlohmann::json> found;
  for (const nlohmann::json& line : ParseLines(text)) {
    if (line["type"] == type) found.push_back(line);
  }
  return found;
}

class ToolTest : public ::testing::Test {
 protected:
  Outcome Append(const std::string& input, std::vector<std::string> flags = {}) {
    return RunAppend(log_, input, std::move(flags));
  }

  // Closed logs with one record a group: "record 1\n" ... in segments of 16 KiB, and in one.
  void MakeLog(int records, bool small_segments = false) {
    std::string input;
    for (int i = 1; i <= records; ++i) input += "record " + std::to_string(i) + "\n";
    std::vector<std::string> flags = {"--durable=each"};
    if (small_segments) flags.push_back("--segment_bytes=16384");
    const Outcome outcome = Append(input, flags);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }

  std::string Segment(int generation) const { return log_ + "/" + SegmentFile(generation); }

  const ScratchDirectory scratch_;
  const std::string log_ = scratch_.path("log");
};

}  // namespace seawall

#endif  // SEAWALL_TESTS_TOOL_TOOL_FIXTURE_H_
