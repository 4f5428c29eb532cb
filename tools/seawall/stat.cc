// SPDX-License-Identifier: Apache-2.0
// seawall stat: what a log consists of.
#include <algorithm>
#include <cstdio>

#include "absl/algorithm/container.h"
#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/format/file_names.h"
#include "engine/metrics/metrics_text.h"
#include "engine/segments/segment_file.h"
#include "tools/seawall/cli/command.h"
#include "tools/seawall/cli/json.h"
#include "tools/seawall/cli/output.h"
#include "tools/seawall/inspect/log_view.h"
#include "tools/seawall/inspect/segment_walk.h"
#include "tools/seawall/inspect/to_json.h"

ABSL_FLAG(bool, openmetrics, false, "stat: OpenMetrics text");

namespace seawall {
namespace {

constexpr char kHelp[] =
    R"(seawall stat: what a log consists of: its segments, LSNs, sizes, and what CONTROL says.

Usage: seawall stat [--json | --openmetrics] DIR

  --json          one JSON object, in one line
  --openmetrics   OpenMetrics text, for Prometheus: what a reader of DIR can know, cursors that are
                  behind included, as seawall_directory_... (What only the writing process knows,
                  latencies too, it can serve itself: see OpenMetricsText() in
                  seawall/openmetrics.h.)

"durable" is the last LSN that the files prove to be durable. For a log that is not closed, records
after it were found whole; its writer may know more of them to be durable, and opening the log makes
them so.

"cursor" is a consumer whose position is kept with the log, and how many records it is behind. What
is above it is not trimmed.

A "spare" is a file that is ready to be the next segment. What is neither segment nor spare (a
writer that closes gives up its spares) is reused or removed by the next writer.

A group is what one write and one sync committed: its average size says how well group commit works.
"file" is a segment's length on disk, zeros written ahead included; "used" is what groups fill.
"kept by": the tail is being written; cursors hold what they have not passed; "-": nothing in the
directory does. What its writer's options keep, and a backup or an archive that it serves, only
Log::retention_report() tells.

Of a damaged log it counts what can be read, and a line "damage" (JSON: "problems") says for each place
what cannot.

It reads all groups (their number is written nowhere), only reads, takes no lock, and works beside a
live writer.

Exit status: 0 done, 1 damage was met (see `seawall verify`), 2 could not be done.

Examples:
  seawall stat /var/lib/app/log
  seawall stat --json /var/lib/app/log | jq .last_lsn
  watch -n1 seawall stat /var/lib/app/log       # a writer at work
  seawall stat --openmetrics /var/lib/app/log >/var/lib/node_exporter/log.prom.$$ &&
    mv /var/lib/node_exporter/log.prom.$$ /var/lib/node_exporter/log.prom
)";

struct SegmentStat {
  SegmentRef ref;
  uint64_t file_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t groups = 0;
  uint64_t records = 0;
  Lsn last_lsn = 0;  // of those that were read
  uint64_t payload_bytes = 0;
  int64_t first_sealed_micros = 0;
  int64_t last_sealed_micros = 0;
};

// Counts what is in one segment.
class Counter : public SegmentVisitor {
 public:
  Counter(SegmentStat* stat, std::vector<Problem>* problems) : stat_(stat), problems_(problems) {}

  Wish OnGroup(const Group& group) override {
    if (stat_->groups == 0) stat_->first_sealed_micros = group.header.sealed_unix_micros;
    stat_->last_sealed_micros = group.header.sealed_unix_micros;
    stat_->used_bytes += group.header.group_bytes;
    ++stat_->groups;
    return Wish::kRecords;
  }
  bool OnRecord(const Record& record, uint64_t) override {
    ++stat_->records;
    stat_->last_lsn = record.lsn;
    stat_->payload_bytes += record.payload.size();
    return true;
  }
  bool OnProblem(const Problem& problem) override {
    problems_->push_back(problem);
    return true;
  }

