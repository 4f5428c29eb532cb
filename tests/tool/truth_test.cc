// SPDX-License-Identifier: Apache-2.0
// What Log::Open, verify, stat, dump and repair say of one damaged log, held against the bytes that
// are left of it and against each other: a table of logs, places of the damage, its extent, and the
// state of CONTROL. Nobody may say that nothing is lost when something is, and what is left is
// found by all of them.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "engine/format/format.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "tests/tool/tool_test_util.h"

namespace seawall {
namespace {

using nlohmann::json;
using Files = std::map<std::string, std::string>;

#ifdef SEAWALL_SMOKE
constexpr size_t kShare = 7;  // each seventh damaged log: of every extent, of every CONTROL
#else
constexpr size_t kShare = 1;
#endif

constexpr uint64_t kTailBlocks = 24 << 10;  // T1: six blocks from the beginning of the file

std::string Payload(Lsn lsn) { return absl::StrCat(lsn, std::string(300, '-')); }

// ---- Logs

struct LogShape {
  const char* name;
  bool many_segments;
  bool closed;
  bool cursors;
};

constexpr LogShape kShapes[] = {
    {"OneClosed", false, true, false},  {"OneKilled", false, false, false},
    {"OneCursors", false, true, true},  {"ManyClosed", true, true, false},
    {"ManyKilled", true, false, false}, {"ManyCursors", true, true, true},
};

struct Made {
  Files files;
  Lsn last_lsn = 0;
  std::vector<std::string> segments;  // names, oldest first; spares are not among them
};

// One record a group, each acknowledged as durable before the next.
Made Make(const LogShape& shape, const std::string& directory) {
  Options options;
  options.cursors = shape.cursors;
  if (shape.many_segments) {
    options.segment_bytes = 32 << 10;
    options.buffer_bytes = 8 << 10;
    options.max_record_bytes = 4 << 10;
  }
  Made made;
  auto log = Log::Open(directory, options);
  EXPECT_TRUE(log.ok()) << log.status();
  // So that half of the last segment is filled, too.
  for (Lsn lsn = 1; lsn <= (shape.many_segments ? 210u : 140u); ++lsn) {
    EXPECT_TRUE((*log)->AppendDurable(Payload(lsn)).ok());
    made.last_lsn = lsn;
  }
  if (shape.closed) {
    EXPECT_TRUE((*log)->Close().ok());
    log->reset();
  }
  made.files = ReadFiles(directory);
  made.files.erase("LOCK");
  for (const auto& [name, bytes] : made.files) {
    SegmentHeader header;
    uint32_t version;
    if (name.find(".seg") != std::string::npos &&
        DecodeSegmentHeader(bytes.data(), &header, &version) == DecodeResult::kValid &&
        header.state == SegmentState::kBegun) {
      made.segments.push_back(name);
    }
  }
  return made;
}

// The place of each record's group: segment, offset, bytes.
struct Place {
  std::string segment;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

std::map<Lsn, Place> PlacesOf(const Made& made) {
  std::map<Lsn, Place> places;
  for (const std::string& name : made.segments) {
    const std::string& bytes = made.files.at(name);
    SegmentHeader header;
    uint32_t version;
    EXPECT_EQ(DecodeSegmentHeader(bytes.data(), &header, &version), DecodeResult::kValid);
    uint64_t at = header.groups_begin();
    GroupHeader group;
    uint64_t checksum;
    while (at + kGroupHeaderBytes <= bytes.size() &&
           DecodeGroupHeader(bytes.data() + at, header.salt, at, &group, &checksum)) {
      for (Lsn lsn = group.first_lsn; lsn <= group.last_lsn(); ++lsn) {
        places[lsn] = {name, at, group.group_bytes};
      }
      at += group.group_bytes;
    }
  }
  return places;
}

// ---- Damage

enum class Extent {
  kNone,
  kHeader,           // the block of the header
  kHeaderNoise,      // the same, as bytes that are no zeros
  kHeaderAndGroups,  // and the groups directly after it
  kGroups,           // these groups, and not the header
  kAllZeros,
  kAllNoise,
  kShortened,  // nothing left of the file but its name
  kDeleted,
};

const std::map<Extent, const char*> kExtents = {
    {Extent::kNone, "sound"},
    {Extent::kHeader, "header zeroed"},
    {Extent::kHeaderNoise, "header overwritten"},
    {Extent::kHeaderAndGroups, "header and groups zeroed"},
    {Extent::kGroups, "groups zeroed"},
    {Extent::kAllZeros, "all zeroed"},
    {Extent::kAllNoise, "all overwritten"},
    {Extent::kShortened, "emptied"},
    {Extent::kDeleted, "deleted"},
};

void Apply(Extent extent, const std::string& name, Files* files) {
  std::string& bytes = files->at(name);
  const size_t some = std::min<size_t>(kTailBlocks, bytes.size() / 2);
  switch (extent) {
    case Extent::kNone:
      return;
    case Extent::kHeader:
      bytes.replace(0, kSegmentHeaderBytes, kSegmentHeaderBytes, '\0');
      return;
    case Extent::kHeaderNoise:
      bytes.replace(0, kSegmentHeaderBytes, kSegmentHeaderBytes, 'x');
      return;
    case Extent::kHeaderAndGroups:
      bytes.replace(0, some, some, '\0');
      return;
    case Extent::kGroups:
      bytes.replace(kSegmentHeaderBytes, some - kSegmentHeaderBytes, some - kSegmentHeaderBytes,
                    '\0');
      return;
    case Extent::kAllZeros:
      bytes.assign(bytes.size(), '\0');
      return;
    case Extent::kAllNoise:
      bytes.assign(bytes.size(), 'x');
      return;
    case Extent::kShortened:
      bytes.clear();
      return;
    case Extent::kDeleted:
      files->erase(name);
      return;
  }
}

// Bits 0 to 2: that slot of CONTROL is overwritten. All three and kGone: there is no CONTROL.
constexpr int kAllSlots = 7;
constexpr int kGone = 8;

void ApplyControl(int damage, Files* files) {
  if (damage == kGone) {
    files->erase("CONTROL");
    return;
  }
  std::string& bytes = files->at("CONTROL");
  for (uint64_t slot = 0; slot < kControlSlots; ++slot) {
    if ((damage >> slot & 1) == 0) continue;
    bytes.replace(slot * kControlSlotBytes, kControlSlotBytes, kControlSlotBytes, 'x');
  }
}

// The slot after the newest valid one is damaged, so that the newest may be what is lost.
bool NewestMayBeLost(const Files& files) {
  const auto control = files.find("CONTROL");
  if (control == files.end()) return true;
  std::optional<ControlBlock> newest;
  bool valid[kControlSlots] = {};
  for (uint64_t slot = 0; slot < kControlSlots; ++slot) {
    ControlBlock block;
    uint32_t version;
    valid[slot] = DecodeControlBlock(control->second.data() + slot * kControlSlotBytes, &block,
                                     &version) == DecodeResult::kValid;
    if (valid[slot] && (!newest.has_value() || newest->sequence < block.sequence)) newest = block;
  }
  return !newest.has_value() || !valid[(newest->sequence + 1) % kControlSlots];
}

// ---- What each of them says

void WriteAll(const Files& files, const std::string& directory) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directory(directory);
  for (const auto& [name, bytes] : files) WriteFile(directory + "/" + name, bytes);
}

std::vector<json> Lines(const std::string& text) {
  std::vector<json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(json::parse(line));
  return lines;
}

std::string Ranges(const std::set<Lsn>& lsns) {
  std::string text;
  for (Lsn lsn : lsns) {
    if (lsns.count(lsn - 1) == 0) absl::StrAppend(&text, text.empty() ? "" : ", ", lsn);
    if (lsns.count(lsn + 1) == 0) absl::StrAppend(&text, "-", lsn);
  }
  return text;
}

struct Opened {
  absl::Status status;
  std::set<Lsn> records;
  bool read_fails = false;
  bool created = false;
};

Opened OpenAndRead(const std::string& directory) {
  Opened opened;
  auto log = Log::Open(directory, Options());
  opened.status = log.status();
  if (!log.ok()) return opened;
  opened.created = (*log)->recovery_report().verdict == RecoveryVerdict::kCreated;
  auto reader = (*log)->NewReader((*log)->first_lsn());
  EXPECT_TRUE(reader.ok()) << reader.status();
  Record record;
  while ((*reader)->Next(&record)) {
    EXPECT_EQ(record.payload, Payload(record.lsn));
    opened.records.insert(record.lsn);
  }
  opened.read_fails = !(*reader)->status().ok();
  return opened;
}

struct Truth {
  std::set<Lsn> left;  // records of which the whole group is as it was
  std::set<Lsn> missing;
  bool damaged = false;  // anything is not as it was
};

class TruthTest : public ::testing::TestWithParam<LogShape> {
 protected:
  Truth TruthOf(const Files& files) const {
    Truth truth;
    for (const auto& [lsn, place] : places_) {
      const auto file = files.find(place.segment);
      const std::string& was = made_.files.at(place.segment);
      const bool left =
          file != files.end() && file->second.size() >= place.offset + place.bytes &&
          file->second.compare(place.offset, place.bytes, was, place.offset, place.bytes) == 0;
      (left ? truth.left : truth.missing).insert(lsn);
    }
    truth.damaged = files != made_.files;
    return truth;
  }

