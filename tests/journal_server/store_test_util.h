// SPDX-License-Identifier: Apache-2.0
// What the unit tests of examples/journal_server share: a journal in memory, a client of the
// executor, and the contents of a store as text.
#ifndef SEAWALL_TESTS_JOURNAL_SERVER_STORE_TEST_UTIL_H_
#define SEAWALL_TESTS_JOURNAL_SERVER_STORE_TEST_UTIL_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "examples/journal_server/effect.h"
#include "examples/journal_server/executor.h"
#include "examples/journal_server/store.h"
#include "gtest/gtest.h"

namespace journal_server {

// Keys with what they hold and when they expire.
inline std::map<std::string, std::string> Dump(const Store& store) {
  std::map<std::string, std::string> dump;
  store.Visit(0, [&dump](std::string_view key, const Object& object) {
    std::string text = std::to_string(object.expire_at_ms);
    if (object.list() != nullptr) {
      for (const std::string& element : *object.list()) text += "," + element;
    } else {
      text += "=" + *object.string();
    }
    dump[std::string(key)] = text;
    return true;
  });
  return dump;
}

class MemoryJournal : public JournalSink {
 public:
  seawall::Lsn next_lsn() const override { return records.size() + 1; }
  Result Append(std::string_view record) override {
    if (answer.code == Result::Code::kAppended) records.emplace_back(record);
    return answer;
  }

  std::vector<std::string> records;
  Result answer;
};

inline void Redo(const std::vector<std::string>& records, seawall::Lsn first, Store* store) {
  for (seawall::Lsn lsn = first; lsn <= records.size(); ++lsn) {
    auto effects = DecodeRecord(records[lsn - 1]);
    ASSERT_TRUE(effects.ok()) << effects.status();
    store->RedoRecord(*effects, lsn);
  }
}

class FakeHost : public Host {
 public:
  std::string Info(std::string_view section) override { return "section:" + std::string(section); }
  std::vector<std::pair<std::string, std::string>> Config() override {
    return {{"appendonly", "yes"}, {"save", ""}};
  }
  std::string StartSnapshot() override { return std::exchange(snapshot_problem, "running"); }
  void Shutdown() override { ++shutdowns; }

  std::string snapshot_problem;
  int shutdowns = 0;
};

// A store with a client of it.
class Bench {
 public:
  // The reply to "SET key value": words are split at blanks, "" is an empty one.
  std::string operator()(const std::string& line) {
    Words words;
    EXPECT_TRUE(SplitInline(line, &words)) << line;
    return Run(words);
  }
  std::string Run(Words words) {
    std::string reply;
    outcome = executor.Run(words, &session, &reply);
    return reply;
  }

  int64_t now_ms = 1000000;
  Store store;
  MemoryJournal journal;
  FakeHost host;
  Session session;
  Executor executor{&store, &journal, &host, [this] { return now_ms; }};
  Executor::Outcome outcome = Executor::Outcome::kReplied;
};

}  // namespace journal_server

#endif  // SEAWALL_TESTS_JOURNAL_SERVER_STORE_TEST_UTIL_H_
