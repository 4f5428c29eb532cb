// SPDX-License-Identifier: Apache-2.0
#include "seawall/openmetrics.h"

#include "engine/metrics/metrics_text.h"

namespace seawall {
namespace {

using Type = MetricsText::Type;

struct Count {
  uint64_t Stats::*value;
  Type type;
  const char* name;
  const char* unit;
  const char* help;
};

constexpr Count kCounts[] = {
    {&Stats::first_lsn, Type::kGauge, "seawall_first_lsn", "", "The first retained record."},
    {&Stats::appended_lsn, Type::kGauge, "seawall_appended_lsn", "",
     "The last record accepted, in this process's memory at least."},
    {&Stats::written_lsn, Type::kGauge, "seawall_written_lsn", "",
     "The last record in the kernel's page cache: survives the process."},
    {&Stats::durable_lsn, Type::kGauge, "seawall_durable_lsn", "",
     "The last record on stable storage: survives a power loss."},
    {&Stats::segments, Type::kGauge, "seawall_segments", "", "Segment files that hold records."},
    {&Stats::waiters, Type::kGauge, "seawall_waiters", "", "Threads waiting for a durability."},
    {&Stats::followers, Type::kGauge, "seawall_followers", "",
     "Readers at the end of the log that wait for the next record."},
    {&Stats::appended_records, Type::kCounter, "seawall_appended_records", "", "Records accepted."},
    {&Stats::appended_payload_bytes, Type::kCounter, "seawall_appended_payload_bytes", "bytes",
     "Bytes of their payloads."},
    {&Stats::groups_written, Type::kCounter, "seawall_written_groups", "",
     "Groups: what one write committed."},
    {&Stats::bytes_written, Type::kCounter, "seawall_written_bytes", "bytes",
     "Bytes of groups, in whole blocks."},
    {&Stats::zero_bytes_written, Type::kCounter, "seawall_written_zero_bytes", "bytes",
     "Zeros written ahead of the records."},
    {&Stats::syncs, Type::kCounter, "seawall_syncs", "", "Syncs of groups."},
    {&Stats::slow_writes, Type::kCounter, "seawall_slow_writes", "",
     "Writes of groups that took slow_sync_micros or longer."},
    {&Stats::slow_syncs, Type::kCounter, "seawall_slow_syncs", "",
     "Syncs of groups that took slow_sync_micros or longer."},
    {&Stats::events_lost, Type::kCounter, "seawall_lost_events", "",
     "Events that were not told to on_event."},
    {&Stats::rollovers, Type::kCounter, "seawall_rollovers", "", "Segments filled."},
    {&Stats::rollover_waits, Type::kCounter, "seawall_rollover_waits", "",
     "Waits of appends for the next segment."},
    {&Stats::space_waits, Type::kCounter, "seawall_space_waits", "",
     "Waits of appends for space in the segment."},
    {&Stats::buffer_full_waits, Type::kCounter, "seawall_buffer_full_waits", "",
     "Waits of appends for a buffer: back-pressure."},
    {&Stats::segments_created, Type::kCounter, "seawall_created_segments", "",
     "Segment files made anew."},
    {&Stats::segments_recycled, Type::kCounter, "seawall_recycled_segments", "",
     "Trimmed segment files used again."},
    {&Stats::segments_unlinked, Type::kCounter, "seawall_unlinked_segments", "",
     "Trimmed or cut off segment files unlinked."},
    {&Stats::segments_archived, Type::kCounter, "seawall_archived_segments", "",
     "Segments that the archive hook took."},
    {&Stats::archive_failures, Type::kCounter, "seawall_failed_archive_calls", "",
     "Calls of the archive hook that did not succeed; it is called again."},
    {&Stats::watermark_failures, Type::kCounter, "seawall_failed_watermark_writes", "",
     "Failures to tell other processes of new records."},
    {&Stats::indexes_written, Type::kCounter, "seawall_written_indexes", "",
     "Indexes written into sealed segments."},
    {&Stats::index_write_failures, Type::kCounter, "seawall_failed_index_writes", "",
     "Indexes that could not be written; random reads scan instead."},
    {&Stats::index_scans, Type::kCounter, "seawall_index_scans", "",
     "Sealed segments scanned for want of an index."},
};

constexpr Count kAges[] = {
    {&Stats::write_in_flight_micros, Type::kGauge, "seawall_write_in_flight_seconds", "seconds",
     "For how long the write of a group has been running; 0 if none is."},
    {&Stats::sync_in_flight_micros, Type::kGauge, "seawall_sync_in_flight_seconds", "seconds",
     "For how long the sync of groups has been running; 0 if none is."},
};

struct Spread {
  Histogram Stats::*histogram;
  const char* name;
  const char* unit;
  const char* help;
};

constexpr Spread kLatencies[] = {
    {&Stats::reserve_nanos, "seawall_reserve_seconds", "seconds",
     "Append, until the record is in the buffer; estimated from a sample of those that need not "
     "wait."},
    {&Stats::queue_nanos, "seawall_queue_seconds", "seconds",
     "From the call that waits to the write that serves it."},
    {&Stats::write_nanos, "seawall_write_seconds", "seconds", "Writing one group."},
    {&Stats::sync_nanos, "seawall_sync_seconds", "seconds", "One sync of groups."},
    {&Stats::wake_nanos, "seawall_wake_seconds", "seconds",
     "From the sync (or write) that satisfied a waiting thread until that thread runs."},
};

constexpr Spread kSizes[] = {
    {&Stats::group_records, "seawall_group_records", "", "Records in a group."},
    {&Stats::group_bytes, "seawall_group_bytes", "bytes", "Bytes of a group."},
};

// Two for each power of two, from 128 ns to 34 s: ends of buckets of Histogram.
std::vector<uint64_t> LatencyEnds() {
  std::vector<uint64_t> ends;
  for (uint64_t power = 128; power <= uint64_t{1} << 35; power *= 2) {
    ends.push_back(power - 1);
    ends.push_back(power + power / 2 - 1);
  }
  return ends;
}

// From 1 to 2^30 - 1: the longest buffer.
std::vector<uint64_t> SizeEnds() {
  std::vector<uint64_t> ends;
  for (uint64_t power = 2; power <= uint64_t{1} << 30; power *= 2) ends.push_back(power - 1);
  return ends;
}

}  // namespace

std::string OpenMetricsText(const std::vector<LabelledStats>& logs) {
  MetricsText text;
  for (const Count& count : kCounts) {
    text.Family(count.name, count.type, count.unit, count.help);
    for (const LabelledStats& log : logs) text.Sample(log.labels, log.stats.*count.value);
  }
  text.Family("seawall_failed", Type::kGauge, "",
              "1 if a failure is latched: the log takes no more until it is reopened.");
  for (const LabelledStats& log : logs) text.Sample(log.labels, log.stats.failed ? 1 : 0);
  for (const Count& age : kAges) {
    text.Family(age.name, age.type, age.unit, age.help);
    for (const LabelledStats& log : logs) text.Seconds(log.labels, log.stats.*age.value);
  }
  const std::vector<uint64_t> latency_ends = LatencyEnds();
  for (const Spread& latency : kLatencies) {
    text.Family(latency.name, Type::kHistogram, latency.unit, latency.help);
    for (const LabelledStats& log : logs) {
      text.Distribution(log.labels, log.stats.*latency.histogram, latency_ends, 1e9);
    }
  }
  const std::vector<uint64_t> size_ends = SizeEnds();
  for (const Spread& size : kSizes) {
    text.Family(size.name, Type::kHistogram, size.unit, size.help);
    for (const LabelledStats& log : logs) {
      text.Distribution(log.labels, log.stats.*size.histogram, size_ends, 1);
    }
  }
  return text.Finish();
}

std::string OpenMetricsText(const Stats& stats, const MetricLabels& labels) {
  return OpenMetricsText(std::vector<LabelledStats>{{labels, stats}});
}

}  // namespace seawall
