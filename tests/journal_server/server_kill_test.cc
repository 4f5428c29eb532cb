// SPDX-License-Identifier: Apache-2.0
// SIGKILL under load from many connections, again and again: every write that was acknowledged is
// there after the restart, nothing is garbled, transactions are whole.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/journal_server/server_process.h"
#include "tests/support/seed.h"
#include "tests/support/test_util.h"

namespace journal_server {
namespace {

constexpr uint64_t kClients = 32;
constexpr uint64_t kSlots = 16;
constexpr int kPipeline = 6;

// What was sent and what was acknowledged, of something that only grows.
struct Progress {
  uint64_t sent = 0;
  uint64_t acknowledged = 0;

  bool Allows(uint64_t found) const { return acknowledged <= found && found <= sent; }
  void Set(uint64_t found) { sent = acknowledged = found; }
};

// One connection's writes. Only it writes its keys, so that after a crash each is as after some
// request between the last acknowledged and the last sent one.
class Writer {
 public:
  explicit Writer(uint64_t id) : id_(std::to_string(id)), random_(seawall::TestSeed() + id) {}

  void Connect(const std::string& socket) {
    client_ = std::make_unique<Client>(socket);
    under_way_.clear();
  }

  void SendSome() {
    for (int i = 0; i < kPipeline; ++i) SendOne();
    int done = 0;
    while (done == 0 && redisBufferWrite(client_->context(), &done) == REDIS_OK) {
    }
  }

  // False: the connection is gone. An error reply fails the test.
  bool ReceiveSome() {
    while (!under_way_.empty()) {
      Reply reply = client_->Receive();
      if (reply == nullptr) return false;
      const Sent sent = under_way_.front();
      under_way_.erase(under_way_.begin());
      if (reply->type == REDIS_REPLY_ERROR) ADD_FAILURE() << reply->str;
      if (sent.progress == nullptr) continue;
      sent.progress->acknowledged = sent.number;
      ++acknowledged_;
    }
    return true;
  }

  // Compares with what a server has after its restart.
  void Check(Client* server) {
    Compare("INCR", Number((*server)({"GET", "n" + id_})), &counter_);
    CheckList(server);
    for (uint64_t slot = 0; slot < kSlots; ++slot) {
      const std::string value = (*server)({"GET", Key(slot)});
      const uint64_t number = value == "(nil)" ? 0 : Number(value);
      if (number != 0) {
        EXPECT_EQ(value, Value(number)) << Key(slot) << " is garbled";
      }
      Compare(Key(slot), number, &slots_[slot]);
    }
    const std::string pair = (*server)({"MGET", "a" + id_, "b" + id_});
    const uint64_t half = Number(pair.substr(1));
    EXPECT_TRUE(pair == "[(nil) (nil)]" ||
                pair == "[" + std::to_string(half) + " " + std::to_string(half) + "]")
        << pair;
    Compare("EXEC", half, &pair_);
  }

  uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct Sent {
    Progress* progress;  // null: a reply that acknowledges nothing
    uint64_t number;
  };

  static uint64_t Number(const std::string& text) {
    return std::strtoull(text.c_str(), nullptr, 10);
  }
  std::string Key(uint64_t slot) const { return "s" + id_ + ":" + std::to_string(slot); }
  std::string Value(uint64_t number) const {
    return std::to_string(number) + ":" +
           std::string(number * 7919 % 2000, static_cast<char>('a' + number % 26)) + ":" + id_;
  }

  void Send(const std::vector<std::string>& words, Progress* progress) {
    client_->Send(words);
    under_way_.push_back({progress, progress == nullptr ? 0 : progress->sent});
  }

  void SendOne() {
    const uint64_t kind = random_() % 8;
    if (kind == 0) {
      ++counter_.sent;
      Send({"INCR", "n" + id_}, &counter_);
    } else if (kind == 1) {
      ++list_.sent;
      Send({"RPUSH", "q" + id_, std::to_string(list_.sent)}, &list_);
    } else if (kind == 2) {
      const std::string number = std::to_string(++pair_.sent);
      Send({"MULTI"}, nullptr);
      Send({"SET", "a" + id_, number}, nullptr);
      Send({"SET", "b" + id_, number}, nullptr);
      Send({"EXEC"}, &pair_);
    } else {
      const uint64_t slot = random_() % kSlots;
      ++slots_[slot].sent;
      Send({"SET", Key(slot), Value(slots_[slot].sent)}, &slots_[slot]);
    }
  }

