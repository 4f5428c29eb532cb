// SPDX-License-Identifier: Apache-2.0
// What clients do wrong, on purpose or not, and disks: an error for those whose fault it is, and
// nothing for the others.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/journal_server/server_process.h"
#include "tests/support/test_util.h"

namespace journal_server {
namespace {

using seawall::TempDir;

// A socket and what a client does not do for you.
class RawClient {
 public:
  explicit RawClient(const std::string& path)
      : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    // A test that waits in vain fails, and says where.
    const timeval limit = {20, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }
  ~RawClient() { close(fd_); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }
  int fd() const { return fd_; }
  // What could be sent before the server closed.
  size_t Send(const std::string& bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t count = send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) break;
      sent += static_cast<size_t>(count);
    }
    return sent;
  }
  void EndSending() { shutdown(fd_, SHUT_WR); }
  std::string Receive(size_t bytes) {
    std::string received(bytes, '\0');
    size_t done = 0;
    while (done < bytes) {
      const ssize_t count = recv(fd_, received.data() + done, bytes - done, 0);
      if (count <= 0) break;
      done += static_cast<size_t>(count);
    }
    received.resize(done);
    return received;
  }
  // All until the server closes.
  std::string ReceiveAll() {
    std::string all;
    for (std::string some; !(some = Receive(1 << 16)).empty();) all += some;
    return all;
  }

 private:
  const int fd_;
  bool connected_ = false;
};

