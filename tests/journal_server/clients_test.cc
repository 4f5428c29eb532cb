// SPDX-License-Identifier: Apache-2.0
// journal_server and clients that were not written here: redis-cli, redis-benchmark, hiredis.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/journal_server/server_process.h"
#include "tests/support/test_util.h"

namespace journal_server {
namespace {

using seawall::TempDir;

class ClientsTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(server_.listening()) << server_.output(); }

  Output Cli(const std::string& arguments) {
    return RunShell("redis-cli -s " + server_.socket() + " " + arguments);
  }

  TempDir dir_;
  ServerProcess server_{dir_.path()};
};

TEST_F(ClientsTest, RedisCli) {
  EXPECT_EQ(Cli("ping").text, "PONG\n");
  EXPECT_EQ(Cli("set greeting 'hello world'").text, "OK\n");
  EXPECT_EQ(Cli("get greeting").text, "hello world\n");
  EXPECT_EQ(Cli("incrby n 5").text, "5\n");
  EXPECT_EQ(Cli("set binary x").text, "OK\n");
  EXPECT_EQ(Cli("lpush q 1 2 3").text, "3\n");
  EXPECT_EQ(Cli("lrange q 0 -1").text, "3\n2\n1\n");
  EXPECT_EQ(RunShell("printf 'multi\\nset a 1\\nincr a\\nexec\\nget a\\n' | redis-cli -s " +
                     server_.socket())
                .text,
            "OK\nQUEUED\nQUEUED\nOK\n2\n2\n");
  EXPECT_NE(Cli("nosuch").text.find("ERR unknown command"), std::string::npos);
  EXPECT_EQ(Cli("dbsize").text, "5\n");
  const std::string keys = RunShell("redis-cli -s " + server_.socket() + " --scan | sort").text;
  EXPECT_EQ(keys, "a\nbinary\ngreeting\nn\nq\n");
  EXPECT_NE(Cli("info persistence").text.find("appendfsync:always"), std::string::npos);
  EXPECT_EQ(Cli("shutdown").status, 0);
  EXPECT_EQ(server_.Wait(), 0);
}

TEST_F(ClientsTest, RedisCliOverTcp) {
  const std::string cli = "redis-cli -p " + std::to_string(server_.port()) + " ";
  EXPECT_EQ(RunShell(cli + "set k v").text, "OK\n");
  EXPECT_EQ(RunShell(cli + "get k").text, "v\n");
}

// --pipe checks with ECHO that each of its replies came.
TEST_F(ClientsTest, RedisCliMassInsertion) {
  const Output output = RunShell(
      "for i in $(seq 20000); do printf 'SET key%d value%d\\r\\n' $i $i; done | "
      "redis-cli -s " +
      server_.socket() + " --pipe");
  EXPECT_EQ(output.status, 0) << output.text;
  EXPECT_NE(output.text.find("errors: 0, replies: 20000"), std::string::npos) << output.text;
  EXPECT_EQ(Cli("dbsize").text, "20000\n");
}

TEST_F(ClientsTest, RedisBenchmark) {
  for (const char* arguments : {"-c 1 -n 50", "-c 50 -n 2000", "-c 50 -n 4000 -P 16 -d 1024"}) {
    const Output output =
        RunShell("redis-benchmark -s " + server_.socket() +
                 " -t ping,set,get,incr,lpush,rpush,lpop,rpop,lrange_100,mset --csv " + arguments);
    EXPECT_EQ(output.status, 0) << output.text;
    EXPECT_NE(output.text.find("\"SET\""), std::string::npos) << output.text;
    EXPECT_EQ(output.text.find("ERR"), std::string::npos) << output.text;
  }
}

TEST_F(ClientsTest, HiredisPipelines) {
  Client client(server_.socket());
  for (int i = 0; i < 5000; ++i) {
    client.Send({"SET", "k" + std::to_string(i % 100), std::to_string(i)});
    client.Send({"GET", "k" + std::to_string(i % 100)});
  }
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(Text(client.Receive().get()), "OK");
    ASSERT_EQ(Text(client.Receive().get()), std::to_string(i));
  }
}

TEST_F(ClientsTest, HiredisTypes) {
  Client client(server_.socket());
  const std::string binary("\0\r\n\xff", 4);
  EXPECT_EQ(client({"SET", binary, binary}), "OK");
  EXPECT_EQ(client({"GET", binary}), binary);
  EXPECT_EQ(client({"RPUSH", "l", "a", binary}), "2");
  EXPECT_EQ(client({"LRANGE", "l", "0", "-1"}), "[a " + binary + "]");
  EXPECT_EQ(client({"GET", "none"}), "(nil)");
  EXPECT_EQ(client({"SET", "large", std::string(3 << 20, 'x')}), "OK");
  EXPECT_TRUE(client({"GET", "large"}) == std::string(3 << 20, 'x'));
  EXPECT_EQ(client({"MULTI"}), "OK");
  EXPECT_EQ(client({"INCR", "n"}), "QUEUED");
  EXPECT_EQ(client({"EXEC"}), "[1]");
}

