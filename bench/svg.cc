// SPDX-License-Identifier: Apache-2.0
#include "bench/svg.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "bench/report.h"

namespace seawall::bench {
namespace {

constexpr double kWidth = 620;
constexpr double kHeight = 380;
// Of the plot within the picture; at the right there are the names of the lines.
constexpr double kLeft = 52, kRight = 450, kTop = 14, kBottom = 338;
constexpr double kLineHeight = 15;

std::string ColorOf(const Style& style) {
  return style.color < 0 ? "var(--faint)"
                         : absl::StrCat("var(--series-", style.color % kSeriesColors, ")");
}

std::string Text(double x, double y, const char* anchor, const std::string& text,
                 const std::string& fill = "var(--faint)") {
  return absl::StrFormat(
      "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\" font-size=\"12\">%s</text>\n", x,
      y, anchor, fill, Escape(text));
}

std::string Rule(double x1, double y1, double x2, double y2) {
  return absl::StrFormat(
      "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"var(--line)\" fill=\"none\"/>\n", x1, y1, x2, y2);
}

// A logarithmic axis from one end of the picture to another.
class Axis {
 public:
  Axis(double least, double most, double from, double to)
      : least_(std::log(least)), most_(std::log(most)), from_(from), to_(to) {}
  double operator()(double value) const {
    if (most_ <= least_) return (from_ + to_) / 2;
    return from_ + (std::log(value) - least_) / (most_ - least_) * (to_ - from_);
  }