uint64_t ResidentBytes(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/statm");
  uint64_t pages = 0, resident = 0;
  in >> pages >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string Array(const std::vector<std::string>& words) {
  std::string request = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return request;
}

TEST(HardeningTest, MalformedRequestsEndTheirConnectionOnly) {
  TempDir dir;
  ServerProcess server(dir.path());
  ASSERT_TRUE(server.listening()) << server.output();
  Client good(server.socket());
  for (const std::string bytes : {"*1\r\n:1\r\n", "*1\r\n*1\r\n", "*9999999\r\n", "*-5\r\n",
                                  "*1\r\n$-7\r\n", "set \"x\r\n"}) {
    RawClient bad(server.socket());
    // What came before is answered first, the write when it is durable.
    bad.Send(Array({"SET", "k", "v"}) + Array({"PING"}) + bytes + Array({"PING"}));
    const std::string reply = bad.ReceiveAll();
    EXPECT_EQ(reply.find("+OK\r\n+PONG\r\n-ERR Protocol error: "), 0u) << reply;
    EXPECT_EQ(good({"PING"}), "PONG");
  }
  EXPECT_EQ(InfoField(&good, "protocol_errors"), "6");
}

TEST(HardeningTest, OversizedArguments) {
  TempDir dir;
  ServerProcess server(dir.path());
  ASSERT_TRUE(server.listening()) << server.output();
  RawClient bad(server.socket());
  bad.Send("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4000000000\r\n");
  const std::string some(1 << 20, 'x');
  size_t sent = 0;
  for (int i = 0; i < 4000 && bad.Send(some) == some.size(); ++i) sent += some.size();
  EXPECT_LT(sent, size_t{32} << 20);
  EXPECT_LT(ResidentBytes(server.pid()), uint64_t{200} << 20);
  Client good(server.socket());
  EXPECT_EQ(good({"EXISTS", "k"}), "0");
  EXPECT_EQ(good({"SET", "k", std::string(1 << 20, 'x')}), "OK");
  std::string reply;
  for (int i = 0; i < 20; ++i) reply = good({"APPEND", "k", std::string(1 << 20, 'x')});
  EXPECT_EQ(reply.find("ERR string exceeds maximum"), 0u) << reply;
}

// Requests of a client that does not read wait, and do not fill the server's memory.
TEST(HardeningTest, AClientThatDoesNotReadIsHeldBack) {
  TempDir dir;
  ServerProcess server(dir.path());
  ASSERT_TRUE(server.listening()) << server.output();
  Client good(server.socket());
  const std::string value(1 << 20, 'v');
  ASSERT_EQ(good({"SET", "k", value}), "OK");
  const uint64_t before = ResidentBytes(server.pid());
  constexpr int kRequests = 300;
  RawClient slow(server.socket());
  for (int i = 0; i < kRequests; ++i) slow.Send(Array({"GET", "k"}));
  // The server has dealt with them when it has answered what came later.
  for (int i = 0; i < 10; ++i) EXPECT_EQ(good({"STRLEN", "k"}), "1048576");
  EXPECT_LT(ResidentBytes(server.pid()), before + (uint64_t{32} << 20));
  const std::string expected = "$1048576\r\n" + value + "\r\n";
  for (int i = 0; i < kRequests; ++i) ASSERT_TRUE(slow.Receive(expected.size()) == expected) << i;
}

TEST(HardeningTest, AClientThatNeverReadsIsDisconnected) {
  TempDir dir;
  ServerProcess server(dir.path(), {"--stall_timeout=1"});
  ASSERT_TRUE(server.listening()) << server.output();
  Client good(server.socket());
  ASSERT_EQ(good({"SET", "k", std::string(1 << 20, 'v')}), "OK");
  RawClient slow(server.socket());
  for (int i = 0; i < 10; ++i) slow.Send(Array({"GET", "k"}));
  while (InfoField(&good, "slow_readers_disconnected") != "1") {
    ASSERT_EQ(good({"PING"}), "PONG");
    usleep(50000);  // the server's clock is what is waited for
  }
  EXPECT_LT(slow.ReceiveAll().size(), size_t{10} << 20);
}

TEST(HardeningTest, AReplyLargerThanTheBound) {
  TempDir dir;
  ServerProcess server(dir.path());
  ASSERT_TRUE(server.listening()) << server.output();
  Client good(server.socket());
  const std::string element(1 << 20, 'v');
  for (int i = 0; i < 70; ++i) good.Send({"RPUSH", "l", element});
  for (int i = 0; i < 70; ++i) good.Receive();
  Client greedy(server.socket());
  EXPECT_EQ(greedy({"LRANGE", "l", "0", "-1"}), "(gone)");
  EXPECT_EQ(InfoField(&good, "slow_readers_disconnected"), "1");
  EXPECT_EQ(good({"LLEN", "l"}), "70");
}

TEST(HardeningTest, HalfOpenClients) {
  TempDir dir;
  ServerProcess server(dir.path(), {"--timeout=1"});
  ASSERT_TRUE(server.listening()) << server.output();
  // One that has ended sending gets its replies.
  RawClient done(server.socket());
  done.Send(Array({"SET", "k", "v"}) + "GET k\r\n");
  done.EndSending();
  EXPECT_EQ(done.ReceiveAll(), "+OK\r\n$1\r\nv\r\n");
  // One that vanished in the middle of a request.
  RawClient silent(server.socket());
  silent.Send("*3\r\n$3\r\nSET\r\n$1\r\nk");
  EXPECT_EQ(silent.ReceiveAll(), "");
  // One that vanished before its reply.
  for (int i = 0; i < 100; ++i) {
    RawClient hasty(server.socket());
    hasty.Send(Array({"INCR", "n"}));
  }
  Client good(server.socket());
  EXPECT_EQ(good({"GET", "k"}), "v");
}

TEST(HardeningTest, TooManyClients) {
  TempDir dir;
  ServerProcess server(dir.path(), {"--maxclients=3"});
  ASSERT_TRUE(server.listening()) << server.output();
  Client a(server.socket()), b(server.socket());
  EXPECT_EQ(a({"PING"}) + b({"PING"}), "PONGPONG");
  {
    Client c(server.socket());
    EXPECT_EQ(c({"PING"}), "PONG");
    RawClient d(server.socket());
    EXPECT_EQ(d.ReceiveAll(), "-ERR max number of clients reached\r\n");
  }
  // There is room again when the server has seen that they are gone.
  while (InfoField(&a, "connected_clients") != "2") ASSERT_EQ(a({"PING"}), "PONG");
  Client e(server.socket());
  EXPECT_EQ(e({"PING"}), "PONG");
}

TEST(HardeningTest, TenThousandIdleClients) {
  constexpr rlim_t kIdle = 10000;
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_max < kIdle + 200) {
    GTEST_SKIP() << "at most " << limit.rlim_max << " files may be open (ulimit -Hn)";
  }
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  TempDir dir;
  ServerProcess server(dir.path(), {"--maxclients=10100"});
  ASSERT_TRUE(server.listening()) << server.output();
  std::vector<std::unique_ptr<RawClient>> idle;
  for (rlim_t i = 0; i < kIdle; ++i) {
    idle.push_back(std::make_unique<RawClient>(server.socket()));
    ASSERT_TRUE(idle.back()->connected()) << i;
  }
  // An answer to the last one: all were accepted, and hiredis, which does not wait for room in the
  // queue of those who connect, finds it.
  idle.back()->Send("PING\r\n");
  ASSERT_EQ(idle.back()->Receive(7), "+PONG\r\n");
  Client good(server.socket());
  EXPECT_EQ(good({"SET", "k", "v"}), "OK");
  EXPECT_EQ(InfoField(&good, "connected_clients"), "10001");
  EXPECT_LT(ResidentBytes(server.pid()), uint64_t{100} << 20);
  for (size_t i : {size_t{0}, size_t{5000}, size_t{9999}}) {
    idle[i]->Send("GET k\r\n");
    EXPECT_EQ(idle[i]->Receive(7), "$1\r\nv\r\n");
  }
}