  void Compare(const std::string& what, uint64_t found, Progress* progress) {
    EXPECT_TRUE(progress->Allows(found))
        << what << " of client " << id_ << ": found " << found << ", acknowledged "
        << progress->acknowledged << ", sent " << progress->sent;
    progress->Set(found);
  }

  // Numbers from 1 on, without a gap, perhaps without those that were taken off after a check.
  void CheckList(Client* server) {
    server->Send({"LRANGE", "q" + id_, "0", "-1"});
    const Reply list = server->Receive();
    ASSERT_TRUE(list != nullptr && list->type == REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < list->elements; ++i) {
      ASSERT_EQ(Text(list->element[i]), std::to_string(taken_ + i + 1));
    }
    Compare("RPUSH", taken_ + list->elements, &list_);
    if (list->elements < 50) return;
    (*server)({"LPOP", "q" + id_, "40"});
    taken_ += 40;
  }

  const std::string id_;
  std::mt19937_64 random_;
  std::unique_ptr<Client> client_;
  std::vector<Sent> under_way_;
  Progress counter_, list_, pair_;
  Progress slots_[kSlots];
  uint64_t taken_ = 0;
  uint64_t acknowledged_ = 0;
};

// Until the server is gone, which it is after a random time.
void LoadUntilKilled(ServerProcess* server, std::vector<std::unique_ptr<Writer>>* writers,
                     std::chrono::microseconds life) {
  for (auto& writer : *writers) writer->Connect(server->socket());
  const pid_t pid = server->pid();
  // The moment of death is the point of this test, not something waited for.
  std::thread killer([pid, life] {
    std::this_thread::sleep_for(life);
    kill(pid, SIGKILL);
  });
  size_t gone = 0;
  while (gone == 0) {
    for (auto& writer : *writers) writer->SendSome();
    for (auto& writer : *writers) gone += writer->ReceiveSome() ? 0 : 1;
  }
  killer.join();
  EXPECT_EQ(server->Wait(), -SIGKILL) << server->output();
}

TEST(ServerKillTest, EveryAcknowledgedWriteIsThere) {
  const int rounds = static_cast<int>(seawall::EnvironmentOr("SEAWALL_KILL_ROUNDS", 50));
  seawall::TempDir dir;
  std::mt19937_64 random(seawall::TestSeed());
  std::vector<std::unique_ptr<Writer>> writers;
  for (uint64_t id = 0; id < kClients; ++id) writers.push_back(std::make_unique<Writer>(id));
  int with_snapshot = 0, during_snapshot = 0;
  uint64_t redone = 0;
  for (int round = 0; round <= rounds; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round << " of seed " << seawall::TestSeed());
    ServerProcess server(dir.path(), {"--segment_bytes=262144", "--checkpoint_bytes=300000"});
    ASSERT_TRUE(server.listening()) << server.output();
    {
      Client client(server.socket());
      for (auto& writer : writers) writer->Check(&client);
      with_snapshot += InfoField(&client, "recovery_snapshot_keys") != "0" ? 1 : 0;
      redone += std::strtoull(InfoField(&client, "recovery_redone_records").c_str(), nullptr, 10);
      if (random() % 4 == 0) client({"BGSAVE"});
    }
    if (HasFailure() || round == rounds) break;
    LoadUntilKilled(&server, &writers, std::chrono::microseconds(random() % 120000));
    if (HasFailure()) break;
    during_snapshot += access((dir.path() + "/data/snapshot.new").c_str(), F_OK) == 0 ? 1 : 0;
  }
  uint64_t acknowledged = 0;
  for (const auto& writer : writers) acknowledged += writer->acknowledged();
  std::printf(
      "%d rounds, %llu writes acknowledged, %d restarts with a snapshot, %llu records "
      "redone, %d kills during a snapshot\n",
      rounds, static_cast<unsigned long long>(acknowledged), with_snapshot,
      static_cast<unsigned long long>(redone), during_snapshot);
  EXPECT_GT(with_snapshot, 0);
  EXPECT_GT(during_snapshot, 0);
}

}  // namespace
}  // namespace journal_server
