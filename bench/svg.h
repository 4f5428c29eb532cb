// SPDX-License-Identifier: Apache-2.0
// Plots as SVG elements for a page that defines the colours: var(--ink), --faint, --line, --paper,
// and --series-0, --series-1, ... for those who are compared.
#ifndef SEAWALL_BENCH_SVG_H_
#define SEAWALL_BENCH_SVG_H_

#include <string>
#include <utility>
#include <vector>

namespace seawall::bench {

constexpr int kSeriesColors = 10;

struct Style {
  int color = -1;     // of --series-N; below 0: of a floor, dashed
  bool bold = false;  // the one that it is about
};

// Lines over two logarithmic axes.
struct LinePlot {
  struct Series {
    std::string name;
    Style style;
    std::vector<std::pair<double, double>> points;  // in the order of x; positive
  };

  std::string title;
  std::string x_title;
  std::vector<std::pair<double, std::string>> x_ticks;  // in order
  std::vector<Series> series;
};

// Bars from zero.
struct BarPlot {
  struct Bar {
    std::string name;
    Style style;
    double value = 0;
  };

  std::string title;
  std::vector<Bar> bars;
};

std::string ToSvg(const LinePlot& plot);
std::string ToSvg(const BarPlot& plot);

// Text for HTML and SVG.
std::string Escape(const std::string& text);
// "1", "20k", "3M": for an axis.
std::string ShortNumber(double value);

}  // namespace seawall::bench

#endif  // SEAWALL_BENCH_SVG_H_