// What was there is there again, after a stop in good order and after a kill.
TEST(ServerTest, RestartsWithWhatItHad) {
  TempDir dir;
  {
    ServerProcess server(dir.path());
    ASSERT_TRUE(server.listening()) << server.output();
    Client client(server.socket());
    EXPECT_EQ(client({"SET", "k", "v"}), "OK");
    EXPECT_EQ(client({"RPUSH", "l", "1", "2", "3"}), "3");
    EXPECT_EQ(client({"LPOP", "l"}), "1");
    EXPECT_EQ(client({"SET", "soon", "gone", "PX", "1"}), "OK");
    EXPECT_EQ(server.Terminate(), 0) << server.output();
  }
  {
    ServerProcess server(dir.path());
    ASSERT_TRUE(server.listening()) << server.output();
    Client client(server.socket());
    EXPECT_EQ(client({"GET", "k"}), "v");
    EXPECT_EQ(client({"GET", "soon"}), "(nil)");
    EXPECT_EQ(client({"LRANGE", "l", "0", "-1"}), "[2 3]");
    EXPECT_EQ(client({"DEL", "k"}), "1");
    EXPECT_EQ(client({"EXPIRE", "l", "1000"}), "1");
    server.Kill();
  }
  ServerProcess server(dir.path());
  ASSERT_TRUE(server.listening()) << server.output();
  Client client(server.socket());
  EXPECT_EQ(client({"GET", "k"}), "(nil)");
  EXPECT_EQ(client({"LLEN", "l"}), "2");
  EXPECT_NE(client({"TTL", "l"}), "-1");
}

TEST(ServerTest, AllLevelsSurviveAKill) {
  for (const char* level : {"always", "everysec", "no"}) {
    TempDir dir;
    const std::vector<std::string> flags = {std::string("--appendfsync=") + level};
    {
      ServerProcess server(dir.path(), flags);
      ASSERT_TRUE(server.listening()) << server.output();
      Client client(server.socket());
      for (int i = 0; i < 1000; ++i) client.Send({"RPUSH", "l", std::to_string(i)});
      for (int i = 0; i < 1000; ++i) ASSERT_EQ(Text(client.Receive().get()), std::to_string(i + 1));
      server.Kill();
    }
    ServerProcess server(dir.path(), flags);
    ASSERT_TRUE(server.listening()) << server.output();
    Client client(server.socket());
    EXPECT_EQ(client({"LLEN", "l"}), "1000") << level;
    EXPECT_EQ(client({"CONFIG", "GET", "appendfsync"}), std::string("[appendfsync ") + level + "]");
  }
}

// Snapshots are written by themselves, the log is trimmed behind them, and a restart redoes no more
// than the bound and what came while the last one was being written.
TEST(ServerTest, TheLogAndARestartAreBounded) {
  TempDir dir;
  const std::vector<std::string> flags = {"--checkpoint_bytes=1000000", "--segment_bytes=524288"};
  uint64_t written = 0;
  {
    ServerProcess server(dir.path(), flags);
    ASSERT_TRUE(server.listening()) << server.output();
    Client client(server.socket());
    const std::string value(1000, 'v');
    while (InfoField(&client, "snapshots_completed") < "3" && written < 100000) {
      for (int i = 0; i < 500; ++i) client.Send({"SET", "k" + std::to_string(i), value});
      for (int i = 0; i < 500; ++i) ASSERT_EQ(Text(client.Receive().get()), "OK");
      written += 500;
    }
    EXPECT_EQ(InfoField(&client, "snapshots_failed"), "0");
    EXPECT_GT(std::stoull(InfoField(&client, "first_lsn")), written / 4);
    server.Kill();
  }
  ServerProcess server(dir.path(), flags);
  ASSERT_TRUE(server.listening()) << server.output();
  Client client(server.socket());
  EXPECT_EQ(InfoField(&client, "recovery_snapshot_keys"), "500");
  EXPECT_LT(std::stoull(InfoField(&client, "recovery_redone_records")), written / 2);
  EXPECT_EQ(client({"DBSIZE"}), "500");
}

TEST(ServerTest, OneServerOnly) {
  TempDir dir;
  ServerProcess first(dir.path());
  ASSERT_TRUE(first.listening()) << first.output();
  const Output second =
      RunShell("examples/journal_server/journal_server --port=0 --dir=" + dir.path() + "/data");
  EXPECT_EQ(second.status, 1);
  EXPECT_NE(second.text.find(std::to_string(first.pid())), std::string::npos) << second.text;
}

TEST(ServerTest, HelpListsTheFlags) {
  const std::string help = RunShell("examples/journal_server/journal_server --help").text;
  for (const char* flag : {"--dir ", "--unixsocket ", "--appendfsync ", "--stall_timeout "}) {
    EXPECT_NE(help.find(flag), std::string::npos) << flag << ": " << help;
  }
}

TEST(ServerTest, FlagsThatMakeNoSense) {
  for (const char* flags : {"", "--dir=/tmp --appendfsync=often", "--dir=/tmp --port=70000",
                            "--dir=/tmp --port=-1", "--dir=/tmp extra"}) {
    const Output output = RunShell(std::string("examples/journal_server/journal_server ") + flags);
    EXPECT_EQ(output.status, 2) << flags << ": " << output.text;
  }
}

}  // namespace
}  // namespace journal_server