  void Check(const Files& files, Extent extent, bool last) {
    const Truth truth = TruthOf(files);
    WriteAll(files, log_);
    const auto before = ReadFiles(log_);
    const Outcome verify = RunTool({"verify", "--json", log_});
    const Outcome verify_text = RunTool({"verify", log_});
    const Outcome stat = RunTool({"stat", "--json", log_});
    const Outcome dump = RunTool({"dump", "--json", log_});
    std::filesystem::remove_all(new_);
    const Outcome repair = RunTool({"repair", log_, "--out=" + new_});
    EXPECT_TRUE(ReadFiles(log_) == before) << "a command that reads only has written";
    const Opened opened = OpenAndRead(log_);
    if (opened.created) {
      CheckNothingWasThere(files, {verify, stat, dump, repair});
      return;
    }
    CheckOpen(truth, opened, files, extent, last, before);
    // They agree on whether it opens.
    const json summary = Lines(verify.out).back();
    const json counts = json::parse(stat.out);
    const json report = json::parse(repair.out);
    EXPECT_EQ(summary["opens"], opened.status.ok()) << verify.out;
    EXPECT_EQ(counts["opens"], opened.status.ok()) << stat.out;
    EXPECT_EQ(report["opens"], opened.status.ok()) << repair.out;
    CheckVerify(truth, opened, verify, verify_text);
    // These two find all that is left, and nothing else.
    EXPECT_EQ(counts["records"], truth.left.size()) << stat.out;
    CheckDump(truth, opened, dump);
    CheckRepair(truth, files, report, repair);
    EXPECT_EQ(stat.code == 0, opened.status.ok() && counts["sound"] == true) << stat.out;
    if (!opened.status.ok() || opened.read_fails) {
      EXPECT_EQ(stat.code, 1);
      EXPECT_EQ(dump.code, 1);
    }
  }

