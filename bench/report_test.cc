// SPDX-License-Identifier: Apache-2.0
// The reports of bench/compare, from results that are made up here.
#include "bench/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "bench/plots.h"
#include "bench/results.h"
#include "bench/svg.h"

namespace seawall::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

const Point kOne{Workload::kCommit, 1, 128};
const Point kEight{Workload::kCommit, 8, 128};

PeerInfo Info(const std::string& name, bool floor = false) {
  PeerInfo info;
  info.name = name;
  info.title = "the " + name;
  info.floor = floor;
  return info;
}

Results::Run Speed(double records_per_second, double p50 = 50) {
  Results::Run run;
  run.metrics[kRecordsPerSecond] = records_per_second;
  run.metrics[kP50Micros] = p50;
  return run;
}

Results::Run Failure(const std::string& error) {
  Results::Run run;
  run.error = error;
  return run;
}

// A floor that is twice as fast as Seawall, and two peers of which one lost something.
Results Sample() {
  Results results(
      {Info("floor", true), Info("seawall"), Info("slow"), Info("fast"), Info("lossy")});
  for (double noise : {0.0, 10.0, -10.0}) {
    results.Add("floor", kOne, Speed(2000 + noise));
    results.Add("seawall", kOne, Speed(1000 + noise, 40));
    results.Add("slow", kOne, Speed(100 + noise));
    results.Add("fast", kOne, Speed(500 + noise));
    results.Add("seawall", kEight, Speed(8000 + noise));
    results.Add("fast", kEight, Speed(1000 + noise));
  }
  results.Add("lossy", kOne, Speed(9000));
  results.Add("lossy", kOne, Failure("lost <7> records"));
  return results;
}

// The cells of the row that begins with `title`.
std::vector<std::string> Row(const Table& table, const std::string& title) {
  for (const Table::Row& row : table.rows) {
    if (row.cells.front() == title) return {row.cells.begin() + 1, row.cells.end()};
  }
  return {};
}