 private:
  SegmentStat* const stat_;
  std::vector<Problem>* const problems_;
};

struct LogStat {
  std::vector<SegmentStat> segments;
  uint64_t file_bytes = 0;  // spares included
  uint64_t used_bytes = 0;
  uint64_t groups = 0;
  uint64_t records = 0;
  uint64_t payload_bytes = 0;
  uint64_t spares = 0;            // CONTROL lists them: ready to be used
  uint64_t left_files = 0;        // neither: trimmed, or spares of a writer that has gone
  std::vector<Problem> problems;  // what cannot be read, and why
};

absl::Status AddFiles(const LogView& view, LogStat* stat) {
  absl::StatusOr<std::vector<uint64_t>> generations =
      ListGenerations(FileSystem::Posix(), view.directory);
  if (!generations.ok()) return generations.status();
  const auto is_spare = [&view](uint64_t generation) {
    return view.control.has_value() && generation > view.control->tail_generation &&
           absl::c_any_of(view.control->entries, [generation](const ControlEntry& entry) {
             return entry.generation == generation;
           });
  };
  for (uint64_t generation : *generations) {
    FileInfo info;
    const std::string path = view.directory + "/" + SegmentName(generation);
    // One that a live writer has removed meanwhile takes no space.
    if (FileSystem::Posix()->Stat(path, &info) != 0) continue;
    stat->file_bytes += info.bytes;
    const auto segment = absl::c_find_if(stat->segments, [generation](const SegmentStat& s) {
      return s.ref.generation == generation;
    });
    if (segment != stat->segments.end()) {
      segment->file_bytes = info.bytes;
    } else if (is_spare(generation)) {
      ++stat->spares;
    } else {
      ++stat->left_files;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LogStat> CountLog(const LogView& view) {
  LogStat stat;
  stat.problems = view.problems;
  for (const SegmentRef& ref : view.segments) {
    SegmentStat segment;
    segment.ref = ref;
    Counter counter(&segment, &stat.problems);
    absl::StatusOr<WalkEnd> end = SegmentWalk(view.directory, ref, &counter).Run();
    if (!end.ok()) return end.status();
    if (*end == WalkEnd::kLeft) continue;
    stat.used_bytes += segment.used_bytes;
    stat.groups += segment.groups;
    stat.records += segment.records;
    stat.payload_bytes += segment.payload_bytes;
    stat.segments.push_back(segment);
  }
  absl::Status status = AddFiles(view, &stat);
  if (!status.ok()) return status;
  return stat;
}

bool IsDamaged(const LogView& view, const LogStat& stat) {
  return !view.opens.ok() || !stat.problems.empty();
}

double PerGroup(uint64_t sum, uint64_t groups) {
  return groups == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(groups);
}

// Beside a live writer, the cursor may be ahead of the end as it was seen.
uint64_t Behind(const LogView& view, const CursorPosition& cursor) {
  return view.report.last_lsn - std::min(view.report.last_lsn, cursor.lsn);
}

Json ControlJson(const ControlBlock& control) {
  Json entries = Json::array();
  for (const ControlEntry& entry : control.entries) {
    entries.push_back(
        {{"generation", entry.generation}, {"allocated_bytes", entry.allocated_bytes}});
  }
  return {{"sequence", control.sequence},
          {"first_generation", control.first_generation},
          {"tail_generation", control.tail_generation},
          {"durable_lsn", control.durable_lsn},
          {"closed", control.closed},
          {"prepared", entries}};
}

// What keeps a segment, as far as the directory tells.
std::vector<std::string> KeptBy(const LogView& view, const LogStat& stat,
                                const SegmentStat& segment) {
  std::vector<std::string> kept_by;
  if (segment.ref.generation == stat.segments.back().ref.generation) kept_by.push_back("tail");
  for (const CursorPosition& cursor : view.cursors) {
    if (segment.ref.sealed() && cursor.lsn < segment.ref.last_lsn) {
      kept_by.push_back(absl::StrCat("cursor ", cursor.name));
    }
  }
  return kept_by;
}

Json SegmentJson(const SegmentStat& segment) {
  Json json = ToJson(segment.ref);
  json["file_bytes"] = segment.file_bytes;
  json["used_bytes"] = segment.used_bytes;
  json["groups"] = segment.groups;
  json["records"] = segment.records;
  json["payload_bytes"] = segment.payload_bytes;
  if (segment.groups > 0) {
    json["first_sealed"] = FormatMicros(segment.first_sealed_micros);
    json["last_sealed"] = FormatMicros(segment.last_sealed_micros);
  }
  return json;
}

void PrintJson(const LogView& view, const LogStat& stat, Output* output) {
  Json json = {{"type", "stat"},
               {"directory", view.directory},
               {"sound", !IsDamaged(view, stat)},
               {"opens", view.opens.ok()}};
  if (view.control.has_value()) {
    json["log_id"] = LogIdToString(view.control->log_id);
    SetBytes("metadata", view.control->metadata, /*hex=*/false, &json);
  }
  if (view.opens.ok()) {
    json["state"] = std::string(RecoveryVerdictName(view.report.verdict));
    json["first_lsn"] = view.report.first_lsn;
    json["last_lsn"] = view.report.last_lsn;
    json["durable_lsn"] = view.report.proven_durable_lsn;
  }
  json["records"] = stat.records;
  json["payload_bytes"] = stat.payload_bytes;
  json["groups"] = stat.groups;
  json["group_bytes"] = stat.used_bytes;
  json["bytes_per_group"] = PerGroup(stat.used_bytes, stat.groups);
  json["records_per_group"] = PerGroup(stat.records, stat.groups);
  json["file_bytes"] = stat.file_bytes;
  json["spares"] = stat.spares;
  json["left_files"] = stat.left_files;
  if (view.control.has_value()) json["control"] = ControlJson(*view.control);
  if (view.opens.ok()) {
    json["cursors"] = Json::array();
    for (const CursorPosition& cursor : view.cursors) {
      json["cursors"].push_back(
          {{"name", cursor.name}, {"lsn", cursor.lsn}, {"behind", Behind(view, cursor)}});
    }
  }
  json["problems"] = Json::array();
  for (const Problem& problem : stat.problems) json["problems"].push_back(ToJson(problem));
  json["segments"] = Json::array();
  for (const SegmentStat& segment : stat.segments) {
    Json of_segment = SegmentJson(segment);
    of_segment["kept_by"] = KeptBy(view, stat, segment);
    json["segments"].push_back(of_segment);
  }
  output->WriteLine(ToLine(json));
}

// `unit` is at the end of the name, too.
void AddGauge(const std::string& name, const std::string& unit, const std::string& help,
              const MetricLabels& labels, uint64_t value, MetricsText* text) {
  text->Family("seawall_directory_" + name, MetricsText::Type::kGauge, unit, help);
  text->Sample(labels, value);
}

void AddCursors(const LogView& view, MetricLabels labels, MetricsText* text) {
  if (view.cursors.empty()) return;
  labels.push_back({"cursor", ""});
  const auto add = [&](const char* name, const char* help, auto value_of) {
    text->Family(name, MetricsText::Type::kGauge, "", help);
    for (const CursorPosition& cursor : view.cursors) {
      labels.back().second = cursor.name;
      text->Sample(labels, value_of(cursor));
    }
  };
  add("seawall_directory_cursor_lsn", "The last record that the cursor has passed.",
      [](const CursorPosition& cursor) { return cursor.lsn; });
  add("seawall_directory_cursor_behind", "How many records it has not passed.",
      [&view](const CursorPosition& cursor) { return Behind(view, cursor); });
}

void PrintOpenMetrics(const LogView& view, const LogStat& stat, Output* output) {
  const MetricLabels labels = {{"directory", view.directory}};
  MetricsText text;
  const auto add = [&](const char* name, const char* unit, const char* help, uint64_t value) {
    AddGauge(name, unit, help, labels, value, &text);
  };
  add("sound", "", "1 if no damage was met.", IsDamaged(view, stat) ? 0 : 1);
  if (view.opens.ok()) {
    const RecoveryReport& report = view.report;
    add("closed", "", "1 if the last writer has closed it.",
        report.verdict == RecoveryVerdict::kClean ? 1 : 0);
    add("first_lsn", "", "The first retained record.", report.first_lsn);
    add("last_lsn", "", "The last record that was found whole.", report.last_lsn);
    add("durable_lsn", "", "The last record that the files prove to be durable.",
        report.proven_durable_lsn);
  }
  add("records", "", "Retained records.", stat.records);
  add("payload_bytes", "bytes", "Bytes of their payloads.", stat.payload_bytes);
  add("groups", "", "Groups: what one write committed.", stat.groups);
  add("group_bytes", "bytes", "Bytes of all groups.", stat.used_bytes);
  add("file_bytes", "bytes", "Lengths of all segment files, spares included.", stat.file_bytes);
  add("segments", "", "Segment files that hold records.", stat.segments.size());
  add("spares", "", "Segment files that are ready to be used.", stat.spares);
  if (view.opens.ok()) AddCursors(view, labels, &text);
  int64_t sealed_micros = 0;
  for (const SegmentStat& segment : stat.segments) {
    sealed_micros = std::max(sealed_micros, segment.last_sealed_micros);
  }
  if (sealed_micros > 0) {
    text.Family("seawall_directory_last_sealed_timestamp_seconds", MetricsText::Type::kGauge,
                "seconds", "When the last group was sealed, since the Unix epoch.");
    text.Seconds(labels, static_cast<uint64_t>(sealed_micros));
  }
  output->Write(text.Finish());
}

void PrintField(const std::string& name, const std::string& value, Output* output) {
  output->WriteLine(absl::StrFormat("%-10s %s", name, value));
}

void PrintControl(const ControlBlock& control, Output* output) {
  std::string prepared;
  for (const ControlEntry& entry : control.entries) {
    absl::StrAppend(&prepared, prepared.empty() ? "" : ", ", entry.generation, " (",
                    FormatBytes(entry.allocated_bytes), ")");
  }
  PrintField("control",
             absl::StrCat("write ", control.sequence, ": segments from ", control.first_generation,
                          ", tail ", control.tail_generation, ", durable ", control.durable_lsn,
                          control.closed ? ", closed" : ", not closed",
                          prepared.empty() ? "" : ", prepared ", prepared),
             output);
}

void PrintCursors(const LogView& view, Output* output) {
  for (const CursorPosition& cursor : view.cursors) {
    PrintField("cursor",
               absl::StrCat(cursor.name, ": at ", cursor.lsn, ", ",
                            FormatCount(Behind(view, cursor), "record"),
                            " behind, holds what is from ", cursor.lsn + 1, " on"),
               output);
  }
}

void PrintTable(const LogView& view, const LogStat& stat, Output* output) {
  output->WriteLine("");
  output->WriteLine(absl::StrFormat("%10s %12s %12s %9s %10s %10s  %-27s  %s", "segment", "first",
                                    "last", "groups", "used", "file", "last sealed", "kept by"));
  for (const SegmentStat& segment : stat.segments) {
    const std::vector<std::string> kept_by = KeptBy(view, stat, segment);
    const Lsn last = segment.ref.sealed() ? segment.ref.last_lsn : segment.last_lsn;
    output->WriteLine(absl::StrFormat(
        "%10d %12d %12s %9d %10s %10s  %-27s  %s", segment.ref.generation, segment.ref.base_lsn,
        last < segment.ref.base_lsn ? std::string("-") : absl::StrCat(last), segment.groups,
        FormatBytes(segment.used_bytes), FormatBytes(segment.file_bytes),
        segment.groups == 0 ? std::string("-") : FormatMicros(segment.last_sealed_micros),
        kept_by.empty() ? std::string("-") : absl::StrJoin(kept_by, ", ")));
  }
}

void PrintText(const LogView& view, const LogStat& stat, Output* output) {
  PrintField("log", view.directory, output);
  if (view.control.has_value()) PrintField("id", LogIdToString(view.control->log_id), output);
  if (view.control.has_value() && !view.control->metadata.empty()) {
    PrintField("metadata", EscapeBytes(view.control->metadata), output);
  }
  const RecoveryReport& report = view.report;
  if (view.opens.ok()) {
    PrintField("state", std::string(RecoveryVerdictName(report.verdict)), output);
    PrintField("first", absl::StrCat(report.first_lsn), output);
    PrintField("last", absl::StrCat(report.last_lsn), output);
    PrintField("durable", absl::StrCat(report.proven_durable_lsn), output);
  } else {
    PrintField("state", "damaged: the log does not open", output);
  }
  PrintField("records", absl::StrCat(stat.records, ", payloads ", FormatBytes(stat.payload_bytes)),
             output);
  PrintField(
      "groups",
      absl::StrFormat("%d, on average %s and %.1f records", stat.groups,
                      FormatBytes(static_cast<uint64_t>(PerGroup(stat.used_bytes, stat.groups))),
                      PerGroup(stat.records, stat.groups)),
      output);
  PrintField("disk",
             absl::StrCat(
                 FormatBytes(stat.file_bytes), " in ", FormatCount(stat.segments.size(), "segment"),
                 " and ", FormatCount(stat.spares, "spare"),
                 stat.left_files == 0 ? ""
                                      : absl::StrCat(", and ", FormatCount(stat.left_files, "file"),
                                                     " that the next writer reuses or removes")),
             output);
  if (view.control.has_value()) PrintControl(*view.control, output);
  PrintCursors(view, output);
  for (const Problem& problem : stat.problems) {
    PrintField("damage", absl::StrCat(problem.ToString(), ": ", problem.consequence), output);
  }
  PrintTable(view, stat, output);
}

ExitCode RunStat(const std::vector<std::string>& arguments) {
  if (arguments.size() != 1) return FailUsage("stat", "expected one DIR");
  if (absl::GetFlag(FLAGS_json) && absl::GetFlag(FLAGS_openmetrics)) {
    return FailUsage("stat", "--json or --openmetrics, not both");
  }
  absl::StatusOr<LogView> view = LoadLogView(arguments[0]);
  if (!view.ok()) return Fail("stat", view.status());
  absl::StatusOr<LogStat> stat = CountLog(*view);
  if (!stat.ok()) return Fail("stat", stat.status());
  Output output;
  if (absl::GetFlag(FLAGS_json)) {
    PrintJson(*view, *stat, &output);
  } else if (absl::GetFlag(FLAGS_openmetrics)) {
    PrintOpenMetrics(*view, *stat, &output);
  } else {
    PrintText(*view, *stat, &output);
  }
  absl::Status written = output.Finish();
  if (!written.ok()) return Fail("stat", written);
  if (!view->opens.ok()) return Fail("stat", view->opens);
  if (!IsDamaged(*view, *stat)) return kExitOk;
  std::fprintf(stderr, "seawall stat: the log is damaged; `seawall verify %s` says where.\n",
               view->directory.c_str());
  return kExitDamaged;
}

}  // namespace

Command StatCommand() {
  return {"stat",
          "segments, LSNs, sizes, and what CONTROL says",
          kHelp,
          {"json", "openmetrics"},
          RunStat};
}

}  // namespace seawall