 private:
  const double least_, most_, from_, to_;
};

// 1, 2, 5, 10, ... from at most `least` to at least `most`.
std::vector<double> Ticks(double least, double most) {
  std::vector<double> ticks;
  double decade = std::pow(10, std::floor(std::log10(least)));
  while (ticks.empty() || ticks.back() < most) {
    for (double step : {1.0, 2.0, 5.0}) {
      const double tick = decade * step;
      if (tick <= least) ticks.clear();
      if (ticks.empty() || ticks.back() < most) ticks.push_back(tick);
    }
    decade *= 10;
  }
  return ticks;
}

// A mark that tells lines apart without colour.
std::string Mark(double x, double y, const Style& style, const std::string& tip) {
  static constexpr const char* kShapes[] = {
      "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z",  // circle
      "M-3.5 -3.5h7v7h-7z",                   // square
      "M0 -4.5L4.5 3.5H-4.5z",                // triangle
      "M0 -5L5 0L0 5L-5 0z",                  // diamond
      "M0 4.5L4.5 -3.5H-4.5z",                // triangle, down
  };
  const size_t shape = style.color < 0 ? 0 : static_cast<size_t>(style.color) % std::size(kShapes);
  return absl::StrFormat(
      "<path transform=\"translate(%.1f %.1f)\" d=\"%s\" fill=\"%s\"><title>%s</title></path>\n", x,
      y, kShapes[shape], ColorOf(style), Escape(tip));
}

struct Label {
  double y;
  const LinePlot::Series* series;
};

// Moves labels apart that would lie on one another.
void Spread(std::vector<Label>* labels) {
  std::sort(labels->begin(), labels->end(),
            [](const Label& a, const Label& b) { return a.y < b.y; });
  for (size_t i = 1; i < labels->size(); ++i) {
    (*labels)[i].y = std::max((*labels)[i].y, (*labels)[i - 1].y + kLineHeight);
  }
  double limit = kBottom;
  for (size_t i = labels->size(); i-- > 0; limit -= kLineHeight) {
    (*labels)[i].y = std::min((*labels)[i].y, limit);
  }
}

std::string Line(const LinePlot::Series& series, const Axis& x, const Axis& y) {
  std::string path;
  std::string marks;
  for (const auto& [at, value] : series.points) {
    absl::StrAppendFormat(&path, "%s%.1f %.1f", path.empty() ? "M" : "L", x(at), y(value));
    marks += Mark(x(at), y(value), series.style, series.name + ": " + Number(value));
  }
  return absl::StrFormat("<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"%s\"%s/>\n",
                         path, ColorOf(series.style), series.style.bold ? "3.5" : "1.6",
                         series.style.color < 0 ? " stroke-dasharray=\"5 4\"" : "") +
         marks;
}

std::string Figure(const std::string& title, double height, const std::string& content) {
  return absl::StrFormat(
      "<figure><figcaption>%s</figcaption>\n"
      "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n%s</svg></figure>\n",
      Escape(title), kWidth, height, Escape(title), content);
}

}  // namespace

std::string Escape(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string ShortNumber(double value) {
  if (value >= 1e9) return absl::StrFormat("%gG", value / 1e9);
  if (value >= 1e6) return absl::StrFormat("%gM", value / 1e6);
  if (value >= 1e3) return absl::StrFormat("%gk", value / 1e3);
  return absl::StrFormat("%g", value);
}

std::string ToSvg(const LinePlot& plot) {
  double least = HUGE_VAL, most = 0;
  for (const LinePlot::Series& series : plot.series) {
    for (const auto& point : series.points) {
      least = std::min(least, point.second);
      most = std::max(most, point.second);
    }
  }
  if (most <= 0 || plot.x_ticks.empty()) return "";
  const std::vector<double> ticks = Ticks(least, most);
  const Axis y(ticks.front(), ticks.back(), kBottom, kTop);
  const Axis x(plot.x_ticks.front().first, plot.x_ticks.back().first, kLeft + 12, kRight - 12);

  std::string svg;
  for (double tick : ticks) {
    svg += Rule(kLeft, y(tick), kRight, y(tick));
    svg += Text(kLeft - 7, y(tick) + 4, "end", ShortNumber(tick));
  }
  double labelled_to = 0;
  for (const auto& [at, name] : plot.x_ticks) {
    const double half = static_cast<double>(name.size()) * 3.5 + 2;
    if (x(at) - half < labelled_to) continue;  // would lie on the one before
    svg += Text(x(at), kBottom + 18, "middle", name);
    labelled_to = x(at) + half;
  }
  svg += Text((kLeft + kRight) / 2, kHeight - 6, "middle", plot.x_title);
  std::vector<Label> labels;
  for (const LinePlot::Series& series : plot.series) {
    if (series.points.empty()) continue;
    svg += Line(series, x, y);
    labels.push_back({y(series.points.back().second), &series});
  }
  Spread(&labels);
  for (const Label& label : labels) {
    svg += Mark(kRight + 12, label.y, label.series->style, label.series->name);
    svg += Text(kRight + 21, label.y + 4, "start", label.series->name,
                label.series->style.color < 0 ? "var(--faint)" : "var(--ink)");
  }
  return Figure(plot.title, kHeight, svg);
}

std::string ToSvg(const BarPlot& plot) {
  constexpr double kBarLeft = 190, kBarRight = 540, kBarHeight = 16, kEach = 24;
  double most = 0;
  for (const BarPlot::Bar& bar : plot.bars) most = std::max(most, bar.value);
  if (most <= 0) return "";
  std::string svg;
  double y = kTop;
  for (const BarPlot::Bar& bar : plot.bars) {
    const double width = std::max(1.0, bar.value / most * (kBarRight - kBarLeft));
    svg += Text(kBarLeft - 8, y + kBarHeight - 4, "end", bar.name,
                bar.style.color < 0 ? "var(--faint)" : "var(--ink)");
    absl::StrAppendFormat(&svg,
                          "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" "
                          "fill=\"%s\"%s/>\n",
                          kBarLeft, y, width, kBarHeight, ColorOf(bar.style),
                          bar.style.color < 0 ? " fill-opacity=\"0.5\"" : "");
    svg += Text(kBarLeft + width + 6, y + kBarHeight - 4, "start", Number(bar.value));
    y += kEach;
  }
  return Figure(plot.title, y + 4, svg);
}

}  // namespace seawall::bench
