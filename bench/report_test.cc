// SPDX-License-Identifier: Apache-2.0
// What bench/report makes of a result: one that is made up here, and one of a real comparison.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// A floor that is twice as fast as Seawall, and peers of which one lost something.
constexpr char kSample[] = R"({
  "environment": {"machine": "two cores", "date": "today"},
  "peers": [
    {"name": "floor", "title": "the floor", "version": "", "notes": "a loop", "floor": true},
    {"name": "seawall", "title": "Seawall", "version": "", "notes": "ours", "floor": false},
    {"name": "slow", "title": "Slow", "version": "1.2", "notes": "a log", "floor": false},
    {"name": "fast", "title": "Fast_2", "version": "3", "notes": "a log", "floor": false},
    {"name": "lossy", "title": "Lossy", "version": "3", "notes": "a log", "floor": false}],
  "runs": [)";

std::string Run(const std::string& workload, int bytes, int threads, const std::string& peer,
                const std::string& figures) {
  return absl::StrCat("{\"workload\": \"", workload, "\", \"record_bytes\": ", bytes,
                      ", \"threads\": ", threads, ", \"peer\": \"", peer, "\", ", figures, "}");
}

std::string Rate(double rate, int p50 = 50) {
  return absl::StrCat("\"records_per_second\": ", rate, ", \"p50_micros\": ", p50);
}

std::string Sample() {
  std::string runs;
  for (int noise : {0, 10, -10}) {
    absl::StrAppend(&runs, Run("commit", 128, 8, "seawall", Rate(8000 + noise)), ",\n",
                    Run("commit", 128, 1, "floor", Rate(2000 + noise)), ",\n",
                    Run("commit", 128, 1, "seawall", Rate(1000 + noise, 40)), ",\n",
                    Run("commit", 128, 1, "slow", Rate(100 + noise)), ",\n",
                    Run("commit", 128, 1, "fast", Rate(500 + noise)), ",\n",
                    Run("commit", 128, 8, "fast", Rate(1000 + noise)), ",\n");
  }
  absl::StrAppend(&runs, Run("commit", 128, 1, "lossy", Rate(9000)), ",\n",
                  Run("commit", 128, 1, "lossy", "\"error\": \"lost <7> records\""), ",\n",
                  Run("append", 64, 2, "seawall", Rate(1000)), ",\n",
                  Run("append", 1024, 2, "seawall", Rate(500)), ",\n",
                  Run("replay", 16384, 1, "seawall", Rate(4400)), ",\n",
                  Run("replay", 16384, 1, "seawall", Rate(4600)));
  return absl::StrCat(kSample, runs, "]}\n");
}

// What a command prints to both; it must succeed.
std::string OutputOf(const std::string& command) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return "";
  std::string output;
  char bytes[4096];
  for (size_t got; (got = fread(bytes, 1, sizeof(bytes), pipe)) > 0;) output.append(bytes, got);
  EXPECT_EQ(pclose(pipe), 0) << command << "\n" << output;
  return output;
}

std::string InTempDir(const std::string& name) { return ::testing::TempDir() + name; }

// bench/report of the sample.
std::string Report(const std::string& arguments) {
  const std::string path = InTempDir("sample.json");
  std::ofstream(path) << Sample();
  return OutputOf(absl::StrCat("bench/report ", arguments, " ", path));
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return bytes.str();
}

TEST(ReportTest, OverviewHasMediansAndRatiosToTheFloorAndTheBestPeer) {
  // Lossy has the highest figure, and no result: one of its runs failed.
  EXPECT_THAT(Report(""), HasSubstr("Durable commits per second, 128 B\n"
                                    "                        1 thread   8 threads\n"
                                    "  the floor                2,000           -\n"
                                    "  Seawall                  1,000       8,000\n"
                                    "  Slow                       100           -\n"
                                    "  Fast_2                     500       1,000\n"
                                    "  Lossy                   FAILED           -\n"
                                    "  Seawall / floor           0.50           -\n"
                                    "  Seawall / best peer       2.00        8.00\n"
                                    "  best peer                 fast        fast\n"));
}

