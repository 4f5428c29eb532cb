// SPDX-License-Identifier: Apache-2.0
#include "absl/strings/str_cat.h"
#include "bench/plots.h"
#include "bench/report.h"
#include "bench/svg.h"

namespace seawall::bench {
namespace {

constexpr const char kHead[] = R"(<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Seawall beside other logs</title>
<style>
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1c2024; --faint: #6a737d; --line: #e1e5ea; --mark: #eaf2fd;
  --series-0: #0b62d6; --series-1: #d1495b; --series-2: #8f2d56; --series-3: #c77800;
  --series-4: #6b8e23; --series-5: #17897d; --series-6: #7b5ea7; --series-7: #8a5a2b;
  --series-8: #118a3c; --series-9: #c2339b;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14171a; --ink: #e4e7ea; --faint: #99a2ab; --line: #2f353b; --mark: #1b2b40;
    --series-0: #5aa7ff; --series-1: #ff7b8a; --series-2: #d887b0; --series-3: #ffb347;
    --series-4: #b5d15f; --series-5: #5fd3c4; --series-6: #b79ce6; --series-7: #d9a06b;
    --series-8: #5fd080; --series-9: #f08ad6;
  }
}
body { margin: 2rem auto; padding: 0 1rem; max-width: 76rem; background: var(--paper);
       color: var(--ink); font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .4rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .87rem; }
td, th { padding: .15rem .7rem; text-align: right; white-space: nowrap; }
th { color: var(--faint); font-weight: normal; border-bottom: 1px solid var(--line); }
td:first-child, th:first-child { text-align: left; padding-left: .3rem; }
tr.seawall td { background: var(--mark); font-weight: 600; }
tr.floor td { color: var(--faint); }
.plots { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }
figure { margin: 0; min-width: 0; } figcaption { font-weight: 600; margin-bottom: .3rem; }
svg { width: 100%; height: auto; font-family: system-ui, sans-serif; }
.scroll { overflow-x: auto; }
.error { color: #c62828; }
</style>
)";

std::string Html(const Table& table) {
  std::string html =
      absl::StrCat("<h2>", Escape(table.title), "</h2>\n<div class=\"scroll\"><table>\n<tr>");
  for (const std::string& column : table.columns) {
    absl::StrAppend(&html, "<th>", Escape(column), "</th>");
  }
  html += "</tr>\n";
  for (const Table::Row& row : table.rows) {
    html += row.seawall ? "<tr class=\"seawall\">" : row.floor ? "<tr class=\"floor\">" : "<tr>";
    for (const std::string& cell : row.cells) absl::StrAppend(&html, "<td>", Escape(cell), "</td>");
    html += "</tr>\n";
  }
  return html + "</table></div>\n";
}

std::string PeersTable(const Results& results) {
  std::string html = "<h2>What was compared</h2>\n<div class=\"scroll\"><table>\n";
  for (const PeerInfo& info : results.peers()) {
    absl::StrAppend(&html, "<tr><td>", Escape(info.title), "</td><td>", Escape(info.version),
                    "</td><td style=\"text-align:left;white-space:normal\">", Escape(info.notes),
                    "</td></tr>\n");
  }
  return html + "</table></div>\n";
}

}  // namespace

std::string HtmlReport(const Results& results, const Environment& environment) {
  std::string html = absl::StrCat(kHead, "<h1>Seawall beside other logs</h1>\n<p>");
  for (const auto& [name, value] : environment) {
    absl::StrAppend(&html, Escape(name), ": ", Escape(value), "<br>\n");
  }
  html += "</p>\n";
  for (const std::string& error : results.Errors()) {
    absl::StrAppend(&html, "<p class=\"error\">FAILED: ", Escape(error), "</p>\n");
  }
  html += "<div class=\"plots\">\n";
  for (const LinePlot& plot : LinePlots(results)) html += ToSvg(plot);
  for (const BarPlot& plot : BarPlots(results)) html += ToSvg(plot);
  html += "</div>\n";
  for (const Table& table : OverviewTables(results)) html += Html(table);
  html += PeersTable(results);
  html += "<details><summary>All figures</summary>\n";
  for (const Table& table : DetailTables(results)) html += Html(table);
  return html + "</details>\n</html>\n";
}

}  // namespace seawall::bench