// A file system of its own, of some MiB.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& path) : path_(path) {
    mounted_ =
        mkdir(path.c_str(), 0755) == 0 && mount("tmpfs", path.c_str(), "tmpfs", 0, "size=24m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  const std::string path_;
  bool mounted_ = false;
};

TEST(HardeningTest, AFullDiskRefusesWritesAndLosesNothing) {
  TempDir dir;
  SmallDisk disk(dir / "disk");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a tmpfs: " << std::strerror(errno);
  const std::string filler = dir.path() + "/disk/filler";
  seawall::WriteFile(filler, std::string(6 << 20, 'x'));
  const std::string data = dir.path() + "/disk";
  const std::vector<std::string> flags = {"--segment_bytes=4194304"};
  int written = 0;
  {
    ServerProcess server(data, flags);
    ASSERT_TRUE(server.listening()) << server.output();
    Client client(server.socket());
    const std::string value(100 << 10, 'v');
    // A refused write may be followed by one for which there is space: in the file prepared next.
    std::string reply;
    for (int refused = 0; refused < 20 && written < 1000;) {
      reply = client({"SET", "k" + std::to_string(written), value});
      refused = reply == "OK" ? 0 : refused + 1;
      written += reply == "OK" ? 1 : 0;
    }
    EXPECT_EQ(reply.find("MISCONF"), 0u) << reply;
    EXPECT_GT(written, 10);
    EXPECT_EQ(client({"DBSIZE"}), std::to_string(written));
    EXPECT_TRUE(client({"GET", "k0"}) == value);
    client({"MULTI"});
    client({"DEL", "k0"});
    client({"SET", "k1", value});
    EXPECT_EQ(client({"EXEC"}).find("MISCONF"), 0u);
    EXPECT_TRUE(client({"GET", "k0"}) == value);
    // There is space again.
    unlink(filler.c_str());
    EXPECT_EQ(client({"SET", "more", "v"}), "OK");
    server.Kill();
  }
  ServerProcess server(data, flags);
  ASSERT_TRUE(server.listening()) << server.output();
  Client client(server.socket());
  EXPECT_EQ(client({"DBSIZE"}), std::to_string(written + 1));
}

TEST(HardeningTest, ADamagedSnapshotIsRefused) {
  TempDir dir;
  {
    ServerProcess server(dir.path());
    ASSERT_TRUE(server.listening()) << server.output();
    Client client(server.socket());
    for (int i = 0; i < 100; ++i) client({"SET", "k" + std::to_string(i), "value"});
    EXPECT_EQ(client({"BGSAVE"}), "Background saving started");
    while (InfoField(&client, "snapshots_completed") != "1") {
      ASSERT_EQ(InfoField(&client, "rdb_last_bgsave_status"), "ok");
    }
    EXPECT_EQ(server.Terminate(), 0);
  }
  seawall::FlipBitInFile(dir / "data/snapshot", 8 * 500);
  const ServerProcess server(dir.path());
  EXPECT_FALSE(server.listening());
  for (const char* part : {"DATA_LOSS", "data/snapshot, offset 16", "expected", "found"}) {
    EXPECT_NE(server.output().find(part), std::string::npos) << server.output();
  }
}

}  // namespace
}  // namespace journal_server
