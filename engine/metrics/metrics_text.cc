// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics/metrics_text.h"

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/utf8.h"

namespace seawall {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

// The fewest digits that give the same number back, as Go's %g, and "1.0" for 1.
std::string Number(double value) {
  std::string text;
  for (int digits = 1; digits <= 17; ++digits) {
    text = absl::StrFormat("%.*g", digits, value);
    if (std::strtod(text.c_str(), nullptr) == value) break;
  }
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string LabelName(std::string_view name) {
  std::string good;
  for (char c : name) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool digit = c >= '0' && c <= '9';
    if (letter || (digit && !good.empty())) {
      good += c;
    } else if (good != "_") {  // names that begin with two are reserved
      good += '_';
    }
  }
  return good.empty() || good == "le" ? "_" + good : good;
}

std::string Escaped(std::string_view value) {
  std::string text;
  while (!value.empty()) {
    const size_t bytes = Utf8CharacterBytes(value);
    if (bytes == 0) {
      text += '?';
    } else if (value[0] == '\n') {
      text += "\\n";
    } else if (value[0] == '"' || value[0] == '\\') {
      text += '\\';
      text += value[0];
    } else {
      text.append(value.substr(0, bytes));
    }
    value.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return text;
}

const char* TypeName(MetricsText::Type type) {
  switch (type) {
    case MetricsText::Type::kCounter:
      return "counter";
    case MetricsText::Type::kGauge:
      return "gauge";
    case MetricsText::Type::kHistogram:
      return "histogram";
  }
  return "unknown";
}

}  // namespace

void MetricsText::Family(std::string_view name, Type type, std::string_view unit,
                         std::string_view help) {
  name_ = std::string(name);
  type_ = type;
  absl::StrAppend(&text_, "# TYPE ", name_, " ", TypeName(type), "\n");
  if (!unit.empty()) absl::StrAppend(&text_, "# UNIT ", name_, " ", View(unit), "\n");
  absl::StrAppend(&text_, "# HELP ", name_, " ", Escaped(help), "\n");
}

void MetricsText::Line(std::string_view suffix, const MetricLabels& labels, std::string_view le,
                       std::string_view value) {
  std::string all;
  for (const auto& [name, label] : labels) {
    absl::StrAppend(&all, all.empty() ? "" : ",", LabelName(name), "=\"", Escaped(label), "\"");
  }
  if (!le.empty()) absl::StrAppend(&all, all.empty() ? "" : ",", "le=\"", View(le), "\"");
  absl::StrAppend(&text_, name_, View(suffix));
  if (!all.empty()) absl::StrAppend(&text_, "{", all, "}");
  absl::StrAppend(&text_, " ", View(value), "\n");
}

void MetricsText::Sample(const MetricLabels& labels, uint64_t value) {
  Line(type_ == Type::kCounter ? "_total" : "", labels, "", absl::StrCat(value));
}

void MetricsText::Seconds(const MetricLabels& labels, uint64_t micros) {
  Line("", labels, "", Number(static_cast<double>(micros) / 1e6));
}

void MetricsText::Distribution(const MetricLabels& labels, const Histogram& histogram,
                               const std::vector<uint64_t>& ends, double divisor) {
  for (uint64_t end : ends) {
    Line("_bucket", labels, Number(static_cast<double>(end) / divisor),
         absl::StrCat(histogram.CountUpTo(end)));
  }
  Line("_bucket", labels, "+Inf", absl::StrCat(histogram.count()));
  Line("_count", labels, "", absl::StrCat(histogram.count()));
  Line("_sum", labels, "", Number(static_cast<double>(histogram.sum()) / divisor));
}

std::string MetricsText::Finish() { return std::move(text_) + "# EOF\n"; }

}  // namespace seawall
