// SPDX-License-Identifier: Apache-2.0
// Commands as clients see them, without a network.
#include <string>
#include <vector>

#include "examples/journal_server/executor.h"
#include "gtest/gtest.h"
#include "tests/journal_server/store_test_util.h"

namespace journal_server {
namespace {

const char kOk[] = "+OK\r\n";
const char kNull[] = "$-1\r\n";
const char kWrong[] = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

// A script: lines and the replies expected.
struct Step {
  std::string line;
  std::string reply;
};

void Play(Bench* bench, const std::vector<Step>& steps) {
  for (const Step& step : steps) EXPECT_EQ((*bench)(step.line), step.reply) << step.line;
  // Whatever was done is in the journal: nothing else makes the same store.
  Store redone;
  Redo(bench->journal.records, 1, &redone);
  EXPECT_EQ(Dump(redone), Dump(bench->store));
}

TEST(CommandTest, Strings) {
  Bench bench;
  Play(&bench, {{"SET k v", kOk},
                {"get k", "$1\r\nv\r\n"},
                {"GET none", kNull},
                {"SET k w NX", kNull},
                {"SET k w XX", kOk},
                {"SET new w XX", kNull},
                {"SET new w NX", kOk},
                {"SET k v NX XX", "-ERR syntax error\r\n"},
                {"SET k v EX", "-ERR syntax error\r\n"},
                {"SET k v EX 0", "-ERR invalid expire time in 'set' command\r\n"},
                {"SET k v EX 1x", "-ERR value is not an integer or out of range\r\n"},
                {"SET k v EX 9223372036854775807", "-ERR invalid expire time in 'set' command\r\n"},
                {"MSET a 1 b 2", kOk},
                {"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"},
                {"MGET a none b", "*3\r\n$1\r\n1\r\n$-1\r\n$1\r\n2\r\n"},
                {"APPEND a 23", ":3\r\n"},
                {"APPEND fresh xy", ":2\r\n"},
                {"STRLEN a", ":3\r\n"},
                {"STRLEN none", ":0\r\n"},
                {"GETDEL a", "$3\r\n123\r\n"},
                {"GETDEL a", kNull},
                {"DEL b new none", ":2\r\n"},
                {"EXISTS k k none", ":2\r\n"},
                {"DBSIZE", ":2\r\n"},
                {"FLUSHDB", kOk},
                {"DBSIZE", ":0\r\n"}});
}

TEST(CommandTest, Counters) {
  Bench bench;
  Play(&bench,
       {{"INCR n", ":1\r\n"},
        {"INCRBY n 41", ":42\r\n"},
        {"DECR n", ":41\r\n"},
        {"DECRBY n 50", ":-9\r\n"},
        {"SET n 9223372036854775807", kOk},
        {"INCR n", "-ERR increment or decrement would overflow\r\n"},
        {"INCRBY n 1x", "-ERR value is not an integer or out of range\r\n"},
        {"INCRBY n 01", "-ERR value is not an integer or out of range\r\n"},
        {"DECRBY n -9223372036854775808", "-ERR value is not an integer or out of range\r\n"},
        {"SET n x", kOk},
        {"INCR n", "-ERR value is not an integer or out of range\r\n"},
        {"SET n \"\"", kOk},
        {"INCR n", "-ERR value is not an integer or out of range\r\n"}});
}

TEST(CommandTest, Lists) {
  Bench bench;
  Play(&bench, {{"RPUSH l a b c", ":3\r\n"},
                {"LPUSH l z y", ":5\r\n"},
                {"LRANGE l 0 -1", "*5\r\n$1\r\ny\r\n$1\r\nz\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n"},
                {"LRANGE l -2 100", "*2\r\n$1\r\nb\r\n$1\r\nc\r\n"},
                {"LRANGE l 3 2", "*0\r\n"},
                {"LRANGE l -9223372036854775808 -9223372036854775808", "*0\r\n"},
                {"LRANGE none 0 -1", "*0\r\n"},
                {"LLEN l", ":5\r\n"},
                {"LPOP l", "$1\r\ny\r\n"},
                {"RPOP l 2", "*2\r\n$1\r\nc\r\n$1\r\nb\r\n"},
                {"LPOP l 0", "*0\r\n"},
                {"LPOP l -1", "-ERR value is out of range, must be positive\r\n"},
                {"LPOP l 9", "*2\r\n$1\r\nz\r\n$1\r\na\r\n"},
                {"EXISTS l", ":0\r\n"},
                {"LPOP l", kNull},
                {"LPOP l 2", "*-1\r\n"},
                {"SET s v", kOk},
                {"LPUSH s a", kWrong},
                {"LLEN s", kWrong},
                {"RPUSH l a", ":1\r\n"},
                {"GET l", kWrong},
                {"INCR l", kWrong},
                {"APPEND l a", kWrong},
                {"MGET l s", "*2\r\n$-1\r\n$1\r\nv\r\n"},
                {"TYPE l", "+list\r\n"},
                {"TYPE s", "+string\r\n"},
                {"TYPE none", "+none\r\n"},
                {"SET l now-a-string", kOk}});
}

// Effects repeat their key: a request of 4 MiB could ask for a record of terabytes.
TEST(CommandTest, WhatWouldMakeTooLongARecordIsNotDone) {
  Bench bench;
  Words push = {"RPUSH", std::string(1 << 20, 'k')};
  push.resize(2000, "e");
  EXPECT_EQ(bench("SET kept v"), kOk);
  EXPECT_EQ(bench.Run(push).rfind("-ERR not done: a record longer than", 0), 0u);
  EXPECT_EQ(bench.outcome, Executor::Outcome::kReplied);
  EXPECT_EQ(bench("MULTI"), kOk);
  EXPECT_EQ(bench("SET kept w"), "+QUEUED\r\n");
  EXPECT_EQ(bench.Run(push), "+QUEUED\r\n");
  EXPECT_EQ(bench("EXEC").rfind("-ERR not done: a record longer than", 0), 0u);
  Play(&bench, {{"DBSIZE", ":1\r\n"}, {"GET kept", "$1\r\nv\r\n"}});
}

// What names a key more than once asks for a longer reply than there is data.
TEST(CommandTest, ReplyLongerThanMemoryIsRefused) {
  Bench bench;
  Words mget(500, "k");
  mget[0] = "MGET";
  EXPECT_EQ(bench.Run({"SET", "k", std::string(1 << 20, 'v')}), kOk);
  EXPECT_EQ(bench.Run(mget).rfind("-ERR a reply longer than", 0), 0u);
  EXPECT_EQ(bench("MULTI"), kOk);
  EXPECT_EQ(bench("SET new v"), "+QUEUED\r\n");
  for (int i = 0; i < 100; ++i) EXPECT_EQ(bench("GET k"), "+QUEUED\r\n");
  EXPECT_EQ(bench("EXEC").rfind("-EXECABORT not done: replies longer than", 0), 0u);
  Play(&bench, {{"DBSIZE", ":1\r\n"}, {"EXEC", "-ERR EXEC without MULTI\r\n"}});
}

TEST(CommandTest, ManyLongKeysExpireInMoreThanOneRecord) {
  Bench bench;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(bench.Run({"SET", std::to_string(i) + std::string(1000, 'k'), "v", "PX", "1"}), kOk);
  }
  EXPECT_EQ(bench.Run({"SET", std::string(1 << 20, 'k'), "v", "PX", "2"}), kOk);
  bench.now_ms += 10;
  bench.journal.records.clear();
  EXPECT_EQ(bench.executor.DeleteExpired(250), Executor::Outcome::kReplied);
  EXPECT_EQ(bench("DBSIZE"), ":51\r\n");
  EXPECT_EQ(bench.executor.DeleteExpired(1000), Executor::Outcome::kReplied);
  EXPECT_EQ(bench("DBSIZE"), ":0\r\n");
  EXPECT_EQ(bench.executor.expired_keys(), 301u);
  size_t long_ones = 0;
  for (const std::string& record : bench.journal.records) {
    if (record.size() > 70000) ++long_ones;
  }
  EXPECT_GT(bench.journal.records.size(), 4u);
  EXPECT_EQ(long_ones, 1u) << "that of the longest key, alone";
  bench.journal.answer.code = JournalSink::Result::Code::kRefused;
  EXPECT_EQ(bench.executor.DeleteExpired(10), Executor::Outcome::kReplied);
}

TEST(CommandTest, Expiry) {
  Bench bench;
  Play(&bench,
       {{"SET k v EX 10", kOk},
        {"TTL k", ":10\r\n"},
        {"PTTL k", ":10000\r\n"},
        {"APPEND k w", ":2\r\n"},
        {"TTL k", ":10\r\n"},
        {"PERSIST k", ":1\r\n"},
        {"PERSIST k", ":0\r\n"},
        {"TTL k", ":-1\r\n"},
        {"TTL none", ":-2\r\n"},
        {"EXPIRE none 5", ":0\r\n"},
        {"EXPIRE k 9223372036854775807", "-ERR invalid expire time in 'expire' command\r\n"},
        {"EXPIRE k 5", ":1\r\n"},
        {"RPUSH l a b", ":2\r\n"},
        {"PEXPIRE l 5500", ":1\r\n"},
        {"SET gone v", kOk},
        {"EXPIRE gone -1", ":1\r\n"},
        {"EXISTS gone", ":0\r\n"}});
  bench.now_ms += 5000;
  Play(&bench, {{"GET k", kNull}, {"EXISTS k l", ":1\r\n"}, {"KEYS *", "*1\r\n$1\r\nl\r\n"}});
  bench.now_ms += 500;
  // What expired is no list any more: a new one begins.
  Play(&bench, {{"RPUSH l c", ":1\r\n"}, {"TTL l", ":-1\r\n"}, {"DBSIZE", ":2\r\n"}});
  EXPECT_EQ(bench.executor.DeleteExpired(10), Executor::Outcome::kReplied);
  EXPECT_EQ(bench.executor.expired_keys(), 1u);
  Play(&bench, {{"DBSIZE", ":1\r\n"},
                {"SET n 5 PX 100", kOk},
                {"INCR n", ":6\r\n"},
                {"PTTL n", ":100\r\n"},
                {"SET n 7 KEEPTTL", kOk},
                {"PTTL n", ":100\r\n"},
                {"SET n 8", kOk},
                {"PTTL n", ":-1\r\n"}});
}

TEST(CommandTest, TransactionsAreOneRecord) {
  Bench bench;
  Play(&bench, {{"MULTI", kOk},
                {"SET a 1", "+QUEUED\r\n"},
                {"INCR a", "+QUEUED\r\n"},
                {"LPUSH a x", "+QUEUED\r\n"},
                {"MULTI", "-ERR MULTI calls can not be nested\r\n"},
                {"GET a", "+QUEUED\r\n"},
                {"EXEC", std::string("*4\r\n+OK\r\n:2\r\n") + kWrong + "$1\r\n2\r\n"}});
  EXPECT_EQ(bench.journal.records.size(), 1u);
  Play(&bench, {{"EXEC", "-ERR EXEC without MULTI\r\n"},
                {"DISCARD", "-ERR DISCARD without MULTI\r\n"},
                {"MULTI", kOk},
                {"SET a 5", "+QUEUED\r\n"},
                {"DISCARD", kOk},
                {"GET a", "$1\r\n2\r\n"},
                {"MULTI", kOk},
                {"SET a 5", "+QUEUED\r\n"},
                {"NOSUCH", "-ERR unknown command 'NOSUCH'\r\n"},
                {"EXEC", "-EXECABORT Transaction discarded because of previous errors.\r\n"},
                {"GET a", "$1\r\n2\r\n"},
                {"MULTI", kOk},
                {"FLUSHDB", "+QUEUED\r\n"},
                {"RPUSH l 1", "+QUEUED\r\n"},
                {"EXEC", "*2\r\n+OK\r\n:1\r\n"},
                {"KEYS *", "*1\r\n$1\r\nl\r\n"}});
}

TEST(CommandTest, ATransactionIsBounded) {
  Bench bench;
  EXPECT_EQ(bench("MULTI"), kOk);
  std::string reply = "+QUEUED\r\n";
  int queued = 0;
  for (; reply == "+QUEUED\r\n" && queued < 100; ++queued) {
    reply = bench.Run({"SET", "k", std::string(1 << 20, 'x')});
  }
  EXPECT_LT(queued, 20);
  EXPECT_EQ(bench("EXEC").substr(0, 10), "-EXECABORT");
  EXPECT_EQ(bench("DBSIZE"), ":0\r\n");
}

TEST(CommandTest, WhatIsNotJournaledIsNotDone) {
  Bench bench;
  Play(&bench, {{"SET s v EX 100", kOk}, {"RPUSH l a b c", ":3\r\n"}, {"SET n 1", kOk}});
  const auto before = Dump(bench.store);
  bench.journal.answer = {JournalSink::Result::Code::kRefused, "MISCONF no space"};
  for (const char* line : {"SET s w", "DEL s l", "FLUSHDB", "APPEND s x", "INCR n", "LPUSH l z",
                           "RPUSH l z y", "LPOP l 2", "RPOP l 5", "PERSIST s", "EXPIRE l 5",
                           "EXPIRE s -1", "GETDEL s", "MSET s 1 t 2", "LPUSH t a b"}) {
    EXPECT_EQ(bench(line), "-MISCONF no space\r\n") << line;
    EXPECT_EQ(Dump(bench.store), before) << line;
    EXPECT_EQ(bench.store.expiring(), 1u) << line;
  }
  EXPECT_EQ(bench("GET s"), "$1\r\nv\r\n");
  for (const char* line : {"MULTI", "RPUSH l d", "LPOP l 4", "RPUSH l x", "SET s 1", "APPEND s 2",
                           "FLUSHDB", "INCR n", "EXPIRE n 50", "LPUSH n x", "DEL n", "RPUSH s 1"}) {
    EXPECT_EQ(bench(line).front(), '+') << line;
  }
  EXPECT_EQ(bench("EXEC"), "-MISCONF no space\r\n");
  EXPECT_EQ(Dump(bench.store), before);
  bench.journal.answer = {};
  Play(&bench, {{"SET s w", kOk}, {"LPOP l", "$1\r\na\r\n"}});
}

TEST(CommandTest, ABusyJournalIsAskedAgain) {
  Bench bench;
  bench.journal.answer.code = JournalSink::Result::Code::kBusy;
  EXPECT_EQ(bench("SET k v"), "");
  EXPECT_EQ(bench.outcome, Executor::Outcome::kBusy);
  for (const char* line : {"MULTI", "SET k v", "INCR n"}) bench(line);
  EXPECT_EQ(bench("EXEC"), "");
  EXPECT_EQ(bench.outcome, Executor::Outcome::kBusy);
  EXPECT_EQ(bench.store.size(), 0u);
  bench.journal.answer = {};
  EXPECT_EQ(bench("EXEC"), "*2\r\n+OK\r\n:1\r\n");
}

TEST(CommandTest, AFailedJournalEndsTheConnection) {
  Bench bench;
  bench.journal.answer = {JournalSink::Result::Code::kFailed, "EIO"};
  EXPECT_EQ(bench("SET k v"), "-IOERR the journal failed: EIO\r\n");
  EXPECT_EQ(bench.outcome, Executor::Outcome::kClose);
  EXPECT_EQ(bench.store.size(), 0u);
}

TEST(CommandTest, ScanVisitsEachKeyOnceWhileOthersComeAndGo) {
  Bench bench;
  for (int i = 0; i < 500; ++i) bench("SET key" + std::to_string(i) + " v");
  std::map<std::string, int> seen;
  std::string cursor = "0";
  int turns = 0;
  do {
    const std::string reply = bench("SCAN " + cursor + " COUNT 7 MATCH key*");
    // *2, $n, cursor, *k, then $n and a key, k times.
    Words lines;
    for (size_t at = 0; at < reply.size();) {
      const size_t end = reply.find("\r\n", at);
      lines.push_back(reply.substr(at, end - at));
      at = end + 2;
    }
    cursor = lines[2];
    for (size_t i = 5; i < lines.size(); i += 2) ++seen[lines[i]];
    bench("SET other" + std::to_string(turns) + " v");
    bench("DEL other" + std::to_string(turns / 2));
    ASSERT_LT(++turns, 1000);
  } while (cursor != "0");
  EXPECT_EQ(seen.size(), 500u);
  for (const auto& [key, times] : seen) EXPECT_EQ(times, 1) << key;
  EXPECT_EQ(bench("SCAN x"), "-ERR invalid cursor\r\n");
  EXPECT_EQ(bench("SCAN 0 COUNT 0"), "-ERR syntax error\r\n");
  EXPECT_EQ(bench("SCAN 0 TYPE list COUNT 10000"), "*2\r\n$1\r\n0\r\n*0\r\n");
}

TEST(CommandTest, Server) {
  Bench bench;
  Play(&bench,
       {{"PING", "+PONG\r\n"},
        {"PING hi", "$2\r\nhi\r\n"},
        {"ECHO hi", "$2\r\nhi\r\n"},
        {"SELECT 0", kOk},
        {"SELECT 1", "-ERR DB index is out of range\r\n"},
        {"CONFIG GET s*", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
        {"CONFIG SET save x", "-ERR only CONFIG GET: parameters are flags of the command line\r\n"},
        {"INFO stats", "$13\r\nsection:stats\r\n"},
        {"COMMAND INFO get nosuch",
         "*2\r\n*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*-1\r\n"},
        {"BGSAVE", "+Background saving started\r\n"},
        {"BGSAVE", "-ERR running\r\n"},
        {"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
        {"NOSUCH", "-ERR unknown command 'NOSUCH'\r\n"}});
}

TEST(CommandTest, QuitAndShutdown) {
  Bench bench;
  EXPECT_EQ(bench("QUIT"), kOk);
  EXPECT_EQ(bench.outcome, Executor::Outcome::kClose);
  EXPECT_EQ(bench("SHUTDOWN NOSAVE"), "");
  EXPECT_EQ(bench.host.shutdowns, 1);
}

TEST(CommandTest, Globs) {
  EXPECT_TRUE(MatchesGlob("*", ""));
  EXPECT_TRUE(MatchesGlob("a*b*c", "a--b--bc"));
  EXPECT_FALSE(MatchesGlob("a*b*c", "a--b--b"));
  EXPECT_TRUE(MatchesGlob("h?llo", "hello"));
  EXPECT_FALSE(MatchesGlob("h?llo", "hllo"));
  EXPECT_TRUE(MatchesGlob("h[ae]llo", "hallo"));
  EXPECT_FALSE(MatchesGlob("h[^ae]llo", "hallo"));
  EXPECT_TRUE(MatchesGlob("[a-c][x-]", "b-"));
  EXPECT_TRUE(MatchesGlob("\\*", "*"));
  EXPECT_FALSE(MatchesGlob("\\*", "x"));
  EXPECT_FALSE(MatchesGlob("", "x"));
  EXPECT_TRUE(MatchesGlob("[a", "a"));
  // What takes others exponential time.
  EXPECT_FALSE(MatchesGlob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", std::string(2000, 'a')));
}

}  // namespace
}  // namespace journal_server
