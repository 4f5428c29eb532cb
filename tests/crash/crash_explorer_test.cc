// SPDX-License-Identifier: Apache-2.0
// Every moment at which the machine may crash under a workload, and what the disk may hold then:
// each such disk is opened, and held against what the log had promised (like ALICE, Pillai et al.,
// OSDI 2014, and CrashMonkey, Mohan et al., OSDI 2018).
//
// For each disk: it opens, since a crash is no damage; what is recovered is a prefix with all that
// was acknowledged, byte-identical, batches whole; a power loss right after opening keeps it;
// opening again gives the same; and the log goes on. A sample of the disks is crashed again at
// every moment of the recovery.
//
// SEAWALL_CRASH_SEED chooses other samples, SEAWALL_CRASH_PERCENT scales their number.
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "seawall/log.h"
#include "seawall/testing/crash_file_system.h"
#include "tests/crash/crash_model.h"
#include "tests/support/seed.h"

namespace seawall {
namespace {

constexpr char kDirectory[] = "/data/log";

// How many of the usual number of images to make: at least two of each moment.
size_t Scaled(size_t images) {
  return std::max<size_t>(2, images * EnvironmentOr("SEAWALL_CRASH_PERCENT", 100) / 100);
}

struct Configuration {
  friend std::ostream& operator<<(std::ostream& out, const Configuration& configuration) {
    return out << configuration.name;
  }

  std::string name;
  CrashOptions crash;
  std::function<void(Options*)> adjust;
  size_t thinning = 3;
};

class Explorer {
 public:
  explicit Explorer(const Configuration& configuration) : configuration_(configuration) {}

  Options LogOptions(FileSystem* fs) const {
    Options options = ModelledLog::SmallOptions(fs);
    if (configuration_.adjust) configuration_.adjust(&options);
    if (adjust_) adjust_(&options);
    return options;
  }

  // Runs `workload` on a fresh disk and explores each of its moments.
  void Explore(const std::function<void(Explorer*, ModelledLog*)>& workload,
               size_t images_per_moment, std::function<void(Options*)> adjust = nullptr) {
    adjust_ = std::move(adjust);
    images_per_moment_ = images_per_moment;
    disks_.push_back(std::make_unique<CrashFileSystem>(configuration_.crash));
    ASSERT_EQ(disks_.back()->MakeDirectory("/data"), 0);
    ASSERT_EQ(disks_.back()->SyncDirectory("/"), 0);
    ModelledLog model(kDirectory, LogOptions(disks_.back().get()));
    Watch(&model);
    workload(this, &model);
    disks_.back()->SetCallHook(nullptr);
    if (!::testing::Test::HasFailure()) {
      moment_ = "at the end";
      CheckState(disks_.back()->Capture(), model.worlds(), images_per_moment_, /*depth=*/0);
    }
    model.Drop();
  }

  // SIGKILL: the page cache stays, all that is not written is lost.
  void Kill(ModelledLog* model) {
    disks_.back()->SetCallHook(nullptr);
    disks_.push_back(disks_.back()->Clone());
    disks_[disks_.size() - 2]->Freeze();
    model->Drop();
    model->set_file_system(disks_.back().get());
    Watch(model);
  }

  uint64_t states() const { return states_; }
  uint64_t nested() const { return nested_; }

 private:
  void Watch(ModelledLog* model) {
    disks_.back()->SetCallHook(
        [this, model](const FileSystemCall& call, CrashPhase, const CaptureFn& capture) {
          if (::testing::Test::HasFailure()) return;
          moment_ = absl::StrCat("life ", disks_.size(), ", before call ", call.ordinal, " ",
                                 CallKindName(call.kind), " ", call.path, " at ", call.offset);
          CheckState(capture(), model->worlds(), images_per_moment_, /*depth=*/0);
        });
  }

