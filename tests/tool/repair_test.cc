// SPDX-License-Identifier: Apache-2.0
// Salvage, held against every kind of damage (damage_kinds.h): each record whose bytes are left
// anywhere in the directory comes back as it was, under its LSN; no other record does; any single
// flipped bit costs nothing; the damaged log is not touched; and what is written opens. Then the
// command, as a user runs it.
//
// SEAWALL_CRASH_SEED chooses other damages.
#include <cerrno>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "seawall/reader.h"
#include "tests/damage/damage_kinds.h"
#include "tests/damage/damage_logs.h"
#include "tests/support/seed.h"
#include "tests/tool/tool_test_util.h"
#include "tools/seawall/salvage/log_salvage.h"
#include "tools/seawall/salvage/salvage_writer.h"

namespace seawall {
namespace {

constexpr uint64_t kThinning = 97;
// Of so many damages one is salvaged to a new log, which is read again.
constexpr size_t kWrittenEvery = 16;

class Collector : public SalvageSink {
 public:
  absl::Status OnRecords(Lsn first_lsn, const std::vector<std::string_view>& records) override {
    for (std::string_view record : records) {
      if (!records_.emplace(first_lsn, record).second) twice_ = true;
      ++first_lsn;
    }
    return absl::OkStatus();
  }
  const std::map<Lsn, std::string>& records() const { return records_; }
  bool twice() const { return twice_; }

 private:
  std::map<Lsn, std::string> records_;
  bool twice_ = false;
};

// The bytes of each record with its header, as they stand in the newest segment that has it.
std::map<Lsn, std::string> EncodedRecords(const Files& files) {
  std::map<Lsn, std::string> encoded;
  for (const auto& [path, bytes] : files) {
    SegmentHeader header;
    if (!IsSegment(path) || !HeaderOf(bytes, &header)) continue;
    uint64_t at = kSegmentHeaderBytes;
    GroupHeader group;
    uint64_t checksum;
    while (at + kGroupHeaderBytes <= bytes.size() &&
           DecodeGroupHeader(bytes.data() + at, header.salt, at, &group, &checksum)) {
      RecordCursor cursor(std::string_view(bytes).substr(at, group.group_bytes), group,
                          header.salt);
      Record record;
      while (cursor.Next(&record) == RecordCursor::Result::kRecord) {
        encoded[record.lsn] =
            bytes.substr(at + cursor.record_offset(), EncodedRecordBytes(record.payload.size()));
      }
      at += group.group_bytes;
    }
  }
  return encoded;
}

bool IsLeft(const Files& files, const std::string& bytes) {
  for (const auto& file : files) {
    if (file.second.find(bytes) != std::string::npos) return true;
  }
  return false;
}

std::string WriteFiles(const Files& files, const std::string& directory) {
  std::filesystem::remove_all(directory);
  std::filesystem::create_directory(directory);
  for (const auto& [path, bytes] : files) {
    WriteFile(absl::StrCat(directory, "/", std::filesystem::path(path).filename().string()), bytes);
  }
  return directory;
}

struct Case {
  const char* name;
  Subject (*make)();
  bool big = false;
};

class RepairTest : public ::testing::TestWithParam<Case> {
 protected:
  Files Damaged(const Damage* damage) const {
    const std::unique_ptr<CrashFileSystem> disk = subject_.state->Kill();
    const int error = damage == nullptr ? 0 : damage->apply(disk.get());
    EXPECT_EQ(error, 0);
    return Snapshot(*disk);
  }

  // Empty, or what is wrong with what was salvaged of `files`.
  std::string Judge(const Files& files, bool one_bit, const Collector& found,
                    const SalvageResult& result) const {
    if (found.twice()) return "a record came twice";
    const std::vector<std::string>& world = subject_.world.records;
    for (const auto& [lsn, payload] : found.records()) {
      if ((lsn > world.size() || payload != world[lsn - 1]) && !MayHaveBeenCut(result)) {
        return absl::StrCat("record ", lsn, " is not what was appended");
      }
    }
    for (const auto& [lsn, bytes] : encoded_) {
      if (found.records().count(lsn) > 0) continue;
      if (one_bit && bytes.size() <= kMostCorrectedBytes) {
        return absl::StrCat("record ", lsn, " is lost for one bit");
      }
      if (IsLeft(files, bytes) && !DroppedForItsBatch(result, files, lsn)) {
        return absl::StrCat("record ", lsn, " is there and was not salvaged");
      }
      // Nobody can tell it from one that was never acknowledged if the log opens without it.
      if (!result.lost() && !result.opens.ok()) {
        return absl::StrCat("the loss of record ", lsn, " is not reported");
      }
    }
    return "";
  }

