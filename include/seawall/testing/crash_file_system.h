// SPDX-License-Identifier: Apache-2.0
// A file system in memory that forgets what was not synced: for tests of recovery code.
//
// It keeps what was written apart from what was synced, and makes the disk states that the
// strictest reading of POSIX lets a power loss leave behind. Anything that does its I/O through
// seawall::FileSystem can be tested with it: a Log, or your own code on top of one.
//
//   CrashFileSystem fs;
//   Model model;  // what your code promised its callers so far
//   const auto check = [](const CrashState& state, const Promise& promise) {
//     state.ForEachImage(200, /*seed=*/1, [&](const CrashChoice& choice,
//                                             std::unique_ptr<CrashFileSystem> disk) {
//       EXPECT_TRUE(promise.HoldsFor(YourRecovery(disk.get(), "/log"))) << state.Describe(choice);
//       return !::testing::Test::HasFailure();  // false stops
//     });
//   };
//   fs.SetCallHook([&](const FileSystemCall&, CrashPhase, const CaptureFn& capture) {
//     check(capture(), model.Promised());
//   });
//   YourWorkload(&fs, "/log", &model);
//   check(fs.Capture(), model.Promised());
//
// The hook runs at every point where a crash differs from the previous one, so this is the whole
// exploration. To crash during recovery, too, set a hook on `disk` before YourRecovery. To kill
// the process and not the machine, use capture().Kill(): its image still has its unsynced state,
// for a power loss later. Where the code under test must see the crash (its threads have to
// unwind), use SetCrashPoint instead of a hook and run the workload once for every call.
//
// What a power loss may do, unit by unit, independently, in any combination:
//   * A sector that was written and not synced holds its last synced bytes, or those of any write
//     since then. If it never held synced bytes it reads as zeros, or as garbage (another file's
//     old sector, or noise). CrashOptions::strict_sectors: any such sector may read as garbage or
//     zeros, and with it the synced bytes that share it.
//   * A size that was changed and not synced is the synced size or any size since then. A size
//     that survived without its sectors shows zeros or garbage; sectors without it are gone.
//   * Each creation, mkdir, rename, unlink and rmdir happened or did not, until SyncDirectory() of
//     the directory that holds the name. Syncing a file does not sync its name; syncing a directory
//     does not sync its own name in its parent. A rename is atomic: the file has the old name or
//     the new one. Across directories, syncing the target directory leaves the old name in doubt;
//     syncing the source directory makes all of the rename durable.
//   * Sync() makes the file's data and size durable; so does the return of a write to a file with
//     data_sync or full_sync, for the bytes written. direct alone makes nothing durable.
//   * A failed Sync() drops what it should have synced and marks it clean, as Linux does: what is
//     in doubt stays so through later, successful syncs, until it is written again. So does a
//     failed SyncDirectory(), and EIO from a write with direct, data_sync or full_sync.
#ifndef SEAWALL_TESTING_CRASH_FILE_SYSTEM_H_
#define SEAWALL_TESTING_CRASH_FILE_SYSTEM_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "seawall/file_system.h"

namespace seawall {

namespace crash_internal {
class Kernel;
struct Frozen;
}  // namespace crash_internal

class CrashFileSystem;

struct CrashOptions {
  // What the disk writes atomically, if it writes anything atomically: a power of two, at least
  // 512. A write is torn at its multiples.
  size_t sector_bytes = 512;

  // false: a sector that is being written keeps its old bytes or gets its new ones ("powersafe
  // overwrite"). true: it may be lost as a whole, with older bytes that it held.
  bool strict_sectors = false;

  // Whether sectors that never held synced bytes may come back as garbage. Journaling file systems
  // that order data before metadata rule it out.
  bool garbage = true;

  // What reads show after a failed sync: the new data, which is no longer going to reach the disk
  // (ext4, XFS), or the disk's older bytes (btrfs; others when the page was evicted).
  bool failed_sync_keeps_cache = true;

  // What O_DIRECT demands of offset, length and memory address: EINVAL otherwise.
  size_t direct_alignment_bytes = 4096;

  // Order of List() results and contents of garbage.
  uint64_t seed = 1;