TEST(ReportTest, DetailsHaveTheRangeAndTheMetricsThatThereAre) {
  const std::string text = Report("");
  EXPECT_THAT(text,
              HasSubstr("commit, 128 B, 1 thread\n"
                        "              records/s    least..most   / floor   / best   p50 us\n"
                        "  the floor       2,000   1,990..2,010      1.00     4.00     50.0\n"
                        "  Seawall         1,000     990..1,010      0.50     2.00     40.0\n"
                        "  Slow              100      90.0..110      0.05     0.20     50.0\n"));
  EXPECT_THAT(text, HasSubstr("replay, 16 KiB, 1 thread\n"));
  EXPECT_THAT(text, HasSubstr("  Seawall       4,500   4,400..4,600"));
}

TEST(ReportTest, NamesWhereAndWhatAndEachFailure) {
  const std::string text = Report("");
  EXPECT_THAT(text, HasSubstr("- machine: two cores\n"));
  EXPECT_THAT(text, HasSubstr("- Seawall: ours\n- Slow: 1.2; a log\n"));
  EXPECT_THAT(text, HasSubstr("\n- Lossy, commit, 128 B, 1 thread: lost <7> records\n"));
}

TEST(ReportTest, MarkdownHasTheSameCells) {
  EXPECT_THAT(Report("--markdown"), HasSubstr("**Durable commits per second, 128 B**\n\n"
                                              "|  | 1 thread | 8 threads |\n"
                                              "|---|--:|--:|\n"
                                              "| the floor | 2,000 | - |\n"
                                              "| Seawall | 1,000 | 8,000 |\n"));
}

TEST(ReportTest, DrawsEachPanelForLightAndDark) {
  EXPECT_EQ(Report("--svg"),
            absl::StrCat(InTempDir("sample.svg"), "\n", InTempDir("sample-dark.svg"), "\n"));
  const std::string light = ReadFile(InTempDir("sample.svg"));
  const std::string dark = ReadFile(InTempDir("sample-dark.svg"));
  for (const std::string& svg : {light, dark}) {
    for (const char* text :
         {"Durable commits per second, 128 B", "Commit latency, median, us, 128 B",
          "Bytes appended per second, without waiting, 2 threads", "1 KiB", "1M<",
          "Records read per second, 16 KiB, 1 thread", ">4,500<", "two cores", ">the floor<",
          ">Fast_2<"}) {
      EXPECT_THAT(svg, HasSubstr(text));
    }
    EXPECT_THAT(svg, Not(HasSubstr("Lossy")));
    EXPECT_THAT(svg, Not(HasSubstr("99th")));  // nothing has it
  }
  EXPECT_THAT(light, HasSubstr("#ffffff"));
  EXPECT_THAT(dark, HasSubstr("#14171a"));
}

TEST(ReportTest, AComparisonThatRan) {
  const std::string path = InTempDir("smoke.json");
  const std::string ran = OutputOf("bench/compare_smoke --smoke --json=" + path);
  EXPECT_THAT(ran, HasSubstr("\n" + path + "\n"));
  const std::string text = OutputOf("bench/report " + path);
  for (const char* title : {"commit, 128 B, 4 threads", "append, 16 KiB, 1 thread",
                            "replay, 128 B, 1 thread", "async, 128 B, callbacks"}) {
    EXPECT_THAT(text, HasSubstr(title));
  }
  EXPECT_THAT(text, HasSubstr("\n  Seawall "));
  EXPECT_THAT(text, HasSubstr("p99.9 us"));
  EXPECT_THAT(text, Not(HasSubstr("FAILED")));
  OutputOf("bench/report --png " + path);
  EXPECT_EQ(ReadFile(InTempDir("smoke.png")).substr(1, 3), "PNG");
}

}  // namespace