  void CheckState(const CrashState& state, const std::vector<World>& worlds, size_t images,
                  int depth) {
    // The process is killed, the machine is not; or the power fails some time later.
    if (depth == 0) CheckDisk(state.Kill(), worlds, depth, "killed");
    const uint64_t seed = CrashSeed() + 1000003 * ++moments_;
    state.ForEachImage(Scaled(images), seed,
                       [&](const CrashChoice& choice, std::unique_ptr<CrashFileSystem> disk) {
                         CheckDisk(std::move(disk), worlds, depth, choice.ToString());
                         if (::testing::Test::HasFailure()) {
                           std::cerr << state.Describe(choice) << "\n";
                         }
                         return !::testing::Test::HasFailure();
                       });
  }

  void CheckDisk(std::unique_ptr<CrashFileSystem> disk, const std::vector<World>& worlds, int depth,
                 const std::string& choice) {
    if (::testing::Test::HasFailure()) return;
    ++states_;
    if (depth > 0) ++nested_;
    const std::string where = absl::StrCat(configuration_.name, ", ", moment_, ", choice ", choice,
                                           ", seed ", CrashSeed(), ", depth ", depth);
    // One disk in some is crashed again, at each moment of its recovery.
    const bool crash_recovery = depth < 2 && random_() % (depth == 0 ? 211 : 41) == 0;
    const std::string outer = moment_;
    const std::thread::id opener = std::this_thread::get_id();
    if (crash_recovery) {
      disk->SetCallHook([&](const FileSystemCall& call, CrashPhase, const CaptureFn& capture) {
        if (std::this_thread::get_id() != opener) return;  // what runs behind an open log
        moment_ = absl::StrCat(outer, ", then before call ", call.ordinal, " ",
                               CallKindName(call.kind), " ", call.path, " of the recovery");
        CheckState(capture(), worlds, /*images=*/3, depth + 1);
        moment_ = outer;
      });
    }
    Contents first;
    {
      absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(kDirectory, LogOptions(disk.get()));
      disk->SetCallHook(nullptr);
      ASSERT_TRUE(log.ok()) << where << ": " << log.status().message();
      absl::StatusOr<Contents> contents = ReadAll(log->get());
      ASSERT_TRUE(contents.ok()) << where << ": " << contents.status().message();
      const std::string violation = Violation(worlds, *contents);
      ASSERT_EQ(violation, "") << where;
      first = std::move(*contents);
      // What was served survives whatever comes next.
      disk->Capture().ForEachImage(
          1, random_(), [&](const CrashChoice&, std::unique_ptr<CrashFileSystem> later) {
            CheckSame(later.get(), first, absl::StrCat(where, ", power lost after opening"));
            return true;
          });
      disk->Freeze();  // killed: no clean close
    }
    if (::testing::Test::HasFailure() || random_() % 4 != 0) return;
    CheckGoesOn(disk->Clone(), first, where);
  }

  void CheckSame(CrashFileSystem* disk, const Contents& expected, const std::string& where) {
    ++states_;
    absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(kDirectory, LogOptions(disk));
    ASSERT_TRUE(log.ok()) << where << ": " << log.status().message();
    absl::StatusOr<Contents> contents = ReadAll(log->get());
    ASSERT_TRUE(contents.ok()) << where << ": " << contents.status().message();
    ASSERT_TRUE(*contents == expected)
        << where << ": found records " << contents->first_lsn << ".." << contents->last_lsn()
        << ", expected " << expected.first_lsn << ".." << expected.last_lsn();
    disk->Freeze();
  }

  void CheckGoesOn(std::unique_ptr<CrashFileSystem> disk, Contents contents,
                   const std::string& where) {
    {
      absl::StatusOr<std::unique_ptr<Log>> log = Log::Open(kDirectory, LogOptions(disk.get()));
      ASSERT_TRUE(log.ok()) << where << ": " << log.status().message();
      absl::StatusOr<Lsn> lsn = (*log)->AppendDurable("one more");
      ASSERT_TRUE(lsn.ok()) << where << ": " << lsn.status().message();
      ASSERT_EQ(*lsn, contents.last_lsn() + 1) << where;
      contents.records.push_back("one more");
      disk->Freeze();
    }
    std::unique_ptr<CrashFileSystem> lost = disk->Capture().PowerLoss(CrashChoice());
    CheckSame(lost.get(), contents, absl::StrCat(where, ", after one more record"));
  }