  // Open made a new log: then there were zeros only, or no file at all, and no CONTROL.
  void CheckNothingWasThere(const Files& files, const std::vector<Outcome>& outcomes) const {
    EXPECT_EQ(files.count("CONTROL"), 0u);
    for (const auto& [name, bytes] : files) {
      if (name.find(".seg") == std::string::npos) continue;
      EXPECT_EQ(bytes.find_first_not_of('\0', std::min<size_t>(kSegmentHeaderBytes, bytes.size())),
                std::string::npos)
          << name << " held something";
    }
    for (const Outcome& outcome : outcomes) {
      EXPECT_EQ(outcome.code, 2) << outcome.out << outcome.err;
    }
  }

  void CheckOpen(const Truth& truth, const Opened& opened, const Files& files, Extent extent,
                 bool last, const std::map<std::string, std::string>& before) const {
    if (!opened.status.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(opened.status)) << opened.status;
      auto after = ReadFiles(log_);
      after.erase("LOCK");
      EXPECT_TRUE(after == before) << "an opening that failed changed the directory";
      return;
    }
    if (opened.read_fails) return;
    // With the newest slot of CONTROL, all that knew of the last segment may be gone.
    const bool no_trace = last && extent != Extent::kHeader && extent != Extent::kHeaderNoise &&
                          NewestMayBeLost(files);
    if (no_trace) return;
    // Of a log that was not closed, the last group may be one that was never acknowledged.
    Lsn known = made_.last_lsn;
    if (!GetParam().closed) --known;
    for (Lsn lsn = 1; lsn <= known; ++lsn) {
      ASSERT_EQ(opened.records.count(lsn), 1u) << "lost silently: record " << lsn;
    }
    (void)truth;
  }

  void CheckVerify(const Truth& truth, const Opened& opened, const Outcome& verify,
                   const Outcome& text) const {
    const json summary = Lines(verify.out).back();
    const bool sound = summary["sound"];
    EXPECT_EQ(verify.code, sound ? 0 : 1);
    EXPECT_EQ(text.code, verify.code);
    EXPECT_EQ(summary["records"], truth.left.size()) << verify.out;
    if (!truth.missing.empty() || !opened.status.ok() || opened.read_fails) {
      EXPECT_FALSE(sound) << verify.out;
      EXPECT_EQ(text.out.find("nothing is lost"), std::string::npos) << text.out;
    }
    if (!truth.damaged) {
      EXPECT_TRUE(sound) << verify.out;
    }
  }

