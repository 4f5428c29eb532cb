// SPDX-License-Identifier: Apache-2.0
#include "engine/testing/crash_disk.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>

namespace seawall::crash_internal {
namespace {

// Zeros are written a lot (segments are filled ahead), so they are kept once.
Sector MakeSector(std::string bytes) {
  static const auto* const zero_512 = new Sector(std::make_shared<const std::string>(512, '\0'));
  if (bytes == **zero_512) return *zero_512;
  return std::make_shared<const std::string>(std::move(bytes));
}

}  // namespace

uint64_t NewEpoch() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

Sector SectorTable::Get(uint64_t index) const {
  const uint64_t chunk = index / kChunk;
  if (chunk >= chunks_.size() || chunks_[chunk] == nullptr) return nullptr;
  return chunks_[chunk]->sectors[index % kChunk];
}

void SectorTable::Set(uint64_t index, Sector sector, uint64_t epoch) {
  const uint64_t number = index / kChunk;
  if (number >= chunks_.size()) {
    if (sector == nullptr) return;
    chunks_.resize(number + 1);
  }
  std::shared_ptr<Chunk>& chunk = chunks_[number];
  if (chunk == nullptr) {
    if (sector == nullptr) return;
    chunk = std::make_shared<Chunk>();
  } else if (chunk->epoch != epoch) {
    chunk = std::make_shared<Chunk>(*chunk);
  }
  chunk->epoch = epoch;
  chunk->sectors[index % kChunk] = std::move(sector);
}

void SectorTable::Cut(uint64_t begin, uint64_t epoch) {
  const uint64_t keep = (begin + kChunk - 1) / kChunk;
  if (keep < chunks_.size()) chunks_.resize(keep);
  for (uint64_t i = begin; i < size(); ++i) {
    if (Get(i) != nullptr) Set(i, nullptr, epoch);
  }
}

Sector Inode::Current(uint64_t index) const {
  if (!cached.empty()) {
    const auto it = cached.find(index);
    if (it != cached.end()) return it->second.versions.back().sector;
  }
  return durable.Get(index);
}

Disk::Disk(size_t sector_bytes) : sector_bytes_(sector_bytes), epoch_(NewEpoch()) {
  auto root = std::make_shared<Inode>();
  root->epoch = epoch_;
  root->is_directory = true;
  root->links = 1;
  inodes_[kRootInode] = std::move(root);
}

const Inode* Disk::Get(InodeId id) const {
  const auto it = inodes_.find(id);
  return it == inodes_.end() ? nullptr : it->second.get();
}

Inode* Disk::Mutable(InodeId id) {
  std::shared_ptr<Inode>& inode = inodes_.at(id);
  if (inode->epoch != epoch_) {
    inode = std::make_shared<Inode>(*inode);
    inode->epoch = epoch_;
  }
  return inode.get();
}

size_t Disk::Read(InodeId id, void* to, size_t bytes, uint64_t offset) const {
  const Inode& inode = *Get(id);
  if (offset >= inode.size) return 0;
  bytes = static_cast<size_t>(std::min<uint64_t>(bytes, inode.size - offset));
  char* out = static_cast<char*>(to);
  for (size_t done = 0; done < bytes;) {
    const uint64_t at = offset + done;
    const size_t skip = static_cast<size_t>(at % sector_bytes_);
    const size_t n = std::min(bytes - done, sector_bytes_ - skip);
    const Sector sector = inode.Current(at / sector_bytes_);
    if (sector == nullptr) {
      std::memset(out + done, 0, n);
    } else {
      std::memcpy(out + done, sector->data() + skip, n);
    }
    done += n;
  }
  return bytes;
}

size_t Disk::Write(InodeId id, const void* from, size_t bytes, uint64_t offset, uint64_t call,
                   uint64_t max_sectors) {
  if (bytes == 0) return 0;
  Inode* inode = Mutable(id);
  const char* in = static_cast<const char*>(from);
  size_t done = 0;
  while (done < bytes) {
    const uint64_t at = offset + done;
    const size_t skip = static_cast<size_t>(at % sector_bytes_);
    const size_t n = std::min(bytes - done, sector_bytes_ - skip);
    const Sector old = inode->Current(at / sector_bytes_);
    if (old == nullptr && used_sectors_ >= max_sectors) break;
    std::string content;
    if (n == sector_bytes_) {
      content.assign(in + done, n);
    } else {
      content = old == nullptr ? std::string(sector_bytes_, '\0') : *old;
      content.replace(skip, n, in + done, n);
    }
    AddVersion(inode, at / sector_bytes_, MakeSector(std::move(content)), call);
    done += n;
  }
  if (done > 0 && offset + done > inode->size) AddSize(inode, offset + done, call);
  return done;
}

void Disk::Resize(InodeId id, uint64_t bytes, uint64_t call) {
  Inode* inode = Mutable(id);
  if (bytes < inode->size) {
    // What is behind the end must read as zeros when the file grows again.
    uint64_t index = bytes / sector_bytes_;
    const size_t keep = static_cast<size_t>(bytes % sector_bytes_);
    if (keep != 0) {
      if (const Sector old = inode->Current(index); old != nullptr) {
        std::string content = old->substr(0, keep);
        content.resize(sector_bytes_, '\0');
        AddVersion(inode, index, MakeSector(std::move(content)), call);
      }
      ++index;
    }
    for (; index * sector_bytes_ < inode->size; ++index) {
      if (inode->Current(index) != nullptr) AddVersion(inode, index, nullptr, call);
    }
  }
  AddSize(inode, bytes, call);
}

void Disk::AddVersion(Inode* inode, uint64_t index, Sector sector, uint64_t call) {
  Allocated(inode, inode->Current(index) != nullptr, sector != nullptr);
  CachedSector& cached = inode->cached[index];
  cached.versions.push_back({std::move(sector), call});
  cached.dirty = true;
}

void Disk::AddSize(Inode* inode, uint64_t bytes, uint64_t call) {
  if (inode->size == bytes) return;
  inode->size = bytes;
  inode->size_versions.push_back({bytes, call});
  inode->size_dirty = true;
}

void Disk::Allocated(Inode* inode, bool before, bool after) {
  if (before == after) return;
  const uint64_t change = after ? uint64_t{1} : ~uint64_t{0};
  inode->allocated_sectors += change;
  used_sectors_ += change;
}

InodeId Disk::Create(InodeId directory, const std::string& name, bool is_directory, uint64_t call) {
  const InodeId id = next_inode_++;
  auto inode = std::make_shared<Inode>();
  inode->epoch = epoch_;
  inode->is_directory = is_directory;
  inodes_[id] = std::move(inode);
  EntryOp op;
  op.call = call;
  op.changes.push_back({directory, name, id});
  Apply(std::move(op));
  return id;
}

void Disk::Remove(InodeId directory, const std::string& name, uint64_t call) {
  EntryOp op;
  op.call = call;
  op.changes.push_back({directory, name, 0});
  Apply(std::move(op));
}

void Disk::Rename(InodeId from_directory, const std::string& from, InodeId to_directory,
                  const std::string& to, uint64_t call) {
  const InodeId id = Get(from_directory)->entries.at(from);
  EntryOp op;
  op.call = call;
  op.rename = true;
  op.changes.push_back({from_directory, from, 0});
  op.changes.push_back({to_directory, to, id});
  Apply(std::move(op));
}

void Disk::Apply(EntryOp op) {
  for (const EntryChange& change : op.changes) {
    std::map<std::string, InodeId>& entries = Mutable(change.directory)->entries;
    InodeId& entry = entries[change.name];
    const InodeId old = entry;
    entry = change.target;
    if (change.target == 0) entries.erase(change.name);
    if (change.target != 0) SetLinks(change.target, +1);
    if (old != 0) SetLinks(old, -1);
  }
  ops_.push_back(std::move(op));
}

void Disk::SetLinks(InodeId id, int change) {
  Inode* inode = Mutable(id);
  inode->links = static_cast<uint32_t>(static_cast<int>(inode->links) + change);
}

void Disk::SyncFile(InodeId id) {
  if (!HasPending(*Get(id))) return;
  Inode* inode = Mutable(id);
  for (auto it = inode->cached.begin(); it != inode->cached.end();) {
    if (!it->second.dirty) {
      ++it;
      continue;
    }
    inode->durable.Set(it->first, it->second.versions.back().sector, epoch_);
    it = inode->cached.erase(it);
  }
  if (inode->size_dirty) {
    inode->durable_size = inode->size;
    inode->size_versions.clear();
    inode->size_dirty = false;
  }
}

void Disk::SyncRange(InodeId id, uint64_t offset, size_t bytes) {
  if (bytes == 0) return;
  Inode* inode = Mutable(id);
  const uint64_t end = offset + bytes;
  auto it = inode->cached.lower_bound(offset / sector_bytes_);
  while (it != inode->cached.end() && it->first * sector_bytes_ < end) {
    inode->durable.Set(it->first, it->second.versions.back().sector, epoch_);
    it = inode->cached.erase(it);
  }
  uint64_t smallest = inode->durable_size;
  for (const SizeVersion& version : inode->size_versions) {
    smallest = std::min(smallest, version.bytes);
  }
  if (smallest < end) {
    inode->durable_size = inode->size;
    inode->size_versions.clear();
    inode->size_dirty = false;
  }
}

void Disk::SyncDirectory(InodeId directory) {
  std::vector<EntryOp> pending;
  for (EntryOp& op : ops_) {
    const bool here =
        op.dirty && std::any_of(op.changes.begin(), op.changes.end(),
                                [&](const EntryChange& c) { return c.directory == directory; });
    if (!here) {
      pending.push_back(std::move(op));
      continue;
    }
    // A rename's new name can be durable while the old one lingers; without its old name, the
    // file must have the new one.
    const bool lingers =
        op.rename && op.changes.size() == 2 && op.changes[0].directory != directory;
    EntryOp rest;
    rest.call = op.call;
    for (size_t i = 0; i < op.changes.size(); ++i) {
      const EntryChange& change = op.changes[i];
      if (lingers && i == 0) {
        rest.changes.push_back(change);
        continue;
      }
      std::map<std::string, InodeId>& entries = Mutable(change.directory)->durable_entries;
      if (change.target == 0) {
        entries.erase(change.name);
      } else {
        entries[change.name] = change.target;
      }
      // What an older, dropped operation did to this name no longer matters.
      for (EntryOp& older : pending) {
        auto& changes = older.changes;
        changes.erase(std::remove_if(changes.begin(), changes.end(),
                                     [&](const EntryChange& c) {
                                       return c.directory == change.directory &&
                                              c.name == change.name;
                                     }),
                      changes.end());
        if (changes.size() < 2) older.rename = false;
      }
    }
    if (!rest.changes.empty()) pending.push_back(std::move(rest));
  }
  pending.erase(std::remove_if(pending.begin(), pending.end(),
                               [](const EntryOp& op) { return op.changes.empty(); }),
                pending.end());
  ops_ = std::move(pending);
}

void Disk::SyncAll() {
  std::vector<InodeId> ids;
  for (const auto& [id, inode] : inodes_) ids.push_back(id);
  for (InodeId id : ids) {
    if (Get(id)->is_directory) {
      SyncDirectory(id);
    } else {
      SyncFile(id);
    }
  }
}

void Disk::DropFile(InodeId id, bool keep_cache) {
  Inode* inode = Mutable(id);
  DropSectors(inode, 0, UINT64_MAX, keep_cache);
  inode->size_dirty = false;
}

void Disk::DropRange(InodeId id, uint64_t offset, size_t bytes, bool keep_cache) {
  if (bytes == 0) return;
  Inode* inode = Mutable(id);
  DropSectors(inode, offset / sector_bytes_, (offset + bytes - 1) / sector_bytes_ + 1, keep_cache);
  inode->size_dirty = false;
}

void Disk::DropSectors(Inode* inode, uint64_t begin, uint64_t end, bool keep_cache) {
  auto it = inode->cached.lower_bound(begin);
  while (it != inode->cached.end() && it->first < end) {
    // A hole that Resize() made stays in the cache: older bytes must not show behind the end.
    const Sector current = it->second.versions.back().sector;
    if (keep_cache || current == nullptr || !it->second.dirty) {
      it->second.dirty = false;
      ++it;
      continue;
    }
    // Reads show what the disk has, so there is no doubt left about what it has.
    Allocated(inode, true, inode->durable.Get(it->first) != nullptr);
    it = inode->cached.erase(it);
  }
}

void Disk::DropDirectory(InodeId directory) {
  for (EntryOp& op : ops_) {
    for (const EntryChange& change : op.changes) {
      if (change.directory == directory) op.dirty = false;
    }
  }
}

std::set<InodeId> Disk::Referenced() const {
  std::set<InodeId> seen = {kRootInode};
  std::vector<InodeId> todo = {kRootInode};
  const auto visit = [&](InodeId id) {
    if (id != 0 && seen.insert(id).second) todo.push_back(id);
  };
  for (const EntryOp& op : ops_) {
    for (const EntryChange& change : op.changes) visit(change.target);
  }
  while (!todo.empty()) {
    const Inode* inode = Get(todo.back());
    todo.pop_back();
    for (const auto& [name, id] : inode->entries) visit(id);
    for (const auto& [name, id] : inode->durable_entries) visit(id);
  }
  return seen;
}

void Disk::CollectGarbage(const std::set<InodeId>& open) {
  const std::set<InodeId> referenced = Referenced();
  for (auto it = inodes_.begin(); it != inodes_.end();) {
    if (referenced.count(it->first) > 0 || open.count(it->first) > 0) {
      ++it;
    } else {
      it = inodes_.erase(it);
    }
  }
  // Names in a directory that is gone are no longer in doubt.
  for (EntryOp& op : ops_) {
    const size_t before = op.changes.size();
    op.changes.erase(
        std::remove_if(op.changes.begin(), op.changes.end(),
                       [this](const EntryChange& c) { return Get(c.directory) == nullptr; }),
        op.changes.end());
    if (op.changes.size() < before) op.rename = false;
  }
  ops_.erase(std::remove_if(ops_.begin(), ops_.end(),
                            [](const EntryOp& op) { return op.changes.empty(); }),
             ops_.end());
}

void Disk::FreeSpaceIfUnused(InodeId id, bool open) {
  if (open || Get(id) == nullptr || Get(id)->links > 0) return;
  Inode* inode = Mutable(id);
  used_sectors_ -= inode->allocated_sectors;
  inode->allocated_sectors = 0;
}

void Disk::Settle(const std::map<InodeId, std::map<std::string, InodeId>>& directories,
                  const std::set<InodeId>& reachable) {
  ops_.clear();
  for (auto it = inodes_.begin(); it != inodes_.end();) {
    if (reachable.count(it->first) > 0) {
      ++it;
    } else {
      it = inodes_.erase(it);
    }
  }
  for (const auto& [id, entries] : directories) {
    if (Get(id) == nullptr) continue;
    Inode* inode = Mutable(id);
    inode->entries = entries;
    inode->durable_entries = entries;
  }
  std::map<InodeId, uint32_t> links = {{kRootInode, 1}};
  for (const auto& [id, inode] : inodes_) {
    for (const auto& [name, target] : inode->entries) ++links[target];
  }
  std::vector<InodeId> changed;
  used_sectors_ = 0;
  for (const auto& [id, inode] : inodes_) {
    used_sectors_ += inode->allocated_sectors;
    if (inode->links != links[id]) changed.push_back(id);
  }
  for (InodeId id : changed) {
    Inode* inode = Mutable(id);
    if (inode->links == 0 && !inode->is_directory) {
      // An unlink that was lost: its space had been given back.
      uint64_t allocated = 0;
      const uint64_t end = std::max(inode->durable.size(),
                                    inode->cached.empty() ? 0 : inode->cached.rbegin()->first + 1);
      for (uint64_t i = 0; i < end; ++i) allocated += inode->Current(i) != nullptr ? 1 : 0;
      used_sectors_ += allocated - inode->allocated_sectors;
      inode->allocated_sectors = allocated;
    }
    inode->links = links[id];
  }
}

void Disk::SettleFile(InodeId id, const std::vector<std::pair<uint64_t, Sector>>& sectors,
                      uint64_t size) {
  Inode* inode = Mutable(id);
  for (const auto& [index, sector] : sectors) {
    Allocated(inode, inode->Current(index) != nullptr, sector != nullptr);
    inode->durable.Set(index, sector, epoch_);
    inode->cached.erase(index);
  }
  inode->cached.clear();
  inode->size_versions.clear();
  inode->size_dirty = false;
  // POSIX: when the file grows again, what was behind its end is zero.
  uint64_t end = size / sector_bytes_;
  const size_t keep = static_cast<size_t>(size % sector_bytes_);
  if (keep != 0) {
    const Sector last = inode->durable.Get(end);
    if (last != nullptr && last->find_first_not_of('\0', keep) != std::string::npos) {
      std::string content = last->substr(0, keep);
      content.resize(sector_bytes_, '\0');
      inode->durable.Set(end, MakeSector(std::move(content)), epoch_);
    }
    ++end;
  }
  for (uint64_t i = end; i < inode->durable.size(); ++i) {
    if (inode->durable.Get(i) != nullptr) Allocated(inode, true, false);
  }
  inode->durable.Cut(end, epoch_);
  inode->size = size;
  inode->durable_size = size;
}

void Disk::PutBytes(InodeId id, uint64_t offset, const std::string& bytes) {
  Write(id, bytes.data(), bytes.size(), offset, 0, UINT64_MAX);
  SyncRange(id, offset, bytes.size());
}

}  // namespace seawall::crash_internal
