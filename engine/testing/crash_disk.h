// SPDX-License-Identifier: Apache-2.0
// The disk of CrashFileSystem: what is durable, and what was done since and is not.
//
// Pure data, without locks, calls or faults. A Disk is a value whose copies share inodes and
// sectors; who may change a shared part in place is told by epochs (below), so that a copy costs
// one pointer per inode and a change costs what it changes.
#ifndef SEAWALL_ENGINE_TESTING_CRASH_DISK_H_
#define SEAWALL_ENGINE_TESTING_CRASH_DISK_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace seawall::crash_internal {

// The bytes of one sector, never changed. nullptr is a hole: it reads as zeros, and a write that
// does not survive there may leave garbage.
using Sector = std::shared_ptr<const std::string>;

using InodeId = uint64_t;  // 0: none
inline constexpr InodeId kRootInode = 1;

// Never the same twice. A part that bears its holder's epoch is not shared and may be changed in
// place. Reference counts would tell the same, but not without a race between threads.
uint64_t NewEpoch();

// A sparse array of sectors in chunks, which copies share.
class SectorTable {
 public:
  Sector Get(uint64_t index) const;
  void Set(uint64_t index, Sector sector, uint64_t epoch);
  // Holes from here on.
  void Cut(uint64_t begin, uint64_t epoch);
  uint64_t size() const { return chunks_.size() * kChunk; }

 private:
  static constexpr uint64_t kChunk = 64;
  struct Chunk {
    uint64_t epoch = 0;
    std::array<Sector, kChunk> sectors;
  };
  std::vector<std::shared_ptr<Chunk>> chunks_;
};

// `call` is the ordinal of the call that made a version: the order in time.
struct SectorVersion {
  Sector sector;
  uint64_t call = 0;
};

struct SizeVersion {
  uint64_t bytes = 0;
  uint64_t call = 0;
};

// What the cache holds of a sector and the disk perhaps not.
struct CachedSector {
  std::vector<SectorVersion> versions;  // since the last sync, at least one; reads see the last
  bool dirty = true;                    // false: a failed sync dropped it; no sync will write it
};

struct Inode {
  uint64_t epoch = 0;
  bool is_directory = false;

  // Files. The cache's view of sector i is cached[i].versions.back(), else durable[i]; it is zero
  // behind `size`.
  uint64_t size = 0;
  uint64_t durable_size = 0;
  std::vector<SizeVersion> size_versions;  // since the last sync
  bool size_dirty = false;                 // as CachedSector::dirty
  SectorTable durable;
  std::map<uint64_t, CachedSector> cached;
  uint64_t allocated_sectors = 0;  // in the cache's view
  uint32_t links = 0;              // names in the cache's view

  // Directories.
  std::map<std::string, InodeId> entries;
  std::map<std::string, InodeId> durable_entries;

  Sector Current(uint64_t index) const;
};

struct EntryChange {
  InodeId directory = 0;
  std::string name;
  InodeId target = 0;  // 0: the name goes away
};

// A creation, mkdir, rename or unlink that is not durable: it survives as a whole or not at all.
struct EntryOp {
  uint64_t call = 0;
  std::vector<EntryChange> changes;
  // A rename: changes[0] removes its old name.
  bool rename = false;
  bool dirty = true;  // as CachedSector::dirty
};

class Disk {
 public:
  explicit Disk(size_t sector_bytes);

  // Copies share everything; both need a new epoch before one of them is changed.
  void BeginEpoch() { epoch_ = NewEpoch(); }

  const Inode* Get(InodeId id) const;
  Inode* Mutable(InodeId id);
  const std::map<InodeId, std::shared_ptr<Inode>>& inodes() const { return inodes_; }
  const std::vector<EntryOp>& ops() const { return ops_; }
  size_t sector_bytes() const { return sector_bytes_; }
  uint64_t used_sectors() const { return used_sectors_; }
  uint64_t epoch() const { return epoch_; }

  // The cache's view. ----------------------------------------------------------------------------
  size_t Read(InodeId id, void* to, size_t bytes, uint64_t offset) const;
  // Returns the bytes written, less than `bytes` where that would take more than `max_sectors` of
  // disk in all.
  size_t Write(InodeId id, const void* from, size_t bytes, uint64_t offset, uint64_t call,
               uint64_t max_sectors);
  void Resize(InodeId id, uint64_t bytes, uint64_t call);
  InodeId Create(InodeId directory, const std::string& name, bool is_directory, uint64_t call);
  void Remove(InodeId directory, const std::string& name, uint64_t call);
  void Rename(InodeId from_directory, const std::string& from, InodeId to_directory,
              const std::string& to, uint64_t call);

  // What makes things durable, and what fails to. -------------------------------------------------
  void SyncFile(InodeId id);
  // A write with O_DSYNC returns: these bytes, and a size that covers them.
  void SyncRange(InodeId id, uint64_t offset, size_t bytes);
  void SyncDirectory(InodeId directory);
  void SyncAll();
  // A failed sync: what is dirty becomes clean. keep_cache: reads go on showing it.
  void DropFile(InodeId id, bool keep_cache);
  void DropRange(InodeId id, uint64_t offset, size_t bytes, bool keep_cache);
  void DropDirectory(InodeId directory);

  // Inodes that have a name in the cache's or in any possible durable view.
  std::set<InodeId> Referenced() const;
  // Forgets inodes that are not Referenced() nor in `open`.
  void CollectGarbage(const std::set<InodeId>& open);
  // The space of a file whose last name and last open file are gone.
  void FreeSpaceIfUnused(InodeId id, bool open);

  // For making the disk as a power loss leaves it (crash_state.cc). -------------------------------
  // These names, and no others, are left, in cache and on disk; other inodes and all pending
  // operations are gone. The map holds the directories that change.
  void Settle(const std::map<InodeId, std::map<std::string, InodeId>>& directories,
              const std::set<InodeId>& reachable);
  // The size is `size`, durable; nothing is cached; sectors behind the end are gone.
  void SettleFile(InodeId id, const std::vector<std::pair<uint64_t, Sector>>& sectors,
                  uint64_t size);

  // Damage: in cache and on disk at once.
  void PutBytes(InodeId id, uint64_t offset, const std::string& bytes);

 private:
  bool HasPending(const Inode& inode) const {
    return !inode.cached.empty() || !inode.size_versions.empty();
  }
  void AddVersion(Inode* inode, uint64_t index, Sector sector, uint64_t call);
  void AddSize(Inode* inode, uint64_t bytes, uint64_t call);
  void DropSectors(Inode* inode, uint64_t begin, uint64_t end, bool keep_cache);
  void Allocated(Inode* inode, bool before, bool after);
  void Apply(EntryOp op);
  void SetLinks(InodeId id, int change);

  size_t sector_bytes_;
  uint64_t epoch_;
  std::map<InodeId, std::shared_ptr<Inode>> inodes_;
  std::vector<EntryOp> ops_;  // oldest first
  InodeId next_inode_ = kRootInode + 1;
  uint64_t used_sectors_ = 0;
};

}  // namespace seawall::crash_internal

#endif  // SEAWALL_ENGINE_TESTING_CRASH_DISK_H_
