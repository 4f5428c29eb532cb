// SPDX-License-Identifier: Apache-2.0
// A log belongs to the process that opened it: what forked children do with what they inherit.
// (FINDINGS H1 and H2.)
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/verify.h"
#include "tests/host/host_test_util.h"
#include "tests/support/small_log.h"
#include "tests/support/test_util.h"

namespace seawall {
namespace {

// Whether a status says that the log is another process's, and names both.
bool NamesBoth(const absl::Status& status, pid_t owner) {
  return absl::IsFailedPrecondition(status) &&
         absl::StrContains(status.message(), absl::StrCat("process ", owner)) &&
         absl::StrContains(status.message(), absl::StrCat("process ", getpid()));
}

class ProcessTest : public ::testing::TestWithParam<Child::Make> {
 protected:
  void SetUp() override {
    Options options = SmallOptions();
    options.cursors = true;
    log_ = MustOpen(path_, options);
    ASSERT_OK(log_->AppendDurable("one"));
    cursor_ = log_->OpenCursor("c").value();
    reader_ = log_->NewReader(1).value();
    follower_ = Reader::Follow(path_, 1).value();
    offline_ = Reader::OpenReadOnly(path_).value();
  }

  int InChild(const std::function<int()>& body) {
    Child child(body, GetParam());
    return child.Status();
  }

  // The owner goes on as if nothing had been.
  void OwnerGoesOn(std::vector<std::string> expected) {
    for (const char* record : {"two", "three", "four"}) {
      ASSERT_OK(log_->AppendDurable(record));
      expected.push_back(record);
    }
    ASSERT_OK(log_->Close());
    EXPECT_EQ(RecordsOf(path_), expected);
    ASSERT_OK(VerifyLog(path_));
  }