  // A truncation is told of by the segment that it began, and by nothing else.
  bool MayHaveBeenCut(const SalvageResult& result) const {
    if (!truncated_) return false;
    for (const Finding& damage : result.damage) {
      if (damage.kind == "missing_segment") return true;
    }
    return false;
  }

  // It is reported so, and a record before it, with no whole one between, is gone.
  bool DroppedForItsBatch(const SalvageResult& result, const Files& files, Lsn lsn) const {
    for (const Finding& damage : result.damage) {
      if (damage.kind != "batch_not_whole" || lsn < damage.records.first ||
          lsn > damage.records.last) {
        continue;
      }
      for (const LsnRange& batch : subject_.world.batches) {
        if (lsn < batch.first || lsn > batch.last) continue;
        for (Lsn other = batch.first; other <= batch.last; ++other) {
          if (!IsLeft(files, encoded_.at(other))) return true;
        }
      }
      const auto before = encoded_.find(damage.records.first - 1);
      return before == encoded_.end() || !IsLeft(files, before->second);
    }
    return false;
  }

  void CheckWritten(const std::string& directory, const Collector& found, Lsn first_lsn) {
    const std::string to = scratch_.path("new");
    std::filesystem::remove_all(to);
    SalvageWriter writer(to, false);
    ASSERT_TRUE(SalvageLog(directory, false, &writer).ok());
    ASSERT_TRUE(writer.Finish(first_lsn).ok());
    std::map<Lsn, std::string> read;
    for (const SalvagedRun& run : writer.runs()) {
      absl::StatusOr<std::unique_ptr<Reader>> reader = Reader::OpenReadOnly(run.directory);
      ASSERT_TRUE(reader.ok()) << reader.status();
      Record record;
      while ((*reader)->Next(&record)) read[record.lsn] = std::string(record.payload);
      EXPECT_TRUE((*reader)->status().ok()) << (*reader)->status();
    }
    EXPECT_EQ(read, found.records());
  }

  void Try(const std::string& what, const Files& files, bool one_bit, bool write) {
    SCOPED_TRACE(absl::StrCat(subject_.name, ", ", what));
    const std::string directory = WriteFiles(files, scratch_.path("log"));
    const auto before = ReadFiles(directory);
    Collector found;
    absl::StatusOr<SalvageResult> result = SalvageLog(directory, false, &found);
    if (!result.ok()) {
      ADD_FAILURE() << result.status();
      return;
    }
    EXPECT_EQ(Judge(files, one_bit, found, *result), "");
    if (HasFailure()) {
      for (const Finding& damage : result->damage) {
        std::cout << damage.kind << " " << damage.path << " " << damage.offset << " "
                  << damage.records.first << ".." << damage.records.last << " " << damage.what
                  << "\n";
      }
    }
    if (write) CheckWritten(directory, found, result->first_lsn);
    EXPECT_TRUE(ReadFiles(directory) == before) << "the damaged log was changed";
    lost_ += result->lost() ? 1 : 0;
    corrected_ += result->corrected() ? 1 : 0;
  }

