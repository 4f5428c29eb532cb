// SPDX-License-Identifier: Apache-2.0
// Writes OpenMetrics 1.0 text (https://github.com/prometheus/OpenMetrics, "Text format"). What is
// measured is the caller's.
#ifndef SEAWALL_ENGINE_METRICS_METRICS_TEXT_H_
#define SEAWALL_ENGINE_METRICS_METRICS_TEXT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "seawall/histogram.h"
#include "seawall/openmetrics.h"

namespace seawall {

// Family after family, of each all samples, then Finish().
class MetricsText {
 public:
  enum class Type { kCounter, kGauge, kHistogram };

  // `name` ends with the unit, if there is one, and is without a counter's "_total". Samples that
  // follow are of this family.
  void Family(std::string_view name, Type type, std::string_view unit, std::string_view help);
  // Of a counter or gauge.
  void Sample(const MetricLabels& labels, uint64_t value);
  // A gauge, in seconds.
  void Seconds(const MetricLabels& labels, uint64_t micros);
  // Of a histogram. `ends`: of buckets, each the last value in it. A value is told divided by
  // `divisor`.
  void Distribution(const MetricLabels& labels, const Histogram& histogram,
                    const std::vector<uint64_t>& ends, double divisor);

  std::string Finish();

 private:
  void Line(std::string_view suffix, const MetricLabels& labels, std::string_view le,
            std::string_view value);

  std::string text_;
  std::string name_;
  Type type_ = Type::kGauge;
};

}  // namespace seawall

#endif  // SEAWALL_ENGINE_METRICS_METRICS_TEXT_H_