  // Keep the calls for Trace().
  bool trace = true;
};

enum class CallKind {
  kAny,  // for Fault only
  kOpen,
  kRead,
  kWrite,
  kAllocate,
  kSync,
  kSize,
  kLock,
  kUnlock,
  kTruncate,
  kStat,
  kMakeDirectory,
  kList,
  kRename,
  kUnlink,
  kRemoveDirectory,
  kSyncDirectory,
};

const char* CallKindName(CallKind kind);

// One call made through the seam. Closing a file is no call: nothing can be told from it.
struct FileSystemCall {
  uint64_t ordinal = 0;  // 1, 2, ... in the life of one CrashFileSystem
  CallKind kind = CallKind::kAny;
  std::string path;
  std::string to;       // kRename
  uint64_t offset = 0;  // kRead, kWrite, kAllocate; kTruncate: the new size
  size_t bytes = 0;     // kRead, kWrite, kAllocate: asked for
  // It can change what is on disk or in the cache: reads cannot, nor can opens without create.
  bool may_change = false;
  // The result.
  int error = 0;
  size_t transferred = 0;  // kRead, kWrite
};

std::ostream& operator<<(std::ostream& out, const FileSystemCall& call);

enum class CrashPhase {
  kBefore,  // nothing of the call happened
  kInside,  // its effect is in flight, nothing of it is promised: a torn write, an unfinished sync
  kAfter,   // it returned
};

struct CrashPoint {
  uint64_t call = 0;  // ordinal; 0: never
  CrashPhase phase = CrashPhase::kBefore;
  // kInside a write: how much of it came as far as the page cache, for a kill inside the write.
  // For a power loss leave it: which sectors survive is CrashState's choice.
  size_t inside_bytes = SIZE_MAX;
};

// A call that fails, or transfers less than asked for.
struct Fault {
  CallKind kind = CallKind::kAny;
  std::string path_contains;  // empty: any path
  uint64_t nth = 1;           // 1: the next call that matches
  bool forever = false;       // that call and all matching ones after it
  // The errno. A failed sync has the effects described above, but for EINTR, EBADF and EINVAL,
  // which change nothing. 0: no failure, but a short read or write.
  int error = EIO;
  // error == 0: reads and writes transfer at most so many bytes.
  size_t max_bytes = 0;
};

// Which of the outcomes of each pending unit came true. A plain value.
struct CrashChoice {
  std::vector<uint16_t> picks;  // one per unit; 0 is always "lost"
  uint64_t garbage_seed = 0;

  // For a line that replays a failure: FromString(ToString()) is the same choice.
  std::string ToString() const;
  static bool FromString(const std::string& text, CrashChoice* choice);

  friend bool operator==(const CrashChoice& a, const CrashChoice& b) {
    return a.picks == b.picks && a.garbage_seed == b.garbage_seed;
  }
};

// A moment in the life of a CrashFileSystem: what was durable, and every unit that was pending.
// Immutable, cheap to copy, independent of the file system that it was captured from. Images are
// independent, too: they share unchanged sectors and cost as much as they differ.
class CrashState {
 public:
  // The units in doubt: unsynced sectors, sizes and directory operations. Unit i has outcomes(i)
  // outcomes, at least 2.
  size_t pending_units() const;
  size_t outcomes(size_t unit) const;
  // The product of all outcomes, at most UINT64_MAX. Different choices may make equal images (the
  // sectors of a file whose name is lost do not matter).
  uint64_t combinations() const;

  // Choice number `index` of combinations().
  CrashChoice ChoiceAt(uint64_t index) const;
  // A random choice, biased to what finds mistakes: all but one, one only, everything up to a
  // moment, everything but what came before it, and coins of several biases.
  CrashChoice Sample(uint64_t seed) const;
  // The choice that makes the same image and picks 0 for each unit that does not matter.
  CrashChoice Canonical(const CrashChoice& choice) const;
  // One line per unit, for the message of a failed test.
  std::string Describe(const CrashChoice& choice) const;

  // The disk after a power loss: nothing is pending, nothing is open, no fault is set.
  // A pick that is out of range counts as the last outcome of its unit.
  std::unique_ptr<CrashFileSystem> PowerLoss(const CrashChoice& choice) const;

  // After SIGKILL: files are closed and locks are free, the cache is as it was, and what was
  // pending still is.
  std::unique_ptr<CrashFileSystem> Kill() const;

  // Calls `visit` with the image of every canonical choice if combinations() <= max_images, else
  // with up to max_images samples, without repeating a choice; "all lost" and "all survived" come
  // first. Stops when `visit` returns false. Returns how many images were visited.
  size_t ForEachImage(
      size_t max_images, uint64_t seed,
      const std::function<bool(const CrashChoice&, std::unique_ptr<CrashFileSystem>)>& visit) const;

