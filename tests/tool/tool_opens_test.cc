// SPDX-License-Identifier: Apache-2.0
// What `seawall verify` says of opening a log ("opens", the verdict, the LSNs) is what Log::Open
// then does: over logs that were closed, killed, trimmed, torn and reopened, each damaged in one
// place chosen by chance. SEAWALL_TEST_SEED replays a run.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <iostream>
#include <iterator>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "seawall/log.h"
#include "tests/support/seed.h"
#include "tests/tool/tool_test_util.h"

namespace seawall {
namespace {

constexpr int kSamplesOfEachLog = 50;

using Files = std::map<std::string, std::string>;
using Random = std::mt19937_64;

uint64_t Below(uint64_t bound, Random* random) { return (*random)() % bound; }

Options SmallOptions() {
  Options options;
  options.segment_bytes = 16384;
  options.buffer_bytes = 8192;
  options.max_record_bytes = 2048;
  return options;
}

// ---- The logs

// In a process of its own, that ends without closing the log unless `write` has closed it.
void WriteAndDie(const std::string& directory, const std::function<bool(Log*)>& write) {
  const pid_t child = fork();
  if (child == 0) {
    auto log = Log::Open(directory, SmallOptions());
    _exit(log.ok() && write(log->get()) ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
}

bool Append(Log* log, int records, Durability until = Durability::kDurable) {
  for (int i = 0; i < records; ++i) {
    if (!log->Append(std::string(static_cast<size_t>(100 + i), 'x'), until).ok()) return false;
  }
  return true;
}

struct Subject {
  std::string name;
  Files files;
  Files earlier;  // the same log, before its last writer
};

std::vector<Subject> MakeSubjects() {
  std::vector<Subject> subjects;
  const ScratchDirectory scratch;
  const auto add = [&](const std::string& name, const std::function<bool(Log*)>& write) {
    const std::string directory = scratch.path(name);
    WriteAndDie(directory, [](Log* log) { return Append(log, 60) && log->Close().ok(); });
    const Files earlier = ReadFiles(directory);
    WriteAndDie(directory, write);
    subjects.push_back({name, ReadFiles(directory), earlier});
  };
  add("closed", [](Log* log) { return Append(log, 100) && log->Close().ok(); });
  add("killed", [](Log* log) { return Append(log, 100); });
  add("written", [](Log* log) { return Append(log, 20, Durability::kWritten); });
  add("trimmed",
      [](Log* log) { return Append(log, 150) && log->TrimBefore(120).ok() && Append(log, 3); });
  add("truncated", [](Log* log) {
    return Append(log, 50) && log->TruncateAfter(30).ok() && Append(log, 5) && log->Close().ok();
  });
  add("unchanged", [](Log*) { return true; });
  return subjects;
}

// ---- The damage

std::map<std::string, std::string>::iterator AnyFile(Files* files, Random* random) {
  Files::iterator file;
  do {
    file = std::next(files->begin(), static_cast<ptrdiff_t>(Below(files->size(), random)));
  } while (file->first == "LOCK");
  return file;
}

// A place in a file: half of them in its headers and first groups.
uint64_t Place(uint64_t bytes, Random* random) {
  const uint64_t head = std::min<uint64_t>(bytes, 4096 + 256);
  return Below(Below(2, random) == 0 ? head : bytes, random);
}

// Returns what it did.
std::string Damage(const Subject& subject, Files* files, Random* random) {
  auto& [name, content] = *AnyFile(files, random);
  const auto& [other_name, other] = *AnyFile(files, random);
  if (content.empty()) return "nothing";
  const uint64_t at = Place(content.size(), random);
  const std::string place = name + " at " + std::to_string(at);
  switch (Below(10, random)) {
    case 0:
      content.resize(at);
      return "cut " + place;
    case 1:
      content.replace(at, std::min<size_t>(512, content.size() - at),
                      std::min<size_t>(512, content.size() - at), '\0');
      return "zeros " + place;
    case 2:
      content = other;
      return name + " replaced by " + other_name;
    case 3: {
      const auto earlier = subject.earlier.find(name);
      if (earlier == subject.earlier.end()) return "nothing";
      content = earlier->second;
      return name + " as it was earlier";
    }
    case 4: {
      const std::string removed = name;
      files->erase(removed);
      return removed + " removed";
    }
    case 5:
      for (size_t i = at; i < std::min<size_t>(at + 64, content.size()); ++i) {
        content[i] = static_cast<char>(Below(256, random));
      }
      return "garbage " + place;
    default:
      content[at] = static_cast<char>(content[at] ^ (1 << Below(8, random)));
      return "bit flipped " + place;
  }
}

// ---- The comparison

nlohmann::json SummaryOf(const std::string& lines) {
  const size_t last = lines.rfind('\n', lines.size() - 2);
  return nlohmann::json::parse(lines.substr(last == std::string::npos ? 0 : last + 1));
}

class ToolOpensTest : public ::testing::Test {
 protected:
  void Check(const Files& files) {
    std::filesystem::remove_all(log_);
    std::filesystem::create_directory(log_);
    for (const auto& [name, content] : files) WriteFile(log_ + "/" + name, content);
    const Outcome json = RunTool({"verify", "--json", log_});
    // The text says the same; of a part of them, as each is a process.
    if (++checked_ % 8 == 0) {
      const Outcome text = RunTool({"verify", log_});
      EXPECT_EQ(text.code, json.code);
      const bool opens = text.out.find("does not open") == std::string::npos;
      EXPECT_EQ(opens, json.code == 2 || SummaryOf(json.out)["opens"]) << text.out;
    }
    EXPECT_EQ(ReadFiles(log_), files) << "verify changed something";

    const auto log = Log::Open(log_, SmallOptions());
    if (json.code == 2) {
      EXPECT_FALSE(log.ok() || absl::IsDataLoss(log.status())) << log.status() << json.err;
      return;
    }
    const nlohmann::json summary = SummaryOf(json.out);
    EXPECT_EQ(summary["type"], "summary");
    EXPECT_EQ(summary["opens"], log.ok()) << log.status();
    EXPECT_EQ(summary["sound"], json.code == 0);
    if (!log.ok()) {
      EXPECT_TRUE(absl::IsDataLoss(log.status())) << log.status();
      EXPECT_EQ(json.code, 1);
      return;
    }
    ++opened_;
    const RecoveryReport& report = (*log)->recovery_report();
    EXPECT_EQ(summary["verdict"], std::string(RecoveryVerdictName(report.verdict)));
    EXPECT_EQ(summary["first_lsn"], report.first_lsn);
    EXPECT_EQ(summary["last_lsn"], report.last_lsn);
    EXPECT_EQ(summary["torn_bytes"], report.discarded_bytes);
  }

  const ScratchDirectory scratch_;
  const std::string log_ = scratch_.path("log");
  int checked_ = 0;
  int opened_ = 0;
};

TEST_F(ToolOpensTest, AsVerifySays) {
  Random random(TestSeed());
  int tried = 0;
  for (const Subject& subject : MakeSubjects()) {
    Check(subject.files);
    for (int i = 0; i < kSamplesOfEachLog && !HasFailure(); ++i, ++tried) {
      Files files = subject.files;
      const std::string damage = Damage(subject, &files, &random);
      SCOPED_TRACE(subject.name + ": " + damage);
      Check(files);
    }
  }
  std::cout << tried << " damaged logs\n";
  // Neither answer is the answer to everything.
  EXPECT_GT(opened_, tried / 10);
  EXPECT_LT(opened_, tried - tried / 10);
}

}  // namespace
}  // namespace seawall