  const ScratchDirectory scratch_;
  Subject subject_;
  const bool truncated_ = GetParam().make == Truncated;
  std::map<Lsn, std::string> encoded_;
  size_t lost_ = 0;
  size_t corrected_ = 0;
};

TEST_P(RepairTest, SalvagesAllThatIsLeft) {
  subject_ = GetParam().make();
  subject_.depth = GetParam().big ? Subject::kCoarse : Subject::kUsual;
  encoded_ = EncodedRecords(subject_.files);
  ASSERT_FALSE(encoded_.empty());
  Try("not damaged", Damaged(nullptr), true, true);
  ASSERT_EQ(lost_ + corrected_, 0u);
  const Damages damages(subject_, GetParam().big ? kThinning / 2 : kThinning);
  size_t number = 0;
  for (const Damage& damage : damages.all()) {
    Try(damage.what, Damaged(&damage), damage.kind == Damage::kBit, ++number % kWrittenEvery == 0);
    if (HasFailure()) return;
  }
  std::cout << subject_.name << ": " << number << " damages, " << lost_ << " with a loss, "
            << corrected_ << " corrected\n";
  EXPECT_GT(number, 20u);
}

// Each payload, each header, at several places: one bit is always found.
TEST_P(RepairTest, CorrectsOneBitOfARecordAndOfAGroup) {
  subject_ = GetParam().make();
  encoded_ = EncodedRecords(subject_.files);
  size_t tried = 0;
  for (const auto& [lsn, bytes] : encoded_) {
    if (bytes.size() > kMostCorrectedBytes) continue;
    for (uint64_t salt = 0; salt < 4; ++salt) {
      Files files = Damaged(nullptr);
      const uint64_t bit = Mix(97 * lsn + salt) % (8 * bytes.size());
      for (auto& file : files) {
        const size_t at = file.second.find(bytes);
        if (at == std::string::npos) continue;
        char& byte = file.second[at + bit / 8];
        byte = static_cast<char>(byte ^ (1 << (bit % 8)));
      }
      const size_t corrected = corrected_;
      Try(absl::StrCat("bit ", bit, " of record ", lsn), files, true, false);
      EXPECT_EQ(corrected_, corrected + 1);
      if (HasFailure()) return;
      ++tried;
    }
  }
  EXPECT_GT(tried, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    All, RepairTest,
    ::testing::Values(Case{"Unclosed", Unclosed}, Case{"Closed", Closed},
                      Case{"UnclosedDense", UnclosedDense},
                      Case{"UnclosedUnsynced", UnclosedUnsynced},
                      Case{"UnlistedSpare", UnlistedSpare}, Case{"ClosedDense", ClosedDense},
                      Case{"JustRolledOver", JustRolledOver}, Case{"Recovered", Recovered},
                      Case{"RecoveredAndWritten", RecoveredAndWritten},
                      Case{"ClosedTwice", ClosedTwice},
                      Case{"TrimmedAndRecycled", TrimmedAndRecycled}, Case{"Truncated", Truncated},
                      Case{"BigClosed", BigClosed, true}, Case{"BigRecovered", BigRecovered, true}),
    [](const ::testing::TestParamInfo<Case>& param) { return std::string(param.param.name); });

// ---- The command

class RepairCommandTest : public ::testing::Test {
 protected:
  // Small segments: three records in each.
  void Append(const std::vector<size_t>& sizes, const std::vector<size_t>& batch = {}) {
    Options options;
    options.segment_bytes = 16 << 10;
    options.buffer_bytes = 8 << 10;
    options.max_record_bytes = 4 << 10;
    auto log = Log::Open(log_, options);
    ASSERT_TRUE(log.ok()) << log.status();
    for (size_t size : sizes) {
      payloads_.push_back(std::string(size, static_cast<char>('a' + payloads_.size() % 26)));
      ASSERT_TRUE((*log)->AppendDurable(payloads_.back()).ok());
    }
    std::vector<std::string_view> records;
    std::vector<std::string> made;
    for (size_t size : batch) made.push_back(std::string(size, 'B'));
    for (const std::string& record : made) records.push_back(record);
    if (!records.empty()) {
      ASSERT_TRUE((*log)->AppendBatch(records).ok());
    }
    ASSERT_TRUE((*log)->Close().ok());
  }

  Outcome Repair(const std::vector<std::string>& flags = {}) {
    std::vector<std::string> arguments = {"repair", log_, "--out=" + new_};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return RunTool(arguments);
  }

  // Makes record `payload` one that nobody can mend.
  void Spoil(const std::string& payload) {
    for (const auto& [name, bytes] : ReadFiles(log_)) {
      const size_t at = bytes.find(payload);
      if (at == std::string::npos) continue;
      FlipByte(log_ + "/" + name, at);
      FlipByte(log_ + "/" + name, at + 1);
      return;
    }
    FAIL() << "no such payload";
  }

  const ScratchDirectory scratch_;
  const std::string log_ = scratch_.path("log");
  const std::string new_ = scratch_.path("new");
  std::vector<std::string> payloads_;
};

TEST_F(RepairCommandTest, SoundLogIsCopiedWithStatusZero) {
  Append({100, 200, 300});
  const Outcome outcome = Repair();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(report["records"], 3);
  EXPECT_TRUE(report["damage"].empty());
  EXPECT_EQ(RunTool({"verify", new_}).code, 0);
}

TEST_F(RepairCommandTest, RecordsBehindAGapKeepTheirNumbersInALogOfTheirOwn) {
  Append({2000, 2001, 2002, 2003, 2004, 2005, 2006});
  Spoil(payloads_[3]);
  const Outcome outcome = Repair();
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(report["logs"].size(), 2u) << outcome.out;
  EXPECT_EQ(report["logs"][0]["directory"], new_);
  EXPECT_EQ(report["logs"][0]["records"], 3);
  EXPECT_EQ(report["logs"][1]["directory"], new_ + "/from-5");
  EXPECT_EQ(report["logs"][1]["first_lsn"], 5);
  ASSERT_EQ(report["damage"].size(), 1u) << outcome.out;
  EXPECT_EQ(report["damage"][0]["kind"], "unreadable");
  EXPECT_EQ(report["damage"][0]["first_lsn"], 4);
  EXPECT_EQ(report["damage"][0]["last_lsn"], 4);
  EXPECT_EQ(RunTool({"verify", new_}).code, 0);
  EXPECT_EQ(RunTool({"verify", new_ + "/from-5"}).code, 0);
  EXPECT_EQ(RunTool({"dump", "--raw", new_ + "/from-5"}).out,
            payloads_[4] + payloads_[5] + payloads_[6]);
  // Both can be written to.
  EXPECT_TRUE(Log::Open(new_ + "/from-5", Options()).ok());
}

TEST_F(RepairCommandTest, RenumberedRecordsAreOneLog) {
  Append({2000, 2001, 2002, 2003, 2004, 2005, 2006});
  Spoil(payloads_[3]);
  const Outcome outcome = Repair({"--renumber"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  ASSERT_EQ(report["logs"].size(), 2u) << outcome.out;
  EXPECT_EQ(report["logs"][1]["first_lsn"], 4);
  EXPECT_EQ(report["logs"][1]["source_first_lsn"], 5);
  payloads_.erase(payloads_.begin() + 3);
  std::string all;
  for (const std::string& payload : payloads_) all += payload;
  EXPECT_EQ(RunTool({"dump", "--raw", new_}).out, all);
  EXPECT_EQ(RunTool({"verify", new_}).code, 0);
}

TEST_F(RepairCommandTest, RecordsMayBeLongerThanTheDefaultsTake) {
  Options options;
  options.buffer_bytes = 8 << 20;
  options.max_record_bytes = 6 << 20;
  auto log = Log::Open(log_, options);
  ASSERT_TRUE(log.ok()) << log.status();
  for (size_t bytes : {3 << 20, 2000, 5 << 20}) {
    payloads_.push_back(std::string(bytes, static_cast<char>('a' + payloads_.size())));
    ASSERT_TRUE((*log)->AppendDurable(payloads_.back()).ok());
  }
  ASSERT_TRUE((*log)->Close().ok());
  Spoil(payloads_[1]);
  const Outcome outcome = Repair({"--renumber"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_TRUE(RunTool({"dump", "--raw", new_}).out == payloads_[0] + payloads_[2]);
}

TEST_F(RepairCommandTest, FlippedBitIsCorrectedAndSaid) {
  Append({100, 200, 300});
  const auto files = ReadFiles(log_);
  const std::string name = "0000000000000001.seg";
  std::string bytes = files.at(name);
  const size_t at = bytes.find(payloads_[1]) + 17;
  bytes[at] = static_cast<char>(bytes[at] ^ 4);
  WriteFile(log_ + "/" + name, bytes);
  const Outcome outcome = Repair({"--report=" + scratch_.path("report")});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_NE(outcome.out.find("CORRECTED"), std::string::npos) << outcome.out;
  const auto report = nlohmann::json::parse(ReadFile(scratch_.path("report")));
  ASSERT_EQ(report["damage"].size(), 1u);
  EXPECT_EQ(report["damage"][0]["kind"], "bit_corrected");
  EXPECT_EQ(report["damage"][0]["offset"], at);
  EXPECT_FALSE(report["lost"]);
  EXPECT_EQ(RunTool({"dump", "--raw", new_}).out, payloads_[0] + payloads_[1] + payloads_[2]);
}

// Nothing is left but groups, of which each bears its segment's salt in its checksum.
TEST_F(RepairCommandTest, RecordsAreFoundWithoutAnyHeaderAndWithoutControl) {
  Append({2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007});
  size_t segments = 0;
  for (auto [name, bytes] : ReadFiles(log_)) {
    if (!IsSegment(name)) continue;
    bytes.replace(0, kSegmentHeaderBytes, kSegmentHeaderBytes, '\0');
    WriteFile(log_ + "/" + name, bytes);
    ++segments;
  }
  EXPECT_GE(segments, 2u);
  std::filesystem::remove(log_ + "/CONTROL");
  const Outcome outcome = Repair();
  // Without CONTROL nothing says that these were all.
  EXPECT_EQ(outcome.code, 1) << outcome.out << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(report["lost"], false) << outcome.out;
  EXPECT_EQ(report["uncertain"], true) << outcome.out;
  std::string all;
  for (const std::string& payload : payloads_) all += payload;
  EXPECT_EQ(RunTool({"dump", "--raw", new_}).out, all);
}

// Its bytes are still in the segment that the cut went through.
TEST_F(RepairCommandTest, WhatATruncationCutOffDoesNotComeBack) {
  Append({2000, 2001, 2002, 2003});
  {
    auto log = Log::Open(log_, Options());
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_TRUE((*log)->AppendDurable("kept").ok());
    ASSERT_TRUE((*log)->AppendDurable("cut off").ok());
    ASSERT_TRUE((*log)->TruncateAfter(5).ok());
    ASSERT_TRUE((*log)->AppendDurable("instead").ok());
    ASSERT_TRUE((*log)->Close().ok());
  }
  std::string files;
  for (const auto& file : ReadFiles(log_)) files += file.second;
  ASSERT_NE(files.find("cut off"), std::string::npos);
  const Outcome outcome = Repair();
  EXPECT_EQ(outcome.code, 0) << outcome.out << outcome.err;
  const std::string dump = RunTool({"dump", "--raw", new_}).out;
  EXPECT_EQ(dump.substr(2000 + 2001 + 2002 + 2003), "keptinstead");
}

// Nor what a reset gave up, below the new log's records either; not even without the CONTROL that
// says where the log begins.
TEST_F(RepairCommandTest, WhatAResetGaveUpDoesNotComeBack) {
  Append({2000, 2001, 2002, 2003});
  const auto before = ReadFiles(log_);
  {
    auto log = Log::Open(log_, Options());
    ASSERT_TRUE(log.ok()) << log.status();
    ASSERT_TRUE((*log)->Reset(3).ok());
    ASSERT_TRUE((*log)->AppendDurable("instead").ok());
    ASSERT_TRUE((*log)->Close().ok());
  }
  for (const auto& [name, bytes] : before) {
    if (name == "CONTROL" || name == "LOCK") continue;
    ASSERT_NE(bytes.find_first_not_of('\0'), std::string::npos);
    WriteFile(log_ + "/" + name, bytes);
  }
  std::filesystem::remove(log_ + "/CONTROL");
  const Outcome outcome = Repair();
  EXPECT_EQ(RunTool({"dump", "--raw", new_}).out, "instead") << outcome.out << outcome.err;
  EXPECT_EQ(Reader::OpenReadOnly(new_).value()->next_lsn(), 3u);
}

// The records of a group whose header is gone, and those behind one whose length is.
TEST_F(RepairCommandTest, RecordsAreFoundByTheirChecksums) {
  Append({100, 101}, {50, 51, 52});
  const std::string name = "0000000000000001.seg";
  const std::string path = log_ + "/" + name;
  std::string bytes = ReadFiles(log_).at(name);
  const size_t batch = bytes.find(std::string(50, 'B'));
  const size_t second = bytes.find(payloads_[1]);
  // The batch's group header; the second record's length.
  bytes.replace(batch - kRecordHeaderBytes - kGroupHeaderBytes, kGroupHeaderBytes,
                kGroupHeaderBytes, '?');
  bytes.replace(second - 8, 4, 4, '?');
  WriteFile(path, bytes);
  const Outcome outcome = Repair({"--keep_partial_batches"});
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  EXPECT_EQ(RunTool({"dump", "--raw", new_}).out, payloads_[0]);
  EXPECT_EQ(RunTool({"dump", "--raw", new_ + "/from-3"}).out,
            std::string(50, 'B') + std::string(51, 'B') + std::string(52, 'B'));
}

TEST_F(RepairCommandTest, BatchThatIsNotWholeIsDroppedUnlessItIsWanted) {
  Append({100}, {50, 51, 52});
  Spoil(std::string(50, 'B'));
  const Outcome outcome = Repair();
  EXPECT_EQ(outcome.code, 1) << outcome.err;
  const auto report = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(report["records"], 1) << outcome.out;
  EXPECT_EQ(report["damage"][1]["kind"], "batch_not_whole");
  EXPECT_EQ(report["damage"][1]["first_lsn"], 3);
  EXPECT_EQ(report["damage"][1]["last_lsn"], 4);
  std::filesystem::remove_all(new_);
  EXPECT_EQ(nlohmann::json::parse(Repair({"--keep_partial_batches"}).out)["records"], 3);
}

TEST_F(RepairCommandTest, RefusesToTouchTheLogOrWhatIsThere) {
  Append({100});
  const auto before = ReadFiles(log_);
  EXPECT_EQ(RunTool({"repair", log_}).code, 2);
  EXPECT_EQ(RunTool({"repair", log_, "--out=" + log_}).code, 2);
  EXPECT_EQ(RunTool({"repair", log_, "--out=" + log_ + "/"}).code, 2);
  EXPECT_EQ(RunTool({"repair", log_, "--out=" + log_ + "/in/it"}).code, 2);
  EXPECT_EQ(RunTool({"repair", log_, "--out=" + scratch_.path("")}).code, 2);
  EXPECT_EQ(Repair({"--report=" + log_ + "/report"}).code, 2);
  EXPECT_EQ(RunTool({"repair", scratch_.path("none"), "--out=" + new_}).code, 2);
  std::filesystem::create_directory_symlink(log_, scratch_.path("link"));
  EXPECT_EQ(RunTool({"repair", log_, "--out=" + scratch_.path("link")}).code, 2);
  const Outcome no_report = Repair({"--report=" + scratch_.path("none/report")});
  EXPECT_EQ(no_report.code, 2);
  EXPECT_NE(no_report.err.find("nothing was written"), std::string::npos) << no_report.err;
  EXPECT_FALSE(std::filesystem::exists(new_)) << "before it has salvaged all";
  const std::string full = scratch_.path("full");
  std::filesystem::create_directory(full);
  WriteFile(full + "/file", "x");
  EXPECT_NE(RunTool({"repair", log_, "--out=" + full}).err.find("Nothing was written."),
            std::string::npos);
  EXPECT_NE(RunTool({"repair", log_, "--out=" + new_ + "/in"}).err.find("mkdir -p " + new_ + "\n"),
            std::string::npos);
  EXPECT_TRUE(ReadFiles(log_) == before);
  EXPECT_FALSE(std::filesystem::exists(new_));
  // The root of a new file system is an empty directory.
  std::filesystem::create_directories(new_ + "/lost+found");
  EXPECT_EQ(Repair({}).code, 0);
}

TEST_F(RepairCommandTest, RefusesALogThatIsBeingWritten) {
  auto log = Log::Open(log_, Options());
  ASSERT_TRUE(log.ok());
  const Outcome outcome = Repair();
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("writer"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("Nothing was written."), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(new_));
}

// As on a network file system whose server keeps no locks.
TEST_F(RepairCommandTest, SaysWhyALockCannotBeHad) {
  Append({100});
  RunOptions options;
  options.flock_error = ENOLCK;
  const Outcome outcome = RunTool({"repair", log_, "--out=" + new_}, options);
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("/LOCK: No locks available"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("writer"), std::string::npos) << outcome.err;
}

}  // namespace
}  // namespace seawall