 private:
  friend class crash_internal::Kernel;
  explicit CrashState(std::shared_ptr<const crash_internal::Frozen> frozen);

  std::shared_ptr<const crash_internal::Frozen> frozen_;
};

using CaptureFn = std::function<CrashState()>;
using CallHook =
    std::function<void(const FileSystemCall& call, CrashPhase phase, const CaptureFn& capture)>;

// Thread-safe. Begins with an empty, durable directory "/", which is the working directory, too.
class CrashFileSystem final : public FileSystem {
 public:
  explicit CrashFileSystem(const CrashOptions& options = CrashOptions());
  ~CrashFileSystem() override;
  CrashFileSystem(const CrashFileSystem&) = delete;
  CrashFileSystem& operator=(const CrashFileSystem&) = delete;

  // The seam.
  int Open(const std::string& path, const OpenOptions& options,
           std::unique_ptr<File>* file) override;
  int Stat(const std::string& path, FileInfo* info) override;
  int MakeDirectory(const std::string& path) override;
  int List(const std::string& directory, std::vector<std::string>* names) override;
  int Rename(const std::string& from, const std::string& to) override;
  int Unlink(const std::string& path) override;
  int RemoveDirectory(const std::string& path) override;
  int SyncDirectory(const std::string& directory) override;

  // Crashing. ----------------------------------------------------------------------------------

  // When this point comes, the file system freezes: with kBefore and kInside the call itself,
  // with kAfter the next one and in any case all calls after it fail with EIO, change nothing and
  // are not counted. The process under test is dead, though its threads still have to unwind.
  void SetCrashPoint(const CrashPoint& point);
  // Freezes now.
  void Freeze();
  bool frozen() const;
  // The present moment, or that of the freeze.
  CrashState Capture() const;
  // Capture().Kill(): an independent copy with all that is pending.
  std::unique_ptr<CrashFileSystem> Clone() const;

  // Calls `hook` before each call that may change something, and inside each write with data_sync
  // or full_sync. All other moments leave the same states as these; capture once more after the
  // last call. It runs on the calling thread under the file system's lock: it must not use this
  // file system, but for `capture`, which is valid during the hook only. nullptr: none.
  void SetCallHook(CallHook hook);

  // The calls so far: their number, and (CrashOptions::trace) each with its result.
  uint64_t calls() const;
  std::vector<FileSystemCall> Trace() const;

  // Failing. -----------------------------------------------------------------------------------

  // Several faults may be set; each counts the calls that match it, and the first one that is due
  // decides.
  void InjectFault(const Fault& fault);
  void ClearFaults();
  // How many calls were made to fail or to fall short, by faults.
  uint64_t faults_hit() const;

  // Writes that need more than so many bytes of disk fall short, then fail with ENOSPC. Space is
  // counted in sectors written; overwriting is free. It is given back by Unlink (when the last
  // open file is closed), by renaming over a file, and by Truncate. Images inherit the limit.
  void SetSpaceLimit(uint64_t bytes);
  uint64_t space_used() const;

  // Looking at the disk and damaging it. --------------------------------------------------------
  //
  // These are not calls: they are neither counted nor failed, also work when frozen, and what
  // they change is durable at once. They return an errno value.

  // As sync(2): all is durable, except what a failed sync dropped.
  void SyncAll();
  // The paths of all files, sorted; directories have a '/' at the end.
  std::vector<std::string> AllFiles() const;
  int GetFile(const std::string& path, std::string* contents) const;
  // Creates or replaces it. The directory must exist.
  int PutFile(const std::string& path, const std::string& contents);
  // Overwrites, and extends where it goes beyond the end.
  int PutBytes(const std::string& path, uint64_t offset, const std::string& bytes);
  int FlipBit(const std::string& path, uint64_t bit);
  int ZeroBytes(const std::string& path, uint64_t offset, uint64_t bytes);
  // Shortens it, or extends it with a hole.
  int SetLength(const std::string& path, uint64_t bytes);
  int CopyFile(const std::string& from, const std::string& to);
  int SwapFiles(const std::string& a, const std::string& b);
  int DeleteFile(const std::string& path);

 private:
  friend class CrashState;
  explicit CrashFileSystem(std::shared_ptr<crash_internal::Kernel> kernel);

  // Shared with open files, so that a file that outlives the file system does no harm.
  std::shared_ptr<crash_internal::Kernel> kernel_;
};

}  // namespace seawall

#endif  // SEAWALL_TESTING_CRASH_FILE_SYSTEM_H_