TEST(MedianTest, IsTheMiddleOrTheMeanOfTheTwoInTheMiddle) {
  EXPECT_EQ(Median({3, 1, 2}), 2);
  EXPECT_EQ(Median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(Median({7}), 7);
}

TEST(ResultsTest, AFailedRunTakesTheFigureAway) {
  const Results results = Sample();
  EXPECT_EQ(results.MedianOf("seawall", kOne, kRecordsPerSecond), 1000);
  EXPECT_EQ(results.MedianOf("lossy", kOne, kRecordsPerSecond), std::nullopt);
  EXPECT_THAT(results.Errors(),
              ElementsAre("the lossy, commit, 128 B, 1 thread: lost <7> records"));
}

TEST(ResultsTest, TheBestPeerIsNeitherSeawallNorAFloorNorAFailedOne) {
  const Results results = Sample();
  ASSERT_NE(results.BestPeerAt(kOne), nullptr);
  EXPECT_EQ(results.BestPeerAt(kOne)->name, "fast");
  EXPECT_EQ(results.FloorAt(kOne)->name, "floor");
  EXPECT_EQ(results.FloorAt(kEight), nullptr);
}

TEST(ResultsTest, RangeIsOfAllRuns) {
  EXPECT_THAT(*Sample().RangeOf("slow", kOne, kRecordsPerSecond), Pair(90, 110));
}

TEST(TablesTest, OverviewHasSpeedsAndRatios) {
  const std::vector<Table> tables = OverviewTables(Sample());
  ASSERT_THAT(tables, SizeIs(1));
  EXPECT_THAT(tables[0].columns, ElementsAre("", "1 thread", "8 threads"));
  EXPECT_THAT(Row(tables[0], "the seawall"), ElementsAre("1,000", "8,000"));
  EXPECT_THAT(Row(tables[0], "the lossy"), ElementsAre("FAILED", "-"));
  EXPECT_THAT(Row(tables[0], "Seawall / floor"), ElementsAre("0.50", "-"));
  EXPECT_THAT(Row(tables[0], "Seawall / best peer"), ElementsAre("2.00", "8.00"));
  EXPECT_THAT(Row(tables[0], "best peer"), ElementsAre("fast", "fast"));
}

TEST(TablesTest, DetailsHaveTheMetricsThatThereAre) {
  const std::vector<Table> tables = DetailTables(Sample());
  ASSERT_THAT(tables, SizeIs(2));
  EXPECT_THAT(tables[0].columns,
              ElementsAre("", "records/s", "least..most", "/ floor", "/ best", "p50 us"));
  EXPECT_THAT(Row(tables[0], "the seawall"),
              ElementsAre("1,000", "990..1,010", "0.50", "2.00", "40.0"));
}

TEST(TextReportTest, AlignsColumnsAndNamesWhatFailed) {
  const std::string text = TextReport(Sample(), {{"kernel", "Linux 6"}});
  EXPECT_THAT(text, HasSubstr("kernel       Linux 6\n"));
  EXPECT_THAT(text, HasSubstr("                        1 thread   8 threads\n"
                              "  the floor                2,000           -\n"
                              "  the seawall              1,000       8,000\n"));
  EXPECT_THAT(text, HasSubstr("  the lossy, commit, 128 B, 1 thread: lost <7> records\n"));
}

TEST(JsonReportTest, HasMediansAndAllRounds) {
  const auto json = nlohmann::json::parse(JsonReport(Sample(), {{"kernel", "Linux 6"}}));
  EXPECT_EQ(json["environment"]["kernel"], "Linux 6");
  EXPECT_THAT(json["peers"], SizeIs(5));
  const auto& floor = json["results"][0];
  EXPECT_EQ(floor["workload"], "commit");
  EXPECT_EQ(floor["record_bytes"], 128);
  EXPECT_EQ(floor["threads"], 1);
  EXPECT_EQ(floor["peer"], "floor");
  EXPECT_EQ(floor["best_peer"], "fast");
  EXPECT_EQ(floor["medians"]["records_per_second"], 2000);
  EXPECT_THAT(floor["rounds"], SizeIs(3));
  EXPECT_EQ(floor["rounds"][1]["records_per_second"], 2010);
  const auto& lossy = json["results"][4];
  EXPECT_TRUE(lossy["medians"].empty());
  EXPECT_EQ(lossy["rounds"][1]["error"], "lost <7> records");
}

TEST(HtmlReportTest, IsOnePageThatLoadsNothing) {
  const std::string html = HtmlReport(Sample(), {{"kernel", "a & b"}});
  EXPECT_THAT(html, HasSubstr("<!doctype html>"));
  EXPECT_THAT(html, HasSubstr("a &amp; b"));
  EXPECT_THAT(html, HasSubstr("lost &lt;7&gt; records"));
  EXPECT_THAT(html, HasSubstr("<svg"));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
  for (const char* outside : {"http:", "https:", "<script", "<link", "<img", "@import", "url("}) {
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  }
  // Every colour that is used is one that the page defines.
  for (int color = 0; color < kSeriesColors; ++color) {
    EXPECT_THAT(html, HasSubstr("--series-" + std::to_string(color) + ": #"));
  }
}

TEST(PlotsTest, LinesHaveAPointWhereThereIsAResult) {
  const std::vector<LinePlot> plots = LinePlots(Sample());
  ASSERT_FALSE(plots.empty());
  const LinePlot& speed = plots[0];
  EXPECT_EQ(speed.title, "Durable commits per second, 128 B");
  EXPECT_THAT(speed.x_ticks, ElementsAre(Pair(1, "1"), Pair(8, "8")));
  ASSERT_THAT(speed.series, SizeIs(4));  // not the one that failed
  EXPECT_EQ(speed.series[0].name, "the floor");
  EXPECT_LT(speed.series[0].style.color, 0);
  EXPECT_EQ(speed.series[1].name, "the seawall");
  EXPECT_TRUE(speed.series[1].style.bold);
  EXPECT_THAT(speed.series[1].points, ElementsAre(Pair(1, 1000), Pair(8, 8000)));
}

TEST(PlotsTest, AppendIsInBytesOverSizes) {
  Results results({Info("seawall")});
  results.Add("seawall", {Workload::kAppend, 2, 64}, Speed(1000));
  results.Add("seawall", {Workload::kAppend, 2, 1024}, Speed(500));
  const std::vector<LinePlot> plots = LinePlots(results);
  ASSERT_THAT(plots, SizeIs(1));
  EXPECT_THAT(plots[0].series[0].points, ElementsAre(Pair(64, 64000), Pair(1024, 512000)));
}

TEST(PlotsTest, ReplayAndAsyncAreBars) {
  Results results({Info("floor", true), Info("seawall")});
  results.Add("seawall", {Workload::kReplay, 1, 128}, Speed(40e6));
  results.Add("floor", {Workload::kReplay, 1, 128}, Speed(50e6));
  results.Add("seawall", {Workload::kAsync, 512, 128}, Speed(1e6));
  const std::vector<BarPlot> plots = BarPlots(results);
  ASSERT_THAT(plots, SizeIs(2));
  EXPECT_EQ(plots[0].title, "Records read per second, warm, 128 B");
  ASSERT_THAT(plots[0].bars, SizeIs(2));
  EXPECT_EQ(plots[0].bars[1].value, 40e6);
  EXPECT_THAT(plots[1].title, HasSubstr("512 waiting threads"));
}

TEST(SvgTest, PlacesPointsOnLogarithmicAxes) {
  LinePlot plot;
  plot.x_ticks = {{1, "1"}, {10, "10"}, {100, "100"}};
  plot.series = {{"line", {0, true}, {{1, 100}, {10, 1000}, {100, 10000}}}};
  const std::string svg = ToSvg(plot);
  // The ends of both axes, and the middle between.
  EXPECT_THAT(svg, HasSubstr("d=\"M64.0 338.0L251.0 176.0L438.0 14.0\""));
  EXPECT_THAT(svg, HasSubstr("<title>line: 1,000</title>"));
  EXPECT_THAT(svg, HasSubstr("var(--series-0)"));
}

TEST(SvgTest, APlotOfNothingIsNothingAndOneOfOnePointIsInTheMiddle) {
  LinePlot plot;
  EXPECT_EQ(ToSvg(plot), "");
  EXPECT_EQ(ToSvg(BarPlot()), "");
  plot.x_ticks = {{8, "8"}};
  plot.series = {{"line", {}, {{8, 300}}}};
  EXPECT_THAT(ToSvg(plot), HasSubstr("d=\"M251.0 "));
}

TEST(SvgTest, LabelsOfLinesThatEndTogetherLieApart) {
  LinePlot plot;
  plot.x_ticks = {{1, "1"}, {2, "2"}};
  for (const char* name : {"a", "b", "c"}) plot.series.push_back({name, {1, false}, {{2, 20}}});
  for (const char* name : {"d", "e"}) plot.series.push_back({name, {1, false}, {{2, 10}}});
  const std::string svg = ToSvg(plot);
  for (const char* text :
       {"y=\"18.0\" text-anchor=\"start\" fill=\"var(--ink)\" font-size=\"12\">a<",
        "y=\"33.0\" text-anchor=\"start\" fill=\"var(--ink)\" font-size=\"12\">b<",
        "y=\"48.0\" text-anchor=\"start\" fill=\"var(--ink)\" font-size=\"12\">c<",
        // Above the lower edge.
        "y=\"327.0\" text-anchor=\"start\" fill=\"var(--ink)\" font-size=\"12\">d<",
        "y=\"342.0\" text-anchor=\"start\" fill=\"var(--ink)\" font-size=\"12\">e<"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
}

TEST(NumberTest, IsShort) {
  EXPECT_EQ(Number(0.5), "0.50");
  EXPECT_EQ(Number(12.34), "12.3");
  EXPECT_EQ(Number(999), "999");
  EXPECT_EQ(Number(1234567), "1,234,567");
  EXPECT_EQ(ShortNumber(20000), "20k");
  EXPECT_EQ(SizeName(1 << 20), "1 MiB");
  EXPECT_EQ(SizeName(16384), "16 KiB");
  EXPECT_EQ(SizeName(1000), "1000 B");
}

}  // namespace
}  // namespace seawall::bench
