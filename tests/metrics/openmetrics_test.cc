// SPDX-License-Identifier: Apache-2.0
// The text is valid, by a parser written from the specification
// (tests/metrics/openmetrics_check.py), and says what Stats says.
#include "seawall/openmetrics.h"

#include <cstdio>
#include <cstring>
#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// As JSON, once it is found valid.
json Parse(const TempDir& directory, const std::string& text) {
  const std::string path = directory / "metrics";
  WriteFile(path, text);
  FILE* pipe = popen(("python3 tests/metrics/openmetrics_check.py <" + path).c_str(), "r");
  EXPECT_NE(pipe, nullptr);
  std::string out(1 << 20, '\0');
  out.resize(std::fread(out.data(), 1, out.size(), pipe));
  EXPECT_EQ(pclose(pipe), 0) << text;
  return json::parse(out, nullptr, /*allow_exceptions=*/false);
}

// The value of the sample of this name with these labels.
double Value(const json& families, const std::string& family, const std::string& sample,
             const json& labels = json::object()) {
  for (const json& s : families.at(family).at("samples")) {
    if (s[0] == sample && s[1] == labels) return s[2].get<double>();
  }
  ADD_FAILURE() << "no " << sample << labels;
  return -1;
}

TEST(OpenMetricsTest, TheCheckerRefusesWhatIsWrong) {
  EXPECT_EQ(std::system("python3 tests/metrics/openmetrics_check.py --self-test"), 0);
}

TEST(OpenMetricsTest, EmptyStatsAreValid) {
  TempDir directory;
  const json families = Parse(directory, OpenMetricsText(Stats()));
  EXPECT_EQ(Value(families, "seawall_failed", "seawall_failed"), 0);
  EXPECT_EQ(Value(families, "seawall_sync_seconds", "seawall_sync_seconds_count"), 0);
}

TEST(OpenMetricsTest, SaysWhatStatsSay) {
  TempDir directory;
  auto log = Log::Open(directory / "log", Options());
  ASSERT_TRUE(log.ok()) << log.status();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE((*log)->AppendDurable("12345").ok());
  ASSERT_TRUE((*log)->Append("12345").ok());
  Stats stats = (*log)->stats();
  stats.sync_in_flight_micros = 1500000;
  stats.failed = true;
  const json families = Parse(directory, OpenMetricsText(stats));
  EXPECT_EQ(Value(families, "seawall_appended_lsn", "seawall_appended_lsn"), 21);
  EXPECT_EQ(Value(families, "seawall_durable_lsn", "seawall_durable_lsn"), 20);
  EXPECT_EQ(
      Value(families, "seawall_appended_payload_bytes", "seawall_appended_payload_bytes_total"),
      105);
  EXPECT_EQ(Value(families, "seawall_syncs", "seawall_syncs_total"), 20);
  EXPECT_EQ(Value(families, "seawall_failed", "seawall_failed"), 1);
  EXPECT_EQ(Value(families, "seawall_sync_in_flight_seconds", "seawall_sync_in_flight_seconds"),
            1.5);
  EXPECT_EQ(families["seawall_sync_seconds"]["unit"], "seconds");
  EXPECT_EQ(families["seawall_sync_seconds"]["type"], "histogram");
  EXPECT_EQ(Value(families, "seawall_sync_seconds", "seawall_sync_seconds_count"), 20);
  EXPECT_EQ(Value(families, "seawall_sync_seconds", "seawall_sync_seconds_sum"),
            static_cast<double>(stats.sync_nanos.sum()) / 1e9);
  EXPECT_EQ(
      Value(families, "seawall_group_records", "seawall_group_records_bucket", {{"le", "1.0"}}),
      20);
}

// Each field has a value of its own, and that is somewhere in the text: so one that is added to
// Stats, in front of the histograms, is not forgotten here.
TEST(OpenMetricsTest, SaysEveryField) {
  TempDir directory;
  Stats stats;
  char* const begin = reinterpret_cast<char*>(&stats);
  const auto offset = [&](const void* field) {
    return static_cast<size_t>(static_cast<const char*>(field) - begin);
  };
  std::set<double> wanted;
  for (size_t at = 0; at < offset(&stats.group_records); at += sizeof(uint64_t)) {
    if (at == offset(&stats.failed) / sizeof(uint64_t) * sizeof(uint64_t)) continue;
    const bool micros =
        at == offset(&stats.write_in_flight_micros) || at == offset(&stats.sync_in_flight_micros);
    const uint64_t value = 1000000 * (at + 1);
    std::memcpy(begin + at, &value, sizeof(value));
    wanted.insert(static_cast<double>(micros ? at + 1 : value));
  }
  ASSERT_GT(wanted.size(), 25u);
  const json families = Parse(directory, OpenMetricsText(stats));
  for (const json& family : families) {
    for (const json& sample : family.at("samples")) wanted.erase(sample[2].get<double>());
  }
  EXPECT_THAT(wanted, ::testing::IsEmpty());
}

// What lies between two ends of buckets is told there, exactly.
TEST(OpenMetricsTest, BucketsEndWhereTheySay) {
  TempDir directory;
  Stats stats;
  for (uint64_t nanos : {127, 128, 191, 192, 255, 256}) stats.sync_nanos.Add(nanos);
  const json families = Parse(directory, OpenMetricsText(stats));
  const auto up_to = [&](const char* le) {
    return Value(families, "seawall_sync_seconds", "seawall_sync_seconds_bucket", {{"le", le}});
  };
  EXPECT_EQ(up_to("1.27e-07"), 1);
  EXPECT_EQ(up_to("1.91e-07"), 3);
  EXPECT_EQ(up_to("2.55e-07"), 5);
  EXPECT_EQ(up_to("3.83e-07"), 6);
  EXPECT_EQ(up_to("34.359738367"), 6);
}

TEST(OpenMetricsTest, SeveralLogsAreOneExposition) {
  TempDir directory;
  Stats first, second;
  first.durable_lsn = 1;
  second.durable_lsn = 2;
  const json families =
      Parse(directory, OpenMetricsText({{{{"log", "a"}}, first}, {{{"log", "b"}}, second}}));
  EXPECT_EQ(Value(families, "seawall_durable_lsn", "seawall_durable_lsn", {{"log", "a"}}), 1);
  EXPECT_EQ(Value(families, "seawall_durable_lsn", "seawall_durable_lsn", {{"log", "b"}}), 2);
}

TEST(OpenMetricsTest, AnyLabelMakesValidText) {
  TempDir directory;
  const MetricLabels labels = {{"9 lives", "a\\b\"c\nd"},
                               {"path", "/t\xc3\xa4st/\xff\xc3/\xed\xa0\x80"}};
  const json families = Parse(directory, OpenMetricsText(Stats(), labels));
  EXPECT_EQ(Value(families, "seawall_failed", "seawall_failed",
                  {{"_lives", "a\\b\"c\nd"}, {"path", "/t\xc3\xa4st/?\?/?\?\?"}}),
            0);
}

}  // namespace
}  // namespace seawall