  TempDir dir_;
  const std::string path_ = dir_ / "log";
  const pid_t owner_ = getpid();
  std::unique_ptr<Log> log_;
  std::unique_ptr<Cursor> cursor_;
  std::unique_ptr<Reader> reader_, follower_, offline_;
};

TEST_P(ProcessTest, EveryCallOfAnotherProcessIsRefused) {
  const std::vector<std::function<absl::Status()>> calls = {
      [&] { return log_->Append("x").status(); },
      [&] { return log_->AppendDurable("x").status(); },
      [&] { return log_->Append("x", Durability::kWritten).status(); },
      [&] {
        return log_->AppendBatch({"x", "y"}).status();
      },
      [&] { return log_->WaitDurable(1); },
      [&] { return log_->Wait(2, Durability::kAppended); },
      [&] { return log_->NotifyDurable(1, [](const absl::Status&) { std::abort(); }); },
      [&] { return log_->TrimBefore(2); },
      [&] { return log_->SetMetadata("child's"); },
      [&] { return log_->TruncateAfter(1); },
      [&] { return log_->Reset(7); },
      [&] { return log_->OpenCursor("d").status(); },
      [&] { return log_->DropCursor("c"); },
      [&] { return cursor_->Advance(1); },
      [&] { return cursor_->Advance(1, Durability::kAppended); },
      [&] { return log_->Read(1).status(); },
      [&] { return log_->NewReader(1).status(); },
      [&] { return log_->Backup(dir_ / "copy").status(); },
      [&] { return reader_->Wait(); },
      [&] { return follower_->Wait(); },
      [&] { return log_->Close(); },
      [&] { return log_->Close(); },
  };
  EXPECT_EQ(InChild([&] {
              for (size_t i = 0; i < calls.size(); ++i) {
                const absl::Status status = calls[i]();
                if (NamesBoth(status, owner_)) continue;
                fprintf(stderr, "call %zu: %s\n", i, std::string(status.ToString()).c_str());
                return static_cast<int>(i) + 1;
              }
              return 0;
            }),
            0);
  OwnerGoesOn({"one"});
}

// What cannot fail does not hang, and touches nothing.
TEST_P(ProcessTest, AccessorsReturn) {
  EXPECT_EQ(InChild([&] {
              (void)log_->recovery_report();
              (void)log_->id();
              (void)log_->metadata();
              (void)reader_->log_id();
              (void)reader_->metadata();
              (void)log_->first_lsn();
              (void)log_->appended_lsn();
              (void)log_->written_lsn();
              (void)log_->durable_lsn();
              (void)log_->cursors();
              (void)log_->stats();
              (void)log_->retention_report();
              (void)cursor_->position();
              (void)cursor_->name();
              reader_->Cancel();
              follower_->Cancel();
              return 0;
            }),
            0);
  OwnerGoesOn({"one"});
}

// An error, or right data.
TEST_P(ProcessTest, InheritedReadersReadRightOrNotAtAll) {
  Record record;
  ASSERT_TRUE(reader_->Next(&record));
  EXPECT_EQ(InChild([&] {
              for (Reader* reader : {reader_.get(), follower_.get(), offline_.get()}) {
                Record found;
                const Lsn next = reader->next_lsn();
                if (reader->Next(&found)) {
                  if (found.lsn != next || found.payload != "one") return 1;
                } else if (reader == reader_.get() || !reader->status().ok()) {
                  if (!reader->status().ok() && !NamesBoth(reader->status(), owner_)) return 2;
                }
              }
              return 0;
            }),
            0);
  ASSERT_OK(log_->AppendDurable("two"));
  ASSERT_TRUE(reader_->Next(&record));
  EXPECT_EQ(record.payload, "two");
  ASSERT_TRUE(follower_->Next(&record));
  EXPECT_EQ(record.payload, "one");
  ASSERT_TRUE(offline_->Next(&record));
  EXPECT_EQ(record.payload, "one");
}

TEST_P(ProcessTest, DestroyingWhatWasInheritedDoesNothing) {
  EXPECT_EQ(InChild([&] {
              cursor_.reset();
              reader_.reset();
              follower_.reset();
              offline_.reset();
              log_.reset();
              return 0;
            }),
            0);
  OwnerGoesOn({"one"});
}

TEST_P(ProcessTest, ExitDestroysWhatIsStaticAndDoesNothing) {
  static std::unique_ptr<Log>* const kept = new std::unique_ptr<Log>;
  *kept = std::move(log_);
  EXPECT_EQ(InChild([&]() -> int {
              // As a static object would be destroyed.
              std::atexit([] { kept->reset(); });
              std::exit(0);
            }),
            0);
  log_ = std::move(*kept);
  OwnerGoesOn({"one"});
}

TEST_P(ProcessTest, AnotherLogMayBeOpenedInTheChild) {
  EXPECT_EQ(InChild([&] {
              auto log = Log::Open(dir_ / "childs", SmallOptions());
              if (!log.ok() || !(*log)->AppendDurable("child").ok()) return 1;
              // The parent's is its own.
              auto same = Log::Open(path_, SmallOptions());
              if (!absl::IsFailedPrecondition(same.status())) return 2;
              if (!absl::StrContains(same.status().message(), absl::StrCat(owner_))) return 3;
              return (*log)->Close().ok() ? 0 : 4;
            }),
            0);
  EXPECT_EQ(RecordsOf(dir_ / "childs"), std::vector<std::string>{"child"});
  OwnerGoesOn({"one"});
}

// While other threads are in the middle of everything: a lock that one of them holds is held for
// ever in the child.
TEST_P(ProcessTest, ForksBesideThreadsThatCommit) {
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> acknowledged{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        if (log_->AppendDurable("x").ok()) ++acknowledged;
        (void)log_->stats();
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(InChild([&] {
                if (!NamesBoth(log_->AppendDurable("child").status(), owner_)) return 1;
                if (!NamesBoth(log_->Append("child").status(), owner_)) return 2;
                (void)log_->stats();
                (void)log_->appended_lsn();
                if (!NamesBoth(log_->Close(), owner_)) return 3;
                reader_.reset();
                follower_.reset();
                cursor_.reset();
                log_.reset();
                return 0;
              }),
              0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(acknowledged.load(), 0u);
  ASSERT_OK(log_->Close());
  EXPECT_EQ(RecordsOf(path_).size(), 1 + acknowledged);
}

INSTANTIATE_TEST_SUITE_P(All, ProcessTest, ::testing::Values(&Child::Fork, &Child::BareClone),
                         [](const auto& tested) {
                           return tested.index == 0 ? "Fork" : "BareClone";
                         });

// A reader of a long segment has a thread that reads ahead, which a child does not have.
TEST(ProcessReaderTest, OneThatReadsAheadIsDestroyedInTheChild) {
  TempDir dir;
  {
    auto log = Log::Open(dir / "log", Options());
    ASSERT_OK(log);
    const std::string payload(1 << 20, 'x');
    for (int i = 0; i < 40; ++i) ASSERT_OK((*log)->Append(payload));
    ASSERT_OK((*log)->Close());
  }
  auto reader = Reader::OpenReadOnly(dir / "log");
  ASSERT_OK(reader);
  Record record;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE((*reader)->Next(&record));
  const auto descriptors = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
  };
  Child child([&] {
    Record found;
    if ((*reader)->Next(&found)) return 1;
    const auto before = descriptors();
    reader->reset();
    return descriptors() == before ? 0 : 2;  // not even closed
  });
  EXPECT_EQ(child.Status(), 0);
  int records = 3;
  while ((*reader)->Next(&record)) ++records;
  EXPECT_OK((*reader)->status());
  EXPECT_EQ(records, 40);
}

// Shares all memory with its parent, which waits.
TEST(ProcessVforkTest, AProgramMayBeStarted) {
  TempDir dir;
  auto log = MustOpen(dir / "log", SmallOptions());
  ASSERT_OK(log->AppendDurable("one"));
  EXPECT_EQ(std::system("true"), 0);
  const pid_t child = vfork();
  if (child == 0) {
    execl("/bin/true", "true", nullptr);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  ASSERT_OK(log->AppendDurable("two"));
  ASSERT_OK(log->Close());
  EXPECT_EQ(RecordsOf(dir / "log"), (std::vector<std::string>{"one", "two"}));
}

// ---- The lock dies with its owner.

class OrphanTest : public ::testing::Test {
 protected:
  // A process that has the log open and a child of `make`, which lives until `done_`.
  std::unique_ptr<Child> Owner(Child::Make make) {
    auto owner = std::make_unique<Child>([this, make] {
      auto log = Log::Open(path_, SmallOptions());
      if (!log.ok() || !(*log)->AppendDurable("one").ok()) return 1;
      const pid_t orphan = make();
      if (orphan == 0) {
        alarm(30);
        begun_.Set();
        done_.Wait();
        _exit(0);
      }
      const std::string pid = absl::StrCat(orphan);
      WriteFile(dir_ / "orphan", pid);
      ready_.Set();
      pause();
      return 0;
    });
    begun_.Wait();
    ready_.Wait();
    return owner;
  }

  TempDir dir_;
  const std::string path_ = dir_ / "log";
  Signal begun_, ready_, done_;
};

TEST_F(OrphanTest, KeepsNobodyOut) {
  const std::unique_ptr<Child> owner = Owner(&Child::Fork);
  auto refused = Log::Open(path_, SmallOptions());
  EXPECT_TRUE(Fails(refused, absl::StatusCode::kFailedPrecondition,
                    {absl::StrCat("process ", owner->pid())}));
  owner->Kill();
  EXPECT_EQ(owner->Status(), 1009);
  auto log = Log::Open(path_, SmallOptions());
  EXPECT_OK(log);
  done_.Set();
}

// The one way to inherit the lock. Who has it is said, never a process that is dead.
TEST_F(OrphanTest, ThatWasClonedWithoutTheCLibraryIsNamed) {
  const std::unique_ptr<Child> owner = Owner(&Child::BareClone);
  const pid_t dead = owner->pid();
  owner->Kill();
  EXPECT_EQ(owner->Status(), 1009);
  auto log = Log::Open(path_, SmallOptions());
  EXPECT_TRUE(Fails(log, absl::StatusCode::kFailedPrecondition,
                    {absl::StrCat("process ", ReadFile(dir_ / "orphan"))}));
  EXPECT_FALSE(absl::StrContains(log.status().message(), absl::StrCat("process ", dead)))
      << log.status().message();
  done_.Set();
}

}  // namespace
}  // namespace seawall