  void CheckDump(const Truth& truth, const Opened& opened, const Outcome& dump) const {
    std::set<Lsn> shown;
    for (const json& line : Lines(dump.out)) {
      if (line["type"] != "record") continue;
      const Lsn lsn = line["lsn"];
      EXPECT_EQ(line["payload"], Payload(lsn));
      EXPECT_TRUE(shown.insert(lsn).second) << "record " << lsn << " is shown twice";
    }
    EXPECT_EQ(Ranges(shown), Ranges(truth.left));
    if (!truth.missing.empty() && !opened.status.ok()) {
      EXPECT_EQ(dump.code, 1);
    }
  }

  void CheckRepair(const Truth& truth, const Files& files, const json& report,
                   const Outcome& repair) const {
    const bool lost = report["lost"], uncertain = report.value("uncertain", false);
    const bool whole = !NewestMayBeLost(files);
    EXPECT_EQ(report["records"], truth.left.size()) << repair.out;
    std::set<Lsn> reported;
    for (const json& damage : report["damage"]) {
      if (damage["lost"] != true || !damage.contains("last_lsn")) continue;
      const Lsn first = damage["first_lsn"].is_null() ? 1 : damage["first_lsn"].get<Lsn>();
      for (Lsn lsn = first; lsn <= damage["last_lsn"]; ++lsn) reported.insert(lsn);
    }
    for (Lsn lsn : truth.left) {
      ASSERT_EQ(reported.count(lsn), 0u) << "record " << lsn << " is there:\n" << repair.out;
    }
    if (!truth.missing.empty() && whole) {
      EXPECT_TRUE(lost) << repair.out;
    }
    if (!truth.missing.empty()) {
      EXPECT_TRUE(lost || uncertain) << repair.out;
    }
    if (truth.missing.empty()) {
      EXPECT_FALSE(lost) << repair.out;
    }
    // Of a killed log, the last records may be known to nothing but themselves.
    std::set<Lsn> expected = truth.missing;
    while (!GetParam().closed && !expected.empty() && *expected.rbegin() > LastKnown(reported)) {
      expected.erase(std::prev(expected.end()));
    }
    if (whole) {
      EXPECT_EQ(Ranges(reported), Ranges(expected)) << repair.out;
    }
    EXPECT_EQ(repair.code, lost || uncertain ? 1 : 0) << repair.out;
  }

  static Lsn LastKnown(const std::set<Lsn>& reported) {
    return reported.empty() ? 0 : *reported.rbegin();
  }

  const ScratchDirectory scratch_;
  const std::string log_ = scratch_.path("log");
  const std::string new_ = scratch_.path("new");
  Made made_;
  std::map<Lsn, Place> places_;
};

TEST_P(TruthTest, AllSayTheSame) {
  made_ = Make(GetParam(), scratch_.path("made"));
  places_ = PlacesOf(made_);
  ASSERT_EQ(places_.size(), made_.last_lsn);
  std::set<size_t> positions = {0, made_.segments.size() / 2, made_.segments.size() - 1};
  ASSERT_EQ(positions.size(), GetParam().many_segments ? 3u : 1u);
  size_t number = 0;
  size_t tried = 0;
  for (int control = 0; control <= kGone; ++control) {
    for (size_t position : positions) {
      for (const auto& [extent, what] : kExtents) {
        if (extent == Extent::kNone && position != 0) continue;
        if (number++ % kShare != 0) continue;
        SCOPED_TRACE(absl::StrCat(GetParam().name, ": ", made_.segments[position], " ", what,
                                  ", CONTROL ",
                                  control == kGone       ? "gone"
                                  : control == kAllSlots ? "damaged"
                                                         : absl::StrCat(control)));
        Files files = made_.files;
        Apply(extent, made_.segments[position], &files);
        ApplyControl(control, &files);
        Check(files, extent, position + 1 == made_.segments.size());
        ++tried;
        if (HasFatalFailure()) return;
      }
    }
  }
  std::cout << GetParam().name << ": " << tried << " damaged logs\n";
}

INSTANTIATE_TEST_SUITE_P(All, TruthTest, ::testing::ValuesIn(kShapes),
                         [](const ::testing::TestParamInfo<LogShape>& param) {
                           return std::string(param.param.name);
                         });

}  // namespace
}  // namespace seawall