  const Configuration& configuration_;
  std::function<void(Options*)> adjust_;  // also for the logs that are opened to be checked
  std::vector<std::unique_ptr<CrashFileSystem>> disks_;
  size_t images_per_moment_ = 0;
  std::string moment_;
  // The hook runs on any thread, but under the file system's lock.
  uint64_t moments_ = 0;
  std::mt19937_64 random_{CrashSeed()};
  uint64_t states_ = 0;
  uint64_t nested_ = 0;
};

std::vector<Configuration> Configurations() {
  Configuration plain{"plain", {}, nullptr, 1};
  Configuration strict{"strict sectors", {}, [](Options* o) { o->group_alignment_bytes = 512; }};
  strict.crash.strict_sectors = true;
  Configuration strict_block{
      "strict blocks", {}, [](Options* o) { o->group_alignment_bytes = 4096; }};
  strict_block.crash.strict_sectors = true;
  strict_block.crash.sector_bytes = 4096;
  Configuration dsync{"O_DSYNC", {}, [](Options* o) { o->sync_method = SyncMethod::kODsync; }};
  Configuration direct{"O_DIRECT", {}, [](Options* o) { o->direct_io = true; }};
  return {plain, strict, strict_block, dsync, direct};
}

class CrashExplorerTest : public ::testing::TestWithParam<Configuration> {
 protected:
  void Explore(const std::string& name,
               const std::function<void(Explorer*, ModelledLog*)>& workload,
               size_t images_per_moment = 17, std::function<void(Options*)> adjust = nullptr) {
    Explorer explorer(GetParam());
    explorer.Explore(workload, std::max<size_t>(2, images_per_moment / GetParam().thinning),
                     std::move(adjust));
    std::cout << "crash states: " << explorer.states() << " (" << explorer.nested()
              << " during recovery) for " << name << ", " << GetParam().name << "\n";
  }
};

#define EXPECT_STATUS_OK(expression)                          \
  do {                                                        \
    absl::Status status_of_it = (expression);                 \
    EXPECT_TRUE(status_of_it.ok()) << status_of_it.message(); \
  } while (false)

TEST_P(CrashExplorerTest, FirstCreation) {
  Explore(
      "first creation",
      [](Explorer*, ModelledLog* log) {
        EXPECT_STATUS_OK(log->Open());
        EXPECT_STATUS_OK(log->Append(20, Durability::kDurable));
      },
      60);
}

TEST_P(CrashExplorerTest, LoneCommits) {
  Explore("lone commits", [](Explorer*, ModelledLog* log) {
    EXPECT_STATUS_OK(log->Open());
    for (int i = 0; i < 12; ++i) {
      EXPECT_STATUS_OK(log->Append(static_cast<size_t>(i) * 37, Durability::kDurable));
    }
  });
}

TEST_P(CrashExplorerTest, GroupsWrittenButNotSynced) {
  Explore("groups", [](Explorer*, ModelledLog* log) {
    EXPECT_STATUS_OK(log->Open());
    for (int i = 0; i < 8; ++i) {
      for (int j = 0; j < 3; ++j) EXPECT_STATUS_OK(log->Append(300));
      EXPECT_STATUS_OK(log->Wait(i % 3 == 2 ? Durability::kDurable : Durability::kWritten));
    }
  });
}

TEST_P(CrashExplorerTest, AtomicBatches) {
  Explore("atomic batches", [](Explorer*, ModelledLog* log) {
    EXPECT_STATUS_OK(log->Open());
    for (size_t i = 1; i < 8; ++i) {
      EXPECT_STATUS_OK(
          log->AppendBatch(i, 900 / i, i % 2 == 0 ? Durability::kDurable : Durability::kWritten));
    }
  });
}

TEST_P(CrashExplorerTest, Rollover) {
  Explore("rollover", [](Explorer*, ModelledLog* log) {
    EXPECT_STATUS_OK(log->Open());
    for (int i = 0; i < 24; ++i) {
      EXPECT_STATUS_OK(log->Append(1500, i % 4 == 3 ? Durability::kDurable : Durability::kWritten));
    }
  });
}

// The first segment is made longer, with zeros ahead of the writer and then, for a record that does
// not fit what is there, at once.
TEST_P(CrashExplorerTest, LongerSegment) {
  Explore(
      "longer segment",
      [](Explorer*, ModelledLog* log) {
        log->options()->segment_bytes = 768 << 10;
        log->options()->buffer_bytes = 512 << 10;
        log->options()->max_record_bytes = 400 << 10;
        EXPECT_STATUS_OK(log->Open());
        EXPECT_STATUS_OK(log->Append(100, Durability::kDurable));
        EXPECT_STATUS_OK(log->Append(300 << 10, Durability::kDurable));
        EXPECT_STATUS_OK(log->Append(100, Durability::kDurable));
        EXPECT_STATUS_OK(log->Append(300 << 10, Durability::kWritten));
      },
      3);
}

// Segments that are long enough for an index: it stands behind the groups of files that are sealed,
// recycled, and cut.
TEST_P(CrashExplorerTest, Indexes) {
  Explore(
      "indexes",
      [](Explorer*, ModelledLog* log) {
        log->options()->segment_bytes = 192 << 10;
        log->options()->buffer_bytes = 128 << 10;
        log->options()->max_record_bytes = 100 << 10;
        EXPECT_STATUS_OK(log->Open());
        for (Lsn i = 1; i <= 8; ++i) {
          EXPECT_STATUS_OK(log->Append(55 << 10, Durability::kDurable));
          if (i == 7) EXPECT_STATUS_OK(log->TrimBefore(5));
        }
        EXPECT_STATUS_OK(log->TruncateAfter(5));
        EXPECT_STATUS_OK(log->Append(55 << 10, Durability::kDurable));
        EXPECT_STATUS_OK(log->Close());
      },
      3);
}

TEST_P(CrashExplorerTest, TrimAndRecycle) {
  Explore(
      "trim and recycle",
      [](Explorer*, ModelledLog* log) {
        EXPECT_STATUS_OK(log->Open());
        for (Lsn i = 1; i <= 40; ++i) {
          EXPECT_STATUS_OK(log->Append(1500, Durability::kDurable));
          if (i % 9 == 0) EXPECT_STATUS_OK(log->TrimBefore(i - 3));
        }
      },
      10);
}

TEST_P(CrashExplorerTest, AutomaticRetention) {
  Explore(
      "automatic retention",
      [](Explorer*, ModelledLog* log) {
        log->options()->retain_bytes = 24 << 10;
        log->options()->max_log_bytes = uint64_t{256} << 10;
        EXPECT_STATUS_OK(log->Open());
        for (Lsn i = 1; i <= 40; ++i) EXPECT_STATUS_OK(log->Append(2500, Durability::kDurable));
      },
      10);
}

// Up to the watermark, when the next segment is begun but its header not yet synced.
TEST_P(CrashExplorerTest, TrimAtTheWatermark) {
  Explore("trim at the watermark", [](Explorer*, ModelledLog* log) {
    EXPECT_STATUS_OK(log->Open());
    for (int round = 0; round < 3; ++round) {
      for (int i = 0; i < 3; ++i) EXPECT_STATUS_OK(log->Append(3000, Durability::kDurable));
      for (int i = 0; i < 2; ++i) EXPECT_STATUS_OK(log->Append(3000, Durability::kWritten));
      EXPECT_STATUS_OK(log->TrimBefore(log->log()->durable_lsn() + 1));
    }
  });
}

TEST_P(CrashExplorerTest, TruncateBack) {
  Explore("truncate back", [](Explorer*, ModelledLog* log) {
    EXPECT_STATUS_OK(log->Open());
    for (int round = 0; round < 4; ++round) {
      for (int i = 0; i < 9; ++i) EXPECT_STATUS_OK(log->Append(900));
      EXPECT_STATUS_OK(log->TruncateAfter(log->last_lsn() - (round == 1 ? 9 : 4)));
      EXPECT_STATUS_OK(log->Append(500, Durability::kDurable));
    }
    EXPECT_STATUS_OK(log->TruncateAfter(0));
    EXPECT_STATUS_OK(log->Append(500, Durability::kDurable));
  });
}

// To records above and below those that were there, which are cut off: those get their LSNs again.
TEST_P(CrashExplorerTest, Reset) {
  Explore(
      "reset",
      [](Explorer*, ModelledLog* log) {
        EXPECT_STATUS_OK(log->Open());
        for (Lsn first : {30, 7, 8, 1}) {
          for (int i = 0; i < 14; ++i) {
            EXPECT_STATUS_OK(
                log->Append(1500, i % 4 == 3 ? Durability::kDurable : Durability::kWritten));
          }
          EXPECT_STATUS_OK(log->Reset(first));
          if (first == 7) EXPECT_STATUS_OK(log->Reset(first));
        }
        EXPECT_STATUS_OK(log->Append(500, Durability::kDurable));
      },
      7);
}

TEST_P(CrashExplorerTest, OpenAndCloseAgain) {
  Explore("open and close again", [](Explorer*, ModelledLog* log) {
    for (int life = 0; life < 4; ++life) {
      EXPECT_STATUS_OK(log->Open());
      EXPECT_STATUS_OK(log->Append(700, Durability::kDurable));
      EXPECT_STATUS_OK(log->Append(700));
      EXPECT_STATUS_OK(log->Close());
      log->Drop();
    }
  });
}

// A process is killed; the next one opens what it finds in the page cache.
TEST_P(CrashExplorerTest, KilledThenOpened) {
  Explore("killed, then opened", [](Explorer* explorer, ModelledLog* log) {
    for (int life = 0; life < 4; ++life) {
      EXPECT_STATUS_OK(log->Open());
      for (int i = 0; i < 4; ++i) {
        EXPECT_STATUS_OK(log->Append(1100, i == 1 ? Durability::kDurable : Durability::kWritten));
      }
      explorer->Kill(log);
    }
    EXPECT_STATUS_OK(log->Open());
  });
}

// A second life over the recycled files of the first: stale groups lie behind the new ones.
TEST_P(CrashExplorerTest, SecondLifeOverRecycledFiles) {
  Explore(
      "second life over recycled files",
      [](Explorer*, ModelledLog* log) {
        EXPECT_STATUS_OK(log->Open());
        for (Lsn i = 1; i <= 30; ++i) {
          EXPECT_STATUS_OK(log->Append(1500, Durability::kDurable));
          if (i == 14 || i == 25) EXPECT_STATUS_OK(log->TrimBefore(i));
        }
        for (int i = 0; i < 10; ++i) {
          EXPECT_STATUS_OK(log->Append(100, Durability::kWritten));
        }
      },
      10);
}

void WithCursors(Options* options) {
  options->cursors = true;
  options->segment_bytes = 24 << 10;
}

// Two consumers, one slower than the other, over rollovers and trims.
TEST_P(CrashExplorerTest, Cursors) {
  Explore(
      "cursors",
      [](Explorer*, ModelledLog* log) {
        EXPECT_STATUS_OK(log->Open());
        EXPECT_STATUS_OK(log->Append(100, Durability::kDurable));
        EXPECT_STATUS_OK(log->OpenCursor("slow"));
        for (Lsn i = 2; i <= 26; ++i) {
          EXPECT_STATUS_OK(log->Append(2500, Durability::kDurable));
          if (i == 5) EXPECT_STATUS_OK(log->OpenCursor("fast"));
          if (i > 5) {
            EXPECT_STATUS_OK(log->AdvanceCursor(
                "fast", i, i % 3 == 0 ? Durability::kDurable : Durability::kAppended));
          }
          if (i % 7 == 0) EXPECT_STATUS_OK(log->AdvanceCursor("slow", i - 4));
          if (i % 8 == 0) EXPECT_STATUS_OK(log->TrimBefore(i));
          if (i == 22) EXPECT_STATUS_OK(log->DropCursor("slow"));
        }
        EXPECT_STATUS_OK(log->AdvanceCursor("fast", 26));
      },
      9, WithCursors);
}

TEST_P(CrashExplorerTest, CursorsAndTruncation) {
  Explore(
      "cursors and truncation",
      [](Explorer*, ModelledLog* log) {
        EXPECT_STATUS_OK(log->Open());
        EXPECT_STATUS_OK(log->OpenCursor("a"));
        for (int round = 0; round < 3; ++round) {
          for (int i = 0; i < 6; ++i) EXPECT_STATUS_OK(log->Append(2000));
          EXPECT_STATUS_OK(log->Wait(Durability::kDurable));
          EXPECT_STATUS_OK(log->AdvanceCursor("a", log->last_lsn() - (round == 1 ? 4 : 0)));
          EXPECT_STATUS_OK(log->TruncateAfter(log->last_lsn() - 2));
          EXPECT_STATUS_OK(log->Append(500, Durability::kDurable));
          EXPECT_STATUS_OK(log->AdvanceCursor("a", log->last_lsn()));
        }
        EXPECT_STATUS_OK(log->OpenCursor("b"));
        EXPECT_STATUS_OK(log->Reset(100));
        EXPECT_STATUS_OK(log->Append(500, Durability::kDurable));
        EXPECT_STATUS_OK(log->AdvanceCursor("b", 100));
      },
      10, WithCursors);
}

// Closed, killed, and opened again, first without cursors.
TEST_P(CrashExplorerTest, CursorsOverLives) {
  Explore(
      "cursors over lives",
      [](Explorer* explorer, ModelledLog* log) {
        log->options()->cursors = false;
        for (int life = 0; life < 5; ++life) {
          EXPECT_STATUS_OK(log->Open());
          EXPECT_STATUS_OK(log->Append(700, Durability::kDurable));
          EXPECT_STATUS_OK(log->Append(700));
          if (life > 0) {
            EXPECT_STATUS_OK(log->OpenCursor("a"));
            EXPECT_STATUS_OK(log->AdvanceCursor("a", log->last_lsn() - 1));
            EXPECT_STATUS_OK(log->Append(700, Durability::kWritten));
            EXPECT_STATUS_OK(
                log->AdvanceCursor("a", log->log()->durable_lsn(), Durability::kAppended));
          }
          if (life % 2 == 0) {
            EXPECT_STATUS_OK(log->Close());
            log->Drop();
          } else {
            explorer->Kill(log);
          }
          log->options()->cursors = true;
        }
      },
      12, WithCursors);
}

// Set at creation, changed, removed and set again, over rollovers, trims, a truncation, a reset and
// lives of each kind.
TEST_P(CrashExplorerTest, Metadata) {
  Explore(
      "metadata",
      [](Explorer* explorer, ModelledLog* log) {
        int version = 0;
        const auto set = [&] {
          EXPECT_STATUS_OK(log->SetMetadata(std::string(kMaxMetadataBytes - 3 * (version % 7),
                                                        static_cast<char>('a' + version))));
          ++version;
        };
        EXPECT_STATUS_OK(log->Open());
        set();
        for (Lsn i = 1; i <= 12; ++i) {
          EXPECT_STATUS_OK(log->Append(3000, Durability::kDurable));
          if (i % 4 == 0) set();
          if (i == 8) EXPECT_STATUS_OK(log->TrimBefore(5));
        }
        explorer->Kill(log);
        EXPECT_STATUS_OK(log->Open());
        EXPECT_STATUS_OK(log->TruncateAfter(log->last_lsn() - 1));
        EXPECT_STATUS_OK(log->SetMetadata(""));
        EXPECT_STATUS_OK(log->Append(700, Durability::kDurable));
        set();
        EXPECT_STATUS_OK(log->Reset(5));
        EXPECT_STATUS_OK(log->Close());
        log->Drop();
        EXPECT_STATUS_OK(log->Open());
        set();
      },
      10, [](Options* options) { options->metadata = "from the beginning"; });
}

INSTANTIATE_TEST_SUITE_P(All, CrashExplorerTest, ::testing::ValuesIn(Configurations()),
                         [](const ::testing::TestParamInfo<Configuration>& configuration) {
                           std::string name;
                           for (char c : configuration.param.name) {
                             if (std::isalnum(static_cast<unsigned char>(c))) name.push_back(c);
                           }
                           return name;
                         });

}  // namespace
}  // namespace seawall
