// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "bench/report.h"

namespace seawall::bench {
namespace {

std::string Pad(const std::string& text, size_t width, bool left) {
  const std::string space(width - std::min(width, text.size()), ' ');
  return left ? text + space : space + text;
}

std::string Text(const Table& table) {
  std::vector<size_t> widths;
  for (const std::string& column : table.columns) widths.push_back(column.size());
  for (const Table::Row& row : table.rows) {
    for (size_t i = 0; i < row.cells.size(); ++i)
      widths[i] = std::max(widths[i], row.cells[i].size());
  }
  auto line = [&widths](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t i = 0; i < cells.size(); ++i) {
      absl::StrAppend(&text, i == 0 ? "  " : "   ", Pad(cells[i], widths[i], i == 0));
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text + "\n";
  };
  std::string text = absl::StrCat(table.title, "\n", line(table.columns));
  for (const Table::Row& row : table.rows) text += line(row.cells);
  return text + "\n";
}

}  // namespace

std::string TextReport(const Results& results, const Environment& environment) {
  std::string text;
  for (const auto& [name, value] : environment) {
    absl::StrAppend(&text, Pad(name, 12, true), " ", value, "\n");
  }
  text += "\nPeers\n";
  size_t width = 0;
  for (const PeerInfo& info : results.peers()) width = std::max(width, info.title.size());
  for (const PeerInfo& info : results.peers()) {
    absl::StrAppend(&text, "  ", Pad(info.title, width, true), "  ",
                    info.version.empty() ? "" : info.version + "; ", info.notes, "\n");
  }
  text += "\n";
  for (const Table& table : DetailTables(results)) text += Text(table);
  for (const Table& table : OverviewTables(results)) text += Text(table);
  text +=
      "Medians over the rounds. Differences under 15% are ties.\n"
      "slowest, fastest: the thread with the fewest and with the most records, of the mean.\n"
      "CPU us, switches: of the whole process, per record. disk B: all that the disk wrote "
      "meanwhile, per record.\n";
  const std::vector<std::string> errors = results.Errors();
  if (!errors.empty()) text += "\nRuns that failed, or that did not do what they acknowledged:\n";
  for (const std::string& error : errors) absl::StrAppend(&text, "  ", error, "\n");
  return text;
}

}  // namespace seawall::bench
